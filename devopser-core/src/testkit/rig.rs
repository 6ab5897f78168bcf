//! What the cases work with: fresh contexts, a stranger, artifacts.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::SystemClock;
use crate::context::{CancellationToken, Context, Ledger};
use crate::id::{AppName, EnvironmentName, ResourceId, Target, TenantId};
use crate::memory::MemoryServices;
use crate::model::artifact::Artifact;
use crate::model::resource::{Owner, Resource, ResourceIntent, ResourceState};
use crate::{Error, ErrorKind, Result};

/// A context for a target that nobody else has, and what stands behind it.
#[derive(Clone, Debug)]
pub struct Rig {
    /// The context.
    pub ctx: Context,
    /// Its ledger, vault and progress.
    pub services: Arc<MemoryServices>,
}

impl Rig {
    /// A rig whose context works in a fresh folder under `folder`.
    ///
    /// # Errors
    /// [`Unexpected`](ErrorKind::Unexpected) when the folder cannot be made.
    pub fn new(folder: &Path) -> Result<Self> {
        let unique = uuid::Uuid::now_v7().simple().to_string();
        let unique = &unique[unique.len() - 12..];
        let target = Target {
            tenant: TenantId::new(format!("t{unique}"))?,
            app: AppName::new(format!("kit-{unique}"))?,
            environment: EnvironmentName::production(),
        };
        let folder = folder.join(unique);
        std::fs::create_dir_all(&folder).map_err(|source| {
            Error::unexpected("the folder for a case cannot be made").with_source(source)
        })?;
        let services = Arc::new(MemoryServices::default());
        let ctx = Context {
            clock: Arc::new(SystemClock),
            cancel: CancellationToken::new(),
            owner: Owner {
                installation: format!("kit{unique}"),
                target,
            },
            deployment: None,
            progress: Arc::<MemoryServices>::clone(&services),
            ledger: Arc::<MemoryServices>::clone(&services),
            vault: Arc::<MemoryServices>::clone(&services),
            lease: Arc::<MemoryServices>::clone(&services),
            folder,
        };
        Ok(Self { ctx, services })
    }

    /// The same with a context whose ledger refuses every new row: nothing may be made through it.
    #[must_use]
    pub fn with_closed_ledger(&self) -> Context {
        let mut ctx = self.ctx.clone();
        ctx.ledger = Arc::new(ClosedLedger(Arc::clone(&self.ctx.ledger)));
        ctx
    }

    /// The rows of the ledger.
    ///
    /// # Errors
    /// What the ledger fails with.
    pub async fn rows(&self) -> Result<Vec<Resource>> {
        self.ctx.ledger.list().await
    }

    /// The rows that are not noted as made, as `kind name`.
    ///
    /// # Errors
    /// What the ledger fails with.
    pub async fn unmade_rows(&self) -> Result<Vec<String>> {
        let rows = self.rows().await?;
        Ok(rows
            .into_iter()
            .filter(|row| row.state != ResourceState::Created || row.provider_ref.is_none())
            .map(|row| format!("{} {}", row.intent.kind, row.intent.name))
            .collect())
    }
}

#[derive(Debug)]
struct ClosedLedger(Arc<dyn Ledger>);

#[async_trait]
impl Ledger for ClosedLedger {
    async fn intend(&self, _intent: ResourceIntent) -> Result<ResourceId> {
        Err(Error::new(ErrorKind::Conflict, "the ledger takes no row"))
    }

    async fn created(&self, id: &ResourceId, provider_ref: &str) -> Result<()> {
        self.0.created(id, provider_ref).await
    }

    async fn gone(&self, id: &ResourceId) -> Result<()> {
        self.0.gone(id).await
    }

    async fn failed(&self, id: &ResourceId, why: &str) -> Result<()> {
        self.0.failed(id, why).await
    }

    async fn list(&self) -> Result<Vec<Resource>> {
        self.0.list().await
    }
}

/// Does at the provider what someone else would do. Without one, the cases on things that are not ours are left out.
#[async_trait]
pub trait Stranger: Send + Sync {
    /// Makes a thing without our mark, of the kind and name that the ledger would give it.
    async fn plant(&self, kind: &str, name: &str) -> Result<()>;

    /// Whether the thing is still there.
    async fn is_there(&self, kind: &str, name: &str) -> Result<bool>;
}

/// Makes artifacts that a deployer can run: an app that listens on the port that is returned.
#[async_trait]
pub trait Artifacts: Send + Sync {
    /// The artifact of that number; each number's content is another. It is ours: it carries the mark of `ctx` and stands
    /// in its ledger, so that it goes when it is destroyed.
    async fn make(&self, ctx: &Context, number: u32) -> Result<(Artifact, u16)>;
}
