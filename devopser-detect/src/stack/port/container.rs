//! The port that what surrounds the app says: the script that its image starts with, and Kubernetes manifests.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use devopser_core::model::report::{Evidence, Fact};

use super::{OTHERS, in_command, only, sound};
use crate::scan::{Scan, base_name, line_of};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
