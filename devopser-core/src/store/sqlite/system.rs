//! The machinery in SQLite: every mutating call is one transaction that begins with the write lock and, where it takes an
//! epoch, with a look at the worker's lease.

use async_trait::async_trait;

use super::{SqliteStore, ledger, queue, secrets};
use crate::Result;
use crate::id::{DeploymentId, IdempotencyKey, ResourceId, Target, TenantId};
use crate::model::deployment::CancelReason;
use crate::model::resource::{Resource, ResourceIntent};
use crate::store::{LeaseGrant, PendingRun, PortGrant, SealedSecret, SystemStore};

/// Runs one function in one transaction, and commits when it succeeded.
macro_rules! in_transaction {
    ($begin:expr, $module:ident::$call:ident($($argument:expr),*)) => {{
        let mut write = $begin.await?;
        let result = $module::$call(write.connection() $(, $argument)*).await?;
        write.commit().await?;
        Ok(result)
    }};
}

#[async_trait]
impl SystemStore for SqliteStore {
    async fn installation(&self) -> Result<String> {
        in_transaction!(self.write(), queue::installation())
    }

    async fn enqueue(
        &self,
        run: &PendingRun,
        key: Option<&IdempotencyKey>,
    ) -> Result<DeploymentId> {
        in_transaction!(self.write(), queue::enqueue(run, key))
    }

    async fn pending(&self) -> Result<Vec<PendingRun>> {
        queue::pending(&self.pool).await
    }

    async fn take(&self, deployment: &DeploymentId, epoch: u64) -> Result<bool> {
        in_transaction!(self.fenced(epoch), queue::take(deployment))
    }

    async fn request_cancel(
        &self,
        deployment: &DeploymentId,
        reason: CancelReason,
    ) -> Result<bool> {
        in_transaction!(self.write(), queue::request_cancel(deployment, reason))
    }

    async fn finish(&self, deployment: &DeploymentId, epoch: u64) -> Result<()> {
        in_transaction!(self.fenced(epoch), queue::finish(deployment))
    }

    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        now: u64,
        expires_at: u64,
    ) -> Result<Option<LeaseGrant>> {
        in_transaction!(
            self.write(),
            queue::acquire_lease(name, holder, now, expires_at)
        )
    }

    async fn release_lease(&self, name: &str, holder: &str) -> Result<()> {
        in_transaction!(self.write(), queue::release_lease(name, holder))
    }

    async fn lease(&self, name: &str, now: u64) -> Result<Option<LeaseGrant>> {
        queue::lease(&self.pool, name, now).await
    }

    async fn intend(
        &self,
        target: &Target,
        deployment: Option<&DeploymentId>,
        intent: &ResourceIntent,
        now: u64,
        epoch: u64,
    ) -> Result<ResourceId> {
        in_transaction!(
            self.fenced(epoch),
            ledger::intend(target, deployment, intent, now)
        )
    }

    async fn resource_created(
        &self,
        id: &ResourceId,
        provider_ref: &str,
        epoch: u64,
    ) -> Result<()> {
        in_transaction!(self.fenced(epoch), ledger::created(id, provider_ref))
    }

    async fn resource_gone(&self, id: &ResourceId, epoch: u64) -> Result<()> {
        in_transaction!(self.fenced(epoch), ledger::gone(id))
    }

    async fn resource_failed(&self, id: &ResourceId, why: &str, epoch: u64) -> Result<()> {
        in_transaction!(self.fenced(epoch), ledger::removal_failed(id, why))
    }

    async fn resources(&self, target: Option<&Target>) -> Result<Vec<Resource>> {
        ledger::resources(&self.pool, target).await
    }

    async fn reserve_port(
        &self,
        target: &Target,
        wanted: Option<u16>,
        candidates: &[u16],
    ) -> Result<Option<u16>> {
        in_transaction!(
            self.write(),
            ledger::reserve_port(target, wanted, candidates)
        )
    }

    async fn release_port(&self, target: &Target) -> Result<()> {
        in_transaction!(self.write(), ledger::release_port(target))
    }

    async fn ports(&self) -> Result<Vec<PortGrant>> {
        ledger::ports(&self.pool).await
    }

    async fn put_secret(&self, tenant: &TenantId, name: &str, sealed: &str) -> Result<()> {
        in_transaction!(self.write(), secrets::put(tenant, name, sealed))
    }

    async fn secret(&self, tenant: &TenantId, name: &str) -> Result<Option<String>> {
        secrets::get(&self.pool, tenant, name).await
    }

    async fn remove_secret(&self, tenant: &TenantId, name: &str) -> Result<()> {
        in_transaction!(self.write(), secrets::remove(tenant, name))
    }

    async fn secret_names(&self, tenant: &TenantId, prefix: &str) -> Result<Vec<String>> {
        secrets::names(&self.pool, tenant, prefix).await
    }

    async fn sealed_secrets(
        &self,
        after: Option<(&TenantId, &str)>,
        limit: u32,
    ) -> Result<Vec<SealedSecret>> {
        secrets::page(&self.pool, after, limit).await
    }

    async fn replace_secret(
        &self,
        tenant: &TenantId,
        name: &str,
        old: &str,
        new: &str,
    ) -> Result<bool> {
        in_transaction!(self.write(), secrets::replace(tenant, name, old, new))
    }
}
