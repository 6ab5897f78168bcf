//! [`ListingTree`]: a remote tree of which only some files were fetched.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{FileRead, FileTree, Listing, is_kept};

/// The listing of a remote repository plus the files that were fetched, so that it is detected without a clone.
#[derive(Clone, Debug, Default)]
pub struct ListingTree {
    paths: Vec<String>,
    fetched: BTreeMap<String, Arc<[u8]>>,
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
        }
    }

    /// The files that detection would read and that were not fetched yet: those whose file name is in `names`,
    /// the nearest to the root first, at most `limit`. Names come from [`crate::reads`].
    #[must_use]
    pub fn wanted(&self, names: &[&str], limit: usize) -> Vec<&str> {
        let mut wanted: Vec<&str> = self
            .paths
            .iter()
            .map(String::as_str)
            .filter(|path| !self.fetched.contains_key(*path))
            .filter(|path| names.contains(&path.rsplit('/').next().unwrap_or(path)))
            .collect();
        wanted.sort_by_key(|path| (path.matches('/').count(), *path));
        wanted.truncate(limit);
        wanted
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
            Ok(_) => FileRead::NotFetched,
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
        assert_eq!(
            tree.wanted(&["package.json"], 9),
            ["package.json", "src/package.json"]
        );
        assert_eq!(tree.read("package.json"), FileRead::NotFetched);
        tree.add("package.json", "{}");
        tree.add("unknown", "{}");
        assert!(matches!(tree.read("package.json"), FileRead::Present(_)));
        assert_eq!(tree.read("unknown"), FileRead::Absent);
        assert_eq!(tree.wanted(&["package.json"], 9), ["src/package.json"]);
    }
}
