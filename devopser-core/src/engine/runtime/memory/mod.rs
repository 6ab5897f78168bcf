//! The runtime for tests: everything in memory, a clock of its own, and a fault at any step.

mod faults;
mod store;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Value;

use self::faults::Faults;
use self::store::Store;
use super::hub::Hub;
use super::policy::StepError;
use super::port::{BoxFut, DurableRuntime, RunStatus, Started, StepResult};
use super::registry::{PipelineName, Registry};
use super::replay::{CANCEL, Halt, Host, Message, RunInput, Signal, check_signal, check_size};
use super::timer::{RunTimer, VirtualClock, locked};
use crate::clock::SystemClock;
use crate::{Error, ErrorKind, Result};

/// A [`DurableRuntime`] in memory. Clones share everything.
///
/// Its journal outlives its workers, so that a test can crash a worker at any step and start another one:
/// [`crash_before`](Self::crash_before), [`crash_after`](Self::crash_after), [`run_to_end`](Self::run_to_end). With a
/// [`VirtualClock`] nothing is waited for in real time.
#[derive(Clone)]
pub struct MemoryRuntime(Arc<Memory>);

pub(super) struct Memory {
    store: Mutex<Store>,
    faults: Mutex<Faults>,
    timer: Arc<dyn RunTimer>,
    hub: Hub,
}

impl Default for MemoryRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryRuntime {
    /// A runtime whose clock jumps over every wait as soon as nothing else is to be done.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(&VirtualClock::automatic(1_700_000_000_000))
    }

    /// A runtime with a clock that the test owns.
    #[must_use]
    pub fn with_clock(clock: &Arc<VirtualClock>) -> Self {
        Self::with_timer(Arc::new(Arc::clone(clock)))
    }

    /// A runtime that waits in real time.
    #[must_use]
    pub fn in_real_time() -> Self {
        Self::with_timer(Arc::new(SystemClock))
    }

    pub(super) fn with_timer(timer: Arc<dyn RunTimer>) -> Self {
        Self(Arc::new(Memory {
            store: Mutex::default(),
            faults: Mutex::default(),
            timer,
            hub: Hub::default(),
        }))
    }

    /// Crashes the worker just before the `n`-th body (from 1, from now on) of the step `step` begins.
    pub fn crash_before(&self, step: &str, n: u32) {
        locked(&self.0.faults).before(step, n);
    }

    /// Crashes the worker just after the `n`-th body (from 1, from now on) of the step `step` ended, before that was
    /// recorded: its effect happened and nobody knows.
    pub fn crash_after(&self, step: &str, n: u32) {
        locked(&self.0.faults).after(step, n);
    }

    /// How many crashes there were.
    #[must_use]
    pub fn crashes(&self) -> u32 {
        locked(&self.0.faults).crashes()
    }

    /// Runs a worker, and another one after every crash, until the run has ended.
    pub async fn run_to_end(&self, registry: &Registry, id: &str) -> StepResult {
        loop {
            let ended = self.clone();
            let run = id.to_owned();
            let stop = Box::pin(async move {
                let _ = ended.result(&run).await;
            });
            match self.run_worker(registry.clone(), stop).await {
                Ok(()) => return self.result(id).await,
                Err(error) if error.kind() == ErrorKind::Unavailable => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The names of what the journal of a run has, in order: for tests that compare ways.
    pub fn journal(&self, id: &str) -> Vec<String> {
        locked(&self.0.store).journal(id)
    }
}

impl fmt::Debug for MemoryRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRuntime")
            .field("timer", &self.0.timer)
            .field("hub", &self.0.hub)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl DurableRuntime for MemoryRuntime {
    async fn start(&self, id: &str, pipeline: &PipelineName, input: Value) -> Result<Started> {
        if id.is_empty() {
            return Err(Error::invalid("id", "must not be empty"));
        }
        check_size(&format!("the input of {pipeline}"), &input)?;
        let begin = RunInput::new(input, self.0.timer.now_ms());
        let busy = self.0.hub.has_worker().then(|| self.0.timer.busy());
        let started = locked(&self.0.store).insert(id, pipeline, begin, busy);
        self.0.hub.work.notify_one();
        Ok(started)
    }

    async fn signal(&self, id: &str, event: &str, payload: Value) -> Result<()> {
        check_signal(event)?;
        check_size(&format!("the signal {event}"), &payload)?;
        let signal = locked(&self.0.store).open(id)?.signal(event, payload)?;
        self.0.tell(id, signal);
        Ok(())
    }

    async fn cancel(&self, id: &str) -> Result<()> {
        let signal = {
            let mut store = locked(&self.0.store);
            let kept = store.open(id)?;
            if kept.is_final() {
                return Ok(());
            }
            kept.signal(CANCEL, Value::Null)?
        };
        self.0.tell(id, signal);
        Ok(())
    }

    async fn terminate(&self, id: &str) -> Result<()> {
        let now = self.0.timer.now_ms();
        locked(&self.0.store).open(id)?.terminate(now);
        self.0.hub.send(id, Message::Terminate);
        self.0.hub.tell_end();
        Ok(())
    }

    async fn result(&self, id: &str) -> StepResult {
        let mut ends = self.0.hub.ends();
        loop {
            ends.borrow_and_update();
            if let Some(result) = locked(&self.0.store).open(id)?.result() {
                return result;
            }
            if ends.changed().await.is_err() {
                return Err(StepError::runtime(
                    ErrorKind::Unavailable,
                    "the runtime is gone",
                ));
            }
        }
    }

    async fn describe(&self, id: &str) -> Result<RunStatus> {
        Ok(locked(&self.0.store).open(id)?.status())
    }

    async fn progress(&self, id: &str, key: &str) -> Result<Option<Value>> {
        Ok(locked(&self.0.store).open(id)?.shown.get(key).cloned())
    }

    async fn list(&self, id_prefix: &str, limit: usize) -> Result<Vec<RunStatus>> {
        Ok(locked(&self.0.store).list(id_prefix, limit))
    }

    async fn forget_ended(&self, before_ms: u64, limit: usize) -> Result<usize> {
        Ok(locked(&self.0.store).forget_ended(before_ms, limit))
    }

    async fn run_worker(&self, registry: Registry, stop: BoxFut<'static, ()>) -> Result<()> {
        worker::run(&self.0, registry, stop).await
    }
}

impl Memory {
    fn tell(&self, run: &str, signal: Signal) {
        self.hub.pass(run, signal, self.timer.busy());
    }
}

#[async_trait]
impl Host for Memory {
    fn timer(&self) -> Arc<dyn RunTimer> {
        Arc::clone(&self.timer)
    }

    async fn signals(&self, run: &str) -> Result<Vec<Signal>> {
        Ok(locked(&self.store).open(run)?.signals.clone())
    }

    async fn publish(&self, run: &str, key: &str, value: &Value) -> Result<()> {
        let mut store = locked(&self.store);
        store.open(run)?.shown.insert(key.to_owned(), value.clone());
        Ok(())
    }

    async fn beat(&self, run: &str, call: u64, progress: &Value) -> Result<()> {
        let mut store = locked(&self.store);
        store.open(run)?.beats.insert(call, progress.clone());
        Ok(())
    }

    async fn beats(&self, run: &str) -> Result<BTreeMap<u64, Value>> {
        Ok(locked(&self.store).open(run)?.beats.clone())
    }

    fn before_step(&self, step: &str) -> std::result::Result<(), Halt> {
        locked(&self.faults).hit_before(step)
    }
}
