//! The snapshot of a folder.

use std::fs::{self, DirEntry, File};
use std::io;
use std::path::Path;

use super::tar_write::{changed, unreadable, write_snapshot};
use super::tree::{Content, Entry, Tally, check_links, check_not_empty, is_left_out, refused};
use super::{Snapshot, SnapshotLimits};
use crate::{Error, Result};

/// Writes the snapshot of `folder` to the file `into`. The file appears complete or not at all.
///
/// # Behavior
/// - What [`LEFT_OUT`](super::LEFT_OUT) names is left out, and sockets and named pipes, which hold nothing to deploy.
/// - Symbolic links are kept as links and never followed; one that leaves the folder or leads back to itself is refused.
/// - All limits are checked before the first byte is written.
///
/// # Errors
/// - [`InvalidInput`](crate::ErrorKind::InvalidInput) that names the path and the rule: not a folder, nothing in it, over a limit, a
///   name that is not UTF-8, a file that cannot be read, a device, a link that is refused.
/// - [`Conflict`](crate::ErrorKind::Conflict), with a retry, when the folder changes while it is read.
/// - [`DiskFull`](crate::ErrorKind::DiskFull).
pub fn snapshot_folder(folder: &Path, into: &Path, limits: &SnapshotLimits) -> Result<Snapshot> {
    check_folder(folder)?;
    let entries = walk(folder, limits)?;
    check_not_empty(&entries, &format!("the folder {}", folder.display()))?;
    check_links(&entries)?;
    write_snapshot(&entries, into, |path, (), _, take| {
        let mut file = open(&folder.join(path)).map_err(|error| unreadable(path, error))?;
        take(&mut file)
    })
}

fn check_folder(folder: &Path) -> Result<()> {
    let shown = folder.display();
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(Error::invalid("source", format!("{shown} is not a folder"))
            .with_remedy("Name a folder, or an archive ending in .tar, .tar.gz, .tgz or .zip.")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::invalid("source", format!("{shown} does not exist"))
                .with_remedy("Correct the path."))
        }
        Err(error) => Err(
            Error::invalid("source", format!("{shown} cannot be read: {error}"))
                .with_remedy("Make it readable for the user that runs this process.")
                .with_source(error),
        ),
    }
}

/// Everything in the folder that belongs into a snapshot, sorted by path.
fn walk(root: &Path, limits: &SnapshotLimits) -> Result<Vec<Entry<()>>> {
    let mut tally = Tally::new(limits);
    let mut entries = Vec::new();
    let mut ahead = vec![String::new()];
    while let Some(folder) = ahead.pop() {
        let listed = list(root, &folder)?;
        let before = entries.len() + ahead.len();
        for (name, entry) in &listed {
            let path = if folder.is_empty() {
                name.clone()
            } else {
                format!("{folder}/{name}")
            };
            let kind = entry
                .file_type()
                .map_err(|error| unreadable(&path, error))?;
            let beside = |file| listed.iter().any(|(name, _)| name == file);
            if is_left_out(name, kind.is_file(), beside) {
                continue;
            }
            tally.path(&path)?;
            if kind.is_dir() {
                tally.folder()?;
                ahead.push(path);
            } else if kind.is_symlink() {
                tally.link()?;
                let content = read_link(&root.join(&path), &path)?;
                entries.push(Entry { path, content });
            } else if kind.is_file() {
                let metadata = entry.metadata().map_err(|error| unreadable(&path, error))?;
                if !metadata.is_file() {
                    return Err(changed(&path));
                }
                tally.file(&path, metadata.len())?;
                entries.push(Entry {
                    path,
                    content: Content::File {
                        size: metadata.len(),
                        executable: is_executable(&metadata),
                        place: (),
                    },
                });
            } else if !holds_nothing(kind) {
                return Err(refused(&path, "is a device").with_remedy("Remove it from the source."));
            }
        }
        if entries.len() + ahead.len() == before && !folder.is_empty() {
            entries.push(Entry {
                path: folder,
                content: Content::Folder,
            });
        }
    }
    entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

fn list(root: &Path, folder: &str) -> Result<Vec<(String, DirEntry)>> {
    let failed = |error| unreadable(if folder.is_empty() { "." } else { folder }, error);
    let mut listed = Vec::new();
    for entry in fs::read_dir(root.join(folder)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().into_string().map_err(|name| {
            let path = Path::new(folder).join(&name);
            refused(&path.to_string_lossy(), "has a name that is not UTF-8")
                .with_remedy("Rename it.")
        })?;
        listed.push((name, entry));
    }
    Ok(listed)
}

fn read_link(place: &Path, path: &str) -> Result<Content<()>> {
    let target = fs::read_link(place).map_err(|error| unreadable(path, error))?;
    match target.into_os_string().into_string() {
        Ok(target) => Ok(Content::Link { target }),
        Err(_) => {
            Err(refused(path, "is a link whose target is not UTF-8")
                .with_remedy("Rename the target."))
        }
    }
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

#[cfg(unix)]
fn holds_nothing(kind: fs::FileType) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    kind.is_socket() || kind.is_fifo()
}

#[cfg(not(unix))]
fn holds_nothing(_: fs::FileType) -> bool {
    false
}

/// Opens a file for reading; a link that took its place after the walk is not followed, a pipe does not block.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}
