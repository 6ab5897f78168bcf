//! The source of a build: what is sent to the engine, and with which metadata.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use devopser_core::context::CancellationToken;
use devopser_core::{Error, Result};

use super::ignore::Ignore;

/// Archives of some build tools refuse anything before 1980.
const OLDEST_SECOND: i64 = 315_532_800;
const NANOS: i64 = 1_000_000_000;

/// A folder to build, as it was when it was looked at.
#[derive(Debug)]
pub(crate) struct BuildFolder {
    root: PathBuf,
    /// Depth first, names sorted.
    pub(crate) entries: Vec<Entry>,
    pub(crate) dockerfile: String,
    pub(crate) dockerfile_time: i64,
    /// What was left out although no pattern names it, a line each.
    pub(crate) left_out: Vec<String>,
}

/// A path of the folder.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// The permission bits.
    pub(crate) mode: u32,
    /// The time of the last change, whose part below a second follows from the content: the engine keeps a copy and asks
    /// only for files whose metadata differ, and a snapshot may give every file the same second.
    pub(crate) time_nanos: i64,
    pub(crate) kind: EntryKind,
}

/// What a path is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Folder,
    /// A symbolic link and where it points; it is never followed.
    Link(String),
    /// A file and its size.
    File(u64),
}

impl BuildFolder {
    /// Walks the folder. `now_ms` stands in for times before 1980.
    ///
    /// # Errors
    /// [`InvalidInput`](devopser_core::ErrorKind::InvalidInput) when it is no folder or cannot be read.
    pub(crate) fn read(
        root: &Path,
        dockerfile: &str,
        dockerignore: &str,
        now_ms: u64,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        let now = i64::try_from(now_ms / 1000).unwrap_or(OLDEST_SECOND);
        let mut walk = Walk {
            root,
            ignore: Ignore::parse(dockerignore),
            now,
            cancel,
            entries: Vec::new(),
            pending: Vec::new(),
            left_out: Vec::new(),
        };
        if !fs::metadata(root).is_ok_and(|meta| meta.is_dir()) {
            return Err(Error::invalid("source", "there is no folder to build"));
        }
        walk.folder(root, "").map_err(|e| {
            if cancel.is_cancelled() {
                Error::cancelled()
            } else {
                Error::invalid("source", format!("it cannot be read: {e}")).with_source(e)
            }
        })?;
        Ok(Self {
            root: root.to_owned(),
            entries: walk.entries,
            dockerfile: dockerfile.to_owned(),
            dockerfile_time: time_nanos(now, hash_of(dockerfile.as_bytes())),
            left_out: walk.left_out,
        })
    }

    /// Opens a file of the folder. What became a link meanwhile is not followed.
    pub(crate) async fn open(&self, entry: &Entry) -> io::Result<tokio::fs::File> {
        let path = self.root.join(&entry.path);
        if !tokio::fs::symlink_metadata(&path).await?.is_file() {
            return Err(io::Error::other("it is no file any more"));
        }
        tokio::fs::File::open(path).await
    }
}

struct Walk<'a> {
    root: &'a Path,
    ignore: Ignore,
    now: i64,
    cancel: &'a CancellationToken,
    entries: Vec<Entry>,
    /// Excluded folders above the one at hand; they are sent once something below them is.
    pending: Vec<Entry>,
    left_out: Vec<String>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        // Sorted by bytes, as the engine compares.
        let mut names = BTreeSet::new();
        for item in fs::read_dir(folder)? {
            match item?.file_name().into_string() {
                Ok(name) => {
                    names.insert(name);
                }
                Err(name) => self.left_out.push(format!(
                    "{prefix}{} is left out: its name is not UTF-8",
                    name.to_string_lossy()
                )),
            }
        }
        for name in names {
            self.path(&folder.join(&name), format!("{prefix}{name}"))?;
        }
        Ok(())
    }

    fn path(&mut self, full: &Path, path: String) -> io::Result<()> {
        let meta = fs::symlink_metadata(full)?;
        let excluded = self.ignore.excludes(&path);
        let kind = meta.file_type();
        if kind.is_dir() {
            if excluded && !self.ignore.may_take_back_below(&path) {
                return Ok(());
            }
            let depth = self.pending.len();
            let below = format!("{path}/");
            self.pending
                .push(self.entry(path, &meta, EntryKind::Folder, 0));
            if !excluded {
                self.entries.append(&mut self.pending);
            }
            self.folder(full, &below)?;
            self.pending.truncate(depth);
            return Ok(());
        }
        if excluded {
            return Ok(());
        }
        let entry = if kind.is_symlink() {
            match fs::read_link(full)?.into_os_string().into_string() {
                Ok(target) => self.entry(path, &meta, EntryKind::Link(target), 0),
                Err(_) => {
                    self.left_out
                        .push(format!("{path} is left out: its target is not UTF-8"));
                    return Ok(());
                }
            }
        } else if kind.is_file() {
            let hash = self.hash_file(full)?;
            self.entry(path, &meta, EntryKind::File(meta.len()), hash)
        } else {
            self.left_out
                .push(format!("{path} is left out: it is no file, folder or link"));
            return Ok(());
        };
        self.entries.append(&mut self.pending);
        self.entries.push(entry);
        Ok(())
    }

    fn entry(&self, path: String, meta: &fs::Metadata, kind: EntryKind, hash: u64) -> Entry {
        let second = match meta.modified().map(|time| time.duration_since(UNIX_EPOCH)) {
            Ok(Ok(_)) if meta.mtime() >= OLDEST_SECOND => meta.mtime().min(self.now),
            _ => self.now,
        };
        Entry {
            path,
            mode: meta.permissions().mode() & 0o777,
            time_nanos: time_nanos(second, hash),
            kind,
        }
    }

    fn hash_file(&self, path: &Path) -> io::Result<u64> {
        let mut file = fs::File::open(path)?;
        let mut hasher = DefaultHasher::new();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            if self.cancel.is_cancelled() {
                return Err(io::Error::other("cancelled"));
            }
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(hasher.finish());
            }
            hasher.write(&buffer[..read]);
        }
    }
}

impl std::fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Walk({})", self.root.display())
    }
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn time_nanos(second: i64, hash: u64) -> i64 {
    let below = i64::try_from(hash % 1_000_000_000).unwrap_or(0);
    second.saturating_mul(NANOS).saturating_add(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(root: &Path, ignore: &str) -> BuildFolder {
        BuildFolder::read(
            root,
            "FROM scratch",
            ignore,
            2_000_000_000_000,
            &CancellationToken::new(),
        )
        .unwrap()
    }

    fn paths(folder: &BuildFolder) -> Vec<&str> {
        folder
            .entries
            .iter()
            .map(|entry| entry.path.as_str())
            .collect()
    }

    #[test]
    fn the_walk_is_sorted_obeys_the_patterns_and_sends_the_folders_of_what_is_taken_back() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "a/x",
            "a.b",
            "node_modules/m/i.js",
            "docs/deep/keep.md",
            "docs/other",
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        assert_eq!(
            paths(&read(root.path(), "node_modules\ndocs\n!docs/deep/keep.md")),
            ["a", "a/x", "a.b", "docs", "docs/deep", "docs/deep/keep.md"].to_vec()
        );
    }

    #[test]
    fn links_stay_links_and_loops_end() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        std::os::unix::fs::symlink("..", root.path().join("d/loop")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("out")).unwrap();
        let folder = read(root.path(), "");
        assert_eq!(paths(&folder), ["d", "d/loop", "out"]);
        assert_eq!(folder.entries[1].kind, EntryKind::Link("..".into()));
        assert_eq!(
            folder.entries[2].kind,
            EntryKind::Link("/etc/passwd".into())
        );
    }

    #[test]
    fn the_time_follows_from_the_content_where_second_and_size_are_the_same() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("f");
        let old = fs::FileTimes::new().set_modified(UNIX_EPOCH);
        let mut times = Vec::new();
        for content in ["one", "two", "one"] {
            fs::write(&file, content).unwrap();
            fs::File::options()
                .write(true)
                .open(&file)
                .unwrap()
                .set_times(old)
                .unwrap();
            times.push(read(root.path(), "").entries[0].time_nanos);
        }
        assert_ne!(times[0], times[1]);
        assert_eq!(times[0], times[2]);
        assert_eq!(times[0] / NANOS, 2_000_000_000);
    }
}
