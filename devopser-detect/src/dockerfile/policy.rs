//! What a Dockerfile may not ask of the host: told with line and reason before a build starts.

use super::check::Problem;
use super::parse::{Dockerfile, Instruction};

/// The frontend whose language the engine's own builder speaks.
const OWN_FRONTENDS: &[&str] = &["docker/dockerfile", "docker/dockerfile-upstream"];

/// Checks what a Dockerfile asks of the host that builds it.
///
/// Images and files from remote addresses are allowed. Refused are steps outside of the sandbox
/// (`--security=insecure`), the host's network (`--network=host`), its devices and its SSH agent, mounts from outside
/// of the source, and a `# syntax=` directive that hands the file to a foreign frontend, which need not read it as it
/// was checked.
#[must_use]
pub fn dockerfile_policy(text: &str) -> Vec<Problem> {
    let mut problems: Vec<Problem> = directives(text)
        .filter(|(_, value)| !is_own_frontend(value))
        .map(|(line, value)| Problem {
            line,
            reason: format!(
                "the syntax directive names the frontend {:?}, which is not the builder's own; leave the directive out",
                shown(value)
            ),
        })
        .collect();
    for file in Dockerfile::readings(text) {
        for instruction in &file.instructions {
            problems.extend(refused(instruction).map(|reason| Problem {
                line: instruction.line,
                reason,
            }));
        }
    }
    problems.sort_by(|a, b| (a.line, &a.reason).cmp(&(b.line, &b.reason)));
    problems.dedup();
    problems
}

/// The text without its `# syntax=` directives: it is then built by the frontend that the engine itself has, which reads
/// it as it was checked and is fetched from nowhere. Lines keep their numbers.
#[must_use]
pub fn without_frontend(text: &str) -> String {
    let lines: Vec<u32> = directives(text).map(|(line, _)| line).collect();
    let mut out = String::with_capacity(text.len());
    let mut owed = 0;
    for (line, part) in (1..).zip(text.split_inclusive('\n')) {
        if lines.contains(&line) {
            owed += 1;
            continue;
        }
        // Behind the other directives, which count only at the very top.
        if !part
            .trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with('#')
        {
            (0..std::mem::take(&mut owed)).for_each(|_| out.push_str("#\n"));
        }
        out.push_str(part);
    }
    out
}

/// The `syntax` directives among the comments before the first instruction, each with its line. A builder obeys the
/// first ones only and in more spellings (`//`, JSON); whatever else stands there is no Dockerfile and does not parse.
fn directives(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (1..)
        .zip(text.lines())
        .take_while(|(_, line)| line.trim().is_empty() || line.trim_start().starts_with('#'))
        .filter_map(|(number, line)| {
            let (name, value) = line.trim().strip_prefix('#')?.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("syntax")
                .then(|| (number, value.trim()))
        })
}

fn is_own_frontend(value: &str) -> bool {
    let image = value.split_whitespace().next().unwrap_or_default();
    let image = image.split('@').next().unwrap_or_default();
    let image = image.strip_prefix("docker.io/").unwrap_or(image);
    let name = image.split(':').next().unwrap_or_default();
    OWN_FRONTENDS.contains(&name)
}

fn refused(instruction: &Instruction) -> Option<String> {
    match instruction.keyword.as_str() {
        "RUN" => flags(&instruction.rest)
            .iter()
            .find_map(|flag| refused_flag(flag)),
        "ONBUILD" => {
            let (keyword, rest) = instruction.rest.split_once(char::is_whitespace)?;
            refused(&Instruction {
                keyword: keyword.to_ascii_uppercase(),
                rest: rest.trim().to_owned(),
                line: instruction.line,
            })
        }
        _ => None,
    }
}

fn refused_flag(flag: &str) -> Option<String> {
    let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
    match name.to_ascii_lowercase().as_str() {
        "--security" if value != "sandbox" => Some(format!(
            "RUN --security={} runs outside of the sandbox; leave it out",
            shown(value)
        )),
        "--network" if !["default", "none"].contains(&value) => Some(format!(
            "RUN --network={} reaches the host's network; only default and none are allowed",
            shown(value)
        )),
        "--device" => Some("RUN --device hands a device of the host to the build".to_owned()),
        "--mount" => refused_mount(value),
        _ => None,
    }
}

fn refused_mount(value: &str) -> Option<String> {
    let mut kind = "bind".to_owned();
    let mut places = Vec::new();
    for field in value.split(',') {
        let field = field.trim().trim_matches('"');
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "type" => kind = value.trim().to_ascii_lowercase(),
            "source" | "src" | "from" => places.push((name.trim(), value.trim())),
            _ => {}
        }
    }
    match kind.as_str() {
        "ssh" => Some("RUN --mount=type=ssh reaches the host's SSH agent".to_owned()),
        "secret" | "cache" | "tmpfs" | "bind" => places
            .into_iter()
            .find(|(name, value)| leads_outside(name, value))
            .map(|(name, value)| {
                format!(
                    "RUN --mount={name}={} leads outside of the source",
                    shown(value)
                )
            }),
        other => Some(format!(
            "RUN --mount=type={} is not allowed; bind, cache, secret and tmpfs are",
            shown(other)
        )),
    }
}

/// A bind mount comes from the build context, from a stage or from an image, never from the host; what tries to is told.
fn leads_outside(name: &str, value: &str) -> bool {
    let climbs = value.split(['/', '\\']).any(|part| part == "..");
    climbs
        || name.eq_ignore_ascii_case("from")
            && (value.starts_with(['/', '.', '~']) || value.contains("://"))
}

/// The flags before the arguments of an instruction, read as the builder does: quotes vanish, an escaped character is
/// itself.
fn flags(rest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = rest.chars().peekable();
    loop {
        while chars.next_if(|char| char.is_whitespace()).is_some() {}
        let mut word = String::new();
        let mut quote = None;
        while let Some(char) = chars.next_if(|char| quote.is_some() || !char.is_whitespace()) {
            match char {
                '\\' | '`' => word.extend(chars.next()),
                '"' | '\'' if quote == Some(char) => quote = None,
                '"' | '\'' if quote.is_none() => quote = Some(char),
                _ => word.push(char),
            }
        }
        if !word.starts_with("--") || word == "--" {
            return found;
        }
        found.push(word);
    }
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_for_the_host_is_refused_with_its_line() {
        let cases = [
            ("FROM a\nRUN --security=insecure mount", 2, "sandbox"),
            ("FROM a\nRUN --network=host curl x", 2, "host's network"),
            (
                "FROM a\nrun \\\n  --network=\"host\" x",
                2,
                "host's network",
            ),
            ("FROM a\nRUN --secu\\\nrity=insecure x", 2, "sandbox"),
            ("FROM a\nRUN --sec\"urity\"=insecure x", 2, "sandbox"),
            (
                "FROM a\nRUN echo \\\\\nRUN --security=insecure x",
                3,
                "sandbox",
            ),
            ("FROM a\nRUN --network=none --security=$X y", 2, "sandbox"),
            (
                "FROM a\nRUN echo \"<<E\"\nRUN --network=host x\nE\n",
                3,
                "network",
            ),
            (
                "# escape=`\nFROM a\nRUN a \\\nRUN --network=host x",
                4,
                "network",
            ),
            ("FROM a\nONBUILD RUN --security=insecure x", 2, "sandbox"),
            ("FROM a\nRUN --mount=type=ssh git clone x", 2, "SSH"),
            ("FROM a\nRUN --mount=target=/x,TYPE=SSH x", 2, "SSH"),
            ("FROM a\nRUN --mount=type=$T x", 2, "not allowed"),
            (
                "FROM a\nRUN --mount=type=bind,source=../x,target=/y z",
                2,
                "outside",
            ),
            ("FROM a\nRUN --mount=from=/etc,target=/y z", 2, "outside"),
            ("FROM a\nRUN --device=nvidia.com/gpu x", 2, "device"),
            ("# Syntax = evil/frontend\nFROM a\n", 1, "frontend"),
            (
                "#!/x\n\n# syntax=docker/dockerfile.evil:1\nFROM a\n",
                3,
                "frontend",
            ),
            (
                "# syntax=evil.example/docker/dockerfile\nFROM a",
                1,
                "frontend",
            ),
        ];
        for (text, line, reason) in cases {
            let problems = dockerfile_policy(text);
            let found = problems
                .first()
                .unwrap_or_else(|| panic!("{text:?} passes"));
            assert_eq!(found.line, line, "{text}");
            assert!(found.reason.contains(reason), "{text}: {found}");
        }
    }

    #[test]
    fn what_stays_in_the_sandbox_passes() {
        for text in [
            "# syntax=docker/dockerfile:1.7-labs\nFROM ghcr.io/a/b@sha256:00\nADD https://a.example/x /x\n",
            "FROM a\nRUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=T,env=T npm ci\n",
            "FROM a\nRUN --mount=from=ghcr.io/astral-sh/uv:0.5,source=/uv,target=/bin/uv uv sync\n",
            "FROM a\nRUN --mount=type=bind,source=package.json,target=package.json npm ci\n",
            "FROM a\nRUN --network=none --security=sandbox make\n",
            "FROM a\nRUN docker run --network=host x\nRUN echo --security=insecure\n",
            "FROM a\nRUN <<EOF\necho hello\nEOF\n",
        ] {
            assert_eq!(dockerfile_policy(text), [], "{text}");
        }
    }

    #[test]
    fn the_directive_is_taken_out_and_lines_keep_their_numbers() {
        let text = "# syntax=docker/dockerfile:1\n# escape=`\n\nFROM a\nRUN x\n";
        let without = without_frontend(text);
        assert!(!without.contains("syntax="), "{without}");
        assert_eq!(without.lines().count(), text.lines().count());
        assert_eq!(without, "# escape=`\n#\n\nFROM a\nRUN x\n");
        assert_eq!(
            without_frontend("FROM a\n# syntax=x\n"),
            "FROM a\n# syntax=x\n"
        );
    }
}
