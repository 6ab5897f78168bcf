//! The snapshot of a zip archive.
//!
//! The table of the archive is read by us and strictly: other readers accept archives that two of them read differently, with a name
//! that appears twice, a name that differs between the table and the content, or content that overlaps.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::archive::{Counter, archive_path, check_ratio, checked};
use super::tar_read::damaged;
use super::tar_write::{unreadable, write_snapshot};
use super::tree::{Content, Entry, refused};
use super::{Snapshot, SnapshotLimits};
use crate::{Error, ErrorKind, Result};

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Where the content of a file lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u64,
    packed: u64,
    deflated: bool,
    crc: u32,
}

/// A record of the table.
struct Record {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    /// The Unix mode, 0 when the archive was not made on Unix.
    mode: u32,
    header: u64,
}

type Reader = BufReader<File>;

pub(super) fn snapshot_zip(file: File, into: &Path, limits: &SnapshotLimits) -> Result<Snapshot> {
    let mut file = BufReader::with_capacity(1 << 16, file);
    let length = file.seek(SeekFrom::End(0)).map_err(damaged)?;
    let table = find_table(&mut file, length).map_err(damaged)?;
    let mut counter = Counter::new(limits);
    counter.announce(table.records)?;
    let mut entries = Vec::new();
    let mut spans = Vec::new();
    let mut next = table.start;
    for _ in 0..table.records {
        file.seek(SeekFrom::Start(next)).map_err(damaged)?;
        let record = read_record(&mut file).map_err(damaged)?;
        next = file.stream_position().map_err(damaged)?;
        if next > table.end {
            return Err(damaged(io::ErrorKind::UnexpectedEof.into()));
        }
        let name = std::str::from_utf8(&record.name).map_err(|_| {
            refused(
                &String::from_utf8_lossy(&record.name),
                "has a name that is not UTF-8",
            )
        })?;
        let place = locate(&mut file, name, &record, table.start)?;
        spans.push((record.header, place.start + place.packed));
        let Some(path) = archive_path(name)? else {
            continue;
        };
        let content = content_of(&mut file, name, &record, place)?;
        let entry = Entry { path, content };
        counter.count(&entry)?;
        entries.push(entry);
    }
    check_overlap(&mut spans)?;
    check_ratio(length, counter.bytes(), limits)?;
    let entries = checked(entries)?;
    write_snapshot(&entries, into, |path, place, size, take| {
        read_content(&mut file, path, *place, size, take)
    })
}

/// Where the table lies.
struct Table {
    start: u64,
    end: u64,
    records: u64,
}

/// Finds the table from the record at the end of the archive, which must be its very end.
fn find_table(file: &mut Reader, length: u64) -> io::Result<Table> {
    const LONGEST: u64 = 22 + 0xffff;
    let from = length.saturating_sub(LONGEST);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.by_ref().take(LONGEST).read_to_end(&mut tail)?;
    let at = (0..tail.len().saturating_sub(21))
        .rev()
        .find(|at| {
            tail[*at..].starts_with(b"PK\x05\x06")
                && at + 22 + usize::from(u16_at(&tail, at + 20)) == tail.len()
        })
        .ok_or_else(|| bad("its end is missing"))?;
    let end = from + at as u64;
    let mut table = Table {
        records: u16_at(&tail, at + 10).into(),
        start: u32_at(&tail, at + 16).into(),
        end: 0,
    };
    let mut size = u64::from(u32_at(&tail, at + 12));
    if table.records == 0xffff || table.start == 0xffff_ffff || size == 0xffff_ffff {
        let mut locator = [0; 20];
        file.seek(SeekFrom::Start(
            end.checked_sub(20)
                .ok_or_else(|| bad("its end is too short"))?,
        ))?;
        file.read_exact(&mut locator)?;
        // Without it, the values are as they stand.
        if locator.starts_with(b"PK\x06\x07") {
            let mut record = [0; 56];
            file.seek(SeekFrom::Start(u64_at(&locator, 8)))?;
            file.read_exact(&mut record)?;
            if !record.starts_with(b"PK\x06\x06") {
                return Err(bad("its 64-bit end is missing"));
            }
            table.records = u64_at(&record, 32);
            size = u64_at(&record, 40);
            table.start = u64_at(&record, 48);
        }
    }
    table.end = table.start.saturating_add(size);
    if table.end > end || table.records > size / 46 {
        return Err(bad("its table does not fit into it"));
    }
    Ok(table)
}

fn read_record(file: &mut Reader) -> io::Result<Record> {
    let mut fixed = [0; 46];
    file.read_exact(&mut fixed)?;
    if !fixed.starts_with(b"PK\x01\x02") {
        return Err(bad("a record of its table is missing"));
    }
    let mut name = vec![0; u16_at(&fixed, 28).into()];
    let mut extra = vec![0; u16_at(&fixed, 30).into()];
    file.read_exact(&mut name)?;
    file.read_exact(&mut extra)?;
    file.seek_relative(u16_at(&fixed, 32).into())?;
    let mut record = Record {
        name,
        flags: u16_at(&fixed, 8),
        method: u16_at(&fixed, 10),
        crc: u32_at(&fixed, 16),
        packed: u32_at(&fixed, 20).into(),
        size: u32_at(&fixed, 24).into(),
        // Unix is 3 and macOS is 19.
        mode: if matches!(fixed[5], 3 | 19) {
            u32_at(&fixed, 38) >> 16
        } else {
            0
        },
        header: u32_at(&fixed, 42).into(),
    };
    let wide = wide_values(&extra).unwrap_or_default();
    let mut wide = wide.chunks_exact(8).map(|bytes| u64_at(bytes, 0));
    for value in [&mut record.size, &mut record.packed, &mut record.header] {
        if *value == 0xffff_ffff {
            *value = wide
                .next()
                .ok_or_else(|| bad("a 64-bit value is missing"))?;
        }
    }
    Ok(record)
}

/// The extra field that holds the values which need 64 bits.
fn wide_values(mut extra: &[u8]) -> Option<&[u8]> {
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let value = extra.get(4..4 + length)?;
        if id == 1 {
            return Some(value);
        }
        extra = &extra[4 + length..];
    }
    None
}

/// Reads the header before the content, which must agree with the table.
fn locate(file: &mut Reader, name: &str, record: &Record, table: u64) -> Result<Place> {
    let mut fixed = [0; 30];
    let mut local = vec![0; name.len()];
    file.seek(SeekFrom::Start(record.header))
        .and_then(|_| file.read_exact(&mut fixed))
        .and_then(|()| file.read_exact(&mut local))
        .map_err(damaged)?;
    let same = fixed.starts_with(b"PK\x03\x04")
        && usize::from(u16_at(&fixed, 26)) == name.len()
        && local == name.as_bytes()
        && u16_at(&fixed, 8) == record.method;
    if !same {
        return Err(refused(name, "is described in two different ways"));
    }
    let start = record.header + 30 + name.len() as u64 + u64::from(u16_at(&fixed, 28));
    if start.saturating_add(record.packed) > table {
        return Err(refused(
            name,
            "is cut off: its content reaches into the table of the archive",
        ));
    }
    Ok(Place {
        start,
        packed: record.packed,
        deflated: record.method == DEFLATED,
        crc: record.crc,
    })
}

fn content_of(
    file: &mut Reader,
    name: &str,
    record: &Record,
    place: Place,
) -> Result<Content<Place>> {
    const ENCRYPTED: u16 = 1;
    if record.flags & ENCRYPTED != 0 {
        return Err(refused(name, "is encrypted"));
    }
    if !matches!(record.method, STORED | DEFLATED) {
        let method = record.method;
        return Err(refused(
            name,
            format!("is packed with method {method}, which is not supported"),
        )
        .with_remedy("Make the archive again with the usual method, deflate."));
    }
    if record.method == STORED && record.size != record.packed {
        return Err(refused(name, "has two different sizes"));
    }
    let is_folder = name.ends_with('/');
    match record.mode & 0o170_000 {
        0 | 0o100_000 | 0o040_000 if is_folder && record.size > 0 => {
            Err(refused(name, "is not a file and has content"))
        }
        0 | 0o040_000 if is_folder => Ok(Content::Folder),
        0 | 0o100_000 if !is_folder => Ok(Content::File {
            size: record.size,
            executable: record.mode & 0o111 != 0,
            place,
        }),
        0o120_000 if !is_folder => {
            let mut target = Vec::new();
            if record.size <= 1024 {
                read_content(file, name, place, record.size, &mut |reader| {
                    reader
                        .read_to_end(&mut target)
                        .map(|_| ())
                        .map_err(|error| unreadable(name, error))
                })?;
            }
            let target = String::from_utf8(target)
                .map_err(|_| refused(name, "is a link whose target is not UTF-8"))?;
            Ok(Content::Link { target })
        }
        _ => Err(refused(name, "is neither a file nor a folder nor a link")),
    }
}

/// Hands over the content and checks its length and its checksum.
fn read_content(
    file: &mut Reader,
    path: &str,
    place: Place,
    size: u64,
    take: &mut dyn FnMut(&mut dyn Read) -> Result<()>,
) -> Result<()> {
    file.seek(SeekFrom::Start(place.start))
        .map_err(|error| unreadable(path, error))?;
    let packed = file.by_ref().take(place.packed);
    let mut crc = Crc::new();
    let result = if place.deflated {
        // One byte more than the table says, so that a longer file is noticed, and never more.
        let reader = DeflateDecoder::new(packed).take(size.saturating_add(1));
        take(&mut Summed {
            reader,
            crc: &mut crc,
        })
    } else {
        take(&mut Summed {
            reader: packed,
            crc: &mut crc,
        })
    };
    match result {
        Err(error) if error.kind() == ErrorKind::Conflict => Err(wrong_content(path)),
        Err(error) => Err(error),
        Ok(()) if crc.sum() == place.crc && u64::from(crc.amount()) == size & 0xffff_ffff => Ok(()),
        Ok(()) => Err(wrong_content(path)),
    }
}

fn wrong_content(path: &str) -> Error {
    refused(
        path,
        "is damaged: its content is not what the table of the archive says",
    )
    .with_remedy("Make the archive again.")
}

struct Summed<'a, R> {
    reader: R,
    crc: &'a mut Crc,
}

impl<R: Read> Read for Summed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.crc.update(&buffer[..read]);
        Ok(read)
    }
}

fn check_overlap(spans: &mut [(u64, u64)]) -> Result<()> {
    spans.sort_unstable();
    if spans.windows(2).any(|pair| pair[1].0 < pair[0].1) {
        return Err(Error::invalid("source", "entries of the archive overlap")
            .with_remedy("Make the archive again."));
    }
    Ok(())
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
