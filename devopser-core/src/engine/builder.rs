//! [`EngineBuilder`]: puts the parts together that a host chose.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;

use super::client::Engine;
use super::runtime::DurableRuntime;
use super::watch::{HttpProbe, Probe};
use crate::clock::{Clock, SystemClock};
use crate::context::Context;
use crate::id::{DeploymentId, Target};
use crate::model::resource::Owner;
use crate::provider::{BlobStore, Catalog, HttpRouter, Planner};
use crate::source::{GitProgram, SnapshotLimits};
use crate::store::{DeploymentStore, SystemStore};
use crate::vault::KeyRing;
use crate::{Error, ErrorKind, Result};

/// Everything that an engine is made of. All fields are the host's choice; nothing is read from the environment.
pub struct EngineParts {
    /// The records.
    pub records: Arc<dyn DeploymentStore>,
    /// The machinery.
    pub system: Arc<dyn SystemStore>,
    /// The durable runtime.
    pub runtime: Arc<dyn DurableRuntime>,
    /// Where sources and bundles lie.
    pub blobs: Arc<dyn BlobStore>,
    /// The providers.
    pub catalog: Catalog,
    /// Points addresses at what runs.
    pub router: Arc<dyn HttpRouter>,
    /// Looks at sources.
    pub planner: Arc<dyn Planner>,
    /// The keys of the vault.
    pub keys: Arc<KeyRing>,
    /// A folder of the engine's own on this machine.
    pub folder: PathBuf,
}

impl fmt::Debug for EngineParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineParts")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Puts an [`Engine`] together.
#[derive(Debug)]
pub struct EngineBuilder {
    parts: EngineParts,
    clock: Arc<dyn Clock>,
    ports: RangeInclusive<u16>,
    port_is_free: fn(u16) -> bool,
    limits: SnapshotLimits,
    keep_releases: usize,
    git: GitProgram,
    probe: Arc<dyn Probe>,
}

impl EngineBuilder {
    /// An engine of these parts, with defaults for the rest.
    #[must_use]
    pub fn new(parts: EngineParts) -> Self {
        Self {
            parts,
            clock: Arc::new(SystemClock),
            ports: 20_000..=40_000,
            port_is_free: |_| true,
            limits: SnapshotLimits::default(),
            keep_releases: 5,
            git: GitProgram::default(),
            probe: Arc::new(HttpProbe),
        }
    }

    /// Another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The ports from which an app gets its address. Default: 20000 to 40000.
    #[must_use]
    pub fn ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports = ports;
        self
    }

    /// How it is asked whether the system has a port free. Default: it is not asked.
    #[must_use]
    pub fn port_is_free(mut self, ask: fn(u16) -> bool) -> Self {
        self.port_is_free = ask;
        self
    }

    /// The most that a source may hold.
    #[must_use]
    pub fn limits(mut self, limits: SnapshotLimits) -> Self {
        self.limits = limits;
        self
    }

    /// How many earlier releases of an app keep their artifact for a rollback. Default: 5.
    #[must_use]
    pub fn keep_releases(mut self, count: usize) -> Self {
        self.keep_releases = count;
        self
    }

    /// How the `git` program is run.
    #[must_use]
    pub fn git(mut self, git: GitProgram) -> Self {
        self.git = git;
        self
    }

    /// How it is asked whether something takes requests. Default: over HTTP.
    #[must_use]
    pub fn probe(mut self, probe: Arc<dyn Probe>) -> Self {
        self.probe = probe;
        self
    }

    /// The engine.
    ///
    /// # Errors
    /// Whatever the store says when it is asked for its installation, and
    /// [`ConfigInvalid`](ErrorKind::ConfigInvalid) when the folder cannot be made.
    pub async fn build(self) -> Result<Engine> {
        tokio::fs::create_dir_all(&self.parts.folder)
            .await
            .map_err(|source| {
                let folder = self.parts.folder.display();
                Error::new(
                    ErrorKind::ConfigInvalid,
                    format!("the folder {folder} cannot be made"),
                )
                .with_source(source)
            })?;
        let installation = self.parts.system.installation().await?;
        Ok(Engine::new(Arc::new(Shared {
            parts: self.parts,
            clock: self.clock,
            ports: self.ports,
            port_is_free: self.port_is_free,
            limits: self.limits,
            keep_releases: self.keep_releases,
            git: self.git,
            probe: self.probe,
            installation,
            wake: Notify::new(),
        })))
    }
}

/// What the engine and its worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) parts: EngineParts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ports: RangeInclusive<u16>,
    pub(crate) port_is_free: fn(u16) -> bool,
    pub(crate) limits: SnapshotLimits,
    pub(crate) keep_releases: usize,
    pub(crate) git: GitProgram,
    pub(crate) probe: Arc<dyn Probe>,
    pub(crate) installation: String,
    /// Wakes a worker in this process when something was queued.
    pub(crate) wake: Notify,
}

impl Shared {
    pub(crate) fn now(&self) -> u64 {
        self.clock.now_ms()
    }

    pub(crate) fn owner(&self, target: &Target) -> Owner {
        Owner {
            installation: self.installation.clone(),
            target: target.clone(),
        }
    }

    /// The folder of a target; its names cannot leave the engine's folder.
    pub(crate) fn folder(&self, target: &Target) -> PathBuf {
        let apps = self.parts.folder.join("apps");
        apps.join(target.tenant.as_str())
            .join(target.app.as_str())
            .join(target.environment.as_str())
    }

    /// A context that can look but has no lease: for reading status and logs.
    pub(crate) fn reading(&self, target: &Target) -> Context {
        Context {
            vault: super::bound::vault(self, &target.tenant),
            ..Context::detached(self.owner(target), self.folder(target))
        }
    }

    /// What a name of ours looks like for a deployment; `part` tells its images apart, and is empty for the app's own.
    pub(crate) fn image_tag(
        &self,
        target: &Target,
        deployment: &DeploymentId,
        part: &str,
    ) -> Result<crate::id::ImageRef> {
        let installation: String = self
            .installation
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(8)
            .collect();
        let tenant = target.tenant.as_str().to_ascii_lowercase();
        let tenant: String = tenant
            .chars()
            .map(|c| if c == '_' { '-' } else { c })
            .collect();
        let repository = format!(
            "devopser-{installation}/{}-{}-{}",
            tenant.trim_matches('-'),
            target.app,
            target.environment
        );
        crate::id::ImageRef::new(format!(
            "{}:{}{}{part}",
            repository.to_ascii_lowercase(),
            deployment.as_str().replace('_', "-"),
            if part.is_empty() { "" } else { "." }
        ))
    }
}
