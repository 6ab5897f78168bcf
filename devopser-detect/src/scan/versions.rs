//! Version files of every tool manager: `.nvmrc`, `.python-version`, `.tool-versions` (asdf), `mise.toml`, …

use devopser_core::model::report::Evidence;
use serde_json::Value;

use super::Scan;

/// A version as the repository wrote it and where.
pub(crate) type Pinned = (String, Evidence);

/// The first line of a one-line version file that is no comment.
pub(crate) fn one_line(scan: &Scan<'_>, path: &str) -> Option<Pinned> {
    let text = scan.text(path)?;
    let (index, line) = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index, line.trim()))
        .find(|(_, line)| !line.is_empty() && !line.starts_with('#'))?;
    if line.len() > 64 {
        return None;
    }
    Some((
        line.to_owned(),
        Evidence::line(path, u32::try_from(index + 1).ok(), "pins the version"),
    ))
}

/// A tool's line of `.tool-versions` (<https://asdf-vm.com/manage/configuration.html>) or `mise.toml`
/// (<https://mise.jdx.dev/configuration.html>).
pub(crate) fn tool(scan: &Scan<'_>, names: &[&str]) -> Option<Pinned> {
    if let Some(text) = scan.text(".tool-versions") {
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            if let (Some(name), Some(version)) = (words.next(), words.next())
                && names.contains(&name)
            {
                let line = u32::try_from(index + 1).ok();
                return Some((
                    version.to_owned(),
                    Evidence::line(".tool-versions", line, "pins the version"),
                ));
            }
        }
    }
    for path in [
        "mise.toml",
        ".mise.toml",
        ".config/mise.toml",
        "mise/config.toml",
    ] {
        let Some(value) = scan.has(path).then(|| scan.toml(path)).flatten() else {
            continue;
        };
        for name in names {
            let found = value.get("tools").and_then(|tools| tools.get(name));
            let found = found.and_then(|found| found.get("version").or(Some(found)));
            let found = found.and_then(|found| {
                if found.is_array() {
                    found.get(0)
                } else {
                    Some(found)
                }
            });
            if let Some(version) = found.and_then(Value::as_str) {
                return Some((
                    version.to_owned(),
                    scan.evidence(path, name, "pins the version"),
                ));
            }
        }
    }
    None
}

/// Looks in the files in their order, then at the tool managers; then the same in the repository's root.
pub(crate) fn pinned(scan: &Scan<'_>, files: &[&str], tools: &[&str]) -> Option<Pinned> {
    files
        .iter()
        .find_map(|path| one_line(scan, path))
        .or_else(|| tool(scan, tools))
        .or_else(|| pinned(scan.above()?, files, tools))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn reads_each_kind() {
        let tree = MemoryTree::new([
            (".nvmrc", "# c\nlts/iron\n"),
            (".tool-versions", "python 3.12.1 3.11\n"),
            ("mise.toml", "[tools]\ngo = \"1.24\"\n"),
        ]);
        let scan = Scan::new(&tree);
        assert_eq!(
            pinned(&scan, &[".nvmrc"], &["nodejs"]).unwrap().0,
            "lts/iron"
        );
        assert_eq!(pinned(&scan, &[], &["python"]).unwrap().0, "3.12.1");
        assert_eq!(pinned(&scan, &[], &["go"]).unwrap().1.line, Some(2));
        assert!(pinned(&scan, &[".x"], &["y"]).is_none());
    }
}
