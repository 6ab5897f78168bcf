//! [`SecretSource`]: where secrets come from.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::ProviderInfo;
use crate::context::Context;
use crate::model::service::SecretRef;
use crate::{Result, Secret};

/// What a source of secrets can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSourceCapability {
    /// Each tenant has secrets of its own; without it all tenants share them, and a host must decide who may name what.
    pub per_tenant: bool,
}

/// Where secrets come from: the environment, the vault, a secrets manager.
#[async_trait]
pub trait SecretSource: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// What it can do.
    fn capability(&self) -> SecretSourceCapability;

    /// The secret of that name, for the tenant of `ctx`.
    ///
    /// # Behavior
    /// - A name that does not exist is not found, and the error does not hold any secret.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) for an unknown name, or one of another tenant.
    async fn get(&self, ctx: &Context, name: &SecretRef) -> Result<Secret>;
}
