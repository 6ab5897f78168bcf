//! [`RepositoryHost`]: makes repositories and writes into them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::ProviderInfo;
use crate::context::Context;
use crate::id::{CiSecretName, CodeRepository, CommitSha, GitRevision, ProviderId, TreePath};
use crate::model::source::GitUrl;
use crate::{Result, Secret};

/// What a host of repositories can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryHostCapability {
    /// It makes repositories from a template.
    pub templates: bool,
    /// It keeps secrets for the runs of a repository.
    pub secrets: bool,
    /// It can remove repositories.
    pub remove: bool,
}

/// A repository as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsureRepository {
    /// Its name, with the account or organisation.
    pub name: CodeRepository,
    /// What it is made from.
    pub template: CodeRepository,
    /// Whether only members see it.
    pub private: bool,
    /// What people read.
    pub description: String,
}

/// A repository that exists: enough to find it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedRepository {
    /// The provider.
    pub provider: ProviderId,
    /// The provider's id: it stays when the repository is renamed, and a new one of the old name has another.
    pub id: String,
    /// Its name.
    pub name: CodeRepository,
    /// Where it is cloned from.
    pub url: GitUrl,
    /// The default branch.
    pub default_branch: GitRevision,
}

/// What becomes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileChange {
    /// It gets this content.
    Write {
        /// The content.
        content: Bytes,
        /// Whether it may be run.
        executable: bool,
    },
    /// It is removed.
    Remove,
}

/// Files to change in one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRequest {
    /// The repository.
    pub repository: HostedRepository,
    /// The branch; it exists.
    pub branch: GitRevision,
    /// The message.
    pub message: String,
    /// The files.
    pub files: BTreeMap<TreePath, FileChange>,
}

/// What came of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Committed {
    /// The head of the branch, which holds the files as they were wanted.
    pub sha: CommitSha,
    /// Whether a commit was made; not when the files were so already.
    pub changed: bool,
}

impl Committed {
    /// An outcome.
    #[must_use]
    pub fn new(sha: CommitSha, changed: bool) -> Self {
        Self { sha, changed }
    }
}

/// Makes repositories and writes into them.
#[async_trait]
pub trait RepositoryHost: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// What it can do.
    fn capability(&self) -> RepositoryHostCapability;

    /// Makes the repository from its template and waits, within a minute, until its files are there.
    ///
    /// # Behavior
    /// - Ensuring a repository from a template twice makes one.
    /// - A repository of that name that is not ours is left untouched.
    ///
    /// # Errors
    /// - [`AlreadyExists`](crate::ErrorKind::AlreadyExists) for a repository that is not ours.
    /// - [`NotFound`](crate::ErrorKind::NotFound) for a template that the credential cannot see.
    async fn ensure_from_template(
        &self,
        ctx: &Context,
        request: EnsureRepository,
    ) -> Result<HostedRepository>;

    /// Brings files of a branch in line, in one commit.
    ///
    /// # Behavior
    /// - Files that are so already make no commit.
    /// - Files that the request does not name stay as they are.
    /// - A head that moved meanwhile is built upon, never overwritten.
    async fn commit(&self, ctx: &Context, request: CommitRequest) -> Result<Committed>;

    /// Keeps a secret for the runs of the repository; what was there is replaced.
    ///
    /// # Behavior
    /// - Ensuring a secret twice is `Ok`.
    async fn ensure_secret(
        &self,
        ctx: &Context,
        repository: &HostedRepository,
        name: &CiSecretName,
        value: &Secret,
    ) -> Result<()>;

    /// Removes the repository, if the one of that name still has its id.
    ///
    /// # Behavior
    /// - Removing a repository twice is `Ok`.
    /// - Another repository that has the name by now is left untouched.
    async fn remove(&self, ctx: &Context, repository: &HostedRepository) -> Result<()>;
}
