//! What every [`BlobStore`] must do: one function for each documented behaviour, and [`all`] for all of them.

use bytes::Bytes;
use futures::future::join_all;

use super::{check, check_refused};
use crate::id::{Digest, TenantId};
use crate::provider::{BlobStore, BlobStoreExt as _};
use crate::{ErrorKind, Result};

const LIMIT: usize = 4 << 20;

/// Runs every function of this module.
///
/// # Errors
/// The first behaviour that does not hold, or what the store failed with.
pub async fn all(store: &dyn BlobStore) -> Result<()> {
    a_blob_comes_back(store).await?;
    putting_it_again_keeps_one(store).await?;
    a_deleted_blob_is_gone(store).await?;
    tenants_do_not_meet(store).await
}

fn new_tenant() -> Result<TenantId> {
    TenantId::new(format!("t_{}", uuid::Uuid::now_v7().simple()))
}

/// Content of any size comes back as it was, under its SHA-256.
///
/// # Errors
/// When it is not so.
pub async fn a_blob_comes_back(store: &dyn BlobStore) -> Result<()> {
    let tenant = new_tenant()?;
    for size in [0, 1, 255, 256 * 1024, 256 * 1024 + 1, 3_000_000] {
        let content: Vec<u8> = (0..size)
            .map(|at: u32| at.to_le_bytes()[at as usize % 3])
            .collect();
        let digest = store.put_bytes(&tenant, content.clone().into()).await?;
        check!(
            digest == Digest::of(&content),
            "the digest is the content's"
        );
        let back = store.get_bytes(&tenant, &digest, LIMIT).await?;
        check!(back == content, "{size} bytes come back as they were");
        if size > 0 {
            let small = store.get_bytes(&tenant, &digest, content.len() - 1).await;
            check_refused(small, ErrorKind::InvalidInput, "reading beyond the limit")?;
        }
    }
    Ok(())
}

/// The same content gives the same digest, also when many put it at once.
///
/// # Errors
/// When it is not so.
pub async fn putting_it_again_keeps_one(store: &dyn BlobStore) -> Result<()> {
    let tenant = new_tenant()?;
    let content = Bytes::from("the same");
    let puts = join_all((0..8).map(|_| store.put_bytes(&tenant, content.clone()))).await;
    let digest = Digest::of(&content);
    for put in puts {
        check!(put? == digest, "the same content has one digest");
    }
    store.delete(&tenant, &digest).await?;
    let gone = store.get(&tenant, &digest).await.map(drop);
    check_refused(
        gone,
        ErrorKind::NotFound,
        "getting what was put twice and deleted once",
    )
}

/// A deleted blob is gone; deleting what is absent is `Ok`.
///
/// # Errors
/// When it is not so.
pub async fn a_deleted_blob_is_gone(store: &dyn BlobStore) -> Result<()> {
    let tenant = new_tenant()?;
    let digest = store.put_bytes(&tenant, Bytes::from("one")).await?;
    let other = store.put_bytes(&tenant, Bytes::from("two")).await?;
    for _ in 0..2 {
        store.delete(&tenant, &digest).await?;
        let gone = store.get(&tenant, &digest).await.map(drop);
        check_refused(gone, ErrorKind::NotFound, "getting a deleted blob")?;
    }
    store.get(&tenant, &other).await.map(drop)
}

/// A tenant neither reads nor deletes another's blob, even with its digest.
///
/// # Errors
/// When it is not so.
pub async fn tenants_do_not_meet(store: &dyn BlobStore) -> Result<()> {
    let (ours, theirs) = (new_tenant()?, new_tenant()?);
    let digest = store.put_bytes(&ours, Bytes::from("mine")).await?;
    let read = store.get(&theirs, &digest).await.map(drop);
    check_refused(read, ErrorKind::NotFound, "getting another tenant's blob")?;
    store.delete(&theirs, &digest).await?;
    store.put_bytes(&theirs, Bytes::from("mine")).await?;
    store.delete(&theirs, &digest).await?;
    store.get(&ours, &digest).await.map(drop)
}
