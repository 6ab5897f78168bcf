//! The folder that the build of a service reads: its own, or one above, where it is a member of a workspace there or
//! refers to what lies beside it.
//!
//! Two hints say so: `context`, the folder that the build reads, counted from the top of the source, and `folder`, the
//! service's own folder inside it.

mod node;
#[cfg(test)]
mod tests;

use devopser_core::model::report::{Detection, Evidence};
use serde_json::Value;

use super::java::program_in;
use crate::scan::java::Pom;
use crate::scan::{Scan, is_plain};

/// What lies above, and why it is needed.
struct Above {
    /// With a trailing `/`; empty for the top of the source.
    prefix: String,
    evidence: Evidence,
}

/// Fills in where the build of a service reads from.
pub(crate) fn settle(scan: &Scan<'_>, detection: &mut Detection) {
    let Some(top) = scan.above() else { return };
    let found = match detection.detector.as_str() {
        "node" | "bun" => node::workspace(scan, top),
        "rust" => cargo(scan, top),
        "java" => maven(scan, top).or_else(|| gradle(scan, top)),
        "go" => go(scan, top),
        "dotnet" => dotnet(scan, top, detection),
        _ => None,
    };
    let Some(above) = found else { return };
    let context = above.prefix.trim_end_matches('/');
    let context = if context.is_empty() { "." } else { context };
    let folder = inside(scan, &above.prefix).to_owned();
    if !is_plain(&folder) {
        return;
    }
    let hints = &mut detection.hints;
    hints.insert("context".to_owned(), context.to_owned());
    hints.insert("folder".to_owned(), folder.clone());
    // Its manifests alone install nothing: what it refers to has to be there.
    hints.insert("install-needs-source".to_owned(), "true".to_owned());
    match detection.detector.as_str() {
        "node" | "bun" => node::install(top, &above.prefix, detection),
        "java" => from_above(top, &above.prefix, &folder, detection),
        _ => {}
    }
    if let Some(install) = &mut detection.install_command {
        install.evidence.push(above.evidence);
    }
}

/// Fills in what only the build of this one service needs to know of the others.
pub(crate) fn complete(scan: &Scan<'_>, detection: &mut Detection) {
    let is_node = matches!(detection.detector.as_str(), "node" | "bun");
    if let (true, Some(top)) = (is_node, scan.above()) {
        node::complete(scan, top, detection);
    }
}

/// The service's folder as seen from a folder above it.
fn inside<'s>(scan: &'s Scan<'_>, prefix: &str) -> &'s str {
    scan.folder().strip_prefix(prefix).unwrap_or_default()
}

/// A Cargo workspace (<https://doc.rust-lang.org/cargo/reference/workspaces.html>): Cargo finds it by looking upwards.
fn cargo(scan: &Scan<'_>, top: &Scan<'_>) -> Option<Above> {
    scan.ancestors_of("").into_iter().find_map(|prefix| {
        let path = format!("{prefix}Cargo.toml");
        let manifest = top.has(&path).then(|| top.toml(&path)).flatten()?;
        let workspace = manifest.get("workspace")?;
        let folder = inside(scan, &prefix);
        let globs = |name: &str| texts(workspace.get(name));
        let listed = globs("members").iter().any(|glob| fits(glob, folder));
        let left_out = globs("exclude").iter().any(|glob| fits(glob, folder));
        (listed && !left_out).then(|| Above {
            evidence: top.evidence(&path, "[workspace]", "the workspace that it belongs to"),
            prefix,
        })
    })
}

/// A build with modules (<https://maven.apache.org/guides/mini/guide-multiple-modules.html>).
fn maven(scan: &Scan<'_>, top: &Scan<'_>) -> Option<Above> {
    if !scan.has("pom.xml") {
        return None;
    }
    scan.ancestors_of("").into_iter().rev().find_map(|prefix| {
        let path = format!("{prefix}pom.xml");
        let pom = top.has(&path).then(|| Pom::read(top, &path)).flatten()?;
        let folder = inside(scan, &prefix);
        let first = folder.split('/').next().unwrap_or_default();
        let is_listed = pom.modules.iter().any(|module| {
            let module = module.trim_start_matches("./").trim_matches('/');
            module == folder || module == first
        });
        is_listed.then(|| Above {
            evidence: top.evidence(&path, "<modules>", "the build that it is a module of"),
            prefix,
        })
    })
}

/// A build with projects (<https://docs.gradle.org/current/userguide/multi_project_builds.html>).
fn gradle(scan: &Scan<'_>, top: &Scan<'_>) -> Option<Above> {
    if scan.has("settings.gradle") || scan.has("settings.gradle.kts") {
        return None;
    }
    scan.ancestors_of("").into_iter().find_map(|prefix| {
        let path = ["settings.gradle.kts", "settings.gradle"]
            .iter()
            .map(|name| format!("{prefix}{name}"))
            .find(|path| top.has(path))?;
        let project = inside(scan, &prefix).replace('/', ":");
        let text = top.text(&path)?;
        let is_listed = text
            .split(['"', '\''])
            .any(|word| word.trim_start_matches(':') == project);
        is_listed.then(|| Above {
            evidence: top.evidence(&path, &project, "the build that it is a project of"),
            prefix,
        })
    })
}

/// `go.work`, which Go finds by looking upwards (<https://go.dev/ref/mod#workspaces>), or a module that is replaced by a
/// folder beside this one.
fn go(scan: &Scan<'_>, top: &Scan<'_>) -> Option<Above> {
    let work = scan
        .ancestors_of("")
        .into_iter()
        .find(|prefix| top.has(&format!("{prefix}go.work")));
    if let Some(prefix) = work {
        let path = format!("{prefix}go.work");
        let folder = inside(scan, &prefix);
        let listed = top.text(&path)?.lines().any(|line| {
            line.split_whitespace()
                .any(|word| word.trim_start_matches("./").trim_end_matches('/') == folder)
        });
        if listed {
            return Some(Above {
                evidence: Evidence::file(path, "the workspace that it belongs to"),
                prefix,
            });
        }
    }
    if !scan.has("go.mod") {
        // Go finds the module's file by looking upwards (https://go.dev/ref/mod#main-module).
        let prefix = scan
            .ancestors_of("")
            .into_iter()
            .find(|prefix| top.has(&format!("{prefix}go.mod")))?;
        let why = "the module that it is a command of";
        return Some(Above {
            evidence: Evidence::file(format!("{prefix}go.mod"), why),
            prefix,
        });
    }
    let text = scan.text("go.mod")?;
    let replaced = text.lines().filter_map(|line| line.split_once("=>"));
    let levels = replaced.map(|(_, to)| levels_up(to.trim())).max()?;
    beside(
        scan,
        levels,
        scan.evidence("go.mod", "../", "a module beside it is used"),
    )
}

/// References to projects beside this one
/// (<https://learn.microsoft.com/visualstudio/msbuild/common-msbuild-project-items#projectreference>), or settings above
/// that MSBuild finds by looking upwards.
fn dotnet(scan: &Scan<'_>, top: &Scan<'_>, detection: &Detection) -> Option<Above> {
    const SETTINGS: &[&str] = &["Directory.Packages.props", "Directory.Build.props"];
    let project = detection.hints.get("project")?;
    let text = scan.text(project)?;
    let deep = project.matches('/').count();
    let references = text.split("ProjectReference").skip(1).filter_map(|rest| {
        let path = rest.split_once("Include=\"")?.1.split('"').next()?;
        Some(levels_up(&path.replace('\\', "/")))
    });
    let referred = references.max().unwrap_or(0).saturating_sub(deep);
    let found = beside(
        scan,
        referred,
        scan.evidence(
            project,
            "ProjectReference",
            "a project beside it is referred to",
        ),
    );
    let set = scan.ancestors_of("").into_iter().rev().find_map(|prefix| {
        let path = SETTINGS
            .iter()
            .map(|name| format!("{prefix}{name}"))
            .find(|path| top.has(path))?;
        Some(Above {
            evidence: Evidence::file(path, "settings of every project below it"),
            prefix,
        })
    });
    match (found, set) {
        (Some(found), Some(set)) if found.prefix.len() <= set.prefix.len() => Some(found),
        (found, set) => set.or(found),
    }
}

/// The folder so many levels above the service.
fn beside(scan: &Scan<'_>, levels: usize, evidence: Evidence) -> Option<Above> {
    let prefix = scan
        .ancestors_of("")
        .into_iter()
        .nth(levels.checked_sub(1)?)?;
    Some(Above { prefix, evidence })
}

/// How many `..` a path begins with.
fn levels_up(path: &str) -> usize {
    path.trim_start_matches("./")
        .split('/')
        .take_while(|part| *part == "..")
        .count()
}

/// The commands of Maven and Gradle, given in the folder above.
fn from_above(top: &Scan<'_>, prefix: &str, folder: &str, into: &mut Detection) {
    let is_maven = into
        .package_manager
        .as_ref()
        .is_some_and(|fact| fact.value == "maven");
    let (wrapper, program) = if is_maven {
        ("mvnw", "mvn")
    } else {
        ("gradlew", "gradle")
    };
    let program = program_in(top, prefix, wrapper, program);
    if let Some(build) = &mut into.build_command {
        let rest = build.value.split_once(' ').map_or("", |(_, rest)| rest);
        build.value = if is_maven && rest.contains(" -pl ") {
            let rest = rest.replace(" -pl ", &format!(" -pl {folder}/"));
            format!("{program} {rest}")
        } else if is_maven {
            format!("{program} {rest} -pl {folder} -am")
        } else {
            format!("{program} -p {folder} {rest}")
        };
    }
    for name in ["jar", "libraries"] {
        if let Some(path) = into.hints.get_mut(name) {
            *path = format!("{folder}/{path}");
        }
    }
}

/// The texts of a list.
fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether a glob of a workspace names a folder.
fn fits(glob: &str, folder: &str) -> bool {
    let glob = glob.trim_start_matches("./").trim_end_matches('/');
    let glob: Vec<&str> = glob.split('/').collect();
    crate::services::fits(&glob, &folder.split('/').collect::<Vec<_>>())
}
