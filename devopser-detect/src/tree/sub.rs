//! [`SubTree`]: one folder of a tree, seen as a tree.

use super::{FileRead, FileTree};

/// The files below one folder of another tree, with paths relative to that folder.
#[derive(Debug)]
pub struct SubTree<'t> {
    inner: &'t dyn FileTree,
    prefix: String,
    paths: Vec<String>,
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
        let all = inner.paths();
        let start = all.partition_point(|path| path.as_str() < prefix.as_str());
        let paths = all[start..]
            .iter()
            .map_while(|path| path.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect();
        Self {
            inner,
            prefix,
            paths,
        }
    }
}

impl FileTree for SubTree<'_> {
    fn paths(&self) -> &[String] {
        &self.paths
    }

    fn read(&self, path: &str) -> FileRead {
        self.inner.read(&format!("{}{path}", self.prefix))
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
        assert!(matches!(sub.read("b/z"), FileRead::Present(_)));
        assert_eq!(SubTree::new(&tree, ".").paths().len(), 4);
    }
}
