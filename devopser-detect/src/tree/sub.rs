//! [`SubTree`]: one folder of a tree, seen as a tree.

use std::sync::{Arc, OnceLock};

use super::{FileRead, FileTree, Listing};

/// The files below one folder of another tree, with paths relative to that folder.
#[derive(Debug)]
pub struct SubTree<'t> {
    inner: &'t dyn FileTree,
    /// The folder with a trailing `/`, or nothing.
    prefix: String,
    paths: OnceLock<Vec<String>>,
}

impl<'t> SubTree<'t> {
    /// A view of `folder` (without a trailing `/`) of `inner`; `.` or the empty text is the whole tree.
    #[must_use]
    pub fn new(inner: &'t dyn FileTree, folder: &str) -> Self {
        let folder = folder.trim_start_matches("./").trim_matches('/');
        let prefix = if folder.is_empty() || folder == "." {
            String::new()
        } else {
            format!("{folder}/")
        };
        Self {
            inner,
            prefix,
            paths: OnceLock::new(),
        }
    }
}

impl FileTree for SubTree<'_> {
    fn paths(&self) -> &[String] {
        self.paths.get_or_init(|| {
            let all = self.inner.paths();
            let start = all.partition_point(|path| *path < self.prefix);
            let below = all[start..].iter();
            below
                .map_while(|path| path.strip_prefix(&self.prefix))
                .map(str::to_owned)
                .collect()
        })
    }

    fn list(&self, folder: &str) -> Arc<Listing> {
        if self.prefix.is_empty() {
            return self.inner.list(folder);
        }
        let whole = format!("{}{folder}", self.prefix);
        let whole = if folder.is_empty() {
            whole.trim_end_matches('/')
        } else {
            &whole
        };
        let found = self.inner.list(whole);
        let within = |paths: &[String]| {
            let paths = paths.iter();
            paths
                .filter_map(|path| path.strip_prefix(&self.prefix))
                .map(str::to_owned)
                .collect()
        };
        Arc::new(Listing {
            files: within(&found.files),
            folders: within(&found.folders),
        })
    }

    fn read(&self, path: &str) -> FileRead {
        self.inner.read(&format!("{}{path}", self.prefix))
    }

    fn head(&self, path: &str, bytes: usize) -> FileRead {
        self.inner.head(&format!("{}{path}", self.prefix), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryTree;
    use super::*;

    #[test]
    fn shows_one_folder() {
        let tree = MemoryTree::new([("a/x", "1"), ("a-b/y", "2"), ("a/b/z", "3"), ("b", "4")]);
        let sub = SubTree::new(&tree, "./a/");
        assert_eq!(sub.paths(), ["b/z", "x"]);
        assert_eq!(sub.list("").files, ["x"]);
        assert_eq!(sub.list("").folders, ["b"]);
        assert_eq!(sub.list("b").files, ["b/z"]);
        assert!(matches!(sub.read("b/z"), FileRead::Present(_)));
        assert_eq!(SubTree::new(&tree, ".").paths().len(), 4);
    }
}
