//! `Gemfile` (<https://bundler.io/man/gemfile.5.html>) and its lock.

use devopser_core::model::report::Evidence;

use super::Scan;

/// What a `Gemfile` asks for; it is read as text, never run.
#[derive(Debug, Default)]
pub(crate) struct Gemfile {
    /// Gems with the files and lines that ask for them.
    gems: Vec<(String, String, u32)>,
    /// The `ruby` line.
    pub(crate) ruby: Option<(String, u32)>,
    /// Whether an installation reads other files of the repository: gems that lie in it, or a Gemfile in parts.
    pub(crate) needs_sources: bool,
}

impl Gemfile {
    /// Reads the root's `Gemfile`.
    pub(crate) fn read(scan: &Scan<'_>) -> Option<Self> {
        let text = scan.text("Gemfile")?;
        let mut found = Self::default();
        for (index, line) in text.lines().enumerate().take(5000) {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let line = line.trim_start();
            let shared = [
                "gemspec",
                "path:",
                ":path =>",
                "eval_gemfile",
                "require_relative",
            ];
            found.needs_sources |=
                !line.starts_with('#') && shared.iter().any(|word| line.contains(word));
            if let Some(rest) = line
                .strip_prefix("gem ")
                .or_else(|| line.strip_prefix("gem("))
            {
                if let Some(name) = quoted(rest) {
                    found
                        .gems
                        .push((name.to_owned(), "Gemfile".to_owned(), number));
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
        if text.contains("gemspec") {
            found.add_gemspec(scan);
        }
        Some(found)
    }

    /// What the gem that lies here itself needs when it runs
    /// (<https://guides.rubygems.org/specification-reference/#add_dependency>).
    fn add_gemspec(&mut self, scan: &Scan<'_>) {
        for path in scan.root_with(".gemspec").take(4) {
            let text = scan.text(path).unwrap_or_default();
            for (number, line) in (1..).zip(text.lines().take(5000)) {
                let called = ["add_dependency", "add_runtime_dependency"];
                let rest = called
                    .iter()
                    .find_map(|name| Some(line.split_once(name)?.1));
                if let Some(name) = rest.and_then(quoted) {
                    self.gems.push((name.to_owned(), path.to_owned(), number));
                }
            }
        }
    }

    /// Evidence that a gem is asked for.
    pub(crate) fn gem(&self, name: &str) -> Option<Evidence> {
        let (_, path, line) = self.gems.iter().find(|(known, ..)| known == name)?;
        Some(Evidence::line(
            path.as_str(),
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

    #[test]
    fn a_gemspec_asks_for_gems_where_the_gemfile_names_it() {
        let spec = "Gem::Specification.new do |s|\n  # no\n  s.add_dependency 'rails', '>= 7'\n  s.add_development_dependency 'pg'\nend\n";
        let read = |gemfile: &str| {
            let tree = MemoryTree::new([("Gemfile", gemfile), ("shop.gemspec", spec)]);
            let gemfile = Gemfile::read(&Scan::new(&tree)).unwrap();
            (gemfile.gem("rails"), gemfile.gem("pg"))
        };
        let needs_sources = |gemfile: &str| {
            let tree = MemoryTree::new([("Gemfile", gemfile)]);
            Gemfile::read(&Scan::new(&tree)).unwrap().needs_sources
        };
        assert!(needs_sources("gemspec\n") && needs_sources("gem 'a', path: 'engines/a'\n"));
        assert!(!needs_sources("# gemspec\ngem 'a'\n"));
        let (rails, pg) = read("source 'x'\ngemspec\n");
        let rails = rails.unwrap();
        assert_eq!((rails.path.as_str(), rails.line), ("shop.gemspec", Some(3)));
        assert_eq!(pg, None);
        assert_eq!(read("source 'x'\n").0, None);
    }
}
