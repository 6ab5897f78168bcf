//! [`ListingTree`]: a remote tree of which only some files were fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::{FileRead, FileTree, Listing, is_kept};

/// The listing of a remote repository plus the files that were fetched, so that it is detected without a clone.
///
/// Detect, fetch what it [wanted](Self::wanted), and detect again, until it wants nothing more or enough is fetched: each
/// round asks for what the answers of the one before lead to. Ten files are enough for nearly every repository.
///
/// ```
/// use devopser_detect::{ListingTree, detect, summary};
///
/// let fetch = |path: &str| match path {
///     "package.json" => r#"{"dependencies": {"next": "15.0.0"}}"#,
///     _ => "",
/// };
/// let mut tree = ListingTree::new(["package.json", "next.config.js", "app/page.tsx"]);
/// let mut fetched = 0;
/// let answer = loop {
///     let answer = summary(&detect(&tree));
///     let wanted = tree.wanted(10 - fetched);
///     if wanted.is_empty() {
///         break answer;
///     }
///     for path in wanted {
///         tree.add(&path, fetch(&path));
///         fetched += 1;
///     }
/// };
/// assert_eq!(answer.framework.as_deref(), Some("next"));
/// ```
#[derive(Debug, Default)]
pub struct ListingTree {
    paths: Vec<String>,
    fetched: BTreeMap<String, Arc<[u8]>>,
    /// What was read and is not fetched.
    asked: Mutex<BTreeSet<String>>,
}

impl ListingTree {
    /// Makes a tree of the listing's file paths; nothing is fetched yet.
    pub fn new<P: Into<String>>(listing: impl IntoIterator<Item = P>) -> Self {
        let mut paths: Vec<String> = listing
            .into_iter()
            .map(Into::into)
            .filter(|path: &String| is_kept(path))
            .collect();
        paths.sort_unstable();
        paths.dedup();
        Self {
            paths,
            fetched: BTreeMap::new(),
            asked: Mutex::default(),
        }
    }

    /// Adds a fetched file. A path that the listing lacks is ignored.
    pub fn add(&mut self, path: &str, content: impl AsRef<[u8]>) {
        if self
            .paths
            .binary_search_by(|known| known.as_str().cmp(path))
            .is_ok()
        {
            self.fetched
                .insert(path.to_owned(), Arc::from(content.as_ref()));
            self.asked().remove(path);
        }
    }

    /// The files that detection has asked for so far and that were not fetched, the nearest to the root first, at most
    /// `limit`.
    #[must_use]
    pub fn wanted(&self, limit: usize) -> Vec<String> {
        let mut wanted: Vec<String> = self.asked().iter().cloned().collect();
        wanted.sort_by_key(|path| path.matches('/').count());
        wanted.truncate(limit);
        wanted
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileTree for ListingTree {
    fn paths(&self) -> &[String] {
        &self.paths
    }

    fn list(&self, folder: &str) -> Arc<Listing> {
        Arc::new(Listing::of(&self.paths, folder))
    }

    fn read(&self, path: &str) -> FileRead {
        if let Some(content) = self.fetched.get(path) {
            return FileRead::Present(Arc::clone(content));
        }
        match self
            .paths
            .binary_search_by(|known| known.as_str().cmp(path))
        {
            Ok(_) => {
                self.asked().insert(path.to_owned());
                FileRead::NotFetched
            }
            Err(_) => FileRead::Absent,
        }
    }

    fn head(&self, path: &str, bytes: usize) -> FileRead {
        self.read(path).cut(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_wants_and_says_what_it_lacks() {
        let mut tree = ListingTree::new(["src/package.json", "package.json", "README.md"]);
        assert!(tree.wanted(9).is_empty());
        assert_eq!(tree.read("package.json"), FileRead::NotFetched);
        tree.add("package.json", "{}");
        tree.add("unknown", "{}");
        assert!(matches!(tree.read("package.json"), FileRead::Present(_)));
        assert_eq!(tree.read("unknown"), FileRead::Absent);
        let _ = (tree.read("src/package.json"), tree.head("README.md", 9));
        assert_eq!(tree.wanted(9), ["README.md", "src/package.json"]);
        assert_eq!(tree.wanted(1), ["README.md"]);
        tree.add("README.md", "");
        assert_eq!(tree.wanted(9), ["src/package.json"]);
    }
}
