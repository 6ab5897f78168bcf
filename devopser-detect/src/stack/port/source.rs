//! The port that source files and settings name.

use std::sync::LazyLock;

use devopser_core::model::report::{Evidence, Fact};
use regex::Regex;

use super::{OTHERS, pattern, sound};
use crate::scan::{Scan, line_at};

/// The default beside the environment's `PORT`: what every platform sets, so surely the app's own port.
const OF_ENVIRONMENT: &[&str] = &[
    r#"(?:process\.env\.\w*PORT\w*|Bun\.env\.PORT|Deno\.env\.get\(["']PORT["']\)|env\.PORT|\bPORT)[)!]{0,3}(?:\s*,\s*10\s*\))?\s*(?:\|\||\?\?|,)\s*["'`]?(\d{2,5})\b"#,
    r#"\.get(?:OrThrow)?(?:<\w+>)?\(\s*["'](?:\w+\.)?(?:PORT|port)["']\s*\)\s*(?:\|\||\?\?)\s*["']?(\d{2,5})\b"#,
    r#"["']PORT["']\s*\]?\)?\s*(?:,|\|\||\?\?|\bor\b)\s*["']?(\d{2,5})\b"#,
    r#"ENV\.fetch\(\s*["']PORT["']\s*\)\s*\{\s*["']?(\d{2,5})"#,
    r#"env::var\(\s*"PORT"\s*\)[\w\s().:|<>"?&]{0,160}?(?:unwrap_or|map_or)\w*\([\w\s()|&"]{0,30}?"?(\d{2,5})"#,
    r#"getenv\(\s*"PORT"\s*\)[\w ().="!?]{0,120}?:\s*"?(\d{4,5})\b"#,
    r#"env:"(?:\w+_)?PORT\b[\w ",=:]{0,60}?[dD]efault[=:]"?(\d{2,5})"#,
];

/// Other ways to say where a server listens.
const OTHERWISE: &[&str] = &[
    r#"\.listen\(\s*\{?\s*(?:port:\s*)?["']?(\d{2,5})\b"#,
    r#"ListenAndServe(?:TLS)?\(\s*"[\w.]*:(\d{2,5})""#,
    r#"\.(?:Run|Start|Listen)\(\s*"[\w.]*:(\d{2,5})""#,
    r#"(?i:\bport)["']?\s*(?::|=|:=)\s*(?:int\s*=\s*)?["']?:?(\d{2,5})\b"#,
    r#"(?i:default_?port|http_?port|server_?port|listen_?port|app_?port|api_?port|PORT)["']?\s*(?::|=|:=)\s*["']?:?(\d{2,5})\b"#,
    r#"\bport\(\s*(\d{2,5})\s*\)"#,
    r#"long:"(?:listen|port)"[\w :".,'-]{0,120}?default:"(\d{2,5})""#,
    r#"InetSocketAddress\(\s*(?:"[\w.]*"\s*,\s*)?(\d{2,5})\s*\)"#,
    r#"["']port["']\s*,\s*(?:["']p["']\s*,\s*)?["']?:?(\d{2,5})\b"#,
    r#"\bport\s*=\s*int\([\w(). "',/\[\]]{0,60}?(\d{2,5})"#,
    r#"(?:bind|serve|from)\(\s*\(?\s*(?:\[?"?(?:0|127)[.,\s]*0[.,\s]*0[.,\s]*[01]"?\]?)\s*[:,]\s*(\d{2,5})"#,
    r#"["'](?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::\])?:(\d{4,5})["']"#,
];

static IN_SOURCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let all: Vec<&str> = OF_ENVIRONMENT.iter().chain(OTHERWISE).copied().collect();
    pattern(&format!("(?:{})", all.join("|")))
});

/// Words in a name that make a port that of something else: a metrics endpoint, a debugger, another server.
const ASIDE: &[&str] = &[
    "metric",
    "debug",
    "smtp",
    "mail",
    "database",
    "db_",
    "dbport",
    "redis",
    "mongo",
    "postgres",
    "pg_",
    "mysql",
    "rabbit",
    "kafka",
    "hmr",
    "ldap",
    "statsd",
    "otel",
    "jaeger",
    "inspector",
    "livereload",
];

/// The port that source files name: in each file what stands beside `PORT` goes before other numbers.
pub(crate) fn in_sources(scan: &Scan<'_>, paths: &[&str]) -> Option<Fact<u16>> {
    paths.iter().find_map(|path| in_source(scan, path))
}

fn in_source(scan: &Scan<'_>, path: &str) -> Option<Fact<u16>> {
    let text = scan.text(path)?;
    if !may_name(&text) {
        return None;
    }
    let mut other = None;
    for found in IN_SOURCE.as_ref()?.captures_iter(&text).take(50) {
        let number = found
            .iter()
            .enumerate()
            .skip(1)
            .find_map(|(index, group)| Some((index, group?)));
        let Some((index, number)) = number else {
            continue;
        };
        let Some(port) = sound(number.as_str()).filter(|port| !OTHERS.contains(port)) else {
            continue;
        };
        if is_aside(&text, number.start()) {
            continue;
        }
        let evidence = Evidence::line(
            path,
            line_at(&text, number.start()),
            format!("listens on {port}"),
        );
        let fact = Fact::new(port, 80, evidence);
        if index <= OF_ENVIRONMENT.len() {
            return Some(fact);
        }
        other.get_or_insert(fact);
    }
    other
}

/// Words of which one stands before every number that the pattern finds, unless a colon does.
const NEAR: &[&str] = &[
    "port", "listen", "run(", "start(", "address(", "bind(", "serve(", "from(",
];

/// How far before the number they stand at most.
const REACH: usize = 256;

/// Whether a text has a number that can be a port with one of those words before it: a cheap test that spares most
/// files the pattern. Only four or more digits count, and `80`.
fn may_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut start, mut looked_at) = (0, 0);
    for end in 0..=bytes.len() {
        if bytes.get(end).is_some_and(u8::is_ascii_digit) {
            continue;
        }
        let digits = &bytes[start..end];
        if digits.len() > 3 || digits == b"80" {
            looked_at += 1;
            if looked_at > 100 || is_near(&bytes[start.saturating_sub(REACH)..start]) {
                return true;
            }
        }
        start = end + 1;
    }
    false
}

fn is_near(before: &[u8]) -> bool {
    let text = String::from_utf8_lossy(before).to_ascii_lowercase();
    text.ends_with(':') || NEAR.iter().any(|word| text.contains(word))
}

/// Whether the number stands in a comment or belongs to something else.
fn is_aside(text: &str, at: usize) -> bool {
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let before = &text[start..at];
    if ["//", "#", "*"]
        .iter()
        .any(|mark| before.trim_start().starts_with(mark))
    {
        return true;
    }
    let cut = before.len().saturating_sub(40);
    let near = before
        .char_indices()
        .find(|(index, _)| *index >= cut)
        .map_or(before, |(index, _)| &before[index..])
        .to_ascii_lowercase();
    ASIDE.iter().any(|word| near.contains(word))
}

/// Whether the pattern is one.
#[cfg(test)]
pub(super) fn compiles() -> bool {
    IN_SOURCE.is_some()
}
