//! Files and folders that are removed unless they are kept.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, ErrorKind, Result};

/// A path beside its final place. What is there is removed when this is dropped before [`keep_as`](Self::keep_as).
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    kept: bool,
}

impl Temporary {
    /// A new, empty file beside `place`. The folder around it is made.
    pub(super) fn file_beside(place: &Path) -> Result<(Self, File)> {
        let path = sibling(place)?;
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| write_failed(&path, error))?;
        Ok((Self { path, kept: false }, file))
    }

    /// A new, empty folder beside `place`. The folder around it is made.
    pub(super) fn folder_beside(place: &Path) -> Result<Self> {
        let path = sibling(place)?;
        fs::create_dir(&path).map_err(|error| write_failed(&path, error))?;
        Ok(Self { path, kept: false })
    }

    /// Where it is for now.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves it to `place`.
    pub(super) fn keep_as(mut self, place: &Path) -> io::Result<()> {
        fs::rename(&self.path, place)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // Nobody can be told here; the name says what it is, so that a later clean-up finds it.
        let _ = if self.path.is_dir() {
            fs::remove_dir_all(&self.path)
        } else {
            fs::remove_file(&self.path)
        };
    }
}

fn sibling(place: &Path) -> Result<PathBuf> {
    let (Some(folder), Some(name)) = (place.parent(), place.file_name()) else {
        return Err(Error::unexpected(format!(
            "{} cannot be written: it has no name",
            place.display()
        )));
    };
    fs::create_dir_all(folder).map_err(|error| write_failed(folder, error))?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.partial", uuid::Uuid::now_v7().simple()));
    Ok(folder.join(temporary))
}

/// The error of a write of ours that failed.
pub(super) fn write_failed(path: &Path, error: io::Error) -> Error {
    if matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) {
        return Error::new(
            ErrorKind::DiskFull,
            format!("no space is left to write {}", path.display()),
        )
        .with_remedy("Free some space on that disk and try again.")
        .with_source(error);
    }
    Error::unexpected(format!("{} cannot be written", path.display())).with_source(error)
}
