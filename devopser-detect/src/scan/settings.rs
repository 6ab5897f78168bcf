//! Configuration files that are programs, such as `next.config.js`: read as text without their comments, never run.

use std::rc::Rc;

use devopser_core::model::report::Evidence;

use super::{Scan, line_at};

/// The endings of programs in JavaScript and TypeScript.
const ENDINGS: &[&str] = &[".ts", ".js", ".mjs", ".mts", ".cjs", ".cts"];

/// A configuration file without its comments; lines are where they were.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) path: String,
    code: Rc<str>,
}

impl Settings {
    /// The file `{stem}.ts`, `{stem}.js` or the like.
    pub(crate) fn of(scan: &Scan<'_>, stem: &str) -> Option<Self> {
        let mut paths = ENDINGS.iter().map(|ending| format!("{stem}{ending}"));
        let path = paths.find(|path| scan.has(path))?;
        let text = scan.text(&path)?;
        let code = without_comments(&text).map_or(text, Rc::from);
        Some(Self { path, code })
    }

    /// Evidence that `sign` stands in the file.
    pub(crate) fn has(&self, sign: &str, why: impl Into<String>) -> Option<Evidence> {
        let at = self.code.find(sign)?;
        Some(self.evidence(at, why))
    }

    /// Evidence that `key` is set to a quoted text or a plain word.
    pub(crate) fn says(&self, key: &str, value: &str, why: &str) -> Option<Evidence> {
        let mut values = self.values(key);
        let (at, _) = values.find(|(_, known)| *known == value)?;
        Some(self.evidence(at, why))
    }

    /// The first quoted text that `key` is set to.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        let mut values = self.values(key);
        values.find_map(|(at, value)| self.code[..at].ends_with(['"', '\'']).then_some(value))
    }

    fn evidence(&self, at: usize, why: impl Into<String>) -> Evidence {
        Evidence::line(self.path.as_str(), line_at(&self.code, at), why)
    }

    /// What stands behind each `key:`, and where: the inside of quotes, or a word.
    fn values<'s>(&'s self, key: &str) -> impl Iterator<Item = (usize, &'s str)> {
        let code = &*self.code;
        let sign = format!("{key}:");
        let is_word = |char: char| char.is_alphanumeric() || "_$.-".contains(char);
        let mut from = 0;
        std::iter::from_fn(move || {
            loop {
                let at = from + code.get(from..)?.find(&sign)?;
                from = at + sign.len();
                if code[..at].ends_with(is_word) {
                    continue;
                }
                let rest = code[from..].trim_start();
                let rest = otherwise(rest).unwrap_or(rest);
                let start = code.len() - rest.len();
                let quote = rest.chars().next().filter(|char| "\"'".contains(*char));
                let (start, value) = match quote {
                    Some(quote) => (start + 1, rest[1..].split(quote).next()?),
                    None => (start, rest.split(|char| !is_word(char)).next()?),
                };
                return Some((start, value));
            }
        })
    }
}

/// The quoted text that is taken where a variable is not set: `process.env.OUT || "dist"`.
fn otherwise(value: &str) -> Option<&str> {
    let line = value.split([',', '\n']).next()?;
    let at = line.find("||").or_else(|| line.find("??"))?;
    let rest = value[at + 2..].trim_start();
    (line.starts_with("process.env") && rest.starts_with(['"', '\''])).then_some(rest)
}

/// The text with its comments blanked; `None` when it has none.
fn without_comments(text: &str) -> Option<String> {
    if !text.contains("//") && !text.contains("/*") {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut quote = None;
    while let Some(char) = chars.next() {
        match (quote, char, chars.peek()) {
            (Some(_), '\\', _) => {
                out.push(char);
                out.extend(chars.next());
            }
            (Some(open), _, _) => {
                // A quote that a line leaves open was none: it stood in a regular expression.
                if char == open || char == '\n' && open != '`' {
                    quote = None;
                }
                out.push(char);
            }
            (None, '"' | '\'' | '`', _) => {
                quote = Some(char);
                out.push(char);
            }
            (None, '/', Some('/')) => {
                while chars.peek().is_some_and(|next| *next != '\n') {
                    chars.next();
                }
            }
            (None, '/', Some('*')) => {
                chars.next();
                let mut last = ' ';
                for next in chars.by_ref() {
                    if next == '\n' {
                        out.push(next);
                    }
                    if last == '*' && next == '/' {
                        break;
                    }
                    last = next;
                }
            }
            _ => out.push(char),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn comments_say_nothing() {
        let text = "/* output: 'a' */\nexport default {\n  // output: 'export',\n  url: 'https://x/', // ssr: false\n  match: /[\"]/,\n  output: \"standalone\", ssr: true,\n}";
        let tree = MemoryTree::new([("next.config.mjs", text)]);
        let settings = Settings::of(&Scan::new(&tree), "next.config").expect("the file is there");
        assert_eq!(settings.text("output"), Some("standalone"));
        assert_eq!(settings.text("url"), Some("https://x/"));
        assert_eq!(settings.text("ssr"), None);
        assert!(settings.says("output", "export", "").is_none());
        assert!(settings.says("ssr", "false", "").is_none());
        let evidence = settings
            .says("ssr", "true", "it renders")
            .expect("it is set");
        assert_eq!(evidence.line, Some(6));
        assert!(settings.has("match:", "").is_some());
    }

    #[test]
    fn every_value_of_a_key_counts() {
        let text = "const a = { x_output: 'no', output: b }; export default { output:'export' }";
        let tree = MemoryTree::new([("next.config.ts", text)]);
        let settings = Settings::of(&Scan::new(&tree), "next.config").expect("the file is there");
        assert!(settings.says("output", "export", "").is_some());
        assert!(settings.says("output", "no", "").is_none());
        let text =
            "export default { outDir: process.env.OUT || '../pages', base: process.env.BASE }";
        let tree = MemoryTree::new([("vite.config.ts", text)]);
        let settings = Settings::of(&Scan::new(&tree), "vite.config").expect("the file is there");
        assert_eq!(settings.text("outDir"), Some("../pages"));
        assert_eq!(settings.text("base"), None);
    }
}
