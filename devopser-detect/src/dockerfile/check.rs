//! Whether a Dockerfile can be built at all, told before a build starts.

use std::fmt;

use super::parse::{Dockerfile, Instruction};

/// Something that keeps a Dockerfile from being built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.reason)
    }
}

const KNOWN: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Checks a Dockerfile as the builder's parser would.
///
/// # Errors
/// Every problem found, in the order of the lines.
pub fn check_dockerfile(text: &str) -> Result<(), Vec<Problem>> {
    let file = Dockerfile::parse(text);
    let mut problems: Vec<Problem> = file
        .unfinished
        .iter()
        .map(|unfinished| Problem {
            line: unfinished.line,
            reason: unfinished.reason.clone(),
        })
        .collect();
    let mut has_from = false;
    for instruction in &file.instructions {
        if let Some(reason) = wrong(instruction, has_from) {
            problems.push(Problem {
                line: instruction.line,
                reason,
            });
        }
        has_from |= instruction.keyword == "FROM";
    }
    if !has_from
        && !file
            .instructions
            .iter()
            .any(|instruction| !KNOWN.contains(&instruction.keyword.as_str()))
    {
        problems.push(Problem {
            line: 1,
            reason: "there is no FROM instruction".to_owned(),
        });
    }
    problems.sort_by_key(|problem| problem.line);
    problems.dedup();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn wrong(instruction: &Instruction, has_from: bool) -> Option<String> {
    let Instruction { keyword, rest, .. } = instruction;
    if !KNOWN.contains(&keyword.as_str()) {
        let shown: String = keyword.chars().take(40).collect();
        return Some(format!("unknown instruction {shown}{}", nearest(keyword)));
    }
    if !has_from && !["FROM", "ARG"].contains(&keyword.as_str()) {
        return Some(format!("{keyword} stands before the first FROM"));
    }
    if rest.is_empty() {
        return Some(format!("{keyword} needs an argument"));
    }
    let plain: Vec<&str> = rest
        .split_whitespace()
        .filter(|word| !word.starts_with("--"))
        .collect();
    match keyword.as_str() {
        "FROM" => match plain.as_slice() {
            [_] => None,
            [_, keyword, _] if keyword.eq_ignore_ascii_case("as") => None,
            _ => Some("FROM takes an image and, after AS, a name".to_owned()),
        },
        "COPY" | "ADD" if plain.len() < 2 && !rest.contains("<<") && !rest.starts_with('[') => {
            Some(format!("{keyword} needs a source and a destination"))
        }
        "EXPOSE" => plain.iter().find_map(|word| bad_port(word)),
        "ENV" if !rest.contains('=') && plain.len() < 2 => {
            Some("ENV needs a name and a value".to_owned())
        }
        "SHELL" if serde_json::from_str::<Vec<String>>(rest).is_err() => {
            Some("SHELL takes a JSON array".to_owned())
        }
        _ => None,
    }
}

fn bad_port(word: &str) -> Option<String> {
    if word.contains('$') {
        return None;
    }
    let (ports, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let sound = ports.split('-').all(|port| port.parse::<u16>().is_ok())
        && ["tcp", "udp", "sctp"].contains(&protocol.to_ascii_lowercase().as_str());
    (!sound).then(|| format!("EXPOSE {word} is no port"))
}

/// A known instruction that differs by two letters at most.
fn nearest(keyword: &str) -> String {
    let close = |known: &&&str| {
        known.len().abs_diff(keyword.len()) <= 1
            && known
                .chars()
                .filter(|char| !keyword.contains(*char))
                .count()
                <= 1
            && known.starts_with(&keyword[..keyword.chars().next().map_or(0, char::len_utf8)])
    };
    KNOWN
        .iter()
        .find(close)
        .map(|known| format!("; did you mean {known}?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_ones_pass() {
        for text in [
            "FROM a\n",
            "ARG V\nFROM a:$V AS b\nCOPY --from=b x y\nRUN <<E\nwhatever\nE\n",
            "from scratch\nEXPOSE 80/tcp $PORT\nCOPY <<E /x\n1\nE",
        ] {
            assert_eq!(check_dockerfile(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn each_problem_names_its_line() {
        let cases = [
            ("", 1, "no FROM"),
            ("FROM a\nRUNN x", 2, "did you mean RUN"),
            ("RUN x\nFROM a", 1, "before the first FROM"),
            ("FROM a\nCOPY x", 2, "destination"),
            ("FROM a\nRUN <<EOF\nx", 2, "here-document"),
            ("FROM a\nRUN x \\", 2, "continues"),
            ("FROM a\nEXPOSE abc", 2, "no port"),
            ("FROM a b", 1, "after AS"),
            ("FROM a\nCMD", 2, "argument"),
        ];
        for (text, line, reason) in cases {
            let problems = check_dockerfile(text).unwrap_err();
            assert_eq!(problems[0].line, line, "{text}");
            assert!(
                problems[0].reason.contains(reason),
                "{text}: {}",
                problems[0]
            );
        }
    }
}
