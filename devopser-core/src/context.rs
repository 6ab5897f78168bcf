//! [`Context`]: the runtime resources of one call, handed down from the engine. Intent travels in the request instead.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
pub use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock};
use crate::id::{DeploymentId, ResourceId, TenantId};
use crate::model::resource::{Owner, Resource, ResourceIntent};
use crate::model::service::SecretRef;
use crate::{Error, ErrorKind, Result, Secret};

/// Takes what a call tells while it goes on. Text is redacted before it is stored.
pub trait Progress: Debug + Send + Sync + 'static {
    /// A line of output of a build or an app.
    fn log(&self, line: &str);
    /// Something a person should know.
    fn note(&self, text: &str);
}

/// The resource ledger, bound to the target and the deployment of the call.
#[async_trait]
pub trait Ledger: Debug + Send + Sync + 'static {
    /// Writes down what is about to be made. Call it *before* the provider is asked.
    ///
    /// # Behavior
    /// - Repeating it for the same provider, kind and name returns the same row.
    /// - It fails with [`Conflict`](ErrorKind::Conflict) when the worker's lease is lost.
    async fn intend(&self, intent: ResourceIntent) -> Result<ResourceId>;

    /// Notes that it was made, with the provider's own id.
    async fn created(&self, id: &ResourceId, provider_ref: &str) -> Result<()>;

    /// Takes the row out: the provider said that the thing is gone. An absent row is `Ok`.
    async fn gone(&self, id: &ResourceId) -> Result<()>;

    /// Notes why a removal failed; the row stays.
    async fn failed(&self, id: &ResourceId, why: &str) -> Result<()>;

    /// Every row of the target.
    async fn list(&self) -> Result<Vec<Resource>>;
}

/// The encrypted vault, bound to the tenant of the call.
#[async_trait]
pub trait Vault: Debug + Send + Sync + 'static {
    /// The secret.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an unknown name.
    async fn get(&self, name: &SecretRef) -> Result<Secret>;

    /// Keeps a secret under the name; what was there is replaced.
    async fn put(&self, name: &SecretRef, secret: &Secret) -> Result<()>;

    /// Forgets it. An absent name is `Ok`.
    async fn remove(&self, name: &SecretRef) -> Result<()>;
}

/// Says whether the worker still holds its lease.
pub trait Lease: Debug + Send + Sync + 'static {
    /// Whether the lease is held and lasts for `at_least` from now.
    fn holds_for(&self, at_least: Duration) -> bool;
}

/// The runtime resources of one call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Fires when the call should end.
    pub cancel: CancellationToken,
    /// Whose things are made and touched.
    pub owner: Owner,
    /// The deployment that the call belongs to, when there is one.
    pub deployment: Option<DeploymentId>,
    /// Takes output.
    pub progress: Arc<dyn Progress>,
    /// The resource ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The vault.
    pub vault: Arc<dyn Vault>,
    /// The worker's lease.
    pub lease: Arc<dyn Lease>,
    /// A folder of the engine's for this target, on the worker's machine; it exists.
    pub folder: PathBuf,
}

impl Context {
    /// A context for a call outside any deployment: nothing is logged, the ledger and the vault are empty and in memory.
    #[must_use]
    pub fn detached(owner: Owner, folder: impl Into<PathBuf>) -> Self {
        let memory = Arc::new(crate::memory::MemoryServices::default());
        Self {
            clock: Arc::new(SystemClock),
            cancel: CancellationToken::new(),
            owner,
            deployment: None,
            progress: Arc::<crate::memory::MemoryServices>::clone(&memory),
            ledger: Arc::<crate::memory::MemoryServices>::clone(&memory),
            vault: Arc::<crate::memory::MemoryServices>::clone(&memory),
            lease: memory,
            folder: folder.into(),
        }
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.owner.target.tenant
    }

    /// The folder of this target.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Fails when the call was cancelled.
    ///
    /// # Errors
    /// [`Cancelled`](ErrorKind::Cancelled).
    pub fn check_cancelled(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            Err(Error::cancelled())
        } else {
            Ok(())
        }
    }

    /// Fails unless the worker's lease outlasts a mutating request of `timeout`. Ask before each such request.
    ///
    /// # Errors
    /// [`Cancelled`](ErrorKind::Cancelled), or [`Conflict`](ErrorKind::Conflict) when another worker may have taken over.
    pub fn before_mutation(&self, timeout: Duration) -> Result<()> {
        self.check_cancelled()?;
        if self.lease.holds_for(timeout) {
            Ok(())
        } else {
            Err(Error::new(
                ErrorKind::Conflict,
                "the worker's lease ends before the request could",
            )
            .with_retry(crate::Retry::Later { after: None }))
        }
    }

    /// Waits, unless the call is cancelled before.
    ///
    /// # Errors
    /// [`Cancelled`](ErrorKind::Cancelled).
    pub async fn sleep(&self, duration: Duration) -> Result<()> {
        tokio::select! {
            () = tokio::time::sleep(duration) => Ok(()),
            () = self.cancel.cancelled() => Err(Error::cancelled()),
        }
    }

    /// Runs `future` until it ends or the call is cancelled.
    ///
    /// # Errors
    /// What the future fails with, or [`Cancelled`](ErrorKind::Cancelled).
    pub async fn run<T>(&self, future: impl Future<Output = Result<T>> + Send) -> Result<T> {
        tokio::select! {
            result = future => result,
            () = self.cancel.cancelled() => Err(Error::cancelled()),
        }
    }
}
