//! The newest Python that pinned requirements work with, for repositories that state no version.

use crate::scan::Scan;
use crate::scan::python::Requirements;

/// Releases below the version have no wheel for a newer Python on x86-64 Linux, as the files of the Python Package Index
/// say (pydantic: of the core that it requires). Django has a table of its own
/// (<https://docs.djangoproject.com/en/stable/faq/install/#what-python-version-can-i-use-with-django>).
/// gunicorn before 20.1 imports setuptools, which virtual environments bring up to Python 3.11.
#[rustfmt::skip]
const NEWEST: &[(&str, [u32; 3], u32)] = &[
    ("django", [4, 1, 0], 10), ("django", [4, 2, 0], 11), ("django", [5, 1, 0], 12), ("django", [5, 2, 0], 13),
    ("psycopg2-binary", [2, 9, 1], 9), ("psycopg2-binary", [2, 9, 5], 10), ("psycopg2-binary", [2, 9, 9], 11), ("psycopg2-binary", [2, 9, 10], 12),
    ("numpy", [1, 23, 2], 10), ("numpy", [1, 26, 0], 11), ("numpy", [2, 1, 0], 12),
    ("pandas", [1, 5, 0], 10), ("pandas", [2, 1, 1], 11), ("pandas", [2, 2, 3], 12),
    ("pydantic", [2, 8, 0], 12),
    ("pillow", [9, 2, 0], 10), ("pillow", [10, 0, 0], 11), ("pillow", [10, 4, 0], 12),
    ("aiohttp", [3, 9, 0], 11), ("aiohttp", [3, 10, 0], 12),
    ("gunicorn", [20, 1, 0], 11),
];

/// The newest line, such as `3.10`, when a pinned requirement sets one.
pub(crate) fn newest(scan: &Scan<'_>, requirements: &Requirements) -> Option<String> {
    let minor = NEWEST
        .iter()
        .filter(|(name, below, _)| pin(scan, requirements, name).is_some_and(|pin| pin < *below))
        .map(|(_, _, minor)| *minor)
        .min()?;
    Some(format!("3.{minor}"))
}

/// What an installation has to add: gunicorn before 21 imports `pkg_resources`, which setuptools no longer brings since 82
/// (<https://setuptools.pypa.io/en/latest/history.html>).
pub(crate) fn added(scan: &Scan<'_>, requirements: &Requirements) -> Option<&'static str> {
    let pin = pin(scan, requirements, "gunicorn")?;
    (pin < [21, 0, 0]).then_some("\"setuptools<82\"")
}

/// The version behind `==`.
fn pin(scan: &Scan<'_>, requirements: &Requirements, name: &str) -> Option<[u32; 3]> {
    let found = requirements.get(name)?;
    let text = scan.text(&found.path)?;
    let line = text
        .lines()
        .nth(usize::try_from(found.line?.checked_sub(1)?).ok()?)?;
    let version = line.split_once("==")?.1.trim_start();
    let mut parts = version
        .split(|char: char| !char.is_ascii_digit() && char != '.')
        .next()?
        .split('.')
        .map(|part| part.parse::<u32>().ok());
    let major = parts.next()??;
    let mut next = || parts.next().flatten().unwrap_or(0);
    Some([major, next(), next()])
}
