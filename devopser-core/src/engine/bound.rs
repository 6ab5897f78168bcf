//! What a call's [`Context`](crate::Context) holds, bound to the store, the tenant and the worker's epoch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::builder::Shared;
use super::events::EventWriter;
use crate::clock::Clock;
use crate::context::{Lease, Ledger, Vault};
use crate::id::{DeploymentId, ResourceId, Target, TenantId};
use crate::model::resource::{Resource, ResourceIntent};
use crate::model::service::SecretRef;
use crate::store::SystemStore;
use crate::vault::StoreVault;
use crate::{Result, Secret};

/// The resource ledger of one target, written with the worker's epoch.
#[derive(Debug)]
pub(crate) struct BoundLedger {
    pub(crate) system: Arc<dyn SystemStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) target: Target,
    pub(crate) deployment: Option<DeploymentId>,
    pub(crate) lease: Arc<WorkerLease>,
}

#[async_trait]
impl Ledger for BoundLedger {
    async fn intend(&self, intent: ResourceIntent) -> Result<ResourceId> {
        let (now, epoch) = (self.clock.now_ms(), self.lease.epoch());
        self.system
            .intend(&self.target, self.deployment.as_ref(), &intent, now, epoch)
            .await
    }

    async fn created(&self, id: &ResourceId, provider_ref: &str) -> Result<()> {
        self.system
            .resource_created(id, provider_ref, self.lease.epoch())
            .await
    }

    async fn gone(&self, id: &ResourceId) -> Result<()> {
        self.system.resource_gone(id, self.lease.epoch()).await
    }

    async fn failed(&self, id: &ResourceId, why: &str) -> Result<()> {
        self.system
            .resource_failed(id, why, self.lease.epoch())
            .await
    }

    async fn list(&self) -> Result<Vec<Resource>> {
        self.system.resources(Some(&self.target)).await
    }
}

/// The vault of one tenant; every secret that passes is redacted from the run's output from then on.
#[derive(Debug)]
pub(crate) struct RedactingVault {
    pub(crate) inner: Arc<dyn Vault>,
    pub(crate) writer: Arc<EventWriter>,
}

#[async_trait]
impl Vault for RedactingVault {
    async fn get(&self, name: &SecretRef) -> Result<Secret> {
        let secret = self.inner.get(name).await?;
        self.writer.hide(&secret);
        Ok(secret)
    }

    async fn put(&self, name: &SecretRef, secret: &Secret) -> Result<()> {
        self.writer.hide(secret);
        self.inner.put(name, secret).await
    }

    async fn remove(&self, name: &SecretRef) -> Result<()> {
        self.inner.remove(name).await
    }
}

/// The vault of a tenant.
pub(crate) fn vault(shared: &Shared, tenant: &TenantId) -> Arc<dyn Vault> {
    Arc::new(StoreVault::new(
        Arc::clone(&shared.parts.system),
        Arc::clone(&shared.parts.keys),
        tenant.clone(),
    ))
}

/// The worker's lease as its calls see it: renewed by the worker, read by everyone.
#[derive(Debug)]
pub(crate) struct WorkerLease {
    clock: Arc<dyn Clock>,
    epoch: AtomicU64,
    expires_at: AtomicU64,
}

impl WorkerLease {
    pub(crate) fn new(clock: Arc<dyn Clock>, epoch: u64, expires_at: u64) -> Self {
        Self {
            clock,
            epoch: AtomicU64::new(epoch),
            expires_at: AtomicU64::new(expires_at),
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    pub(crate) fn renewed(&self, expires_at: u64) {
        self.expires_at.store(expires_at, Ordering::SeqCst);
    }

    pub(crate) fn lost(&self) {
        self.expires_at.store(0, Ordering::SeqCst);
    }
}

impl Lease for WorkerLease {
    fn holds_for(&self, at_least: Duration) -> bool {
        // A lease lasts a few seconds and is renewed all the time: what counts for a long request is that it is held
        // now. A short one must fit into what is left.
        let needed = at_least.min(Duration::from_secs(2));
        let needed = u64::try_from(needed.as_millis()).unwrap_or(u64::MAX);
        self.clock.now_ms().saturating_add(needed) <= self.expires_at.load(Ordering::SeqCst)
    }
}
