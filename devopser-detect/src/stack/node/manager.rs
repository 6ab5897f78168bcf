//! Which package manager: `packageManager` (Corepack, <https://nodejs.org/api/corepack.html>), then the lock file,
//! here or above, then npm.

use devopser_core::model::report::{Detection, Evidence, Fact};

use crate::scan::Scan;
use crate::scan::node::Package;

/// Lock files in the order of their weight. `bun.lockb` may stand beside the `yarn.lock` that bun writes on request.
const LOCKS: &[(&str, &str)] = &[
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
];

/// What an installation reads; copied before the sources, so that the layer is cached.
pub(crate) const FILES: &[&str] = &[
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "bun.lock",
    "bun.lockb",
    "bunfig.toml",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
];

/// Chooses the package manager.
///
/// Corepack writes `packageManager` by itself when yarn or pnpm is run once
/// (<https://github.com/nodejs/corepack#environment-variables>, `COREPACK_ENABLE_AUTO_PIN`), so the one lock file of
/// another package manager, which somebody committed, goes before it.
pub(crate) fn choose(scan: &Scan<'_>, package: &Package) -> Fact<String> {
    let named = package.package_manager.as_deref().and_then(name_of);
    if let Some(name) = named.filter(|name| !is_contradicted(scan, name)) {
        return Fact::new(
            name.to_owned(),
            98,
            scan.in_package("packageManager", "packageManager names it"),
        );
    }
    if let Some((path, name)) = LOCKS.iter().find(|(path, _)| scan.has(path)) {
        return Fact::new(
            (*name).to_owned(),
            95,
            Evidence::file(*path, format!("the lock file of {name}")),
        );
    }
    if scan.has("pnpm-workspace.yaml") {
        return Fact::new(
            "pnpm".to_owned(),
            90,
            Evidence::file("pnpm-workspace.yaml", "the workspace file of pnpm"),
        );
    }
    if scan.has(".yarnrc.yml") || scan.has(".yarnrc") {
        let path = if scan.has(".yarnrc.yml") {
            ".yarnrc.yml"
        } else {
            ".yarnrc"
        };
        return Fact::new(
            "yarn".to_owned(),
            85,
            Evidence::file(path, "the settings of yarn"),
        );
    }
    if let Some(found) = above(scan) {
        return found;
    }
    mentioned(scan, package)
}

/// Whether the lock files that are there are all of another package manager.
fn is_contradicted(scan: &Scan<'_>, name: &str) -> bool {
    let mut there = LOCKS.iter().filter(|(path, _)| scan.has(path)).peekable();
    there.peek().is_some() && there.all(|(_, known)| *known != name)
}

/// What `engines` or the scripts call; npm, which comes with Node.js, where nothing does.
fn mentioned(scan: &Scan<'_>, package: &Package) -> Fact<String> {
    let named = ["pnpm", "yarn", "bun"]
        .into_iter()
        .find(|name| package.engine(name).is_some());
    if let Some(name) = named {
        return Fact::new(
            name.to_owned(),
            80,
            scan.in_package(name, format!("engines asks for {name}")),
        );
    }
    let scripted = ["pnpm", "yarn", "bun"].into_iter().find(|name| {
        package.scripts.values().any(|script| {
            script
                .split([' ', '&', ';', '"'])
                .collect::<Vec<_>>()
                .windows(2)
                .any(|pair| {
                    // Either `run`, or another script by its name alone, which npm cannot.
                    pair[0] == *name && (pair[1] == "run" || package.script(pair[1]).is_some())
                })
        })
    });
    // npm knows neither (https://pnpm.io/workspaces#workspace-protocol-workspace, https://pnpm.io/catalogs).
    let mut ranges = package.dependencies.iter().chain(&package.dev_dependencies);
    let foreign = ranges.find(|(_, range)| {
        ["workspace:", "catalog:"]
            .iter()
            .any(|protocol| range.starts_with(protocol))
    });
    match (scripted, foreign) {
        (Some(name), _) => Fact::new(
            name.to_owned(),
            65,
            scan.in_package("scripts", format!("the scripts call {name}")),
        ),
        (None, Some((dep, range))) => Fact::new(
            "pnpm".to_owned(),
            60,
            scan.in_package(dep, format!("{range} is not for npm")),
        ),
        (None, None) => Fact::new(
            "npm".to_owned(),
            60,
            Evidence::file("package.json", "no lock file; npm comes with Node.js"),
        ),
    }
}

/// What the nearest folder above says: `packageManager`, else a lock file. A workspace keeps both in its root
/// (<https://docs.npmjs.com/cli/using-npm/workspaces>, <https://pnpm.io/workspaces>).
fn above(scan: &Scan<'_>) -> Option<Fact<String>> {
    let above = scan.above()?;
    scan.ancestors_of("").iter().find_map(|folder| {
        let manifest = format!("{folder}package.json");
        let named = above.package_at(&manifest).and_then(|package| {
            let name = name_of(package.package_manager.as_deref()?)?;
            let evidence = above.evidence(&manifest, "\"packageManager\"", "packageManager above");
            Some(Fact::new(name.to_owned(), 90, evidence))
        });
        named.or_else(|| {
            let listing = above.list(folder.trim_end_matches('/'));
            let (path, name) = LOCKS.iter().find_map(|(path, name)| {
                let mut files = listing.files.iter();
                let path = files.find(|known| known.strip_prefix(folder.as_str()) == Some(path))?;
                Some((path.clone(), name))
            })?;
            let why = format!("the lock file of {name} above");
            Some(Fact::new((*name).to_owned(), 88, Evidence::file(path, why)))
        })
    })
}

/// `pnpm` of `pnpm@9.1.0+sha…`.
fn name_of(package_manager: &str) -> Option<&'static str> {
    let name = package_manager.split('@').next()?;
    ["npm", "yarn", "pnpm", "bun"]
        .into_iter()
        .find(|known| *known == name)
}

/// Whether yarn is the modern one ("berry"): it has a `.yarnrc.yml`, or `packageManager` says 2 or later.
pub(crate) fn is_berry(scan: &Scan<'_>, package: &Package) -> bool {
    let major = package
        .package_manager
        .as_deref()
        .and_then(|text| text.strip_prefix("yarn@"))
        .and_then(crate::scan::node::major);
    major.map_or_else(
        || {
            scan.has(".yarnrc.yml")
                || scan
                    .head("yarn.lock")
                    .is_some_and(|head| head.contains("__metadata:"))
        },
        |major| major >= 2,
    )
}

/// The command that installs everything, dev dependencies included.
pub(crate) fn install(scan: &Scan<'_>, detection: &Detection) -> Option<Fact<String>> {
    let manager = detection.package_manager.as_ref()?;
    let package = scan.package()?;
    let locked = LOCKS
        .iter()
        .any(|(path, name)| *name == manager.value && scan.has(path));
    let command = match (manager.value.as_str(), locked) {
        ("pnpm", true) => "pnpm install --frozen-lockfile",
        ("pnpm", false) => "pnpm install",
        ("yarn", true) if is_berry(scan, &package) => "yarn install --immutable",
        ("yarn", true) => "yarn install --frozen-lockfile",
        ("yarn", false) => "yarn install",
        ("bun", true) => "bun install --frozen-lockfile",
        ("bun", false) => "bun install",
        (_, true) => "npm ci",
        (_, false) => "npm install",
    };
    Some(Fact {
        value: command.to_owned(),
        confidence: manager.confidence,
        evidence: manager.evidence.clone(),
    })
}

/// How the package manager runs a script.
pub(crate) fn run(manager: &str, script: &str) -> String {
    match (manager, script) {
        ("npm", "start" | "test") => format!("npm {script}"),
        ("yarn" | "pnpm", "start" | "build" | "test") => format!("{manager} {script}"),
        ("yarn", _) => format!("yarn {script}"),
        _ => format!("{manager} run {script}"),
    }
}

/// The major version of pnpm that writes the lock file's format (<https://github.com/pnpm/spec/tree/master/lockfile>).
pub(crate) fn pnpm_major(scan: &Scan<'_>) -> Option<&'static str> {
    let text = scan.head("pnpm-lock.yaml")?;
    let line = text
        .lines()
        .take(5)
        .find_map(|line| line.strip_prefix("lockfileVersion:"))?;
    let version = line.trim().trim_matches(['"', '\'']);
    Some(match version.split('.').next()? {
        "5" => "7",
        "6" => "8",
        _ => "10",
    })
}
