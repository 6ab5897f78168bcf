//! A report in words, for people.

use std::fmt::Write;

use devopser_core::model::report::{Detection, Evidence, Fact, Report};

use crate::rank::RANKING;
use crate::stack::Stack;

/// The report in words: what was found, what proves it, and why other stacks were not chosen.
#[must_use]
pub fn explain(report: &Report) -> String {
    let mut out = String::new();
    match (&report.stack, &report.dockerfile) {
        (Some(stack), own) => {
            // What is built comes first; what the repository is stands beside it.
            let own = own
                .as_ref()
                .map(|path| format!("{path} of the repository, for "));
            let _ = writeln!(
                out,
                "{}{}  ({} % sure)",
                own.unwrap_or_default(),
                headline(stack),
                stack.confidence
            );
            chosen(&mut out, stack, report);
        }
        (None, Some(path)) => {
            let _ = writeln!(out, "{path} of the repository");
        }
        (None, None) if !report.services.is_empty() => {
            out.push_str("Nothing starts from the root; these do from their own folders:\n");
        }
        (None, None) => out.push_str("Nothing was recognised.\n"),
    }
    if let Some(path) = &report.dockerfile {
        let _ = writeln!(out, "{:<16}{path}; it is used as it is", "Dockerfile");
    }
    if let Some(path) = &report.compose {
        let _ = writeln!(out, "{:<16}{path}", "compose file");
    }
    for service in &report.services {
        let runtime = service.detection.as_ref().map(headline).unwrap_or_default();
        let _ = writeln!(out, "{:<16}{}  {runtime}", "service", service.root);
    }
    if !report.runners_up.is_empty() {
        out.push_str("\nNot chosen:\n");
        for other in &report.runners_up {
            let _ = writeln!(
                out,
                "  {:<14}{}",
                other.detector,
                other.why_not.as_deref().unwrap_or("weaker")
            );
        }
    }
    for finding in &report.findings {
        let _ = writeln!(out, "refused: {finding}");
    }
    for warning in &report.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

fn headline(stack: &Detection) -> String {
    let text = |fact: &Option<Fact<String>>| fact.as_ref().map(|fact| fact.value.clone());
    let mut parts: Vec<String> = text(&stack.framework).into_iter().collect();
    let runtime = text(&stack.runtime).unwrap_or_else(|| stack.detector.clone());
    parts.push(
        text(&stack.version).map_or(runtime.clone(), |version| format!("{runtime} {version}")),
    );
    parts.extend(text(&stack.package_manager));
    parts.join(" · ")
}

fn chosen(out: &mut String, stack: &Detection, report: &Report) {
    row(out, "runtime", stack.runtime.as_ref(), Clone::clone);
    row(out, "version", stack.version.as_ref(), Clone::clone);
    row(out, "framework", stack.framework.as_ref(), Clone::clone);
    row(
        out,
        "packages",
        stack.package_manager.as_ref(),
        Clone::clone,
    );
    row(out, "install", stack.install_command.as_ref(), Clone::clone);
    row(out, "build", stack.build_command.as_ref(), Clone::clone);
    pages(out, stack);
    let path = report.dockerfile.as_deref().unwrap_or_default();
    match &report.dockerfile_start {
        Some(start) => said(out, "start", start, path),
        None => row(out, "start", stack.start_command.as_ref(), Clone::clone),
    }
    let first = stack.release_command.as_ref();
    let first = first.filter(|_| report.dockerfile.is_none());
    row(out, "before start", first, Clone::clone);
    let sure = stack
        .port
        .as_ref()
        .is_some_and(|fact| fact.confidence > crate::summary::GUESS);
    let name = if sure { "port" } else { "port (assumed)" };
    match report.dockerfile_port {
        Some(port) => said(out, "port", &port.to_string(), path),
        None => row(out, name, stack.port.as_ref(), ToString::to_string),
    }
    row(out, "health", stack.health_path.as_ref(), Clone::clone);
    row(out, "data", stack.data_folders.as_ref(), |folders| {
        folders.join(", ")
    });
    row(out, "kind", stack.is_static.as_ref(), |value| {
        (if *value { "static site" } else { "server" }).to_owned()
    });
    row(
        out,
        "output",
        stack
            .output_dir
            .as_ref()
            .filter(|_| stack.is_static.as_ref().is_some_and(|fact| fact.value)),
        Clone::clone,
    );
    let is_guess = stack
        .databases
        .as_ref()
        .is_some_and(|fact| fact.confidence <= crate::summary::GUESS);
    row(out, "databases", stack.databases.as_ref(), |databases| {
        let names: Vec<&str> = databases.iter().map(|database| database.name()).collect();
        match (names.is_empty(), is_guess) {
            (true, _) => "none".to_owned(),
            (false, true) => format!("not sure: {}", names.join(" or ")),
            (false, false) => names.join(", "),
        }
    });
}

/// What a front end builds for the program.
fn pages(out: &mut String, stack: &Detection) {
    let Some(pages) = stack
        .pages
        .as_ref()
        .filter(|pages| !pages.outputs.is_empty())
    else {
        return;
    };
    let build = pages.detection.build_command.as_ref();
    let build = build.map_or("its build", |fact| &fact.value);
    let folder = if pages.folder.is_empty() {
        "."
    } else {
        &pages.folder
    };
    let why: Vec<String> = pages.evidence.iter().take(3).map(place).collect();
    let shown = format!("{build} in {folder}");
    let _ = writeln!(out, "{:<16}{shown:<32} {}", "pages", why.join("; "));
}

/// What the repository's own Dockerfile says.
fn said(out: &mut String, name: &str, value: &str, path: &str) {
    let _ = writeln!(out, "{name:<16}{value:<32} {path} says it");
}

fn row<T>(out: &mut String, name: &str, fact: Option<&Fact<T>>, show: impl Fn(&T) -> String) {
    let Some(fact) = fact else { return };
    let why: Vec<String> = fact.evidence.iter().take(3).map(place).collect();
    let _ = writeln!(
        out,
        "{name:<16}{:<32} {}",
        show(&fact.value),
        why.join("; ")
    );
}

fn place(evidence: &Evidence) -> String {
    match (evidence.path.as_str(), evidence.line) {
        ("", _) => evidence.why.clone(),
        (path, Some(line)) => format!("{path}:{line} {}", evidence.why),
        (path, None) => format!("{path} {}", evidence.why),
    }
}

/// See [`crate::stacks_table`].
pub(crate) fn stacks_table(stacks: &[&dyn Stack]) -> String {
    let mut out = String::from(
        "| stack | frameworks | files | trace | source | manifest | site | framework | entry |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for (id, row) in RANKING {
        let Some(stack) = stacks.iter().find(|stack| stack.id() == *id) else {
            continue;
        };
        let mut frameworks = stack.frameworks();
        frameworks.sort_unstable();
        frameworks.dedup();
        let files = stack.reads().iter().map(|name| format!("`{name}`"));
        let sure = row.iter().map(u8::to_string).collect::<Vec<_>>();
        let _ = writeln!(
            out,
            "| {id} | {} | {} | {} |",
            frameworks.join(", "),
            files.collect::<Vec<_>>().join(" "),
            sure.join(" | "),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn the_stack_stands_beside_an_own_dockerfile() {
        let tree = MemoryTree::new([
            ("Dockerfile", "FROM example\nEXPOSE 4000\nCMD [\"./run\"]\n"),
            (
                "Cargo.toml",
                "[package]\nname = \"x\"\n[dependencies]\naxum = \"0.8\"\n",
            ),
            ("src/main.rs", "fn main() {}"),
        ]);
        let text = explain(&crate::detect(&tree));
        let mut lines = text.lines();
        assert!(
            lines
                .next()
                .unwrap()
                .starts_with("Dockerfile of the repository, for axum · rust · cargo")
        );
        let row = |name: &str| {
            text.lines()
                .find(|line| line.starts_with(name))
                .unwrap()
                .split_whitespace()
                .nth(1)
                .unwrap()
        };
        assert_eq!((row("start"), row("port")), ("./run", "4000"));
    }

    #[test]
    fn services_without_a_root_are_told_as_such() {
        let package = r#"{"scripts": {"start": "node server.js"}}"#;
        let tree = MemoryTree::new([("shop/package.json", package), ("shop/server.js", "")]);
        let text = explain(&crate::detect(&tree));
        assert!(
            text.starts_with("Nothing starts from the root; these do"),
            "{text}"
        );
        assert!(text.contains("service         shop  node · npm"), "{text}");
    }

    #[test]
    fn alternatives_are_told_as_such() {
        let text = r#"{"dependencies": {"pg": "8", "mongoose": "8", "koa": "2"}}"#;
        let tree = MemoryTree::new([("package.json", text)]);
        let text = explain(&crate::detect(&tree));
        assert!(text.contains("not sure: postgres or mongo"), "{text}");
    }

    #[test]
    fn a_port_that_nothing_names_is_called_assumed() {
        let tree = MemoryTree::new([("package.json", r#"{"dependencies": {"koa": "2"}}"#)]);
        let text = explain(&crate::detect(&tree));
        assert!(text.contains("port (assumed)  3000"), "{text}");
    }
}
