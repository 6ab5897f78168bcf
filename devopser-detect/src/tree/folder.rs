//! [`FolderTree`]: a folder on disk. Folders are listed and files read when something asks for them, once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use devopser_core::{Error, ErrorKind, Result};

use super::{FileRead, FileTree, Listing, is_pruned};

/// How much of a folder is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most files that are listed. Default: 100,000.
    pub max_files: usize,
    /// How deep folders are walked, the root being 0; what lies deeper is left out. Default: 12.
    pub max_depth: usize,
    /// The largest file that is read, in bytes. Default: 1 MiB.
    pub max_bytes: u64,
    /// Whether more files than `max_files` are an error: the whole folder is walked when it is opened. Otherwise it
    /// is listed as far as something asks, and the listing ends at the limit. Default: `true`.
    pub strict: bool,
}

/// What is read of a file at once.
const SMALL: usize = 16 << 10;

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

/// A folder on disk. Each of its folders is listed, and each file read, at most once.
///
/// Links to folders are not followed; links to files only where they end inside the folder. Names that are not
/// UTF-8 are left out and counted.
#[derive(Debug)]
pub struct FolderTree {
    root: PathBuf,
    limits: Limits,
    paths: OnceLock<Vec<String>>,
    seen: Mutex<Seen>,
}

/// What was looked at so far.
#[derive(Debug, Default)]
struct Seen {
    listings: HashMap<String, Arc<Listing>>,
    files: HashMap<String, FileRead>,
    /// Files that are links.
    links: HashSet<String>,
    listed: usize,
    skipped: usize,
    truncated: bool,
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
        let mut seen = Seen::default();
        let top = list(&root, "", &limits, &mut seen).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotADirectory => unusable(&root, "it is not a folder"),
            _ => unusable(&root, &error.to_string()),
        })?;
        seen.listings.insert(String::new(), Arc::new(top));
        let tree = Self {
            root,
            limits,
            paths: OnceLock::new(),
            seen: Mutex::new(seen),
        };
        if limits.strict {
            tree.paths();
            if tree.seen().listed > limits.max_files {
                let why = format!(
                    "it holds more than {} files (node_modules and the like not counted)",
                    limits.max_files
                );
                return Err(unusable(&tree.root, &why));
            }
        }
        Ok(tree)
    }

    /// Whether a listing so far ended at a limit, so that files may be missing.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.seen().truncated
    }

    /// How many entries were left out so far: names that are not UTF-8, links that lead outside, devices and sockets.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.seen().skipped
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every file, breadth first, so that a limit cuts off what lies deepest.
    fn walk(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let mut queue = VecDeque::from([self.list("")]);
        while let Some(listing) = queue.pop_front() {
            paths.extend(listing.files.iter().cloned());
            queue.extend(listing.folders.iter().map(|folder| self.list(folder)));
        }
        if paths.len() > self.limits.max_files {
            paths.truncate(self.limits.max_files);
            self.seen().truncated = true;
        }
        paths.sort_unstable();
        paths
    }

    /// Whether the listings, from the root down, name this file; and whether it is a link.
    fn names(&self, path: &str) -> Option<bool> {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let listing = self.list(folder);
        let found = listing
            .files
            .binary_search_by(|known| known.as_str().cmp(path));
        found.ok()?;
        Some(self.seen().links.contains(path))
    }

    /// Where a file of the listings lies on disk.
    fn located(&self, path: &str) -> Option<PathBuf> {
        let is_link = self.names(path)?;
        let full = self.root.join(path);
        // A link's end is looked at again: it may have changed since it was listed.
        (!is_link || links_inside(&self.root, &full)).then_some(full)
    }
}

impl FileTree for FolderTree {
    fn paths(&self) -> &[String] {
        self.paths.get_or_init(|| self.walk())
    }

    fn list(&self, folder: &str) -> Arc<Listing> {
        if let Some(known) = self.seen().listings.get(folder) {
            return Arc::clone(known);
        }
        let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
        if !self.list(above).folders.iter().any(|known| known == folder) {
            return Arc::default();
        }
        let mut seen = self.seen();
        let deep = folder.matches('/').count() >= self.limits.max_depth;
        let found = if deep || seen.listed > self.limits.max_files {
            seen.truncated = true;
            Listing::default()
        } else {
            list(&self.root, folder, &self.limits, &mut seen).unwrap_or_else(|_| {
                seen.skipped += 1;
                Listing::default()
            })
        };
        let found = Arc::new(found);
        seen.listings.insert(folder.to_owned(), Arc::clone(&found));
        found
    }

    fn read(&self, path: &str) -> FileRead {
        if let Some(known) = self.seen().files.get(path) {
            return known.clone();
        }
        let read = match self.located(path) {
            Some(full) => content(&full, self.limits.max_bytes),
            None => FileRead::Absent,
        };
        self.seen().files.insert(path.to_owned(), read.clone());
        read
    }

    fn head(&self, path: &str, bytes: usize) -> FileRead {
        self.located(path)
            .map_or(FileRead::Absent, |full| beginning(&full, bytes))
    }
}

/// Lists a folder on disk.
fn list(root: &Path, folder: &str, limits: &Limits, seen: &mut Seen) -> std::io::Result<Listing> {
    let mut found = Listing::default();
    for entry in fs::read_dir(root.join(folder))? {
        let Ok(entry) = entry else { continue };
        add(root, &entry, folder, &mut found, seen);
        if seen.listed + found.files.len() > limits.max_files {
            seen.truncated = true;
            break;
        }
    }
    seen.listed += found.files.len();
    found.sort();
    Ok(found)
}

fn add(root: &Path, entry: &fs::DirEntry, folder: &str, found: &mut Listing, seen: &mut Seen) {
    let name = entry.file_name();
    let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else {
        seen.skipped += 1;
        return;
    };
    if kind.is_dir() && is_pruned(name) {
        return;
    }
    let mut path = String::with_capacity(folder.len() + 1 + name.len());
    if !folder.is_empty() {
        path.push_str(folder);
        path.push('/');
    }
    path.push_str(name);
    if kind.is_dir() {
        found.folders.push(path);
    } else if kind.is_file() {
        found.files.push(path);
    } else if kind.is_symlink() && links_inside(root, &entry.path()) {
        seen.links.insert(path.clone());
        found.files.push(path);
    } else {
        seen.skipped += 1;
    }
}

fn links_inside(root: &Path, link: &Path) -> bool {
    fs::canonicalize(link).is_ok_and(|target| target.starts_with(root) && target.is_file())
}

/// A file's bytes; [`FileRead::TooLarge`] where there are more than `limit`.
///
/// Most files fit into one read: a regular file that gives less than was asked for has ended.
fn content(path: &Path, limit: u64) -> FileRead {
    let Ok(mut file) = fs::File::open(path) else {
        return FileRead::Absent;
    };
    let mut first = [0; SMALL];
    let length = match file.read(&mut first) {
        Ok(length) if length as u64 > limit => return FileRead::TooLarge,
        Ok(length) if length < SMALL => return FileRead::Present(Arc::from(&first[..length])),
        Ok(length) => length,
        Err(_) => return FileRead::Absent,
    };
    let size = file.metadata().map_or(0, |meta| meta.len());
    if size > limit {
        return FileRead::TooLarge;
    }
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    content.extend_from_slice(&first[..length]);
    let rest = (limit + 1).saturating_sub(length as u64);
    match file.take(rest).read_to_end(&mut content) {
        Ok(_) if content.len() as u64 > limit => FileRead::TooLarge,
        Ok(_) => FileRead::Present(Arc::from(content)),
        Err(_) => FileRead::Absent,
    }
}

/// The first bytes of a file.
fn beginning(path: &Path, bytes: usize) -> FileRead {
    let Ok(file) = fs::File::open(path) else {
        return FileRead::Absent;
    };
    let mut content = Vec::with_capacity(bytes);
    match file.take(bytes as u64).read_to_end(&mut content) {
        Ok(_) => FileRead::Present(Arc::from(content)),
        Err(_) => FileRead::Absent,
    }
}

fn unusable(root: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("the folder {} cannot be used: {why}", root.display()),
    )
}
