//! The root of a workspace that holds only tools: its scripts call into a member, which is the app.

use devopser_core::model::report::{Detection, Evidence, Fact};

use super::commands;
use crate::rank::{Found, Strength};
use crate::scan::node::Package;
use crate::scan::{Scan, folder_of};
use crate::services;
use crate::stack::Stack;
use crate::tree::SubTree;

/// How many members are looked at.
const MAX_MEMBERS: usize = 64;

/// Options after which a script names the member's folder or its package.
const OPTIONS: &[&str] = &[
    "--cwd",    // https://classic.yarnpkg.com/lang/en/docs/cli/
    "--prefix", // https://docs.npmjs.com/cli/using-npm/config#prefix
    "-C",       // https://pnpm.io/pnpm-cli
    "--dir",
    "workspace", // https://yarnpkg.com/cli/workspace
    "-w",        // https://docs.npmjs.com/cli/using-npm/config#workspace
    "--workspace",
    "--filter", // https://pnpm.io/filtering, https://turborepo.com/docs/reference/run
    "-F",
    "--scope", // https://lerna.js.org/docs/concepts/filter-options
    "cd",
];

/// Fills in what the member that the root calls into says, and returns how strongly that speaks for Node.js.
pub(super) fn adopt(scan: &Scan<'_>, package: &Package, into: &mut Detection) -> Option<Strength> {
    // Only the repository's root is asked, so that members of members cannot go on without end.
    if scan.above().is_some() || package.workspaces().is_empty() && !scan.has("pnpm-workspace.yaml")
    {
        return None;
    }
    let (folder, evidence) = app(scan, package)?;
    let tree = SubTree::new(scan.tree(), &folder);
    let below = Scan::below(&tree, scan, &folder);
    let Found {
        detection,
        strength,
    } = super::Node.detect(&below)?;
    detection.framework.as_ref()?;
    let is_static = detection.is_static.as_ref().is_some_and(|fact| fact.value);
    into.framework = detection.framework.map(|fact| moved(scan, &folder, fact));
    into.is_static = detection.is_static.map(|fact| moved(scan, &folder, fact));
    into.output_dir = detection.output_dir.map(|fact| Fact {
        value: format!("{folder}/{}", fact.value),
        ..moved(scan, &folder, fact)
    });
    into.port = detection.port.map(|fact| moved(scan, &folder, fact));
    // A member may reach its database through another one.
    if let Some(fact) = detection.databases.filter(|fact| !fact.value.is_empty()) {
        into.databases = Some(moved(scan, &folder, fact));
    }
    into.version = into.version.take().or(detection.version);
    into.hints.insert("member".to_owned(), folder);
    if let Some(runtime) = &mut into.runtime {
        runtime.evidence.push(evidence);
    }
    if is_static {
        into.start_command = None;
        into.hints.remove("start");
    }
    Some(strength)
}

/// A fact of the member with its evidence named from the root.
fn moved<T>(scan: &Scan<'_>, folder: &str, mut fact: Fact<T>) -> Fact<T> {
    for evidence in &mut fact.evidence {
        let path = format!("{folder}/{}", evidence.path);
        if !evidence.path.is_empty() && scan.has(&path) {
            evidence.path = path;
        }
    }
    fact
}

/// The member that the root's start script calls into.
pub(super) fn started(scan: &Scan<'_>, package: &Package) -> Option<(String, Evidence)> {
    called(scan, package, super::commands::START_SCRIPTS)
}

fn called(scan: &Scan<'_>, package: &Package, scripts: &[&str]) -> Option<(String, Evidence)> {
    scripts.iter().find_map(|name| {
        let script = package.script(name)?;
        let folder = member(scan, script).or_else(|| only_starter(scan, script))?;
        let why = format!("the {name} script calls into a member");
        Some((folder, scan.in_package(name, why)))
    })
}

/// The only member with a start script, where a script starts those of all members
/// (<https://turborepo.com/docs/reference/run>, <https://pnpm.io/cli/recursive>).
fn only_starter(scan: &Scan<'_>, script: &str) -> Option<String> {
    const ALL: &[&str] = &[
        "turbo run start",
        "turbo start",
        "pnpm -r start",
        "pnpm -r run start",
    ];
    if !ALL.iter().any(|all| script.starts_with(all)) {
        return None;
    }
    let members = services::members(scan, "package.json").into_iter();
    let mut starters = members.take(MAX_MEMBERS).filter(|folder| {
        let package = scan.json(&format!("{folder}/package.json"));
        package.is_some_and(|package| package.pointer("/scripts/start").is_some())
    });
    starters.next().filter(|_| starters.next().is_none())
}

/// The member that the root's scripts call into; else the only one below `apps/`.
fn app(scan: &Scan<'_>, package: &Package) -> Option<(String, Evidence)> {
    let called = started(scan, package).or_else(|| called(scan, package, &["build"]));
    called.or_else(|| {
        let listing = scan.list("apps");
        let manifest =
            |folder: &String| Some(format!("{folder}/package.json")).filter(|path| scan.has(path));
        let mut apps = listing.folders.iter().filter_map(manifest);
        let only = apps.next().filter(|_| apps.next().is_none())?;
        let evidence = Evidence::file(only.clone(), "the only member below apps/");
        Some((folder_of(&only).to_owned(), evidence))
    })
}

/// The folder of the member that a script names.
fn member(scan: &Scan<'_>, script: &str) -> Option<String> {
    let words: Vec<&str> = script
        .split([' ', '='])
        .filter(|word| !word.is_empty())
        .collect();
    let named = words
        .windows(2)
        .filter(|pair| OPTIONS.contains(&pair[0]))
        .find_map(|pair| resolve(scan, pair[1]));
    named.or_else(|| match words.as_slice() {
        ["node", .., path] => holder(scan, path),
        _ => None,
    })
}

/// The member that a file lies in.
fn holder(scan: &Scan<'_>, path: &str) -> Option<String> {
    let mut folder = folder_of(path.trim_start_matches("./"));
    while !folder.is_empty() {
        if scan.has(&format!("{folder}/package.json")) {
            return Some(folder.to_owned());
        }
        folder = folder_of(folder);
    }
    None
}

/// A folder with a `package.json`, or the package of that name.
fn resolve(scan: &Scan<'_>, name: &str) -> Option<String> {
    let name = name
        .trim_matches(['"', '\'', '{', '}'])
        .trim_start_matches("./")
        .trim_end_matches("...")
        .trim_end_matches('/');
    if name.is_empty() {
        return None;
    }
    if scan.has(&format!("{name}/package.json")) {
        return Some(name.to_owned());
    }
    let members = services::members(scan, "package.json").into_iter();
    members.take(MAX_MEMBERS).find(|folder| {
        scan.json(&format!("{folder}/package.json"))
            .is_some_and(|value| value.get("name").is_some_and(|known| known == name))
    })
}

/// How the root starts a member that has a start script, where the root has none.
pub(super) fn start(scan: &Scan<'_>, manager: &str, folder: &str) -> Option<Fact<String>> {
    let path = format!("{folder}/package.json");
    let package = scan.package_at(&path)?;
    let (name, _) = commands::start_script(&package, None)?;
    let command = match manager {
        "pnpm" => format!("pnpm --dir {folder} run {name}"),
        "yarn" => format!("yarn --cwd {folder} run {name}"),
        "bun" => format!("bun run --cwd {folder} {name}"),
        _ => format!("npm --prefix {folder} run {name}"),
    };
    let evidence = scan.evidence(&path, &format!("\"{name}\""), "the member's start script");
    Some(Fact::new(command, 75, evidence))
}
