//! Reading the table of a tar archive: which entries it has, and where their content lies. Nothing is unpacked here.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use tar::{Archive, EntryType};

use super::tree::{Content, Entry, refused, shown};
use crate::{Error, Result};

/// Where the content of a file lies in the archive.
pub(super) type Offset = u64;

/// Most bytes of the records that describe one entry; more than every path that is accepted needs.
const MOST_DESCRIPTION: u64 = 64 << 10;

/// What precedes an entry and describes it.
#[derive(Default)]
struct Described {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
}

/// The entries of the tar archive, in their order. `path` turns the path that the archive gives into one of ours and refuses
/// it (or says that the entry is the root itself, `None`); `each` sees every entry before the next one is read.
pub(super) fn read_table(
    file: &mut File,
    path: impl Fn(&str) -> Result<Option<String>>,
    mut each: impl FnMut(&Entry<Offset>) -> Result<()>,
) -> Result<Vec<Entry<Offset>>> {
    let length = file.seek(SeekFrom::End(0)).map_err(damaged)?;
    file.rewind().map_err(damaged)?;
    let mut archive = Archive::new(file);
    let mut described = Described::default();
    let mut table = Table {
        path,
        length,
        entries: Vec::new(),
        files: HashMap::new(),
    };
    for raw in archive.entries_with_seek().map_err(damaged)?.raw(true) {
        let mut raw = raw.map_err(damaged)?;
        if describe(&mut raw, &mut described)? {
            continue;
        }
        let Some(entry) = table.entry(&raw, std::mem::take(&mut described))? else {
            continue;
        };
        each(&entry)?;
        if matches!(entry.content, Content::File { .. }) {
            table.files.insert(entry.path.clone(), table.entries.len());
        }
        table.entries.push(entry);
    }
    Ok(table.entries)
}

/// What was read so far.
struct Table<P> {
    path: P,
    /// The length of the archive.
    length: u64,
    entries: Vec<Entry<Offset>>,
    /// Where a file is in `entries`.
    files: HashMap<String, usize>,
}

impl<P: Fn(&str) -> Result<Option<String>>> Table<P> {
    /// The entry that a header and what precedes it describe; `None` for the root itself.
    fn entry(
        &self,
        raw: &tar::Entry<'_, &mut File>,
        described: Described,
    ) -> Result<Option<Entry<Offset>>> {
        let name = text(
            described
                .path
                .unwrap_or_else(|| raw.path_bytes().into_owned()),
        )?;
        let size = raw.size();
        if described.size.is_some_and(|said| said != size) {
            return Err(refused(&name, "has two different sizes"));
        }
        let kind = raw.header().entry_type();
        let is_folder = kind.is_dir() || (is_file(kind) && name.ends_with('/'));
        if size > 0 && (is_folder || !is_file(kind)) {
            return Err(refused(&name, "is not a file and has content"));
        }
        let Some(path) = (self.path)(&name)? else {
            return if is_folder {
                Ok(None)
            } else {
                Err(refused(&name, "has no name"))
            };
        };
        let target = || {
            text(
                described
                    .target
                    .unwrap_or_else(|| raw.link_name_bytes().unwrap_or_default().into_owned()),
            )
        };
        let content = match kind {
            _ if is_folder => Content::Folder,
            _ if is_file(kind) => self.file(&name, raw, size)?,
            EntryType::Symlink => Content::Link { target: target()? },
            EntryType::Link => self.hard_link(&name, &target()?)?,
            other => return Err(refused(&name, format!("is {}", kind_in_words(other)))),
        };
        Ok(Some(Entry { path, content }))
    }

    fn file(
        &self,
        name: &str,
        raw: &tar::Entry<'_, &mut File>,
        size: u64,
    ) -> Result<Content<Offset>> {
        let place = raw.raw_file_position();
        if place.saturating_add(size) > self.length {
            return Err(refused(name, "is cut off: the archive ends before it"));
        }
        let executable = raw.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
        Ok(Content::File {
            size,
            executable,
            place,
        })
    }

    /// A hard link becomes a file with the content of the one it names, which must come before it in the same archive.
    fn hard_link(&self, name: &str, target: &str) -> Result<Content<Offset>> {
        let named = (self.path)(target)?.and_then(|target| self.files.get(&target));
        match named
            .and_then(|at| self.entries.get(*at))
            .map(|entry| &entry.content)
        {
            Some(&Content::File {
                size,
                executable,
                place,
            }) => Ok(Content::File {
                size,
                executable,
                place,
            }),
            _ => Err(refused(
                name,
                format!(
                    "is a hard link to \"{}\", which is no file that comes before it in the archive",
                    shown(target)
                ),
            )),
        }
    }
}

/// Takes in a record that describes the next entry; `false` when it is an entry itself.
fn describe(raw: &mut tar::Entry<'_, &mut File>, described: &mut Described) -> Result<bool> {
    let kind = raw.header().entry_type();
    let is_description = kind.is_gnu_longname()
        || kind.is_gnu_longlink()
        || kind.is_pax_local_extensions()
        || kind.is_pax_global_extensions();
    if !is_description {
        return Ok(false);
    }
    if raw.size() > MOST_DESCRIPTION {
        return Err(refused(
            &String::from_utf8_lossy(&raw.path_bytes()),
            "describes an entry with more than 65536 bytes",
        ));
    }
    let mut bytes = Vec::new();
    raw.read_to_end(&mut bytes).map_err(damaged)?;
    if kind.is_gnu_longname() {
        described.path = Some(until_nul(bytes));
    } else if kind.is_gnu_longlink() {
        described.target = Some(until_nul(bytes));
    } else {
        take_pax(&bytes, kind.is_pax_global_extensions(), described)?;
    }
    Ok(true)
}

fn take_pax(bytes: &[u8], global: bool, described: &mut Described) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (key, value, after) =
            pax_record(rest).ok_or_else(|| damaged(io::ErrorKind::InvalidData.into()))?;
        rest = after;
        let known = matches!(key, b"path" | b"linkpath" | b"size");
        if key.starts_with(b"GNU.sparse.") || global && known {
            return Err(refused(
                &String::from_utf8_lossy(key),
                "is an extension of the archive that is not supported",
            ));
        }
        match key {
            b"path" => described.path = Some(value.to_vec()),
            b"linkpath" => described.target = Some(value.to_vec()),
            b"size" => {
                described.size =
                    Some(number(value).ok_or_else(|| damaged(io::ErrorKind::InvalidData.into()))?)
            }
            _ => {}
        }
    }
    Ok(())
}

/// The key and the value of the first record, `length key=value\n`, and what follows it.
fn pax_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(number(&bytes[..space])?).ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], &bytes[length..]))
}

fn number(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| all)?
        .parse()
        .ok()
}

fn is_file(kind: EntryType) -> bool {
    kind.is_file() || kind.is_contiguous()
}

fn kind_in_words(kind: EntryType) -> String {
    match kind {
        EntryType::Char | EntryType::Block => "a device".into(),
        EntryType::Fifo => "a named pipe".into(),
        EntryType::GNUSparse => "a sparse file in a form that is not supported".into(),
        other => format!("an entry of the unknown type {:#04x}", other.as_byte()),
    }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        refused(
            &String::from_utf8_lossy(error.as_bytes()),
            "has a name that is not UTF-8",
        )
    })
}

/// The error of an archive that cannot be read.
pub(super) fn damaged(error: io::Error) -> Error {
    Error::invalid("source", format!("the archive is damaged: {error}"))
        .with_remedy("Make the archive again.")
        .with_source(error)
}
