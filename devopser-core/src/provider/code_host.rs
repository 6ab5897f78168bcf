//! [`CodeHost`]: reads source code at one commit.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::{FileRead, ProviderInfo};
use crate::Result;
use crate::context::Context;
use crate::id::{CommitSha, GitRevision, TreePath};
use crate::model::service::SecretRef;
use crate::model::source::GitUrl;

/// What a code host can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeHostCapability {
    /// It lists a tree and reads single files without the whole repository.
    pub tree: bool,
    /// It hands out an archive of a commit.
    pub archive: bool,
}

/// A repository and how to get in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryRef {
    /// Where it is.
    pub url: GitUrl,
    /// The name of the credential in the tenant's vault; `None`: the provider's own, or none.
    pub credential: Option<SecretRef>,
}

/// A commit of a repository: what everything downstream is pinned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRef {
    /// The repository.
    pub repository: RepositoryRef,
    /// The commit.
    pub sha: CommitSha,
}

/// The kind of an entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TreeEntryKind {
    /// A file.
    File,
    /// A file that may be run.
    Executable,
    /// A symbolic link; it is listed and never followed.
    Link,
    /// Another repository at a commit.
    Submodule,
}

/// An entry of a tree; folders are not listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// The path.
    pub path: TreePath,
    /// What it is.
    pub kind: TreeEntryKind,
    /// The size in bytes, when the host says it.
    pub size: Option<u64>,
}

/// The files of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TreeListing {
    /// The entries, sorted by path. Entries whose path is not a [`TreePath`] are left out.
    pub entries: Vec<TreeEntry>,
    /// Whether the host left entries out: fetch the archive to be sure.
    pub truncated: bool,
}

impl TreeListing {
    /// A listing; the entries get sorted.
    #[must_use]
    pub fn new(mut entries: Vec<TreeEntry>, truncated: bool) -> Self {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Self { entries, truncated }
    }
}

/// A file that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    /// The path.
    pub path: TreePath,
    /// What reading it gave.
    pub content: FileRead,
}

/// Reads source code at one commit.
#[async_trait]
pub trait CodeHost: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// What it can do.
    fn capability(&self) -> CodeHostCapability;

    /// The commit that a branch, tag or commit names now; `None` is the default branch.
    ///
    /// # Behavior
    /// - A commit resolves to itself.
    /// - A revision that does not exist is not found.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) for an unknown repository or revision; a repository that the credential
    ///   may not see is unknown.
    async fn resolve(
        &self,
        ctx: &Context,
        repository: &RepositoryRef,
        revision: Option<&GitRevision>,
    ) -> Result<CommitRef>;

    /// The files of a commit. Requires [`CodeHostCapability::tree`].
    ///
    /// # Behavior
    /// - The listing is sorted, and says so when the host left something out.
    async fn tree(&self, ctx: &Context, commit: &CommitRef) -> Result<TreeListing>;

    /// Files of a commit. Requires [`CodeHostCapability::tree`].
    ///
    /// # Behavior
    /// - There is one answer for each path, in the order asked for; an absent file is absent, not an error.
    async fn read(
        &self,
        ctx: &Context,
        commit: &CommitRef,
        paths: &[TreePath],
    ) -> Result<Vec<FileContent>>;

    /// A commit as a `.tar.gz`. The stream is made at once, the reading is in it. Requires [`CodeHostCapability::archive`].
    ///
    /// # Behavior
    /// - An archive that is larger than `max_bytes` ends in an error.
    fn archive(
        &self,
        ctx: &Context,
        commit: &CommitRef,
        max_bytes: u64,
    ) -> BoxStream<'static, Result<Bytes>>;
}
