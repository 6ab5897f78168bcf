//! The port that what surrounds the app says: the script that its image starts with, Kubernetes manifests, the
//! `docker run` line of its README.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use devopser_core::model::report::{Evidence, Fact};

use super::{OTHERS, in_command, sound};
use crate::scan::{Scan, base_name, line_at, line_of};

/// Scripts that an image starts with (<https://docs.docker.com/build/building/best-practices/#entrypoint>).
pub(crate) const SCRIPTS: &[&str] = &[
    "docker-entrypoint.sh",
    "entrypoint.sh",
    "docker/docker-entrypoint.sh",
    "docker/entrypoint.sh",
    "bin/docker-entrypoint",
    "boot.sh",
    "bootstrap.sh",
    "start.sh",
    "startup.sh",
    "run.sh",
    "docker/start.sh",
    "scripts/entrypoint.sh",
    "scripts/start.sh",
];

/// Programs that listen.
const PROGRAMS: &[&str] = &[
    "bin/rails",
    "bundle",
    "daphne",
    "fastapi",
    "flask",
    "gunicorn",
    "hypercorn",
    "java",
    "next",
    "node",
    "php",
    "puma",
    "python",
    "python3",
    "rails",
    "streamlit",
    "uvicorn",
    "uwsgi",
    "waitress-serve",
];

/// The port of the server that such a script starts: one with a usual name, else one for a single environment
/// (`entrypoint-prod.sh`).
pub(crate) fn in_scripts(scan: &Scan<'_>) -> Option<Fact<u16>> {
    let usual = SCRIPTS.iter().copied().filter(|path| scan.has(path));
    let of_one = scan.root_with(".sh").filter(|path| {
        let is_for_developers = ["dev", "test", "local"]
            .iter()
            .any(|word| path.contains(word));
        ["entrypoint", "docker-entrypoint"]
            .iter()
            .any(|start| path.starts_with(start))
            && !is_for_developers
    });
    usual.chain(of_one).find_map(|path| {
        let text = scan.text(path)?;
        let (port, sign) = in_script(&text)?;
        let line = line_of(&text, &sign);
        let evidence = Evidence::line(path, line, "the start script of the image names it");
        Some(Fact::new(port, 85, evidence))
    })
}

/// The port of the last server that a script starts, and the first words of that line.
fn in_script(text: &str) -> Option<(u16, String)> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut found = None;
    for line in joined.lines().map(str::trim).take(500) {
        if let Some((name, value)) = assignment(line) {
            known.insert(name.to_owned(), expand(value, &known));
            continue;
        }
        let bare = line.strip_prefix("exec ").unwrap_or(line).trim_start();
        let program = base_name(bare.split_whitespace().next().unwrap_or_default());
        // One that reloads what it serves is for those who develop.
        if PROGRAMS.contains(&program)
            && !bare.contains("--reload")
            && let Some(port) = in_command(&expand(bare, &known))
        {
            found = Some((port, bare.split("  ").next().unwrap_or(bare).to_owned()));
        }
    }
    found
}

/// `NAME=value` on a line of its own.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line
        .strip_prefix("export ")
        .unwrap_or(line)
        .split_once('=')?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let value = value.trim().trim_matches(['"', '\'']);
    (is_name && !value.contains(' ')).then_some((name, value))
}

/// How long a line may become: values that name each other could grow without end.
const MAX_LINE: usize = 2000;

/// Fills in `$NAME`, `${NAME}` and `${NAME:-default}`; what is not known stays as it is.
fn expand(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        if out.len() > MAX_LINE {
            return out;
        }
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (inner, after) = if let Some(braced) = rest.strip_prefix('{') {
            match braced.split_once('}') {
                Some(parts) => parts,
                None => break,
            }
        } else {
            let end = rest
                .find(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
                .unwrap_or(rest.len());
            rest.split_at(end)
        };
        let (name, fallback) = inner
            .split_once(":-")
            .or_else(|| inner.split_once('-'))
            .map_or((inner, None), |(name, fallback)| (name, Some(fallback)));
        match known.get(name).map(String::as_str).or(fallback) {
            Some(value) => out.push_str(value),
            None => {
                out.push('$');
                out.push_str(name);
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Folders that hold Kubernetes manifests, and names that they have.
const FOLDERS: &[&str] = &[
    "k8s",
    "kubernetes",
    "kube",
    "deploy",
    "deployment",
    "deployments",
    "manifests",
    "config",
    "chart",
    "charts",
    "helm",
];
const MANIFESTS: &[&str] = &["deployment", "service", "app", "k8s", "kubernetes", "pod"];

/// `containerPort` of the manifests (<https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>),
/// where there is one; else the port of a service without a `targetPort`
/// (<https://kubernetes.io/docs/concepts/services-networking/service/#defining-a-service>).
pub(crate) fn in_manifests(scan: &Scan<'_>) -> Option<Fact<u16>> {
    let named = |path: &str| MANIFESTS.iter().any(|name| base_name(path).contains(name));
    let deep = crate::services::kubernetes::deep(scan);
    let near = scan
        .files(deep - 1)
        .filter(|path| named(path))
        .map(str::to_owned);
    let kept = scan
        .folders(deep)
        .filter(|folder| FOLDERS.contains(&base_name(folder)));
    let kept = kept.flat_map(|folder| scan.under(folder).take(100));
    let paths = near.chain(kept).filter(|path| {
        (path.ends_with(".yaml") || path.ends_with(".yml")) && path.matches('/').count() <= 3
    });
    let paths: BTreeSet<String> = paths.take(20).collect();
    let container = |line: &str| sound(line.split_once("containerPort:")?.1.trim());
    let found = in_lines(scan, &paths, container);
    if !found.is_empty() {
        return of_one_app(&found, "the container's port in the Kubernetes manifest");
    }
    // A service leads to the port of its own number where it names no other.
    let is_service = |text: &str| text.contains("kind: Service") && !text.contains("targetPort:");
    let is_of_services =
        |path: &&String| named(path) && scan.text(path).is_some_and(|text| is_service(&text));
    let paths = paths.iter().filter(is_of_services).cloned().collect();
    let service = |line: &str| {
        sound(
            line.trim_start_matches([' ', '-'])
                .strip_prefix("port:")?
                .trim(),
        )
    };
    let found = in_lines(scan, &paths, service);
    of_one_app(
        &found,
        "the port of the Kubernetes service, and so the container's",
    )
}

/// The ports that lines of the files name, with path and line.
fn in_lines(
    scan: &Scan<'_>,
    paths: &BTreeSet<String>,
    named: impl Fn(&str) -> Option<u16>,
) -> Vec<(String, u32, u16)> {
    let mut found = Vec::new();
    for path in paths {
        let text = scan.text(path).unwrap_or_default();
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(port) = named(line).filter(|port| !OTHERS.contains(port)) {
                found.push((path.clone(), number, port));
            }
        }
    }
    found
}

/// The port where there is one. Files of several names are of several apps.
fn of_one_app(found: &[(String, u32, u16)], why: &str) -> Option<Fact<u16>> {
    let (path, line, _) = found.first()?;
    let names: BTreeSet<&str> = found.iter().map(|(path, ..)| base_name(path)).collect();
    let ports = found.iter().map(|(_, _, port)| *port).collect();
    let evidence = Evidence::line(path.as_str(), Some(*line), why);
    only(&ports, 75, Some(evidence)).filter(|_| names.len() == 1)
}

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
pub(crate) fn in_readme(scan: &Scan<'_>) -> Option<Fact<u16>> {
    in_commands(scan, readme(scan))
}

/// The same in the scripts of `package.json` and the Makefile, which may be out of date more easily.
pub(crate) fn in_scripts_of_developers(scan: &Scan<'_>) -> Option<Fact<u16>> {
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
pub(crate) fn in_readme_commands(scan: &Scan<'_>) -> Option<Fact<u16>> {
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
pub(crate) fn in_readme_address(scan: &Scan<'_>) -> Option<Fact<u16>> {
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

/// The fact where there is one port and no other.
fn only(ports: &BTreeSet<u16>, confidence: u8, evidence: Option<Evidence>) -> Option<Fact<u16>> {
    let port = ports.first().filter(|_| ports.len() == 1)?;
    Some(Fact::new(*port, confidence, evidence?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn start_scripts_are_read_with_their_variables() {
        let script = "#!/bin/sh\nHOST=\"${HOST:-[::]}\"\nAPP_PORT=${APP_PORT:-9090}\nexec uwsgi --http $HOST:$APP_PORT uwsgi.ini\n";
        assert_eq!(in_script(script).map(|found| found.0), Some(9090));
        let script = "exec gunicorn 'a:b()' \\\n  --bind '0.0.0.0:8001' \\\n  --workers $N\n";
        assert_eq!(in_script(script).map(|found| found.0), Some(8001));
        assert_eq!(in_script("gunicorn a:b --bind 0.0.0.0:$PORT"), None);
        assert_eq!(in_script("echo --port 9999"), None);
        let doubling = "A=x\n".to_owned() + &"A=$A$A\n".repeat(400) + "node $A --port 4000\n";
        assert_eq!(in_script(&doubling).map(|found| found.0), Some(4000));
    }

    #[test]
    fn the_readme_says_the_port_in_the_container() {
        let port = |text: &str| {
            let tree = MemoryTree::new([("README.md", text)]);
            in_readme(&Scan::new(&tree)).map(|fact| fact.value)
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
            (
                port(in_readme_commands(&scan)),
                port(in_readme_address(&scan)),
            )
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
