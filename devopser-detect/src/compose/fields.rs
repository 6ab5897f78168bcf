//! The forms that values of a compose file take: texts, lists, durations, sizes, commands.

use std::time::Duration;

use super::interpolate::has_secret;
use crate::yaml::{Node, Yaml};

/// A value, or why it is none.
pub(crate) type Read<T> = Result<T, String>;

/// A text that holds no secret.
pub(crate) fn plain(node: &Node) -> Read<String> {
    let text = node.text().ok_or("it must be a text")?;
    if has_secret(text) {
        return Err("a secret may stand in environment only: here it could be seen".to_owned());
    }
    Ok(text.to_owned())
}

/// A list of texts; a single text is a list of one.
pub(crate) fn texts(node: &Node) -> Read<Vec<String>> {
    match &node.value {
        Yaml::Null => Ok(Vec::new()),
        Yaml::List(items) => items.iter().map(plain).collect(),
        Yaml::Scalar(_) => Ok(vec![plain(node)?]),
        Yaml::Map(_) => Err("it must be a list".to_owned()),
    }
}

/// `NAME: value` or `NAME=value`; a name alone has no value.
pub(crate) fn pairs(node: &Node) -> Read<Vec<(String, Option<String>)>> {
    match &node.value {
        Yaml::Null => Ok(Vec::new()),
        Yaml::Map(entries) => entries
            .iter()
            .map(|(name, _, value)| match &value.value {
                Yaml::Null => Ok((name.clone(), None)),
                Yaml::Scalar(text) => Ok((name.clone(), Some(text.clone()))),
                _ => Err(format!("{name} must be a text")),
            })
            .collect(),
        Yaml::List(items) => items
            .iter()
            .map(|item| {
                let text = item.text().ok_or("it must hold texts")?;
                Ok(match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (text.to_owned(), None),
                })
            })
            .collect(),
        Yaml::Scalar(_) => Err("it must be a mapping or a list".to_owned()),
    }
}

pub(crate) fn flag(node: &Node) -> Read<bool> {
    match node.text() {
        Some("true" | "True" | "TRUE" | "yes" | "on") => Ok(true),
        Some("false" | "False" | "FALSE" | "no" | "off") => Ok(false),
        None if node.is_null() => Ok(false),
        _ => Err("it must be true or false".to_owned()),
    }
}

pub(crate) fn number<T: std::str::FromStr>(node: &Node) -> Read<T> {
    plain(node)?
        .parse()
        .map_err(|_| "it must be a number".to_owned())
}

/// The words of a command: a list as it is, a text split at blanks outside of quotes. `None` for null.
pub(crate) fn command(node: &Node) -> Read<Option<Vec<String>>> {
    match &node.value {
        Yaml::Null => Ok(None),
        Yaml::Scalar(_) => words(&plain(node)?).map(Some),
        _ => texts(node).map(Some),
    }
}

fn words(text: &str) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (None, '"' | '\'') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, _) if char.is_whitespace() => found.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    found.extend(word);
    Ok(found)
}

/// `1m30s`, `500ms`.
pub(crate) fn duration(node: &Node) -> Read<Duration> {
    let text = plain(node)?;
    let wrong = || format!("{text:?} is no duration such as 1m30s");
    let mut total = Duration::ZERO;
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let digits = rest
            .find(|char: char| !(char.is_ascii_digit() || char == '.'))
            .ok_or_else(wrong)?;
        let (count, after) = rest.split_at(digits);
        let end = after
            .find(|char: char| char.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(wrong()),
        };
        let count: f64 = count.parse().map_err(|_| wrong())?;
        total += Duration::try_from_secs_f64(count * seconds).map_err(|_| wrong())?;
        rest = after;
    }
    if total > Duration::from_secs(86_400) {
        return Err(wrong());
    }
    Ok(total)
}

/// `512m`, `1gb`, or bytes.
pub(crate) fn bytes(node: &Node) -> Read<u64> {
    let text = plain(node)?.to_ascii_lowercase();
    let wrong = || format!("{text:?} is no size such as 512m");
    let end = text
        .find(|char: char| !(char.is_ascii_digit() || char == '.'))
        .unwrap_or(text.len());
    let (count, unit) = text.split_at(end);
    let factor: u64 = match unit.trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return Err(wrong()),
    };
    if let Ok(count) = count.parse::<u64>() {
        return count.checked_mul(factor).ok_or_else(wrong);
    }
    let count: f64 = count.parse().map_err(|_| wrong())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "digits and a point are no negative number, and a size needs no more precision"
    )]
    let bytes = (count * factor as f64) as u64;
    Ok(bytes)
}

/// Thousandths of a processor.
pub(crate) fn processors(node: &Node) -> Read<u32> {
    let count: f64 = number(node)?;
    if !(0.001..=1024.0).contains(&count) {
        return Err("it must be from 0.001 to 1024".to_owned());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked"
    )]
    let millis = (count * 1000.0) as u32;
    Ok(millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn node(text: &str) -> Node {
        parse("f", text).unwrap()
    }

    #[test]
    fn durations_sizes_and_processors() {
        assert_eq!(duration(&node("1m30s")), Ok(Duration::from_secs(90)));
        assert_eq!(duration(&node("1.5s")), Ok(Duration::from_millis(1500)));
        assert_eq!(bytes(&node("512M")), Ok(512 << 20));
        assert_eq!(bytes(&node("1gb")), Ok(1 << 30));
        assert_eq!(bytes(&node("0.5g")), Ok(1 << 29));
        assert_eq!(bytes(&node("64")), Ok(64));
        assert_eq!(processors(&node("'0.5'")), Ok(500));
        for wrong in ["5", "1x", "s", "1e9h", "9999999h"] {
            assert!(duration(&node(wrong)).is_err(), "{wrong}");
        }
        for wrong in ["m", "1t", "99999999999999g", "1.2.3m"] {
            assert!(bytes(&node(wrong)).is_err(), "{wrong}");
        }
        assert!(processors(&node("-1")).is_err());
    }

    #[test]
    fn commands_are_split_without_a_shell() {
        let split = |text: &str| command(&node(text)).unwrap().unwrap();
        assert_eq!(split("[a, 'b c']"), ["a", "b c"]);
        assert_eq!(
            split("sh -c 'a && b' \"c d\""),
            ["sh", "-c", "a && b", "c d"]
        );
        assert_eq!(split("a \\$b ''"), ["a", "$b", ""]);
        assert_eq!(command(&node("~")), Ok(None));
        assert!(command(&node("a 'b")).is_err());
    }
}
