//! The snapshot of an archive: `.tar`, `.tar.gz` or `.zip`, told apart by their content.
//!
//! The table of the archive is read and checked whole before anything is written, and nothing is ever unpacked to a folder: the
//! content goes from the archive to the snapshot. So there is no path that an entry could escape by.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::archive_zip::snapshot_zip;
use super::tar_read::{damaged, read_table};
use super::tar_write::{unreadable, write_snapshot};
use super::temporary::{Temporary, write_failed};
use super::tree::{
    Content, Entry, Spelling, Tally, canonical, check_links, check_not_empty, check_places,
    is_left_out_below, refused, shown,
};
use super::{Snapshot, SnapshotLimits};
use crate::{Error, Result};

/// Writes the snapshot of the archive to the file `into`. The file appears complete or not at all.
///
/// # Behavior
/// - The kind of the archive is seen from its content, not from its name.
/// - When everything lies in one folder, as in the archives of code hosts, that folder becomes the root.
/// - What [`LEFT_OUT`](super::LEFT_OUT) names is left out; hard links become files; owners, times and special permission bits
///   are dropped. The same content gives the same snapshot as a folder does.
///
/// # Errors
/// - [`InvalidInput`](crate::ErrorKind::InvalidInput) that names the entry and the rule: absolute paths, `..`, drive letters, backslashes,
///   NUL, names that are not UTF-8, paths that appear twice (also when they differ in case only), entries below a link, links
///   that leave the archive or lead back to themselves, devices, encrypted entries, anything over a limit, a damaged archive,
///   another format.
/// - [`DiskFull`](crate::ErrorKind::DiskFull).
pub fn snapshot_archive(archive: &Path, into: &Path, limits: &SnapshotLimits) -> Result<Snapshot> {
    let mut file = open(archive)?;
    match format_of(&mut file).map_err(damaged)? {
        Format::Tar => snapshot_tar(&mut file, into, limits),
        Format::Gzip => {
            let (_temporary, mut tar) = decompress(&mut file, into, limits)?;
            match format_of(&mut tar).map_err(damaged)? {
                Format::Tar => snapshot_tar(&mut tar, into, limits),
                _ => Err(unsupported(
                    archive,
                    "a compressed file that is no tar archive",
                )),
            }
        }
        Format::Zip => snapshot_zip(file, into, limits),
        Format::Other(what) => Err(unsupported(archive, what)),
    }
}

fn open(archive: &Path) -> Result<File> {
    let refuse = |rule: &str| Error::invalid("source", format!("{} {rule}", archive.display()));
    let file = File::open(archive).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            refuse("does not exist").with_remedy("Correct the path.")
        } else {
            refuse("cannot be read")
                .with_remedy("Make it readable for the user that runs this process.")
                .with_source(error)
        }
    })?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        _ => Err(refuse("is not a file")),
    }
}

enum Format {
    Tar,
    Gzip,
    Zip,
    Other(&'static str),
}

fn format_of(file: &mut File) -> io::Result<Format> {
    let mut start = Vec::new();
    file.rewind()?;
    Read::take(&mut *file, 512).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(match start.as_slice() {
        [0x1f, 0x8b, ..] => Format::Gzip,
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Format::Zip,
        [] => Format::Other("an empty file"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Format::Other("compressed with xz"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Format::Other("compressed with zstd"),
        [b'B', b'Z', b'h', ..] => Format::Other("compressed with bzip2"),
        [b'7', b'z', 0xbc, 0xaf, ..] => Format::Other("a 7z archive"),
        [b'R', b'a', b'r', b'!', ..] => Format::Other("a rar archive"),
        block if block.len() == 512 && is_tar(block) => Format::Tar,
        _ => Format::Other("no archive"),
    })
}

fn is_tar(block: &[u8]) -> bool {
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    let header = tar::Header::from_byte_slice(block);
    block.iter().all(|byte| *byte == 0) || header.cksum().is_ok_and(|said| said == sum)
}

fn unsupported(archive: &Path, what: &str) -> Error {
    Error::invalid("source", format!("{} is {what}", archive.display()))
        .with_remedy("Make it a .tar, .tar.gz or .zip archive.")
}

/// Decompresses to a temporary file, because the entries are read in another order than they come.
fn decompress(file: &mut File, into: &Path, limits: &SnapshotLimits) -> Result<(Temporary, File)> {
    let packed = file.seek(SeekFrom::End(0)).map_err(damaged)?;
    file.rewind().map_err(damaged)?;
    // Every entry has a header, and its content is padded.
    let most = limits
        .bytes
        .saturating_add(limits.files.saturating_mul(2048));
    let (temporary, mut out) = Temporary::file_beside(into)?;
    let mut from = MultiGzDecoder::new(BufReader::with_capacity(1 << 18, file));
    let mut buffer = vec![0; 1 << 18];
    let mut unpacked: u64 = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(damaged(error)),
        };
        unpacked += read as u64;
        if unpacked > most {
            return Err(Error::invalid(
                "source",
                format!("the archive unpacks to more than {} bytes", limits.bytes),
            )
            .with_context("limit", limits.bytes));
        }
        check_ratio(packed, unpacked, limits)?;
        out.write_all(&buffer[..read])
            .map_err(|error| write_failed(temporary.path(), error))?;
    }
    Ok((temporary, out))
}

/// Refuses an archive that unpacks to far more than its own size.
pub(super) fn check_ratio(packed: u64, unpacked: u64, limits: &SnapshotLimits) -> Result<()> {
    const ALWAYS_FINE: u64 = 16 << 20;
    if unpacked <= ALWAYS_FINE || unpacked <= packed.saturating_mul(limits.ratio) {
        return Ok(());
    }
    let ratio = limits.ratio;
    Err(Error::invalid(
        "source",
        format!("the archive unpacks to more than {ratio} times its size"),
    )
    .with_context("limit", ratio)
    .with_remedy("If it is not meant as a bomb, name the unpacked folder instead."))
}

fn snapshot_tar(file: &mut File, into: &Path, limits: &SnapshotLimits) -> Result<Snapshot> {
    let mut counter = Counter::new(limits);
    let entries = read_table(file, archive_path, |entry| counter.count(entry))?;
    let entries = checked(entries)?;
    write_snapshot(&entries, into, |path, place, size, take| {
        file.seek(SeekFrom::Start(*place))
            .map_err(|error| unreadable(path, error))?;
        take(&mut Read::take(&mut *file, size))
    })
}

/// Counts the entries of an archive while its table is read.
pub(super) struct Counter<'a> {
    tally: Tally<'a>,
    seen: u64,
    most: u64,
}

impl<'a> Counter<'a> {
    pub(super) fn new(limits: &'a SnapshotLimits) -> Self {
        Self {
            tally: Tally::new(limits),
            seen: 0,
            most: limits.files.saturating_mul(10),
        }
    }

    /// Refuses an archive that says that it holds too many entries.
    pub(super) fn announce(&self, entries: u64) -> Result<()> {
        if entries > self.most {
            return Err(Error::invalid(
                "source",
                format!("the archive holds more than {} entries", self.most),
            )
            .with_context("limit", self.most));
        }
        Ok(())
    }

    /// Counts an entry against the limits. One that is left out costs memory alone, so ten times as many are accepted.
    pub(super) fn count<S>(&mut self, entry: &Entry<S>) -> Result<()> {
        self.seen += 1;
        self.announce(self.seen)?;
        self.tally.path(&entry.path)?;
        let is_file = matches!(entry.content, Content::File { .. });
        if is_left_out_below(&entry.path, is_file, |_| false) {
            return Ok(());
        }
        match &entry.content {
            Content::Folder => self.tally.folder(),
            Content::Link { .. } => self.tally.link(),
            Content::File { size, .. } => self.tally.file(&entry.path, *size),
        }
    }

    /// The size of all content that was counted.
    pub(super) fn bytes(&self) -> u64 {
        self.tally.bytes
    }
}

/// The path of an entry in our form, `None` for the root, or the rule that it breaks.
pub(super) fn archive_path(name: &str) -> Result<Option<String>> {
    let refuse = |rule: &str| Err(refused(name, rule));
    if name.contains('\0') {
        return refuse("has a NUL in its name");
    }
    if name.contains('\\') {
        return refuse("has a backslash in its name");
    }
    if name.starts_with('/') {
        return refuse("is an absolute path");
    }
    let mut path = String::with_capacity(name.len());
    for part in name.split('/') {
        match part {
            "" | "." => continue,
            ".." => return refuse("has \"..\" in its path"),
            part if path.is_empty() && is_drive(part) => {
                return refuse("begins with a drive letter");
            }
            part => {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(part);
            }
        }
    }
    Ok(Some(path).filter(|path| !path.is_empty()))
}

fn is_drive(part: &str) -> bool {
    let bytes = part.as_bytes();
    bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':'
}

/// Checks all entries of an archive together and brings them into the form of a snapshot.
pub(super) fn checked<S>(entries: Vec<Entry<S>>) -> Result<Vec<Entry<S>>> {
    check_places(&entries, Spelling::FoldCase)?;
    for entry in &entries {
        if let Content::Link { target } = &entry.content
            && (target.contains(['\\', '\0']) || is_drive(target))
        {
            return Err(refused(
                &entry.path,
                format!(
                    "is a link to \"{}\", which is no relative path",
                    shown(target)
                ),
            ));
        }
    }
    let mut entries = without_left_out(entries);
    strip_only_folder(&mut entries);
    check_not_empty(&entries, "the archive")?;
    check_links(&entries)?;
    Ok(canonical(entries))
}

fn without_left_out<S>(mut entries: Vec<Entry<S>>) -> Vec<Entry<S>> {
    let manifests: HashSet<String> = entries
        .iter()
        .filter(|entry| entry.path.ends_with("Cargo.toml"))
        .map(|entry| entry.path.clone())
        .collect();
    entries.retain(|entry| {
        let is_file = matches!(entry.content, Content::File { .. });
        !is_left_out_below(&entry.path, is_file, |file| manifests.contains(file))
    });
    entries
}

/// When everything lies in one folder, makes that folder the root.
fn strip_only_folder<S>(entries: &mut Vec<Entry<S>>) {
    let Some(top) = entries
        .first()
        .and_then(|entry| entry.path.split('/').next())
        .map(str::to_owned)
    else {
        return;
    };
    let below = format!("{top}/");
    let only = entries.iter().all(|entry| {
        entry.path.starts_with(&below)
            || (entry.path == top && matches!(entry.content, Content::Folder))
    });
    if only {
        entries.retain(|entry| entry.path != top);
        for entry in entries {
            entry.path.drain(..below.len());
        }
    }
}
