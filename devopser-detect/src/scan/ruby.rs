//! `Gemfile` (<https://bundler.io/man/gemfile.5.html>) and its lock.

use devopser_core::model::report::Evidence;

use super::Scan;

/// What a `Gemfile` asks for; it is read as text, never run.
#[derive(Debug, Default)]
pub(crate) struct Gemfile {
    /// Gems and their lines.
    pub(crate) gems: Vec<(String, u32)>,
    /// The `ruby` line.
    pub(crate) ruby: Option<(String, u32)>,
}

impl Gemfile {
    /// Reads the root's `Gemfile`.
    pub(crate) fn read(scan: &Scan<'_>) -> Option<Self> {
        let text = scan.text("Gemfile")?;
        let mut found = Self::default();
        for (index, line) in text.lines().enumerate().take(5000) {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let line = line.trim_start();
            if let Some(rest) = line
                .strip_prefix("gem ")
                .or_else(|| line.strip_prefix("gem("))
            {
                if let Some(name) = quoted(rest) {
                    found.gems.push((name.to_owned(), number));
                }
            } else if let Some(rest) = line
                .strip_prefix("ruby ")
                .or_else(|| line.strip_prefix("ruby("))
                && let Some(version) = quoted(rest)
                    .filter(|version| version.contains(|char: char| char.is_ascii_digit()))
            {
                found.ruby = Some((version.to_owned(), number));
            }
        }
        Some(found)
    }

    /// Evidence that a gem is asked for.
    pub(crate) fn gem(&self, name: &str) -> Option<Evidence> {
        let (_, line) = self.gems.iter().find(|(known, _)| known == name)?;
        Some(Evidence::line(
            "Gemfile",
            Some(*line),
            format!("asks for the gem {name}"),
        ))
    }
}

/// The first quoted text.
fn quoted(text: &str) -> Option<&str> {
    let at = text.find(['"', '\''])?;
    let quote = text[at..].chars().next()?;
    text[at + 1..].split(quote).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn reads_gems_and_the_ruby_line() {
        let tree = MemoryTree::new([(
            "Gemfile",
            "source 'x'\nruby \"3.3.1\"\ngem 'rails', '~> 7'\n  gem \"pg\"\n",
        )]);
        let gemfile = Gemfile::read(&Scan::new(&tree)).unwrap();
        assert_eq!(gemfile.ruby, Some(("3.3.1".to_owned(), 2)));
        assert_eq!(gemfile.gem("pg").unwrap().line, Some(4));
    }
}
