//! [`Engine`]: what a host calls. It writes requests into the store and reads what came of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::bound::vault;
use super::builder::Shared;
use super::steps::no_app;
use crate::context::CancellationToken;
use crate::id::{DeploymentId, ReleaseId, Target, TenantId};
use crate::memory::MemoryServices;
use crate::model::deployment::{Action, CancelReason, Deployment};
use crate::model::event::StoredEvent;
use crate::model::plan::{DeploySpec, OverlapPolicy, Plan};
use crate::model::record::{App, Desired, Expected, PageRequest, Release, ReleaseState};
use crate::model::service::{
    CompanionStatus, LogLine, ReleasePhase, ReleaseRef, ReleaseStatus, SecretRef, Stats,
};
use crate::model::source::Source;
use crate::provider::{BlobStoreExt, LogOptions, Provider};
use crate::source::{Snapshot, inside, lay_out, snapshot_archive, snapshot_folder};
use crate::store::{DeploymentStoreExt, LeaseGrant, PendingRun};
use crate::{Error, ErrorKind, Result, Secret};

/// How often a follower looks for new events.
const FOLLOW_TIME: Duration = Duration::from_millis(60);

/// An app with how it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppView {
    /// The app.
    pub app: App,
    /// Where it answers.
    pub url: String,
    /// The release that takes its requests.
    pub release: Option<Release>,
    /// How that release is, as the provider says.
    pub status: Option<ReleaseStatus>,
    /// The deployment under way, when there is one.
    pub under_way: Option<DeploymentId>,
}

/// Reads the events of a deployment from a sequence on, as they come.
#[derive(Debug)]
pub struct Following {
    engine: Engine,
    tenant: TenantId,
    deployment: DeploymentId,
    after: u64,
}

impl Following {
    /// The next events; empty once the deployment has ended and all were read.
    ///
    /// # Errors
    /// What the store says.
    pub async fn next(&mut self) -> Result<Vec<StoredEvent>> {
        loop {
            // The state is read before the events: what is final now has stored its last event already.
            let ended = self
                .engine
                .deployment(&self.tenant, &self.deployment)
                .await?
                .state
                .is_final();
            let events = self
                .engine
                .events(&self.tenant, &self.deployment, self.after, 500)
                .await?;
            if let Some(last) = events.last() {
                self.after = last.seq;
                return Ok(events);
            }
            if ended {
                return Ok(Vec::new());
            }
            tokio::time::sleep(FOLLOW_TIME).await;
        }
    }
}

/// The deployment engine. Cheap to clone; any number live side by side in a process, or in several on one store.
#[derive(Clone, Debug)]
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Accepts a deployment and returns at once: a worker does it, now or when one is there. The source is taken before
    /// this returns, except for git, which the first step fetches.
    ///
    /// # Errors
    /// - [`InvalidInput`](ErrorKind::InvalidInput) for a source that cannot be taken or an unknown provider.
    /// - [`Conflict`](ErrorKind::Conflict) with [`OverlapPolicy::Reject`] when the target has a deployment under way.
    pub async fn deploy(&self, mut spec: DeploySpec) -> Result<DeploymentId> {
        self.shared.parts.catalog.get(&spec.provider)?;
        self.mind_overlap(&spec).await?;
        spec.source = self.take_source(&spec.target.tenant, spec.source).await?;
        let (target, overlap, key) = (
            spec.target.clone(),
            spec.overlap,
            spec.idempotency_key.clone(),
        );
        let id = self
            .accept(
                target.clone(),
                Action::Deploy {
                    spec: Box::new(spec),
                },
                key.as_ref(),
            )
            .await?;
        if overlap == OverlapPolicy::Supersede {
            self.supersede(&target, &id).await?;
        }
        Ok(id)
    }

    /// Says what a deployment would do. Nothing is written but files below the engine's own scratch folder, and no
    /// provider is asked.
    ///
    /// # Errors
    /// As [`Engine::deploy`], what the planner says, and for a git source what fetching it says.
    pub async fn plan(&self, spec: &DeploySpec) -> Result<Plan> {
        let scratch = self.scratch().await?;
        let result = self.plan_in(spec, scratch.clone()).await;
        remove_folder(scratch).await?;
        result
    }

    async fn plan_in(&self, spec: &DeploySpec, scratch: PathBuf) -> Result<Plan> {
        let shared = Arc::clone(&self.shared);
        let (quiet, cancel) = (MemoryServices::default(), CancellationToken::new());
        let folder = lay_out(
            &spec.source,
            &scratch,
            &shared.limits,
            &shared.git,
            &quiet,
            &cancel,
        )
        .await?;
        let spec = spec.clone();
        super::steps::blocking(move || {
            if let Some(root) = &spec.root {
                inside(&folder, root)?;
            }
            shared.parts.planner.plan(&folder, &spec)
        })
        .await
    }

    /// Makes an earlier release live again; `None` is the one before the current.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an unknown app.
    pub async fn rollback(&self, target: &Target, to: Option<ReleaseId>) -> Result<DeploymentId> {
        self.ask(target, Action::Rollback { to }).await
    }

    /// Stops an app; its address answers 503.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an unknown app.
    pub async fn stop(&self, target: &Target) -> Result<DeploymentId> {
        self.ask(target, Action::Stop).await
    }

    /// Starts a stopped app.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an unknown app.
    pub async fn start(&self, target: &Target) -> Result<DeploymentId> {
        self.ask(target, Action::Start).await
    }

    /// Stops and starts an app.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an unknown app.
    pub async fn restart(&self, target: &Target) -> Result<DeploymentId> {
        self.ask(target, Action::Restart).await
    }

    /// Removes an app with all that was made for it, its databases' data included. What is under way for it is ended first.
    /// The receipt is in the deployment.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an unknown app.
    pub async fn destroy(&self, target: &Target) -> Result<DeploymentId> {
        let id = self.ask(target, Action::Destroy).await?;
        self.supersede(target, &id).await?;
        Ok(id)
    }

    /// Asks a deployment to end; what it made is undone. One that has ended is `Ok`.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an unknown deployment, also one of another tenant.
    pub async fn cancel(&self, tenant: &TenantId, id: &DeploymentId) -> Result<()> {
        self.deployment(tenant, id).await?;
        self.shared
            .parts
            .system
            .request_cancel(id, CancelReason::Requested)
            .await?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// A deployment.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an unknown deployment, also one of another tenant.
    pub async fn deployment(&self, tenant: &TenantId, id: &DeploymentId) -> Result<Deployment> {
        let found = self.shared.parts.records.deployment(tenant, id).await?;
        found.map(|found| found.value).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no deployment \"{id}\""),
            )
        })
    }

    /// The deployments of a target, newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn deployments(&self, target: &Target, page: PageRequest) -> Result<Vec<Deployment>> {
        let found = self.shared.parts.records.deployments(target, page).await?;
        Ok(found.into_iter().map(|found| found.value).collect())
    }

    /// The releases of a target, newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn releases(&self, target: &Target, page: PageRequest) -> Result<Vec<Release>> {
        let found = self.shared.parts.records.releases(target, page).await?;
        Ok(found.into_iter().map(|found| found.value).collect())
    }

    /// The events of a deployment after a sequence, at most `limit`.
    ///
    /// # Errors
    /// What the store says.
    pub async fn events(
        &self,
        tenant: &TenantId,
        id: &DeploymentId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>> {
        self.shared
            .parts
            .records
            .events(tenant, id, after, limit)
            .await
    }

    /// Follows the events of a deployment after a sequence until it has ended.
    #[must_use]
    pub fn follow(&self, tenant: &TenantId, id: &DeploymentId, after: u64) -> Following {
        Following {
            engine: self.clone(),
            tenant: tenant.clone(),
            deployment: id.clone(),
            after,
        }
    }

    /// Waits until a deployment has ended.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) when it has not after `longest`; it goes on.
    pub async fn wait(
        &self,
        tenant: &TenantId,
        id: &DeploymentId,
        longest: Duration,
    ) -> Result<Deployment> {
        let deadline = tokio::time::Instant::now() + longest;
        loop {
            let record = self.deployment(tenant, id).await?;
            if record.state.is_final() {
                return Ok(record);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    format!("{id} has not ended after {} s", longest.as_secs()),
                ));
            }
            tokio::time::sleep(FOLLOW_TIME).await;
        }
    }

    /// The apps of a tenant with how they are, newest first.
    ///
    /// # Errors
    /// What the store says. A provider that cannot be asked leaves `status` empty.
    pub async fn apps(&self, tenant: &TenantId) -> Result<Vec<AppView>> {
        let mut views = Vec::new();
        for found in self
            .shared
            .parts
            .records
            .apps(
                tenant,
                PageRequest {
                    offset: 0,
                    limit: 1000,
                },
            )
            .await?
        {
            views.push(self.view(found.value).await?);
        }
        Ok(views)
    }

    /// One app with how it is.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an unknown app.
    pub async fn app(&self, target: &Target) -> Result<AppView> {
        let found = self
            .shared
            .parts
            .records
            .app(target)
            .await?
            .ok_or_else(|| no_app(target))?;
        self.view(found.value).await
    }

    /// What the live release of an app wrote.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an app that is unknown or was never live.
    pub async fn logs(
        &self,
        target: &Target,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        let (provider, reference) = self.live(target).await?;
        Ok(provider
            .service_control()?
            .logs(&self.shared.reading(target), &reference, options))
    }

    /// What runs beside the live release of an app.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an app that is unknown or was never live.
    pub async fn companions(&self, target: &Target) -> Result<Vec<CompanionStatus>> {
        let (provider, reference) = self.live(target).await?;
        provider
            .service_control()?
            .companions(&self.shared.reading(target), &reference)
            .await
    }

    /// What a companion of the live release wrote.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an app or a companion that is unknown.
    pub async fn companion_logs(
        &self,
        target: &Target,
        name: &str,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        let found = self.companions(target).await?;
        let names: Vec<&str> = found.iter().map(|other| other.name.as_str()).collect();
        let unknown = Error::new(
            ErrorKind::NotFound,
            format!("\"{}\" has no service \"{name}\" beside it", target.app),
        )
        .with_remedy(format!("It has: {}.", names.join(", ")));
        let (provider, _) = self.live(target).await?;
        let companion = found.iter().find(|other| other.name == name);
        let reference = &companion.ok_or(unknown)?.reference;
        Ok(provider
            .service_control()?
            .logs(&self.shared.reading(target), reference, options))
    }

    /// What the live release of an app uses now.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an app that is unknown or does not run.
    pub async fn stats(&self, target: &Target) -> Result<Stats> {
        let (provider, reference) = self.live(target).await?;
        provider
            .service_control()?
            .stats(&self.shared.reading(target), &reference)
            .await
    }

    /// Keeps a secret of an app, and returns the reference that its environment can hold. It goes when the app goes.
    ///
    /// # Errors
    /// What the store says.
    pub async fn put_secret(
        &self,
        target: &Target,
        name: &str,
        secret: &Secret,
    ) -> Result<SecretRef> {
        self.put_in_vault(target, "env", name, secret).await
    }

    /// Puts a secret of an app's builds into the vault and returns the reference that
    /// [`DeploySpec::build_secrets`](crate::model::plan::DeploySpec) takes. It is apart from a secret of the running app
    /// with the same name, and goes with the app.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is no variable's; else what the store says.
    pub async fn put_build_secret(
        &self,
        target: &Target,
        name: &str,
        secret: &Secret,
    ) -> Result<SecretRef> {
        self.put_in_vault(target, "build", name, secret).await
    }

    async fn put_in_vault(
        &self,
        target: &Target,
        kind: &str,
        name: &str,
        secret: &Secret,
    ) -> Result<SecretRef> {
        let name = crate::id::EnvName::new(name)?;
        let reference = SecretRef(format!(
            "{}/{}/{kind}/{name}",
            target.app, target.environment
        ));
        vault(&self.shared, &target.tenant)
            .put(&reference, secret)
            .await?;
        Ok(reference)
    }

    /// The worker that holds the lease now, in whatever process.
    ///
    /// # Errors
    /// What the store says.
    pub async fn worker(&self) -> Result<Option<LeaseGrant>> {
        self.shared
            .parts
            .system
            .lease(crate::store::WORKER_LEASE, self.shared.now())
            .await
    }

    /// Whether there is neither an app nor anything to do, for any tenant: a worker that was started for one app can end.
    ///
    /// # Errors
    /// What the store says.
    pub async fn is_idle(&self) -> Result<bool> {
        let system = &self.shared.parts.system;
        Ok(system.pending().await?.is_empty() && system.ports().await?.is_empty())
    }

    async fn ask(&self, target: &Target, action: Action) -> Result<DeploymentId> {
        self.shared
            .parts
            .records
            .app(target)
            .await?
            .ok_or_else(|| no_app(target))?;
        self.accept(target.clone(), action, None).await
    }

    /// Queues a request, then writes its record; a worker waits for the record.
    async fn accept(
        &self,
        target: Target,
        action: Action,
        key: Option<&crate::id::IdempotencyKey>,
    ) -> Result<DeploymentId> {
        let parts = &self.shared.parts;
        let now = self.shared.now();
        let fresh = DeploymentId::generate();
        let run = PendingRun {
            deployment: fresh.clone(),
            target: target.clone(),
            taken: false,
            cancel: None,
            created_at: now,
        };
        let id = parts.system.enqueue(&run, key).await?;
        if id != fresh
            && parts
                .records
                .deployment(&target.tenant, &id)
                .await?
                .is_some()
        {
            return Ok(id);
        }
        // An earlier call with this key may have ended before it wrote the record: it is written now.
        let record = Deployment::queued(id.clone(), target, action, now);
        match parts
            .records
            .put_deployment(&record, Expected::Absent)
            .await
        {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
        self.shared.wake.notify_one();
        Ok(id)
    }

    async fn mind_overlap(&self, spec: &DeploySpec) -> Result<()> {
        if spec.overlap != OverlapPolicy::Reject {
            return Ok(());
        }
        let pending = self.shared.parts.system.pending().await?;
        match pending.iter().find(|run| run.target == spec.target) {
            None => Ok(()),
            Some(holder) => Err(Error::new(
                ErrorKind::Conflict,
                format!("{} has a deployment under way", spec.target),
            )
            .with_context("holder", &holder.deployment)
            .with_remedy("Wait for it, cancel it, or let the new one queue or supersede it.")),
        }
    }

    async fn supersede(&self, target: &Target, newer: &DeploymentId) -> Result<()> {
        for run in self.shared.parts.system.pending().await? {
            if run.target != *target || run.deployment == *newer {
                continue;
            }
            let found = self
                .shared
                .parts
                .records
                .deployment(&target.tenant, &run.deployment)
                .await?;
            if found.is_some_and(|found| matches!(found.value.action, Action::Deploy { .. })) {
                self.shared
                    .parts
                    .system
                    .request_cancel(&run.deployment, CancelReason::Superseded)
                    .await?;
            }
        }
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Takes the content of a folder or archive into the blob store.
    async fn take_source(&self, tenant: &TenantId, source: Source) -> Result<Source> {
        let (Source::Folder { path } | Source::Archive { path }) = &source else {
            return Ok(source);
        };
        let scratch = self.scratch().await?;
        let bundle = scratch.join("source.tar");
        let (path, into, limits) = (path.clone(), bundle.clone(), self.shared.limits.clone());
        let is_folder = matches!(source, Source::Folder { .. });
        let taken: Result<Snapshot> = super::steps::blocking(move || {
            if is_folder {
                snapshot_folder(&path, &into, &limits)
            } else {
                snapshot_archive(&path, &into, &limits)
            }
        })
        .await;
        let kept = match taken {
            Ok(_) => self.shared.parts.blobs.put_file(tenant, &bundle).await,
            Err(error) => Err(error),
        };
        remove_folder(scratch).await?;
        Ok(Source::Snapshot {
            digest: kept?,
            origin: source.describe(),
            commit: None,
        })
    }

    async fn scratch(&self) -> Result<PathBuf> {
        let folder = self
            .shared
            .parts
            .folder
            .join("scratch")
            .join(uuid::Uuid::now_v7().simple().to_string());
        tokio::fs::create_dir_all(&folder).await.map_err(|source| {
            Error::new(
                ErrorKind::DiskFull,
                format!("the folder {} cannot be made", folder.display()),
            )
            .with_source(source)
        })?;
        Ok(folder)
    }

    async fn live(&self, target: &Target) -> Result<(Arc<Provider>, ReleaseRef)> {
        let view = self
            .shared
            .parts
            .records
            .app(target)
            .await?
            .ok_or_else(|| no_app(target))?
            .value;
        let provider = Arc::clone(self.shared.parts.catalog.get(&view.provider)?);
        let never = || {
            Error::new(
                ErrorKind::NotFound,
                format!("\"{}\" was never live", target.app),
            )
        };
        let current = view.current_release.ok_or_else(never)?;
        let release = self
            .shared
            .parts
            .records
            .release(&target.tenant, &current)
            .await?
            .ok_or_else(never)?;
        Ok((provider, release.value.reference.ok_or_else(never)?))
    }

    async fn view(&self, app: App) -> Result<AppView> {
        let parts = &self.shared.parts;
        let target = &app.target;
        let release = match &app.current_release {
            Some(current) => parts
                .records
                .release(&target.tenant, current)
                .await?
                .map(|found| found.value),
            None => None,
        };
        let mut status = None;
        if let Some(reference) = release
            .as_ref()
            .and_then(|release| release.reference.as_ref())
            && app.desired != Desired::Removed
            && let Ok(provider) = parts.catalog.get(&app.provider)
            && let Ok(deployer) = provider.deployer()
        {
            status = deployer
                .status(&self.shared.reading(target), reference)
                .await
                .ok();
        }
        // What was verified takes requests, whatever the provider's own first check still waits for.
        if release
            .as_ref()
            .is_some_and(|release| release.state == ReleaseState::Active)
            && let Some(status) = &mut status
            && status.phase == ReleasePhase::Starting
            && status.restarts == 0
        {
            status.phase = ReleasePhase::Running;
        }
        let pending = parts.system.pending().await?;
        let under_way = pending
            .into_iter()
            .find(|run| run.target == *target)
            .map(|run| run.deployment);
        Ok(AppView {
            url: format!("http://127.0.0.1:{}", app.port),
            app,
            release,
            status,
            under_way,
        })
    }
}

async fn remove_folder(folder: PathBuf) -> Result<()> {
    tokio::fs::remove_dir_all(&folder).await.map_err(|source| {
        Error::new(
            ErrorKind::Unavailable,
            format!("the folder {} cannot be removed", folder.display()),
        )
        .with_source(source)
    })
}
