//! Detects what a repository is, with evidence for every fact, and generates what builds and runs it.
//!
//! Pure and synchronous: a file tree in, a [`Report`] out. No network, no process, no environment; a hostile tree
//! gives a poor report, never a panic.
//!
//! ```
//! use devopser_detect::{MemoryTree, detect, summary};
//!
//! let tree = MemoryTree::new([("package.json", r#"{"dependencies": {"next": "15.0.0"}}"#)]);
//! let answer = summary(&detect(&tree));
//! assert_eq!(answer.framework.as_deref(), Some("next"));
//! assert_eq!(answer.start_command.as_deref(), Some("npx next start"));
//! ```

mod command;
mod compose;
mod dockerfile;
mod explain;
mod generate;
mod rank;
mod said;
mod scan;
mod services;
mod stack;
mod summary;
mod tree;
mod version;
mod yaml;

use std::path::Path;
use std::sync::Arc;

use devopser_core::Result;
use devopser_core::model::report::{Detection, Finding, Report};
use devopser_core::provider::StackDetector;

pub use command::split_command;
pub use compose::{ComposeApp, Variable, Variables, compose_app, compose_builds, compose_policy};
pub use dockerfile::{
    Problem, check_dockerfile, dockerfile_copies, dockerfile_policy, dockerfile_port,
    dockerfile_volumes, without_frontend,
};
pub use explain::explain;
pub use generate::{
    DatabaseService, FOLDER, FOLDER_COMPOSE, FOLDER_DOCKERFILE, FOLDER_DOCKERIGNORE,
    GenerateOptions, Generated, database_names, database_servers, generate, has_no_password,
    is_edited, is_single_page, stamped,
};
pub use said::{Commands, started_by, with_commands};
pub use stack::data::{keeps_a_file, kept_in_image};
pub use stack::port::told::tell_port;
pub use summary::{NotChosen, PagesAnswer, ServiceAnswer, Summary, summary};
pub use tree::{FileRead, FileTree, FolderTree, Limits, Listing, ListingTree, MemoryTree, SubTree};
pub use version::TABLE_DATE;

use scan::Scan;

const COMPOSE: &[&str] = &[
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];

/// Detects what a tree is.
#[must_use]
pub fn detect(tree: &dyn FileTree) -> Report {
    detect_with(tree, &[])
}

/// Detects with detectors of the host's own beside the built-in ones; theirs say their confidence themselves.
#[must_use]
pub fn detect_with(tree: &dyn FileTree, others: &[Arc<dyn StackDetector>]) -> Report {
    let scan = Scan::new(tree);
    let mut report = report_of(&scan);
    for other in others {
        if let Some(detection) = other.detect(tree) {
            add(&mut report, detection);
        }
    }
    completed(&scan, report)
}

/// A report with its services, findings and warnings.
fn completed(scan: &Scan<'_>, mut report: Report) -> Report {
    report.services = services::find(scan, &report);
    services::promote(&mut report);
    report.findings = findings(scan, &report);
    submodules(scan);
    report.warnings.extend(scan.take_warnings());
    report
}

/// Submodules of the folder whose own folders are empty: what lies in them is missing in every build. The file that names
/// them lies at the top (<https://git-scm.com/docs/gitmodules>).
fn submodules(scan: &Scan<'_>) {
    let top = scan.above().unwrap_or(scan);
    let Some(text) = top.has(".gitmodules").then(|| top.text(".gitmodules")) else {
        return;
    };
    let is_ours = |path: &str| Path::new(path).starts_with(scan.folder());
    let text = text.unwrap_or_default();
    let paths = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("path"))
        .filter_map(|rest| rest.trim_start().strip_prefix('='))
        .map(|path| path.trim().trim_matches('/'));
    for path in paths
        .filter(|path| !path.is_empty() && is_ours(path))
        .take(20)
    {
        let found = top.list(path);
        if found.files.is_empty() && found.folders.is_empty() {
            scan.warn(format!("{path} is a git submodule whose files are not here; fetch them with `git submodule update --init` and deploy the folder"));
        }
    }
}

/// What the repository's own files ask of the host that is refused.
fn findings(scan: &Scan<'_>, report: &Report) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(path) = &report.compose {
        found = compose_policy(scan.tree(), path, &Variables::new());
        // A variable that must be set is handed over when it is deployed.
        found.retain(|finding| finding.rule != "variable");
    }
    if let Some(path) = &report.dockerfile
        && let Some(text) = scan.text(path)
    {
        for Problem { line, reason } in dockerfile_policy(&text) {
            let finding = Finding {
                path: path.clone(),
                line,
                rule: "dockerfile".to_owned(),
                reason,
            };
            if !found.contains(&finding) {
                found.push(finding);
            }
        }
    }
    found
}

/// Detects what a folder on disk is, with the default limits.
///
/// # Errors
/// [`devopser_core::ErrorKind::InvalidInput`] when it is no folder, or cannot be listed.
pub fn detect_folder(path: &Path) -> Result<Report> {
    on_disk(path, |tree| detect(tree))
}

fn on_disk(path: &Path, look: impl FnOnce(&FolderTree) -> Report) -> Result<Report> {
    let limits = Limits {
        strict: false,
        ..Limits::default()
    };
    let tree = FolderTree::open_with(path, limits)?;
    let mut report = look(&tree);
    if tree.truncated() {
        report
            .warnings
            .push("the folder is very deep or very large: a part of it was left out".to_owned());
    }
    if tree.skipped() > 0 {
        report.warnings.push(format!("{} entries were left out: links that lead nowhere or outside, devices, or names that are not UTF-8", tree.skipped()));
    }
    Ok(report)
}

/// Detects what one folder inside a source on disk is: its own files, and what it shares with the folders above it
/// (lock and version files, the workspace that it belongs to). Paths in the report are counted from that folder.
///
/// # Errors
/// [`devopser_core::ErrorKind::InvalidInput`] when the source is no folder, or cannot be listed.
pub fn detect_folder_at(source: &Path, root: &str) -> Result<Report> {
    let root = root.trim_start_matches("./").trim_matches('/');
    if root.is_empty() || root == "." {
        return detect_folder(source);
    }
    on_disk(source, |tree| detect_at(tree, root))
}

/// See [`detect_folder_at`]; `root` is a folder of the tree.
#[must_use]
pub fn detect_at(source: &dyn FileTree, root: &str) -> Report {
    let above = Scan::new(source);
    let tree = SubTree::new(source, root);
    let scan = Scan::below(&tree, &above, root);
    let mut report = report_of(&scan);
    if let Some(stack) = &mut report.stack {
        stack::context::complete(&scan, stack);
    }
    completed(&scan, report)
}

/// The file names that the built-in detectors read, sorted: what a remote tree should fetch.
#[must_use]
pub fn reads() -> Vec<&'static str> {
    let mut names: Vec<&str> = stack::STACKS
        .iter()
        .flat_map(|stack| stack.reads().iter().copied())
        .chain(COMPOSE.iter().copied())
        .chain(
            stack::port::SCRIPTS
                .iter()
                .map(|path| scan::base_name(path)),
        )
        .chain(
            scan::platform::FILES
                .iter()
                .map(|path| scan::base_name(path)),
        )
        .chain(["README.md"])
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The built-in stacks as a Markdown table: what each reads, what it knows, and how sure a signal of each strength makes
/// it. `docs/detection.md` holds it.
#[must_use]
pub fn stacks_table() -> String {
    explain::stacks_table(stack::STACKS)
}

/// The built-in detectors.
#[must_use]
pub fn detectors() -> Vec<Arc<dyn StackDetector>> {
    stack::STACKS
        .iter()
        .map(|stack| Arc::new(stack::BuiltIn(*stack)) as Arc<dyn StackDetector>)
        .collect()
}

/// The report of one folder, without its services.
pub(crate) fn report_of(scan: &Scan<'_>) -> Report {
    let found = stack::STACKS
        .iter()
        .filter_map(|stack| stack.detect(scan))
        .collect();
    let mut ranked = rank::ranked(found).into_iter();
    let mut stack = ranked.next();
    if let Some(stack) = &mut stack {
        stack::port::settle(scan, stack);
        stack::context::settle(scan, stack);
        stack::redis::settle(scan, stack);
        stack::port::told::settle(scan, stack);
        stack::names::settle(scan, stack);
        stack::release::settle(scan, stack);
        stack::health::settle(scan, stack);
        stack::data::settle(scan, stack);
    }
    let own = scan.first(stack::dockerfile::NAMES);
    let file = own.and_then(|path| scan.dockerfile(path));
    Report {
        stack,
        runners_up: ranked.collect(),
        dockerfile: own.map(str::to_owned),
        dockerfile_port: file
            .as_ref()
            .and_then(|file| file.exposed())
            .map(|(port, _)| port),
        dockerfile_start: file
            .as_ref()
            .and_then(|file| file.start())
            .map(|(start, _)| start),
        compose: scan.first(COMPOSE).map(str::to_owned),
        ..Report::default()
    }
}

/// Adds the answer of a host's own detector at its place.
fn add(report: &mut Report, mut detection: Detection) {
    let first = report.stack.as_ref().map_or(0, |stack| stack.confidence);
    if detection.confidence > first {
        if let Some(mut old) = report.stack.replace(detection) {
            old.why_not = report.stack.as_ref().map(|new| {
                format!(
                    "{} is surer ({} against {})",
                    new.detector, new.confidence, old.confidence
                )
            });
            report.runners_up.insert(0, old);
        }
        return;
    }
    detection.why_not = Some(format!(
        "another stack is at least as sure ({first} against {})",
        detection.confidence
    ));
    let at = report
        .runners_up
        .iter()
        .position(|other| other.confidence < detection.confidence)
        .unwrap_or(report.runners_up.len());
    report.runners_up.insert(at, detection);
}
