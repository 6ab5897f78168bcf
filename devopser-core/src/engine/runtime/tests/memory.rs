use std::future::{Future, ready};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::port::BoxFut;
use super::super::timer::{Busy, RunTimer};
use super::super::{
    DurableContext, DurableRuntime, MemoryRuntime, PipelineName, Registry, RunState, StepContext,
    StepErrorKind, StepPolicy, StepResult, VirtualClock, join_all,
};
use crate::clock::{Clock, SystemClock};
use crate::{Error, ErrorKind, Result};

const HOUR: Duration = Duration::from_secs(3600);

fn make() -> impl Future<Output = ((), Arc<dyn DurableRuntime>)> {
    let runtime: Arc<dyn DurableRuntime> = Arc::new(MemoryRuntime::in_real_time());
    ready(((), runtime))
}

crate::conformance_tests!(make);

type Log = Arc<Mutex<Vec<String>>>;

fn name() -> PipelineName {
    PipelineName::new("tested", 1)
}

async fn winding(cx: &dyn DurableContext, _: Value) -> StepResult {
    let begun = cx.now_ms();
    let one = cx.step("one", json!(1)).await?;
    cx.sleep(24 * HOUR).await?;
    let two = cx.step("two", one).await?;
    let silence = cx.wait_for("approval", 7 * 24 * HOUR).await?;
    let both = join_all(["left", "right"].map(|side| async move {
        let first = cx.step(side, json!(side)).await?;
        cx.step("after", first).await
    }))
    .await;
    let sides: std::result::Result<Vec<Value>, _> = both.into_iter().collect();
    let days = (cx.now_ms() - begun) / 86_400_000;
    Ok(json!([two, silence, sides?, days]))
}

async fn work(log: Log, cx: &dyn StepContext, input: Value) -> Result<Value> {
    let line = format!("{} {}", cx.step(), cx.idempotency_key());
    log.lock().expect("a log").push(line);
    if cx.step() == "two" && cx.attempt() == 1 {
        return Err(Error::new(ErrorKind::Unavailable, "not yet"));
    }
    cx.sleep(Duration::from_secs(30)).await?;
    Ok(input)
}

const STEPS: [&str; 5] = ["one", "two", "left", "right", "after"];

fn winding_registry(log: &Log) -> Registry {
    let registry = Registry::new().pipeline("tested", 1, winding);
    STEPS.iter().fold(registry, |registry, step| {
        registry.step_with(step, log, work)
    })
}

#[tokio::test]
async fn days_pass_in_no_time() {
    let begun = Instant::now();
    let log = Log::default();
    let runtime = MemoryRuntime::new();
    runtime
        .start("run", &name(), Value::Null)
        .await
        .expect("a start");
    let result = runtime.run_to_end(&winding_registry(&log), "run").await;
    assert_eq!(result, Ok(json!([1, null, ["left", "right"], 8])));
    assert_eq!(runtime.crashes(), 0);
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_step_changes_nothing() {
    for step in STEPS {
        for n in 1..=2 {
            for before in [true, false] {
                if n == 2 && step != "two" && step != "after" {
                    continue;
                }
                crash_at(step, n, before).await;
            }
        }
    }
}

async fn crash_at(step: &str, n: u32, before: bool) {
    let log = Log::default();
    let runtime = MemoryRuntime::new();
    if before {
        runtime.crash_before(step, n);
    } else {
        runtime.crash_after(step, n);
    }
    runtime
        .start("run", &name(), Value::Null)
        .await
        .expect("a start");
    let result = runtime.run_to_end(&winding_registry(&log), "run").await;
    let place = format!("{step} {n} before={before}");
    assert_eq!(
        result,
        Ok(json!([1, null, ["left", "right"], 8])),
        "{place}"
    );
    assert_eq!(runtime.crashes(), 1, "{place}");
    let mut keys = log.lock().expect("a log").clone();
    let bodies = keys.len();
    keys.sort();
    keys.dedup();
    // Six steps, one of them with two attempts; whatever ran twice had the same key both times.
    assert_eq!(keys.len(), 6, "{place}: {keys:?}");
    let cut_off = bodies - 7;
    assert!(cut_off <= 2, "{place}: {cut_off} bodies ran again");
    let repeats = runtime.journal("run");
    assert_eq!(repeats.iter().filter(|line| *line == "step one").count(), 1);
}

async fn waits(cx: &dyn DurableContext, _: Value) -> StepResult {
    let heard = cx.wait_for("go", HOUR).await?;
    let policy = StepPolicy::once().timeout(HOUR);
    let hung = cx.step_with("hangs", Value::Null, policy).await;
    Ok(json!([heard, hung.map_err(|error| error.kind).err()]))
}

async fn hangs(_: &dyn StepContext, _: Value) -> Result<Value> {
    std::future::pending().await
}

#[tokio::test]
async fn a_test_can_move_the_clock_by_hand() {
    let clock = VirtualClock::manual(0);
    let runtime = MemoryRuntime::with_clock(&clock);
    let registry = Registry::new()
        .pipeline("tested", 1, waits)
        .step("hangs", hangs);
    runtime
        .start("run", &name(), Value::Null)
        .await
        .expect("a start");
    let running = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.run_to_end(&registry, "run").await }
    });
    let begun = Instant::now();
    while runtime.describe("run").await.expect("a status").state == RunState::Pending {
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody takes it");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    clock.advance(HOUR / 2).await;
    assert!(runtime.journal("run").is_empty());
    runtime
        .signal("run", "go", json!(1))
        .await
        .expect("a signal");
    clock.advance(HOUR).await;
    clock.advance(HOUR).await;
    let result = running.await.expect("the worker");
    assert_eq!(result, Ok(json!([1, StepErrorKind::TimedOut])));
    let status = runtime.describe("run").await.expect("a status");
    assert_eq!(status.state, RunState::Completed);
}

/// A clock that has moved on by a millisecond whenever it is looked at, and that jumps over short waits.
#[derive(Debug, Default)]
struct CreepingClock(AtomicU64);

impl Clock for CreepingClock {
    fn now_ms(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

impl RunTimer for CreepingClock {
    fn sleep_until(&self, at_ms: u64) -> BoxFut<'static, Busy> {
        let far = at_ms > self.0.load(Ordering::SeqCst) + 10_000;
        if !far {
            self.0.fetch_max(at_ms, Ordering::SeqCst);
        }
        Box::pin(async move {
            if far {
                std::future::pending::<()>().await;
            }
            tokio::task::yield_now().await;
            SystemClock.busy()
        })
    }

    fn busy(&self) -> Busy {
        SystemClock.busy()
    }
}

async fn tries(cx: &dyn DurableContext, backoff_ms: Value) -> StepResult {
    let backoff = Duration::from_millis(backoff_ms.as_u64().unwrap_or_default());
    let policy = StepPolicy::default().attempts(3).backoff(backoff);
    cx.step_with("fails", Value::Null, policy).await
}

async fn fails(_: &dyn StepContext, _: Value) -> Result<Value> {
    Err(Error::new(ErrorKind::Unavailable, "not yet"))
}

#[tokio::test]
async fn an_attempt_that_becomes_due_between_two_looks_at_the_clock_begins() {
    let registry = Registry::new()
        .pipeline("tested", 1, tries)
        .step("fails", fails);
    for backoff_ms in 1..=40 {
        let runtime = MemoryRuntime::with_timer(Arc::new(CreepingClock::default()));
        let started = runtime.start("run", &name(), json!(backoff_ms)).await;
        started.expect("a start");
        let ending = runtime.run_to_end(&registry, "run");
        let result = tokio::time::timeout(Duration::from_secs(20), ending).await;
        let result = result.unwrap_or_else(|_| panic!("{backoff_ms} ms: it is waited for ever"));
        let kind = result.map_err(|error| error.kind);
        assert_eq!(kind, Err(StepErrorKind::Failed), "{backoff_ms} ms");
    }
}
