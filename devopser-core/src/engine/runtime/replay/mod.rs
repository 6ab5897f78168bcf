//! Runs a pipeline over a journal: what the embedded runtimes share.
//!
//! The journal of a run is a list of [`Record`]s in the order in which the pipeline learned of them: a step ended, a
//! timer fired, a signal came, the run was cancelled. The driver polls the pipeline until it waits, appends *one*
//! record, hands it to the pipeline, and polls again. A replay hands over the same records in the same order, so the
//! pipeline takes the same way, however many branches run at once.

mod bodies;
mod context;
mod driver;
mod signals;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::policy::StepError;
use super::port::StepResult;
use super::registry::PipelineName;
use super::timer::{Busy, RunTimer};
use crate::{Error, Result};

pub(super) use context::check_size;
pub(super) use driver::Driver;

/// The reserved signal that cancels a run.
pub(super) const CANCEL: &str = "devopser.cancel";

/// The reserved signal that tells another process that a run was ended by force.
pub(super) const TERMINATE: &str = "devopser.terminate";

/// Refuses the names of our own signals.
pub(super) fn check_signal(event: &str) -> Result<()> {
    if event.starts_with("devopser.") {
        return Err(Error::invalid("event", "must not begin with devopser."));
    }
    Ok(())
}

/// What a run begins with. It never changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RunInput {
    /// What the pipeline gets.
    pub(super) input: Value,
    /// What the run's random ids are made from.
    pub(super) seed: String,
    /// When the run was started.
    pub(super) created_at_ms: u64,
}

impl RunInput {
    /// The beginning of a new run.
    pub(super) fn new(input: Value, now_ms: u64) -> Self {
        Self {
            input,
            seed: format!("{:032x}", rand::random::<u128>()),
            created_at_ms: now_ms,
        }
    }
}

/// One run as a worker has it.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) id: String,
    pub(super) pipeline: PipelineName,
    pub(super) begin: RunInput,
}

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// When it was appended; the pipeline's clock.
    pub(super) at_ms: u64,
    pub(super) event: Event,
}

/// What a pipeline can learn of. `call` is the number of the call in the order of the calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// A step ended.
    Step {
        call: u64,
        step: String,
        outcome: StepResult,
    },
    /// An attempt failed; there will be another.
    Retry {
        call: u64,
        step: String,
        attempt: u32,
        error: StepError,
    },
    /// A sleep ended.
    Timer { call: u64 },
    /// A wait ended: with a signal, or because its time was over.
    Wait {
        call: u64,
        event: String,
        signal: Option<Signal>,
    },
    /// The run was cancelled.
    Cancel,
    /// The run takes the code behind a change.
    Patch { id: String },
}

impl Event {
    /// A name for people who look at the journal.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Step { step, .. } => format!("step {step}"),
            Self::Retry { step, attempt, .. } => format!("step {step}, attempt {attempt} failed"),
            Self::Timer { .. } => "sleep".to_owned(),
            Self::Wait { event, .. } => format!("wait for {event}"),
            Self::Cancel => "cancel".to_owned(),
            Self::Patch { id } => format!("patch {id}"),
        }
    }
}

/// A signal. Its number rises with the time it was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Signal {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) payload: Value,
}

/// Why a driver cannot go on. The run stays as it is; whoever may take it goes on from the journal.
#[derive(Debug)]
pub(super) struct Halt(pub(super) String);

/// The journal of one run.
#[async_trait]
pub(super) trait Journal: Send {
    /// Everything that was recorded. Called once, first.
    async fn load(&mut self) -> std::result::Result<Vec<Record>, Halt>;

    /// Appends a record. When this returns `Ok`, it is kept.
    async fn append(&mut self, record: &Record) -> std::result::Result<(), Halt>;
}

/// What a driver needs of its runtime beside the journal.
#[async_trait]
pub(super) trait Host: Send + Sync {
    /// The time.
    fn timer(&self) -> Arc<dyn RunTimer>;

    /// Every signal that was sent to the run, in order.
    async fn signals(&self, run: &str) -> Result<Vec<Signal>>;

    /// Keeps what the run shows under a key.
    async fn publish(&self, run: &str, key: &str, value: &Value) -> Result<()>;

    /// Keeps the progress of a step.
    async fn beat(&self, run: &str, call: u64, progress: &Value) -> Result<()>;

    /// The progress that was kept, by the number of the call.
    async fn beats(&self, run: &str) -> Result<BTreeMap<u64, Value>>;

    /// Told before a body begins. An error stops the worker: a test wants a crash here.
    fn before_step(&self, step: &str) -> std::result::Result<(), Halt>;
}

/// What a driver is told while it runs.
#[derive(Debug)]
pub(super) enum Message {
    /// A body ended.
    Ended {
        body: u64,
        result: StepResult,
        busy: Busy,
    },
    /// A signal came.
    Signal(Signal, Busy),
    /// The run was ended by force.
    Terminate,
}

/// How a driver left its run.
#[derive(Debug)]
pub(super) enum End {
    /// The pipeline ended.
    Ended(StepResult),
    /// The run was ended by force.
    Terminated,
    /// The worker goes down; another one goes on.
    LeftOff,
    /// The journal or the storage failed, or another worker has the run.
    Halted(Halt),
}
