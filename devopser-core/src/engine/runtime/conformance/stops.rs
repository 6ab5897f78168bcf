//! Cancels, shutdowns, forced ends.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::{
    DurableContext, Either, Registry, RunState, StepContext, StepErrorKind, StepPolicy, StepResult,
    select2,
};
use super::kit::{
    Runtime, Stage, Worker, check, ended, gated, pipeline, plain, run, same, until_told,
};
use crate::{ErrorKind, Result};

const HOUR: Duration = Duration::from_secs(3600);

async fn cancelled(cx: &dyn DurableContext, _: Value) -> StepResult {
    let kept = cx.step("told", Value::Null).await;
    let step = cx.step("plain", Value::Null).await.map(|_| ());
    let sleep = cx.sleep(HOUR).await;
    let wait = cx.wait_for("never", HOUR).await.map(|_| ());
    let undone = cx
        .step_with("undo", json!("undone"), StepPolicy::compensation())
        .await;
    let kinds = [step, sleep, wait].map(|call| call.map_err(|error| error.kind).err());
    let seen = json!([kept.ok(), kinds, undone.ok(), cx.is_cancelled()]);
    cx.publish("seen", seen).await?;
    Err(super::super::StepError::cancelled())
}

/// A running step is told and keeps its result when it ends in time; everything after it answers that the run was
/// cancelled; compensation runs.
pub async fn a_cancel_is_answered_by_every_call(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, cancelled)
        .step_with("told", &stage, until_told)
        .step_with("plain", &stage, plain)
        .step_with("undo", &stage, plain);
    runtime.start("run", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &registry);
    stage.saw("told").await?;
    runtime.cancel("run").await?;
    runtime.cancel("run").await?;
    let result = ended(&runtime, "run").await?;
    same(
        "kind",
        result.map_err(|error| error.kind),
        Err(StepErrorKind::Cancelled),
    )?;
    worker.stop().await?;
    let cancelled = StepErrorKind::Cancelled;
    let wanted = json!([
        "stopped in good order",
        [cancelled, cancelled, cancelled],
        "undone",
        true
    ]);
    same("seen", runtime.progress("run", "seen").await?, Some(wanted))?;
    same(
        "state",
        runtime.describe("run").await?.state,
        RunState::Cancelled,
    )?;
    let log = ["told", "told told RunCancelled", "undo"];
    same("log", stage.log(), log.map(String::from).to_vec())
}

/// A run that was cancelled before any worker took it starts no step but its compensation.
pub async fn a_cancelled_run_starts_no_step(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, compensates)
        .step_with("made", &stage, plain);
    runtime.start("run", &pipeline(), Value::Null).await?;
    runtime.cancel("run").await?;
    let worker = Worker::start(&runtime, &registry);
    let result = ended(&runtime, "run").await?;
    worker.stop().await?;
    same(
        "kind",
        result.map_err(|error| error.kind),
        Err(StepErrorKind::Cancelled),
    )?;
    same("log", stage.log(), Vec::new())
}

async fn shielded(cx: &dyn DurableContext, _: Value) -> StepResult {
    let policy = StepPolicy::compensation();
    cx.step_with("shielded", json!(1), policy).await?;
    cx.step("plain", Value::Null).await
}

async fn long(stage: Stage, cx: &dyn StepContext, input: Value) -> Result<Value> {
    stage.note(cx.step());
    tokio::select! {
        reason = cx.cancelled() => stage.note(format!("told {reason:?}")),
        () = tokio::time::sleep(Duration::from_millis(600)) => stage.note("to the end"),
    }
    Ok(input)
}

/// A shielded step is not told of a cancel, neither when it runs nor when it begins later.
pub async fn a_shielded_step_runs_in_spite_of_a_cancel(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, shielded)
        .step_with("shielded", &stage, long)
        .step_with("plain", &stage, plain);
    runtime.start("run", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &registry);
    stage.saw("shielded").await?;
    runtime.cancel("run").await?;
    let result = ended(&runtime, "run").await?;
    worker.stop().await?;
    same(
        "kind",
        result.map_err(|error| error.kind),
        Err(StepErrorKind::Cancelled),
    )?;
    same(
        "log",
        stage.log(),
        ["shielded", "to the end"].map(String::from).to_vec(),
    )
}

async fn compensates(cx: &dyn DurableContext, _: Value) -> StepResult {
    cx.step("made", Value::Null).await?;
    let waited = cx.wait_for("go", HOUR).await;
    if waited.is_err() {
        let policy = StepPolicy::compensation();
        cx.step_with("undo_one", Value::Null, policy.clone())
            .await?;
        cx.step_with("undo_two", Value::Null, policy).await?;
    }
    waited.map(|_| Value::Null)
}

/// After a crash in the compensation the run goes on there: the cancel is in the journal.
pub async fn a_cancel_replays_at_the_same_place(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, compensates)
        .step_with("made", &stage, plain)
        .step_with("undo_one", &stage, plain)
        .step_with("undo_two", &stage, gated);
    runtime.start("run", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &registry);
    stage.saw("made").await?;
    runtime.cancel("run").await?;
    stage.saw("undo_two").await?;
    worker.kill().await;
    stage.open();
    let worker = Worker::start(&runtime, &registry);
    let result = ended(&runtime, "run").await?;
    worker.stop().await?;
    same(
        "kind",
        result.map_err(|error| error.kind),
        Err(StepErrorKind::Cancelled),
    )?;
    let log = ["made", "undo_one", "undo_two", "undo_two"];
    same("log", stage.log(), log.map(String::from).to_vec())
}

async fn race(cx: &dyn DurableContext, _: Value) -> StepResult {
    let first = select2(cx.step("told", Value::Null), cx.wait_for("go", HOUR)).await;
    let after = cx.step("after", Value::Null).await?;
    let won = match first {
        Either::Left(_) => "step",
        Either::Right(_) => "signal",
    };
    Ok(json!([won, after]))
}

async fn slow_to_stop(stage: Stage, cx: &dyn StepContext, _: Value) -> Result<Value> {
    stage.note(cx.step());
    let reason = cx.cancelled().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    stage.note(format!("stopped for {reason:?}"));
    Ok(Value::Null)
}

/// The loser of a race is told, and what follows begins only after it stopped.
pub async fn the_loser_of_a_race_is_cancelled(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, race)
        .step_with("told", &stage, slow_to_stop)
        .step_with("after", &stage, plain);
    runtime.start("run", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &registry);
    stage.saw("told").await?;
    runtime.signal("run", "go", Value::Null).await?;
    let result = ended(&runtime, "run").await?;
    worker.stop().await?;
    same("result", result, Ok(json!(["signal", null])))?;
    let log = ["told", "stopped for Dropped", "after"];
    same("log", stage.log(), log.map(String::from).to_vec())
}

async fn one_step(cx: &dyn DurableContext, input: Value) -> StepResult {
    cx.step("body", input).await
}

/// From the cancel to the word in the body there is less than a second.
pub async fn a_running_step_is_told_of_a_cancel(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, one_step)
        .step_with("body", &stage, until_told);
    runtime.start("run", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &registry);
    stage.saw("body").await?;
    let begun = Instant::now();
    runtime.cancel("run").await?;
    stage.saw("body told RunCancelled").await?;
    let took = begun.elapsed();
    check(took < Duration::from_secs(1), &format!("it took {took:?}"))?;
    ended(&runtime, "run").await?.map(|_| ())?;
    worker.stop().await
}

async fn interrupted(stage: Stage, cx: &dyn StepContext, input: Value) -> Result<Value> {
    stage.note(format!("attempt {}", cx.attempt()));
    if stage.count("attempt 1") == 1 {
        let reason = cx.cancelled().await;
        stage.note(format!("told {reason:?}"));
        return Err(crate::Error::cancelled());
    }
    Ok(input)
}

/// A worker that goes down tells its steps; the run goes on with the same attempt under the next worker.
pub async fn a_shutdown_is_told_and_the_run_goes_on_later(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry =
        Registry::new()
            .pipeline("tested", 1, one_step)
            .step_with("body", &stage, interrupted);
    runtime.start("run", &pipeline(), json!(7)).await?;
    let worker = Worker::start(&runtime, &registry);
    stage.saw("attempt 1").await?;
    worker.stop().await?;
    check(
        !runtime.describe("run").await?.state.is_final(),
        "the run ended",
    )?;
    let worker = Worker::start(&runtime, &registry);
    same("result", ended(&runtime, "run").await?, Ok(json!(7)))?;
    worker.stop().await?;
    let log = ["attempt 1", "told WorkerShutdown", "attempt 1"];
    same("log", stage.log(), log.map(String::from).to_vec())
}

/// A forced end stops the body without grace, and nothing follows.
pub async fn a_terminated_run_stops_at_once(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, one_two)
        .step_with("one", &stage, gated)
        .step_with("two", &stage, plain);
    runtime.start("run", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &registry);
    stage.saw("one").await?;
    runtime.terminate("run").await?;
    let result = ended(&runtime, "run").await?;
    let kind = result.map_err(|error| error.error.kind);
    same("kind", kind, Err(ErrorKind::Cancelled))?;
    same(
        "state",
        runtime.describe("run").await?.state,
        RunState::Terminated,
    )?;
    stage.open();
    worker.stop().await?;
    same("log", stage.log(), vec!["one".to_owned()])?;
    // Also one that nobody has taken.
    runtime.start("waiting", &pipeline(), Value::Null).await?;
    runtime.terminate("waiting").await?;
    let other = run(&runtime, &registry, "other", Value::Null).await?;
    same("other", other, Ok(Value::Null))?;
    same(
        "state",
        runtime.describe("waiting").await?.state,
        RunState::Terminated,
    )
}

async fn one_two(cx: &dyn DurableContext, input: Value) -> StepResult {
    cx.step("one", input.clone()).await?;
    cx.step("two", input).await
}
