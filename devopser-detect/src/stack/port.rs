//! The port that an app listens on when nobody sets `PORT`: what its own files say, else the usual one.

use std::sync::LazyLock;

use devopser_core::model::report::{Evidence, Fact};
use regex::Regex;

use super::node::frameworks::Framework;
use crate::scan::node::Package;
use crate::scan::{Scan, code, line_at, procfile};

/// The usual port of a stack or framework.
pub(crate) fn default(port: u16, of: &str) -> Fact<u16> {
    Fact::new(
        port,
        50,
        Evidence::file("", format!("the usual port of {of}")),
    )
}

/// A literal pattern over ASCII classes. It always compiles: the tests use every one.
pub(crate) fn pattern(text: &str) -> Option<Regex> {
    Regex::new(&format!("(?-u){text}")).ok()
}

static IN_COMMAND: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r#"(?:--port[= ]|--server\.port[= ]|(?:^|\s)-p[= ]?|--bind[= ][\w.\[\]]*:|-b[= ][\w.\[\]]*:|PORT=|0\.0\.0\.0:|127\.0\.0\.1:|localhost:|\$\{PORT:-)(\d{2,5})\b"#,
    )
});

static IN_SOURCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(concat!(
        r#"(?:process\.env\.\w*PORT\w*|Bun\.env\.PORT|Deno\.env\.get\(["']PORT["']\)|env\.PORT|\bPORT)\s*(?:\|\||\?\?)\s*["']?(\d{2,5})\b"#,
        r#"|\.listen\(\s*\{?\s*(?:port:\s*)?["']?(\d{2,5})\b"#,
        r#"|ListenAndServe(?:TLS)?\(\s*"[\w.]*:(\d{2,5})""#,
        r#"|\.(?:Run|Start|Listen)\(\s*"[\w.]*:(\d{2,5})""#,
        r#"|(?i:\bport)["']?\s*(?::|=|:=)\s*(?:int\s*=\s*)?["']?:?(\d{2,5})\b"#,
        r#"|(?:environ\.get|getenv|ENV\.fetch|env::var)\(\s*["']PORT["']\s*,\s*["']?(\d{2,5})"#,
        r#"|ENV\.fetch\(\s*["']PORT["']\s*\)\s*\{\s*["']?(\d{2,5})"#,
        r#"|(?i:default_?port|http_?port|server_?port|listen_?port|app_?port|api_?port|PORT)["']?\s*(?::|=|:=)\s*["']?:?(\d{2,5})\b"#,
        r#"|\bport\(\s*(\d{2,5})\s*\)"#,
        r#"|["']port["']\s*,\s*(?:["']p["']\s*,\s*)?["']?:?(\d{2,5})\b"#,
        r#"|\bport\s*=\s*int\([\w(). "',/\[\]]{0,60}?(\d{2,5})"#,
        r#"|(?:bind|serve|from)\(\s*\(?\s*(?:\[?"?(?:0|127)[.,\s]*0[.,\s]*0[.,\s]*[01]"?\]?)\s*[:,]\s*(\d{2,5})"#,
        r#"|["'](?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::\])?:(\d{4,5})["']"#,
    ))
});

/// The port that a command line names.
pub(crate) fn in_command(command: &str) -> Option<u16> {
    let found = IN_COMMAND.as_ref()?.captures(command)?;
    sound(found.get(1)?.as_str())
}

fn sound(digits: &str) -> Option<u16> {
    digits
        .parse()
        .ok()
        .filter(|port| *port == 80 || *port == 443 || *port >= 1000)
}

/// Ports of servers that an app talks to, not its own.
const OTHERS: &[u16] = &[
    5432, 3306, 6379, 27017, 9092, 5672, 1433, 11211, 9200, 587, 465, 1025, 2525, 443, 4317, 4318,
    8125, 2181, 6831, 9411,
];

/// The port that source files name.
pub(crate) fn in_sources(scan: &Scan<'_>, paths: &[&str]) -> Option<Fact<u16>> {
    let regex = IN_SOURCE.as_ref()?;
    for path in paths {
        let Some(text) = scan.text(path) else {
            continue;
        };
        for found in regex.captures_iter(&text).take(50) {
            let Some(number) = found.iter().skip(1).flatten().next() else {
                continue;
            };
            let Some(port) = sound(number.as_str()).filter(|port| !OTHERS.contains(port)) else {
                continue;
            };
            let line = text[..number.start()].rfind('\n').map_or(0, |at| at + 1);
            if ["//", "#", "*"]
                .iter()
                .any(|mark| text[line..].trim_start().starts_with(mark))
            {
                continue;
            }
            let evidence = Evidence::line(
                *path,
                line_at(&text, number.start()),
                format!("listens on {port}"),
            );
            return Some(Fact::new(port, 80, evidence));
        }
    }
    None
}

/// `PORT=` in the examples of the environment.
pub(crate) fn in_env_example(scan: &Scan<'_>) -> Option<Fact<u16>> {
    for path in super::databases::ENV_FILES {
        let Some(text) = scan.text(path) else {
            continue;
        };
        for (index, line) in text.lines().enumerate() {
            let Some((name, value)) = line.trim().trim_start_matches("export ").split_once('=')
            else {
                continue;
            };
            if ["PORT", "APP_PORT", "SERVER_PORT", "HTTP_PORT"].contains(&name.trim()) {
                let port = sound(
                    value
                        .trim()
                        .trim_matches(['"', '\''])
                        .split_whitespace()
                        .next()
                        .unwrap_or_default(),
                );
                if let Some(port) = port.filter(|port| !OTHERS.contains(port)) {
                    return Some(Fact::new(
                        port,
                        80,
                        Evidence::line(
                            *path,
                            u32::try_from(index + 1).ok(),
                            "the example of the environment",
                        ),
                    ));
                }
            }
        }
    }
    None
}

/// The port of a Node.js server.
pub(crate) fn of_node(scan: &Scan<'_>, package: &Package, row: Option<&Framework>) -> Fact<u16> {
    if let Some(web) = procfile::process(scan, "web")
        && let Some(port) = in_command(&web.value)
    {
        return Fact {
            value: port,
            confidence: 90,
            evidence: web.evidence,
        };
    }
    for name in ["start:prod", "start:production", "start"] {
        if let Some(port) = package.script(name).and_then(in_command) {
            return Fact::new(
                port,
                90,
                scan.in_package(name, format!("the {name} script names it")),
            );
        }
    }
    if let Some(fact) = in_env_example(scan) {
        return fact;
    }
    let own = super::node::commands::runs_own_program(scan, package);
    let settled = row.is_some_and(|row| row.start.is_some() && row.id != "nest") && !own;
    if !settled {
        let files = code::sources(scan, &[".js", ".ts", ".mjs", ".cjs", ".mts", "bin/www"], 2);
        let (mut first, rest): (Vec<&str>, Vec<&str>) = files.into_iter().partition(|path| {
            ["server.", "index.", "app.", "main.", "www", "config."]
                .iter()
                .any(|stem| crate::scan::base_name(path).starts_with(stem))
        });
        first.extend(
            rest.into_iter()
                .filter(|path| !path.contains("public/") && !path.contains("static/"))
                .take(30),
        );
        if let Some(fact) = in_sources(scan, &first) {
            return fact;
        }
    }
    row.and_then(|row| Some(default(row.port?, row.id)))
        .unwrap_or_else(|| default(3000, "Node.js servers"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn patterns_compile_and_find() {
        assert!(IN_COMMAND.is_some() && IN_SOURCE.is_some());
        for (command, port) in [
            ("next start -p 8080", 8080),
            ("gunicorn a --bind 0.0.0.0:9000", 9000),
            ("PORT=4000 node x", 4000),
            ("uvicorn a:b --port 80", 80),
            ("x ${PORT:-5000}", 5000),
        ] {
            assert_eq!(in_command(command), Some(port), "{command}");
        }
        for (text, port) in [
            ("const port = process.env.PORT || 3001;", 3001),
            ("app.listen(8081)", 8081),
            ("http.ListenAndServe(\":9090\", nil)", 9090),
            ("app.run(host='0.0.0.0', port=5001)", 5001),
            ("port = int(os.environ.get('PORT', 5002))", 5002),
            ("HttpServer::new(x).bind((\"127.0.0.1\", 8088))", 8088),
            ("let PORT = process.env.PORT ?? '4444'", 4444),
            ("server.bind(\"0.0.0.0:7777\")", 7777),
            ("port ENV.fetch(\"PORT\") { 3003 }", 3003),
            ("Deno.serve({ port: 8000 }, x)", 8000),
        ] {
            let tree = MemoryTree::new([("a", text)]);
            assert_eq!(
                in_sources(&Scan::new(&tree), &["a"]).map(|fact| fact.value),
                Some(port),
                "{text}"
            );
        }
    }

    #[test]
    fn other_servers_and_comments_are_not_its_own() {
        let tree = MemoryTree::new([(
            "a",
            "// port = 3001\nredis_port = 6379\nx.createClient({ port: 6379 })",
        )]);
        assert_eq!(in_sources(&Scan::new(&tree), &["a"]), None);
    }
}
