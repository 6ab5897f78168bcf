//! [`MemoryRepositoryHost`]: repositories as lists of commits.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use super::cloud::{MemoryCloud, State};
use super::services::lock;
use super::snapshot::Verb;
use crate::context::Context;
use crate::id::{CiSecretName, CodeRepository, CommitSha, Digest, GitRevision, TreePath};
use crate::model::source::GitUrl;
use crate::provider::{
    CommitRequest, Committed, EnsureRepository, FileChange, HostedRepository, ProviderInfo,
    RepositoryHost, RepositoryHostCapability,
};
use crate::{Error, ErrorKind, Result, Secret};

/// The files of a commit: content, and whether a file may be run.
pub(super) type Files = BTreeMap<TreePath, (Bytes, bool)>;

#[derive(Debug, Default)]
pub(super) struct CodeRepo {
    pub(super) commits: BTreeMap<CommitSha, Files>,
    pub(super) branches: BTreeMap<String, CommitSha>,
    secrets: BTreeMap<CiSecretName, Secret>,
}

/// The repositories, by name.
#[derive(Debug, Default)]
pub(super) struct Code(pub(super) BTreeMap<CodeRepository, CodeRepo>);

impl Code {
    pub(super) fn forget(&mut self, name: &str) {
        self.0.retain(|repository, _| repository.as_str() != name);
    }
}

pub(super) const DEFAULT_BRANCH: &str = "main";

impl CodeRepo {
    pub(super) fn with_files(files: Files) -> Result<Self> {
        let mut repository = Self::default();
        repository.add_commit(DEFAULT_BRANCH, files)?;
        Ok(repository)
    }

    fn add_commit(&mut self, branch: &str, files: Files) -> Result<CommitSha> {
        let mut text = format!("{branch} {:?}", self.branches.get(branch));
        for (path, (content, executable)) in &files {
            text.push_str(&format!("\0{path} {executable} {}", Digest::of(content)));
        }
        let sha = CommitSha::new(&Digest::of(text.as_bytes()).hex()[..40])?;
        self.commits.insert(sha.clone(), files);
        self.branches.insert(branch.to_owned(), sha.clone());
        Ok(sha)
    }
}

impl MemoryCloud {
    /// Puts a repository there that devopser did not make, with one commit on `main`.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn add_code_repository(
        &self,
        name: CodeRepository,
        files: BTreeMap<TreePath, Bytes>,
    ) -> Result<()> {
        let files = files
            .into_iter()
            .map(|(path, content)| (path, (content, false)))
            .collect();
        let repository = CodeRepo::with_files(files)?;
        self.add_foreign("code_repository", name.as_str());
        lock(&self.shared.state).code.0.insert(name, repository);
        Ok(())
    }

    /// Where a repository of this cloud is cloned from.
    ///
    /// # Errors
    /// None for a name that was accepted.
    pub fn url_of(name: &CodeRepository) -> Result<GitUrl> {
        GitUrl::new(format!("https://code.memory/{name}.git"))
    }

    /// A secret that was put into a repository.
    #[must_use]
    pub fn ci_secret(&self, repository: &CodeRepository, name: &CiSecretName) -> Option<Secret> {
        let state = lock(&self.shared.state);
        state.code.0.get(repository)?.secrets.get(name).cloned()
    }
}

/// Repositories as lists of commits. A template is any repository of the same cloud.
#[derive(Clone, Debug)]
pub struct MemoryRepositoryHost {
    cloud: MemoryCloud,
}

impl MemoryRepositoryHost {
    /// The one of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }

    fn template(&self, name: &CodeRepository) -> Result<Files> {
        let state = lock(&self.cloud.shared.state);
        let template = state.code.0.get(name).ok_or_else(|| missing(name))?;
        let head = template.branches.get(DEFAULT_BRANCH);
        let files = head.and_then(|sha| template.commits.get(sha));
        Ok(files.cloned().unwrap_or_default())
    }
}

fn missing(name: &CodeRepository) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no repository \"{name}\""),
    )
    .with_provider("memory")
}

/// The repository, if the one of that name still is the same.
fn same<'a>(state: &'a mut State, repository: &HostedRepository) -> Result<&'a mut CodeRepo> {
    let name = &repository.name;
    let is_same = state
        .thing("code_repository", name.as_str())
        .is_some_and(|thing| thing.provider_ref == repository.id);
    match state.code.0.get_mut(name) {
        Some(found) if is_same => Ok(found),
        _ => Err(missing(name)),
    }
}

fn apply(mut files: Files, changes: BTreeMap<TreePath, FileChange>) -> Files {
    for (path, change) in changes {
        match change {
            FileChange::Write {
                content,
                executable,
            } => files.insert(path, (content, executable)),
            FileChange::Remove => files.remove(&path),
        };
    }
    files
}

#[async_trait]
impl RepositoryHost for MemoryRepositoryHost {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    fn capability(&self) -> RepositoryHostCapability {
        RepositoryHostCapability {
            templates: true,
            secrets: true,
            remove: true,
        }
    }

    async fn ensure_from_template(
        &self,
        ctx: &Context,
        request: EnsureRepository,
    ) -> Result<HostedRepository> {
        let call = self
            .cloud
            .change(ctx, "RepositoryHost::ensure_from_template")
            .await?;
        let name = request.name;
        let repository = CodeRepo::with_files(self.template(&request.template)?)?;
        let made = name.clone();
        self.cloud
            .ensure(ctx, call, "code_repository", name.as_str(), move |state| {
                state.code.0.insert(made, repository);
            })
            .await?;
        let id = lock(&self.cloud.shared.state)
            .thing("code_repository", name.as_str())
            .map(|thing| thing.provider_ref.clone())
            .ok_or_else(|| missing(&name))?;
        Ok(HostedRepository {
            provider: MemoryCloud::id(),
            id,
            url: MemoryCloud::url_of(&name)?,
            name,
            default_branch: GitRevision::new(DEFAULT_BRANCH)?,
        })
    }

    async fn commit(&self, ctx: &Context, request: CommitRequest) -> Result<Committed> {
        let call = self.cloud.change(ctx, "RepositoryHost::commit").await?;
        let committed = {
            let mut state = lock(&self.cloud.shared.state);
            let repository = same(&mut state, &request.repository)?;
            let branch = request.branch.as_str();
            let Some(head) = repository.branches.get(branch).cloned() else {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("there is no branch \"{branch}\""),
                ));
            };
            let before = repository.commits.get(&head).cloned().unwrap_or_default();
            let after = apply(before.clone(), request.files);
            if before == after {
                Committed::new(head, false)
            } else {
                let sha = repository.add_commit(branch, after)?;
                state.effect(Verb::Made, "commit", sha.as_str());
                Committed::new(sha, true)
            }
        };
        call.happened().await?;
        Ok(committed)
    }

    async fn ensure_secret(
        &self,
        ctx: &Context,
        repository: &HostedRepository,
        name: &CiSecretName,
        value: &Secret,
    ) -> Result<()> {
        let call = self
            .cloud
            .change(ctx, "RepositoryHost::ensure_secret")
            .await?;
        same(&mut lock(&self.cloud.shared.state), repository)?
            .secrets
            .insert(name.clone(), value.clone());
        call.happened().await
    }

    async fn remove(&self, ctx: &Context, repository: &HostedRepository) -> Result<()> {
        let call = self.cloud.change(ctx, "RepositoryHost::remove").await?;
        let mark = ctx.owner.mark();
        self.cloud
            .discard_if(ctx, "code_repository", repository.name.as_str(), |thing| {
                thing.mark == mark && thing.provider_ref == repository.id
            })
            .await?;
        call.happened().await
    }
}
