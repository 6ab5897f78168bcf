//! [`FolderTree`]: a folder on disk, walked once, read with care.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use devopser_core::{Error, ErrorKind, Result};

use super::{FileRead, FileTree, is_pruned};

/// How much of a folder is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most files that are listed. Default: 100,000.
    pub max_files: usize,
    /// How deep folders are walked, the root being 0; what lies deeper is left out. Default: 12.
    pub max_depth: usize,
    /// The largest file that is read, in bytes. Default: 1 MiB.
    pub max_bytes: u64,
    /// Whether more files than `max_files` are an error; otherwise the listing ends there. Default: `true`.
    pub strict: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_files: 100_000,
            max_depth: 12,
            max_bytes: 1 << 20,
            strict: true,
        }
    }
}

/// A folder on disk. Listed when it is opened; each file is read at most once.
///
/// Links to folders are not followed; links to files only where they end inside the folder. Names that are not
/// UTF-8 are left out and counted.
#[derive(Debug)]
pub struct FolderTree {
    root: PathBuf,
    paths: Vec<String>,
    limits: Limits,
    truncated: bool,
    skipped: usize,
    cache: Mutex<HashMap<String, FileRead>>,
}

impl FolderTree {
    /// Opens a folder with the default limits.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when it is no folder, cannot be listed, or holds too many files.
    pub fn open(root: &Path) -> Result<Self> {
        Self::open_with(root, Limits::default())
    }

    /// Opens a folder with limits of the caller's.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when it is no folder, cannot be listed, or, where the limits are strict, holds
    /// too many files.
    pub fn open_with(root: &Path, limits: Limits) -> Result<Self> {
        let root = fs::canonicalize(root).map_err(|error| unusable(root, &error.to_string()))?;
        if !root.is_dir() {
            return Err(unusable(&root, "it is not a folder"));
        }
        let mut walk = Walk {
            root: &root,
            limits,
            paths: Vec::new(),
            skipped: 0,
            truncated: false,
        };
        walk.run()?;
        let Walk {
            mut paths,
            skipped,
            truncated,
            ..
        } = walk;
        paths.sort_unstable();
        Ok(Self {
            root,
            paths,
            limits,
            truncated,
            skipped,
            cache: Mutex::default(),
        })
    }

    /// Whether the listing ended at a limit, so that files may be missing.
    #[must_use]
    pub const fn truncated(&self) -> bool {
        self.truncated
    }

    /// How many entries were left out: names that are not UTF-8, links that lead outside, devices and sockets.
    #[must_use]
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    fn load(&self, path: &str) -> FileRead {
        if self
            .paths
            .binary_search_by(|known| known.as_str().cmp(path))
            .is_err()
        {
            return FileRead::Absent;
        }
        let full = self.root.join(path);
        let Ok(real) = fs::canonicalize(&full) else {
            return FileRead::Absent;
        };
        if !real.starts_with(&self.root) {
            return FileRead::Absent;
        }
        let Ok(meta) = fs::metadata(&real) else {
            return FileRead::Absent;
        };
        if !meta.is_file() {
            return FileRead::Absent;
        }
        if meta.len() > self.limits.max_bytes {
            return FileRead::TooLarge;
        }
        let Ok(file) = fs::File::open(&real) else {
            return FileRead::Absent;
        };
        let mut content = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
        match file
            .take(self.limits.max_bytes + 1)
            .read_to_end(&mut content)
        {
            Ok(read) if read as u64 > self.limits.max_bytes => FileRead::TooLarge,
            Ok(_) => FileRead::Present(Arc::from(content)),
            Err(_) => FileRead::Absent,
        }
    }
}

impl FileTree for FolderTree {
    fn paths(&self) -> &[String] {
        &self.paths
    }

    fn read(&self, path: &str) -> FileRead {
        let known = self
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned();
        if let Some(known) = known {
            return known;
        }
        let read = self.load(path);
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), read.clone());
        read
    }
}

fn unusable(root: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("the folder {} cannot be used: {why}", root.display()),
    )
}

/// One walk, breadth first, so that a limit cuts off what lies deepest.
struct Walk<'r> {
    root: &'r Path,
    limits: Limits,
    paths: Vec<String>,
    skipped: usize,
    truncated: bool,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<()> {
        let mut queue = VecDeque::from([(String::new(), 0_usize)]);
        while let Some((folder, depth)) = queue.pop_front() {
            let entries = match fs::read_dir(self.root.join(&folder)) {
                Ok(entries) => entries,
                Err(error) if depth == 0 => return Err(unusable(self.root, &error.to_string())),
                Err(_) => {
                    self.skipped += 1;
                    continue;
                }
            };
            let mut folders = Vec::new();
            for entry in entries {
                let Ok(entry) = entry else { continue };
                self.entry(&entry, &folder, &mut folders);
                if self.paths.len() > self.limits.max_files {
                    return self.over();
                }
            }
            if depth < self.limits.max_depth {
                folders.sort_unstable();
                queue.extend(folders.into_iter().map(|folder| (folder, depth + 1)));
            } else if !folders.is_empty() {
                self.truncated = true;
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &fs::DirEntry, folder: &str, folders: &mut Vec<String>) {
        let name = entry.file_name();
        let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else {
            self.skipped += 1;
            return;
        };
        let path = if folder.is_empty() {
            name.to_owned()
        } else {
            format!("{folder}/{name}")
        };
        if kind.is_dir() {
            if !is_pruned(name) {
                folders.push(path);
            }
        } else if kind.is_file() || (kind.is_symlink() && self.links_inside(&entry.path())) {
            self.paths.push(path);
        } else {
            self.skipped += 1;
        }
    }

    fn links_inside(&self, link: &Path) -> bool {
        fs::canonicalize(link).is_ok_and(|target| target.starts_with(self.root) && target.is_file())
    }

    fn over(&mut self) -> Result<()> {
        if self.limits.strict {
            let why = format!(
                "it holds more than {} files (node_modules and the like not counted)",
                self.limits.max_files
            );
            return Err(unusable(self.root, &why));
        }
        self.paths.truncate(self.limits.max_files);
        self.truncated = true;
        Ok(())
    }
}
