//! A Dockerfile as it grows, line by line.

use std::collections::{BTreeMap, BTreeSet};

use devopser_core::id::EnvName;
use devopser_core::model::service::HealthPath;
use devopser_core::{Error, ErrorKind, Result};

use super::{GenerateOptions, inputs};

/// The lines of a Dockerfile.
#[derive(Debug)]
pub(crate) struct Lines<'o> {
    lines: Vec<String>,
    /// Names that the repository's own commands are handed.
    build_env: &'o BTreeSet<EnvName>,
    build_secrets: &'o BTreeSet<EnvName>,
    /// The folders of the image that outlive a release.
    data: Vec<String>,
    /// Whether a health check is written.
    is_checked: bool,
    /// What `ENV` sets, for each named stage.
    stages: BTreeMap<String, BTreeSet<String>>,
    /// The stage that is written now: its name, what `ENV` sets in it, and whether its `ARG` lines stand.
    name: Option<String>,
    set: BTreeSet<String>,
    has_args: bool,
    /// The first name that is both handed over and set by the file.
    clash: Option<Error>,
    /// What the caller starts in the place of any other command.
    start: Option<Vec<String>>,
}

impl<'o> Lines<'o> {
    pub(crate) fn new(options: &'o GenerateOptions) -> Self {
        Self {
            lines: Vec::new(),
            build_env: &options.build_env,
            build_secrets: &options.build_secrets,
            data: Vec::new(),
            is_checked: options.health_path != HealthPath::Connection,
            stages: BTreeMap::new(),
            name: None,
            set: BTreeSet::new(),
            has_args: false,
            clash: None,
            start: None,
        }
    }

    /// Starts this whatever command is added.
    pub(crate) fn started_by(&mut self, words: Vec<String>) {
        self.start = Some(words);
    }

    pub(crate) fn add(&mut self, line: impl Into<String>) -> &mut Self {
        self.lines.push(line.into());
        self
    }

    pub(crate) fn comment(&mut self, text: &str) -> &mut Self {
        self.add(format!("# {text}"))
    }

    /// A new stage, set off by an empty line.
    pub(crate) fn stage(&mut self, image: &str, name: Option<&str>) -> &mut Self {
        if !self.lines.is_empty() {
            self.add("");
        }
        let set = std::mem::take(&mut self.set);
        if let Some(ended) = self.name.take() {
            self.stages.insert(ended, set);
        }
        self.name = name.map(str::to_owned);
        self.set = self.stages.get(image).cloned().unwrap_or_default();
        self.has_args = false;
        match name {
            Some(name) => self.add(format!("FROM {image} AS {name}")),
            None => self.add(format!("FROM {image}")),
        }
    }

    /// A command of the repository's own: it sees the build's variables and secrets. The variables are declared once in a
    /// stage, as late as can be, so that a new value leaves the layers before as they are. A secret is mounted for this one
    /// command; it is in no layer, and without it the build ends here.
    pub(crate) fn run(&mut self, mounts: &str, command: &str) -> &mut Self {
        let (variables, secrets) = (self.build_env, self.build_secrets);
        if !self.has_args {
            self.has_args = true;
            for name in variables.iter().filter(|name| inputs::needs_arg(name)) {
                self.add(format!("ARG {name}"));
            }
            self.note_clash();
        }
        let mut line = String::from("RUN ");
        let mounts = mounts.split(' ').filter(|mount| !mount.is_empty());
        mounts.for_each(|mount| line.push_str(&format!("{mount} ")));
        if secrets.is_empty() {
            line.push_str(command);
            return self.add(line);
        }
        // Read for everyone: the command may run as a user without rights. Not every frontend can set variables itself.
        for name in secrets {
            line.push_str(&format!(
                "--mount=type=secret,id={name},mode=0444,required=true "
            ));
        }
        for name in secrets {
            line.push_str(&format!(
                "\\\n    {name}=\"$(cat /run/secrets/{name})\" || exit 1; export {name}; "
            ));
        }
        line.push_str("\\\n    ");
        line.push_str(command.trim_start_matches("\\\n").trim_start());
        self.add(line)
    }

    /// Assignments before a command, each with `separator` behind it, without those that the caller makes.
    pub(crate) fn assigned<'a>(
        &self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        separator: &str,
    ) -> String {
        pairs
            .into_iter()
            .filter(|(name, _)| !self.is_given(name))
            .map(|(name, value)| format!("{name}={}{separator}", quoted(value)))
            .collect()
    }

    /// Whether the caller hands a variable or secret of that name to the build.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        let given = |names: &BTreeSet<EnvName>| names.iter().any(|given| given.as_str() == name);
        given(self.build_env) || given(self.build_secrets)
    }

    fn note_clash(&mut self) {
        let both = [
            ("build_env", self.build_env),
            ("build_secrets", self.build_secrets),
        ];
        for (field, names) in both {
            let found = names.iter().find(|name| self.set.contains(name.as_str()));
            if let (Some(name), None) = (found, &self.clash) {
                self.clash = Some(inputs::clash(field, name.as_str()));
            }
        }
    }

    /// `ENV` with every pair.
    pub(crate) fn env<'a>(
        &mut self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> &mut Self {
        let pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        if pairs.is_empty() {
            return self;
        }
        self.set
            .extend(pairs.iter().map(|(name, _)| (*name).to_owned()));
        if self.has_args {
            self.note_clash();
        }
        let pairs: Vec<String> = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={}", quoted(value)))
            .collect();
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
        let words = json(self.start.as_deref().unwrap_or(words));
        self.add(format!("CMD {words}"))
    }

    /// The folders that the user of the image keeps data in.
    pub(crate) fn keeps(&mut self, folders: &[String]) -> &mut Self {
        self.data = folders.to_vec();
        self
    }

    /// `USER`, whose are the folders for data: a new volume takes over the owner of the folder that it is mounted on
    /// (<https://docs.docker.com/engine/storage/volumes/#populate-a-volume-using-a-container>).
    pub(crate) fn runs_as(&mut self, user: &str) -> &mut Self {
        if !self.data.is_empty() {
            let folders = self.data.join(" ");
            self.add(format!("RUN mkdir -p {folders} && chown {user} {folders}"));
        }
        self.add(format!("USER {user}"))
    }

    /// `HEALTHCHECK` in exec form; none where a connection is enough.
    pub(crate) fn health(&mut self, words: &[&str]) -> &mut Self {
        if !self.is_checked {
            return self;
        }
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

    /// The text. What the repository calls something is part of many lines: with a line end in it, its rest would be an
    /// instruction of its own.
    pub(crate) fn finish(self) -> Result<String> {
        if let Some(clash) = self.clash {
            return Err(clash);
        }
        if let Some(line) = self.lines.iter().find(|line| ends_early(line)) {
            return Err(line_end(line));
        }
        let mut text = self.lines.join("\n");
        text.push('\n');
        Ok(text)
    }
}

/// Whether a line holds a line end that is not continued, or is continued by its own last word.
fn ends_early(line: &str) -> bool {
    let mut parts = line.split('\n').rev();
    let last = parts.next().unwrap_or_default();
    parts.any(|part| !part.ends_with('\\')) || last.ends_with('\\') && !last.ends_with(" \\")
}

fn line_end(line: &str) -> Error {
    let start: String = line.chars().take(200).collect();
    Error::new(
        ErrorKind::InvalidInput,
        format!("a name or command of the repository has a line end in it, which no Dockerfile can hold: {start:?}"),
    )
    .with_remedy("write it in one line in the repository, or add a Dockerfile")
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

    fn options(variables: &[&str], secrets: &[&str]) -> GenerateOptions {
        let names = |names: &[&str]| {
            let names = names.iter().map(|name| EnvName::new(*name).unwrap());
            names.collect()
        };
        GenerateOptions {
            build_env: names(variables),
            build_secrets: names(secrets),
            ..GenerateOptions::default()
        }
    }

    #[test]
    fn own_commands_see_what_the_build_is_handed() {
        let options = options(&["MODE", "https_proxy"], &["KEY", "TOKEN"]);
        let mut lines = Lines::new(&options);
        lines.stage("node", Some("base")).add("RUN apt");
        lines.stage("base", None).add("COPY . .");
        lines.run("--mount=type=cache,target=/c", "npm ci");
        lines.run("", "\\\n    npm run build");
        assert_eq!(
            lines.finish().unwrap(),
            concat!(
                "FROM node AS base\nRUN apt\n\nFROM base\nCOPY . .\nARG MODE\n",
                "RUN --mount=type=cache,target=/c --mount=type=secret,id=KEY,mode=0444,required=true ",
                "--mount=type=secret,id=TOKEN,mode=0444,required=true ",
                "\\\n    KEY=\"$(cat /run/secrets/KEY)\" || exit 1; export KEY; ",
                "\\\n    TOKEN=\"$(cat /run/secrets/TOKEN)\" || exit 1; export TOKEN; ",
                "\\\n    npm ci\n",
                "RUN --mount=type=secret,id=KEY,mode=0444,required=true ",
                "--mount=type=secret,id=TOKEN,mode=0444,required=true ",
                "\\\n    KEY=\"$(cat /run/secrets/KEY)\" || exit 1; export KEY; ",
                "\\\n    TOKEN=\"$(cat /run/secrets/TOKEN)\" || exit 1; export TOKEN; ",
                "\\\n    npm run build\n",
            )
        );
    }

    #[test]
    fn a_name_that_the_stage_sets_itself_is_refused() {
        let options = options(&["MODE"], &[]);
        let clashes = |write: &dyn Fn(&mut Lines<'_>)| {
            let mut lines = Lines::new(&options);
            write(&mut lines);
            lines.finish().err().map(|error| error.to_string())
        };
        let before = clashes(&|lines| {
            lines.stage("a", None).env([("MODE", "x")]).run("", "b");
        });
        assert!(before.unwrap().contains("build_env"));
        let after = clashes(&|lines| {
            lines.stage("a", None).run("", "b").env([("MODE", "x")]);
        });
        assert!(after.is_some());
        let inherited = clashes(&|lines| {
            lines.stage("a", Some("base")).env([("MODE", "x")]);
            lines.stage("base", None).run("", "b");
        });
        assert!(inherited.is_some());
        let elsewhere = clashes(&|lines| {
            lines.stage("a", Some("build")).run("", "b");
            lines.stage("a", None).env([("MODE", "x")]);
        });
        assert_eq!(elsewhere, None);
    }

    #[test]
    fn no_line_becomes_two() {
        let options = options(&[], &[]);
        let written = |line: &str| {
            let mut lines = Lines::new(&options);
            lines.stage("node", None).add(line);
            lines.finish()
        };
        for good in ["RUN a \\\n    b", "RUN printf '%s' \\", "RUN a\\b"] {
            assert!(written(good).is_ok(), "{good}");
        }
        for bad in ["RUN cp a\nFROM other", "COPY a\\", "RUN a \\\nb\nc"] {
            let error = written(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
            assert!(error.to_string().contains("line end"), "{error}");
        }
    }

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
