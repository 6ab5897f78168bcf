//! [`Disk`]: a folder on disk, opened once; what lies below is reached from there.

use std::fs::File;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
    Link,
    Other,
}

/// An opened folder.
#[derive(Debug)]
pub(super) struct Disk {
    /// Its absolute path, links not resolved.
    path: PathBuf,
    /// Its path with all links resolved; asked for where there are links only.
    real: OnceLock<Option<PathBuf>>,
    #[cfg(target_os = "linux")]
    opened: std::os::fd::OwnedFd,
}

impl Disk {
    /// Where an entry lies.
    fn full(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    /// Whether a link ends at a file inside the folder.
    pub(super) fn ends_inside(&self, link: &str) -> bool {
        let real = self.real.get_or_init(|| self.path.canonicalize().ok());
        let (Some(root), Ok(target)) = (real, self.full(link).canonicalize()) else {
            return false;
        };
        target.starts_with(root) && target.is_file()
    }
}

#[cfg(target_os = "linux")]
impl Disk {
    pub(super) fn open(path: &Path) -> Result<Self> {
        use rustix::fs::{CWD, Mode, OFlags, openat};

        let path = std::path::absolute(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(CWD, &path, flags, Mode::empty()).map_err(Error::from)?;
        Ok(Self {
            path,
            real: OnceLock::new(),
            opened,
        })
    }

    /// Hands every entry of a folder to `each`, until that says that it is enough. A name that is not UTF-8 is `None`.
    /// `buffer` is worked in, and can be handed over again.
    pub(super) fn entries(
        &self,
        folder: &str,
        buffer: &mut Vec<u8>,
        mut each: impl FnMut(Option<&str>, Kind) -> bool,
    ) -> Result<()> {
        use std::os::fd::AsFd as _;

        use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom, openat, seek, statat};

        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let below;
        let opened = if folder.is_empty() {
            // It is open already; whoever lists holds the tree's lock.
            seek(&self.opened, SeekFrom::Start(0)).map_err(Error::from)?;
            self.opened.as_fd()
        } else {
            below = openat(&self.opened, folder, flags, Mode::empty()).map_err(Error::from)?;
            below.as_fd()
        };
        buffer.reserve(BUFFER);
        let mut entries = RawDir::new(opened, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(Error::from)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems only say it when the entry itself is asked.
                FileType::Unknown => statat(opened, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |stat| {
                        FileType::from_raw_mode(stat.st_mode)
                    }),
                known => known,
            };
            let kind = match kind {
                FileType::Directory => Kind::Folder,
                FileType::RegularFile => Kind::File,
                FileType::Symlink => Kind::Link,
                _ => Kind::Other,
            };
            if !each(name.to_str().ok(), kind) {
                break;
            }
        }
        Ok(())
    }

    /// Opens a file for reading; a link only where `follow` says so.
    pub(super) fn file(&self, path: &str, follow: bool) -> Result<File> {
        use rustix::fs::{Mode, OFlags, openat};

        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let flags = if follow {
            flags
        } else {
            flags | OFlags::NOFOLLOW
        };
        Ok(openat(&self.opened, path, flags, Mode::empty())
            .map_err(Error::from)?
            .into())
    }
}

/// How many bytes of a folder are read at once.
#[cfg(target_os = "linux")]
const BUFFER: usize = 32 << 10;

#[cfg(not(target_os = "linux"))]
impl Disk {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path)?;
        if !path.metadata()?.is_dir() {
            return Err(Error::from(std::io::ErrorKind::NotADirectory));
        }
        Ok(Self {
            path,
            real: OnceLock::new(),
        })
    }

    /// Hands every entry of a folder to `each`, until that says that it is enough. A name that is not UTF-8 is `None`.
    pub(super) fn entries(
        &self,
        folder: &str,
        _: &mut Vec<u8>,
        mut each: impl FnMut(Option<&str>, Kind) -> bool,
    ) -> Result<()> {
        for entry in self.full(folder).read_dir()? {
            let entry = entry?;
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => Kind::Folder,
                Ok(kind) if kind.is_file() => Kind::File,
                Ok(kind) if kind.is_symlink() => Kind::Link,
                _ => Kind::Other,
            };
            if !each(entry.file_name().to_str(), kind) {
                break;
            }
        }
        Ok(())
    }

    /// Opens a file for reading.
    pub(super) fn file(&self, path: &str, _follow: bool) -> Result<File> {
        File::open(self.full(path))
    }
}
