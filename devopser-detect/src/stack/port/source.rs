//! The port that source files and settings name.

use std::ops::Range;
use std::sync::LazyLock;

use devopser_core::model::report::{Evidence, Fact};

use super::{OTHERS, sound};
use crate::scan::pattern::Patterns;
use crate::scan::{Scan, code, line_at};

/// The default beside the environment's `PORT`: what every platform sets, so surely the app's own port.
const OF_ENVIRONMENT: &[&str] = &[
    r#"(?:process\.env\.\w*PORT\w*|Bun\.env\.PORT|Deno\.env\.get\(["']PORT["']\)|env\.PORT|\bPORT)[)!]{0,3}(?:\s*,\s*10\s*\))?\s*(?:\|\||\?\?|,)\s*(?:\(?\s*process\.env\.NODE_ENV\s*(?:!==?\s*["']dev\w*|===?\s*["']prod\w*)["']\s*\?\s*)?["'`]?(\d{2,5})\b"#,
    r#"\.get(?:OrThrow)?(?:<\w+>)?\(\s*["'](?:\w+\.)?(?:PORT|port)["']\s*\)\s*(?:\|\||\?\?)\s*["']?(\d{2,5})\b"#,
    r#"["']PORT["']\s*\]?\)?\s*(?:,|\|\||\?\?|\bor\b)\s*["']?(\d{2,5})\b"#,
    r#"ENV\.fetch\(\s*["']PORT["']\s*\)\s*\{\s*["']?(\d{2,5})"#,
    r#"env::var\(\s*"PORT"\s*\)[\w\s().:|<>"?&]{0,160}?(?:unwrap_or|map_or)\w*\([\w\s()|&"]{0,30}?"?(\d{2,5})"#,
    r#"getenv\(\s*"PORT"\s*\)[\w ().="!?]{0,120}?:\s*"?(\d{4,5})\b"#,
    r#"env:"(?:\w+_)?PORT\b[\w ",=:]{0,60}?[dD]efault[=:]"?(\d{2,5})"#,
    r#"env\s*=\s*"(?:\w+_)?PORT"[\w\s=,"]{0,60}?default_value(?:_t)?\s*=\s*"?(\d{2,5})\b"#,
    r#"\bdefault:\s*["']?(\d{2,5})["']?,[\w\s:'",]{0,60}?\benv:\s*["']PORT["']"#,
    r#"\bPORT["']?:\s*\w+(?:\.[\w.()]{0,80}?default\(|\(\{\s*default:)\s*["']?(\d{2,5})\b"#,
];

/// Other ways to say where a server listens.
const OTHERWISE: &[&str] = &[
    r#"\.listen\(\s*\{?\s*(?:port:\s*)?["']?(\d{2,5})\b"#,
    r#"ListenAndServe(?:TLS)?\(\s*"[\w.]*:(\d{2,5})""#,
    r#"\.(?:Run|Start|Listen)\(\s*"[\w.]*:(\d{2,5})""#,
    r#"(?i:\bport)["']?\s*(?::|=|:=)\s*(?:(?:int|u16)\s*=\s*)?["']?:?(\d{2,5})\b"#,
    r#"(?:(?i:default_?port|http_?port|server_?port|listen_?port|app_?port|api_?port|web_?port|backend_?port)|PORT)["']?\s*(?::|=|:=)\s*(?:(?:int|u16)\s*=\s*)?["']?:?(\d{2,5})\b"#,
    r#"\bport\(\s*(\d{2,5})\s*\)"#,
    r#"\bset[\s(]+:port\s*,\s*(\d{2,5})\b"#,
    r#"\.run\(\s*\(\s*\[[0,\s]{1,30}\]\s*,\s*(\d{2,5})\s*\)"#,
    r#"long:"(?:listen|port)"[\w :".,'-]{0,120}?default:"(\d{2,5})""#,
    r#"InetSocketAddress\(\s*(?:"[\w.]*"\s*,\s*)?(\d{2,5})\s*\)"#,
    r#"(?:getenv|environ\.get|get_env_var|get_env|get_or_default)\(\s*["']\w{1,30}_PORT["']\s*,\s*["']?(\d{2,5})\b"#,
    r#"(?:Port|PORT)["']?:\s*\w+\.[\w.()]{0,80}?default\(\s*["']?(\d{2,5})\b"#,
    r#"Name:\s*"(?:server-|http-|listen-)?(?:addr|address|port|listen)",[\w\s:.,(){}"'&/-]{0,240}?Value:\s*"?[\w.]*:?(\d{2,5})\b"#,
    r#"["']port["']\s*,\s*(?:["']p["']\s*,\s*)?["']?:?(\d{2,5})\b"#,
    r#"\b(?:HTTP|Http|Server|Listen|Web|API)?(?:Port|Host|Addr)\s+\w+\s+`[\w :"=,-]{0,60}?default[:=]"?(?:[\d.]{0,15}:)?(\d{2,5})\b"#,
    r#"["'](?:port|p)["']\s*,\s*\{[\w\s:'",.()-]{0,160}?\bdefault:\s*(\d{2,5})\b"#,
    r#"["']--port["'][\w\s,="'.:()]{0,80}?\bdefault\s*=\s*["']?(\d{2,5})\b"#,
    r#"(?:clap|arg)\([\w\s,="'-]{0,80}?\bdefault_value(?:_t)?\s*=\s*"?(\d{2,5})"?\s*(?:,\s*env\s*)?\)\]\s*(?:pub\s+)?(?:http_|listen_|server_|web_)?port\s*:"#,
    r#"\bdefault\s*=\s*"?(\d{2,5})"?\s*\)\]\s*(?:pub\s+)?(?:http_|listen_|server_|web_)port\s*:"#,
    r#"\bport\s*=\s*int\([\w(). "',/\[\]]{0,60}?(\d{2,5})"#,
    r#"(?:bind|serve|from)\(\s*\(?\s*(?:\[?"?(?:0|127)[.,\s]*0[.,\s]*0[.,\s]*[01]"?\]?)\s*[:,]\s*(\d{2,5})"#,
    r#"["'](?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::\])?:(\d{4,5})["']"#,
];

static IN_SOURCE: LazyLock<Option<Patterns>> =
    LazyLock::new(|| Patterns::new(&[OF_ENVIRONMENT, OTHERWISE].concat()));

/// Words in a name that make a port that of something else: a metrics endpoint, another server.
pub(super) const ASIDE: &[&str] = &[
    "metric",
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
    "pydevd",
    "debugpy",
    "livereload",
    "minport",
    "min_port",
    "maxport",
    "max_port",
];

/// The port that source files name: in each file what stands beside `PORT` goes before other numbers.
pub(crate) fn in_sources(scan: &Scan<'_>, paths: &[&str]) -> Option<Fact<u16>> {
    let mut found = paths.iter().filter_map(|path| in_source(scan, path));
    found.next().map(|(fact, _)| fact)
}

/// The port that sources name: those with a usual name first, the nearest before the others, then the rest. Among those
/// with a usual name, what stands beside the environment's `PORT` goes before other numbers. What lies
/// deeper is only listed where nothing nearer names one.
pub(crate) fn nearest<'t>(
    scan: &Scan<'_>,
    sources: impl Iterator<Item = &'t str>,
    is_usual: impl Fn(&str) -> bool,
) -> Option<Fact<u16>> {
    let mut rest = Vec::new();
    let mut other: Option<(usize, Fact<u16>)> = None;
    for path in sources {
        let depth = path.matches('/').count();
        if other.as_ref().is_some_and(|(known, _)| *known < depth) {
            break;
        }
        if !is_usual(path) {
            rest.push(path);
        } else if let Some((found, of_environment)) = in_source(scan, path) {
            if of_environment {
                return Some(found);
            }
            other.get_or_insert((depth, found));
        }
    }
    let other = other.map(|(_, found)| found);
    other.or_else(|| in_sources(scan, &rest))
}

/// The port in files that are called like settings, however deep they lie.
pub(crate) fn in_settings(
    scan: &Scan<'_>,
    names: &'static [&'static str],
    depth: usize,
) -> Option<Fact<u16>> {
    nearest(scan, code::named(scan, names, depth), |_| true)
}

/// The port, and whether it stands beside the environment's `PORT`.
fn in_source(scan: &Scan<'_>, path: &str) -> Option<(Fact<u16>, bool)> {
    let text = scan.text(path)?;
    let text = without_tests(path, &text);
    let mut other = None;
    for number in numbers(text.as_bytes()).take(MAX_NUMBERS) {
        let from = number.start.saturating_sub(REACH);
        let (start, end) = (number.start, number.end + BEHIND);
        if !is_near(&text.as_bytes()[from..start]) {
            continue;
        }
        let Some(port) = sound(text.get(number)?).filter(|port| !OTHERS.contains(port)) else {
            continue;
        };
        let around = &text[..text.floor_char_boundary(end)];
        let mut found = IN_SOURCE.as_ref()?.from(around, from);
        let Some(found) = found.find(|found| found.group(0).is_some_and(|at| at.start == start))
        else {
            continue;
        };
        if is_aside(text, start) || is_redirect(text, port) || is_for_one(text, start) {
            continue;
        }
        let evidence = Evidence::line(path, line_at(text, start), format!("listens on {port}"));
        let fact = Fact::new(port, 80, evidence);
        if found.which < OF_ENVIRONMENT.len() {
            return Some((fact, true));
        }
        other.get_or_insert(fact);
    }
    Some((other?, false))
}

/// A file of Rust without the unit tests at its end
/// (<https://doc.rust-lang.org/book/ch11-03-test-organization.html#unit-tests>).
fn without_tests<'t>(path: &str, text: &'t str) -> &'t str {
    let tests = path
        .ends_with(".rs")
        .then(|| memchr::memmem::find(text.as_bytes(), b"\n#[cfg(test)]\nmod "));
    tests.flatten().map_or(text, |at| &text[..at])
}

/// Words of which one stands before every number that the patterns find, unless a colon does.
const NEAR: &[&str] = &[
    "port", "listen", "run(", "start(", "address(", "bind(", "serve(", "from(", "default",
];

/// How far before the number they stand at most.
const REACH: usize = 256;

/// How much behind the number a pattern looks at.
const BEHIND: usize = 80;

/// How many numbers of a file are looked at.
const MAX_NUMBERS: usize = 400;

/// How many bytes are looked at together: where none is a digit, they are passed over.
const TOGETHER: usize = 32;

/// Where the numbers are that can be a port: those of four or more digits, and `80`.
fn numbers(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            let ahead = &text[at..text.len().min(at + TOGETHER)];
            let any = ahead
                .iter()
                .fold(false, |any, byte| any | byte.is_ascii_digit());
            let first = any
                .then(|| ahead.iter().position(u8::is_ascii_digit))
                .flatten();
            let Some(first) = first else {
                at += TOGETHER;
                continue;
            };
            let start = at + first;
            let digits = text[start..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit());
            at = start + digits.count();
            if at - start > 3 || &text[start..at] == b"80" {
                return Some(start..at);
            }
        }
        None
    })
}

fn is_near(before: &[u8]) -> bool {
    let text = before.to_ascii_lowercase();
    let mut words = NEAR.iter();
    text.ends_with(b":") || words.any(|word| memchr::memmem::find(&text, word.as_bytes()).is_some())
}

/// Whether it is the side of plain HTTP of a server that speaks HTTPS itself: that one only leads to the other.
fn is_redirect(text: &str, port: u16) -> bool {
    port == 80 && text.contains(":443\"")
}

/// Whether the address before it in the same call is the machine's own: that server is for those who develop.
fn is_for_one(text: &str, at: usize) -> bool {
    let call = text[..at].rfind('(').map_or(at, |open| open + 1);
    let before = text.get(call..at).unwrap_or_default();
    before.ends_with("port=") && before.contains("host=\"127.0.0.1\"")
}

/// Whether the number stands in a comment or belongs to something else.
fn is_aside(text: &str, at: usize) -> bool {
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let before = &text[start..at];
    let line = before.trim_start();
    // An attribute of Rust is no comment.
    let is_comment = ["//", "#", "*", ">>>"]
        .iter()
        .any(|mark| line.starts_with(mark));
    if is_comment && !line.starts_with("#[") {
        return true;
    }
    let cut = before.len().saturating_sub(40);
    let near = before
        .char_indices()
        .find(|(index, _)| *index >= cut)
        .map_or(before, |(index, _)| &before[index..])
        .to_ascii_lowercase();
    // `debug=True, port=5001` is one server's.
    let argument = near.rsplit(',').next().unwrap_or_default();
    let is_aside = |text: &str| ASIDE.iter().any(|word| text.contains(word));
    let owner = owner(&text[..start]).to_ascii_lowercase();
    let is_debug = argument.contains("debug") || owner.contains("debug");
    is_debug || is_aside(&near) || is_aside(&owner)
}

/// The line that opens the type in which a field stands: `type Debug struct {` in Go.
fn owner(before: &str) -> &str {
    let block = before.rfind("\ntype ").map_or("", |at| &before[at..]);
    let line = block.trim_start().lines().next().unwrap_or_default();
    let is_open = line.contains(" struct") && !block.contains("\n}");
    if is_open { line } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the patterns are made of, and what breaks them.
    #[rustfmt::skip]
    const PIECES: &[&str] = &[
        "process.env.PORT || ", "process.env.", "\"PORT\", ", "'PORT') { ", "PORT=", "port: ", "port(",
        "PORT", "port", "Port", "HTTP_", "default_", "\"", "'", "`", "(", ")", "[", "]", "{", "}", " ", "\n",
        ":", "=", ":=", "||", "??", ",", "or", "3000", "80", "443", "81234", "1", "0", "0.0.0.0", "127.0.0.1",
        "localhost", ".get", "OrThrow", "<", ">", "ENV.fetch(", "env::var(", "unwrap_or", "map_or", "getenv(",
        "env:\"", "efault", "d", ".listen(", "ListenAndServe", "TLS", ".Run(", ".Start(", "long:\"",
        "InetSocketAddress(", "int(", "bind(", "serve(", "from(", "é", "!", "?",
    ];

    /// Texts of pieces that patterns look for, in the order that a generator of numbers gives.
    fn texts() -> impl Iterator<Item = String> {
        let mut seed = 7_u64;
        let mut next = move |below: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        (0..20_000).map(move |_| (0..next(24)).map(|_| PIECES[next(PIECES.len())]).collect())
    }

    #[test]
    fn finds_what_a_regular_expression_finds() {
        let all = [OF_ENVIRONMENT, OTHERWISE].concat();
        let engine = regex::Regex::new(&format!("(?-u)(?:{})", all.join("|"))).unwrap();
        let own = IN_SOURCE.as_ref().unwrap();
        let mut count = 0;
        for text in texts() {
            let wanted: Vec<_> = engine
                .captures_iter(&text)
                .filter_map(|found| {
                    (1..=all.len()).find_map(|index| Some((index - 1, found.get(index)?.range())))
                })
                .collect();
            let found: Vec<_> = own
                .all(&text)
                .filter_map(|found| Some((found.which, found.group(0)?)))
                .collect();
            assert_eq!(found, wanted, "{text}");
            count += found.len();
        }
        assert!(count > 500, "{count}");
    }
}
