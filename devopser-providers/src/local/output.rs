//! The output of a command: told line by line, within bounds.

use std::collections::VecDeque;

use devopser_core::Context;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc::Sender;

/// How many lines of one command are told.
const MOST_LINES: usize = 20_000;
/// What is taken of a line; the rest of a longer one is left out. Far more than the engine keeps once it has hidden the
/// secrets in it, so that half of one is never shown.
const LONGEST_LINE: usize = 64 << 10;
/// How many of the last lines an error carries.
const LAST_LINES: usize = 30;

/// What a command wrote.
#[derive(Debug, Default)]
pub(super) struct Output {
    told: usize,
    last: VecDeque<String>,
}

impl Output {
    pub(super) fn add(&mut self, ctx: &Context, line: String) {
        self.told += 1;
        if self.told <= MOST_LINES {
            ctx.progress.log(&line);
        } else if self.told == MOST_LINES + 1 {
            let note = format!("more than {MOST_LINES} lines: the others are left out");
            ctx.progress.note(&note);
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    pub(super) fn into_last(self) -> Vec<String> {
        self.last.into()
    }
}

/// Sends every line of `output` until it ends. A carriage return ends a line too: progress bars use it.
pub(super) async fn read_lines(output: Option<impl AsyncRead + Unpin>, lines: Sender<String>) {
    let Some(mut output) = output else {
        return;
    };
    let (mut buffer, mut line) = (vec![0; 8192], Vec::new());
    loop {
        let read = output.read(&mut buffer).await.unwrap_or(0);
        let bytes = buffer.get(..read).unwrap_or_default();
        for byte in bytes {
            if matches!(byte, b'\n' | b'\r') {
                if !send(&mut line, &lines).await {
                    return;
                }
            } else if line.len() < LONGEST_LINE {
                line.push(*byte);
            }
        }
        if read == 0 {
            send(&mut line, &lines).await;
            return;
        }
    }
}

async fn send(line: &mut Vec<u8>, lines: &Sender<String>) -> bool {
    let text = String::from_utf8_lossy(line).trim_end().to_owned();
    line.clear();
    text.is_empty() || lines.send(text).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_line_is_handed_on_and_an_endless_one_is_cut() {
        let text = format!(
            "{}\n{}\nend",
            "a".repeat(9_000),
            "b".repeat(LONGEST_LINE * 2)
        );
        let (sender, mut lines) = tokio::sync::mpsc::channel(8);
        read_lines(Some(text.as_bytes()), sender).await;
        let mut lengths = Vec::new();
        while let Some(line) = lines.recv().await {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [9_000, LONGEST_LINE, 3]);
    }
}
