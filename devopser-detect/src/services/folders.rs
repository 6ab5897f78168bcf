//! Services by the names of their folders and the manifests in them, where nothing names the services.

use std::collections::{BTreeMap, BTreeSet};

use devopser_core::model::report::{Evidence, Report};

use super::{BY_FOLDER, MANIFESTS, add};
use crate::scan::{Scan, base_name, folder_of};

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
    "-gateway",
    "-server",
    "-frontend",
    "-backend",
];

/// Files that an app has in its folders as well.
const PARTS: &[&str] = &[
    "index.html",
    "index.php",
    "main.py",
    "app.py",
    "main.go",
    "setup.py",
];

/// Whether the root has a manifest of something that its folders may be parts of. One that only brings tools for those who
/// work on the repository is none: nothing comes out of it.
pub(super) fn claims(scan: &Scan<'_>, report: &Report) -> bool {
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
        let package = scan.package();
        !starts && package.is_none_or(|package| package.workspaces().is_empty())
    };
    has_solution || has_manifest && !only_tools()
}

/// Folders by their names and manifests: `frontend` beside `backend`, `apps/*`, `services/*`, or several folders
/// with manifests under a root that has none.
pub(super) fn find(scan: &Scan<'_>, is_claimed: bool, into: &mut BTreeMap<String, Vec<Evidence>>) {
    let (children, grandchildren) = with_manifests(scan);
    let is_named =
        |folder: &str| NAMES.contains(&folder) || ENDINGS.iter().any(|end| folder.ends_with(end));
    let named = children.keys().filter(|folder| is_named(folder)).count();
    let met: BTreeSet<&str> = children.keys().copied().collect();
    let evidence = |path: &str| Evidence::file(path, BY_FOLDER);
    for (folder, path) in children {
        if (is_named(folder) && named > 1) || (!is_claimed && !folder.starts_with('.')) {
            add(scan, into, folder.to_owned(), evidence(path));
        }
    }
    if is_claimed && into.len() < 2 {
        return;
    }
    for (folder, path) in grandchildren {
        let parent = folder.split('/').next().unwrap_or_default();
        let usual = ["apps", "services", "microservices"].contains(&parent);
        // Where neither the root nor the folder above is anything, it stands for itself.
        let stands = parent == "src" || !met.contains(parent) && !PARTS.contains(&base_name(path));
        if usual || !is_claimed && stands && !into.contains_key(parent) {
            add(scan, into, folder.to_owned(), evidence(path));
        }
    }
}

/// Folders with a manifest in them: those of the root, and those below them.
fn with_manifests<'t>(
    scan: &'t Scan<'_>,
) -> (BTreeMap<&'t str, &'t str>, BTreeMap<&'t str, &'t str>) {
    let (mut children, mut grandchildren) = (BTreeMap::new(), BTreeMap::new());
    for path in scan.files(2) {
        let (folder, name) = (folder_of(path), base_name(path));
        if folder.is_empty() || !(MANIFESTS.contains(&name) || name.ends_with(".csproj")) {
            continue;
        }
        match folder.matches('/').count() {
            0 => _ = children.entry(folder).or_insert(path),
            1 => _ = grandchildren.entry(folder).or_insert(path),
            _ => {}
        }
    }
    (children, grandchildren)
}
