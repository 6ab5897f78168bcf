//! [`BlobStore`]: sources and bundles by their content hash.

use std::fmt::Debug;
use std::path::Path;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use crate::id::{Digest, TenantId};
use crate::store::files;
use crate::{Error, ErrorKind, Result};

/// A blob as a stream of bytes.
pub type BlobReader = Pin<Box<dyn AsyncRead + Send>>;

/// Keeps blobs by their content hash. Each tenant has its own: who knows a digest of another tenant's blob learns nothing.
#[async_trait]
pub trait BlobStore: Debug + Send + Sync + 'static {
    /// Keeps the content and returns its digest.
    ///
    /// # Behavior
    /// - When it returns, the blob survives a crash; when it fails or is dropped, nothing is kept.
    /// - Repeating it returns the same digest and keeps one blob; a damaged one is made good.
    async fn put(&self, tenant: &TenantId, content: BlobReader) -> Result<Digest>;

    /// The content.
    ///
    /// # Behavior
    /// - A content that does not match the digest ends in an error of the reader
    ///   ([`InvalidData`](std::io::ErrorKind::InvalidData)), never in a plain end.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is no such blob, or when it is another tenant's.
    async fn get(&self, tenant: &TenantId, digest: &Digest) -> Result<BlobReader>;

    /// Forgets a blob. An absent one, or one of another tenant, is `Ok`.
    async fn delete(&self, tenant: &TenantId, digest: &Digest) -> Result<()>;
}

/// Sugar over any [`BlobStore`].
#[async_trait]
pub trait BlobStoreExt: BlobStore {
    /// Keeps a few bytes.
    ///
    /// # Errors
    /// As [`BlobStore::put`].
    async fn put_bytes(&self, tenant: &TenantId, content: Bytes) -> Result<Digest> {
        self.put(tenant, Box::pin(std::io::Cursor::new(content)))
            .await
    }

    /// Keeps the content of a file.
    ///
    /// # Errors
    /// As [`BlobStore::put`], and when the file cannot be read.
    async fn put_file(&self, tenant: &TenantId, path: &Path) -> Result<Digest> {
        let file = tokio::fs::File::open(path).await;
        let file = file.map_err(|source| files::failed("open", path, source))?;
        self.put(tenant, Box::pin(file)).await
    }

    /// The content, when it has at most `limit` bytes.
    ///
    /// # Errors
    /// As [`BlobStore::get`]; [`InvalidInput`](ErrorKind::InvalidInput) when it has more bytes.
    async fn get_bytes(&self, tenant: &TenantId, digest: &Digest, limit: usize) -> Result<Bytes> {
        let reader = self.get(tenant, digest).await?;
        let mut content = Vec::new();
        // One byte more than allowed shows that there is more; the end itself is read only when all fits.
        let mut reader = reader.take(limit as u64 + 1);
        let read = reader.read_to_end(&mut content).await;
        read.map_err(|source| unreadable(digest, source))?;
        if content.len() > limit {
            return Err(Error::invalid(
                "blob",
                format!("it has more than {limit} bytes"),
            ));
        }
        Ok(content.into())
    }

    /// Writes the content to a new file, and returns its size. What was written is removed when the content is damaged.
    ///
    /// # Errors
    /// As [`BlobStore::get`], and when the file exists or cannot be written.
    async fn get_file(&self, tenant: &TenantId, digest: &Digest, path: &Path) -> Result<u64> {
        let mut reader = self.get(tenant, digest).await?;
        let file = files::create_private(path).await;
        let mut file = file.map_err(|source| files::failed("make", path, source))?;
        let partial = files::Temporary::at(path);
        let size = tokio::io::copy(&mut reader, &mut file).await;
        let size = size.map_err(|source| unreadable(digest, source))?;
        let flushed = file.flush().await;
        flushed.map_err(|source| files::failed("write", path, source))?;
        partial.keep();
        Ok(size)
    }
}

impl<S: BlobStore + ?Sized> BlobStoreExt for S {}

/// What reading a blob failed with.
pub(crate) fn unreadable(digest: &Digest, source: std::io::Error) -> Error {
    let kind = match source.kind() {
        std::io::ErrorKind::InvalidData => ErrorKind::Unexpected,
        std::io::ErrorKind::StorageFull => ErrorKind::DiskFull,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("the blob {digest} cannot be read")).with_source(source)
}

/// There is no such blob for the tenant.
pub(crate) fn no_blob(digest: &Digest) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no blob {digest}"))
}
