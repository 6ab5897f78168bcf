//! The path that says whether the app is well, as its authors tell a platform, their Dockerfile or a compose file.
//! None where they name `/`, which is asked anyhow.

use devopser_core::model::report::{Detection, Evidence, Fact};
use serde_json::Value;

use crate::COMPOSE;
use crate::scan::{Scan, platform};
use crate::stack::dockerfile::NAMES;

/// Sets the path of a server.
pub(crate) fn settle(scan: &Scan<'_>, into: &mut Detection) {
    if into.is_static.as_ref().is_some_and(|fact| fact.value) {
        return;
    }
    let port = into.port.as_ref().map(|fact| fact.value);
    into.health_path = platform::health(scan)
        .or_else(|| in_dockerfile(scan, port))
        .or_else(|| in_compose(scan, port));
}

/// What a health check fetches (<https://docs.docker.com/reference/dockerfile/#healthcheck>).
fn in_dockerfile(scan: &Scan<'_>, port: Option<u16>) -> Option<Fact<String>> {
    let path = scan.first(NAMES)?;
    let file = scan.dockerfile(path)?;
    let checks = file.instructions.iter().rev();
    let check = checks
        .into_iter()
        .find(|one| one.keyword == "HEALTHCHECK")?;
    let exposed = file.exposed().map(|(port, _)| port);
    let fetched = fetched(&check.rest, exposed.or(port))?;
    let evidence = Evidence::line(path, Some(check.line), "its health check fetches it");
    Some(Fact::new(fetched, 92, evidence))
}

/// What the health check of the only service fetches that is built from this folder
/// (<https://docs.docker.com/reference/compose-file/services/#healthcheck>).
fn in_compose(scan: &Scan<'_>, port: Option<u16>) -> Option<Fact<String>> {
    let path = scan.first(COMPOSE)?;
    // Most have none, and to read the whole file costs more than to look for the word.
    scan.text(path)
        .filter(|text| text.contains("healthcheck:"))?;
    let value = scan.yaml(path)?;
    let services = value.get("services")?.as_object()?;
    let mut here = services.values().filter(|service| builds_here(service));
    let only = here.next().filter(|_| here.next().is_none())?;
    let command = match only.pointer("/healthcheck/test")? {
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            words.join(" ")
        }
        other => other.as_str()?.to_owned(),
    };
    let fetched = fetched(&command, port)?;
    let evidence = scan.evidence(path, &fetched, "the health check of its service fetches it");
    Some(Fact::new(fetched, 88, evidence))
}

fn builds_here(service: &Value) -> bool {
    let context = match service.get("build") {
        Some(Value::String(context)) => context,
        Some(build) => build.get("context").and_then(Value::as_str).unwrap_or("."),
        None => return false,
    };
    [".", "./"].contains(&context)
}

/// The path of the first address of this host in a command; another port than the app's is of something else.
pub(crate) fn fetched(command: &str, port: Option<u16>) -> Option<String> {
    let mut rest = command;
    while let Some((before, after)) = rest.split_once("://") {
        rest = after;
        if !before.ends_with("http") {
            continue;
        }
        let end = after.find(|char: char| char.is_whitespace() || "\"'`;|)>,".contains(char));
        let address = &after[..end.unwrap_or(after.len())];
        let (host, path) = match address.find('/') {
            Some(at) => address.split_at(at),
            None => (address, "/"),
        };
        let (host, asked) = match host.strip_prefix("[::1]") {
            Some(rest) => ("localhost", rest),
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        let is_here = ["localhost", "127.0.0.1", "0.0.0.0"].contains(&host);
        let asked = asked.trim_start_matches(':');
        // One that a variable names is the app's.
        let is_of_app = match asked.parse::<u16>() {
            Ok(asked) => port == Some(asked),
            Err(_) => asked.is_empty() || asked.starts_with('$'),
        };
        if is_here && is_of_app {
            return sound(path);
        }
    }
    None
}

/// A path that can be asked for as it stands, and is not `/`.
pub(crate) fn sound(path: &str) -> Option<String> {
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~%?=&".contains(&byte);
    let path = path.trim();
    (path.len() > 1 && path.len() <= 200 && path.starts_with('/') && path.bytes().all(is_sound))
        .then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn the_address_of_a_check_is_its_own_hosts() {
        for (command, wanted) in [
            (
                "CMD curl -f http://localhost:3000/healthz || exit 1",
                Some("/healthz"),
            ),
            (
                "wget -qO- \"http://127.0.0.1:${PORT:-3000}/_health\"",
                Some("/_health"),
            ),
            (
                "[\"CMD\", \"curl\", \"-f\", \"http://[::1]:$PORT/up?full=1\"]",
                Some("/up?full=1"),
            ),
            ("CMD curl http://localhost/health.php;", Some("/health.php")),
            // Another server of the same container, another host, the front page, a variable.
            ("CMD curl -f http://localhost:2019/metrics", None),
            ("CMD curl -f http://example.com/health", None),
            ("CMD curl -f http://localhost:3000/", None),
            ("CMD curl -f http://localhost:3000", None),
            ("CMD curl -f http://localhost:3000$BASE/health", None),
            ("CMD curl -fk https://localhost:3000/health", None),
            ("CMD pg_isready", None),
        ] {
            assert_eq!(fetched(command, Some(3000)).as_deref(), wanted, "{command}");
        }
    }

    #[test]
    fn the_check_of_the_only_service_that_is_built_here_counts() {
        let of = |text: &str| {
            let tree = MemoryTree::new([("compose.yaml", text)]);
            in_compose(&Scan::new(&tree), Some(8080)).map(|fact| fact.value)
        };
        let one = "services:\n  web:\n    build: .\n    healthcheck: {test: [CMD, curl, 'http://localhost:8080/ping']}\n  db:\n    image: postgres\n    healthcheck: {test: 'curl http://localhost:8080/no'}\n";
        assert_eq!(of(one).as_deref(), Some("/ping"));
        let two = format!("{one}  worker:\n    build: {{context: ./}}\n");
        assert_eq!(of(&two), None);
        assert_eq!(of("services: [1]\n"), None);
    }
}
