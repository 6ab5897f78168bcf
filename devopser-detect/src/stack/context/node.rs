//! Members of the workspaces of npm, yarn, pnpm and bun.

use std::collections::BTreeMap;
use std::rc::Rc;

use devopser_core::model::report::Detection;

use super::{Above, fits, inside, texts};
use crate::scan::node::Package;
use crate::scan::{Scan, is_plain};
use crate::stack::node::{commands, manager};
use crate::tree::SubTree;

/// How many members are looked at.
const MAX_MEMBERS: usize = 64;

/// The nearest workspace above that lists this folder (<https://docs.npmjs.com/cli/using-npm/workspaces>,
/// <https://pnpm.io/pnpm-workspace_yaml>).
pub(super) fn workspace(scan: &Scan<'_>, top: &Scan<'_>) -> Option<Above> {
    if !scan.has("package.json") {
        return None;
    }
    scan.ancestors_of("").into_iter().find_map(|prefix| {
        let (path, globs) = globs(top, &prefix)?;
        let folder = inside(scan, &prefix);
        let (left_out, listed): (Vec<&String>, Vec<&String>) =
            globs.iter().partition(|glob| glob.starts_with('!'));
        let is_member = listed.iter().any(|glob| fits(glob, folder))
            && !left_out.iter().any(|glob| fits(&glob[1..], folder));
        is_member.then(|| Above {
            evidence: top.evidence(&path, "packages", "the workspace that it belongs to"),
            prefix,
        })
    })
}

/// The file that lists the members of a workspace, and its globs.
fn globs(top: &Scan<'_>, prefix: &str) -> Option<(String, Vec<String>)> {
    let pnpm = format!("{prefix}pnpm-workspace.yaml");
    let of_pnpm = top.has(&pnpm).then(|| top.yaml(&pnpm)).flatten();
    let of_pnpm = of_pnpm
        .map(|value| texts(value.get("packages")))
        .unwrap_or_default();
    if !of_pnpm.is_empty() {
        return Some((pnpm, of_pnpm));
    }
    let npm = format!("{prefix}package.json");
    let package = top.has(&npm).then(|| top.package_at(&npm)).flatten()?;
    let globs = package.workspaces();
    (!globs.is_empty()).then_some((npm, globs))
}

/// How everything is installed, as the workspace's root says.
pub(super) fn install(top: &Scan<'_>, prefix: &str, into: &mut Detection) {
    in_root(top, prefix, |root| {
        let Some(package) = root.package() else {
            return;
        };
        into.package_manager = Some(manager::choose(root, &package));
        into.install_command = manager::install(root, into);
        let hints = &mut into.hints;
        hints.insert("workspaces".to_owned(), "true".to_owned());
        if let Some(pinned) = &package.package_manager {
            hints.insert("packageManager".to_owned(), pinned.clone());
        }
        if let Some(version) = manager::pnpm_major(root) {
            hints.insert("pnpm".to_owned(), version.to_owned());
        }
    });
}

/// Looks at the workspace's root; the top of the source is read already.
fn in_root(top: &Scan<'_>, prefix: &str, look: impl FnOnce(&Scan<'_>)) {
    let folder = prefix.trim_end_matches('/');
    if folder.is_empty() {
        return look(top);
    }
    let tree = SubTree::new(top.tree(), folder);
    look(&Scan::new(&tree));
}

/// What is built before the member: by Turborepo where the workspace uses it, else one after the other.
pub(super) fn complete(scan: &Scan<'_>, top: &Scan<'_>, into: &mut Detection) {
    let (Some(context), Some(member)) = (into.hints.get("context"), into.hints.get("folder"))
    else {
        return;
    };
    let prefix = match context.as_str() {
        "." => String::new(),
        context => format!("{context}/"),
    };
    let member = member.clone();
    let name = into
        .package_manager
        .as_ref()
        .map_or_else(|| "npm".to_owned(), |fact| fact.value.clone());
    in_root(top, &prefix, |root| {
        let (Some(package), Some(own)) = (root.package(), scan.package()) else {
            return;
        };
        let turbo = root.has("turbo.json") && package.has("turbo");
        if turbo && own.script("build").is_some() {
            // It builds what the member depends on first (https://turborepo.com/docs/crafting-your-repository/running-tasks).
            let turbo = commands::execute(&name, "turbo");
            let build = format!("{turbo} run build --filter=./{member}");
            into.hints.insert("builds-above".to_owned(), build);
            return;
        }
        let build = manager::run(&name, "build");
        let first: Vec<String> = built_first(root, &own, &member)
            .into_iter()
            .map(|folder| format!("cd {folder} && {build}"))
            .collect();
        if !first.is_empty() {
            into.hints
                .insert("builds-first".to_owned(), first.join("\n"));
        }
    });
}

/// The members that this one depends on and that have a build script, what they depend on before them.
fn built_first(root: &Scan<'_>, own: &Package, member: &str) -> Vec<String> {
    let (_, globs) = globs(root, "").unwrap_or_default();
    let mut members: BTreeMap<String, (String, Rc<Package>)> = BTreeMap::new();
    let folders = globs
        .iter()
        .filter(|glob| !glob.starts_with('!'))
        .flat_map(|glob| crate::services::expand(root, glob, "package.json"));
    for folder in folders
        .filter(|folder| folder != member && is_plain(folder))
        .take(MAX_MEMBERS)
    {
        let Some(package) = root.package_at(&format!("{folder}/package.json")) else {
            continue;
        };
        let name = package
            .value
            .get("name")
            .and_then(serde_json::Value::as_str);
        if let Some(name) = name.map(str::to_owned) {
            members.insert(name, (folder, package));
        }
    }
    let mut order = Vec::new();
    let mut seen = Vec::new();
    visit(own, &members, &mut seen, &mut order);
    order
}

/// Depth first, each once; a circle ends where it began.
fn visit(
    package: &Package,
    members: &BTreeMap<String, (String, Rc<Package>)>,
    seen: &mut Vec<String>,
    order: &mut Vec<String>,
) {
    let names = package
        .dependencies
        .keys()
        .chain(package.dev_dependencies.keys());
    for name in names {
        let Some((folder, dependency)) = members.get(name) else {
            continue;
        };
        if seen.contains(name) {
            continue;
        }
        seen.push(name.clone());
        visit(dependency, members, seen, order);
        if dependency.script("build").is_some() {
            order.push(folder.clone());
        }
    }
}
