//! Variables in a compose file (<https://docs.docker.com/reference/compose-file/interpolation/>), and `.env` files.

use std::collections::BTreeMap;

/// Marks where a secret goes in; neither may stand in a file.
const OPEN: char = '\u{f5e0}';
const CLOSE: char = '\u{f5e1}';

/// What a variable holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// A value that may be shown.
    Plain(String),
    /// A secret, by its reference. It may stand in the environment of a service only.
    Secret(String),
}

/// The variables by their names.
pub type Variables = BTreeMap<String, Variable>;

/// A text in pieces: what is plain, and the references of secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Plain(String),
    Secret(String),
}

/// Fills in the variables of a text.
///
/// # Errors
/// A variable that must be set and is not, or a text that no variable can be read from.
pub(crate) fn fill(text: &str, variables: &Variables) -> Result<String, String> {
    if !text.contains('$') {
        return Ok(text.to_owned());
    }
    fill_nested(text, variables, 0)
}

fn fill_nested(text: &str, variables: &Variables, depth: usize) -> Result<String, String> {
    if depth > 8 {
        return Err("its variables nest too deep".to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let end = closing(inner).ok_or("a ${ is not closed by }")?;
            out.push_str(&braced(&inner[..end], variables, depth)?);
            rest = &inner[end + 1..];
        } else {
            let end = name_end(rest);
            if end == 0 {
                return Err("a single $ names no variable; write $$ for the sign itself".to_owned());
            }
            out.push_str(&value(&rest[..end], variables).unwrap_or_default());
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The index of the brace that closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, char) in text.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn name_end(text: &str) -> usize {
    if text.starts_with(|char: char| char.is_ascii_digit()) {
        return 0;
    }
    text.find(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
        .unwrap_or(text.len())
}

fn braced(inner: &str, variables: &Variables, depth: usize) -> Result<String, String> {
    let end = name_end(inner);
    let (name, operation) = inner.split_at(end);
    if name.is_empty() {
        return Err(format!("${{{inner}}} names no variable"));
    }
    let set = value(name, variables);
    let filled = set.clone().filter(|value| !value.is_empty());
    let nested = |text: &str| fill_nested(text, variables, depth + 1);
    let missing = |text: &str| {
        let text = if text.is_empty() {
            "it must be set"
        } else {
            text
        };
        Err(format!("the variable {name}: {text}"))
    };
    if operation.is_empty() {
        Ok(set.unwrap_or_default())
    } else if let Some(default) = operation.strip_prefix(":-") {
        filled.map_or_else(|| nested(default), Ok)
    } else if let Some(text) = operation.strip_prefix(":?") {
        filled.map_or_else(|| missing(text), Ok)
    } else if let Some(other) = operation.strip_prefix(":+") {
        filled.map_or_else(|| Ok(String::new()), |_| nested(other))
    } else if let Some(default) = operation.strip_prefix('-') {
        set.map_or_else(|| nested(default), Ok)
    } else if let Some(text) = operation.strip_prefix('?') {
        set.map_or_else(|| missing(text), Ok)
    } else if let Some(other) = operation.strip_prefix('+') {
        set.map_or_else(|| Ok(String::new()), |_| nested(other))
    } else {
        Err(format!("${{{inner}}} is no form of a variable"))
    }
}

fn value(name: &str, variables: &Variables) -> Option<String> {
    variables.get(name).map(|variable| match variable {
        Variable::Plain(text) => text.clone(),
        Variable::Secret(reference) => format!("{OPEN}{reference}{CLOSE}"),
    })
}

/// Whether a secret stands in it.
pub(crate) fn has_secret(text: &str) -> bool {
    text.contains([OPEN, CLOSE])
}

/// A filled-in text in its pieces.
pub(crate) fn pieces(text: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once(OPEN) {
        if !plain.is_empty() {
            found.push(Piece::Plain(plain.to_owned()));
        }
        let (reference, after) = after.split_once(CLOSE).unwrap_or((after, ""));
        found.push(Piece::Secret(reference.to_owned()));
        rest = after;
    }
    if !rest.is_empty() || found.is_empty() {
        found.push(Piece::Plain(rest.to_owned()));
    }
    found
}

/// Reads a `.env` file into `into`; what is there is replaced. Values may use earlier variables.
pub(crate) fn env_file(text: &str, variables: &Variables) -> Result<Variables, (u32, String)> {
    let mut found = Variables::new();
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name.trim(), value.trim()),
            // A name alone takes the value that it has outside.
            None => {
                if let Some(value) = variables.get(line) {
                    found.insert(line.to_owned(), value.clone());
                }
                continue;
            }
        };
        let value = match value.chars().next() {
            Some('\'') => between(value, '\'').map(str::to_owned),
            Some('"') => between(value, '"')
                .map(|value| value.replace("\\n", "\n").replace("\\\"", "\""))
                .map(|value| fill_both(&value, &found, variables))
                .transpose()
                .map_err(|reason| (number, reason))?,
            _ => {
                let value = value.split(" #").next().unwrap_or(value).trim_end();
                Some(fill_both(value, &found, variables).map_err(|reason| (number, reason))?)
            }
        };
        let value = value.ok_or_else(|| (number, format!("the value of {name} is not closed")))?;
        found.insert(name.to_owned(), Variable::Plain(value));
    }
    Ok(found)
}

fn fill_both(text: &str, own: &Variables, outer: &Variables) -> Result<String, String> {
    let mut all = own.clone();
    all.extend(outer.clone());
    fill(text, &all)
}

/// What stands between the first character and the next that is the same and not escaped.
fn between(text: &str, quote: char) -> Option<&str> {
    let inner = &text[quote.len_utf8()..];
    let end = inner
        .match_indices(quote)
        .map(|(at, _)| at)
        .find(|at| quote == '\'' || !inner[..*at].ends_with('\\'))?;
    Some(&inner[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        [("A", "1"), ("E", "")]
            .map(|(name, value)| (name.to_owned(), Variable::Plain(value.to_owned())))
            .into_iter()
            .chain([("S".to_owned(), Variable::Secret("app/prod/S".to_owned()))])
            .collect()
    }

    #[test]
    fn every_form_of_a_variable() {
        for (text, expected) in [
            ("$A-${A}$$A", "1-1$A"),
            ("${N:-d}${E:-d}${E-d}${N-d}", "ddd"),
            ("${A:+x}${E:+x}${E+x}${N+x}", "xx"),
            ("${N:-${A:-b}}", "1"),
            ("[$N]", "[]"),
            ("${A:?no}${E?no}", "1"),
        ] {
            assert_eq!(fill(text, &variables()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_must_be_set_is_told() {
        for (text, reason) in [
            ("${N:?set a password}", "N: set a password"),
            ("${E:?}", "must be set"),
            ("${N?x}", "x"),
            ("a$", "$$"),
            ("$1", "$$"),
            ("${A", "closed"),
            ("${}", "no variable"),
            ("${A!x}", "no form"),
        ] {
            let error = fill(text, &variables()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let deep = format!("{}x{}", "${N:-".repeat(50), "}".repeat(50));
        assert!(fill(&deep, &variables()).is_err());
    }

    #[test]
    fn a_secret_stays_a_reference() {
        let filled = fill("u:${S}@h", &variables()).unwrap();
        assert!(has_secret(&filled));
        let plain = |text: &str| Piece::Plain(text.to_owned());
        assert_eq!(
            pieces(&filled),
            [
                plain("u:"),
                Piece::Secret("app/prod/S".to_owned()),
                plain("@h")
            ]
        );
        assert_eq!(pieces("a"), [plain("a")]);
    }

    #[test]
    fn env_files() {
        let text = "# c\nexport X=1 # c\nY='a $X' \nZ=\"${X}\\n\"\nW=${A}2\nA\nNONE\nB=a#b\n";
        let found = env_file(text, &variables()).unwrap();
        let get = |name: &str| match found.get(name) {
            Some(Variable::Plain(text)) => Some(text.as_str()),
            _ => None,
        };
        assert_eq!(get("X"), Some("1"));
        assert_eq!(get("Y"), Some("a $X"));
        assert_eq!(get("Z"), Some("1\n"));
        assert_eq!(get("W"), Some("12"));
        assert_eq!(get("A"), Some("1"));
        assert_eq!(get("NONE"), None);
        assert_eq!(get("B"), Some("a#b"));
        assert_eq!(env_file("A='x", &variables()).unwrap_err().0, 1);
    }
}
