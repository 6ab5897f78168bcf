//! What the steps of the pipelines do. Each is safe to repeat: it looks before it makes.

mod build;
mod control;
mod end;
mod live;
mod source;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bound::{BoundLedger, RedactingVault, WorkerLease, vault};
use super::builder::Shared;
use super::events::EventWriter;
use super::runtime::{Registry, StepContext};
use crate::context::{CancellationToken, Context};
use crate::id::{DeploymentId, ReleaseId, Target};
use crate::model::deployment::{Action, Deployment};
use crate::model::event::EventKind;
use crate::model::plan::DeploySpec;
use crate::model::record::{App, Expected, Release, Versioned};
use crate::pipeline::{self, step};
use crate::provider::Provider;
use crate::store::DeploymentStoreExt;
use crate::{Error, ErrorKind, Result};

/// How often a compare-and-set is tried before it is given up.
const WRITE_TRIES: usize = 20;

/// How often a step says that it is alive.
const BEAT_TIME: Duration = Duration::from_secs(5);

/// What every step is called with: the parts of the engine, and the worker's lease.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    pub(crate) shared: Arc<Shared>,
    pub(crate) lease: Arc<WorkerLease>,
}

/// The pipelines and steps that a worker knows.
pub(crate) fn registry(steps: &Steps) -> Registry {
    Registry::new()
        .pipeline("deploy_repo", 1, pipeline::deploy_repo)
        .pipeline("rollback", 1, pipeline::rollback)
        .pipeline("control", 1, pipeline::control)
        .pipeline("destroy", 1, pipeline::destroy)
        .step_with(step::FETCH, steps, source::fetch)
        .step_with(step::PLAN, steps, source::plan)
        .step_with(step::CHOOSE, steps, source::choose)
        .step_with(step::PREPARE, steps, build::prepare)
        .step_with(step::BUILD, steps, build::build)
        .step_with(step::DEPLOY, steps, live::deploy)
        .step_with(step::VERIFY, steps, live::verify)
        .step_with(step::ROUTE, steps, live::route)
        .step_with(step::ACTIVATE, steps, live::activate)
        .step_with(step::STOP, steps, control::stop)
        .step_with(step::START, steps, control::start)
        .step_with(step::DESTROY, steps, end::destroy)
        .step_with(step::UNDO, steps, end::undo)
        .step_with(step::FINISH, steps, end::finish)
}

/// What a step did, for the people who watch: a line, or nothing to tell.
pub(crate) use source::blocking;

pub(crate) type Told<T> = (T, Option<String>);

impl Steps {
    /// A context for work on a target outside any deployment, such as bringing back what should run.
    pub(crate) fn context(&self, target: &Target) -> Result<Context> {
        let folder = self.shared.folder(target);
        std::fs::create_dir_all(&folder).map_err(|source| {
            Error::new(
                ErrorKind::DiskFull,
                format!("the folder {} cannot be made", folder.display()),
            )
            .with_source(source)
        })?;
        let lease: Arc<dyn crate::context::Lease> = Arc::<WorkerLease>::clone(&self.lease);
        Ok(Context {
            clock: Arc::clone(&self.shared.clock),
            lease,
            ledger: Arc::new(self.ledger(target, None)),
            ..self.shared.reading(target)
        })
    }

    fn ledger(&self, target: &Target, deployment: Option<&DeploymentId>) -> BoundLedger {
        BoundLedger {
            system: Arc::clone(&self.shared.parts.system),
            clock: Arc::clone(&self.shared.clock),
            target: target.clone(),
            deployment: deployment.cloned(),
            lease: Arc::clone(&self.lease),
        }
    }

    /// Runs the body of a step: tells that it began and how it ended, hands the run's cancel down, and stores every event
    /// before the step counts as done.
    pub(crate) async fn run<T, F, Fut>(
        &self,
        cx: &dyn StepContext,
        target: &Target,
        deployment: &DeploymentId,
        body: F,
    ) -> Result<T>
    where
        T: Send,
        F: FnOnce(Context) -> Fut + Send,
        Fut: Future<Output = Result<Told<T>>> + Send,
    {
        let name = cx.step().to_owned();
        let parts = &self.shared.parts;
        let (records, clock) = (Arc::clone(&parts.records), Arc::clone(&self.shared.clock));
        let writer = EventWriter::start(
            records,
            clock,
            target.tenant.clone(),
            deployment.clone(),
            &name,
        );
        let progress: Arc<dyn crate::context::Progress> = Arc::<EventWriter>::clone(&writer);
        let ctx = Context {
            cancel: CancellationToken::new(),
            deployment: Some(deployment.clone()),
            progress,
            ledger: Arc::new(self.ledger(target, Some(deployment))),
            vault: Arc::new(RedactingVault {
                inner: vault(&self.shared, &target.tenant),
                writer: Arc::clone(&writer),
            }),
            ..self.context(target)?
        };
        if cx.attempt() > 1 {
            writer.event(EventKind::Note {
                text: format!("{name}: attempt {}", cx.attempt()),
            });
        }
        writer.event(EventKind::StepStarted { step: name.clone() });
        self.note_step(target, deployment, &name).await?;
        let began = Instant::now();
        let result = until_told(cx, &ctx, body(ctx.clone())).await;
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok((_, detail)) => writer.event(EventKind::StepFinished {
                step: name,
                elapsed_ms,
                detail: detail.clone(),
            }),
            Err(error) => writer.event(EventKind::StepFailed {
                step: name,
                error: redacted(&writer, error),
            }),
        }
        writer.flush().await?;
        match result {
            Ok((value, _)) => Ok(value),
            Err(error) => Err(Error::from(redacted(&writer, &error))),
        }
    }

    async fn note_step(
        &self,
        target: &Target,
        deployment: &DeploymentId,
        name: &str,
    ) -> Result<()> {
        if matches!(name, step::UNDO | step::FINISH) {
            return Ok(());
        }
        self.update_deployment(target, deployment, |record| {
            record.step = Some(name.to_owned())
        })
        .await
        .map(|_| ())
    }

    /// Changes the record of a deployment, and tries again when another writer was faster.
    pub(crate) async fn update_deployment(
        &self,
        target: &Target,
        id: &DeploymentId,
        change: impl Fn(&mut Deployment) + Send + Sync,
    ) -> Result<Deployment> {
        let records = &self.shared.parts.records;
        for _ in 0..WRITE_TRIES {
            let Some(found) = records.deployment(&target.tenant, id).await? else {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("the record of {id} is gone"),
                ));
            };
            let mut record = found.value;
            let before = record.clone();
            change(&mut record);
            if record == before {
                return Ok(record);
            }
            if record.state != before.state && !before.state.may_become(record.state) {
                let (from, to) = (before.state.as_str(), record.state.as_str());
                return Err(Error::unexpected(format!(
                    "a deployment that is {from} cannot become {to}"
                )));
            }
            match records
                .put_deployment(&record, Expected::Revision(found.revision))
                .await
            {
                Ok(_) => return Ok(record),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("the record of {id} is written by too many at once"),
        ))
    }

    /// Changes the record of the app, and tries again when another writer was faster.
    pub(crate) async fn update_app(
        &self,
        target: &Target,
        change: impl Fn(&mut App) + Send + Sync,
    ) -> Result<App> {
        let records = &self.shared.parts.records;
        for _ in 0..WRITE_TRIES {
            let found = self.app(target).await?;
            let mut app = found.value;
            change(&mut app);
            match records
                .put_app(&app, Expected::Revision(found.revision))
                .await
            {
                Ok(_) => return Ok(app),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("the record of {target} is written by too many at once"),
        ))
    }

    /// The app, which must exist.
    pub(crate) async fn app(&self, target: &Target) -> Result<Versioned<App>> {
        self.shared
            .parts
            .records
            .app(target)
            .await?
            .ok_or_else(|| no_app(target))
    }

    /// Writes a release whatever is there: only its own run writes it.
    pub(crate) async fn put_release(&self, release: &Release) -> Result<()> {
        let records = &self.shared.parts.records;
        let found = records.release(&release.target.tenant, &release.id).await?;
        let expected = found.map_or(Expected::Absent, |found| Expected::Revision(found.revision));
        records.put_release(release, expected).await.map(|_| ())
    }

    /// The release, which must exist.
    pub(crate) async fn release(&self, target: &Target, id: &ReleaseId) -> Result<Release> {
        let found = self
            .shared
            .parts
            .records
            .release(&target.tenant, id)
            .await?;
        found
            .map(|found| found.value)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no release {id}")))
    }

    /// The spec of a deployment.
    pub(crate) async fn spec(&self, target: &Target, id: &DeploymentId) -> Result<DeploySpec> {
        match self
            .shared
            .parts
            .records
            .deployment(&target.tenant, id)
            .await?
            .map(|found| found.value.action)
        {
            Some(Action::Deploy { spec }) => Ok(*spec),
            _ => Err(Error::unexpected(format!(
                "{id} is no deployment of a source"
            ))),
        }
    }

    /// The provider of an app.
    pub(crate) fn provider(&self, app: &App) -> Result<&Arc<Provider>> {
        self.shared.parts.catalog.get(&app.provider)
    }
}

/// The error for a target that has nothing deployed.
pub(crate) fn no_app(target: &Target) -> Error {
    let Target {
        app, environment, ..
    } = target;
    Error::new(
        ErrorKind::NotFound,
        format!("there is no app \"{app}\" in {environment}"),
    )
    .with_remedy("`devopser ps` lists what there is.")
}

fn redacted(writer: &EventWriter, error: &Error) -> crate::error::ErrorReport {
    let mut report = error.to_report();
    report.message = writer.redacted(&report.message);
    for (_, value) in &mut report.context {
        *value = writer.redacted(value);
    }
    for line in &mut report.log {
        *line = writer.redacted_line(line);
    }
    report
}

/// Waits for the body; a cancel of the run cancels the body's context, and the body then ends by itself.
async fn until_told<T: Send>(
    cx: &dyn StepContext,
    ctx: &Context,
    body: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    tokio::pin!(body);
    // Polled beside the body, never before it goes on: both may wait for the database's one writer.
    let beating = async {
        loop {
            tokio::time::sleep(BEAT_TIME).await;
            cx.heartbeat(serde_json::Value::Null).await;
        }
    };
    tokio::pin!(beating);
    let mut told = false;
    loop {
        tokio::select! {
            result = &mut body => return result,
            () = &mut beating => {}
            _ = cx.cancelled(), if !told => {
                told = true;
                ctx.cancel.cancel();
            }
        }
    }
}
