//! [`MemoryCodeHost`]: reads the repositories of a [`MemoryCloud`].

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::cloud::MemoryCloud;
use super::repository_host::{DEFAULT_BRANCH, Files};
use super::services::lock;
use crate::context::Context;
use crate::id::{CodeRepository, CommitSha, GitRevision, TreePath};
use crate::provider::{
    CodeHost, CodeHostCapability, CommitRef, FileContent, FileRead, ProviderInfo, RepositoryRef,
    TreeEntry, TreeEntryKind, TreeListing,
};
use crate::{Error, ErrorKind, Result};

/// The largest file that is read.
const MAX_FILE: usize = 1 << 20;

/// Reads the repositories of a [`MemoryCloud`], by their URLs there.
#[derive(Clone, Debug)]
pub struct MemoryCodeHost {
    cloud: MemoryCloud,
}

impl MemoryCodeHost {
    /// The one of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }

    fn files(&self, commit: &CommitRef) -> Result<Files> {
        let name = name_of(&commit.repository)?;
        lock(&self.cloud.shared.state)
            .code
            .0
            .get(&name)
            .and_then(|repository| repository.commits.get(&commit.sha))
            .cloned()
            .ok_or_else(|| missing(commit.sha.as_str()))
    }
}

fn missing(what: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no \"{what}\"")).with_provider("memory")
}

fn name_of(repository: &RepositoryRef) -> Result<CodeRepository> {
    repository
        .url
        .as_str()
        .strip_prefix("https://code.memory/")
        .and_then(|rest| rest.strip_suffix(".git"))
        .and_then(|name| CodeRepository::new(name).ok())
        .ok_or_else(|| missing(repository.url.as_str()))
}

fn pack(files: Files, max_bytes: u64) -> Result<Bytes> {
    let failed = |source| Error::unexpected("the archive cannot be made").with_source(source);
    let gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut archive = tar::Builder::new(gzip);
    for (path, (content, executable)) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(if executable { 0o755 } else { 0o644 });
        archive
            .append_data(&mut header, path.as_str(), &*content)
            .map_err(failed)?;
    }
    let bytes = archive
        .into_inner()
        .and_then(GzEncoder::finish)
        .map_err(failed)?;
    if bytes.len() as u64 > max_bytes {
        return Err(Error::invalid(
            "source",
            format!("the archive is larger than {max_bytes} bytes"),
        ));
    }
    Ok(bytes.into())
}

#[async_trait]
impl CodeHost for MemoryCodeHost {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    fn capability(&self) -> CodeHostCapability {
        CodeHostCapability {
            tree: true,
            archive: true,
        }
    }

    async fn resolve(
        &self,
        ctx: &Context,
        repository: &RepositoryRef,
        revision: Option<&GitRevision>,
    ) -> Result<CommitRef> {
        let call = self.cloud.look(ctx, "CodeHost::resolve").await?;
        let name = name_of(repository)?;
        let wanted = revision.map_or(DEFAULT_BRANCH, GitRevision::as_str);
        let sha = {
            let state = lock(&self.cloud.shared.state);
            let known = state
                .code
                .0
                .get(&name)
                .ok_or_else(|| missing(name.as_str()))?;
            let commit = CommitSha::new(wanted)
                .ok()
                .filter(|sha| known.commits.contains_key(sha));
            commit
                .or_else(|| known.branches.get(wanted).cloned())
                .ok_or_else(|| missing(wanted))?
        };
        call.happened().await?;
        Ok(CommitRef {
            repository: repository.clone(),
            sha,
        })
    }

    async fn tree(&self, ctx: &Context, commit: &CommitRef) -> Result<TreeListing> {
        let call = self.cloud.look(ctx, "CodeHost::tree").await?;
        let entries = self
            .files(commit)?
            .into_iter()
            .map(|(path, (content, executable))| TreeEntry {
                path,
                kind: if executable {
                    TreeEntryKind::Executable
                } else {
                    TreeEntryKind::File
                },
                size: Some(content.len() as u64),
            })
            .collect();
        call.happened().await?;
        Ok(TreeListing::new(entries, false))
    }

    async fn read(
        &self,
        ctx: &Context,
        commit: &CommitRef,
        paths: &[TreePath],
    ) -> Result<Vec<FileContent>> {
        let call = self.cloud.look(ctx, "CodeHost::read").await?;
        let files = self.files(commit)?;
        let contents = paths
            .iter()
            .map(|path| FileContent {
                path: path.clone(),
                content: match files.get(path) {
                    None => FileRead::Absent,
                    Some((content, _)) if content.len() > MAX_FILE => FileRead::TooLarge,
                    Some((content, _)) => FileRead::Present(content.as_ref().into()),
                },
            })
            .collect();
        call.happened().await?;
        Ok(contents)
    }

    fn archive(
        &self,
        _ctx: &Context,
        commit: &CommitRef,
        max_bytes: u64,
    ) -> BoxStream<'static, Result<Bytes>> {
        let packed = self.files(commit).and_then(|files| pack(files, max_bytes));
        stream::iter([packed]).boxed()
    }
}
