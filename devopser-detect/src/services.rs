//! The services of a monorepo: what its workspaces, its compose file and its folders name, each with a report of
//! its own.

use std::collections::BTreeMap;

use devopser_core::model::report::{Detection, Evidence, Report, ServiceFound};
use serde_json::Value;

use crate::scan::{Scan, base_name, code, folder_of};
use crate::tree::SubTree;

/// How many folders are looked into.
const MAX: usize = 64;

/// Files that say that a folder is something of its own.
const MANIFESTS: &[&str] = &[
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
    "pubspec.yaml",
];

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
    workspaces(scan, &mut candidates);
    build_modules(scan, &mut candidates);
    // Folders count where nothing at the root claims them: a framework there is one app with folders.
    let root_is_app = report
        .stack
        .as_ref()
        .is_some_and(|stack| stack.confidence >= 85 && stack.framework.is_some());
    if !root_is_app || candidates.len() > 1 {
        folders(scan, &mut candidates);
    }
    let mut found: Vec<ServiceFound> = candidates
        .into_iter()
        .take(MAX)
        .filter_map(|(root, evidence)| service(scan, root, evidence))
        .collect();
    if found.len() < 2
        && !(found.len() == 1
            && report
                .stack
                .as_ref()
                .is_none_or(|stack| stack.confidence < 40))
    {
        return Vec::new();
    }
    found.sort_by(|left, right| left.root.cmp(&right.root));
    found
}

/// What is in a folder; libraries, which nothing starts, are left out.
fn service(scan: &Scan<'_>, root: String, evidence: Vec<Evidence>) -> Option<ServiceFound> {
    let tree = SubTree::new(scan.tree(), &root);
    let below = Scan::below(&tree, scan);
    let report = crate::report_of(&below);
    let named_by_compose = evidence
        .iter()
        .any(|evidence| evidence.why.contains("compose"));
    let detection = report
        .stack
        .or_else(|| report.runners_up.into_iter().next());
    let runs = report.dockerfile.is_some()
        || detection
            .as_ref()
            .is_some_and(|detection| is_app(detection) && !is_library(&below, detection));
    if !(runs || named_by_compose && detection.is_some()) {
        return None;
    }
    Some(ServiceFound {
        name: base_name(&root).to_owned(),
        root,
        evidence,
        detection,
    })
}

/// Whether a detection is something that runs or is served, not a library.
fn is_app(detection: &Detection) -> bool {
    let is_static = detection.is_static.as_ref().is_some_and(|fact| fact.value);
    let served = is_static && (detection.framework.is_some() || detection.detector != "node");
    let started = detection.start_command.is_some() && !is_static;
    (served || started) && detection.confidence >= 40
}

/// Whether it is a library or a desktop app: a package that only has a `main`; a bundler without a page, which
/// builds a library (<https://vite.dev/guide/build#library-mode>); a shell of Tauri or Electron.
fn is_library(scan: &Scan<'_>, detection: &Detection) -> bool {
    let Some(package) = scan.package() else {
        return false;
    };
    let bundled = detection
        .framework
        .as_ref()
        .is_some_and(|fact| ["vite", "parcel"].contains(&fact.value.as_str()));
    let pageless = bundled
        && scan
            .first(&["index.html", "src/index.html", "public/index.html"])
            .is_none();
    let only_main =
        detection.framework.is_none() && package.script("start").is_none() && !scan.has("Procfile");
    let desktop =
        scan.has_folder("src-tauri") || package.has("electron") || package.has("@tauri-apps/cli");
    pageless || desktop || (only_main && detection.detector == "node")
}

/// Build contexts of the compose file (<https://docs.docker.com/reference/compose-file/build/>).
fn compose(scan: &Scan<'_>, report: &Report, into: &mut BTreeMap<String, Vec<Evidence>>) {
    let Some(path) = &report.compose else { return };
    let Some(value) = scan.yaml(path) else { return };
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
                scan.evidence(
                    path,
                    name,
                    format!("a build context of the compose file ({name})"),
                ),
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

/// Members of the workspaces of npm, yarn, bun, pnpm, lerna, Cargo and Go.
fn workspaces(scan: &Scan<'_>, into: &mut BTreeMap<String, Vec<Evidence>>) {
    // Nx keeps a `project.json` in each project (https://nx.dev/reference/project-configuration).
    if scan.has("nx.json") {
        for path in scan.named("project.json", 3) {
            let evidence = Evidence::file(path, "a project of the Nx workspace");
            add(scan, into, folder_of(path).to_owned(), evidence);
        }
    }
    let globs = globs(scan)
        .into_iter()
        .filter(|(glob, ..)| !glob.starts_with('!'))
        .take(MAX);
    for (glob, path, manifest) in globs {
        for root in expand(scan, &glob, manifest) {
            let evidence = scan.evidence(path, &glob, "a member of the workspace");
            add(scan, into, root, evidence);
        }
    }
}

/// What the workspaces list: the glob, the file that says it, the manifest of a member.
fn globs(scan: &Scan<'_>) -> Vec<(String, &'static str, &'static str)> {
    let mut found: Vec<(String, &str, &str)> = Vec::new();
    let own = scan
        .package()
        .map(|package| package.workspaces())
        .unwrap_or_default();
    found.extend(
        own.into_iter()
            .map(|glob| (glob, "package.json", "package.json")),
    );
    for path in ["pnpm-workspace.yaml", "lerna.json"] {
        let value = scan.has(path).then(|| scan.yaml(path)).flatten();
        let list = value
            .as_ref()
            .and_then(|value| value.get("packages")?.as_array());
        let list = list.into_iter().flatten().filter_map(Value::as_str);
        found.extend(list.map(|glob| (glob.to_owned(), path, "package.json")));
    }
    let cargo = scan.toml("Cargo.toml");
    let members = cargo
        .as_ref()
        .and_then(|value| value.pointer("/workspace/members")?.as_array());
    let members = members.into_iter().flatten().filter_map(Value::as_str);
    found.extend(members.map(|glob| (glob.to_owned(), "Cargo.toml", "Cargo.toml")));
    let text = scan.text("go.work").unwrap_or_default();
    let words = text
        .lines()
        .map(|line| line.trim().trim_start_matches("use ").trim());
    let words = words.filter(|line| line.starts_with("./"));
    found.extend(words.map(|glob| (glob.to_owned(), "go.work", "go.mod")));
    found
}

/// The folders below the tree that a workspace's glob names: those with the manifest in them.
fn expand(scan: &Scan<'_>, glob: &str, manifest: &str) -> Vec<String> {
    let Some(glob) = clean(glob) else {
        return Vec::new();
    };
    let parts: Vec<&str> = glob.split('/').collect();
    scan.named(manifest, 5)
        .into_iter()
        .map(folder_of)
        .filter(|folder| {
            !folder.is_empty() && matches(&parts, &folder.split('/').collect::<Vec<_>>())
        })
        .map(str::to_owned)
        .collect()
}

/// `*` stands for one folder, `**` for any number.
fn matches(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => {
            matches(rest, path)
                || path
                    .split_first()
                    .is_some_and(|(_, path)| matches(pattern, path))
        }
        (Some((part, pattern)), Some((name, path))) => {
            let (start, end) = part.split_once('*').unwrap_or((part, ""));
            let fits = if part.contains('*') {
                name.len() + 1 >= part.len() && name.starts_with(start) && name.ends_with(end)
            } else {
                part == name
            };
            fits && matches(pattern, path)
        }
        _ => false,
    }
}

/// Modules of Maven (<https://maven.apache.org/guides/mini/guide-multiple-modules.html>) that make programs.
fn build_modules(scan: &Scan<'_>, into: &mut BTreeMap<String, Vec<Evidence>>) {
    let Some(pom) = crate::scan::java::Pom::read(scan, "pom.xml") else {
        return;
    };
    for module in pom.modules.iter().filter_map(|module| clean(module)) {
        let own = crate::scan::java::Pom::read(scan, &format!("{module}/pom.xml"));
        if own.is_some_and(|own| {
            own.uses("spring-boot-maven-plugin")
                .or_else(|| own.uses("quarkus-maven-plugin"))
                .is_some()
        }) {
            add(
                scan,
                into,
                module.clone(),
                scan.evidence("pom.xml", &module, "a module that makes a program"),
            );
        }
    }
}

/// Folders by their names and manifests: `frontend` beside `backend`, `apps/*`, `services/*`, or several folders
/// with manifests under a root that has none.
fn folders(scan: &Scan<'_>, into: &mut BTreeMap<String, Vec<Evidence>>) {
    let root_has_manifest = MANIFESTS
        .iter()
        .any(|name| scan.has(name) && *name != "Dockerfile");
    let (children, grandchildren) = with_manifests(scan);
    let named = children
        .keys()
        .filter(|folder| NAMES.contains(folder))
        .count();
    let evidence = |path: &str| Evidence::file(path, "a folder with a manifest of its own");
    for (folder, path) in children {
        let is_named = NAMES.contains(&folder) || ENDINGS.iter().any(|end| folder.ends_with(end));
        if (is_named && named > 1) || (!root_has_manifest && !folder.starts_with('.')) {
            add(scan, into, folder.to_owned(), evidence(path));
        }
    }
    if root_has_manifest && into.len() < 2 {
        return;
    }
    for (folder, path) in grandchildren {
        let parent = folder.split('/').next().unwrap_or_default();
        let usual = ["apps", "services", "microservices"].contains(&parent);
        if usual || (!root_has_manifest && parent == "src") {
            add(scan, into, folder.to_owned(), evidence(path));
        }
    }
}

/// Folders with a manifest in them: those of the root, and those below a folder that holds several.
fn with_manifests<'t>(scan: &Scan<'t>) -> (BTreeMap<&'t str, &'t str>, BTreeMap<&'t str, &'t str>) {
    let (mut children, mut grandchildren) = (BTreeMap::new(), BTreeMap::new());
    for path in scan.paths() {
        let (folder, name) = (folder_of(path), base_name(path));
        if folder.is_empty() || !(MANIFESTS.contains(&name) || name.ends_with(".csproj")) {
            continue;
        }
        match folder.split_once('/') {
            None => {
                children.entry(folder).or_insert(path.as_str());
            }
            Some((parent, rest)) if !rest.contains('/') && PARENTS.contains(&parent) => {
                grandchildren.entry(folder).or_insert(path.as_str());
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
    use super::*;

    #[test]
    fn globs_match_folders() {
        let fits = |glob: &str, path: &str| {
            matches(
                &glob.split('/').collect::<Vec<_>>(),
                &path.split('/').collect::<Vec<_>>(),
            )
        };
        assert!(fits("apps/*", "apps/web"));
        assert!(!fits("apps/*", "apps/web/x"));
        assert!(fits("apps/**", "apps/web/x"));
        assert!(fits("**", "a/b"));
        assert!(fits("packages/app-*", "packages/app-one"));
        assert!(!fits("packages/app-*", "packages/lib"));
    }
}
