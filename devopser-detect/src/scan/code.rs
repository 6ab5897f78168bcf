//! Looking into source files, bounded: a few files, each read once, never run.

use super::Scan;

/// How many source files one question looks into.
const MAX_FILES: usize = 60;

/// Source files with one of the endings, near the root first; tests and examples left out.
pub(crate) fn sources<'t>(scan: &'t Scan<'_>, endings: &[&str], depth: usize) -> Vec<&'t str> {
    each(scan, endings, depth).collect()
}

/// The same, one after another: a level of folders is listed when the iterator reaches it.
pub(crate) fn each<'t>(
    scan: &'t Scan<'_>,
    endings: &[&str],
    depth: usize,
) -> impl Iterator<Item = &'t str> {
    scan.own_files(depth)
        .filter(|path| endings.iter().any(|ending| super::ends(path, ending)))
        // Their folders were looked at when they were entered.
        .filter(|path| !is_test(super::base_name(path)))
        .take(MAX_FILES)
}

/// Source files with one of the names, near the root first; tests and examples left out. Where an app keeps its settings
/// is often told by the name alone, so they are looked for deeper than others.
pub(crate) fn named<'t>(
    scan: &'t Scan<'_>,
    names: &'static [&'static str],
    depth: usize,
) -> impl Iterator<Item = &'t str> {
    scan.own_files_near(depth)
        .filter(move |path| names.contains(&super::base_name(path)))
        .take(MAX_FILES)
}

/// Whether a path is the app's own: not of tests, examples, documentation or tools.
pub(crate) fn is_own(path: &str) -> bool {
    !is_test(path) && !is_hidden(path)
}

/// Settings of test tools, which name the ports of servers that they start for themselves.
const TOOLS: &[&str] = &[
    "playwright.config.",
    "cypress.config.",
    "vitest.config.",
    "jest.config.",
    "karma.conf.",
    "wdio.conf.",
];

/// Whether the path belongs to tests, examples or documentation.
///
/// Below `src/main/` there are none, whatever a package is called
/// (<https://maven.apache.org/guides/introduction/introduction-to-the-standard-directory-layout.html>).
pub(crate) fn is_test(path: &str) -> bool {
    let path = path
        .split_once("src/main/")
        .map_or(path, |(before, _)| before);
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
            || part.contains('.') && is_test_file(part)
    })
}

fn is_test_file(name: &str) -> bool {
    TOOLS.iter().any(|tool| name.starts_with(tool))
        || name.contains(".test.")
        || name.contains(".spec.")
        || name.ends_with("_test.go")
        || name.ends_with("_test.py")
        // Modules of unit tests (https://doc.rust-lang.org/book/ch11-03-test-organization.html).
        || ["test.rs", "tests.rs"].contains(&name)
        || name.ends_with("_test.rs")
        || name.ends_with("_tests.rs")
}

/// Whether the file lies in a hidden folder: those hold the settings of tools.
fn is_hidden(path: &str) -> bool {
    path.starts_with('.') && path.contains('/') || path.contains("/.")
}
