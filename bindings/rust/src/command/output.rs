//! What is printed: text for people, JSON for programs.

use std::io::{IsTerminal as _, Write as _};

use devopser::Error;
use serde::Serialize;

/// Where and how to print.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    colours: bool,
    terminal: bool,
}

impl Output {
    /// Colours and redrawn lines only on a terminal, and no colours where `NO_COLOR` is set.
    pub(crate) fn new(json: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !json;
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            json,
            colours,
            terminal,
        }
    }

    /// Whether programs read it.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// A result: JSON on one line, or the text.
    pub(crate) fn result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) {
        if self.json {
            match serde_json::to_string(value) {
                Ok(line) => self.line(&line),
                Err(error) => self.progress(&format!("the result is no JSON: {error}")),
            }
        } else {
            self.line(&text());
        }
    }

    /// A line of the result, on standard output.
    pub(crate) fn line(&self, line: &str) {
        // A reader that went away (`| head`) is no reason to fail.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }

    /// A line of progress, on standard error; nothing for programs.
    pub(crate) fn progress(&self, line: &str) {
        if !self.json {
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        }
    }

    /// A line that the next one replaces; only on a terminal.
    pub(crate) fn redrawn(&self, line: &str) {
        if self.terminal {
            let mut stderr = std::io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[2K{line}").and_then(|()| stderr.flush());
        }
    }

    /// `text` in a colour: `32` is green, `31` red, `2` dim.
    pub(crate) fn colour(&self, code: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// An error: its text, what to do, and the lines that belong to it.
    pub(crate) fn error(&self, error: &Error) {
        if self.json {
            self.result(
                &serde_json::json!({ "error": error.to_report() }),
                String::new,
            );
            return;
        }
        self.redrawn("");
        self.progress(&format!(
            "{} {}",
            self.colour("31", "error:"),
            error.message()
        ));
        for line in error.log() {
            self.progress(&format!("  {} {line}", self.colour("2", "|")));
        }
        if let Some(remedy) = error.remedy() {
            self.progress(&format!("{} {remedy}", self.colour("36", "what to do:")));
        }
    }
}
