//! Steps: their attempts, their deadlines, their keys.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{
    DurableContext, MAX_PAYLOAD, Registry, StepContext, StepErrorKind, StepPolicy, StepResult,
};
use super::kit::{
    Runtime, Stage, Worker, check, ended, eventually, gated, pipeline, plain, run, same,
};
use crate::{Error, ErrorKind, Result, Retry};

fn quick(attempts: u32) -> StepPolicy {
    StepPolicy::default()
        .attempts(attempts)
        .backoff(Duration::from_millis(5))
        .grace(Duration::from_millis(50))
}

async fn one_two_three(cx: &dyn DurableContext, input: Value) -> StepResult {
    let one = cx.step("one", input).await?;
    let two = cx.step("two", one).await?;
    cx.step("three", two).await
}

/// After a crash in step three, steps one and two are not run again.
pub async fn a_completed_step_is_never_run_again(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, one_two_three)
        .step_with("one", &stage, plain)
        .step_with("two", &stage, plain)
        .step_with("three", &stage, gated);
    runtime.start("run", &pipeline(), json!({"a": 1})).await?;
    let worker = Worker::start(&runtime, &registry);
    stage.saw("three").await?;
    worker.kill().await;
    stage.open();
    let worker = Worker::start(&runtime, &registry);
    same("result", ended(&runtime, "run").await?, Ok(json!({"a": 1})))?;
    worker.stop().await?;
    same(
        "log",
        stage.log(),
        ["one", "two", "three", "three"].map(String::from).to_vec(),
    )
}

async fn attempted(cx: &dyn DurableContext, _: Value) -> StepResult {
    let third = cx.step_with("third_time", Value::Null, quick(5)).await?;
    let never = cx.step_with("never", Value::Null, quick(5)).await;
    let always = cx.step_with("always", Value::Null, quick(2)).await;
    let kinds = [never, always].map(|step| step.map_err(|error| error.error.retry).err());
    Ok(json!([third, kinds]))
}

async fn third_time(stage: Stage, cx: &dyn StepContext, _: Value) -> Result<u32> {
    stage.note(format!("third_time {}", cx.attempt()));
    match cx.attempt() {
        3 => Ok(3),
        _ => Err(Error::new(ErrorKind::Unavailable, "not yet")),
    }
}

async fn never(stage: Stage, cx: &dyn StepContext, _: Value) -> Result<Value> {
    stage.note(format!("never {}", cx.attempt()));
    Err(Error::new(ErrorKind::InvalidInput, "wrong for good"))
}

async fn always(stage: Stage, cx: &dyn StepContext, _: Value) -> Result<Value> {
    stage.note(format!("always {}", cx.attempt()));
    Err(Error::new(ErrorKind::Unavailable, "down"))
}

/// Errors that may pass are tried again up to the limit; others end the step at once.
pub async fn attempts_are_counted_over_returned_errors(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, attempted)
        .step_with("third_time", &stage, third_time)
        .step_with("never", &stage, never)
        .step_with("always", &stage, always);
    let result = run(&runtime, &registry, "run", Value::Null).await?;
    let retries = [Some(Retry::Never), Some(Retry::Exhausted)];
    same("result", result, Ok(json!([3, retries])))?;
    let wanted = [
        "third_time 1",
        "third_time 2",
        "third_time 3",
        "never 1",
        "always 1",
        "always 2",
    ];
    same("log", stage.log(), wanted.map(String::from).to_vec())
}

async fn twice(cx: &dyn DurableContext, _: Value) -> StepResult {
    cx.step_with("second_hangs", Value::Null, quick(2)).await
}

async fn second_hangs(stage: Stage, cx: &dyn StepContext, _: Value) -> Result<u32> {
    stage.note(format!("attempt {}", cx.attempt()));
    if cx.attempt() == 1 {
        return Err(Error::new(ErrorKind::Unavailable, "not yet"));
    }
    stage.pass().await;
    Ok(cx.attempt())
}

/// An attempt that a crash cut off is made again under the same number.
pub async fn a_crash_costs_no_attempt(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new().pipeline("tested", 1, twice).step_with(
        "second_hangs",
        &stage,
        second_hangs,
    );
    runtime.start("run", &pipeline(), Value::Null).await?;
    for crash in 1..=3 {
        let worker = Worker::start(&runtime, &registry);
        let seen = || async { Ok(stage.count("attempt 2") == crash) };
        eventually("the second attempt", seen).await?;
        worker.kill().await;
    }
    stage.open();
    let worker = Worker::start(&runtime, &registry);
    same("result", ended(&runtime, "run").await?, Ok(json!(2)))?;
    worker.stop().await?;
    same("first attempts", stage.count("attempt 1"), 1)
}

async fn panics(cx: &dyn DurableContext, input: Value) -> StepResult {
    if input == "pipeline" {
        deep_trouble("in the pipeline");
    }
    cx.step("panics", input).await
}

async fn step_panics(stage: Stage, _: &dyn StepContext, _: Value) -> Result<Value> {
    stage.note("panics");
    deep_trouble("in the step");
    Ok(Value::Null)
}

#[expect(clippy::panic, reason = "what is tested is a panic")]
fn deep_trouble(place: &str) {
    panic!("deep trouble {place}");
}

/// A panic ends the step, or the run, with its text; the process goes on.
pub async fn a_panic_becomes_a_failure(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry =
        Registry::new()
            .pipeline("tested", 1, panics)
            .step_with("panics", &stage, step_panics);
    for place in ["step", "pipeline"] {
        let result = run(&runtime, &registry, place, json!(place)).await?;
        let text = result.err().map(|error| error.error.message.clone());
        let wanted = format!("deep trouble in the {place}");
        check(
            text.as_deref().is_some_and(|text| text.contains(&wanted)),
            &format!("{place}: {text:?}"),
        )?;
    }
    same("bodies", stage.count("panics"), 1)
}

async fn carries(cx: &dyn DurableContext, input: Value) -> StepResult {
    let big = Value::from("x".repeat(MAX_PAYLOAD + 1));
    match input.as_str() {
        Some("input") => cx.step("plain", big).await,
        Some("output") => cx.step("grows", Value::Null).await,
        Some("publish") => cx.publish("key", big).await.map(|()| Value::Null),
        _ => Ok(big),
    }
}

async fn grows(_: &dyn StepContext, _: Value) -> Result<String> {
    Ok("x".repeat(MAX_PAYLOAD + 1))
}

/// Nothing bigger than the limit passes, wherever it would.
pub async fn a_payload_too_big_is_refused(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, carries)
        .step_with("plain", &stage, plain)
        .step("grows", grows);
    for way in ["input", "output", "publish", "result"] {
        let result = run(&runtime, &registry, way, json!(way)).await?;
        let message = result.err().map(|error| error.error.message.clone());
        let named = |text: &String| text.contains(&MAX_PAYLOAD.to_string());
        check(
            message.as_ref().is_some_and(named),
            &format!("{way}: {message:?}"),
        )?;
    }
    same("bodies with a big input", stage.count("plain"), 0)?;
    let big = Value::from("x".repeat(MAX_PAYLOAD + 1));
    let started = runtime.start("big", &pipeline(), big.clone()).await;
    same(
        "start",
        started.map_err(|e| e.kind()),
        Err(ErrorKind::InvalidInput),
    )?;
    runtime.start("small", &pipeline(), Value::Null).await?;
    let sent = runtime.signal("small", "event", big).await;
    same(
        "signal",
        sent.map_err(|e| e.kind()),
        Err(ErrorKind::InvalidInput),
    )
}

async fn keyed(cx: &dyn DurableContext, _: Value) -> StepResult {
    let one = cx.step_with("key", Value::Null, quick(2)).await?;
    let two = cx.step_with("key", Value::Null, quick(2)).await?;
    Ok(json!([one, two]))
}

async fn key(stage: Stage, cx: &dyn StepContext, _: Value) -> Result<String> {
    stage.note(cx.idempotency_key());
    if cx.attempt() == 1 {
        return Err(Error::new(ErrorKind::Unavailable, "again"));
    }
    if stage.log().len() == 2 {
        stage.pass().await;
    }
    Ok(cx.idempotency_key())
}

/// The key is the same over attempts and crashes, and another one for another step and another run.
pub async fn the_idempotency_key_is_stable(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, keyed)
        .step_with("key", &stage, key);
    runtime.start("run", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &registry);
    eventually("attempt 2", || async { Ok(stage.log().len() == 2) }).await?;
    worker.kill().await;
    stage.open();
    let other = run(&runtime, &registry, "other", Value::Null).await??;
    let result = ended(&runtime, "run").await?;
    // The worker that ended the other run may have left this one on its way.
    let result = match result {
        Ok(value) => value,
        Err(error) => return Err(error.into()),
    };
    let mut keys: Vec<String> = Vec::new();
    for value in [&result[0], &result[1], &other[0], &other[1]] {
        keys.push(value.as_str().unwrap_or_default().to_owned());
    }
    check(keys.iter().all(|key| key.len() == 32), "32 digits")?;
    same("attempts with the first key", stage.count(&keys[0]), 3)?;
    keys.sort();
    keys.dedup();
    same("different keys", keys.len(), 4)
}

async fn beats(cx: &dyn DurableContext, _: Value) -> StepResult {
    cx.step_with("beats", Value::Null, quick(2)).await
}

async fn beat(stage: Stage, cx: &dyn StepContext, _: Value) -> Result<Value> {
    let last = cx.last_heartbeat();
    stage.note(format!("{} after {last:?}", cx.attempt()));
    if cx.attempt() == 1 {
        cx.heartbeat(json!({"poll": 1})).await;
        return Err(Error::new(ErrorKind::Unavailable, "again"));
    }
    if stage.log().len() == 2 {
        cx.heartbeat(json!({"poll": 2})).await;
        stage.note("hangs");
        stage.pass().await;
    }
    Ok(last.unwrap_or_default())
}

/// What a heartbeat told is there for the next attempt and after a crash.
pub async fn progress_survives_an_attempt(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, beats)
        .step_with("beats", &stage, beat);
    runtime.start("run", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &registry);
    stage.saw("hangs").await?;
    worker.kill().await;
    let worker = Worker::start(&runtime, &registry);
    same(
        "last heartbeat",
        ended(&runtime, "run").await?,
        Ok(json!({"poll": 2})),
    )?;
    worker.stop().await?;
    let second = format!("2 after {:?}", Some(json!({"poll": 1})));
    check(
        stage.count(&second) == 1,
        "the first attempt's heartbeat is lost",
    )
}

async fn slow(cx: &dyn DurableContext, input: Value) -> StepResult {
    let mut policy = quick(2).timeout(Duration::from_millis(100));
    if input == "heartbeat" {
        policy = quick(1).heartbeat(Duration::from_millis(200));
        let alive = cx.step_with("alive", Value::Null, policy.clone()).await?;
        same("alive", alive, json!("alive"))?;
    }
    cx.step_with("hangs", Value::Null, policy).await
}

async fn hangs(stage: Stage, cx: &dyn StepContext, _: Value) -> Result<Value> {
    stage.note(format!("hangs {}", cx.attempt()));
    std::future::pending().await
}

async fn alive(cx: &dyn StepContext, _: Value) -> Result<&'static str> {
    for beat in 0..10 {
        cx.sleep(Duration::from_millis(50)).await?;
        cx.heartbeat(json!(beat)).await;
    }
    Ok("alive")
}

fn slow_registry(stage: &Stage) -> Registry {
    Registry::new()
        .pipeline("tested", 1, slow)
        .step_with("hangs", stage, hangs)
        .step("alive", alive)
}

/// A body that hangs is dropped at its deadline and tried again.
pub async fn an_attempt_has_a_deadline(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let result = run(&runtime, &slow_registry(&stage), "run", Value::Null).await?;
    let kind = result.map_err(|error| error.kind);
    same("kind", kind, Err(StepErrorKind::TimedOut))?;
    same(
        "log",
        stage.log(),
        ["hangs 1", "hangs 2"].map(String::from).to_vec(),
    )
}

/// A body that gives heartbeats lives as long as it wants; one that gives none is dropped.
pub async fn a_missing_heartbeat_ends_an_attempt(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let result = run(&runtime, &slow_registry(&stage), "run", json!("heartbeat")).await?;
    let kind = result.map_err(|error| error.kind);
    same("kind", kind, Err(StepErrorKind::TimedOut))?;
    same("attempts", stage.count("hangs 1"), 1)
}
