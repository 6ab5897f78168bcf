//! [`StackDetector`]: recognises one stack in a file tree.

use std::fmt::Debug;

use crate::model::report::Detection;

/// A tree of files to look at: a folder, an archive, or the listing of a remote repository. Pure and synchronous.
pub trait FileTree: Debug + Send + Sync {
    /// Every file's path, relative to the root, with `/`, sorted. Folders that hold no source of the repository
    /// (`node_modules`, `.git`, …) are pruned.
    fn paths(&self) -> &[String];

    /// The content of a file, read at most once.
    ///
    /// # Behavior
    /// - A file that is absent is [`FileRead::Absent`], never an error.
    /// - A file over the tree's limit is [`FileRead::TooLarge`]; nothing of it is read.
    /// - A file that a remote listing names but that was not fetched is [`FileRead::NotFetched`].
    fn read(&self, path: &str) -> FileRead;
}

/// What reading a file gave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileRead {
    /// The content.
    Present(std::sync::Arc<[u8]>),
    /// The file is larger than the tree's limit.
    TooLarge,
    /// The listing has it, the content was not fetched.
    NotFetched,
    /// There is no such file, or it cannot be read.
    Absent,
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
