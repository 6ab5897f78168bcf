//! Looking into source files, bounded: a few files, each read once, never run.

use std::rc::Rc;

use super::Scan;

/// How many source files one question looks into.
const MAX_FILES: usize = 60;

/// Source files with one of the endings, near the root first; tests and examples left out.
pub(crate) fn sources<'t>(scan: &Scan<'t>, endings: &[&str], depth: usize) -> Vec<&'t str> {
    let mut found: Vec<&'t str> = scan
        .paths()
        .iter()
        .map(String::as_str)
        .filter(|path| endings.iter().any(|ending| path.ends_with(ending)))
        .filter(|path| path.matches('/').count() <= depth && !is_test(path))
        .collect();
    found.sort_by_key(|path| (path.matches('/').count(), *path));
    found.truncate(MAX_FILES);
    found
}

/// Whether the path belongs to tests, examples or documentation.
pub(crate) fn is_test(path: &str) -> bool {
    path.split('/').any(|part| {
        matches!(
            part,
            "test"
                | "tests"
                | "__tests__"
                | "spec"
                | "example"
                | "examples"
                | "docs"
                | "doc"
                | "e2e"
                | "testdata"
                | "migrations"
                | "benches"
                | "bench"
                | "fixtures"
                | "scripts"
                | "tools"
                | "testing"
        ) || part.starts_with("test_")
            || part.contains(".test.")
            || part.contains(".spec.")
            || part.ends_with("_test.go")
            || part.ends_with("_test.py")
    })
}

/// The text of a file with the lines that only comment blanked, so that an example in a comment proves nothing.
pub(crate) fn without_comments(text: &Rc<str>, mark: &str) -> String {
    text.lines()
        .map(|line| {
            if line.trim_start().starts_with(mark) {
                ""
            } else {
                line
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}
