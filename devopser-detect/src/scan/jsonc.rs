//! JSON with comments and trailing commas, as `deno.json`, `tsconfig.json` and `bun.lock` allow.

use serde_json::Value;

/// Parses strict JSON, or, where that fails, JSON with comments and trailing commas.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(strict) => serde_json::from_str(&strip(text)).map_err(|_| strict.to_string()),
    }
}

/// Replaces comments by nothing and drops commas that no value follows; lines stay where they are.
fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut in_string = false;
    while let Some(char) = rest.next() {
        if in_string {
            out.push(char);
            match char {
                '\\' => out.extend(rest.next()),
                '"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match (char, rest.peek()) {
            ('"', _) => {
                in_string = true;
                out.push(char);
            }
            ('/', Some('/')) => {
                while rest.peek().is_some_and(|next| *next != '\n') {
                    rest.next();
                }
            }
            ('/', Some('*')) => {
                rest.next();
                let mut last = ' ';
                for next in rest.by_ref() {
                    if next == '\n' {
                        out.push(next);
                    }
                    if last == '*' && next == '/' {
                        break;
                    }
                    last = next;
                }
            }
            ('}' | ']', _) => {
                let kept = out.trim_end().len();
                if out[..kept].ends_with(',') {
                    out.replace_range(kept - 1..kept, " ");
                }
                out.push(char);
            }
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_are_allowed() {
        let value =
            parse("{ // one\n \"a\": [1, 2,], /* two */ \"b\": \"//no, comment,]\",\n}").unwrap();
        assert_eq!(value["a"][1], 2);
        assert_eq!(value["b"], "//no, comment,]");
    }

    #[test]
    fn what_is_broken_stays_broken() {
        assert!(parse("{").is_err());
        assert!(parse("/*").is_err());
        assert!(parse("\"\\").is_err());
    }
}
