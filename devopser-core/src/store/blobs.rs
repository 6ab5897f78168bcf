//! [`FolderBlobStore`] and [`MemoryBlobStore`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use crate::Result;
use crate::clock::{Clock, SystemClock};
use crate::id::{Digest, TenantId};
use crate::provider::blob_store::{BlobReader, BlobStore, no_blob, unreadable};
use crate::store::files;

/// How old an incomplete file must be to be what a crash left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);

/// Blobs as files of a folder: `tenant/two-digits/digest`. Several processes may use one folder.
#[derive(Clone, Debug)]
pub struct FolderBlobStore {
    folder: PathBuf,
}

impl FolderBlobStore {
    /// The blobs in `folder`, which is made for this user only when it is missing. What a crash left incomplete more than a
    /// day ago is removed.
    ///
    /// # Errors
    /// [`ConfigInvalid`](crate::ErrorKind::ConfigInvalid) when the folder cannot be used.
    pub async fn open(folder: impl Into<PathBuf> + Send) -> Result<Self> {
        let store = Self {
            folder: folder.into(),
        };
        let incomplete = store.incomplete();
        files::private_folder(&incomplete).await?;
        remove_left_behind(&incomplete)
            .await
            .map_err(|source| files::failed("clean", &incomplete, source))?;
        Ok(store)
    }

    fn incomplete(&self) -> PathBuf {
        self.folder.join("incomplete")
    }

    fn path(&self, tenant: &TenantId, digest: &Digest) -> PathBuf {
        // Tenants that differ in case alone must differ where the file system does not see case.
        let owner = Digest::of(tenant.as_str().as_bytes());
        let owner = format!(
            "{}.{}",
            tenant.as_str().to_ascii_lowercase(),
            &owner.hex()[..16]
        );
        let hex = digest.hex();
        self.folder.join(owner).join(&hex[..2]).join(hex)
    }
}

async fn remove_left_behind(folder: &Path) -> io::Result<()> {
    let mut entries = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        // Another process may have completed or removed it meanwhile.
        let Ok(metadata) = entry.metadata().await else {
            continue;
        };
        let written = metadata.modified()?;
        let written = written.duration_since(std::time::UNIX_EPOCH);
        let now = Duration::from_millis(SystemClock.now_ms());
        if written.is_ok_and(|written| now.saturating_sub(written) > LEFT_BEHIND) {
            let _ = tokio::fs::remove_file(entry.path()).await;
        }
    }
    Ok(())
}

#[async_trait]
impl BlobStore for FolderBlobStore {
    async fn put(&self, tenant: &TenantId, mut content: BlobReader) -> Result<Digest> {
        let name = uuid::Uuid::now_v7().simple().to_string();
        let temporary = files::Temporary::at(&self.incomplete().join(name));
        let copy = async {
            let mut file = files::create_private(temporary.path()).await?;
            let mut hash = Sha256::new();
            let mut buffer = vec![0; 256 * 1024];
            loop {
                let read = content.read(&mut buffer).await?;
                if read == 0 {
                    break;
                }
                hash.update(&buffer[..read]);
                file.write_all(&buffer[..read]).await?;
            }
            file.flush().await?;
            file.sync_all().await?;
            Ok(Digest::from_hash(&hash.finalize()))
        };
        let digest = copy.await;
        let digest = digest.map_err(|source| files::failed("write", temporary.path(), source))?;
        let path = self.path(tenant, &digest);
        if let Some(folder) = path.parent() {
            files::private_folder(folder).await?;
        }
        // What is there already is replaced: it is the same, or damaged.
        temporary.rename(&path).await?;
        Ok(digest)
    }

    async fn get(&self, tenant: &TenantId, digest: &Digest) -> Result<BlobReader> {
        match File::open(self.path(tenant, digest)).await {
            Ok(file) => Ok(Box::pin(Verifying {
                inner: file,
                hash: Some(Sha256::new()),
                expected: digest.clone(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_blob(digest)),
            Err(source) => Err(unreadable(digest, source)),
        }
    }

    async fn delete(&self, tenant: &TenantId, digest: &Digest) -> Result<()> {
        let path = self.path(tenant, digest);
        match tokio::fs::remove_file(&path).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(files::failed("remove", &path, source)),
        }
    }
}

/// Reads on, and fails at the end when what was read does not match the digest.
#[derive(Debug)]
struct Verifying<R> {
    inner: R,
    /// `None` once the end was reached and found right.
    hash: Option<Sha256>,
    expected: Digest,
}

impl<R: AsyncRead + Unpin> AsyncRead for Verifying<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        let Some(hash) = &mut self.hash else {
            return Poll::Ready(Ok(()));
        };
        hash.update(read);
        if read.is_empty() {
            let found = Digest::from_hash(&hash.clone().finalize());
            if found != self.expected {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the content is {found}, not {}", self.expected),
                )));
            }
            self.hash = None;
        }
        Poll::Ready(Ok(()))
    }
}

/// Blobs in memory.
#[derive(Debug, Default)]
pub struct MemoryBlobStore {
    blobs: Mutex<BTreeMap<(TenantId, Digest), Bytes>>,
}

impl MemoryBlobStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(TenantId, Digest), Bytes>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BlobStore for MemoryBlobStore {
    async fn put(&self, tenant: &TenantId, mut content: BlobReader) -> Result<Digest> {
        let mut bytes = Vec::new();
        let read = content.read_to_end(&mut bytes).await;
        read.map_err(|source| files::failed("read", Path::new("the content"), source))?;
        let digest = Digest::of(&bytes);
        self.lock()
            .insert((tenant.clone(), digest.clone()), bytes.into());
        Ok(digest)
    }

    async fn get(&self, tenant: &TenantId, digest: &Digest) -> Result<BlobReader> {
        let key = (tenant.clone(), digest.clone());
        let bytes = self.lock().get(&key).cloned();
        let bytes = bytes.ok_or_else(|| no_blob(digest))?;
        Ok(Box::pin(io::Cursor::new(bytes)))
    }

    async fn delete(&self, tenant: &TenantId, digest: &Digest) -> Result<()> {
        self.lock().remove(&(tenant.clone(), digest.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::provider::blob_store::BlobStoreExt as _;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    async fn folder_store() -> (FolderBlobStore, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderBlobStore::open(folder.path().join("blobs"))
            .await
            .unwrap();
        (store, folder)
    }

    #[tokio::test]
    async fn a_damaged_blob_is_noticed_and_made_good() {
        let (store, folder) = folder_store().await;
        let owner = tenant("a");
        let content = Bytes::from(vec![7; 300_000]);
        let digest = store.put_bytes(&owner, content.clone()).await.unwrap();
        let path = store.path(&owner, &digest);
        for damage in [&b""[..], b"other", &[7; 299_999], &[7; 300_001]] {
            std::fs::write(&path, damage).unwrap();
            let error = store.get_bytes(&owner, &digest, 1 << 20).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unexpected);
            let out = folder.path().join("out");
            let copied = store.get_file(&owner, &digest, &out).await;
            assert!(copied.is_err() && !out.exists());
        }
        assert_eq!(
            store.put_bytes(&owner, content.clone()).await.unwrap(),
            digest
        );
        let back = store.get_bytes(&owner, &digest, 1 << 20).await.unwrap();
        assert_eq!(back, content);
    }

    /// Gives a few bytes, then fails.
    struct Broken(bool);

    impl AsyncRead for Broken {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(Err(io::Error::other("broken")));
            }
            buffer.put_slice(b"begin");
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_failed_or_dropped_put_leaves_nothing() {
        let (store, _folder) = folder_store().await;
        let owner = tenant("a");
        assert!(store.put(&owner, Box::pin(Broken(false))).await.is_err());
        let (writer, reader) = tokio::io::duplex(64);
        let put = store.put(&owner, Box::pin(reader));
        let dropped = tokio::time::timeout(Duration::from_millis(20), put).await;
        assert!(dropped.is_err());
        drop(writer);
        let left = std::fs::read_dir(store.incomplete()).unwrap().count();
        assert_eq!(left, 0);
        let folders = std::fs::read_dir(&store.folder).unwrap().count();
        assert_eq!(folders, 1, "the one for incomplete files");
    }

    #[tokio::test]
    async fn what_a_crash_left_is_removed_after_a_day() {
        let (store, _folder) = folder_store().await;
        let (old, young) = (
            store.incomplete().join("old"),
            store.incomplete().join("young"),
        );
        for path in [&old, &young] {
            std::fs::write(path, "x").unwrap();
        }
        let long_ago = std::time::SystemTime::now() - LEFT_BEHIND - Duration::from_secs(60);
        let file = std::fs::File::options().write(true).open(&old).unwrap();
        file.set_modified(long_ago).unwrap();
        FolderBlobStore::open(&store.folder).await.unwrap();
        assert!(!old.exists() && young.exists());
    }

    #[tokio::test]
    async fn tenants_that_differ_in_case_have_their_own_folders() {
        let (store, _folder) = folder_store().await;
        let digest = Digest::of(b"x");
        let path = |name| {
            let path = store.path(&tenant(name), &digest);
            path.to_str().unwrap().to_lowercase()
        };
        assert_ne!(path("Shop"), path("shop"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn blobs_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let (store, _folder) = folder_store().await;
        let owner = tenant("a");
        let digest = store.put_bytes(&owner, Bytes::from("x")).await.unwrap();
        let path = store.path(&owner, &digest);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(&store.folder), 0o700);
    }
}
