//! Versions that the workflows of GitHub Actions set up: what the authors build and test with.

use std::collections::BTreeSet;

use devopser_core::model::report::Evidence;

use super::versions::Pinned;
use super::{Scan, line_at};

/// How many workflows are read.
const MAX_FILES: usize = 10;

/// The one version that the workflows give for a key of a set-up action, such as `java-version` of
/// <https://github.com/actions/setup-java#usage>. A matrix of versions, or several, say nothing.
pub(crate) fn version(scan: &Scan<'_>, key: &str) -> Option<Pinned> {
    let files = scan
        .under(".github/workflows")
        .filter(|path| path.ends_with(".yml") || path.ends_with(".yaml"));
    let sign = format!("{key}:");
    let mut values = BTreeSet::new();
    let mut found = None;
    for path in files.take(MAX_FILES) {
        let text = scan.text(&path).unwrap_or_default();
        for at in memchr::memmem::find_iter(text.as_bytes(), &sign) {
            let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let before = text[start..at].trim_start().trim_start_matches("- ");
            if !before.is_empty() {
                continue;
            }
            let value = text[at + sign.len()..].lines().next().unwrap_or_default();
            let value = value.split(" #").next().unwrap_or_default();
            let value = value.trim().trim_matches(['"', '\'']).to_owned();
            let number = line_at(&text, at);
            values.insert(value.clone());
            found = Some((
                value,
                Evidence::line(path.clone(), number, "the workflow builds with it"),
            ));
        }
    }
    found.filter(|(value, _)| {
        values.len() == 1 && value.starts_with(|char: char| char.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn one_version_is_an_answer_and_a_matrix_is_none() {
        let of = |text: &str| {
            let tree = MemoryTree::new([(".github/workflows/ci.yml", text)]);
            version(&Scan::new(&tree), "java-version").map(|(value, _)| value)
        };
        assert_eq!(
            of("with:\n  java-version: '21' # newest\n"),
            Some("21".to_owned())
        );
        assert_eq!(of("with:\n  java-version: [17, 21]\n"), None);
        assert_eq!(of("  java-version: ${{ matrix.java }}\n"), None);
        assert_eq!(of("  java-version: 17\n  java-version: 21\n"), None);
    }
}
