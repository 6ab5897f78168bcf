//! From a snapshot back to a folder.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::tar_read::read_table;
use super::temporary::{Temporary, write_failed};
use super::tree::{Content, Entry, Spelling, check_links, check_places, refused};
use crate::{Error, Result};

/// Unpacks a snapshot to the folder `into`, which appears complete or not at all.
///
/// # Behavior
/// - A folder that is there already is taken for the result of an earlier call and left as it is.
/// - Nothing is written outside of `into`, even when the snapshot was not made by us: paths and links are checked before the first
///   byte is written, and links are made last.
///
/// # Errors
/// - [`InvalidInput`](crate::ErrorKind::InvalidInput) for a file that is no snapshot.
/// - [`DiskFull`](crate::ErrorKind::DiskFull).
pub fn unpack(snapshot: &Path, into: &Path) -> Result<()> {
    if into.is_dir() {
        return Ok(());
    }
    let mut file = File::open(snapshot).map_err(|error| {
        Error::unexpected(format!(
            "the snapshot {} cannot be read",
            snapshot.display()
        ))
        .with_source(error)
    })?;
    let entries = read_table(&mut file, own_path, |_| Ok(()))?;
    check_places(&entries, Spelling::Exact)?;
    check_links(&entries)?;
    let folder = Temporary::folder_beside(into)?;
    write_all(&entries, &mut file, folder.path())?;
    match folder.keep_as(into) {
        // Another call was faster.
        Err(_) if into.is_dir() => Ok(()),
        result => result.map_err(|error| write_failed(into, error)),
    }
}

/// Accepts only paths as we write them.
fn own_path(path: &str) -> Result<Option<String>> {
    let plain = path
        .split('/')
        .all(|name| !matches!(name, "" | "." | "..") && !name.contains('\0'));
    if plain {
        Ok(Some(path.to_owned()))
    } else {
        Err(refused(path, "is no path of a snapshot"))
    }
}

fn write_all(entries: &[Entry<u64>], file: &mut File, root: &Path) -> Result<()> {
    let mut last_folder = None;
    for Entry { path, content } in entries {
        let place = root.join(path);
        let folder = match content {
            Content::Folder => Some(place.as_path()),
            _ => place.parent(),
        };
        if let Some(folder) = folder.filter(|folder| last_folder.as_deref() != Some(*folder)) {
            fs::create_dir_all(folder).map_err(|error| write_failed(folder, error))?;
            last_folder = Some(folder.to_owned());
        }
        if let Content::File {
            size,
            executable,
            place: offset,
        } = content
        {
            file.seek(SeekFrom::Start(*offset))
                .and_then(|_| write_file(&place, *executable, *size, file))
                .map_err(|error| write_failed(&place, error))?;
        }
    }
    for Entry { path, content } in entries {
        if let Content::Link { target } = content {
            let place = root.join(path);
            link(target, &place).map_err(|error| write_failed(&place, error))?;
        }
    }
    Ok(())
}

fn write_file(place: &Path, executable: bool, size: u64, from: &mut File) -> io::Result<()> {
    let mut to = File::options().write(true).create_new(true).open(place)?;
    let copied = io::copy(&mut from.take(size), &mut to)?;
    if copied != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    set_mode(&to, executable)
}

#[cfg(unix)]
fn set_mode(file: &File, executable: bool) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = if executable { 0o755 } else { 0o644 };
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &File, _: bool) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn link(target: &str, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, place)
}

#[cfg(not(unix))]
fn link(_: &str, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
