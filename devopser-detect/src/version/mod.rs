//! Versions: what a repository wrote (`>=18 <21`, `lts/iron`, `~> 3.2`) resolved against a table that ships with the
//! crate, so that no network is asked.

mod range;
mod table;

pub use table::TABLE_DATE;
pub(crate) use table::{Line, Runtime, runtime};

/// The version to use for what a repository wrote, or `None` where it makes no sense.
///
/// An exact version and a release line stay as they are; an alias or a range becomes a release line: the table's
/// default where the range allows it, else the line nearest to the default, for which most packages are built; among
/// those of long-term support, where there are such (<https://nodejs.org/en/about/previous-releases>).
///
/// Where the table says so, the bound of a range goes before the default as long as that line gets fixes.
pub(crate) fn resolve(id: &str, wanted: &str) -> Option<String> {
    resolve_among(id, wanted, |_| true)
}

/// The same among the lines that something else allows as well.
pub(crate) fn resolve_among(id: &str, wanted: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
    let runtime = runtime(id)?;
    let wanted = wanted.trim().trim_matches(['"', '\'']);
    if let Some(line) = alias(runtime, wanted) {
        return Some(line);
    }
    if let Some(plain) = plain(wanted) {
        return Some(plain);
    }
    let allowed = |line: &&Line| {
        range::allows(line.version, wanted, runtime.loose_tilde) && fits(line.version)
    };
    if !range::is_range(wanted) {
        return None;
    }
    let default = runtime
        .lines
        .iter()
        .find(|line| line.version == runtime.default);
    let is_long = |line: &&Line| line.name.is_some() && allowed(line);
    let best = at_bound(runtime, wanted, allowed)
        .or_else(|| default.filter(allowed))
        .or_else(|| nearest(runtime, is_long))
        .or_else(|| nearest(runtime, allowed));
    match best {
        Some(line) => Some(line.version.to_owned()),
        None => range::lower_bound(wanted, runtime.parts),
    }
}

/// The oldest allowed line of a range with a bound, where the bound itself still gets fixes: an older one says nothing of
/// the lines that are left.
fn at_bound<'t>(
    runtime: &'t Runtime,
    wanted: &str,
    allowed: impl Fn(&&'t Line) -> bool,
) -> Option<&'t Line> {
    let oldest = runtime.oldest?;
    let bound = range::lower_bound(wanted, runtime.parts)?;
    let has_bound = wanted.contains(['>', '^', '~', '-']);
    if !has_bound || range::is_older(&bound, oldest) {
        return None;
    }
    let mut fixed = runtime.lines.iter().rev();
    fixed.find(|line| !range::is_older(line.version, oldest) && allowed(line))
}

/// Whether some version of the line is in the range; what makes no sense as a range leaves everything open.
pub(crate) fn allows(id: &str, line: &str, range: &str) -> bool {
    let loose_tilde = runtime(id).is_some_and(|runtime| runtime.loose_tilde);
    !range::is_range(range) || range::allows(line, range, loose_tilde)
}

/// Whether the version's line is older than every line that the range allows.
pub(crate) fn is_below(id: &str, version: &str, range: &str) -> bool {
    let Some(runtime) = runtime(id) else {
        return false;
    };
    let range = range.trim();
    let line = range::lower_bound(version, runtime.parts).unwrap_or_default();
    let is_lower = |other: String| range::is_older(&line, &other);
    plain(range).is_none()
        && range::is_range(range)
        && !range::allows(&line, range, runtime.loose_tilde)
        && range::lower_bound(range, runtime.parts).is_some_and(is_lower)
}

/// The allowed line that is nearest to the default: the oldest of the newer ones, else the newest of the older ones.
fn nearest<'t>(runtime: &'t Runtime, allowed: impl Fn(&&'t Line) -> bool) -> Option<&'t Line> {
    let is_default = |line: &Line| line.version == runtime.default;
    let at = runtime.lines.iter().position(is_default).unwrap_or(0);
    let (newer, older) = runtime.lines.split_at(at);
    let mut newer = newer.iter().rev();
    newer.find(&allowed).or_else(|| older.iter().find(&allowed))
}

/// The table's default release line.
pub(crate) fn default_line(id: &str) -> &'static str {
    runtime(id).map_or("latest", |runtime| runtime.default)
}

fn alias(runtime: &Runtime, wanted: &str) -> Option<String> {
    let name = wanted.to_ascii_lowercase();
    let name = name
        .strip_prefix("lts/")
        .or_else(|| name.strip_prefix("lts-"))
        .unwrap_or(&name);
    // `lts/*` is the newest line of long-term support, `lts/-1` the one before (https://github.com/nvm-sh/nvm#long-term-support).
    let back = match name {
        "*" | "lts" => Some(0),
        name => name.strip_prefix('-').and_then(|back| back.parse().ok()),
    };
    if let Some(back) = back.filter(|_| wanted.to_ascii_lowercase().starts_with("lts")) {
        let mut long = runtime.lines.iter().filter(|line| line.name.is_some());
        let line = long.nth(back).map_or(runtime.default, |line| line.version);
        return Some(line.to_owned());
    }
    match name {
        "*" | "stable" | "x" => Some(runtime.default.to_owned()),
        "latest" | "node" | "current" => runtime.lines.first().map(|line| line.version.to_owned()),
        _ => runtime
            .lines
            .iter()
            .find(|line| line.name == Some(name))
            .map(|line| line.version.to_owned()),
    }
}

/// An exact version or a release line, without the prefix that the tools allow (`v20.1.0`, `python-3.12.1`, `=20`).
fn plain(wanted: &str) -> Option<String> {
    let start = wanted.find(|char: char| char.is_ascii_digit())?;
    let (prefix, digits) = wanted.split_at(start);
    let known = matches!(prefix, "" | "v" | "V" | "=" | "==" | "=v" | "= " | "== ")
        || prefix
            .trim_end_matches('-')
            .chars()
            .all(|char| char.is_ascii_alphabetic());
    let digits = digits
        .strip_suffix(".x")
        .or_else(|| digits.strip_suffix(".*"))
        .unwrap_or(digits);
    let digits = digits
        .strip_suffix(".x")
        .or_else(|| digits.strip_suffix(".*"))
        .unwrap_or(digits);
    let sound = digits.split('.').all(|part| {
        !part.is_empty() && part.len() < 6 && part.bytes().all(|byte| byte.is_ascii_digit())
    });
    (known && sound).then(|| digits.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_what_repositories_write() {
        let cases = [
            ("node", "lts/iron", "20"),
            ("node", "lts/*", "26"),
            ("node", "lts", "26"),
            ("node", "lts/-1", "24"),
            ("node", "*", "22"),
            ("node", "v18.17.0", "18.17.0"),
            ("node", "20.x", "20"),
            ("node", ">=18", "22"),
            ("node", "^18.2 || ^20", "20"),
            ("node", ">= 14 < 17", "16"),
            ("node", ">=16.0.0 <18.0.0", "16"),
            ("node", ">22", "24"),
            ("node", "<21", "20"),
            ("node", "18 - 20", "20"),
            ("node", "20 || 22", "22"),
            ("node", ">=99", "99"),
            ("python", "python-3.11.4", "3.11.4"),
            ("python", ">=3.10,<3.13", "3.12"),
            ("python", "^3.9", "3.13"),
            ("python", "~=3.10.2", "3.10"),
            ("python", "~=3.10", "3.13"),
            ("python", "==3.11.*", "3.11"),
            ("python", "~3.12", "3.12"),
            ("python", ">=3.14", "3.14"),
            ("python", "<3.11", "3.10"),
            ("ruby", "~> 3.2", "3.3"),
            ("ruby", "~> 3.2.1", "3.2"),
            ("ruby", ">= 3.1", "3.3"),
            ("php", "^8.1", "8.4"),
            ("php", "8.1.*", "8.1"),
            ("php", "~8.2.0", "8.2"),
            ("php", ">=7.4 <8.0", "7.4"),
            ("php", "^7.4|^8.0", "8.4"),
        ];
        for (id, wanted, expected) in cases {
            assert_eq!(
                resolve(id, wanted).as_deref(),
                Some(expected),
                "{id} {wanted}"
            );
        }
    }

    #[test]
    fn makes_nothing_of_nonsense() {
        for wanted in ["", "system", "nonsense", "$(rm -rf /)", "1.2;3", "../3"] {
            assert_eq!(resolve("node", wanted), None, "{wanted}");
        }
    }
}
