//! Errors of this machine, named.

use std::fmt::Display;
use std::io;
use std::path::Path;

use devopser_core::{Error, ErrorKind};

/// The provider's id.
pub(super) const ID: &str = "local";

/// An error of this provider.
pub(super) fn error(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, message).with_provider(ID)
}

/// A failure of the file system, while `doing` something with `path`.
pub(super) fn file(doing: &str, path: &Path, source: io::Error) -> Error {
    let (kind, remedy) = match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
            ErrorKind::DiskFull,
            Some("Free space on this disk, or remove apps that are not needed."),
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
            ErrorKind::PermissionDenied,
            Some("Let this user write there, or choose another folder."),
        ),
        _ => (ErrorKind::Unexpected, None),
    };
    let error =
        error(kind, format!("cannot {doing} {}: {source}", path.display())).with_source(source);
    match remedy {
        Some(remedy) => error.with_remedy(remedy),
        None => error,
    }
}

/// The release is not known here.
pub(super) fn no_release(release: impl Display) -> Error {
    error(
        ErrorKind::NotFound,
        format!("there is no release {release} on this machine"),
    )
}

/// A blocking piece of work that panicked or was cancelled with its runtime.
pub(super) fn joined(source: tokio::task::JoinError) -> Error {
    error(
        ErrorKind::Unexpected,
        "work on this machine's files broke off",
    )
    .with_source(source)
}

/// Does blocking work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> devopser_core::Result<T> + Send + 'static,
) -> devopser_core::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(joined)?
}
