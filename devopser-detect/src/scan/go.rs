//! `go.mod` (<https://go.dev/ref/mod#go-mod-file>).

use devopser_core::model::report::Evidence;

use super::Scan;

/// What a `go.mod` says.
#[derive(Debug, Default)]
pub(crate) struct GoMod {
    pub(crate) path: String,
    pub(crate) module: String,
    pub(crate) go: Option<(String, u32)>,
    pub(crate) toolchain: Option<(String, u32)>,
    /// Direct requirements with their lines; indirect ones are left out.
    pub(crate) requires: Vec<(String, u32)>,
}

impl GoMod {
    /// Reads the module file at `path`.
    pub(crate) fn read(scan: &Scan<'_>, path: &str) -> Option<Self> {
        let text = scan.text(path)?;
        let mut found = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut in_require = false;
        for (index, raw) in text.lines().enumerate().take(5000) {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let line = raw.split("//").next().unwrap_or_default().trim();
            let indirect = raw.contains("// indirect");
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some(")"), _) => in_require = false,
                (Some("require"), Some("(")) => in_require = true,
                (Some("require"), Some(module)) if !indirect => {
                    found.requires.push((module.to_owned(), number))
                }
                (Some("module"), Some(module)) => {
                    module.trim_matches('"').clone_into(&mut found.module)
                }
                (Some("go"), Some(version)) => found.go = Some((version.to_owned(), number)),
                (Some("toolchain"), Some(version)) => {
                    found.toolchain = Some((version.trim_start_matches("go").to_owned(), number));
                }
                (Some(module), Some(_)) if in_require && !indirect => {
                    found.requires.push((module.to_owned(), number))
                }
                _ => {}
            }
        }
        Some(found)
    }

    /// Evidence that a module is required; major version suffixes (`/v2`) are ignored.
    pub(crate) fn requires(&self, module: &str) -> Option<Evidence> {
        let (_, line) = self.requires.iter().find(|(known, _)| {
            known
                .strip_prefix(module)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("/v"))
        })?;
        Some(Evidence::line(
            self.path.clone(),
            Some(*line),
            format!("requires {module}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn knows_blocks_and_indirect_requirements() {
        let text = "module x.y/z\n\ngo 1.22\nrequire github.com/a/b v1.0.0\nrequire (\n\tgithub.com/c/d/v2 v2.0.0\n\te/f v1 // indirect\n)\n";
        let tree = MemoryTree::new([("go.mod", text)]);
        let module = GoMod::read(&Scan::new(&tree), "go.mod").unwrap();
        assert_eq!(module.module, "x.y/z");
        assert_eq!(module.go, Some(("1.22".to_owned(), 3)));
        assert_eq!(module.requires("github.com/c/d").unwrap().line, Some(6));
        assert!(module.requires("github.com/a/b").is_some());
        assert!(module.requires("e/f").is_none());
    }
}
