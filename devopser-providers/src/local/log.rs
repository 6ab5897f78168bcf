//! What a process writes: a file in the folder of its release, which the process itself appends to, so that it needs no
//! worker for that. A file that has grown too large becomes the one before, which is kept too.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use devopser_core::context::CancellationToken;
use devopser_core::model::service::{LogLine, LogStream};
use devopser_core::provider::LogOptions;
use devopser_core::{Error, Result};
use futures::stream::{self, BoxStream, StreamExt};

use super::error::{self, blocking};

/// The size from which on a file becomes the one before.
const MOST_BYTES: u64 = 10 << 20;
/// How much is read at once.
const CHUNK: u64 = 256 * 1024;
/// The longest line; a longer one is cut into several.
const LONGEST_LINE: usize = 64 * 1024;
/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(200);

fn current(folder: &Path) -> PathBuf {
    folder.join("app.log")
}

fn before(folder: &Path) -> PathBuf {
    folder.join("app.log.1")
}

/// Where standard output and standard error go. Both append to one file, so that their lines keep their order.
pub(super) fn outputs(folder: &Path) -> io::Result<(File, File)> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(current(folder))?;
    Ok((file.try_clone()?, file))
}

/// Makes a file that has grown too large the one before. The process goes on appending to the same file, so it is copied
/// and emptied; a line that is written in between is lost.
pub(super) async fn keep_small(folder: &Path) {
    let folder = folder.to_owned();
    let kept = blocking(move || Ok(keep_small_now(&folder, MOST_BYTES))).await;
    if let Ok(Err(error)) = kept {
        tracing::warn!(%error, "a log could not be kept small");
    }
}

fn keep_small_now(folder: &Path, most: u64) -> io::Result<()> {
    let path = current(folder);
    match fs::metadata(&path) {
        Ok(file) if file.len() > most => {}
        _ => return Ok(()),
    }
    let new = folder.join("app.log.new");
    fs::copy(&path, &new)?;
    fs::rename(&new, before(folder))?;
    OpenOptions::new().write(true).open(&path)?.set_len(0)
}

/// Where the part of a file begins that is read: all of it, unless nobody kept it small.
fn start_of_tail(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len().saturating_sub(2 * MOST_BYTES))
}

/// Reads at most `most` bytes from `offset` on, and returns where it came to.
fn read_on(path: &Path, offset: u64, most: u64, lines: &mut Lines) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    let read = file.take(most).read_to_end(&mut bytes)?;
    lines.add(&bytes);
    Ok(offset + u64::try_from(read).unwrap_or(0))
}

/// Bytes made into lines.
#[derive(Debug, Default)]
struct Lines {
    whole: VecDeque<String>,
    rest: Vec<u8>,
}

impl Lines {
    fn add(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            while self.rest.len() > LONGEST_LINE {
                let more = self.rest.split_off(LONGEST_LINE);
                self.finish();
                self.rest = more;
            }
            if piece.ends_with(b"\n") {
                self.finish_line();
            }
        }
    }

    fn finish_line(&mut self) {
        let line = std::mem::take(&mut self.rest);
        let text = String::from_utf8_lossy(&line);
        self.whole
            .push_back(text.trim_end_matches(['\n', '\r']).to_owned());
    }

    /// The rest is a line too.
    fn finish(&mut self) {
        if !self.rest.is_empty() {
            self.finish_line();
        }
    }
}

/// How far a log was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    offset: u64,
    kept: Option<Kept>,
}

/// Which file is the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    number: u64,
    changed: (i64, i64),
    size: u64,
}

fn kept(folder: &Path) -> Option<Kept> {
    let file = fs::metadata(before(folder)).ok()?;
    Some(Kept {
        number: file.ino(),
        changed: (file.ctime(), file.ctime_nsec()),
        size: file.len(),
    })
}

/// Reads a log on and on.
#[derive(Debug)]
struct Reader {
    folder: PathBuf,
    options: LogOptions,
    cancel: CancellationToken,
    place: Option<Place>,
    lines: Lines,
}

/// The lines of the release in `folder`, as a stream.
pub(super) fn stream(
    folder: PathBuf,
    options: LogOptions,
    cancel: CancellationToken,
) -> BoxStream<'static, Result<LogLine>> {
    let reader = Reader {
        folder,
        options,
        cancel,
        place: None,
        lines: Lines::default(),
    };
    stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(line)) => {
                let line = LogLine {
                    at: None,
                    stream: LogStream::Stdout,
                    line,
                };
                Some((Ok(line), Some(reader)))
            }
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

impl Reader {
    async fn next(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(line) = self.lines.whole.pop_front() {
                return Ok(Some(line));
            }
            match self.place {
                None => self.begin().await?,
                Some(_) if !self.options.follow => {
                    self.lines.finish();
                    return Ok(self.lines.whole.pop_front());
                }
                Some(_) if self.cancel.is_cancelled() || !self.folder.is_dir() => return Ok(None),
                Some(place) => {
                    if !self.go_on(place).await? {
                        tokio::select! {
                            () = self.cancel.cancelled() => {}
                            () = tokio::time::sleep(LOOK) => {}
                        }
                    }
                }
            }
        }
    }

    /// Reads what there is.
    async fn begin(&mut self) -> Result<()> {
        let folder = self.folder.clone();
        let (mut lines, place) = blocking(move || {
            let mut lines = Lines::default();
            let kept = kept(&folder);
            let path = before(&folder);
            let _ = read_on(&path, start_of_tail(&path), u64::MAX, &mut lines);
            let path = current(&folder);
            let offset = start_of_tail(&path);
            let offset = read_on(&path, offset, u64::MAX, &mut lines).unwrap_or(offset);
            Ok((lines, Place { offset, kept }))
        })
        .await?;
        if let Some(last) = self.options.last {
            let rest = usize::from(!self.options.follow && !lines.rest.is_empty());
            let last = usize::try_from(last).unwrap_or(usize::MAX);
            let skipped = (lines.whole.len() + rest).saturating_sub(last);
            lines.whole.drain(..skipped.min(lines.whole.len()));
            if last == 0 {
                lines.rest.clear();
            }
        }
        self.lines = lines;
        self.place = Some(place);
        Ok(())
    }

    /// Reads what was added, and says whether that was anything. When the file was made the one before, what was not read
    /// yet is there.
    async fn go_on(&mut self, place: Place) -> Result<bool> {
        let folder = self.folder.clone();
        let mut lines = std::mem::take(&mut self.lines);
        let (lines, now) = blocking(move || {
            let mut now = place;
            let path = current(&folder);
            let size = fs::metadata(&path).map_or(0, |file| file.len());
            let kept = kept(&folder);
            // Between the copy and the emptying the file is as long as its copy: it is read on then.
            if kept != place.kept && kept.is_none_or(|kept| size < kept.size) {
                // An error means that there is nothing to read.
                let _ = read_on(&before(&folder), place.offset, u64::MAX, &mut lines);
                now = Place { offset: 0, kept };
            }
            if size > now.offset {
                now.offset = read_on(&path, now.offset, CHUNK, &mut lines)
                    .map_err(|source| error::file("read", &path, source))?;
            }
            Ok((lines, now))
        })
        .await?;
        (self.lines, self.place) = (lines, Some(now));
        Ok(now != place)
    }
}

/// A stream of one error.
pub(super) fn failed(error: Error) -> BoxStream<'static, Result<LogLine>> {
    stream::iter([Err(error)]).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    async fn read(folder: &Path, last: Option<u32>) -> Vec<String> {
        let options = LogOptions {
            last,
            follow: false,
        };
        let lines = stream(folder.to_owned(), options, CancellationToken::new());
        lines.map(|line| line.unwrap().line).collect().await
    }

    #[tokio::test]
    async fn the_last_lines_are_those_of_both_files() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(read(folder, None).await.is_empty());
        fs::write(before(folder), "1\n2\n").unwrap();
        fs::write(current(folder), b"3\r\n\n\xff\n5").unwrap();
        assert_eq!(
            read(folder, None).await,
            ["1", "2", "3", "", "\u{fffd}", "5"]
        );
        assert_eq!(read(folder, Some(2)).await, ["\u{fffd}", "5"]);
        assert!(read(folder, Some(0)).await.is_empty());
    }

    #[tokio::test]
    async fn a_followed_log_misses_nothing_when_it_is_kept_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let (mut out, _) = outputs(&path).unwrap();
        writeln!(out, "old").unwrap();
        let options = LogOptions {
            last: Some(0),
            follow: true,
        };
        let cancel = CancellationToken::new();
        let mut lines = stream(path.clone(), options, cancel.clone());
        let mut next = async || {
            let line = tokio::time::timeout(Duration::from_secs(5), lines.next());
            line.await.unwrap().unwrap().unwrap().line
        };
        let writer = {
            let path = path.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(300)).await;
                for n in 0..200 {
                    writeln!(out, "line {n}").unwrap();
                    if n % 50 == 20 {
                        keep_small_now(&path, 10).unwrap();
                        // The one before is kept until the next time.
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                }
            })
        };
        for n in 0..200 {
            assert_eq!(next().await, format!("line {n}"));
        }
        writer.await.unwrap();
        cancel.cancel();
        assert!(lines.next().await.is_none());
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::default();
        lines.add(&vec![b'x'; 3 * LONGEST_LINE]);
        lines.finish();
        assert!(lines.whole.len() >= 3);
        assert!(lines.whole.iter().all(|line| line.len() <= LONGEST_LINE));
    }
}
