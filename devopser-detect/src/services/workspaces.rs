//! The members of workspaces: npm, yarn, bun, pnpm, lerna, Nx, Cargo, Go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use devopser_core::model::report::Evidence;
use serde_json::Value;

use super::{MAX, add, clean};
use crate::scan::{Scan, base_name, folder_of};

/// Members of the workspaces of npm, yarn, bun, pnpm, lerna, Cargo and Go.
pub(super) fn find(scan: &Scan<'_>, into: &mut BTreeMap<String, Vec<Evidence>>) {
    // Nx keeps a `project.json` in each project (https://nx.dev/reference/project-configuration).
    if scan.has("nx.json") {
        for path in scan.named("project.json", 3) {
            let evidence = Evidence::file(path, "a project of the Nx workspace");
            add(scan, into, folder_of(path).to_owned(), evidence);
        }
    }
    for (folder, (glob, path, _)) in listed(scan) {
        let evidence = scan.evidence(path, glob, "a member of the workspace");
        add(scan, into, folder.clone(), evidence);
    }
}

/// The folders of the workspaces' members that have a manifest of that name, and of the packages beside them that a Cargo
/// workspace depends on by their paths.
pub(crate) fn members(scan: &Scan<'_>, manifest: &str) -> Vec<String> {
    let found = listed(scan).iter();
    let mut found: Vec<String> = found
        .filter(|(_, (.., of))| *of == manifest)
        .map(|(folder, _)| folder.clone())
        .collect();
    if manifest == "Cargo.toml" {
        found.extend(beside(scan));
    }
    let mut seen = BTreeSet::new();
    found.retain(|folder| seen.insert(folder.clone()));
    found
}

/// Packages that are members because the root depends on their paths
/// (<https://doc.rust-lang.org/cargo/reference/workspaces.html#the-members-and-exclude-fields>).
fn beside(scan: &Scan<'_>) -> Vec<String> {
    let Some(root) = scan.toml("Cargo.toml") else {
        return Vec::new();
    };
    let tables = ["/dependencies", "/workspace/dependencies"];
    let tables = tables
        .iter()
        .filter_map(|place| root.pointer(place)?.as_object());
    let paths = tables.flat_map(|table| table.values().filter_map(|of| of.get("path")?.as_str()));
    let folders = paths.filter_map(clean);
    folders
        .filter(|folder| scan.has(&format!("{folder}/Cargo.toml")))
        .collect()
}

/// What a workspace lists: the glob, the file that says it, the manifest of a member.
type Glob = (String, &'static str, &'static str);

/// The folders that workspaces list, each with the glob that names it.
pub(crate) type Listed = Vec<(String, Glob)>;

/// The folders that the workspaces list, without those that a glob with `!` leaves out (<https://pnpm.io/pnpm-workspace_yaml>).
fn listed<'s>(scan: &'s Scan<'_>) -> &'s Listed {
    scan.listed.get_or_init(|| found_by_globs(scan))
}

fn found_by_globs(scan: &Scan<'_>) -> Listed {
    let (out, globs): (Vec<Glob>, Vec<Glob>) = globs(scan)
        .into_iter()
        .partition(|(glob, ..)| glob.starts_with('!'));
    let is_out = |folder: &str| {
        let path: Vec<&str> = folder.split('/').collect();
        out.iter().any(|(glob, ..)| {
            let glob = glob.trim_start_matches('!').trim_start_matches("./");
            matches(&glob.split('/').collect::<Vec<_>>(), &path)
        })
    };
    let mut found = Vec::new();
    for glob in globs.into_iter().take(MAX) {
        let folders = expand(scan, &glob.0, glob.2).into_iter();
        found.extend(
            folders
                .filter(|folder| !is_out(folder))
                .map(|folder| (folder, glob.clone())),
        );
    }
    found
}

/// The globs of all workspaces, as they are written.
fn globs(scan: &Scan<'_>) -> Vec<Glob> {
    let mut found: Vec<Glob> = Vec::new();
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

/// The folders below the tree that a workspace's glob names: those with the manifest in them. Only folders that fit
/// the glob so far are listed.
pub(crate) fn expand(scan: &Scan<'_>, glob: &str, manifest: &str) -> Vec<String> {
    let Some(glob) = clean(glob) else {
        return Vec::new();
    };
    let parts: Vec<&str> = glob.split('/').collect();
    if let Some(at) = parts.iter().position(|part| *part == "**") {
        return anywhere(scan, &parts, at, manifest);
    }
    let mut found = vec![String::new()];
    for part in parts {
        let below = found.iter().map(|folder| scan.list(folder));
        found = below
            .flat_map(|listing| listing.folders.clone())
            .filter(|folder| matches(&[part], &[base_name(folder)]))
            .take(MAX * 4)
            .collect();
    }
    found.retain(|folder| scan.has(&format!("{folder}/{manifest}")));
    found
}

/// The same for a glob with `**` at a place: what lies before it says where the search begins. A member's own folders are
/// not searched: what lies there belongs to it.
fn anywhere(scan: &Scan<'_>, glob: &[&str], at: usize, manifest: &str) -> Vec<String> {
    let before = glob[..at]
        .iter()
        .take_while(|part| !part.contains('*'))
        .copied()
        .collect::<Vec<_>>();
    let (mut found, mut left) = (Vec::new(), MAX * 4);
    let mut queue = VecDeque::from([before.join("/")]);
    while let Some(folder) = queue.pop_front().filter(|_| left > 0) {
        left -= 1;
        let is_below = folder.split('/').count() > before.len();
        if is_below && scan.has(&format!("{folder}/{manifest}")) {
            found.push(folder);
            continue;
        }
        let deep = folder.matches('/').count() >= 4;
        let below = scan.list(&folder);
        queue.extend(below.folders.iter().filter(|_| !deep).cloned());
    }
    found.retain(|folder| matches(glob, &folder.split('/').collect::<Vec<_>>()));
    found
}

/// `*` stands for one folder, `**` for any number.
pub(crate) fn matches(pattern: &[&str], path: &[&str]) -> bool {
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

/// Members of a Cargo workspace that other members depend on: libraries, whatever programs they bring along
/// (<https://doc.rust-lang.org/cargo/reference/specifying-dependencies.html#path-dependencies>).
pub(super) fn crates_of_others(scan: &Scan<'_>) -> Vec<String> {
    let root = scan.toml("Cargo.toml");
    if root.is_none_or(|root| root.get("workspace").is_none()) {
        return Vec::new();
    }
    let paths = members(scan, "Cargo.toml").into_iter();
    let paths = paths.map(|folder| format!("{folder}/Cargo.toml"));
    let members: Vec<(String, Rc<Value>)> = std::iter::once("Cargo.toml".to_owned())
        .chain(paths)
        .take(MAX)
        .filter_map(|path| {
            let manifest = scan.toml(&path)?;
            Some((path, manifest))
        })
        .collect();
    let depends = |manifest: &Value, name: &str| {
        manifest
            .get("dependencies")
            .is_some_and(|table| table.get(name).is_some())
    };
    let is_used = |path: &str, name: &str| {
        members
            .iter()
            .any(|(other, manifest)| other != path && depends(manifest, name))
    };
    members
        .iter()
        .filter(|(path, manifest)| {
            let name = manifest.pointer("/package/name").and_then(Value::as_str);
            name.is_some_and(|name| is_used(path, name))
        })
        .map(|(path, _)| folder_of(path).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn members_are_found_at_any_depth_and_their_own_folders_are_not_searched() {
        let tree = MemoryTree::new([
            (
                "package.json",
                r#"{"workspaces":["packages/**","!packages/old"]}"#,
            ),
            ("packages/ui/package.json", "{}"),
            ("packages/old/package.json", "{}"),
            ("packages/ui/demo/package.json", "{}"),
            ("packages/group/deep/package.json", "{}"),
            ("elsewhere/package.json", "{}"),
        ]);
        let mut found = members(&Scan::new(&tree), "package.json");
        found.sort();
        assert_eq!(found, ["packages/group/deep", "packages/ui"]);
    }

    #[test]
    fn packages_that_a_cargo_workspace_depends_on_by_path_are_members() {
        let root = "[workspace]\nmembers = [\"crates/*\"]\n[dependencies]\nshared = { path = \"shared\" }\ngone = { path = \"gone\" }\n";
        let tree = MemoryTree::new([
            ("Cargo.toml", root),
            ("crates/web/Cargo.toml", ""),
            ("shared/Cargo.toml", ""),
        ]);
        let found = members(&Scan::new(&tree), "Cargo.toml");
        assert_eq!(found, ["crates/web", "shared"]);
    }

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
