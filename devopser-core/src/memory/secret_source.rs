//! [`MemorySecretSource`]: secrets in memory, a set for each tenant.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::cloud::MemoryCloud;
use super::services::lock;
use crate::context::Context;
use crate::id::TenantId;
use crate::model::service::SecretRef;
use crate::provider::{ProviderInfo, SecretSource, SecretSourceCapability};
use crate::{Error, ErrorKind, Result, Secret};

#[derive(Debug, Default)]
pub(super) struct Secrets(BTreeMap<(TenantId, SecretRef), Secret>);

impl MemoryCloud {
    /// Puts a secret of a tenant there.
    pub fn add_secret(&self, tenant: TenantId, name: SecretRef, secret: Secret) {
        lock(&self.shared.state)
            .secrets
            .0
            .insert((tenant, name), secret);
    }
}

/// Secrets in memory, a set for each tenant.
#[derive(Clone, Debug)]
pub struct MemorySecretSource {
    cloud: MemoryCloud,
}

impl MemorySecretSource {
    /// The one of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }
}

#[async_trait]
impl SecretSource for MemorySecretSource {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    fn capability(&self) -> SecretSourceCapability {
        SecretSourceCapability { per_tenant: true }
    }

    async fn get(&self, ctx: &Context, name: &SecretRef) -> Result<Secret> {
        let call = self.cloud.look(ctx, "SecretSource::get").await?;
        let key = (ctx.tenant().clone(), name.clone());
        let found = lock(&self.cloud.shared.state).secrets.0.get(&key).cloned();
        call.happened().await?;
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no secret \"{}\"", name.0),
            )
            .with_provider("memory")
        })
    }
}
