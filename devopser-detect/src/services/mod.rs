//! The services of a monorepo: what its workspaces, its compose file and its folders name, each with a report of
//! its own.

mod azd;
mod commands;
mod folders;
mod jvm;
pub(crate) mod kubernetes;
mod library;
mod skaffold;
mod solution;
mod workspaces;

pub(crate) use jvm::main_class;
pub(crate) use workspaces::{Listed, expand, matches as fits, members};

use std::collections::BTreeMap;

use devopser_core::model::report::{Evidence, Report, ServiceFound};
use serde_json::Value;

use crate::scan::{Scan, base_name, code, folder_of};
use crate::tree::SubTree;

/// How many folders are looked into.
const MAX: usize = 64;

/// Files that say that a folder is something of its own.
pub(crate) const MANIFESTS: &[&str] = &[
    "package.json",
    "requirements.txt",
    "pyproject.toml",
    "Pipfile",
    "go.mod",
    "composer.json",
    "Gemfile",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "Cargo.toml",
    "mix.exs",
    "deno.json",
    "deno.jsonc",
    "Dockerfile",
    "index.html",
    "index.php",
    "main.go",
    "main.py",
    "app.py",
    "setup.py",
    "manage.py",
    "hugo.toml",
    "hugo.yaml",
    "pubspec.yaml",
];

/// Why a folder counts that nothing names.
const BY_FOLDER: &str = "a folder with a manifest of its own";

/// Why a folder counts that the compose file builds.
const BY_COMPOSE: &str = "a build context of the compose file";

/// The services, in the order of their folders. Fewer than two are none: the repository is one app.
pub(crate) fn find(scan: &Scan<'_>, report: &Report) -> Vec<ServiceFound> {
    let mut candidates: BTreeMap<String, Vec<Evidence>> = BTreeMap::new();
    compose(scan, report, &mut candidates);
    workspaces::find(scan, &mut candidates);
    let mut programs = jvm::Programs::new();
    jvm::maven(scan, "", &mut programs);
    jvm::gradle(scan, &mut programs);
    for (folder, evidence) in kubernetes::find(scan)
        .into_iter()
        .chain(skaffold::find(scan))
        .chain(solution::find(scan))
        .chain(commands::find(scan))
        .chain(azd::find(scan))
    {
        add(scan, &mut candidates, folder, evidence);
    }
    // Folders count where nothing at the root claims them: a framework there is one app with folders.
    let is_claimed = folders::claims(scan, report);
    let root_is_app = report
        .stack
        .as_ref()
        .is_some_and(|stack| is_claimed && stack.confidence >= 85 && stack.framework.is_some());
    if !root_is_app || candidates.len() + programs.len() > 1 {
        folders::find(scan, is_claimed, &mut candidates);
        for folder in candidates.keys() {
            jvm::maven(scan, folder, &mut programs);
        }
    }
    for (folder, evidence) in programs {
        add(scan, &mut candidates, folder, evidence);
    }
    parents_out(&mut candidates);
    let libraries = workspaces::crates_of_others(scan);
    let mut found: Vec<ServiceFound> = candidates
        .into_iter()
        .filter(|(root, _)| !libraries.contains(root))
        .take(MAX)
        .filter_map(|(root, evidence)| service(scan, root, evidence))
        .collect();
    // What the root itself serves is no service beside it: the only folder with pages.
    let served = report
        .stack
        .as_ref()
        .filter(|stack| stack.is_static.as_ref().is_some_and(|fact| fact.value))
        .and_then(|stack| stack.output_dir.as_ref())
        .map(|fact| fact.value.clone());
    let is_app_below = report
        .stack
        .as_ref()
        .is_none_or(|stack| stack.confidence < 40)
        && found
            .iter()
            .all(|service| served.as_ref() != Some(&service.root));
    if found.len() < 2 && !(found.len() == 1 && is_app_below) {
        return Vec::new();
    }
    found.sort_by(|left, right| left.root.cmp(&right.root));
    found
}

/// Leaves out folders that were only met on the way to a service that something names, or that only share its name.
fn parents_out(candidates: &mut BTreeMap<String, Vec<Evidence>>) {
    let weak = [BY_FOLDER, kubernetes::WHY];
    let met = |evidence: &[Evidence]| evidence.iter().all(|one| weak.contains(&&*one.why));
    let named: Vec<String> = candidates
        .iter()
        .filter(|(_, evidence)| !met(evidence))
        .map(|(root, _)| root.clone())
        .collect();
    candidates.retain(|root, evidence| {
        let below = format!("{root}/");
        !(met(evidence) && named.iter().any(|named| named.starts_with(&below)))
    });
}

/// What is in a folder; libraries, which nothing starts, are left out.
fn service(scan: &Scan<'_>, root: String, evidence: Vec<Evidence>) -> Option<ServiceFound> {
    let tree = SubTree::new(scan.tree(), &root);
    let below = Scan::below(&tree, scan, &root);
    let is_built = evidence
        .iter()
        .any(|evidence| evidence.why == skaffold::WHY || evidence.why.starts_with(BY_COMPOSE));
    let is_named = is_built
        || evidence
            .iter()
            .any(|evidence| [kubernetes::WHY, azd::WHY].contains(&evidence.why.as_str()));
    if !is_named && !library::may_run(&below) {
        return None;
    }
    let report = crate::report_of(&below);
    let detection = report
        .stack
        .or_else(|| report.runners_up.into_iter().next());
    let runs = report.dockerfile.is_some()
        || detection.as_ref().is_some_and(|detection| {
            library::is_app(detection) && !library::is_library(scan, &below, detection)
        });
    if !(runs || is_named && detection.is_some()) || !is_built && library::is_load_test(&below) {
        return None;
    }
    let context = detection
        .as_ref()
        .and_then(|detection| detection.hints.get("context"))
        .unwrap_or(&root)
        .clone();
    Some(ServiceFound {
        name: base_name(&root).to_owned(),
        root,
        context,
        evidence,
        detection,
    })
}

/// Build contexts of the compose file (<https://docs.docker.com/reference/compose-file/build/>).
fn compose(scan: &Scan<'_>, report: &Report, into: &mut BTreeMap<String, Vec<Evidence>>) {
    let Some(path) = &report.compose else { return };
    let builds = scan.text(path).is_some_and(|text| text.contains("build"));
    let Some(value) = builds.then(|| scan.yaml(path)).flatten() else {
        return;
    };
    for (name, service) in value
        .get("services")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let Some(build) = service.get("build") else {
            continue;
        };
        let context = build
            .as_str()
            .or_else(|| build.get("context")?.as_str())
            .unwrap_or(".");
        let file = build
            .get("dockerfile")
            .and_then(Value::as_str)
            .map(folder_of)
            .unwrap_or_default();
        let context = clean(context).or_else(|| clean(file));
        if let Some(root) = context {
            add(
                scan,
                into,
                root,
                scan.evidence(path, name, format!("{BY_COMPOSE} ({name})")),
            );
        }
    }
}

/// A folder below the root, or `None` for the root itself and what lies outside.
fn clean(path: &str) -> Option<String> {
    let path = path.trim().trim_start_matches("./").trim_end_matches('/');
    let sound = !path.is_empty()
        && path != "."
        && !path.starts_with('/')
        && !path.split('/').any(|part| part == "..")
        && !path.contains(['$', ':']);
    sound.then(|| path.to_owned())
}

fn add(
    scan: &Scan<'_>,
    into: &mut BTreeMap<String, Vec<Evidence>>,
    root: String,
    evidence: Evidence,
) {
    if scan.has_folder(&root) && !code::is_test(&root) && into.len() < MAX * 4 {
        into.entry(root).or_default().push(evidence);
    }
}

/// Makes the only service the app itself where the root holds nothing that runs.
pub(crate) fn promote(report: &mut Report) {
    if let ([only], true) = (
        report.services.as_slice(),
        report
            .stack
            .as_ref()
            .is_none_or(|stack| stack.confidence < 40),
    ) {
        let root = only.root.clone();
        report.warnings.push(format!(
            "the root holds no app; {root} does: deploy that folder"
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::MemoryTree;

    #[test]
    fn members_that_say_so_run_and_libraries_do_not() {
        let tree = MemoryTree::new([
            ("package.json", r#"{"workspaces":["apps/*"]}"#),
            (
                "apps/api/package.json",
                r#"{"scripts":{"start":"node a.js"}}"#,
            ),
            (
                "apps/api/a.js",
                "require('http').createServer().listen(4000)",
            ),
            ("apps/lib/package.json", r#"{"main":"index.js"}"#),
            ("apps/lib/index.js", "module.exports = 1"),
            (
                "apps/edge/package.json",
                r#"{"devDependencies":{"@types/bun":"1"}}"#,
            ),
            ("apps/edge/index.ts", "Bun.serve({ port: 5000, fetch })"),
            (
                "apps/site/package.json",
                r#"{"dependencies":{"next":"15"},"scripts":{"build":"next build"}}"#,
            ),
            ("apps/jobs/package.json", r#"{"dependencies":{"pg":"8"}}"#),
            ("apps/jobs/Procfile", "web: node jobs.js"),
        ]);
        let report = crate::detect(&tree);
        let roots: Vec<&str> = report.services.iter().map(|of| of.root.as_str()).collect();
        assert_eq!(roots, ["apps/api", "apps/edge", "apps/jobs", "apps/site"]);
        // The root itself starts nothing, so it listens nowhere.
        assert_eq!(crate::summary(&report).port, None);
    }
}
