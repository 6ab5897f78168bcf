//! Versions that the workflows of GitHub Actions set up: what the authors build and test with.

use std::collections::BTreeSet;

use devopser_core::model::report::Evidence;

use super::Scan;
use super::versions::Pinned;

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
        if !text.contains(&sign) {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            let bare = line.trim_start().trim_start_matches("- ");
            let Some(value) = bare.strip_prefix(&sign) else {
                continue;
            };
            let value = value.split(" #").next().unwrap_or_default();
            let value = value.trim().trim_matches(['"', '\'']).to_owned();
            let number = u32::try_from(index + 1).ok();
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
