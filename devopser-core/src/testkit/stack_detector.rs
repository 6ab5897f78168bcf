//! What every [`StackDetector`](crate::provider::StackDetector) must do.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{cases, check};
use crate::Result;
use crate::provider::{FileRead, FileTree, Listing, StackDetector};

/// What the cases work on.
#[derive(Clone, Copy, Debug)]
pub struct Fixture<'a> {
    /// The detector.
    pub detector: &'a dyn StackDetector,
    /// Trees that it looks at: path → content.
    pub trees: &'a [BTreeMap<String, Vec<u8>>],
}

cases! {
    Fixture<'_>;
    the_same_tree_gives_the_same_answer,
    a_broken_manifest_is_no_panic,
}

#[derive(Debug)]
struct Tree {
    paths: Vec<String>,
    files: BTreeMap<String, FileRead>,
}

impl Tree {
    fn new(files: BTreeMap<String, FileRead>) -> Self {
        Self {
            paths: files.keys().cloned().collect(),
            files,
        }
    }
}

impl FileTree for Tree {
    fn paths(&self) -> &[String] {
        &self.paths
    }

    fn list(&self, folder: &str) -> Arc<Listing> {
        Arc::new(Listing::of(&self.paths, folder))
    }

    fn read(&self, path: &str) -> FileRead {
        self.files.get(path).cloned().unwrap_or(FileRead::Absent)
    }

    fn head(&self, path: &str, bytes: usize) -> FileRead {
        self.read(path).cut(bytes)
    }
}

fn present(content: &[u8]) -> FileRead {
    FileRead::Present(content.into())
}

/// Looking twice gives the same answer.
pub async fn the_same_tree_gives_the_same_answer(fixture: &Fixture<'_>) -> Result<()> {
    for files in fixture.trees {
        let files: BTreeMap<_, _> = files
            .iter()
            .map(|(path, content)| (path.clone(), present(content)))
            .collect();
        let first = fixture.detector.detect(&Tree::new(files.clone()));
        let second = fixture.detector.detect(&Tree::new(files));
        check!(
            first == second,
            "{} must give the same answer",
            fixture.detector.id()
        );
    }
    Ok(())
}

/// Files that cannot be read, or hold nonsense, are no reason to panic.
pub async fn a_broken_manifest_is_no_panic(fixture: &Fixture<'_>) -> Result<()> {
    let nonsense: [&[u8]; 7] = [
        b"",
        b"\xff\xfe\x00\x00",
        b"{",
        b"[[[[",
        b"\"\xf0\x9f",
        b"{\"scripts\": 3, \"dependencies\": [1], \"name\": null}",
        b"a: &a [*a]\n\t- b",
    ];
    let mut reads: Vec<FileRead> = nonsense.map(present).into();
    reads.extend([FileRead::TooLarge, FileRead::NotFetched, FileRead::Absent]);
    for read in reads {
        let files: BTreeMap<_, _> = fixture
            .detector
            .reads()
            .iter()
            .map(|path| ((*path).to_owned(), read.clone()))
            .collect();
        let tree = Tree::new(files);
        let found = fixture.detector.detect(&tree);
        check!(
            found == fixture.detector.detect(&tree),
            "nonsense must give the same answer"
        );
    }
    Ok(())
}
