//! [`Worker`]: does the work. Of all the workers on one store, the one that holds the lease acts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::bound::WorkerLease;
use super::builder::Shared;
use super::client::Engine;
use super::runtime::{PipelineName, RunState};
use super::steps::{Steps, registry};
use super::watch::WATCH_TIME;
use crate::id::{Target, TenantId};
use crate::model::deployment::{CancelReason, DeploymentState};
use crate::model::event::EventKind;
use crate::model::record::{App, PageRequest};
use crate::pipeline::{Ending, Run};
use crate::store::{DeploymentStoreExt, LeaseGrant, PendingRun, WORKER_LEASE};
use crate::{Error, ErrorKind, Result};

/// How long a lease lasts without renewal.
const LEASE_TIME: Duration = Duration::from_secs(10);
/// How often it is renewed.
const RENEW_TIME: Duration = Duration::from_secs(2);
/// How often the work queue is looked at when nothing wakes the worker.
const POLL_TIME: Duration = Duration::from_millis(100);
/// How long a queued request may stay without its record.
const RECORD_TIME: Duration = Duration::from_secs(60);
/// How often what should be gone is looked for.
const SWEEP_TIME: Duration = Duration::from_secs(60);

/// How a worker is started.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Who it is; a name that no other worker ever had.
    pub holder: String,
    /// A holder that is known to be dead: its lease is taken over at once instead of waiting for its end.
    pub dead_holder: Option<String>,
}

/// A running worker. It works until [`Worker::stop`] is called or its lease is lost.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    holder: String,
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Worker {
    /// Takes the lease and begins to work. `None` when another worker holds it.
    ///
    /// # Errors
    /// What the store says.
    pub async fn start(engine: &Engine, options: WorkerOptions) -> Result<Option<Self>> {
        let shared = Arc::clone(engine.shared());
        let Some(grant) = acquire(&shared, &options).await? else {
            return Ok(None);
        };
        let lease = Arc::new(WorkerLease::new(
            Arc::clone(&shared.clock),
            grant.epoch,
            grant.expires_at,
        ));
        let steps = Steps {
            shared: Arc::clone(&shared),
            lease: Arc::clone(&lease),
        };
        let stop = CancellationToken::new();
        for app in all_apps(&shared).await? {
            if let Err(error) = steps.bring_back(&app).await {
                tracing::warn!(app = %app.target, %error, "an app could not be brought back");
            }
        }
        let tasks = vec![
            tokio::spawn(renew(
                Arc::clone(&shared),
                options.holder.clone(),
                Arc::clone(&lease),
                stop.clone(),
            )),
            tokio::spawn(run_runtime(steps.clone(), stop.clone())),
            tokio::spawn(take_work(steps.clone(), stop.clone())),
            tokio::spawn(watch(steps, stop.clone())),
        ];
        Ok(Some(Self {
            shared,
            holder: options.holder,
            stop,
            tasks,
        }))
    }

    /// Ends when the worker ended by itself: its lease was lost.
    pub async fn ended(&self) {
        self.stop.cancelled().await;
    }

    /// Takes nothing more, lets steps under way end or be told, gives the lease back. What has not ended goes on with the
    /// next worker.
    pub async fn stop(self) {
        self.stop.cancel();
        self.shared.wake.notify_one();
        for task in self.tasks {
            let _ = task.await;
        }
        if let Err(error) = self
            .shared
            .parts
            .system
            .release_lease(WORKER_LEASE, &self.holder)
            .await
        {
            tracing::warn!(%error, "the lease could not be given back; it ends by itself");
        }
    }
}

async fn acquire(shared: &Shared, options: &WorkerOptions) -> Result<Option<LeaseGrant>> {
    let system = &shared.parts.system;
    if let Some(dead) = &options.dead_holder {
        system.release_lease(WORKER_LEASE, dead).await?;
    }
    let now = shared.now();
    system
        .acquire_lease(WORKER_LEASE, &options.holder, now, now + millis(LEASE_TIME))
        .await
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

async fn renew(
    shared: Arc<Shared>,
    holder: String,
    lease: Arc<WorkerLease>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(RENEW_TIME) => {}
            () = stop.cancelled() => return,
        }
        let now = shared.now();
        match shared
            .parts
            .system
            .acquire_lease(WORKER_LEASE, &holder, now, now + millis(LEASE_TIME))
            .await
        {
            Ok(Some(grant)) if grant.epoch == lease.epoch() => lease.renewed(grant.expires_at),
            Ok(_) => {
                tracing::error!("another worker took the lease; this one stops");
                lease.lost();
                stop.cancel();
                return;
            }
            // The lease lasts for a while yet; what runs out is noticed before each request.
            Err(error) => tracing::warn!(%error, "the lease could not be renewed"),
        }
    }
}

async fn run_runtime(steps: Steps, stop: CancellationToken) {
    let stopped = stop.clone();
    let runtime = Arc::clone(&steps.shared.parts.runtime);
    let result = runtime
        .run_worker(
            registry(&steps),
            Box::pin(async move { stopped.cancelled().await }),
        )
        .await;
    if let Err(error) = result {
        tracing::error!(%error, "the runtime stopped");
        stop.cancel();
    }
}

async fn take_work(steps: Steps, stop: CancellationToken) {
    let mut failures = 0_u32;
    while !stop.is_cancelled() {
        let woken = steps.shared.wake.notified();
        match steps.look_at_queue().await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures += 1;
                tracing::warn!(%error, failures, "the work queue could not be worked on");
            }
        }
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep(POLL_TIME * (1 + failures.min(50))) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn watch(steps: Steps, stop: CancellationToken) {
    let mut since_sweep = Duration::ZERO;
    loop {
        tokio::select! {
            () = tokio::time::sleep(WATCH_TIME) => {}
            () = stop.cancelled() => return,
        }
        since_sweep += WATCH_TIME;
        if let Err(error) = steps.look_at_apps().await {
            tracing::warn!(%error, "apps could not be watched");
        }
        if since_sweep >= SWEEP_TIME {
            since_sweep = Duration::ZERO;
            if let Err(error) = steps.sweep().await {
                tracing::warn!(%error, "left-overs could not be swept");
            }
        }
    }
}

/// Every app of every tenant. Tenants are known by the ports that are reserved for their apps.
pub(super) async fn all_apps(shared: &Shared) -> Result<Vec<App>> {
    let tenants: BTreeSet<TenantId> = shared
        .parts
        .system
        .ports()
        .await?
        .into_iter()
        .map(|grant| grant.target.tenant)
        .collect();
    let mut apps = Vec::new();
    for tenant in tenants {
        let found = shared
            .parts
            .records
            .apps(
                &tenant,
                PageRequest {
                    offset: 0,
                    limit: 1000,
                },
            )
            .await?;
        apps.extend(found.into_iter().map(|found| found.value));
    }
    Ok(apps)
}

/// The targets that a run waits for or works on.
pub(super) async fn busy(shared: &Shared) -> Result<BTreeSet<Target>> {
    let pending = shared.parts.system.pending().await?;
    Ok(pending.into_iter().map(|run| run.target).collect())
}

impl Steps {
    async fn look_at_queue(&self) -> Result<()> {
        let pending = self.shared.parts.system.pending().await?;
        for run in &pending {
            if let Err(error) = self.look_at_run(run).await {
                tracing::warn!(deployment = %run.deployment, %error, "a run could not be worked on");
            }
        }
        Ok(())
    }

    async fn look_at_run(&self, run: &PendingRun) -> Result<()> {
        let id = run.deployment.as_str();
        if !run.taken {
            if let Some(reason) = run.cancel {
                return self.end_before_start(run, reason).await;
            }
            if self
                .shared
                .parts
                .records
                .deployment(&run.target.tenant, &run.deployment)
                .await?
                .is_none()
            {
                return self.wait_for_record(run).await;
            }
            if !self
                .shared
                .parts
                .system
                .take(&run.deployment, self.lease.epoch())
                .await?
            {
                return Ok(());
            }
            return self.begin(run).await;
        }
        let runtime = &self.shared.parts.runtime;
        let status = match runtime.describe(id).await {
            // It was taken, and the process ended before the run was started.
            Err(error) if error.kind() == ErrorKind::NotFound => return self.begin(run).await,
            status => status?,
        };
        if status.state.is_final() {
            return self
                .end_without_finish(run, status.state, status.error.map(Into::into))
                .await;
        }
        if let Some(reason) = run.cancel {
            self.update_deployment(&run.target, &run.deployment, |record| {
                if record.state == DeploymentState::Running {
                    record.state = DeploymentState::Cancelling;
                    record.cancel = Some(reason);
                }
            })
            .await?;
            runtime.cancel(id).await?;
        }
        Ok(())
    }

    /// A request is queued before its record is written. One whose caller ended in between is forgotten.
    async fn wait_for_record(&self, run: &PendingRun) -> Result<()> {
        if self.shared.now() > run.created_at + millis(RECORD_TIME) {
            self.shared
                .parts
                .system
                .finish(&run.deployment, self.lease.epoch())
                .await?;
        }
        Ok(())
    }

    async fn begin(&self, run: &PendingRun) -> Result<()> {
        let now = self.shared.now();
        let record = self
            .update_deployment(&run.target, &run.deployment, |record| {
                if record.state == DeploymentState::Queued {
                    record.state = DeploymentState::Running;
                    record.started_at = Some(now);
                }
            })
            .await?;
        let state = EventKind::State {
            state: DeploymentState::Running,
        };
        self.shared
            .parts
            .records
            .append(&run.target.tenant, &run.deployment, now, &[state])
            .await?;
        let pipeline: PipelineName = record.action.pipeline().parse()?;
        let input = Run {
            deployment: run.deployment.clone(),
            target: run.target.clone(),
            action: record.action,
        };
        let input = serde_json::to_value(&input).map_err(|source| {
            Error::unexpected("a run cannot be written as JSON").with_source(source)
        })?;
        self.shared
            .parts
            .runtime
            .start(run.deployment.as_str(), &pipeline, input)
            .await
            .map(|_| ())
    }

    async fn end_before_start(&self, run: &PendingRun, reason: CancelReason) -> Result<()> {
        let state = match reason {
            CancelReason::Requested => DeploymentState::Cancelled,
            CancelReason::Superseded => DeploymentState::Superseded,
        };
        self.write_end(run, state, None).await
    }

    /// A run that ended without its step `finish`: a panic, or changed code.
    async fn end_without_finish(
        &self,
        run: &PendingRun,
        state: RunState,
        error: Option<Error>,
    ) -> Result<()> {
        let state = match state {
            RunState::Completed => DeploymentState::Succeeded,
            RunState::Cancelled => DeploymentState::Cancelled,
            _ => DeploymentState::Failed,
        };
        self.write_end(run, state, error).await
    }

    async fn write_end(
        &self,
        run: &PendingRun,
        state: DeploymentState,
        error: Option<Error>,
    ) -> Result<()> {
        let ending = Ending {
            deployment: run.deployment.clone(),
            target: run.target.clone(),
            release: None,
            error: error.map(|error| error.to_report()),
            cancelled: matches!(
                state,
                DeploymentState::Cancelled | DeploymentState::Superseded
            ),
        };
        self.end(&ending).await
    }

    async fn look_at_apps(&self) -> Result<()> {
        let busy = busy(&self.shared).await?;
        for app in all_apps(&self.shared).await? {
            if !busy.contains(&app.target)
                && let Err(error) = self.bring_back(&app).await
            {
                tracing::warn!(app = %app.target, %error, "an app could not be watched");
            }
        }
        Ok(())
    }
}
