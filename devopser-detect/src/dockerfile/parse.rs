//! Reading a Dockerfile (<https://docs.docker.com/reference/dockerfile/>): escape directive, continuations, comments,
//! heredocs, `ARG` and `ENV` in `EXPOSE` and `FROM`.

use std::collections::{BTreeMap, BTreeSet};

use devopser_core::id::DataFolder;

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// The keyword in upper case.
    pub(crate) keyword: String,
    /// The rest, continuations joined by a blank, comments removed.
    pub(crate) rest: String,
    /// The line on which it begins, from 1.
    pub(crate) line: u32,
}

/// Something that ends before it is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfinished {
    pub(crate) line: u32,
    pub(crate) reason: String,
}

/// A Dockerfile, read leniently.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dockerfile {
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) unfinished: Vec<Unfinished>,
}

impl Dockerfile {
    /// Reads a Dockerfile; never fails.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = lines_of(text);
        let escape = escape(&lines);
        Self::read(&lines, escape, true)
    }

    /// Every way in which a builder could read it: with each escape character that a directive may name, and with
    /// the lines of here-documents as instructions too. What hides in one reading shows in another.
    pub(crate) fn readings(text: &str) -> Vec<Self> {
        let lines = lines_of(text);
        let other = (escape(&lines) != '\\').then_some('`');
        ['\\']
            .into_iter()
            .chain(other)
            .flat_map(|escape| [true, false].map(|documents| (escape, documents)))
            .map(|(escape, documents)| Self::read(&lines, escape, documents))
            .collect()
    }

    fn read(lines: &[&str], escape: char, documents: bool) -> Self {
        let mut file = Self::default();
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            let start = at;
            at += 1;
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let (joined, next) = join(lines, start, escape);
            at = next.0;
            if next.1 {
                file.unfinished.push(Unfinished {
                    line: number(start),
                    reason: "the last line continues, but nothing follows".to_owned(),
                });
            }
            let (keyword, rest) = joined
                .split_once(char::is_whitespace)
                .unwrap_or((&joined, ""));
            let keyword = keyword.to_ascii_uppercase();
            if documents && ["RUN", "COPY", "ADD"].contains(&keyword.as_str()) {
                for (mark, strip) in heredocs(rest) {
                    match end_of(lines, at, &mark, strip) {
                        Some(end) => at = end + 1,
                        None => {
                            file.unfinished.push(Unfinished {
                                line: number(start),
                                reason: format!("the here-document has no closing {mark}"),
                            });
                            at = lines.len();
                        }
                    }
                }
            }
            file.instructions.push(Instruction {
                keyword,
                rest: rest.trim().to_owned(),
                line: number(start),
            });
        }
        file
    }

    /// The files and folders of the build context that `COPY` and `ADD` name, without patterns and variables.
    pub(crate) fn copies(&self) -> Vec<String> {
        let copying = self
            .instructions
            .iter()
            .filter(|one| ["COPY", "ADD"].contains(&one.keyword.as_str()));
        copying
            .filter(|one| !one.rest.contains("<<") && !one.rest.contains("--from="))
            .flat_map(|one| {
                let list: Vec<String> = match one.rest.find('[') {
                    Some(at) => serde_json::from_str(&one.rest[at..]).unwrap_or_default(),
                    None => one.rest.split_whitespace().map(str::to_owned).collect(),
                };
                let mut paths: Vec<String> = list
                    .into_iter()
                    .filter(|word| !word.starts_with("--"))
                    .collect();
                paths.pop();
                paths
            })
            .filter(|path| !path.contains(['*', '?', '[', '$']) && !path.contains("://"))
            .filter(|path| !path.split('/').any(|part| part == ".."))
            .map(|path| path.trim_start_matches("./").trim_matches('/').to_owned())
            .collect()
    }

    /// The images of its stages, with their lines; stages that build on another stage are left out.
    pub(crate) fn images(&self) -> Vec<(String, u32)> {
        let mut args = BTreeMap::new();
        let mut stages: Vec<String> = Vec::new();
        let mut found = Vec::new();
        for instruction in &self.instructions {
            match instruction.keyword.as_str() {
                "ARG" => assign(&instruction.rest, &mut args),
                "FROM" => {
                    let mut words = instruction
                        .rest
                        .split_whitespace()
                        .filter(|word| !word.starts_with("--"));
                    let image = expand(words.next().unwrap_or_default(), &args);
                    if !stages.contains(&image.to_ascii_lowercase()) {
                        found.push((image, instruction.line));
                    }
                    if words
                        .next()
                        .is_some_and(|word| word.eq_ignore_ascii_case("as"))
                    {
                        stages.extend(words.next().map(str::to_ascii_lowercase));
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The index of the instruction that begins the final stage.
    fn last_stage(&self) -> usize {
        self.instructions
            .iter()
            .rposition(|instruction| instruction.keyword == "FROM")
            .unwrap_or(0)
    }

    /// The first port that the final stage exposes over TCP, with its line.
    pub(crate) fn exposed(&self) -> Option<(u16, u32)> {
        let last = self.last_stage();
        let mut values = BTreeMap::new();
        let mut found = None;
        for (index, instruction) in self.instructions.iter().enumerate() {
            match instruction.keyword.as_str() {
                "ARG" | "ENV" => assign(&instruction.rest, &mut values),
                "EXPOSE" if index > last && found.is_none() => {
                    found = instruction.rest.split_whitespace().find_map(|word| {
                        let word = expand(word, &values);
                        let (port, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
                        let port = port.split('-').next().unwrap_or_default();
                        (protocol == "tcp")
                            .then(|| port.parse().ok())
                            .flatten()
                            .filter(|port: &u16| *port > 0)
                            .map(|port| (port, instruction.line))
                    });
                }
                _ => {}
            }
        }
        found
    }

    /// The folders that the final stage declares as volumes, and `more`: absolute, variables filled in. None that could reach the
    /// system's own, and none that the stage copies files to: a volume would hide those of the next release.
    pub(crate) fn volumes(&self, more: &[String]) -> Vec<String> {
        let last = self.last_stage();
        let mut values = BTreeMap::new();
        let mut found: BTreeSet<String> = more.iter().cloned().collect();
        let mut place = "/".to_owned();
        let mut copied = Vec::new();
        for (index, instruction) in self.instructions.iter().enumerate() {
            let text = || expand(&words(&instruction.rest), &values);
            match instruction.keyword.as_str() {
                "ARG" | "ENV" => assign(&instruction.rest, &mut values),
                "WORKDIR" if index > last => place = below(&place, &text()),
                "COPY" | "ADD" if index > last => {
                    copied.extend(text().split_whitespace().last().map(|to| below(&place, to)));
                }
                "VOLUME" if index > last => {
                    let text = text();
                    let folders = text.split_whitespace();
                    found.extend(folders.map(|folder| folder.trim_end_matches('/').to_owned()));
                }
                _ => {}
            }
        }
        let is_kept = |folder: &String| {
            let inside = format!("{folder}/");
            folder.starts_with('/')
                && DataFolder::new(folder).is_ok()
                && !copied.iter().any(|to| to.starts_with(&inside))
        };
        found.into_iter().filter(is_kept).collect()
    }

    /// What the final stage starts: its entry point and command as one text, with the line.
    pub(crate) fn start(&self) -> Option<(String, u32)> {
        let last = self.last_stage();
        let text = |keyword: &str| {
            let found = self.instructions[last.min(self.instructions.len())..]
                .iter()
                .rev()
                .find(|instruction| instruction.keyword == keyword)?;
            Some((words(&found.rest), found.line))
        };
        match (text("ENTRYPOINT"), text("CMD")) {
            (Some((entry, _)), Some((command, line))) => Some((format!("{entry} {command}"), line)),
            (entry, command) => command.or(entry),
        }
    }
}

/// A path that is absolute or of the folder `place`, with a `/` at its end.
fn below(place: &str, path: &str) -> String {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    match (path.strip_prefix('/'), path) {
        (Some(""), _) | (None, "") => format!("{}/", place.trim_end_matches('/')),
        (Some(_), path) => format!("{path}/"),
        (None, ".") => format!("{}/", place.trim_end_matches('/')),
        (None, path) => format!("{}/{path}/", place.trim_end_matches('/')),
    }
}

/// The words of an exec form joined by blanks; a shell form as it is.
pub(crate) fn words(rest: &str) -> String {
    match serde_json::from_str::<Vec<String>>(rest) {
        Ok(words) => words.join(" "),
        Err(_) => rest.to_owned(),
    }
}

fn lines_of(text: &str) -> Vec<&str> {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .lines()
        .collect()
}

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

/// The escape character: a `# escape=` directive among the first comments changes it.
fn escape(lines: &[&str]) -> char {
    for line in lines {
        let Some(comment) = line.trim().strip_prefix('#') else {
            break;
        };
        let Some((name, value)) = comment.split_once('=') else {
            break;
        };
        if name.trim().eq_ignore_ascii_case("escape") && value.trim() == "`" {
            return '`';
        }
    }
    '\\'
}

/// The logical line that begins at `start`, the index after it, and whether it ran off the end. As the builder joins
/// them: nothing stands between the parts, and an escape character that is itself escaped joins nothing.
fn join(lines: &[&str], start: usize, escape: char) -> (String, (usize, bool)) {
    let mut joined = String::new();
    let mut at = start;
    while let Some(line) = lines.get(at) {
        at += 1;
        let trimmed = line.trim();
        if at > start + 1 && (trimmed.is_empty() || trimmed.starts_with('#')) {
            continue;
        }
        let line = if at == start + 1 {
            line.trim_start()
        } else {
            line
        };
        match continued(line, escape) {
            Some(part) => joined.push_str(part),
            None => {
                joined.push_str(line);
                return (joined.trim_end().to_owned(), (at, false));
            }
        }
    }
    (joined.trim_end().to_owned(), (at, true))
}

/// The part before the escape character that ends a line.
fn continued(line: &str, escape: char) -> Option<&str> {
    let part = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!part.ends_with(escape)).then_some(part)
}

/// The end marks of the here-documents that an instruction opens, and whether their lines may be indented by tabs.
fn heredocs(rest: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for (at, _) in rest.match_indices("<<") {
        if rest[at + 2..].starts_with('<')
            || rest[..at].ends_with('<')
            || rest[..at].ends_with("$((")
        {
            continue;
        }
        let strip = rest[at + 2..].starts_with('-');
        let mark = rest[at + 2 + usize::from(strip)..].trim_start_matches(['"', '\'']);
        let mark: String = mark
            .chars()
            .take_while(|char| char.is_ascii_alphanumeric() || *char == '_')
            .collect();
        if mark
            .chars()
            .next()
            .is_some_and(|char| char.is_ascii_alphabetic() || char == '_')
        {
            found.push((mark, strip));
        }
    }
    found
}

fn end_of(lines: &[&str], from: usize, mark: &str, strip: bool) -> Option<usize> {
    lines
        .iter()
        .enumerate()
        .skip(from)
        .find(|(_, line)| {
            if strip {
                line.trim_start_matches('\t') == mark
            } else {
                **line == mark
            }
        })
        .map(|(index, _)| index)
}

/// Adds the assignments of an `ARG` or `ENV` instruction.
fn assign(rest: &str, into: &mut BTreeMap<String, String>) {
    if !rest.contains('=') {
        if let Some((name, value)) = rest.split_once(char::is_whitespace) {
            let value = expand(value.trim(), into);
            into.insert(name.to_owned(), value);
        }
        return;
    }
    for word in rest.split_whitespace() {
        if let Some((name, value)) = word.split_once('=') {
            let value = expand(value.trim_matches(['"', '\'']), into);
            into.insert(name.to_owned(), value);
        }
    }
}

/// Replaces `$NAME`, `${NAME}` and `${NAME:-default}`.
fn expand(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (name, default, after) = match rest
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'))
        {
            Some((inner, after)) => {
                let (name, default) = inner.split_once(":-").unwrap_or((inner, ""));
                (name, default, after)
            }
            None => {
                let end = rest
                    .find(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
                    .unwrap_or(rest.len());
                (&rest[..end], "", &rest[end..])
            }
        };
        out.push_str(values.get(name).map_or(default, String::as_str));
        rest = after;
        if out.len() > 4096 {
            break;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_those_that_hide_nothing_of_the_next_release() {
        let of = |text: &str| {
            Dockerfile::parse(text)
                .volumes(&["/disk".to_owned()])
                .join(" ")
        };
        let text = "FROM a AS b\nVOLUME /not\nFROM c\nENV D=/data\nWORKDIR /app\nCOPY . .\nVOLUME [\"$D/\", \"/app/files\"]\nVOLUME /x /proc relative\n";
        assert_eq!(of(text), "/app/files /data /disk /x");
        for hidden in [
            "FROM a\nCOPY . /app\nVOLUME /app\n",
            "FROM a\nWORKDIR /app\nCOPY --from=b /out/server ./\nVOLUME /app\n",
            "FROM a\nWORKDIR /app\nWORKDIR bin\nADD a b c/\nVOLUME /app\n",
        ] {
            assert_eq!(of(hidden), "/disk", "{hidden}");
        }
    }

    #[test]
    fn reads_stages_ports_and_the_start() {
        let text = "# c\nARG V=22\nFROM node:${V}-slim AS build\nEXPOSE 1\nRUN a \\\n  # no\n\n  b\nFROM build\nARG PORT=8080\nENV P2=$PORT\nEXPOSE ${P2}/tcp 9/udp\nENTRYPOINT [\"node\"]\nCMD [\"a.js\"]\n";
        let file = Dockerfile::parse(text);
        assert_eq!(file.images(), [("node:22-slim".to_owned(), 3)]);
        assert_eq!(file.exposed(), Some((8080, 12)));
        assert_eq!(file.start(), Some(("node a.js".to_owned(), 14)));
        assert!(file.unfinished.is_empty());
    }

    #[test]
    fn skips_heredocs() {
        let file = Dockerfile::parse("FROM a\nRUN <<EOF\nEXPOSE 99\nEOF\nEXPOSE 80\n");
        assert_eq!(file.exposed(), Some((80, 5)));
        assert_eq!(
            Dockerfile::parse("FROM a\nRUN <<EOF\nx").unfinished.len(),
            1
        );
    }

    #[test]
    fn lines_are_joined_as_the_builder_joins_them() {
        let first = |text: &str| Dockerfile::parse(text).instructions[0].rest.clone();
        assert_eq!(first("RUN --secu\\\nrity=x y\n"), "--security=x y");
        assert_eq!(first("RUN a \\ \t\n # c\n\n  b\n"), "a   b");
        assert_eq!(first("RUN a \\\\\nRUN b\n"), "a \\\\");
        assert_eq!(first("# escape=`\nRUN a \\\nRUN b\n"), "a \\");
    }

    #[test]
    fn survives_what_is_broken() {
        for text in [
            "",
            "\\",
            "FROM",
            "CMD [",
            "EXPOSE ${",
            "ENV",
            "RUN <<",
            "ARG A=$A$A\nARG A=$A$A\nEXPOSE $A",
            "é\\\né",
        ] {
            let file = Dockerfile::parse(text);
            let _ = (file.images(), file.exposed(), file.start());
        }
    }
}
