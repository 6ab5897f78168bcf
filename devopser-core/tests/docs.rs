//! The tables in `docs/` say what the code says.
#![expect(clippy::expect_used, reason = "helpers of a test may unwrap")]

use std::path::PathBuf;

use devopser_core::http::{StatusCode, status_error};
use devopser_core::memory::MemoryCloud;
use devopser_core::model::deployment::DeploymentState;
use devopser_core::model::service::ReleasePhase;
use devopser_core::{Error, ErrorKind, Retry};

fn file(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).expect("the file is there")
}

/// The rows of the table whose first heading is `heading`, a list of cells each.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let start = format!("| {heading} |");
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with(&start))
        .skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells
                .map(|cell| cell.trim().trim_matches('`').to_owned())
                .collect()
        })
        .collect()
}

/// The variants of an enum in a source file: name and documentation.
fn variants(source: &str, name: &str) -> Vec<(String, String)> {
    let body = source
        .split(&format!("pub enum {name} {{"))
        .nth(1)
        .expect("the enum is there");
    let mut found = Vec::new();
    let mut doc = String::new();
    for line in body.lines().take_while(|line| *line != "}") {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            doc.push(' ');
            doc.push_str(text.trim());
        } else if let Some(variant) = line.strip_suffix(',') {
            found.push((
                variant.to_owned(),
                std::mem::take(&mut doc).trim().to_owned(),
            ));
        }
    }
    found
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for (index, c) in name.chars().enumerate() {
        if c.is_uppercase() && index > 0 {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    text
}

#[test]
fn every_error_kind_is_in_the_table_with_its_documentation() {
    let kinds = variants(&file("devopser-core/src/error.rs"), "ErrorKind");
    assert!(kinds.len() >= 20, "{kinds:?}");
    let expected: Vec<Vec<String>> = kinds
        .into_iter()
        .map(|(name, doc)| {
            let (meaning, action) = doc.split_once(" Host action: ").unwrap_or_else(|| {
                panic!("the documentation of {name} must say \"Host action: …\"")
            });
            let name = snake_case(&name);
            let kind: ErrorKind = serde_json::from_value(name.as_str().into()).expect("a kind");
            assert_eq!(kind.as_str(), name);
            let retry = match Error::new(kind, "x").retry() {
                Retry::Never => "never",
                _ => "later",
            };
            let action = action.replace("[`", "`").replace("`]", "`");
            let mut letters = action.chars();
            let first = letters.next().unwrap_or_default().to_uppercase();
            let action = first.chain(letters).collect();
            vec![name, meaning.to_owned(), action, retry.to_owned()]
        })
        .collect();
    assert_eq!(table(&file("docs/errors.md"), "kind"), expected);
}

#[test]
fn the_table_of_statuses_is_that_of_the_code() {
    let rows = table(&file("docs/errors.md"), "status");
    let documented = |status: u16| {
        rows.iter()
            .find(|row| {
                row[0]
                    .split(", ")
                    .any(|part| match part.split_once(" to ") {
                        Some((from, to)) => (from.parse().expect("a status")
                            ..=to.parse().expect("a status"))
                            .contains(&status),
                        None => part.parse() == Ok(status),
                    })
            })
            .map_or("unexpected", |row| row[1].as_str())
    };
    for status in 400..=599 {
        let code = StatusCode::from_u16(status).expect("a status");
        let error = status_error(code, Retry::Never, "x");
        assert_eq!(error.kind().as_str(), documented(status), "{status}");
    }
}

#[test]
fn the_states_of_a_deployment_are_those_of_the_code() {
    let expected: Vec<(String, String)> = DeploymentState::ALL
        .iter()
        .map(|from| {
            let next: Vec<String> = DeploymentState::ALL
                .iter()
                .filter(|to| from.may_become(**to))
                .map(|to| format!("`{}`", to.as_str()))
                .collect();
            let next = if next.is_empty() {
                "-".to_owned()
            } else {
                next.join(", ")
            };
            (from.as_str().to_owned(), next)
        })
        .collect();
    let rows: Vec<(String, String)> = file("docs/concepts.md")
        .lines()
        .skip_while(|line| !line.starts_with("| state |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            (cells[0].trim_matches('`').to_owned(), cells[2].to_owned())
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn the_phases_of_a_release_are_those_of_the_code() {
    let phases = variants(&file("devopser-core/src/model/service.rs"), "ReleasePhase");
    let expected: Vec<Vec<String>> = phases
        .into_iter()
        .map(|(name, doc)| vec![snake_case(&name), doc])
        .collect();
    for row in &expected {
        serde_json::from_value::<ReleasePhase>(row[0].as_str().into()).expect("a phase");
    }
    assert_eq!(table(&file("docs/concepts.md"), "phase"), expected);
}

#[test]
fn the_abilities_are_those_of_the_code() {
    let rows = table(&file("docs/concepts.md"), "ability");
    let documented: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(documented, MemoryCloud::new().provider().abilities());
}

#[test]
fn every_type_that_the_table_of_words_names_is_in_the_code() {
    let mut sources = String::new();
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sources.push_str(&std::fs::read_to_string(path).expect("a file"));
            }
        }
    }
    for row in table(&file("docs/concepts.md"), "word") {
        for name in row[2].split(", ").map(|name| name.trim_matches('`')) {
            let last = name.rsplit("::").next().unwrap_or_default();
            let is_there = ["struct", "enum", "trait", "mod", "fn", "const fn"]
                .iter()
                .any(|kind| sources.contains(&format!("pub {kind} {last}")))
                || sources.contains(&format!("    {last},"))
                || sources.contains(&format!("    {last}, \""));
            assert!(is_there, "{}: {name} is not in the code", row[0]);
        }
    }
}
