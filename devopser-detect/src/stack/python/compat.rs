//! The newest Python that pinned requirements work with, for repositories that state no version.

use crate::scan::Scan;
use crate::scan::python::Requirements;

/// For each package its first release with a wheel for Python 3.10, 3.11, 3.12, 3.13 and 3.14 on x86-64 Linux, as the files of the
/// Python Package Index said on 2026-11-28 (pydantic: of the core that it requires). Sources of older releases do not compile
/// with a newer Python, or ask for compilers. Django has a table of its own
/// (<https://docs.djangoproject.com/en/stable/faq/install/#what-python-version-can-i-use-with-django>); gunicorn before 20.1 imports
/// setuptools, which virtual environments bring up to Python 3.11.
#[rustfmt::skip]
const FIRST: &[(&str, [[u32; 3]; 5])] = &[
    ("aiohttp", [[3, 8, 0], [3, 8, 2], [3, 9, 0], [3, 10, 5], [3, 13, 0]]),
    ("asyncpg", [[0, 24, 0], [0, 27, 0], [0, 29, 0], [0, 30, 0], [0, 31, 0]]),
    ("cffi", [[1, 15, 0], [1, 15, 1], [1, 16, 0], [1, 17, 0], [2, 0, 0]]),
    ("django", [[3, 2, 9], [4, 1, 0], [4, 2, 0], [5, 1, 0], [5, 2, 0]]),
    ("gevent", [[21, 12, 0], [22, 10, 1], [23, 7, 0], [24, 10, 1], [25, 8, 1]]),
    ("greenlet", [[1, 1, 0], [1, 1, 3], [3, 0, 0], [3, 1, 0], [3, 2, 3]]),
    ("grpcio", [[1, 41, 0], [1, 49, 0], [1, 59, 0], [1, 66, 2], [1, 75, 1]]),
    ("gunicorn", [[0, 0, 0], [0, 0, 0], [20, 1, 0], [20, 1, 0], [20, 1, 0]]),
    ("httptools", [[0, 3, 0], [0, 5, 0], [0, 6, 1], [0, 6, 2], [0, 7, 1]]),
    ("lxml", [[4, 6, 3], [4, 9, 1], [4, 9, 3], [5, 3, 0], [6, 0, 1]]),
    ("matplotlib", [[3, 5, 0], [3, 6, 0], [3, 7, 3], [3, 9, 2], [3, 10, 5]]),
    ("numpy", [[1, 21, 2], [1, 23, 2], [1, 26, 0], [2, 1, 0], [2, 3, 2]]),
    ("onnxruntime", [[1, 12, 0], [1, 15, 0], [1, 17, 0], [1, 20, 0], [1, 24, 1]]),
    ("orjson", [[3, 4, 7], [3, 7, 7], [3, 9, 3], [3, 10, 7], [3, 11, 1]]),
    ("pandas", [[1, 3, 3], [1, 5, 0], [2, 1, 1], [2, 2, 3], [2, 3, 3]]),
    ("pillow", [[8, 3, 2], [9, 2, 0], [10, 0, 0], [10, 4, 0], [11, 3, 0]]),
    ("psycopg-binary", [[3, 0, 0], [3, 1, 4], [3, 1, 12], [3, 2, 2], [3, 2, 10]]),
    ("psycopg2-binary", [[2, 9, 1], [2, 9, 5], [2, 9, 9], [2, 9, 10], [2, 9, 11]]),
    ("pyarrow", [[6, 0, 0], [10, 0, 1], [14, 0, 0], [18, 0, 0], [22, 0, 0]]),
    ("pydantic", [[0, 0, 0], [0, 0, 0], [0, 0, 0], [2, 8, 0], [2, 12, 0]]),
    ("pydantic-core", [[0, 1, 0], [0, 7, 0], [2, 1, 2], [2, 20, 0], [2, 35, 0]]),
    ("pyyaml", [[6, 0, 0], [6, 0, 0], [6, 0, 1], [6, 0, 2], [6, 0, 3]]),
    ("scikit-learn", [[1, 0, 2], [1, 1, 3], [1, 3, 1], [1, 5, 2], [1, 7, 2]]),
    ("scipy", [[1, 7, 2], [1, 9, 2], [1, 11, 2], [1, 14, 1], [1, 16, 1]]),
    ("tiktoken", [[0, 1, 1], [0, 1, 1], [0, 5, 2], [0, 8, 0], [0, 12, 0]]),
    ("tokenizers", [[0, 11, 5], [0, 13, 2], [0, 14, 0], [0, 15, 1], [0, 20, 4]]),
    ("torch", [[1, 11, 0], [1, 13, 0], [2, 2, 0], [2, 5, 0], [2, 9, 0]]),
    ("uvloop", [[0, 16, 0], [0, 17, 0], [0, 18, 0], [0, 21, 0], [0, 22, 1]]),
];

/// The minor version that the first column of [`FIRST`] is of; before it 3.9 has wheels of everything there.
const COLUMNS_FROM: usize = 10;

/// The newest line, such as `3.10`, when a pinned requirement sets one.
pub(crate) fn newest(scan: &Scan<'_>, requirements: &Requirements) -> Option<String> {
    let newest = |(name, first): &(&str, [[u32; 3]; 5])| {
        let pin = pin(scan, requirements, name)?;
        let missing = first.iter().position(|first| pin < *first)?;
        Some(COLUMNS_FROM + missing - 1)
    };
    let minor = FIRST.iter().filter_map(newest).min()?;
    Some(format!("3.{minor}"))
}

/// What releases of a package need and do not bound themselves.
struct Unbound {
    package: &'static str,
    /// The first release of which it is so, and the first of which it is not.
    from: [u32; 3],
    below: [u32; 3],
    bounds: &'static [&'static str],
}

/// gunicorn imports `pkg_resources`, which setuptools no longer brings since 82
/// (<https://setuptools.pypa.io/en/latest/history.html>); Flask what Werkzeug 3, Jinja 3.1, ItsDangerous 2.1 and MarkupSafe 2.1
/// took out (<https://werkzeug.palletsprojects.com/en/stable/changes/>).
const UNBOUND: &[Unbound] = &[
    Unbound {
        package: "gunicorn",
        from: [0, 0, 0],
        below: [21, 0, 0],
        bounds: &["setuptools<82"],
    },
    Unbound {
        package: "flask",
        from: [2, 0, 0],
        below: [2, 2, 5],
        bounds: &["werkzeug<3"],
    },
    Unbound {
        package: "flask",
        from: [1, 1, 0],
        below: [2, 0, 0],
        bounds: &[
            "werkzeug<2.1",
            "jinja2<3.1",
            "itsdangerous<2.1",
            "markupsafe<2.1",
        ],
    },
];

/// What an installation has to add.
pub(crate) fn added(scan: &Scan<'_>, requirements: &Requirements) -> Vec<&'static str> {
    let applies = |row: &&Unbound| {
        pin(scan, requirements, row.package).is_some_and(|pin| pin >= row.from && pin < row.below)
    };
    let is_open = |bound: &&str| {
        let name = bound.split('<').next().unwrap_or_default();
        !requirements.has(name)
    };
    let rows = UNBOUND.iter().filter(applies);
    let bounds = rows.flat_map(|row| row.bounds.iter().copied());
    bounds.filter(is_open).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn pins_bound_the_line() {
        let line = |text: &str| {
            let tree = MemoryTree::new([("requirements.txt", text)]);
            let scan = Scan::new(&tree);
            newest(&scan, &scan.python())
        };
        assert_eq!(line("flask\nPyYAML==5.4.1\n").as_deref(), Some("3.9"));
        assert_eq!(
            line("asyncpg==0.29.0\nuvloop==0.21.0\n").as_deref(),
            Some("3.12")
        );
        assert_eq!(line("django==5.1.4\n").as_deref(), Some("3.13"));
        assert_eq!(line("django==5.2\npyyaml>=5\n"), None);
    }

    #[test]
    fn what_old_releases_leave_open_is_bound() {
        let bounds = |text: &str| {
            let tree = MemoryTree::new([("requirements.txt", text)]);
            let scan = Scan::new(&tree);
            added(&scan, &scan.python())
        };
        assert_eq!(bounds("Flask==2.0.3\n"), ["werkzeug<3"]);
        assert_eq!(
            bounds("Flask==1.1.4\nWerkzeug==1.0.1\ngunicorn==20.0.4\n"),
            [
                "setuptools<82",
                "jinja2<3.1",
                "itsdangerous<2.1",
                "markupsafe<2.1"
            ]
        );
        assert!(bounds("Flask==2.3.0\n").is_empty() && bounds("Flask>=2.0\n").is_empty());
    }
}
