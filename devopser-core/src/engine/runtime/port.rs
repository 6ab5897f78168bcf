//! The traits of the port.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::{StepError, StepPolicy};
use super::registry::{PipelineName, Registry, from_json, to_json};
use crate::Result;

/// A boxed future that may move between threads.
pub type BoxFut<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a step or a run ends with.
pub type StepResult = std::result::Result<Value, StepError>;

/// What a pipeline sees. A call counts from the moment it is made, not from its first poll, and is cancelled when its
/// future is dropped.
///
/// # Behavior
/// - `a_completed_step_is_never_run_again`: after a restart its result comes from the journal.
/// - `attempts_are_counted_over_returned_errors`: up to [`StepPolicy::max_attempts`], with backoff between them; an
///   error that says a retry cannot help ends the step at once.
/// - `a_crash_costs_no_attempt`: what was cut off runs again with the same attempt number.
/// - `a_cancel_is_answered_by_every_call`: after a cancel, steps, sleeps and waits answer
///   [`Cancelled`](super::StepErrorKind::Cancelled); a running step that ends in its grace keeps its result.
/// - `a_shielded_step_runs_in_spite_of_a_cancel`, and is not interrupted by one.
/// - `a_cancel_replays_at_the_same_place` after a crash.
/// - `a_panic_becomes_a_failure`, in a pipeline and in a step, with its text.
/// - `a_payload_too_big_is_refused`, with an error that names the limit.
/// - `concurrent_branches_replay_in_the_same_order`, whatever their number of steps.
/// - `the_loser_of_a_race_is_cancelled`: a dropped call is told to stop, and no new step starts before it ended or
///   used up its grace.
pub trait DurableContext: Send + Sync {
    /// The id that the run was started with.
    fn run_id(&self) -> &str;

    /// Runs the step of that name, or takes its result from the journal.
    fn step_with<'a>(
        &'a self,
        name: &str,
        input: Value,
        policy: StepPolicy,
    ) -> BoxFut<'a, StepResult>;

    /// Sleeps. Goes on over restarts; whole seconds at least make sense.
    fn sleep<'a>(&'a self, duration: Duration) -> BoxFut<'a, std::result::Result<(), StepError>>;

    /// Waits for a signal of that name. Signals of a name are taken in the order they were sent, also those sent
    /// before. `None` when `timeout` passed first.
    fn wait_for<'a>(
        &'a self,
        event: &str,
        timeout: Duration,
    ) -> BoxFut<'a, std::result::Result<Option<Value>, StepError>>;

    /// Milliseconds since 1970, standing still between two completions; the same in a replay.
    fn now_ms(&self) -> u64;

    /// A fresh random id that cannot be guessed; the same in a replay.
    fn uuid(&self) -> String;

    /// Whether the code behind the change `id` is to be taken: `false` only in a run that passed this place before the
    /// change was there.
    fn patched<'a>(&'a self, id: &str) -> BoxFut<'a, bool>;

    /// Shows `value` under `key` to whoever asks for [`DurableRuntime::progress`].
    fn publish<'a>(
        &'a self,
        key: &str,
        value: Value,
    ) -> BoxFut<'a, std::result::Result<(), StepError>>;

    /// Whether the run was cancelled, as far as the journal was read.
    fn is_cancelled(&self) -> bool;
}

impl<'c> dyn DurableContext + 'c {
    /// [`step_with`](DurableContext::step_with) the default policy.
    pub fn step<'a>(&'a self, name: &str, input: Value) -> BoxFut<'a, StepResult> {
        self.step_with(name, input, StepPolicy::default())
    }

    /// [`step_with`](DurableContext::step_with) typed input and output.
    pub fn call<'a, I: Serialize, O: DeserializeOwned + 'a>(
        &'a self,
        name: &str,
        input: &I,
        policy: StepPolicy,
    ) -> BoxFut<'a, std::result::Result<O, StepError>> {
        let running = to_json(name, input).map(|input| self.step_with(name, input, policy));
        let name = name.to_owned();
        Box::pin(async move { from_json(&name, running?.await?) })
    }
}

/// Why a body is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CancelReason {
    /// The run was cancelled. Undo what is cheap to undo and return.
    RunCancelled,
    /// The worker goes down; the run goes on later. Stop in a state that the next attempt can look up.
    WorkerShutdown,
    /// The attempt or its heartbeat took too long.
    TimedOut,
    /// The pipeline no longer wants the result.
    Dropped,
}

/// What the body of a step sees.
///
/// # Behavior
/// - `the_idempotency_key_is_stable` over attempts and crashes, and differs from step to step and from run to run.
/// - `progress_survives_an_attempt`: [`last_heartbeat`](Self::last_heartbeat) has what the attempt before told, also
///   after a restart (there, what is at most a second old may be missing).
/// - `an_attempt_has_a_deadline`: it ends as [`TimedOut`](super::StepErrorKind::TimedOut).
/// - `a_missing_heartbeat_ends_an_attempt` where the policy asks for one.
/// - `a_running_step_is_told_of_a_cancel` within a second.
/// - `a_shutdown_is_told_and_the_run_goes_on_later`.
pub trait StepContext: Send + Sync {
    /// The id that the run was started with.
    fn run_id(&self) -> &str;

    /// The name of the step.
    fn step(&self) -> &str;

    /// The number of the attempt, from 1.
    fn attempt(&self) -> u32;

    /// A key of 32 hexadecimal digits for the provider: the same for every attempt at this step, never the same for
    /// another step or run.
    fn idempotency_key(&self) -> String;

    /// Says that the body is alive and how far it is.
    fn heartbeat<'a>(&'a self, progress: Value) -> BoxFut<'a, ()>;

    /// What the last heartbeat of an earlier attempt said.
    fn last_heartbeat(&self) -> Option<Value>;

    /// Ends when the body should stop, with the reason.
    fn cancelled<'a>(&'a self) -> BoxFut<'a, CancelReason>;

    /// The reason to stop, when there is one already.
    fn cancel_reason(&self) -> Option<CancelReason>;

    /// Sleeps by the runtime's clock; ends early with [`Cancelled`](super::StepErrorKind::Cancelled) when the body
    /// should stop.
    fn sleep<'a>(&'a self, duration: Duration) -> BoxFut<'a, std::result::Result<(), StepError>>;
}

/// What [`DurableRuntime::start`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// The run is new.
    New,
    /// A run of that id was there already, running or ended. Nothing was changed.
    Attached,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunState {
    /// No worker has taken it yet.
    Pending,
    /// A worker has it, or had it and went away.
    Running,
    /// It ended with a result.
    Completed,
    /// It ended with an error.
    Failed,
    /// It was cancelled and ended as it should.
    Cancelled,
    /// It was ended by force.
    Terminated,
}

impl RunState {
    /// How a run is that ended with `result`.
    pub(super) fn of(result: &StepResult) -> Self {
        match result {
            Ok(_) => Self::Completed,
            Err(error) if error.is_cancelled() => Self::Cancelled,
            Err(_) => Self::Failed,
        }
    }

    /// Whether the run has ended.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// What is known of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunStatus {
    /// Its id.
    pub id: String,
    /// Its pipeline, as `name@N`.
    pub pipeline: String,
    /// How far it is.
    pub state: RunState,
    /// When it was started, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When it ended, in milliseconds since 1970.
    pub ended_at_ms: Option<u64>,
    /// The result of a completed run.
    pub output: Option<Value>,
    /// The error of a run that ended otherwise.
    pub error: Option<StepError>,
}

/// Starts pipelines and carries them to their end.
///
/// # Behavior
/// - `a_start_can_be_repeated`: the second one answers [`Started::Attached`] and changes nothing.
/// - `a_signal_waits_for_its_taker`, also while no worker runs.
/// - `a_run_is_taken_by_one_worker_only`.
/// - `an_unknown_version_is_left_alone`, until a worker comes that knows it.
/// - `a_terminated_run_stops_at_once`, without compensation.
/// - `an_unknown_run_is_not_found`, by every call that takes an id.
/// - `only_ended_runs_are_forgotten`, and their ids can be started anew.
/// - `ended_runs_take_no_signals`: [`Conflict`](crate::ErrorKind::Conflict); a cancel or a terminate is `Ok` and does
///   nothing.
#[async_trait]
pub trait DurableRuntime: Debug + Send + Sync + 'static {
    /// Accepts a run. It is kept when this returns, whether or not a worker runs.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for an empty id or an input that is too big,
    /// [`Unavailable`](crate::ErrorKind::Unavailable) for storage.
    async fn start(&self, id: &str, pipeline: &PipelineName, input: Value) -> Result<Started>;

    /// Sends a signal to a run.
    async fn signal(&self, id: &str, event: &str, payload: Value) -> Result<()>;

    /// Asks a run to end with its compensation.
    async fn cancel(&self, id: &str) -> Result<()>;

    /// Ends a run by force: no compensation. The last resort.
    async fn terminate(&self, id: &str) -> Result<()>;

    /// Waits for the end of a run.
    ///
    /// # Errors
    /// The run's own error, or one of kind [`Runtime`](super::StepErrorKind::Runtime) when there is no such run.
    async fn result(&self, id: &str) -> StepResult;

    /// What is known of a run.
    async fn describe(&self, id: &str) -> Result<RunStatus>;

    /// What the run published last under `key`.
    async fn progress(&self, id: &str, key: &str) -> Result<Option<Value>>;

    /// The runs whose id begins with `id_prefix`, the newest first.
    async fn list(&self, id_prefix: &str, limit: usize) -> Result<Vec<RunStatus>>;

    /// Forgets runs that ended before a time in milliseconds since 1970, with their journals; at most `limit` of them. Says
    /// how many. Afterwards their ids can be started anew: whoever wants an id to stand for one run for ever keeps it
    /// elsewhere too.
    async fn forget_ended(&self, before_ms: u64, limit: usize) -> Result<usize>;

    /// Runs what is there to run until `stop` ends; then takes nothing more, tells running steps, and returns when they
    /// ended or used up their grace. One worker at a time for each runtime value.
    async fn run_worker(&self, registry: Registry, stop: BoxFut<'static, ()>) -> Result<()>;
}
