//! The patterns of `.dockerignore`, as Docker reads them.

/// Which paths are left out of a build context.
///
/// Lines that begin with `#` and empty lines say nothing. A pattern matches a path and everything below it; `*` and `?`
/// stay within a part, `**` crosses parts; `!` takes back; the last line that matches decides.
#[derive(Debug, Default)]
pub(crate) struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    takes_back: bool,
    parts: Vec<String>,
}

impl Ignore {
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let patterns = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let line = line.trim();
                let (takes_back, pattern) = match line.strip_prefix('!') {
                    Some(rest) => (true, rest.trim()),
                    None => (false, line),
                };
                let parts = clean(pattern)?;
                Some(Pattern { takes_back, parts })
            })
            .collect();
        Self { patterns }
    }

    /// Whether the path (with `/`, relative to the root) is left out.
    pub(crate) fn excludes(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let mut excluded = false;
        for pattern in &self.patterns {
            // A pattern can only turn what is not so yet.
            if excluded == pattern.takes_back && pattern.matches_or_contains(&parts) {
                excluded = !pattern.takes_back;
            }
        }
        excluded
    }

    /// Whether something below an excluded folder may be taken back, so that it has to be looked at.
    pub(crate) fn may_take_back_below(&self, folder: &str) -> bool {
        let parts: Vec<&str> = folder.split('/').collect();
        self.patterns.iter().any(|pattern| {
            pattern.takes_back
                && pattern
                    .parts
                    .iter()
                    .zip(&parts)
                    .take_while(|(pattern, _)| *pattern != "**")
                    .all(|(pattern, part)| matches_part(pattern, part))
        })
    }
}

impl Pattern {
    fn matches_or_contains(&self, path: &[&str]) -> bool {
        (1..=path.len()).any(|length| matches_parts(&self.parts, &path[..length]))
    }
}

/// The parts of a pattern without `.`, `..` and empty ones; `None` when nothing remains.
fn clean(pattern: &str) -> Option<Vec<String>> {
    let mut parts: Vec<String> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part.to_owned()),
        }
    }
    (!parts.is_empty()).then_some(parts)
}

fn matches_parts(pattern: &[String], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            // At the end it stands for at least one part: `a/**` is not `a` itself.
            if rest.is_empty() {
                return !path.is_empty();
            }
            (0..=path.len()).any(|skipped| matches_parts(rest, &path[skipped..]))
        }
        (Some((first, rest)), Some((part, below))) => {
            matches_part(first, part) && matches_parts(rest, below)
        }
        _ => false,
    }
}

/// One part against one pattern with `*`, `?`, `[a-z]`, `[^a]` and `\` before a literal.
fn matches_part(pattern: &str, part: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let part: Vec<char> = part.chars().collect();
    let (mut at, mut read) = (0, 0);
    // Where to go on when the last `*` has to take one character more.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(at) {
            Some('*') => {
                star = Some((at + 1, read));
                at += 1;
                continue;
            }
            Some(_) if read < part.len() => one_character(&pattern[at..], part[read]),
            None if read == part.len() => return true,
            _ => None,
        };
        if let Some(length) = step {
            at += length;
            read += 1;
        } else {
            match star {
                Some((after, from)) if from < part.len() => {
                    star = Some((after, from + 1));
                    (at, read) = (after, from + 1);
                }
                _ => return false,
            }
        }
    }
}

/// How many characters of the pattern stand for `c`; `None` when they do not.
fn one_character(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', literal, ..] => (*literal == c).then_some(2),
        ['[', rest @ ..] => {
            let end = rest.iter().skip(1).position(|c| *c == ']')? + 1;
            let (negated, set) = match rest[..end].split_first() {
                Some(('^', set)) => (true, set),
                _ => (false, &rest[..end]),
            };
            let mut found = false;
            let mut set = set.iter().copied().peekable();
            while let Some(low) = set.next() {
                let mut high = low;
                if set.peek() == Some(&'-') {
                    set.next();
                    high = set.next().unwrap_or('-');
                }
                found |= (low..=high).contains(&c);
            }
            (found != negated).then_some(end + 2)
        }
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Ignore;

    #[test]
    fn patterns_match_as_docker_says() {
        for (text, path, excluded) in [
            ("node_modules", "node_modules", true),
            ("node_modules", "node_modules/a/b.js", true),
            ("node_modules", "packages/a/node_modules", false),
            ("**/node_modules", "packages/a/node_modules/x", true),
            ("**/node_modules", "node_modules", true),
            ("*.log", "a.log", true),
            ("*.log", "b/a.log", false),
            ("**/*.log", "b/c/a.log", true),
            ("a/**", "a", false),
            ("a/**", "a/b", true),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z/y", true),
            ("/dist/", "dist/x", true),
            ("./dist", "dist", true),
            ("a/../dist", "dist", true),
            ("temp?", "temp1", true),
            ("temp?", "temp", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("\\*.md", "a.md", false),
            ("\\*.md", "*.md", true),
            ("# a\n\n  b  ", "b", true),
            ("#a", "#a", false),
            ("*.md\n!README.md", "README.md", false),
            ("*.md\n!README.md\nREADME*", "README.md", true),
            ("*\n!src", "src/a.rs", false),
            ("*\n!src", "other", true),
            ("*\n!src\nsrc/secret", "src/secret/x", true),
            ("..", "a", false),
            (".", "a", false),
            ("", "a", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
        ] {
            assert_eq!(
                Ignore::parse(text).excludes(path),
                excluded,
                "{text:?} {path}"
            );
        }
    }

    #[test]
    fn an_excluded_folder_is_looked_at_only_when_something_may_be_taken_back() {
        let ignore = Ignore::parse("*\n!src/keep\n!docs/*.md");
        assert!(ignore.may_take_back_below("src"));
        assert!(ignore.may_take_back_below("docs"));
        assert!(!ignore.may_take_back_below("node_modules"));
        assert!(Ignore::parse("*\n!**/keep").may_take_back_below("anything"));
    }

    #[test]
    fn hostile_patterns_end() {
        let ignore = Ignore::parse("**/**/**/**/*a*a*a*a*a*a*b\n[\n[]\n\\\n[a-");
        assert!(!ignore.excludes("aaaaaaaaaaaaaaaaaaaaaaaaaaaa/aaaaaaaaaaaaaaaaaaaaaaaaaa"));
    }
}
