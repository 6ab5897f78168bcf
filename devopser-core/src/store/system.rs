//! [`SystemStore`]: what the engine itself must remember across tenants. It is not handed to hosts or providers.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::id::{DeploymentId, IdempotencyKey, ResourceId, Target, TenantId};
use crate::model::deployment::CancelReason;
use crate::model::resource::{Resource, ResourceIntent};

/// A deployment that was accepted and has not ended: a row of the work queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRun {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Its target.
    pub target: Target,
    /// Whether a worker took it: one run at a time is taken for a target.
    pub taken: bool,
    /// Why it was asked to end.
    pub cancel: Option<CancelReason>,
    /// When it was accepted, in milliseconds since 1970.
    pub created_at: u64,
}

/// A lease that was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseGrant {
    /// Who holds it.
    pub holder: String,
    /// Grows with every new holder; a write of an older epoch is refused.
    pub epoch: u64,
    /// Until when, in milliseconds since 1970.
    pub expires_at: u64,
}

/// A port that is reserved for a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortGrant {
    /// The port.
    pub port: u16,
    /// For whom.
    pub target: Target,
}

/// The name of the lease whose epoch fences.
pub const WORKER_LEASE: &str = "worker";

/// An encrypted secret with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// The secret, encrypted.
    pub sealed: String,
}

/// What the engine must remember across tenants: the work queue, leases, idempotency keys, the resource ledger, ports and
/// encrypted secrets. `epoch` fences: a write with an epoch older than the lease [`WORKER_LEASE`] fails with
/// [`Conflict`](crate::ErrorKind::Conflict) and changes nothing.
#[async_trait]
pub trait SystemStore: Debug + Send + Sync + 'static {
    /// The id of this installation: made once, the same for ever after.
    async fn installation(&self) -> Result<String>;

    /// Puts a deployment into the work queue, not taken. With a key that was used for the tenant in the last 24 hours,
    /// nothing is queued and the earlier deployment's id is returned. Both in one transaction.
    ///
    /// # Behavior
    /// - `created_at` is the time from which the 24 hours are counted back.
    /// - Repeating it for a deployment in the queue changes nothing, and is [`Conflict`](crate::ErrorKind::Conflict) when
    ///   the target is another.
    async fn enqueue(&self, run: &PendingRun, key: Option<&IdempotencyKey>)
    -> Result<DeploymentId>;

    /// The runs that have not ended, oldest first.
    async fn pending(&self) -> Result<Vec<PendingRun>>;

    /// Takes a run, if no other run of its target is taken; says whether it did. Repeating it for a taken run is `true`.
    async fn take(&self, deployment: &DeploymentId, epoch: u64) -> Result<bool>;

    /// Asks a run to end; the first reason stays. `false` when it is not in the queue any more.
    async fn request_cancel(&self, deployment: &DeploymentId, reason: CancelReason)
    -> Result<bool>;

    /// Takes a run out of the queue. An absent one is `Ok`.
    async fn finish(&self, deployment: &DeploymentId, epoch: u64) -> Result<()>;

    /// Takes or renews a lease. `None` when another holder's lease lasts. A new holder gets a higher epoch.
    ///
    /// # Behavior
    /// - The holder renews with the same epoch, even late, as long as nobody else took the lease.
    /// - A renewal never shortens the lease.
    /// - Who takes a lease that was given back gets a higher epoch, whoever held it.
    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        now: u64,
        expires_at: u64,
    ) -> Result<Option<LeaseGrant>>;

    /// Gives a lease back. One that is not held is `Ok`.
    async fn release_lease(&self, name: &str, holder: &str) -> Result<()>;

    /// Who holds a lease that lasts at `now`.
    async fn lease(&self, name: &str, now: u64) -> Result<Option<LeaseGrant>>;

    /// Writes a row of the ledger before the thing is made. The same provider, kind and name again returns the first row's
    /// id, if the target is the same, and [`Conflict`](crate::ErrorKind::Conflict) if it is another's.
    async fn intend(
        &self,
        target: &Target,
        deployment: Option<&DeploymentId>,
        intent: &ResourceIntent,
        now: u64,
        epoch: u64,
    ) -> Result<ResourceId>;

    /// Notes that the thing was made; an earlier failure is forgotten. [`NotFound`](crate::ErrorKind::NotFound) without a row.
    async fn resource_created(&self, id: &ResourceId, provider_ref: &str, epoch: u64)
    -> Result<()>;

    /// Takes the row out. An absent one is `Ok`.
    async fn resource_gone(&self, id: &ResourceId, epoch: u64) -> Result<()>;

    /// Notes why a removal failed. Without a row it is `Ok`.
    async fn resource_failed(&self, id: &ResourceId, why: &str, epoch: u64) -> Result<()>;

    /// The rows of a target, or all, oldest first.
    async fn resources(&self, target: Option<&Target>) -> Result<Vec<Resource>>;

    /// Reserves a port for a target: the one that it has already, else `wanted`, else the first of `candidates` that no
    /// target holds. Atomic: two callers never get one port. `None` when `wanted` is held by another target or no
    /// candidate is free.
    async fn reserve_port(
        &self,
        target: &Target,
        wanted: Option<u16>,
        candidates: &[u16],
    ) -> Result<Option<u16>>;

    /// Frees the port of a target. None reserved is `Ok`.
    async fn release_port(&self, target: &Target) -> Result<()>;

    /// Every reserved port.
    async fn ports(&self) -> Result<Vec<PortGrant>>;

    /// Keeps an encrypted secret.
    async fn put_secret(&self, tenant: &TenantId, name: &str, sealed: &str) -> Result<()>;

    /// An encrypted secret.
    async fn secret(&self, tenant: &TenantId, name: &str) -> Result<Option<String>>;

    /// Forgets a secret. An absent one is `Ok`.
    async fn remove_secret(&self, tenant: &TenantId, name: &str) -> Result<()>;

    /// The names of a tenant's secrets that begin with `prefix`, in order.
    async fn secret_names(&self, tenant: &TenantId, prefix: &str) -> Result<Vec<String>>;

    /// Encrypted secrets of all tenants in the order of tenant and name, after the given place, at most `limit`: what a
    /// rotation of keys goes through.
    async fn sealed_secrets(
        &self,
        after: Option<(&TenantId, &str)>,
        limit: u32,
    ) -> Result<Vec<SealedSecret>>;

    /// Replaces an encrypted secret if it still is `old`; says whether it did.
    async fn replace_secret(
        &self,
        tenant: &TenantId,
        name: &str,
        old: &str,
        new: &str,
    ) -> Result<bool>;
}
