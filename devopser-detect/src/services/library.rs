//! What of a monorepo is no service: libraries, tools, and apps that run elsewhere.

use devopser_core::model::report::Detection;
use serde_json::Value;

use super::{MANIFESTS, MAX, jvm, members};
use crate::scan::Scan;
use crate::scan::node::Package;
use crate::stack::node;

/// Whether something in a folder may run, as far as its `package.json` tells: most members of a workspace are libraries,
/// which say so by naming neither a start, nor a framework, nor Bun, which starts a file that nothing names.
pub(super) fn may_run(scan: &Scan<'_>) -> bool {
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
        || node::frameworks::choose(scan, &package).is_some()
}

/// Whether a detection is something that runs or is served, not a library.
pub(super) fn is_app(detection: &Detection) -> bool {
    let is_static = detection.is_static.as_ref().is_some_and(|fact| fact.value);
    let is_built = detection.framework.is_some() || detection.output_dir.is_some();
    let served = is_static && (is_built || detection.detector != "node");
    let started = detection.start_command.is_some() && !is_static;
    (served || started) && detection.confidence >= 40
}

/// Whether it is a library or a desktop app: a package that only has a `main`; a bundler without a page, which
/// builds a library (<https://vite.dev/guide/build#library-mode>); a shell of Tauri or Electron; an app of phones.
pub(super) fn is_library(top: &Scan<'_>, scan: &Scan<'_>, detection: &Detection) -> bool {
    if detection.detector == "java" {
        return !jvm::makes_program(top, scan.folder());
    }
    // A member of a Cargo workspace that serves nothing is a tool of the others.
    if detection.detector == "rust" && scan.above().is_some_and(|above| above.has("Cargo.toml")) {
        return detection.framework.is_none();
    }
    let of_node = ["node", "bun"].contains(&detection.detector.as_str());
    let package = scan.package().filter(|_| of_node);
    package.is_some_and(|package| is_package_of_others(scan, &package, detection))
}

/// The same of a package of Node.js.
fn is_package_of_others(scan: &Scan<'_>, package: &Package, detection: &Detection) -> bool {
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
    if is_terminal(package) && detection.framework.is_none() {
        return true;
    }
    let only_main = detection.framework.is_none()
        && package.script("start").is_none()
        && !is_reloaded(package)
        && !scan.has("Procfile");
    is_bundle(scan, package, detection)
        || is_plugin(scan, package)
        || is_elsewhere(scan, package)
        || (only_main && detection.detector == "node")
        || detection.framework.is_none() && is_of_others(scan, package)
}

/// Whether its framework is one that whoever installs it brings along
/// (<https://docs.npmjs.com/cli/configuring-npm/package-json#peerdependencies>).
fn is_plugin(scan: &Scan<'_>, package: &Package) -> bool {
    let row = node::frameworks::choose(scan, package).map(|(row, _)| row);
    let peers = package.value.get("peerDependencies");
    row.zip(peers)
        .is_some_and(|(row, peers)| row.deps.iter().any(|dep| peers.get(dep).is_some()))
}

/// Whether another member of the workspace depends on it.
fn is_of_others(scan: &Scan<'_>, package: &Package) -> bool {
    let name = package.value.get("name").and_then(Value::as_str);
    let (Some(name), Some(top)) = (name, scan.above()) else {
        return false;
    };
    let members = members(top, "package.json").into_iter().take(MAX);
    let mut manifests = members.filter_map(|folder| top.json(&format!("{folder}/package.json")));
    manifests.any(|manifest| {
        ["dependencies", "devDependencies"]
            .iter()
            .any(|kind| manifest.get(kind).is_some_and(|on| on.get(name).is_some()))
    })
}

/// Whether a bundler builds it for other packages (<https://vite.dev/guide/build#library-mode>): it has no page, or says
/// what others import (<https://nodejs.org/api/packages.html#package-entry-points>).
fn is_bundle(scan: &Scan<'_>, package: &Package, detection: &Detection) -> bool {
    let framework = detection.framework.as_ref();
    let bundled = framework.is_some_and(|fact| node::frameworks::is_bundler(&fact.value));
    let pages = ["index.html", "src/index.html", "public/index.html"];
    let told = ["exports", "module", "types"];
    bundled
        && (scan.first(&pages).is_none() || told.iter().any(|key| package.value.get(key).is_some()))
}

/// Whether it runs on a desk or a phone (<https://reactnative.dev/docs/environment-setup>).
fn is_elsewhere(scan: &Scan<'_>, package: &Package) -> bool {
    let start = package.script("start").unwrap_or_default();
    let phone = package.has("react-native")
        && ["expo ", "react-native "]
            .iter()
            .any(|of| start.starts_with(of));
    phone
        || scan.has_folder("src-tauri")
        || package.has("electron")
        || package.has("@tauri-apps/cli")
}

/// Whether a script, however it is called, runs it and begins again when a file changes.
fn is_reloaded(package: &Package) -> bool {
    let mut scripts = package.scripts.values();
    scripts.any(|script| node::commands::is_development(script, None))
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
pub(super) fn is_load_test(scan: &Scan<'_>) -> bool {
    let python = scan.python();
    let node = scan.package();
    python.has("locust")
        || python.has("locustio")
        || node.is_some_and(|package| package.has("artillery") || package.has("autocannon"))
}
