//! [`StackDetector`]: recognises one stack in a file tree.

use std::fmt::Debug;
use std::sync::Arc;

use crate::model::report::Detection;

/// A tree of files to look at: a folder, an archive, or the listing of a remote repository. Pure and synchronous.
pub trait FileTree: Debug + Send + Sync {
    /// Every file's path, relative to the root, with `/`, sorted. Folders that hold no source of the repository
    /// (`node_modules`, `.git`, …) are pruned.
    fn paths(&self) -> &[String];

    /// What lies directly in a folder (the empty text is the root), without looking at the rest of the tree.
    ///
    /// # Behavior
    /// - A folder that is absent, or pruned, is empty.
    /// - [`Listing::of`] answers for a tree that holds all of its paths.
    fn list(&self, folder: &str) -> Arc<Listing>;

    /// The content of a file, read at most once.
    ///
    /// # Behavior
    /// - A file that is absent is [`FileRead::Absent`], never an error.
    /// - A file over the tree's limit is [`FileRead::TooLarge`]; nothing of it is read.
    /// - A file that a remote listing names but that was not fetched is [`FileRead::NotFetched`].
    fn read(&self, path: &str) -> FileRead;

    /// The beginning of a file, at most `bytes` of it, whatever its size: for lock files, of which the first lines do.
    fn head(&self, path: &str, bytes: usize) -> FileRead;
}

/// What lies directly in a folder, as whole paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The files, sorted.
    pub files: Vec<String>,
    /// The folders, in the order of the paths below them: as if a `/` ended each.
    pub folders: Vec<String>,
}

impl Listing {
    /// The listing of a folder of a tree whose sorted paths are given.
    #[must_use]
    pub fn of(paths: &[String], folder: &str) -> Self {
        let prefix = match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let mut found = Self::default();
        let mut rest = &paths[paths.partition_point(|path| *path < prefix)..];
        while let Some(path) = rest.first()
            && let Some(name) = path.strip_prefix(&prefix)
        {
            let Some(at) = name.find('/') else {
                found.files.push(path.clone());
                rest = &rest[1..];
                continue;
            };
            let below = &path[..=prefix.len() + at];
            found.folders.push(path[..prefix.len() + at].to_owned());
            rest = &rest[rest.partition_point(|path| path.starts_with(below))..];
        }
        found
    }

    /// Sorts what was collected in any order.
    pub fn sort(&mut self) {
        self.files.sort_unstable();
        let ended = |path: &String| path.clone() + "/";
        self.folders.sort_by_cached_key(ended);
    }
}

/// What reading a file gave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileRead {
    /// The content.
    Present(Arc<[u8]>),
    /// The file is larger than the tree's limit.
    TooLarge,
    /// The listing has it, the content was not fetched.
    NotFetched,
    /// There is no such file, or it cannot be read.
    Absent,
}

impl FileRead {
    /// At most the first `bytes` of the content.
    #[must_use]
    pub fn cut(self, bytes: usize) -> Self {
        match self {
            Self::Present(content) if content.len() > bytes => {
                Self::Present(Arc::from(&content[..bytes]))
            }
            other => other,
        }
    }
}

/// Recognises one stack in a file tree. Pure, synchronous, infallible.
pub trait StackDetector: Debug + Send + Sync + 'static {
    /// The detector's id, such as `node`.
    fn id(&self) -> &'static str;

    /// The file names that this detector reads, so that a remote tree can fetch just those.
    fn reads(&self) -> &'static [&'static str];

    /// What it found, with evidence, or `None` when nothing speaks for its stack.
    ///
    /// # Behavior
    /// - The same tree gives the same answer.
    /// - A file that cannot be parsed becomes a warning in the detection, never a panic.
    fn detect(&self, tree: &dyn FileTree) -> Option<Detection>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_has_what_lies_directly_in_a_folder() {
        let paths: Vec<String> = ["a", "b-c/x", "b/c/y", "b/d", "b/e/z", "f"]
            .map(str::to_owned)
            .into();
        let root = Listing::of(&paths, "");
        assert_eq!(root.files, ["a", "f"]);
        assert_eq!(root.folders, ["b-c", "b"]);
        let mut sorted = root.clone();
        sorted.folders.reverse();
        sorted.sort();
        assert_eq!(sorted, root);
        let below = Listing::of(&paths, "b");
        assert_eq!(below.files, ["b/d"]);
        assert_eq!(below.folders, ["b/c", "b/e"]);
        assert_eq!(Listing::of(&paths, "none"), Listing::default());
    }
}
