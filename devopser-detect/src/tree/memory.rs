//! [`MemoryTree`]: a literal tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{FileRead, FileTree, Listing, is_kept};

/// A tree that was given as paths and contents; for tests, archives and hosts that hold the files already.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    paths: Vec<String>,
    files: BTreeMap<String, Arc<[u8]>>,
}

impl MemoryTree {
    /// Makes a tree of `(path, content)` pairs. Leading `./` is dropped; pruned folders and paths with `..` are left out.
    pub fn new<P: Into<String>, C: AsRef<[u8]>>(files: impl IntoIterator<Item = (P, C)>) -> Self {
        let files: BTreeMap<String, Arc<[u8]>> = files
            .into_iter()
            .map(|(path, content)| (clean(&path.into()), Arc::from(content.as_ref())))
            .filter(|(path, _)| {
                is_kept(path) && !path.is_empty() && !path.split('/').any(|part| part == "..")
            })
            .collect();
        Self {
            paths: files.keys().cloned().collect(),
            files,
        }
    }
}

/// Drops a leading `./` or `/`.
fn clean(path: &str) -> String {
    path.trim_start_matches("./")
        .trim_start_matches('/')
        .to_owned()
}

impl FileTree for MemoryTree {
    fn paths(&self) -> &[String] {
        &self.paths
    }

    fn list(&self, folder: &str) -> Arc<Listing> {
        Arc::new(Listing::of(&self.paths, folder))
    }

    fn read(&self, path: &str) -> FileRead {
        self.files.get(path).map_or(FileRead::Absent, |content| {
            FileRead::Present(Arc::clone(content))
        })
    }

    fn head(&self, path: &str, bytes: usize) -> FileRead {
        self.read(path).cut(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_the_repositorys_own() {
        let tree = MemoryTree::new([
            ("./b", "2"),
            ("a", "1"),
            ("node_modules/x", ""),
            ("../y", ""),
        ]);
        assert_eq!(tree.paths(), ["a", "b"]);
        assert_eq!(tree.read("b"), FileRead::Present(Arc::from(&b"2"[..])));
        assert_eq!(tree.read("c"), FileRead::Absent);
    }
}
