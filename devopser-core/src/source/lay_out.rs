//! [`lay_out`]: a source as a folder on this machine, for looking at it without deploying it.

use std::path::{Path, PathBuf};

use super::{GitProgram, GitRequest, SnapshotLimits, snapshot_archive, snapshot_git, unpack};
use crate::context::{CancellationToken, Progress};
use crate::model::source::Source;
use crate::{Error, Result};

/// The folder that holds a source: a folder as it is, an archive or a commit unpacked below `scratch`, which exists. An
/// image has no files: its folder is empty.
///
/// # Errors
/// As [`snapshot_archive`] and [`snapshot_git`]; [`InvalidInput`](crate::ErrorKind::InvalidInput) for a snapshot, which
/// only its blob store can open.
pub async fn lay_out(
    source: &Source,
    scratch: &Path,
    limits: &SnapshotLimits,
    git: &GitProgram,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<PathBuf> {
    let (bundle, folder) = (scratch.join("source.tar"), scratch.join("source"));
    match source {
        Source::Folder { path } => return Ok(path.clone()),
        Source::Image { .. } => return Ok(scratch.to_owned()),
        Source::Archive { path } => {
            let (path, into, limits) = (path.clone(), bundle.clone(), limits.clone());
            blocking(move || snapshot_archive(&path, &into, &limits)).await?;
        }
        Source::Git { url, revision } => {
            let request = GitRequest {
                url: url.clone(),
                revision: revision.clone(),
                credential: None,
                work: scratch.join("git"),
                limits: limits.clone(),
                program: git.clone(),
            };
            snapshot_git(&request, &bundle, progress, cancel).await?;
        }
        Source::Snapshot { origin, .. } => {
            return Err(Error::invalid(
                "source",
                format!("{origin} lies in a blob store"),
            ));
        }
    }
    let into = folder.clone();
    blocking(move || unpack(&bundle, &into)).await?;
    Ok(folder)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| Error::unexpected("a blocking task panicked").with_source(source))?
}
