//! Files that nobody else may read.

use std::path::Path;

use tokio::fs::{DirBuilder, OpenOptions};

use crate::{Error, ErrorKind, Result};

/// Makes the folder with its missing parents, for this user only. One that exists is left as it is.
pub(crate) async fn private_folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder
        .create(path)
        .await
        .map_err(|source| failed("make the folder", path, source))
}

/// Options that make a file for this user only.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    options.mode(0o600);
    options
}

/// Makes the file and its folder, for this user only. A file that exists is left as it is.
#[cfg(feature = "embedded")]
pub(crate) async fn private_file(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
        private_folder(folder).await?;
    }
    let mut options = private_options();
    match options.write(true).create_new(true).open(path).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(failed("make the file", path, source)),
    }
}

/// What an operation on a path failed with.
pub(crate) fn failed(what: &str, path: &Path, source: std::io::Error) -> Error {
    use std::io::ErrorKind as Io;
    let kind = match source.kind() {
        Io::StorageFull | Io::QuotaExceeded => ErrorKind::DiskFull,
        Io::NotFound
        | Io::PermissionDenied
        | Io::NotADirectory
        | Io::IsADirectory
        | Io::ReadOnlyFilesystem => ErrorKind::ConfigInvalid,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("cannot {what} {}", path.display())).with_source(source)
}
