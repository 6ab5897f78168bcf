//! Writing the snapshot: a POSIX tar archive (ustar, with pax records for long names) that depends on content alone.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::Snapshot;
use super::temporary::{Temporary, write_failed};
use super::tree::{Content, Entry, shown};
use crate::id::Digest;
use crate::{Error, ErrorKind, Result, Retry};

/// Bytes that are gathered before they are hashed and written.
const BUFFER: usize = 1 << 20;
const BLOCK: usize = 512;

/// Takes the content of a file, which must be as long as its entry says.
pub(super) type Take<'a> = &'a mut dyn FnMut(&mut dyn Read) -> Result<()>;

/// Writes the snapshot of `entries`, which are sorted, to the file `into`. It appears there complete or not at all.
/// `read` is told path, place and size of a file and hands its content to the function that it is given.
pub(super) fn write_snapshot<S>(
    entries: &[Entry<S>],
    into: &Path,
    mut read: impl FnMut(&str, &S, u64, Take<'_>) -> Result<()>,
) -> Result<Snapshot> {
    let (temporary, file) = Temporary::file_beside(into)?;
    let mut out = Out {
        file,
        hash: Sha256::new(),
        buffer: Vec::with_capacity(BUFFER + BUFFER / 8),
        place: temporary.path(),
    };
    let (mut files, mut bytes) = (0, 0);
    for Entry { path, content } in entries {
        match content {
            Content::Folder => out.header(path, EntryType::Directory, 0o755, 0, None)?,
            Content::Link { target } => {
                files += 1;
                out.header(path, EntryType::Symlink, 0o777, 0, Some(target))?;
            }
            Content::File {
                size,
                executable,
                place,
            } => {
                files += 1;
                bytes += size;
                let mode = if *executable { 0o755 } else { 0o644 };
                out.header(path, EntryType::Regular, mode, *size, None)?;
                read(path, place, *size, &mut |reader| {
                    out.content(path, *size, reader)
                })?;
            }
        }
    }
    let digest = out.finish()?;
    temporary
        .keep_as(into)
        .map_err(|error| write_failed(into, error))?;
    Ok(Snapshot {
        digest,
        files,
        bytes,
    })
}

/// The error of a source that changes while it is read.
pub(super) fn changed(path: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("\"{}\" changed while it was read", shown(path)),
    )
    .with_retry(Retry::Later { after: None })
    .with_remedy("Wait until nothing writes to the source any more, then try again.")
    .with_context("entry", shown(path))
}

/// Hashes what it writes.
struct Out<'a> {
    file: File,
    hash: Sha256,
    buffer: Vec<u8>,
    place: &'a Path,
}

impl Out<'_> {
    fn header(
        &mut self,
        path: &str,
        kind: EntryType,
        mode: u32,
        size: u64,
        target: Option<&str>,
    ) -> Result<()> {
        let mut header = Header::new_ustar();
        let mut pax = Vec::new();
        if !set_path(&mut header, path) {
            pax_record(&mut pax, "path", path);
        }
        if let Some(target) = target
            && header.set_link_name_literal(target).is_err()
        {
            pax_record(&mut pax, "linkpath", target);
        }
        if !pax.is_empty() {
            let mut extension = Header::new_ustar();
            set_path(&mut extension, "pax");
            fill(&mut extension, EntryType::XHeader, 0o644, pax.len() as u64);
            self.buffer.extend_from_slice(extension.as_bytes());
            self.buffer.extend_from_slice(&pax);
            self.pad(pax.len());
        }
        fill(&mut header, kind, mode, size);
        self.buffer.extend_from_slice(header.as_bytes());
        self.flush_when_full()
    }

    /// Appends exactly `size` bytes.
    fn content(&mut self, path: &str, size: u64, reader: &mut dyn Read) -> Result<()> {
        let mut left = size;
        loop {
            // One byte more than should come, to notice a file that grew.
            let most = left.saturating_add(1).min(BUFFER as u64);
            let read = Read::take(&mut *reader, most)
                .read_to_end(&mut self.buffer)
                .map_err(|error| unreadable(path, error))? as u64;
            if read > left || (read == 0 && left > 0) {
                return Err(changed(path));
            }
            left -= read;
            self.flush_when_full()?;
            if read == 0 || (left == 0 && read < most) {
                break;
            }
        }
        self.pad((size % BLOCK as u64) as usize);
        Ok(())
    }

    fn pad(&mut self, length: usize) {
        let rest = (BLOCK - length % BLOCK) % BLOCK;
        self.buffer.resize(self.buffer.len() + rest, 0);
    }

    fn flush_when_full(&mut self) -> Result<()> {
        if self.buffer.len() < BUFFER {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.hash.update(&self.buffer);
        self.file
            .write_all(&self.buffer)
            .map_err(|error| write_failed(self.place, error))?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Digest> {
        self.buffer.resize(self.buffer.len() + 2 * BLOCK, 0);
        self.flush()?;
        self.file
            .sync_data()
            .map_err(|error| write_failed(self.place, error))?;
        Ok(Digest::from_hash(&self.hash.finalize()))
    }
}

/// The error of a file of the source that cannot be read.
pub(super) fn unreadable(path: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => changed(path),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::invalid("source", format!("\"{}\" is damaged: {error}", shown(path)))
                .with_context("entry", shown(path))
                .with_remedy("Make the archive again.")
        }
        _ => Error::invalid(
            "source",
            format!("\"{}\" cannot be read: {error}", shown(path)),
        )
        .with_context("entry", shown(path))
        .with_remedy(
            "Make it readable for the user that runs this process, or leave it out of the source.",
        )
        .with_source(error),
    }
}

fn fill(header: &mut Header, kind: EntryType, mode: u32, size: u64) {
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
}

/// Writes the path into the name and prefix fields; `false` when it does not fit, and its end is written then.
fn set_path(header: &mut Header, path: &str) -> bool {
    let Some(ustar) = header.as_ustar_mut() else {
        return false;
    };
    let bytes = path.as_bytes();
    if bytes.len() <= ustar.name.len() {
        ustar.name[..bytes.len()].copy_from_slice(bytes);
        return true;
    }
    let earliest = bytes.len() - ustar.name.len() - 1;
    let split = bytes
        .iter()
        .enumerate()
        .skip(earliest)
        .find(|(_, byte)| **byte == b'/')
        .map(|(at, _)| at)
        .filter(|at| *at <= ustar.prefix.len() && *at + 1 < bytes.len());
    if let Some(at) = split {
        ustar.prefix[..at].copy_from_slice(&bytes[..at]);
        let name = &bytes[at + 1..];
        ustar.name[..name.len()].copy_from_slice(name);
        return true;
    }
    let end = &bytes[bytes.len() - ustar.name.len()..];
    ustar.name.copy_from_slice(end);
    false
}

/// Appends `length key=value\n`, where the length counts itself.
fn pax_record(out: &mut Vec<u8>, key: &str, value: &str) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
}
