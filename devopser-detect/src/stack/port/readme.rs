//! The port that commands and addresses in a README say, and `docker run` in the scripts of those who develop.

use std::collections::BTreeSet;

use devopser_core::model::report::{Evidence, Fact};

use super::{OTHERS, in_command, only, sound};
use crate::scan::{Scan, line_at};

/// Images whose `docker run` line starts what the app needs, not the app.
const IMAGES: &[&str] = &[
    "adminer",
    "elasticsearch",
    "jaeger",
    "kafka",
    "localstack",
    "mailhog",
    "maildev",
    "mailpit",
    "mariadb",
    "minio",
    "mongo",
    "mysql",
    "nginx",
    "pgadmin",
    "postgres",
    "prometheus",
    "rabbitmq",
    "redis",
    "traefik",
    "zookeeper",
];

/// The container's side of `docker run -p` in the README
/// (<https://docs.docker.com/reference/cli/docker/container/run/#publish>), where every such line says the same.
pub(crate) fn containers(scan: &Scan<'_>) -> Option<Fact<u16>> {
    in_commands(scan, readme(scan))
}

/// The same in the scripts of `package.json` and the Makefile, which may be out of date more easily.
pub(crate) fn scripts_of_developers(scan: &Scan<'_>) -> Option<Fact<u16>> {
    in_commands(scan, ["package.json", "Makefile"])
}

/// Servers whose command line in a README is the app's own.
const SERVERS: &[&str] = &[
    "daphne",
    "fastapi",
    "flask",
    "gunicorn",
    "hypercorn",
    "streamlit",
    "uvicorn",
    "uwsgi",
    "waitress-serve",
];

/// The port of the server that the README starts, where every such line says the same.
pub(crate) fn servers(scan: &Scan<'_>) -> Option<Fact<u16>> {
    let path = readme(scan)?;
    let text = scan.text(path)?;
    let mut ports = BTreeSet::new();
    let mut evidence = None;
    for (line, command) in (1..).zip(text.lines()) {
        let command = command.trim_start_matches([' ', '\t', '$', '>', '`']);
        let bare = ["poetry run ", "pipenv run ", "uv run ", "python -m "]
            .iter()
            .find_map(|runner| command.strip_prefix(runner))
            .unwrap_or(command);
        let program = bare.split_whitespace().next().unwrap_or_default();
        if SERVERS.contains(&program)
            && let Some(port) = in_command(bare)
        {
            ports.insert(port);
            let why = format!("the command of {path} that starts it names it");
            evidence.get_or_insert_with(|| Evidence::line(path, Some(line), why));
        }
    }
    only(&ports, 70, evidence)
}

/// The port of the address on this machine that the README shows, where it shows no other. A development server may
/// listen there, so it is a guess.
pub(crate) fn address(scan: &Scan<'_>) -> Option<Fact<u16>> {
    let path = readme(scan)?;
    let text = scan.text(path)?;
    let mut ports = BTreeSet::new();
    let mut evidence = None;
    for at in memchr::memmem::find_iter(text.as_bytes(), "://") {
        let rest = &text[at + "://".len()..];
        let mut hosts = ["localhost:", "127.0.0.1:", "0.0.0.0:"].into_iter();
        let Some(rest) = hosts.find_map(|host| rest.strip_prefix(host)) else {
            continue;
        };
        let end = rest.find(|char: char| !char.is_ascii_digit());
        let port = sound(&rest[..end.unwrap_or(rest.len())]);
        ports.extend(port.filter(|port| !OTHERS.contains(port)));
        let why = || format!("{path} shows this address");
        evidence.get_or_insert_with(|| Evidence::line(path, line_at(&text, at), why()));
    }
    only(&ports, crate::summary::GUESS, evidence)
}

/// The README, whatever the case and ending of its name.
fn readme<'s>(scan: &'s Scan<'_>) -> Option<&'s str> {
    let is_readme = |path: &&str| {
        let name = path.split('.').next().unwrap_or_default();
        name.eq_ignore_ascii_case("readme") && path.matches('.').count() <= 1
    };
    let usual = scan.first(&["README.md"]);
    let other = || scan.root_with("").find(is_readme);
    let elsewhere = || scan.first(&[".github/README.md", "docs/README.md"]);
    usual.or_else(other).or_else(elsewhere)
}

fn in_commands<'p>(scan: &Scan<'_>, paths: impl IntoIterator<Item = &'p str>) -> Option<Fact<u16>> {
    let mut ports = BTreeSet::new();
    let mut evidence = None;
    for path in paths {
        let text = scan.text(path).unwrap_or_default();
        let mut rest: &str = &text;
        while let Some(at) = memchr::memmem::find(rest.as_bytes(), b"docker run") {
            let (line, after) = rest[at..].split_at(command_length(&rest[at..]));
            rest = after;
            let joined = line.replace("\\\r\n", " ").replace("\\\n", " ");
            let command = joined.trim_end_matches('\r');
            if IMAGES.iter().any(|image| command.contains(image)) {
                continue;
            }
            ports.extend(published(command));
            evidence.get_or_insert_with(|| {
                let why = format!("the docker run line of {path} publishes it");
                scan.evidence(path, "docker run", why)
            });
        }
    }
    only(&ports, 70, evidence)
}

/// How long a command is with the lines that it is continued on.
fn command_length(text: &str) -> usize {
    let mut ends = text.match_indices('\n').map(|(at, _)| at);
    let is_continued = |before: &str| before.ends_with('\\') || before.ends_with("\\\r");
    ends.find(|at| !is_continued(&text[..*at]))
        .unwrap_or(text.len())
}

/// The ports in the container that the command publishes.
fn published(command: &str) -> Vec<u16> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let values = words
        .windows(2)
        .filter(|pair| ["-p", "--publish"].contains(&pair[0]))
        .map(|pair| pair[1])
        .chain(words.iter().filter_map(|word| {
            word.strip_prefix("--publish=").or_else(|| {
                word.strip_prefix("-p")
                    .filter(|rest| rest.starts_with(|char: char| char.is_ascii_digit()))
            })
        }));
    values
        .filter_map(|value| {
            let value = value.trim_matches(['"', '\'', '`']);
            sound(value.rsplit(':').next()?.split('/').next()?)
        })
        .filter(|port| !OTHERS.contains(port))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn the_readme_says_the_port_in_the_container() {
        let port = |text: &str| {
            let tree = MemoryTree::new([("README.md", text)]);
            containers(&Scan::new(&tree)).map(|fact| fact.value)
        };
        assert_eq!(port("Run `docker run -p 80:3000 me/app`"), Some(3000));
        assert_eq!(
            port("docker run -d \\\n  --publish 127.0.0.1:80:4000/tcp me/app"),
            Some(4000)
        );
        assert_eq!(port("docker run -p 5432:5432 postgres"), None);
        assert_eq!(port("docker run -p 1:3000 a\ndocker run -p 1:3001 a"), None);
    }

    #[test]
    fn the_readme_starts_the_server_and_shows_its_address() {
        let found = |text: &str| {
            let tree = MemoryTree::new([("README.md", text)]);
            let scan = Scan::new(&tree);
            let port = |fact: Option<Fact<u16>>| fact.map(|fact| fact.value);
            (port(servers(&scan)), port(address(&scan)))
        };
        let command = "Run:\n\n    $ poetry run uvicorn a:b --host 127.0.0.1 --port 5001\n";
        assert_eq!(found(command), (Some(5001), None));
        assert_eq!(
            found("    uvicorn a:b --port 5001\n    uvicorn a:b --port 5002\n").0,
            None
        );
        assert_eq!(found("See uvicorn --port 5001"), (None, None));
        assert_eq!(
            found("Open <http://localhost:5230/>, then http://127.0.0.1:5230.").1,
            Some(5230)
        );
        assert_eq!(
            found("http://localhost:5230 and http://localhost:5231").1,
            None
        );
        assert_eq!(found("http://localhost:99999999 http://localhost:").1, None);
    }
}
