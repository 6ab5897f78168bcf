//! Runs: how they start, wait, and are replayed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::{
    DurableContext, PipelineName, Registry, RunState, Started, StepContext, StepResult, join_all,
};
use super::kit::{
    Runtime, Stage, Worker, check, ended, eventually, gated, pipeline, plain, run, same,
};
use crate::{ErrorKind, Result};

const HOUR: Duration = Duration::from_secs(3600);

async fn echo(cx: &dyn DurableContext, input: Value) -> StepResult {
    cx.step("echo", input).await
}

fn echo_registry(stage: &Stage) -> Registry {
    Registry::new()
        .pipeline("tested", 1, echo)
        .step_with("echo", stage, plain)
}

/// A second start of an id changes nothing, before and after the run's end.
pub async fn a_start_can_be_repeated(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let first = runtime.start("run", &pipeline(), json!(1)).await?;
    same("first", first, Started::New)?;
    let again = runtime.start("run", &pipeline(), json!(2)).await?;
    same("again", again, Started::Attached)?;
    let worker = Worker::start(&runtime, &echo_registry(&stage));
    same("result", ended(&runtime, "run").await?, Ok(json!(1)))?;
    let late = runtime.start("run", &pipeline(), json!(3)).await?;
    same("late", late, Started::Attached)?;
    same("late result", ended(&runtime, "run").await?, Ok(json!(1)))?;
    let empty = runtime.start("", &pipeline(), json!(3)).await;
    same(
        "empty",
        empty.map_err(|e| e.kind()),
        Err(ErrorKind::InvalidInput),
    )?;
    worker.stop().await?;
    same("bodies", stage.count("echo"), 1)
}

async fn listens(cx: &dyn DurableContext, _: Value) -> StepResult {
    let mut heard = Vec::new();
    for event in ["a", "b", "a", "c"] {
        let wait = if event == "c" {
            Duration::from_millis(50)
        } else {
            HOUR
        };
        heard.push(cx.wait_for(event, wait).await?);
    }
    Ok(json!(heard))
}

/// Signals sent while nobody runs are there later, each once and in order; a wait without one ends with nothing.
pub async fn a_signal_waits_for_its_taker(runtime: Runtime) -> Result<()> {
    let registry = Registry::new().pipeline("tested", 1, listens);
    runtime.start("run", &pipeline(), Value::Null).await?;
    runtime.signal("run", "a", json!(1)).await?;
    runtime.signal("run", "a", json!(2)).await?;
    let worker = Worker::start(&runtime, &registry);
    let taken = || async { Ok(runtime.describe("run").await?.state == RunState::Running) };
    eventually("the run is taken", taken).await?;
    worker.kill().await;
    runtime.signal("run", "b", json!(3)).await?;
    let worker = Worker::start(&runtime, &registry);
    same(
        "heard",
        ended(&runtime, "run").await?,
        Ok(json!([1, 3, 2, null])),
    )?;
    worker.stop().await
}

async fn sleeps(cx: &dyn DurableContext, _: Value) -> StepResult {
    let begun = cx.now_ms();
    cx.sleep(Duration::from_millis(1500)).await?;
    Ok(json!(cx.now_ms() - begun))
}

/// A sleep counts from its beginning, not from a restart in its middle.
pub async fn a_timer_goes_on_over_a_restart(runtime: Runtime) -> Result<()> {
    let registry = Registry::new().pipeline("tested", 1, sleeps);
    let begun = Instant::now();
    runtime.start("run", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &registry);
    tokio::time::sleep(Duration::from_millis(700)).await;
    worker.kill().await;
    let worker = Worker::start(&runtime, &registry);
    let slept = ended(&runtime, "run").await??;
    let took = begun.elapsed();
    worker.stop().await?;
    check(slept.as_u64() >= Some(1500), &format!("slept {slept} ms"))?;
    let whole = Duration::from_millis(1500)..Duration::from_millis(2900);
    check(whole.contains(&took), &format!("it took {took:?}"))
}

async fn measures(cx: &dyn DurableContext, _: Value) -> StepResult {
    let first = json!([cx.now_ms(), cx.uuid(), cx.uuid()]);
    cx.step("note", first.clone()).await?;
    let second = json!([cx.now_ms(), cx.uuid()]);
    cx.step("hold", Value::Null).await?;
    cx.step("note", json!([first, second])).await
}

async fn note(stage: Stage, _: &dyn StepContext, input: Value) -> Result<Value> {
    stage.note(input.to_string());
    Ok(input)
}

/// The clock and the random ids of a run say the same in a replay.
pub async fn time_and_ids_are_the_same_in_a_replay(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, measures)
        .step_with("note", &stage, note)
        .step_with("hold", &stage, gated);
    runtime.start("run", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &registry);
    stage.saw("hold").await?;
    let seen = stage.log().remove(0);
    worker.kill().await;
    stage.open();
    let worker = Worker::start(&runtime, &registry);
    let result = ended(&runtime, "run").await??;
    worker.stop().await?;
    same("first", result[0].to_string(), seen)?;
    let ids = [&result[0][1], &result[0][2], &result[1][1]].map(Value::to_string);
    check(ids[0] != ids[1] && ids[1] != ids[2], "ids come twice")?;
    check(
        result[1][0].as_u64() >= result[0][0].as_u64(),
        "time goes back",
    )
}

const BRANCHES: u64 = 6;

async fn branches(cx: &dyn DurableContext, _: Value) -> StepResult {
    let all = (0..BRANCHES).map(|branch| async move {
        let mut value = branch;
        for part in 0..3 {
            let input = json!([branch, part, value]);
            let output = cx.step("part", input).await?;
            value = output.as_u64().unwrap_or_default();
            if (branch + part) % 3 == 0 {
                cx.sleep(Duration::from_millis(5)).await?;
            }
        }
        Ok::<_, super::super::StepError>(value)
    });
    let values: std::result::Result<Vec<u64>, _> = join_all(all).await.into_iter().collect();
    Ok(json!(values?))
}

async fn part(stage: Stage, _: &dyn StepContext, input: Value) -> Result<u64> {
    let number = |at: usize| input[at].as_u64().unwrap_or_default();
    // The later branches are faster: the order of ends is not the order of calls.
    tokio::time::sleep(Duration::from_millis(40 - 6 * number(0))).await;
    stage.note(format!("{}/{}", number(0), number(1)));
    Ok(number(2) + 10)
}

/// Branches of several steps that end in any order survive any number of crashes.
pub async fn concurrent_branches_replay_in_the_same_order(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, branches)
        .step_with("part", &stage, part);
    runtime.start("run", &pipeline(), Value::Null).await?;
    let mut crashes = 0;
    for ends in [3, 7, 11, 16] {
        let worker = Worker::start(&runtime, &registry);
        eventually("more parts", || async { Ok(stage.log().len() >= ends) }).await?;
        worker.kill().await;
        crashes += 1;
    }
    let worker = Worker::start(&runtime, &registry);
    let wanted: Vec<u64> = (0..BRANCHES).map(|branch| branch + 30).collect();
    same("result", ended(&runtime, "run").await?, Ok(json!(wanted)))?;
    worker.stop().await?;
    // What a crash cut off, or hid, ran again: at most what ran at once, for each crash.
    let bodies = u64::try_from(stage.log().len()).unwrap_or(u64::MAX);
    let most = BRANCHES * 3 + crashes * BRANCHES;
    check(
        (BRANCHES * 3..=most).contains(&bodies),
        &format!("{bodies} bodies"),
    )
}

async fn before_the_change(cx: &dyn DurableContext, _: Value) -> StepResult {
    cx.step("one", json!("old")).await?;
    cx.step("hold", json!("old")).await?;
    cx.step("end", json!("old")).await
}

async fn after_the_change(cx: &dyn DurableContext, _: Value) -> StepResult {
    let new = cx.patched("better").await;
    if new {
        cx.step("extra", Value::Null).await?;
    }
    cx.step("one", json!("old")).await?;
    cx.step("hold", json!("old")).await?;
    let again = cx.patched("better").await;
    same("answers", again, new)?;
    cx.step("end", json!(if new { "new" } else { "old" })).await
}

fn change_registry(stage: &Stage, registry: Registry) -> Registry {
    registry
        .step_with("one", stage, plain)
        .step_with("hold", stage, gated)
        .step_with("end", stage, plain)
        .step_with("extra", stage, plain)
}

/// A run that passed the place of a change keeps to the old code; a new one takes the new code, also after a crash.
pub async fn a_change_is_taken_by_new_runs_only(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let old = Registry::new().pipeline("tested", 1, before_the_change);
    let new = Registry::new().pipeline("tested", 1, after_the_change);
    let (old, new) = (change_registry(&stage, old), change_registry(&stage, new));
    runtime.start("old", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &old);
    stage.saw("hold").await?;
    worker.kill().await;
    runtime.start("new", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &new);
    let both = || async { Ok(stage.count("hold") == 3) };
    eventually("both hold", both).await?;
    worker.kill().await;
    stage.open();
    let worker = Worker::start(&runtime, &new);
    same("old run", ended(&runtime, "old").await?, Ok(json!("old")))?;
    same("new run", ended(&runtime, "new").await?, Ok(json!("new")))?;
    worker.stop().await?;
    same("extra", stage.count("extra"), 1)
}

async fn other_code(cx: &dyn DurableContext, _: Value) -> StepResult {
    cx.step("another", Value::Null).await
}

/// A journal that the code does not fit ends the run with an error that says so.
pub async fn changed_code_is_noticed(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let old = Registry::new().pipeline("tested", 1, before_the_change);
    let new = Registry::new().pipeline("tested", 1, other_code);
    let (old, new) = (change_registry(&stage, old), change_registry(&stage, new));
    runtime.start("run", &pipeline(), Value::Null).await?;
    let worker = Worker::start(&runtime, &old);
    stage.saw("hold").await?;
    worker.kill().await;
    let worker = Worker::start(&runtime, &new);
    let result = ended(&runtime, "run").await?;
    worker.stop().await?;
    let text = result.err().map(|error| error.error.message.clone());
    let text = text.unwrap_or_default();
    check(
        text.contains("step one") && text.contains("step another"),
        &text,
    )
}

async fn strays(_: &dyn DurableContext, _: Value) -> StepResult {
    tokio::time::sleep(HOUR).await;
    Ok(Value::Null)
}

/// A pipeline that waits for something of its own ends with an error instead of never.
pub async fn a_foreign_wait_is_noticed(runtime: Runtime) -> Result<()> {
    let registry = Registry::new().pipeline("tested", 1, strays);
    let result = run(&runtime, &registry, "run", Value::Null).await?;
    let text = result.err().map(|error| error.error.message.clone());
    let text = text.unwrap_or_default();
    check(text.contains("no call of its context"), &text)
}

/// A second worker on the same runtime is refused; every run has one body for its one step.
pub async fn a_run_is_taken_by_one_worker_only(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = echo_registry(&stage);
    let worker = Worker::start(&runtime, &registry);
    for number in 0..20 {
        let id = format!("run-{number}");
        runtime.start(&id, &pipeline(), json!(number)).await?;
    }
    for number in 0..20 {
        let result = ended(&runtime, &format!("run-{number}")).await?;
        same("result", result, Ok(json!(number)))?;
    }
    let second = Worker::start(&runtime, &registry).stop().await;
    same(
        "second",
        second.map_err(|e| e.kind()),
        Err(ErrorKind::Conflict),
    )?;
    worker.stop().await?;
    same("bodies", stage.count("echo"), 20)
}

/// A worker that does not know a version leaves its runs to one that does.
pub async fn an_unknown_version_is_left_alone(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let next = PipelineName::new("tested", 2);
    runtime.start("next", &next, json!(2)).await?;
    same(
        "known run",
        run(&runtime, &echo_registry(&stage), "known", json!(1)).await?,
        Ok(json!(1)),
    )?;
    same(
        "state",
        runtime.describe("next").await?.state,
        RunState::Pending,
    )?;
    let registry = echo_registry(&stage).pipeline("tested", 2, echo);
    let worker = Worker::start(&runtime, &registry);
    same("next run", ended(&runtime, "next").await?, Ok(json!(2)))?;
    worker.stop().await
}

/// Every call that takes an id says when there is no such run.
pub async fn an_unknown_run_is_not_found(runtime: Runtime) -> Result<()> {
    let kinds = [
        runtime.signal("no", "event", Value::Null).await,
        runtime.cancel("no").await,
        runtime.terminate("no").await,
        runtime.describe("no").await.map(|_| ()),
        runtime.progress("no", "key").await.map(|_| ()),
        runtime.result("no").await.map(|_| ()).map_err(Into::into),
    ]
    .map(|answer| answer.map_err(|error| error.kind()));
    same("kinds", kinds, [Err(ErrorKind::NotFound); 6])
}

/// Runs that ended before a time are forgotten, and their ids can be started anew; open ones stay.
pub async fn only_ended_runs_are_forgotten(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    for id in ["one", "two"] {
        run(&runtime, &echo_registry(&stage), id, json!(1)).await??;
    }
    runtime.start("open", &pipeline(), json!(2)).await?;
    let at = runtime.describe("one").await?.ended_at_ms.unwrap_or(0);
    same("none", runtime.forget_ended(at, 10).await?, 0)?;
    same("one", runtime.forget_ended(u64::MAX, 1).await?, 1)?;
    same("other", runtime.forget_ended(u64::MAX, 10).await?, 1)?;
    let left = runtime.list("", 10).await?;
    let left: Vec<&str> = left.iter().map(|run| run.id.as_str()).collect();
    same("left", left, vec!["open"])?;
    let again = runtime.start("one", &pipeline(), json!(3)).await?;
    same("again", again, Started::New)
}

/// A run that ended takes no signal; a cancel or a forced end changes nothing.
pub async fn ended_runs_take_no_signals(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    run(&runtime, &echo_registry(&stage), "run", json!(1)).await??;
    let signal = runtime.signal("run", "event", Value::Null).await;
    same(
        "signal",
        signal.map_err(|e| e.kind()),
        Err(ErrorKind::Conflict),
    )?;
    let reserved = runtime.signal("run", "devopser.cancel", Value::Null).await;
    same(
        "reserved",
        reserved.map_err(|e| e.kind()),
        Err(ErrorKind::InvalidInput),
    )?;
    runtime.cancel("run").await?;
    runtime.terminate("run").await?;
    same(
        "state",
        runtime.describe("run").await?.state,
        RunState::Completed,
    )
}

async fn publishes(cx: &dyn DurableContext, _: Value) -> StepResult {
    cx.publish("at", json!("one")).await?;
    cx.step("one", Value::Null).await?;
    cx.publish("at", json!("hold")).await?;
    cx.step("hold", Value::Null).await?;
    cx.publish("at", json!("end")).await?;
    Ok(Value::Null)
}

/// The last value under a key can be read while the run goes on and after its end.
pub async fn what_is_published_can_be_read(runtime: Runtime) -> Result<()> {
    let stage = Stage::default();
    let registry = Registry::new()
        .pipeline("tested", 1, publishes)
        .step_with("one", &stage, plain)
        .step_with("hold", &stage, gated);
    runtime.start("run", &pipeline(), Value::Null).await?;
    same("nothing yet", runtime.progress("run", "at").await?, None)?;
    let worker = Worker::start(&runtime, &registry);
    stage.saw("hold").await?;
    same(
        "middle",
        runtime.progress("run", "at").await?,
        Some(json!("hold")),
    )?;
    stage.open();
    ended(&runtime, "run").await??;
    worker.stop().await?;
    same(
        "end",
        runtime.progress("run", "at").await?,
        Some(json!("end")),
    )
}

/// Runs are found by the beginning of their id, the newest first, up to the limit.
pub async fn runs_are_listed_by_the_beginning_of_their_id(runtime: Runtime) -> Result<()> {
    for id in ["a-1", "b-1", "a-2", "a-3"] {
        runtime.start(id, &pipeline(), Value::Null).await?;
        // The order is by milliseconds.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let found = runtime.list("a-", 2).await?;
    let ids: Vec<String> = found.iter().map(|run| run.id.clone()).collect();
    same("ids", ids, vec!["a-3".to_owned(), "a-2".to_owned()])?;
    same(
        "pipeline",
        found[0].pipeline.clone(),
        pipeline().to_string(),
    )?;
    same("state", found[0].state, RunState::Pending)?;
    let stage = Stage::default();
    run(&runtime, &echo_registry(&stage), "a-4", json!(4)).await??;
    let newest = runtime.list("a-4", 10).await?;
    same("output", newest[0].output.clone(), Some(json!(4)))?;
    check(newest[0].ended_at_ms.is_some(), "no time of its end")
}
