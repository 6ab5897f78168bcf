//! The embedded runtime: durable execution on SQLite, inside the process of the host.
//!
//! The runs and their journals are kept by `durare` (its workflow rows, its checkpoints, its compare-and-set when a run
//! is taken over); signals, progress and heartbeats are in two tables of our own beside them.

mod journal;
mod tables;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use durare::{SqliteProvider, StateProvider, WorkflowStatus};
use serde_json::Value;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use self::tables::Tables;
use super::hub::Hub;
use super::lease::ExecutorLease;
use super::policy::StepError;
use super::port::{BoxFut, DurableRuntime, RunState, RunStatus, Started, StepResult};
use super::registry::{PipelineName, Registry};
use super::replay::{
    CANCEL, Halt, Host, Message, RunInput, Signal, TERMINATE, check_signal, check_size,
};
use super::timer::RunTimer;
use crate::clock::{Clock, SystemClock};
use crate::{Error, ErrorKind, Result};

/// Stamped on every run: durare's default, a hash of the executable, changes with every build.
const APP_VERSION: &str = "devopser";

/// The owner of a run that no worker has taken.
const NOBODY: &str = "";

/// How long a caller that waits for the end of a run in another process waits between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a writer waits for the others. A record that cannot be written ends its driver, and the step's body runs
/// again: that is for a disk that fails, not for one that is slow because something else fills it.
const BUSY_FOR: Duration = Duration::from_secs(60);

/// How SQLite is to be opened for an [`EmbeddedRuntime`]: a write-ahead log, every commit on the disk before it counts,
/// and writers that wait for one another, a minute at most.
#[must_use]
pub fn sqlite_options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_FOR)
}

/// A [`DurableRuntime`] on a SQLite file that the host's own process opens. Clones share everything.
///
/// Several processes may share the file, each with an [`ExecutorLease`] of its own. A run is kept from the moment that
/// [`start`](DurableRuntime::start) returns; any worker that knows its pipeline takes it, within 200 ms when it was
/// started in another process.
#[derive(Clone)]
pub struct EmbeddedRuntime(Arc<Embedded>);

pub(super) struct Embedded {
    provider: Arc<SqliteProvider>,
    tables: Tables,
    lease: Arc<dyn ExecutorLease>,
    hub: Hub,
    /// Who opened it: neither a lease nor SQLite outlives a fork.
    process: u32,
}

impl EmbeddedRuntime {
    /// Opens the runtime on a pool, best one opened with [`sqlite_options`]; missing tables are made.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the database does not answer.
    pub async fn open(pool: SqlitePool, lease: Arc<dyn ExecutorLease>) -> Result<Self> {
        let provider = Arc::new(SqliteProvider::from_pool(pool.clone()));
        // Two processes that open a new file at once get in each other's way; the second try finds the tables.
        let mut tries = 0;
        while let Err(error) = provider.init().await {
            tries += 1;
            if tries == 5 {
                return Err(storage(&error));
            }
            tokio::time::sleep(Duration::from_millis(50 * tries)).await;
        }
        let tables = Tables::open(pool).await?;
        Ok(Self(Arc::new(Embedded {
            provider,
            tables,
            lease,
            hub: Hub::default(),
            process: std::process::id(),
        })))
    }
}

impl fmt::Debug for EmbeddedRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedRuntime")
            .field("lease", &self.0.lease)
            .field("hub", &self.0.hub)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl DurableRuntime for EmbeddedRuntime {
    async fn start(&self, id: &str, pipeline: &PipelineName, input: Value) -> Result<Started> {
        if id.is_empty() {
            return Err(Error::invalid("id", "must not be empty"));
        }
        check_size(&format!("the input of {pipeline}"), &input)?;
        let begin = RunInput::new(input, SystemClock.now_ms());
        let begin = serde_json::to_value(begin).map_err(|e| Error::unexpected(e.to_string()))?;
        let name = worker::workflow_name(pipeline);
        let row = WorkflowStatus::new(id, name, begin, durare::STATUS_PENDING, NOBODY, APP_VERSION);
        let inserted = self.0.provider.insert_workflow_status(row).await;
        let (_, created) = inserted.map_err(|error| storage(&error))?;
        if !created {
            return Ok(Started::Attached);
        }
        self.0.hub.work.notify_one();
        Ok(Started::New)
    }

    async fn signal(&self, id: &str, event: &str, payload: Value) -> Result<()> {
        check_signal(event)?;
        check_size(&format!("the signal {event}"), &payload)?;
        if self.0.send(id, event, payload).await? {
            return Ok(());
        }
        self.0.row(id).await?;
        Err(Error::new(
            ErrorKind::Conflict,
            format!("run {id} has ended"),
        ))
    }

    async fn cancel(&self, id: &str) -> Result<()> {
        if !self.0.send(id, CANCEL, Value::Null).await? {
            self.0.row(id).await?;
        }
        Ok(())
    }

    async fn terminate(&self, id: &str) -> Result<()> {
        self.0.row(id).await?;
        // First the word to whoever drives it, then the end: afterwards no signal is taken any more.
        self.0.send(id, TERMINATE, Value::Null).await?;
        let provider = &self.0.provider;
        let ended = provider
            .set_workflow_status(id, durare::STATUS_CANCELLED, None, Some("ended by force"))
            .await;
        ended.map_err(|error| storage(&error))?;
        self.0.hub.send(id, Message::Terminate);
        self.0.hub.tell_end();
        Ok(())
    }

    async fn result(&self, id: &str) -> StepResult {
        let mut ends = self.0.hub.ends();
        let mut pause = LOOK_EVERY;
        loop {
            ends.borrow_and_update();
            if let Some(result) = result_of(&self.0.row(id).await?) {
                return result;
            }
            tokio::select! {
                // A driver tells its end just before the end is written.
                _ = ends.changed() => pause = Duration::from_millis(1),
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LOOK_EVERY),
            }
        }
    }

    async fn describe(&self, id: &str) -> Result<RunStatus> {
        Ok(status_of(&self.0.row(id).await?))
    }

    async fn progress(&self, id: &str, key: &str) -> Result<Option<Value>> {
        let shown = self.0.tables.shown(id, key).await?;
        if shown.is_none() {
            self.0.row(id).await?;
        }
        Ok(shown)
    }

    async fn list(&self, id_prefix: &str, limit: usize) -> Result<Vec<RunStatus>> {
        let filter = durare::ListFilter {
            workflow_id_prefix: vec![id_prefix.to_owned()],
            app_version: vec![APP_VERSION.to_owned()],
            limit: Some(i64::try_from(limit).unwrap_or(i64::MAX)),
            sort_desc: true,
            ..durare::ListFilter::default()
        };
        let rows = self.0.provider.list_workflows(&filter).await;
        let rows = rows.map_err(|error| storage(&error))?;
        Ok(rows.iter().map(status_of).collect())
    }

    async fn forget_ended(&self, before_ms: u64, limit: usize) -> Result<usize> {
        // Its bound is inclusive.
        let until = i64::try_from(before_ms).unwrap_or(i64::MAX) - 1;
        let filter = durare::ListFilter {
            app_version: vec![APP_VERSION.to_owned()],
            status: ENDED.map(str::to_owned).to_vec(),
            completed_before_ms: Some(until),
            limit: Some(i64::try_from(limit).unwrap_or(i64::MAX)),
            ..durare::ListFilter::default()
        };
        let rows = self.0.provider.list_workflows(&filter).await;
        let rows = rows.map_err(|error| storage(&error))?;
        let ended: Vec<String> = rows.into_iter().map(|row| row.id).collect();
        let deleted = self.0.provider.delete_workflows(&ended, false).await;
        deleted.map_err(|error| storage(&error))?;
        self.0.tables.forget(&ended).await?;
        Ok(ended.len())
    }

    async fn run_worker(&self, registry: Registry, stop: BoxFut<'static, ()>) -> Result<()> {
        worker::run(&self.0, registry, stop).await
    }
}

impl Embedded {
    async fn row(&self, id: &str) -> Result<WorkflowStatus> {
        let row = self.provider.get_workflow_status(id).await;
        let row = row.map_err(|error| storage(&error))?;
        row.filter(|row| worker::pipeline_of(&row.name).is_some())
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no run {id}")))
    }

    /// Keeps a signal and passes it on when its run is driven here; `false` when the run has ended or is unknown.
    async fn send(&self, run: &str, name: &str, payload: Value) -> Result<bool> {
        let Some(id) = self.tables.send(run, name, &payload).await? else {
            return Ok(false);
        };
        let name = name.to_owned();
        let signal = Signal { id, name, payload };
        self.hub.pass(run, signal, SystemClock.busy());
        Ok(true)
    }
}

#[async_trait]
impl Host for Embedded {
    fn timer(&self) -> Arc<dyn RunTimer> {
        Arc::new(SystemClock)
    }

    async fn signals(&self, run: &str) -> Result<Vec<Signal>> {
        self.tables.signals_of(run).await
    }

    async fn publish(&self, run: &str, key: &str, value: &Value) -> Result<()> {
        self.tables.show(run, key, value).await
    }

    async fn beat(&self, run: &str, call: u64, progress: &Value) -> Result<()> {
        self.tables.beat(run, call, progress).await
    }

    async fn beats(&self, run: &str) -> Result<BTreeMap<u64, Value>> {
        self.tables.beats(run).await
    }

    fn before_step(&self, _step: &str) -> std::result::Result<(), Halt> {
        Ok(())
    }
}

/// The states of runs that have ended.
const ENDED: [&str; 4] = [
    durare::STATUS_SUCCESS,
    durare::STATUS_CANCELLED,
    durare::STATUS_ERROR,
    durare::STATUS_MAX_RECOVERY_ATTEMPTS_EXCEEDED,
];

fn state_of(row: &WorkflowStatus) -> RunState {
    match row.status.as_str() {
        durare::STATUS_SUCCESS => RunState::Completed,
        durare::STATUS_CANCELLED => RunState::Terminated,
        durare::STATUS_ERROR => RunState::of(&Err(error_of(row))),
        durare::STATUS_MAX_RECOVERY_ATTEMPTS_EXCEEDED => RunState::Failed,
        _ if row.executor_id == NOBODY => RunState::Pending,
        _ => RunState::Running,
    }
}

/// The error that a run ended with; it was written as JSON.
fn error_of(row: &WorkflowStatus) -> StepError {
    let text = row.error.as_deref().unwrap_or("no error was kept");
    serde_json::from_str(text)
        .unwrap_or_else(|_| StepError::runtime(ErrorKind::Unexpected, text.to_owned()))
}

fn result_of(row: &WorkflowStatus) -> Option<StepResult> {
    match row.status.as_str() {
        durare::STATUS_SUCCESS => Some(Ok(row.output.clone().unwrap_or(Value::Null))),
        durare::STATUS_ERROR => Some(Err(error_of(row))),
        durare::STATUS_CANCELLED => Some(Err(StepError::terminated())),
        durare::STATUS_MAX_RECOVERY_ATTEMPTS_EXCEEDED => Some(Err(StepError::runtime(
            ErrorKind::Unexpected,
            "the run was taken over too often without coming to an end",
        ))),
        _ => None,
    }
}

fn status_of(row: &WorkflowStatus) -> RunStatus {
    let (output, error) = match result_of(row) {
        Some(Ok(output)) => (Some(output), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let millis = |ms: i64| u64::try_from(ms).unwrap_or(0);
    RunStatus {
        id: row.id.clone(),
        pipeline: worker::pipeline_of(&row.name)
            .unwrap_or(&row.name)
            .to_owned(),
        state: state_of(row),
        created_at_ms: millis(row.created_at.timestamp_millis()),
        ended_at_ms: row.completed_at_ms.map(millis),
        output,
        error,
    }
}

fn storage(error: &durare::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("the runtime's database: {error}"),
    )
}
