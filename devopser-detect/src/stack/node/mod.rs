//! Node.js: `package.json` and what stands beside it.

pub(crate) mod adapter;
pub(crate) mod base;
pub(crate) mod commands;
pub(crate) mod frameworks;
pub(crate) mod manager;
pub(crate) mod outcome;
pub(crate) mod prisma;
mod system;
mod workspace;

use devopser_core::model::report::{Detection, Evidence, Fact};

use super::{Stack, databases, fact, found, port, version};
use crate::rank::{Found, Strength};
use crate::scan::node::Package;
use crate::scan::settings::Settings;
use crate::scan::{Scan, versions};
use base::Base;
use frameworks::Framework;
use outcome::Outcome;

/// The Node.js detector.
#[derive(Debug)]
pub(crate) struct Node;

const VERSION_FILES: &[&str] = &[".nvmrc", ".node-version"];

impl Stack for Node {
    fn id(&self) -> &'static str {
        "node"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "package.json",
            "package-lock.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "pnpm-workspace.yaml",
            "bun.lock",
            ".nvmrc",
            ".node-version",
            ".tool-versions",
            "mise.toml",
            "Procfile",
            "angular.json",
            "next.config.js",
            "next.config.mjs",
            "next.config.ts",
            "astro.config.mjs",
            "astro.config.ts",
            "nuxt.config.ts",
            "svelte.config.js",
            "vite.config.js",
            "vite.config.ts",
            "react-router.config.ts",
            "schema.prisma",
            ".env.example",
            ".env.sample",
            "nest-cli.json",
            ".yarnrc.yml",
            "server.js",
            "index.js",
            "app.js",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        let all = frameworks::FRAMEWORKS.iter().chain(frameworks::SERVERS);
        all.map(|framework| framework.id).collect()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        match scan.package() {
            Some(package) => with_package(scan, &package),
            None => without_package(scan),
        }
    }
}

fn with_package(scan: &Scan<'_>, package: &Package) -> Option<Found> {
    let evidence = Evidence::file("package.json", "the manifest of Node.js packages");
    let mut detection = super::detection("node", "node", evidence);
    detection.package_manager = Some(manager::choose(scan, package));
    detection.version = pinned(scan, package);
    detection.install_command = manager::install(scan, &detection);
    let framework = frameworks::choose(scan, package);
    if let Some((row, evidence)) = &framework {
        detection.framework = fact(row.id, 90, evidence.clone());
    }
    let row = framework.as_ref().map(|(row, _)| *row);
    let outcome = outcome::of(scan, package, row);
    let is_static = matches!(outcome, outcome::Outcome::Static { .. });
    detection.build_command = commands::build(scan, package, row, &detection, is_static);
    let mut strength = serve(scan, package, row, outcome, &mut detection);
    detection.databases = Some(databases::of_node(scan, package));
    // A bundler at the root builds for the members; the one that is started is the app.
    let is_tool = row.is_some_and(|row| frameworks::is_bundler(row.id))
        && workspace::started(scan, package).is_some();
    if (row.is_none() || is_tool)
        && let Some(of_member) = workspace::adopt(scan, package, &mut detection)
    {
        strength = of_member;
        member_start(scan, &mut detection);
    }
    hints(scan, package, row, &mut detection);
    found(detection, strength)
}

/// The start of a member, where the root's own scripts start nothing.
fn member_start(scan: &Scan<'_>, into: &mut Detection) {
    let is_static = into.is_static.as_ref().is_some_and(|fact| fact.value);
    let manager = into.package_manager.as_ref();
    if let (None, false, Some(manager), Some(folder)) = (
        &into.start_command,
        is_static,
        manager,
        into.hints.get("member"),
    ) {
        into.start_command = workspace::start(scan, &manager.value, folder);
    }
}

/// Fills in what depends on whether files or a server come out.
fn serve(
    scan: &Scan<'_>,
    package: &Package,
    row: Option<&Framework>,
    outcome: Outcome,
    into: &mut Detection,
) -> Strength {
    match outcome {
        Outcome::Static { output, evidence } => {
            into.is_static = Some(Fact::new(true, 90, evidence.clone()));
            into.output_dir = fact(output, 80, evidence);
            base_of(scan, package, row, into);
            if row.is_some() {
                Strength::Site
            } else {
                Strength::Trace
            }
        }
        Outcome::Server { evidence } => {
            into.start_command = commands::start(scan, package, row, into);
            into.is_static = Some(Fact::new(false, 85, evidence));
            into.port = Some(port::of_node(
                scan,
                package,
                row,
                into.start_command.is_some(),
            ));
            let server = row.is_some_and(|row| row.port.is_some());
            match (&into.start_command, server) {
                (Some(_), true) => Strength::Framework,
                (Some(_), false) => Strength::Manifest,
                (None, true) => Strength::Manifest,
                (None, false) => Strength::Trace,
            }
        }
    }
}

/// Where the built pages expect their own files, when that is not the root.
fn base_of(scan: &Scan<'_>, package: &Package, row: Option<&Framework>, into: &mut Detection) {
    match row.and_then(|row| base::of(scan, package, row.id)) {
        Some(Base::Path(path)) => {
            into.hints.insert("base".to_owned(), path);
        }
        Some(Base::Elsewhere { address, setting }) => scan.warn(format!(
            "the built pages load their scripts and styles from {address} ({setting}), not from where they are deployed; set it to / to deploy them here"
        )),
        None => {}
    }
}

fn pinned(scan: &Scan<'_>, package: &Package) -> Option<Fact<String>> {
    let volta = package
        .value
        .pointer("/volta/node")
        .and_then(serde_json::Value::as_str);
    let dev = package
        .value
        .pointer("/devEngines/runtime/version")
        .and_then(serde_json::Value::as_str);
    let from = |value: Option<&str>, key: &str| {
        value.map(|value| {
            (
                value.to_owned(),
                scan.in_package(key, format!("{key} in package.json")),
            )
        })
    };
    version(
        "node",
        [
            versions::pinned(scan, VERSION_FILES, &["nodejs", "node"]),
            from(volta, "volta"),
            from(package.engine("node"), "engines"),
            from(dev, "devEngines"),
            above_engine(scan),
        ],
    )
    .or_else(|| super::built_with(scan, "node", "node-version"))
}

/// `engines.node` of the repository's root, for a service's folder.
fn above_engine(scan: &Scan<'_>) -> Option<(String, Evidence)> {
    let above = scan.above()?;
    let package = above.package()?;
    let range = package.engine("node")?.to_owned();
    Some((
        range,
        above.in_package("engines", "engines in the root's package.json"),
    ))
}

/// Source files without a manifest: `server.js` that `node` can run.
fn without_package(scan: &Scan<'_>) -> Option<Found> {
    let path = scan.first(&[
        "server.js",
        "index.js",
        "app.js",
        "main.js",
        "server.mjs",
        "index.mjs",
        "main.mjs",
        "server.ts",
        "index.ts",
    ])?;
    let text = scan.text(path)?;
    let sign = [
        "createServer(",
        "require('http')",
        "require(\"http\")",
        "node:http",
        "process.env",
    ]
    .into_iter()
    .find(|sign| text.contains(sign))?;
    let mut detection = super::detection(
        "node",
        "node",
        scan.evidence(path, sign, "a server without a package.json"),
    );
    detection.version = version(
        "node",
        [versions::pinned(scan, VERSION_FILES, &["nodejs", "node"])],
    );
    detection.start_command = fact(
        format!("node {path}"),
        70,
        Evidence::file(path, "the entry file"),
    );
    detection.is_static = Some(Fact::new(false, 80, scan.evidence(path, sign, "a server")));
    detection.port = Some(
        port::in_sources(scan, &[path]).unwrap_or_else(|| port::guess(3000, "Node.js servers")),
    );
    detection.databases = Some(databases::none());
    found(detection, Strength::Source)
}

/// What an installation needs: files, folders and packages of the system, and what it may leave out.
fn installation(scan: &Scan<'_>, package: &Package, into: &mut Detection) {
    let files = manager::FILES.iter().copied().filter(|path| scan.has(path));
    // https://yarnpkg.com/getting-started/qa#which-files-should-be-gitignored
    let folders = [".yarn/releases", ".yarn/plugins"].into_iter();
    let folders = folders.filter(|folder| scan.has_folder(folder));
    let above = scan.above().and_then(Scan::package);
    for (hint, found) in [
        ("files", files.collect::<Vec<_>>()),
        ("folders", folders.collect()),
        ("skips", system::skips(package, above.as_deref())),
        ("browser", system::browser(package)),
        ("system", system::packages(package, above.as_deref())),
    ] {
        if !found.is_empty() || hint == "files" {
            into.hints.insert(hint.to_owned(), found.join(" "));
        }
    }
}

/// What generation needs beyond the facts.
fn hints(scan: &Scan<'_>, package: &Package, row: Option<&Framework>, into: &mut Detection) {
    installation(scan, package, into);
    let workspaces = !package.workspaces().is_empty() || scan.has("pnpm-workspace.yaml");
    for (name, wanted) in [
        (
            "install-needs-source",
            workspaces || reads_sources(scan, package),
        ),
        ("workspaces", workspaces),
        ("module", package.is_module),
    ] {
        if wanted {
            into.hints.insert(name.to_owned(), "true".to_owned());
        }
    }
    if prisma::is_used(package) {
        let schema = prisma::schemas(scan, package).into_iter().next();
        let schema = schema.unwrap_or_else(|| "prisma/schema.prisma".to_owned());
        into.hints.insert("prisma".to_owned(), schema);
    }
    old_hashes(package, into);
    if let Some(row) = row {
        adapter::built_for_a_server(scan, row.id, into);
    }
    if row.is_some_and(|row| row.id == "next") && next_is_standalone(scan) {
        into.hints
            .insert("standalone".to_owned(), "true".to_owned());
    }
    let start = into.hints.get("start");
    let start = start.or(into.start_command.as_ref().map(|fact| &fact.value));
    if start.is_some_and(|start| commands::needs_dev(scan, package, start)) {
        into.hints.insert("keep-dev".to_owned(), "true".to_owned());
    }
    if let Some(version) = manager::pnpm_major(scan) {
        into.hints.insert("pnpm".to_owned(), version.to_owned());
    }
    if let Some(manager) = &package.package_manager {
        into.hints
            .insert("packageManager".to_owned(), manager.clone());
    }
    for (key, value) in row.map(|row| row.run_env).unwrap_or_default() {
        into.run_env.insert((*key).to_owned(), (*value).to_owned());
    }
}

/// Whether an installation reads more of the repository than its manifests: hooks that it runs, packages that lie in it, and
/// patches (<https://pnpm.io/cli/patch>, <https://bun.com/docs/pm/cli/patch>, <https://yarnpkg.com/cli/patch>).
fn reads_sources(scan: &Scan<'_>, package: &Package) -> bool {
    let mut hooks = ["preinstall", "install", "postinstall", "prepare"].iter();
    let mut ranges = package
        .dependencies
        .values()
        .chain(package.dev_dependencies.values());
    let protocols = ["file:", "link:", "portal:", "patch:", "workspace:"];
    let mut patched = ["/pnpm/patchedDependencies", "/patchedDependencies"].iter();
    hooks.any(|hook| package.script(hook).is_some())
        || ranges.any(|range| protocols.iter().any(|start| range.starts_with(start)))
        || patched.any(|pointer| package.value.pointer(pointer).is_some())
        || scan.has_folder(".yarn/patches")
}

/// Lets webpack 4 hash as it does on a Node.js that keeps that for those who ask.
fn old_hashes(package: &Package, into: &mut Detection) {
    if wants_old_hashes(package) && runs_openssl_3(into) {
        let option = "--openssl-legacy-provider".to_owned();
        into.build_env.insert("NODE_OPTIONS".to_owned(), option);
    }
}

/// Whether the build is made by webpack 4, which hashes with MD4 (<https://github.com/webpack/webpack/issues/14532>).
fn wants_old_hashes(package: &Package) -> bool {
    const SINCE: &[(&str, u32)] = &[
        ("webpack", 5),
        ("react-scripts", 5),
        ("@vue/cli-service", 5),
        ("vuepress", 2),
        ("nuxt", 3),
        ("@angular-devkit/build-angular", 12),
        ("gatsby", 3),
    ];
    SINCE.iter().any(|(name, since)| {
        package
            .any(name)
            .and_then(crate::scan::node::major)
            .is_some_and(|major| major < *since)
    })
}

/// OpenSSL 3, in Node.js since 17, keeps MD4 for those who ask for it
/// (<https://nodejs.org/en/blog/release/v17.0.0#openssl-3-0>).
fn runs_openssl_3(stack: &Detection) -> bool {
    let version = stack.version.as_ref().map_or_else(
        || crate::version::default_line("node"),
        |fact| fact.value.as_str(),
    );
    crate::scan::node::major(version).is_some_and(|major| major >= 17)
}

/// <https://nextjs.org/docs/app/api-reference/config/next-config-js/output#automatically-copying-traced-files>
fn next_is_standalone(scan: &Scan<'_>) -> bool {
    Settings::of(scan, "next.config")
        .is_some_and(|settings| settings.says("output", "standalone", "").is_some())
}
