//! Files that nobody else may read, written in one piece.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::{DirBuilder, File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::{Error, ErrorKind, Result};

/// Makes the folder with its missing parents, for this user only, safe on the disk. One that exists is left as it is.
pub(crate) async fn private_folder(path: &Path) -> Result<()> {
    let mut missing = Vec::new();
    for folder in path.ancestors().filter(|folder| *folder != Path::new("")) {
        if tokio::fs::try_exists(folder).await.unwrap_or(true) {
            break;
        }
        missing.push(folder);
    }
    if missing.is_empty()
        && tokio::fs::metadata(path)
            .await
            .is_ok_and(|found| found.is_dir())
    {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder
        .create(path)
        .await
        .map_err(|source| failed("make the folder", path, source))?;
    for folder in missing {
        sync_folder(folder_of(folder)).await?;
    }
    Ok(())
}

/// Makes a new file for this user only.
pub(crate) async fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    options.mode(0o600);
    options.write(true).create_new(true).open(path).await
}

/// Makes the file and its folder, for this user only. A file that exists is left as it is.
#[cfg(feature = "embedded")]
pub(crate) async fn private_file(path: &Path) -> Result<()> {
    private_folder(folder_of(path)).await?;
    match create_private(path).await {
        Ok(_) => sync_folder(folder_of(path)).await,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(failed("make the file", path, source)),
    }
}

/// The content of a file that must be this user's alone; `None` when there is none.
pub(crate) async fn read_private(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let mut file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("open", path, source)),
    };
    let metadata = file.metadata().await;
    let metadata = metadata.map_err(|source| failed("read", path, source))?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return Err(Error::new(
            ErrorKind::ConfigInvalid,
            format!("others may read {}", path.display()),
        )
        .with_remedy("make it readable for its owner alone (mode 0600)"));
    }
    // Room for all of it, so that no copy is left behind where the buffer grew.
    let size = usize::try_from(metadata.len()).unwrap_or_default();
    let mut content = Zeroizing::new(Vec::with_capacity(size + 1));
    match file.read_to_end(&mut content).await {
        Ok(_) => Ok(Some(content)),
        Err(source) => Err(failed("read", path, source)),
    }
}

/// Writes a new file in one piece, for this user only; one that exists is left as it is.
pub(crate) async fn write_new(path: &Path, content: &[u8]) -> Result<()> {
    let written = Temporary::write(path, content).await?;
    match tokio::fs::hard_link(&written.0, path).await {
        Ok(()) => sync_folder(folder_of(path)).await,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(failed("make", path, source)),
    }
}

/// Writes a file in one piece, for this user only; what was there is replaced.
pub(crate) async fn replace(path: &Path, content: &[u8]) -> Result<()> {
    Temporary::write(path, content).await?.rename(path).await
}

/// A file that is not complete yet; removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// The file at `path`, from now on.
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// It is complete where it is.
    pub(crate) fn keep(mut self) {
        self.0 = PathBuf::new();
    }

    /// The content in a new file beside `path`, safe on the disk.
    async fn write(path: &Path, content: &[u8]) -> Result<Self> {
        let folder = folder_of(path);
        private_folder(folder).await?;
        let temporary = Self(folder.join(format!(".{}.new", uuid::Uuid::now_v7().simple())));
        let write = async {
            let mut file = create_private(&temporary.0).await?;
            file.write_all(content).await?;
            file.sync_all().await
        };
        let written = write.await;
        written.map_err(|source| failed("write", &temporary.0, source))?;
        Ok(temporary)
    }

    /// Gives it its name, safe on the disk.
    pub(crate) async fn rename(self, path: &Path) -> Result<()> {
        let renamed = tokio::fs::rename(&self.0, path).await;
        renamed.map_err(|source| failed("make", path, source))?;
        sync_folder(folder_of(path)).await
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing to remove.
        if self.0 != Path::new("") {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

/// Makes sure that a name in the folder survives a loss of power.
async fn sync_folder(folder: &Path) -> Result<()> {
    let synced = async { File::open(folder).await?.sync_all().await };
    synced
        .await
        .map_err(|source| failed("keep the names in", folder, source))
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// What an operation on a path failed with.
pub(crate) fn failed(what: &str, path: &Path, source: io::Error) -> Error {
    use io::ErrorKind as Io;
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
