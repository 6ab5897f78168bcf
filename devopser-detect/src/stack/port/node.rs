//! The port of a Node.js server.

use devopser_core::model::report::Fact;

use super::{default, guess, in_command, in_env_example, in_settings, nearest};
use crate::scan::node::Package;
use crate::scan::{Scan, base_name, code, join, procfile};
use crate::stack::node::commands;
use crate::stack::node::frameworks::Framework;

/// Servers that listen where the program tells them, and nowhere by themselves.
const TOLD: &[&str] = &[
    "express", "koa", "fastify", "hapi", "restify", "polka", "elysia", "feathers", "nest",
];

/// Names of the files in which settings have their defaults, however deep they lie.
const SETTINGS: &[&str] = &[
    "Settings.ts",
    "app.config.ts",
    "appConfig.js",
    "appConfig.ts",
    "config.js",
    "config.ts",
    "env.js",
    "env.ts",
    "envConfig.ts",
    "serverConfig.ts",
    "settings.ts",
];

/// Names of the files in which servers listen.
fn is_usual(path: &str) -> bool {
    ["server.", "index.", "app.", "main.", "www", "config."]
        .iter()
        .any(|stem| base_name(path).starts_with(stem))
}

/// The port of a Node.js server.
///
/// The sources of a workspace's member are only looked into where something starts them: a library listens nowhere.
pub(crate) fn of_node(
    scan: &Scan<'_>,
    package: &Package,
    row: Option<&Framework>,
    starts: bool,
) -> Fact<u16> {
    if let Some(web) = procfile::process(scan, "web")
        && let Some(port) = in_command(&web.value)
    {
        return Fact {
            value: port,
            confidence: 90,
            evidence: web.evidence,
        };
    }
    if let Some((name, script)) = commands::start_script(package, row)
        && let Some(port) = in_command(script)
    {
        let why = format!("the {name} script names it");
        return Fact::new(port, 90, scan.in_package(name, why));
    }
    if let Some(fact) = in_env_example(scan) {
        return fact;
    }
    // It starts what a file exports, and listens itself (https://github.com/fastify/fastify-cli#options).
    let starts_export = |script: &str| script.starts_with("fastify start");
    if package.called("start").is_some_and(starts_export) {
        return default(3000, "fastify-cli");
    }
    let own = commands::runs_own_program(scan, package);
    let settled = row.is_some_and(|row| row.start.is_some() && row.id != "nest") && !own;
    // The root of a workspace that starts nothing listens nowhere.
    let is_workspace = !package.workspaces().is_empty() || scan.has("pnpm-workspace.yaml");
    if !settled && (starts || scan.above().is_none() && !is_workspace) {
        let endings = [".js", ".ts", ".mjs", ".cjs", ".mts", "bin/www"];
        // A folder with a package of its own is another program, what is served to browsers is none, and the settings of a
        // bundler are for its development server.
        let is_of_it = |path: &&str| {
            let is_bundler =
                !path.contains('/') || path.contains("vite.") || path.contains("webpack.");
            if is_bundler && base_name(path).contains(".config.") {
                return false;
            }
            let own = |(at, _): (usize, &str)| scan.has(&join(&path[..at], "package.json"));
            !path.match_indices('/').any(own)
                && (is_usual(path) || !path.contains("public/") && !path.contains("static/"))
        };
        let files = code::each(scan, &endings, 2).filter(is_of_it);
        let settings = || in_settings(scan, SETTINGS, 4);
        if let Some(fact) = nearest(scan, files, is_usual).or_else(settings) {
            return fact;
        }
    }
    match row.and_then(|row| Some((row.port?, row.id))) {
        Some((port, id)) if !TOLD.contains(&id) => default(port, id),
        Some((port, id)) => guess(port, id),
        None => guess(3000, "Node.js servers"),
    }
}
