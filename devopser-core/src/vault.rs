//! The encrypted vault: every secret has a data key of its own, which a key-encryption key of the [`KeyRing`] wraps.
//!
//! Tenant and name go into both encryptions, so a row that was moved to another place cannot be opened. Rotation wraps the
//! data keys again and leaves the secrets as they are.

mod envelope;
mod key_ring;

use std::sync::Arc;

use async_trait::async_trait;

use crate::context::Vault;
use crate::id::TenantId;
use crate::model::service::SecretRef;
use crate::store::SystemStore;
use crate::{Error, ErrorKind, Result, Secret};

pub use key_ring::KeyRing;

/// The vault of one tenant, in the store of the engine.
#[derive(Clone, Debug)]
pub struct StoreVault {
    store: Arc<dyn SystemStore>,
    keys: Arc<KeyRing>,
    tenant: TenantId,
}

impl StoreVault {
    /// The vault of `tenant` in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn SystemStore>, keys: Arc<KeyRing>, tenant: TenantId) -> Self {
        Self {
            store,
            keys,
            tenant,
        }
    }

    /// The names of the tenant's secrets that begin with `prefix`, in order.
    ///
    /// # Errors
    /// What the store fails with.
    pub async fn names(&self, prefix: &str) -> Result<Vec<SecretRef>> {
        let names = self.store.secret_names(&self.tenant, prefix).await?;
        Ok(names.into_iter().map(SecretRef).collect())
    }
}

#[async_trait]
impl Vault for StoreVault {
    async fn get(&self, name: &SecretRef) -> Result<Secret> {
        let sealed = self.store.secret(&self.tenant, &name.0).await?;
        let sealed = sealed.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no secret \"{}\"", name.0),
            )
        })?;
        envelope::open(&self.keys, &self.tenant, &name.0, &sealed)
    }

    async fn put(&self, name: &SecretRef, secret: &Secret) -> Result<()> {
        check_name(&name.0)?;
        let sealed = envelope::seal(&self.keys, &self.tenant, &name.0, secret)?;
        self.store.put_secret(&self.tenant, &name.0, &sealed).await
    }

    async fn remove(&self, name: &SecretRef) -> Result<()> {
        self.store.remove_secret(&self.tenant, &name.0).await
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > 512 || name.chars().any(char::is_control) {
        return Err(Error::invalid(
            "secret",
            "a name has 1 to 512 bytes and no control characters",
        ));
    }
    Ok(())
}

/// What a [`rotate`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// Secrets whose data key is now wrapped by the current key.
    pub rewrapped: u64,
    /// Secrets whose data key was so before.
    pub already_current: u64,
    /// Secrets that were written or removed meanwhile: rotate again to be sure of them.
    pub changed_meanwhile: u64,
    /// Secrets that could not be opened, by tenant and name: their key is not in the ring, or they are damaged.
    pub failed: Vec<(TenantId, String)>,
}

impl Rotation {
    /// Whether every secret is wrapped by the current key, so that older keys are not needed any more.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.changed_meanwhile == 0 && self.failed.is_empty()
    }
}

/// Wraps the data keys of all secrets of all tenants with the current key of the ring. The secrets themselves are neither
/// decrypted nor written. Repeating it is safe; it can be interrupted anywhere.
///
/// # Errors
/// What the store fails with.
pub async fn rotate(store: &dyn SystemStore, keys: &KeyRing) -> Result<Rotation> {
    const PAGE: u32 = 200;
    let mut done = Rotation::default();
    let mut last: Option<(TenantId, String)> = None;
    loop {
        let after = last.as_ref().map(|(tenant, name)| (tenant, name.as_str()));
        let page = store.sealed_secrets(after, PAGE).await?;
        let Some(end) = page.last() else {
            return Ok(done);
        };
        last = Some((end.tenant.clone(), end.name.clone()));
        for row in page {
            match envelope::rewrap(keys, &row.tenant, &row.name, &row.sealed) {
                Err(_) => done.failed.push((row.tenant, row.name)),
                Ok(None) => done.already_current += 1,
                Ok(Some(sealed)) => {
                    let replaced = store
                        .replace_secret(&row.tenant, &row.name, &row.sealed, &sealed)
                        .await?;
                    if replaced {
                        done.rewrapped += 1;
                    } else {
                        done.changed_meanwhile += 1;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
