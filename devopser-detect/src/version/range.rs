//! Version ranges as npm, Composer, Bundler, Poetry and PEP 440 write them, asked of whole release lines: a line is
//! Version ranges as npm, Composer, Bundler, Poetry and PEP 440 write them, asked of whole release lines: a line is
//! allowed when some version of it is.

/// Whether the text is a range at all.
pub(crate) fn is_range(range: &str) -> bool {
    let sound = |char: char| char.is_ascii_digit() || "<>=~^!|,.*x -v".contains(char);
    range.chars().any(|char| char.is_ascii_digit()) && range.chars().all(sound)
}

/// Whether some version of the release line is in the range.
pub(crate) fn allows(line: &str, range: &str, loose_tilde: bool) -> bool {
    let line = numbers(line);
    range
        .split('|')
        .filter(|part| !part.trim().is_empty())
        .any(|part| all(&line, part, loose_tilde))
}

/// The lowest version that the range names, cut to a release line.
pub(crate) fn lower_bound(range: &str, parts: usize) -> Option<String> {
    let mut found = numbers(range.split('|').next()?);
    found.truncate(parts);
    (!found.is_empty()).then(|| {
        found
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(".")
    })
}

/// Whether one line comes before another.
pub(crate) fn is_older(line: &str, other: &str) -> bool {
    numbers(line) < numbers(other)
}

fn all(line: &[u64], part: &str, loose_tilde: bool) -> bool {
    if let Some((low, high)) = part.split_once(" - ") {
        return at_least(line, &numbers(low)) && at_most(line, &numbers(high));
    }
    comparators(part)
        .iter()
        .all(|(operator, version)| one(line, operator, version, loose_tilde))
}

/// `>= 3.1, <4` as pairs of operator and version.
fn comparators(part: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let (mut operator, mut version) = (String::new(), String::new());
    for char in part.chars().chain(std::iter::once(' ')) {
        if "<>=~^!".contains(char) {
            if !version.is_empty() {
                found.push((std::mem::take(&mut operator), std::mem::take(&mut version)));
            }
            operator.push(char);
        } else if char.is_ascii_digit() || char == '.' || char == '*' || char == 'x' {
            version.push(char);
        } else if !version.is_empty() {
            found.push((std::mem::take(&mut operator), std::mem::take(&mut version)));
        }
    }
    found
}

fn one(line: &[u64], operator: &str, version: &str, loose_tilde: bool) -> bool {
    let wanted = numbers(version);
    if wanted.is_empty() {
        return true;
    }
    match operator {
        ">=" | "=>" => at_least(line, &wanted),
        // A whole line is left out, a release of it only up to there.
        ">" => at_least(line, &wanted) && !(wanted.len() <= line.len() && same(line, &wanted)),
        "<" => below(line, &wanted),
        "<=" => at_most(line, &wanted),
        "!=" => !(wanted.len() <= line.len() && same(line, &wanted)),
        "^" => line.first() == wanted.first() && at_least(line, &wanted),
        "~>" | "~=" => last_moves(line, &wanted),
        "~" if loose_tilde => last_moves(line, &wanted),
        "~" => at_least(line, &wanted) && same(line, &wanted[..wanted.len().min(2)]),
        _ => same(line, &wanted),
    }
}

/// `~> 3.2` allows 3.3; `~> 3.2.1` allows 3.2 only.
fn last_moves(line: &[u64], wanted: &[u64]) -> bool {
    at_least(line, wanted) && same(line, &wanted[..wanted.len().saturating_sub(1).max(1)])
}

fn numbers(version: &str) -> Vec<u64> {
    version
        .trim_start_matches(|char: char| !char.is_ascii_digit())
        .split('.')
        .map_while(|part| {
            part.chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>()
                .parse()
                .ok()
        })
        .collect()
}

/// The numbers that both have are equal.
fn same(line: &[u64], wanted: &[u64]) -> bool {
    line.iter().zip(wanted).all(|(left, right)| left == right)
}

fn at_least(line: &[u64], wanted: &[u64]) -> bool {
    let shared = line.len().min(wanted.len());
    line[..shared] >= wanted[..shared]
}

fn at_most(line: &[u64], wanted: &[u64]) -> bool {
    let shared = line.len().min(wanted.len());
    line[..shared] <= wanted[..shared]
}

/// Below `wanted`; a bound inside the line (`<21.5` for 21) leaves some of it, `<21.0` does not.
fn below(line: &[u64], wanted: &[u64]) -> bool {
    let shared = line.len().min(wanted.len());
    line[..shared] < wanted[..shared]
        || (line[..shared] == wanted[..shared] && wanted[shared..].iter().any(|number| *number > 0))
}
