//! The services of a monorepo: what its workspaces, its compose file and its folders name, each with a report of
//! its own.

mod jvm;
pub(crate) mod kubernetes;
mod skaffold;
mod solution;
mod workspaces;

pub(crate) use workspaces::{Listed, expand, matches as fits, members};

use std::collections::BTreeMap;

use devopser_core::model::report::{Detection, Evidence, Report, ServiceFound};
use serde_json::Value;

use crate::scan::node::Package;
use crate::scan::{Scan, base_name, code, folder_of};
use crate::stack::node::commands;
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

/// Folders whose name says that they hold one part of an app.
const NAMES: &[&str] = &[
    "admin",
    "api",
    "app",
    "auth",
    "backend",
    "bff",
    "client",
    "dashboard",
    "frontend",
    "gateway",
    "server",
    "service",
    "ui",
    "web",
    "webapp",
    "website",
    "worker",
];

/// Endings of folder names that say the same.
const ENDINGS: &[&str] = &[
    "-service",
    "-api",
    "-web",
    "-server",
    "-frontend",
    "-backend",
];

/// Folders that hold several services or apps.
const PARENTS: &[&str] = &[
    "apps",
    "services",
    "microservices",
    "packages",
    "src",
    "projects",
    "cmd",
    "modules",
    "examples",
];

/// The services, in the order of their folders. Fewer than two are none: the repository is one app.
pub(crate) fn find(scan: &Scan<'_>, report: &Report) -> Vec<ServiceFound> {
    let mut candidates: BTreeMap<String, Vec<Evidence>> = BTreeMap::new();
    compose(scan, report, &mut candidates);
    workspaces::find(scan, &mut candidates);
    let mut modules = jvm::Modules::default();
    modules.maven(scan, "");
    modules.gradle(scan);
    for (folder, evidence) in kubernetes::find(scan)
        .into_iter()
        .chain(skaffold::find(scan))
        .chain(solution::find(scan))
    {
        add(scan, &mut candidates, folder, evidence);
    }
    // Folders count where nothing at the root claims them: a framework there is one app with folders.
    let is_claimed = claims(scan, report);
    let root_is_app = report
        .stack
        .as_ref()
        .is_some_and(|stack| is_claimed && stack.confidence >= 85 && stack.framework.is_some());
    if !root_is_app || candidates.len() + modules.programs.len() > 1 {
        folders(scan, is_claimed, &mut candidates);
        for folder in candidates.keys() {
            modules.maven(scan, folder);
        }
    }
    for (folder, evidence) in modules.programs {
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
            .any(|evidence| evidence.why == kubernetes::WHY);
    if !is_named && !may_run(&below) {
        return None;
    }
    let report = crate::report_of(&below);
    let detection = report
        .stack
        .or_else(|| report.runners_up.into_iter().next());
    let runs = report.dockerfile.is_some()
        || detection
            .as_ref()
            .is_some_and(|detection| is_app(detection) && !is_library(scan, &below, detection));
    if !(runs || is_named && detection.is_some()) || !is_built && is_load_test(&below) {
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

/// Whether something in a folder may run, as far as its `package.json` tells: most members of a workspace are libraries,
/// which say so by naming neither a start, nor a framework, nor Bun, which starts a file that nothing names.
fn may_run(scan: &Scan<'_>) -> bool {
    let Some(package) = scan.package() else {
        return true;
    };
    let others = MANIFESTS.iter().filter(|name| **name != "package.json");
    let mut others = others.chain(&["Procfile", "bun.lock", "bun.lockb", "bunfig.toml"]);
    let above = scan.above().unwrap_or(scan);
    others.any(|name| scan.has(name))
        || above.first(&["bun.lock", "bun.lockb"]).is_some()
        || scan
            .text("package.json")
            .is_some_and(|text| text.contains("bun"))
        || package.script("start").is_some()
        || is_reloaded(&package)
        || crate::stack::node::frameworks::choose(scan, &package).is_some()
}

/// Whether a detection is something that runs or is served, not a library.
fn is_app(detection: &Detection) -> bool {
    let is_static = detection.is_static.as_ref().is_some_and(|fact| fact.value);
    let served = is_static && (detection.framework.is_some() || detection.detector != "node");
    let started = detection.start_command.is_some() && !is_static;
    (served || started) && detection.confidence >= 40
}

/// Whether it is a library or a desktop app: a package that only has a `main`; a bundler without a page, which
/// builds a library (<https://vite.dev/guide/build#library-mode>); a shell of Tauri or Electron; an app of phones.
fn is_library(top: &Scan<'_>, scan: &Scan<'_>, detection: &Detection) -> bool {
    if detection.detector == "java" {
        return !jvm::makes_program(top, scan.folder());
    }
    // A member of a Cargo workspace that serves nothing is a tool of the others.
    if detection.detector == "rust" && scan.above().is_some_and(|above| above.has("Cargo.toml")) {
        return detection.framework.is_none();
    }
    let of_node = ["node", "bun"].contains(&detection.detector.as_str());
    let Some(package) = scan.package().filter(|_| of_node) else {
        return false;
    };
    // A framework that no script builds or starts is what others use the package with.
    let mut scripts = package.scripts.keys();
    let used = scripts.any(|name| {
        let name = name.split(':').next().unwrap_or_default();
        ["build", "dev", "develop", "serve", "start", "preview"].contains(&name)
    });
    let start = detection.start_command.as_ref();
    let by_file =
        !package.scripts.is_empty() && start.is_some_and(|fact| fact.value.starts_with("node "));
    if !(used || by_file) && detection.framework.is_some() && !scan.has("Procfile") {
        return true;
    }
    if is_terminal(&package) && detection.framework.is_none() {
        return true;
    }
    let bundled = detection
        .framework
        .as_ref()
        .is_some_and(|fact| ["vite", "parcel"].contains(&fact.value.as_str()));
    let pageless = bundled
        && scan
            .first(&["index.html", "src/index.html", "public/index.html"])
            .is_none();
    let only_main = detection.framework.is_none()
        && package.script("start").is_none()
        && !is_reloaded(&package)
        && !scan.has("Procfile");
    let desktop =
        scan.has_folder("src-tauri") || package.has("electron") || package.has("@tauri-apps/cli");
    // Apps of phones are started from a phone (https://reactnative.dev/docs/environment-setup).
    let phone = package.has("react-native")
        && package.script("start").is_some_and(|script| {
            ["expo ", "react-native "]
                .iter()
                .any(|of| script.starts_with(of))
        });
    phone || pageless || desktop || (only_main && detection.detector == "node")
}

/// Whether a script, however it is called, runs it and begins again when a file changes.
fn is_reloaded(package: &Package) -> bool {
    let mut scripts = package.scripts.values();
    scripts.any(|script| commands::is_development(script, None))
}

/// Whether it is a program for the terminal: one that is installed as a command
/// (<https://docs.npmjs.com/cli/configuring-npm/package-json#bin>), or that asks a person.
fn is_terminal(package: &Package) -> bool {
    const ASKING: &[&str] = &[
        "inquirer",
        "@inquirer/prompts",
        "prompts",
        "enquirer",
        "@clack/prompts",
        "@oclif/core",
    ];
    package.value.get("bin").is_some() || ASKING.iter().any(|name| package.has(name))
}

/// Whether it only puts load on the other services (<https://docs.locust.io>, <https://www.artillery.io/docs>).
fn is_load_test(scan: &Scan<'_>) -> bool {
    let python = scan.python();
    let node = scan.package();
    python.has("locust")
        || python.has("locustio")
        || node.is_some_and(|package| package.has("artillery") || package.has("autocannon"))
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

/// Whether the root has a manifest of something that its folders may be parts of. A `package.json` that only brings tools
/// for those who work on the repository is none.
fn claims(scan: &Scan<'_>, report: &Report) -> bool {
    let has_manifest = MANIFESTS
        .iter()
        .any(|name| scan.has(name) && *name != "Dockerfile");
    let has_solution = [".sln", ".slnx"]
        .iter()
        .any(|ending| scan.root_with(ending).next().is_some());
    let only_tools = || {
        let starts = report.stack.as_ref().is_some_and(|stack| {
            stack.framework.is_some() || stack.start_command.is_some() || stack.confidence >= 40
        });
        let others = MANIFESTS.iter().filter(|name| **name != "package.json");
        !starts
            && !others.into_iter().any(|name| scan.has(name))
            && scan
                .package()
                .is_some_and(|package| package.workspaces().is_empty())
    };
    has_solution || has_manifest && !only_tools()
}

/// Folders by their names and manifests: `frontend` beside `backend`, `apps/*`, `services/*`, or several folders
/// with manifests under a root that has none.
fn folders(scan: &Scan<'_>, is_claimed: bool, into: &mut BTreeMap<String, Vec<Evidence>>) {
    let (children, grandchildren) = with_manifests(scan);
    let named = children
        .keys()
        .filter(|folder| NAMES.contains(folder))
        .count();
    let evidence = |path: &str| Evidence::file(path, BY_FOLDER);
    for (folder, path) in children {
        let is_named = NAMES.contains(&folder) || ENDINGS.iter().any(|end| folder.ends_with(end));
        if (is_named && named > 1) || (!is_claimed && !folder.starts_with('.')) {
            add(scan, into, folder.to_owned(), evidence(path));
        }
    }
    if is_claimed && into.len() < 2 {
        return;
    }
    for (folder, path) in grandchildren {
        let parent = folder.split('/').next().unwrap_or_default();
        let usual = ["apps", "services", "microservices"].contains(&parent);
        if usual || (!is_claimed && parent == "src") {
            add(scan, into, folder.to_owned(), evidence(path));
        }
    }
}

/// Folders with a manifest in them: those of the root, and those below a folder that holds several.
fn with_manifests<'t>(
    scan: &'t Scan<'_>,
) -> (BTreeMap<&'t str, &'t str>, BTreeMap<&'t str, &'t str>) {
    let (mut children, mut grandchildren) = (BTreeMap::new(), BTreeMap::new());
    for path in scan.files(2) {
        let (folder, name) = (folder_of(path), base_name(path));
        if folder.is_empty() || !(MANIFESTS.contains(&name) || name.ends_with(".csproj")) {
            continue;
        }
        match folder.split_once('/') {
            None => {
                children.entry(folder).or_insert(path);
            }
            Some((parent, rest)) if !rest.contains('/') && PARENTS.contains(&parent) => {
                grandchildren.entry(folder).or_insert(path);
            }
            Some(_) => {}
        }
    }
    (children, grandchildren)
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
