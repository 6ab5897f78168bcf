//! A Dockerfile as it grows, line by line.

/// The lines of a Dockerfile.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<String>);

impl Lines {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(&mut self, line: impl Into<String>) -> &mut Self {
        self.0.push(line.into());
        self
    }

    pub(crate) fn comment(&mut self, text: &str) -> &mut Self {
        self.add(format!("# {text}"))
    }

    /// A new stage, set off by an empty line.
    pub(crate) fn stage(&mut self, image: &str, name: Option<&str>) -> &mut Self {
        if !self.0.is_empty() {
            self.add("");
        }
        match name {
            Some(name) => self.add(format!("FROM {image} AS {name}")),
            None => self.add(format!("FROM {image}")),
        }
    }

    /// `ENV` with every pair.
    pub(crate) fn env<'a>(
        &mut self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> &mut Self {
        let pairs: Vec<String> = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={}", quoted(value)))
            .collect();
        if pairs.is_empty() {
            return self;
        }
        self.add(format!("ENV {}", pairs.join(" \\\n    ")))
    }

    /// Debian packages, without leaving lists behind.
    pub(crate) fn apt(&mut self, packages: &[&str]) -> &mut Self {
        if packages.is_empty() {
            return self;
        }
        self.add(format!(
            "RUN apt-get update && apt-get install -y --no-install-recommends {} && rm -rf /var/lib/apt/lists/*",
            packages.join(" ")
        ))
    }

    /// `CMD` in exec form.
    pub(crate) fn command(&mut self, words: &[String]) -> &mut Self {
        self.add(format!("CMD {}", json(words)))
    }

    /// `HEALTHCHECK` in exec form.
    pub(crate) fn health(&mut self, words: &[&str]) -> &mut Self {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        self.add(format!(
            "HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 CMD {}",
            json(&words)
        ))
    }

    /// A health check for images that have bash and nothing that speaks HTTP: an answer of any kind counts.
    pub(crate) fn bash_health(&mut self, path: &str) -> &mut Self {
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/$PORT && printf 'GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && read -r -t 4 line <&3 && [[ $line == HTTP/* && $line != *' 5'[0-9][0-9]* ]]"
        );
        self.health(&["bash", "-c", &script])
    }

    /// A file written line by line; here-documents are not known to every builder.
    pub(crate) fn file(&mut self, path: &str, text: &str) -> &mut Self {
        self.add("RUN printf '%s\\n' \\");
        for line in text.lines() {
            self.add(format!("  '{}' \\", line.replace('\'', "'\\''")));
        }
        self.add(format!("  > {path}"))
    }

    /// A user without privileges, for images that bring none.
    pub(crate) fn user(&mut self) -> &mut Self {
        self.add("RUN groupadd --system --gid 10001 app && useradd --system --uid 10001 --gid app --home-dir /app app && mkdir -p /app && chown app:app /app")
    }

    pub(crate) fn finish(self) -> String {
        let mut text = self.0.join("\n");
        text.push('\n');
        text
    }
}

/// A JSON array of texts, as exec form wants it.
pub(crate) fn json(words: &[String]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| serde_json::Value::from(word.as_str()).to_string())
        .collect();
    format!("[{}]", words.join(", "))
}

/// A value of `ENV`, quoted where it needs to be.
pub(crate) fn quoted(value: &str) -> String {
    let plain = !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/:$,@+".contains(&byte));
    if plain {
        value.to_owned()
    } else {
        format!(
            "\"{}\"",
            value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', " ")
        )
    }
}

/// The argument array of a start command: the words of a plain line; else a shell that gives way to the program.
pub(crate) fn exec(line: &str) -> Vec<String> {
    let line = line.trim();
    if crate::command::is_plain(line) {
        return crate::command::split_command(line, &std::collections::BTreeMap::new())
            .unwrap_or_default();
    }
    let operators = ["&&", "||", ";", "|", "\n", "&"]
        .iter()
        .any(|operator| line.contains(operator));
    let assigns = line
        .split_whitespace()
        .next()
        .is_some_and(|word| word.contains('=') && !word.starts_with('-'));
    let line = match (operators, assigns) {
        (true, _) => line.to_owned(),
        (false, true) => format!("exec env {line}"),
        (false, false) if line.starts_with("exec ") => line.to_owned(),
        (false, false) => format!("exec {line}"),
    };
    vec!["/bin/sh".to_owned(), "-c".to_owned(), line]
}

/// Runs `first` before the start command.
pub(crate) fn exec_after(first: &str, line: &str) -> Vec<String> {
    let line = line.trim();
    let operators = ["&&", "||", ";", "|"]
        .iter()
        .any(|operator| line.contains(operator));
    let assigns = line
        .split_whitespace()
        .next()
        .is_some_and(|word| word.contains('=') && !word.starts_with('-'));
    let line = match (operators, assigns) {
        (true, _) => line.to_owned(),
        (false, true) => format!("exec env {line}"),
        (false, false) => format!("exec {}", line.trim_start_matches("exec ")),
    };
    vec![
        "/bin/sh".to_owned(),
        "-c".to_owned(),
        format!("{first} && {line}"),
    ]
}

/// The first letters of a version that may stand in an image tag; nothing else may.
pub(crate) fn tag(version: &str) -> String {
    version
        .chars()
        .filter(|char| char.is_ascii_alphanumeric() || ".-_".contains(*char))
        .take(40)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_become_exec_form() {
        assert_eq!(exec("node a.js"), ["node", "a.js"]);
        assert_eq!(
            exec("gunicorn --bind 0.0.0.0:$PORT a"),
            ["/bin/sh", "-c", "exec gunicorn --bind 0.0.0.0:$PORT a"]
        );
        assert_eq!(exec("A=1 node b")[2], "exec env A=1 node b");
        assert_eq!(exec("a && b")[2], "a && b");
        assert_eq!(exec_after("m", "a $PORT")[2], "m && exec a $PORT");
        assert_eq!(json(&["a\"b".to_owned()]), "[\"a\\\"b\"]");
    }
}
