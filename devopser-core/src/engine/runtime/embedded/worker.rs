//! The worker of the embedded runtime: takes runs, passes signals on, takes over what dead workers had.

use std::sync::Arc;
use std::time::{Duration, Instant};

use durare::{DurableEngine, SqliteProvider, StateProvider};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::port::BoxFut;
use super::super::registry::{PipelineName, Registry};
use super::super::replay::{Driver, End, Host, Run};
use super::super::timer::RunTimer;
use super::journal::{DurareJournal, recovery};
use super::{APP_VERSION, Embedded, NOBODY, storage};
use crate::clock::SystemClock;
use crate::{Error, ErrorKind, Result};

/// How often a worker looks for signals and runs that other processes wrote.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How often a worker looks for workers that died.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(2);

/// How long a worker that goes down waits for what durare still writes.
const LAST_WRITES: Duration = Duration::from_secs(10);

const PREFIX: &str = "devopser:";

/// The name of the durare workflow that runs a pipeline. Each version has its own: what a worker did not register, it
/// leaves alone.
pub(super) fn workflow_name(pipeline: &PipelineName) -> String {
    format!("{PREFIX}{pipeline}")
}

/// The pipeline that a durare workflow runs; `None` for a workflow that is not ours.
pub(super) fn pipeline_of(workflow: &str) -> Option<&str> {
    workflow.strip_prefix(PREFIX)
}

pub(super) async fn run(
    embedded: &Arc<Embedded>,
    registry: Registry,
    stop: BoxFut<'static, ()>,
) -> Result<()> {
    if std::process::id() != embedded.process {
        let text = "the runtime was opened by another process, before a fork";
        return Err(Error::new(ErrorKind::ConfigInvalid, text)
            .with_remedy("open the runtime in the process that runs the worker"));
    }
    let place = embedded.hub.take_worker()?;
    // A worker before this one may have been dropped; what it drove ends soon.
    embedded.hub.empty().await;
    let workflows = registry.pipelines().map(workflow_name).collect();
    let tokens = Tokens::default();
    let engine = engine(embedded, Arc::new(registry), &tokens).await?;
    let worker = Worker {
        embedded,
        workflows,
        last_signal: embedded.tables.last_signal().await?,
        halted: Halted { engine, tokens },
    };
    // What a worker of this process had that was dropped before.
    worker.take(&[embedded.lease.executor().to_owned()]).await?;
    tokio::select! {
        biased;
        () = stop => {}
        () = worker.pass_signals() => {}
        () = worker.take_runs() => {}
    }
    worker.go_down().await?;
    drop(worker);
    drop(place);
    Ok(())
}

/// How drivers are told that their worker goes: `down` lets them come to rest, `halt` ends them at once.
#[derive(Clone, Debug, Default)]
struct Tokens {
    down: CancellationToken,
    halt: CancellationToken,
}

/// Ends every driver at once when the worker's future is dropped.
struct Halted {
    engine: DurableEngine,
    tokens: Tokens,
}

impl Drop for Halted {
    fn drop(&mut self) {
        self.engine.deactivate();
        self.tokens.halt.cancel();
    }
}

struct Worker<'a> {
    embedded: &'a Arc<Embedded>,
    workflows: Vec<String>,
    last_signal: i64,
    halted: Halted,
}

impl Worker<'_> {
    /// Passes signals on that other processes wrote, for ever. What fails is done again the next time.
    async fn pass_signals(&self) {
        let mut last = self.last_signal;
        loop {
            match self.embedded.tables.signals_after(last).await {
                Ok(signals) => {
                    for (run, signal) in signals {
                        last = signal.id;
                        self.embedded.hub.pass(&run, signal, SystemClock.busy());
                    }
                }
                Err(error) => tracing::warn!(%error, "signals could not be read"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Takes new runs and those of dead workers, for ever. What fails is done again the next time.
    async fn take_runs(&self) {
        let mut looked: Option<Instant> = None;
        loop {
            let due = looked.is_none_or(|looked| looked.elapsed() >= TAKE_OVER_EVERY);
            if due {
                looked = Some(Instant::now());
            }
            if let Err(error) = self.take_free(due).await {
                tracing::warn!(%error, "runs could not be taken");
            }
            tokio::select! {
                () = self.embedded.hub.work.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn take_free(&self, with_dead: bool) -> Result<()> {
        let mut executors = self.embedded.tables.executors(&self.workflows).await?;
        let own = self.embedded.lease.executor();
        let new = executors.iter().any(|executor| executor == NOBODY);
        executors.retain(|executor| executor != NOBODY && executor != own);
        let mut free = Vec::new();
        if with_dead && !executors.is_empty() {
            free = self.embedded.lease.dead(&executors).await?;
            if !free.is_empty() {
                tracing::info!(dead = ?free, "taking over the runs of dead workers");
            }
        }
        if new {
            free.push(NOBODY.to_owned());
        }
        if free.is_empty() {
            return Ok(());
        }
        self.take(&free).await
    }

    /// Takes the runs that these executors have; of several workers that try, one gets each run.
    async fn take(&self, executors: &[String]) -> Result<()> {
        let taken = self.halted.engine.recover_pending_for(executors).await;
        taken.map(|_| ()).map_err(|error| storage(&error))
    }

    async fn go_down(&self) -> Result<()> {
        let Halted { engine, tokens } = &self.halted;
        tokens.down.cancel();
        // The first call only says that nothing is to be begun again; the second one waits.
        let said = engine.shutdown(Duration::ZERO).await;
        said.map_err(|error| storage(&error))?;
        self.embedded.hub.empty().await;
        let waited = engine.shutdown(LAST_WRITES).await;
        waited.map_err(|error| storage(&error))?;
        let own = self.embedded.lease.executor();
        self.embedded.tables.give_back(own).await
    }
}

async fn engine(
    embedded: &Arc<Embedded>,
    registry: Arc<Registry>,
    tokens: &Tokens,
) -> Result<DurableEngine> {
    let executor = embedded.lease.executor();
    let provider: Arc<dyn StateProvider> = Arc::<SqliteProvider>::clone(&embedded.provider);
    let mut builder = DurableEngine::builder(provider);
    builder
        .app_version(APP_VERSION)
        .executor_id(executor)
        .recover_on_launch(false)
        .max_recovery_attempts(i32::MAX - 1);
    for pipeline in registry.pipelines() {
        let job = Job {
            embedded: Arc::clone(embedded),
            registry: Arc::clone(&registry),
            pipeline: pipeline.clone(),
            tokens: tokens.clone(),
        };
        builder.register(
            &workflow_name(pipeline),
            move |cx: durare::DurableContext, input: Value| job.clone().run(cx, input),
        );
    }
    let engine = builder.build().await.map_err(|error| storage(&error))?;
    if engine.executor_id() != executor || engine.app_version() != APP_VERSION {
        let text = "the environment of the process sets DBOS__VMID or DBOS__APPVERSION, which durare obeys: \
                    an executor id must be fresh for every process";
        return Err(Error::new(ErrorKind::ConfigInvalid, text)
            .with_remedy("remove both variables from the environment of the worker"));
    }
    Ok(engine)
}

/// What runs a pipeline when durare says so.
#[derive(Clone)]
struct Job {
    embedded: Arc<Embedded>,
    registry: Arc<Registry>,
    pipeline: PipelineName,
    tokens: Tokens,
}

impl Job {
    async fn run(self, cx: durare::DurableContext, input: Value) -> durare::Result<Value> {
        if self.tokens.halt.is_cancelled() {
            return Err(recovery(&"the worker is gone"));
        }
        let run = Run {
            id: cx.workflow_id().to_owned(),
            pipeline: self.pipeline.clone(),
            begin: serde_json::from_value(input)
                .map_err(|error| recovery(&format!("the run cannot be read: {error}")))?,
        };
        let Some((entry, inbox)) = self.embedded.hub.enter(&run.id) else {
            return Err(recovery(&"the run is driven already"));
        };
        let id = run.id.clone();
        let mut journal = DurareJournal::new(&self.embedded, cx);
        let host: Arc<dyn Host> = Arc::<Embedded>::clone(&self.embedded);
        let down = self.tokens.down.clone();
        let driver = Driver::new(run, &self.registry, &mut journal, host, inbox, down);
        let end = tokio::select! {
            biased;
            () = self.tokens.halt.cancelled() => End::LeftOff,
            end = Box::pin(driver.drive()) => end,
        };
        drop(entry);
        self.embedded.hub.tell_end();
        match end {
            End::Ended(Ok(value)) => Ok(value),
            End::Ended(Err(error)) => {
                let text = serde_json::to_string(&error).unwrap_or_else(|_| error.to_string());
                Err(durare::Error::app(text))
            }
            End::Terminated => Err(durare::Error::Cancelled(id)),
            End::LeftOff => Err(recovery(&"the worker goes down")),
            End::Halted(halt) => {
                tracing::warn!(run = id, why = %halt.0, "a run stopped where it was");
                Err(journal.into_failure().unwrap_or_else(|| recovery(&halt.0)))
            }
        }
    }
}
