//! A container's log as lines.

use std::time::Duration;

use devopser_core::context::Context;
use devopser_core::model::service::{LogLine, LogStream, ReleaseRef};
use devopser_core::provider::LogOptions;
use devopser_core::{Error, Result};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::Docker;
use super::deploy::absent;
use super::model::LogChunk;
use super::time::parse_timestamp;

/// A line that is longer is cut into several.
const LONGEST_LINE: usize = 64 * 1024;

/// The lines of a release. Nothing is asked before the stream is read.
pub(crate) fn stream(
    docker: Docker,
    ctx: Context,
    release: ReleaseRef,
    options: LogOptions,
) -> BoxStream<'static, Result<LogLine>> {
    let cancel = ctx.cancel.clone();
    let opened = async move {
        let facts = docker
            .owned_container(&ctx, &release)
            .await?
            .ok_or_else(|| absent(&release))?;
        let chunks = docker
            .engine
            .container_logs(&facts.id, options.last, options.follow)
            .await?;
        Ok::<_, Error>(lines(chunks))
    };
    stream::once(opened)
        .try_flatten()
        .take_until(cancel.cancelled_owned())
        .boxed()
}

/// Puts lines together. The engine cuts long lines into pieces, each with a time of its own.
fn lines(chunks: BoxStream<'static, Result<LogChunk>>) -> BoxStream<'static, Result<LogLine>> {
    let state = (chunks, Assembler::default(), false);
    stream::unfold(state, |(mut chunks, mut assembler, ended)| async move {
        if ended {
            return None;
        }
        match chunks.next().await {
            Some(Ok(chunk)) => {
                let found: Vec<_> = assembler.take(chunk).into_iter().map(Ok).collect();
                Some((found, (chunks, assembler, false)))
            }
            Some(Err(error)) => Some((vec![Err(error)], (chunks, assembler, true))),
            None => {
                let rest: Vec<_> = assembler.rest().into_iter().map(Ok).collect();
                Some((rest, (chunks, assembler, true)))
            }
        }
    })
    .map(stream::iter)
    .flatten()
    .boxed()
}

#[derive(Debug, Default)]
struct Assembler {
    out: Partial,
    err: Partial,
}

#[derive(Debug, Default)]
struct Partial {
    at: Option<u64>,
    text: Vec<u8>,
}

impl Assembler {
    fn take(&mut self, chunk: LogChunk) -> Option<LogLine> {
        let (partial, stream) = if chunk.is_error_stream {
            (&mut self.err, LogStream::Stderr)
        } else {
            (&mut self.out, LogStream::Stdout)
        };
        let (at, text) = split_time(&chunk.data);
        if partial.text.is_empty() {
            partial.at = at;
        }
        partial.text.extend_from_slice(text);
        let is_whole = text.ends_with(b"\n") || partial.text.len() >= LONGEST_LINE;
        is_whole.then(|| partial.line(stream))
    }

    fn rest(&mut self) -> Vec<LogLine> {
        [
            (&mut self.out, LogStream::Stdout),
            (&mut self.err, LogStream::Stderr),
        ]
        .into_iter()
        .filter(|(partial, _)| !partial.text.is_empty())
        .map(|(partial, stream)| partial.line(stream))
        .collect()
    }
}

impl Partial {
    fn line(&mut self, stream: LogStream) -> LogLine {
        let text = std::mem::take(&mut self.text);
        let text = String::from_utf8_lossy(&text);
        LogLine {
            at: self.at.take(),
            stream,
            line: text.trim_end_matches(['\n', '\r']).to_owned(),
        }
    }
}

/// The engine puts its time and a space in front.
fn split_time(data: &[u8]) -> (Option<u64>, &[u8]) {
    let Some(space) = data.iter().take(40).position(|byte| *byte == b' ') else {
        return (None, data);
    };
    let time = std::str::from_utf8(&data[..space])
        .ok()
        .and_then(parse_timestamp);
    match time {
        Some(at) => (Some(at), &data[space + 1..]),
        None => (None, data),
    }
}

impl Docker {
    /// The last lines of a container, for an error; empty when they cannot be had.
    pub(crate) async fn last_lines(&self, ctx: &Context, name: &str, count: u32) -> Vec<String> {
        let read = async {
            let chunks = self.engine.container_logs(name, Some(count), false).await?;
            lines(chunks)
                .map_ok(|line| line.line)
                .try_collect::<Vec<_>>()
                .await
        };
        match tokio::time::timeout(Duration::from_secs(5), ctx.run(read)).await {
            Ok(Ok(lines)) => lines,
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(is_error_stream: bool, data: &str) -> LogChunk {
        LogChunk {
            is_error_stream,
            data: data.into(),
        }
    }

    #[test]
    fn pieces_of_a_line_are_put_together_for_each_stream() {
        let mut assembler = Assembler::default();
        let time = "2024-02-29T12:34:56.789123456Z";
        assert_eq!(assembler.take(chunk(false, &format!("{time} a"))), None);
        let err = assembler
            .take(chunk(true, &format!("{time} oops\n")))
            .unwrap();
        assert_eq!((err.line.as_str(), err.stream), ("oops", LogStream::Stderr));
        let out = assembler
            .take(chunk(false, "2024-02-29T12:34:57Z b\r\n"))
            .unwrap();
        assert_eq!(out.line, "ab");
        assert_eq!(out.at, Some(1_709_210_096_789));
        assert_eq!(assembler.take(chunk(false, "no time")), None);
        assert_eq!(assembler.rest()[0].line, "no time");
        assert!(assembler.rest().is_empty());
    }
}
