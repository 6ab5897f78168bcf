//! Command lines as argument arrays, without a shell.

use std::collections::BTreeMap;

use devopser_core::{Error, ErrorKind, Result};

/// Splits a plain command line into an argument array and fills in `$NAME` and `${NAME}` from `env`; `${NAME:-x}`
/// gives `x` where the name is not set. Quotes work as in a shell.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] when the line needs a shell (`&&`, pipes, redirections, substitutions, patterns),
/// names a variable that `env` lacks, is empty, or has an open quote.
pub fn split_command(line: &str, env: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut splitter = Splitter {
        env,
        words: Vec::new(),
        word: String::new(),
        in_word: false,
    };
    let mut rest = line.chars().peekable();
    let mut quote = None;
    while let Some(char) = rest.next() {
        match (quote, char) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => splitter.push(char),
            (None, '\'' | '"') => {
                quote = Some(char);
                splitter.in_word = true;
            }
            (_, '\\') => splitter.push(
                rest.next()
                    .ok_or_else(|| refused(line, "it ends in a backslash"))?,
            ),
            (_, '$') => {
                let value = splitter.variable(line, &mut rest)?;
                splitter.word.push_str(&value);
                splitter.in_word = true;
            }
            (_, '`') => return Err(refused(line, "it substitutes a command")),
            (Some(_), _) => splitter.push(char),
            (None, '&' | '|' | ';' | '<' | '>' | '(' | ')' | '\n') => {
                return Err(refused(
                    line,
                    &format!("it uses the shell operator {char:?}"),
                ));
            }
            (None, '*' | '?') => return Err(refused(line, "it uses a file name pattern")),
            (None, char) if char.is_whitespace() => splitter.end(),
            (None, char) => splitter.push(char),
        }
    }
    if quote.is_some() {
        return Err(refused(line, "a quote is not closed"));
    }
    splitter.end();
    match splitter.words.first() {
        None => Err(refused(line, "it is empty")),
        Some(first) if is_assignment(first) => Err(refused(line, "it begins with an assignment")),
        Some(_) => Ok(splitter.words),
    }
}

/// Whether a command line is plain enough for [`split_command`], whatever the environment.
pub(crate) fn is_plain(line: &str) -> bool {
    !line.contains('$') && split_command(line, &BTreeMap::new()).is_ok()
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|char: char| char.is_ascii_digit())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn refused(line: &str, why: &str) -> Error {
    let shown: String = line.chars().take(200).collect();
    Error::new(
        ErrorKind::InvalidInput,
        format!("the command {shown:?} cannot be run without a shell: {why}"),
    )
    .with_remedy("give a plain command, or put it into a script of the repository and start that")
}

struct Splitter<'e> {
    env: &'e BTreeMap<String, String>,
    words: Vec<String>,
    word: String,
    in_word: bool,
}

impl Splitter<'_> {
    fn push(&mut self, char: char) {
        self.word.push(char);
        self.in_word = true;
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.in_word) {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    fn variable(
        &self,
        line: &str,
        rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    ) -> Result<String> {
        let is_name = |char: &char| char.is_ascii_alphanumeric() || *char == '_';
        let mut name = String::new();
        let mut default = None;
        if rest.next_if_eq(&'{').is_some() {
            let inner: String = rest.by_ref().take_while(|char| *char != '}').collect();
            let (found, fallback) = inner
                .split_once(":-")
                .map_or((inner.as_str(), None), |(name, fallback)| {
                    (name, Some(fallback.to_owned()))
                });
            found.clone_into(&mut name);
            default = fallback;
        } else {
            while let Some(char) = rest.next_if(is_name) {
                name.push(char);
            }
        }
        if name.is_empty() || !name.chars().all(|char| is_name(&char)) {
            return Err(refused(
                line,
                "it uses a substitution that only a shell knows",
            ));
        }
        self.env
            .get(&name)
            .cloned()
            .or(default)
            .ok_or_else(|| refused(line, &format!("the variable {name} is not set")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_commands_are_split() {
        let env = BTreeMap::from([("PORT".to_owned(), "20001".to_owned())]);
        let words = |line: &str| split_command(line, &env).unwrap();
        assert_eq!(
            words("gunicorn --bind 0.0.0.0:$PORT a:b"),
            ["gunicorn", "--bind", "0.0.0.0:20001", "a:b"]
        );
        assert_eq!(
            words("a 'b c' \"d ${PORT}\" e\\ f '' ${X:-9}"),
            ["a", "b c", "d 20001", "e f", "", "9"]
        );
        assert_eq!(
            words("node server.js --x=1"),
            ["node", "server.js", "--x=1"]
        );
    }

    #[test]
    fn what_needs_a_shell_is_refused() {
        for line in [
            "a && b", "a | b", "a > b", "$(a)", "`a`", "a; b", "X=1 a", "a *", "", "  ", "'a",
            "a $NOPE", "a\nb", "${", "a \\",
        ] {
            assert!(split_command(line, &BTreeMap::new()).is_err(), "{line}");
        }
    }
}
