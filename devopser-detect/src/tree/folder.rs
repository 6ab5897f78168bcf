//! [`FolderTree`]: a folder on disk. Folders are listed and files read when something asks for them, once.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use devopser_core::{Error, ErrorKind, Result};

use super::disk::{Disk, Kind};
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
    disk: Disk,
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
    /// What folders are listed with.
    buffer: Vec<u8>,
    /// What the beginnings of files are read with.
    first: Vec<u8>,
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
        let unusable = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotADirectory => unusable(root, "it is not a folder"),
            _ => unusable(root, &error.to_string()),
        };
        let disk = Disk::open(root).map_err(unusable)?;
        let mut seen = Seen::default();
        let top = list(&disk, "", &limits, &mut seen).map_err(unusable)?;
        seen.listings.insert(String::new(), Arc::new(top));
        let tree = Self {
            disk,
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
                return Err(self::unusable(root, &why));
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

    /// Opens a file of the listings.
    fn open_file(&self, path: &str) -> Option<fs::File> {
        let is_link = self.names(path)?;
        // A link's end is looked at again: it may have changed since it was listed.
        if is_link && !self.disk.ends_inside(path) {
            return None;
        }
        self.disk.file(path, is_link).ok()
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
        let is_known = |listing: &Listing| {
            let place = |known: &String| by_path_below(known, folder);
            listing.folders.binary_search_by(place).is_ok()
        };
        if !is_known(&self.list(above)) {
            return Arc::default();
        }
        let mut seen = self.seen();
        let deep = folder.matches('/').count() >= self.limits.max_depth;
        let found = if deep || seen.listed > self.limits.max_files {
            seen.truncated = true;
            Listing::default()
        } else {
            list(&self.disk, folder, &self.limits, &mut seen).unwrap_or_else(|_| {
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
        let read = match self.open_file(path) {
            Some(file) => content(file, self.limits.max_bytes, &mut self.seen().first),
            None => FileRead::Absent,
        };
        self.seen().files.insert(path.to_owned(), read.clone());
        read
    }

    fn head(&self, path: &str, bytes: usize) -> FileRead {
        self.open_file(path)
            .map_or(FileRead::Absent, |file| beginning(file, bytes))
    }
}

/// Lists a folder on disk.
fn list(disk: &Disk, folder: &str, limits: &Limits, seen: &mut Seen) -> std::io::Result<Listing> {
    let mut found = Listing::default();
    let mut buffer = std::mem::take(&mut seen.buffer);
    let listed = disk.entries(folder, &mut buffer, |name, kind| {
        add(disk, name, kind, folder, &mut found, seen);
        let is_full = seen.listed + found.files.len() > limits.max_files;
        seen.truncated |= is_full;
        !is_full
    });
    seen.buffer = buffer;
    listed?;
    seen.listed += found.files.len();
    found.files.sort_unstable();
    found
        .folders
        .sort_unstable_by(|one, other| by_path_below(one, other));
    Ok(found)
}

/// The order of the paths below two folders: as if a `/` ended each.
fn by_path_below(one: &str, other: &str) -> Ordering {
    let common = one.len().min(other.len());
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let rest = |path: &[u8]| path.get(common).copied().unwrap_or(b'/');
    one[..common]
        .cmp(&other[..common])
        .then_with(|| rest(one).cmp(&rest(other)))
        .then_with(|| one.len().cmp(&other.len()))
}

fn add(
    disk: &Disk,
    name: Option<&str>,
    kind: Kind,
    folder: &str,
    found: &mut Listing,
    seen: &mut Seen,
) {
    let Some(name) = name else {
        seen.skipped += 1;
        return;
    };
    if kind == Kind::Folder && is_pruned(name) {
        return;
    }
    let mut path = String::with_capacity(folder.len() + 1 + name.len());
    if !folder.is_empty() {
        path.push_str(folder);
        path.push('/');
    }
    path.push_str(name);
    match kind {
        Kind::Folder => found.folders.push(path),
        Kind::File => found.files.push(path),
        Kind::Link if disk.ends_inside(&path) => {
            seen.links.insert(path.clone());
            found.files.push(path);
        }
        Kind::Link | Kind::Other => seen.skipped += 1,
    }
}

/// A file's bytes; [`FileRead::TooLarge`] where there are more than `limit`.
///
/// Most files fit into one read: a regular file that gives less than was asked for has ended.
fn content(mut file: fs::File, limit: u64, first: &mut Vec<u8>) -> FileRead {
    first.resize(SMALL, 0);
    let length = match file.read(first) {
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
fn beginning(file: fs::File, bytes: usize) -> FileRead {
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
