//! What the conformance functions share.

use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::super::timer::locked;
use super::super::{DurableRuntime, PipelineName, Registry, StepContext};
use crate::{Error, ErrorKind, Result};

pub(super) type Runtime = Arc<dyn DurableRuntime>;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(20);

pub(super) fn check(holds: bool, what: &str) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::unexpected(what))
    }
}

pub(super) fn same<T: PartialEq + Debug>(what: &str, got: T, wanted: T) -> Result<()> {
    check(
        got == wanted,
        &format!("{what}: got {got:?}, wanted {wanted:?}"),
    )
}

/// Asks again and again until it holds.
pub(super) async fn eventually<F, Fut>(what: &str, mut holds: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<bool>>,
{
    let begun = Instant::now();
    while !holds().await? {
        check(begun.elapsed() < DEADLINE, &format!("{what}: never came"))?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// A worker in a task of its own.
pub(super) struct Worker {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl Worker {
    pub(super) fn start(runtime: &Runtime, registry: &Registry) -> Self {
        let (stop, stopped) = oneshot::channel();
        let runtime = Arc::clone(runtime);
        let registry = registry.clone();
        let stopped = Box::pin(async move {
            let _ = stopped.await;
        });
        let task = tokio::spawn(async move { runtime.run_worker(registry, stopped).await });
        Self { stop, task }
    }

    /// Lets it come to rest.
    pub(super) async fn stop(self) -> Result<()> {
        let _ = self.stop.send(());
        self.task
            .await
            .map_err(|e| Error::unexpected(e.to_string()))?
    }

    /// Ends it as a crash would: nothing is told, nothing is written.
    pub(super) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Starts a run, waits for its result under a worker of its own, and stops that worker.
pub(super) async fn run(
    runtime: &Runtime,
    registry: &Registry,
    id: &str,
    input: Value,
) -> Result<super::super::StepResult> {
    runtime.start(id, &pipeline(), input).await?;
    let worker = Worker::start(runtime, registry);
    let result = ended(runtime, id).await?;
    worker.stop().await?;
    Ok(result)
}

/// The result of a run, within the deadline.
pub(super) async fn ended(runtime: &Runtime, id: &str) -> Result<super::super::StepResult> {
    tokio::time::timeout(DEADLINE, runtime.result(id))
        .await
        .map_err(|_| Error::new(ErrorKind::Timeout, format!("run {id} does not end")))
}

/// The pipeline that the tests register.
pub(super) fn pipeline() -> PipelineName {
    PipelineName::new("tested", 1)
}

/// What the bodies of a test share: a log, and a gate that is shut at first.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    log: Arc<Mutex<Vec<String>>>,
    gate: watch::Sender<bool>,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            log: Arc::default(),
            gate: watch::Sender::new(false),
        }
    }
}

impl Stage {
    pub(super) fn note(&self, text: impl Into<String>) {
        locked(&self.log).push(text.into());
    }

    pub(super) fn log(&self) -> Vec<String> {
        locked(&self.log).clone()
    }

    pub(super) fn count(&self, text: &str) -> usize {
        self.log().iter().filter(|line| *line == text).count()
    }

    /// Waits until the log has the line.
    pub(super) async fn saw(&self, text: &str) -> Result<()> {
        eventually(text, || async { Ok(self.count(text) > 0) }).await
    }

    /// Opens the gate for good.
    pub(super) fn open(&self) {
        self.gate.send_replace(true);
    }

    /// Waits for the gate.
    pub(super) async fn pass(&self) {
        let mut gate = self.gate.subscribe();
        let _ = gate.wait_for(|open| *open).await;
    }
}

/// Notes its name and gives its input back.
pub(super) async fn plain(stage: Stage, cx: &dyn StepContext, input: Value) -> Result<Value> {
    stage.note(cx.step());
    Ok(input)
}

/// Notes its name, waits for the gate, and gives its input back.
pub(super) async fn gated(stage: Stage, cx: &dyn StepContext, input: Value) -> Result<Value> {
    stage.note(cx.step());
    stage.pass().await;
    Ok(input)
}

/// Notes its name, waits until it is told to stop, and notes the reason.
pub(super) async fn until_told(stage: Stage, cx: &dyn StepContext, _: Value) -> Result<Value> {
    stage.note(cx.step());
    let reason = cx.cancelled().await;
    stage.note(format!("{} told {reason:?}", cx.step()));
    Ok(Value::from("stopped in good order"))
}
