//! The bodies of steps that run: each in a task of its own, with its deadline, its heartbeat and its way to stop.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tracing::Instrument;

use super::super::policy::{StepError, StepPolicy};
use super::super::port::{BoxFut, CancelReason, StepContext, StepResult};
use super::super::registry::ErasedStep;
use super::super::timer::{Busy, RunTimer, locked};
use super::context::{check_size, fitting, later};
use super::{Host, Message};

/// How often the progress of a step is kept at most.
const KEEP_EVERY_MS: u64 = 1_000;

/// What a body is to do.
pub(super) struct Order {
    pub(super) run: String,
    pub(super) call: u64,
    pub(super) step: String,
    pub(super) attempt: u32,
    pub(super) input: Value,
    pub(super) policy: StepPolicy,
    pub(super) body: ErasedStep,
}

/// A body that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) call: u64,
    pub(super) step: String,
    pub(super) attempt: u32,
    pub(super) policy: StepPolicy,
    /// Why it was told to stop, when it was.
    pub(super) stopped: Option<CancelReason>,
    /// What it returned. `None`: it used up its grace and was dropped.
    pub(super) result: Option<StepResult>,
}

struct Running {
    call: u64,
    attempt: u32,
    policy: StepPolicy,
    shared: Arc<Shared>,
    abort: AbortHandle,
    deadline_ms: u64,
    /// Why it was told to stop, and when it is dropped.
    stop: Option<(CancelReason, u64)>,
}

/// The bodies of one run.
pub(super) struct Bodies {
    host: Arc<dyn Host>,
    timer: Arc<dyn RunTimer>,
    sender: mpsc::UnboundedSender<Message>,
    next: u64,
    running: BTreeMap<u64, Running>,
    beats: BTreeMap<u64, Value>,
    tasks: JoinSet<()>,
}

impl Bodies {
    pub(super) fn new(host: Arc<dyn Host>, sender: mpsc::UnboundedSender<Message>) -> Self {
        let timer = host.timer();
        Self {
            host,
            timer,
            sender,
            next: 0,
            running: BTreeMap::new(),
            beats: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Takes over the progress that was kept before.
    pub(super) fn set_beats(&mut self, beats: BTreeMap<u64, Value>) {
        self.beats = beats;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether the call has a body.
    pub(super) fn has(&self, call: u64) -> bool {
        self.running.values().any(|body| body.call == call)
    }

    /// Whether a body that nobody wants any more still runs.
    pub(super) fn has_dropped(&self) -> bool {
        self.running
            .values()
            .any(|body| matches!(body.stop, Some((CancelReason::Dropped, _))))
    }

    /// Starts a body.
    pub(super) fn start(&mut self, order: Order) {
        let now = self.timer.now_ms();
        let shared = Arc::new(Shared {
            run: order.run,
            call: order.call,
            step: order.step,
            attempt: order.attempt,
            last: self.beats.get(&order.call).cloned(),
            timer: Arc::clone(&self.timer),
            host: Arc::clone(&self.host),
            stop: watch::Sender::new(None),
            beat: Mutex::new(Beat {
                at_ms: now,
                kept_ms: None,
                progress: None,
            }),
            busy: Mutex::new(Some(self.timer.busy())),
            told: Mutex::new(None),
        });
        let id = self.next;
        self.next += 1;
        let deadline_ms = later(now, order.policy.attempt_timeout);
        let task = run_body(
            id,
            Arc::clone(&shared),
            order.body,
            order.input,
            self.sender.clone(),
        );
        let running = Running {
            call: order.call,
            attempt: order.attempt,
            policy: order.policy,
            shared,
            abort: self.tasks.spawn(task),
            deadline_ms,
            stop: None,
        };
        self.running.insert(id, running);
    }

    /// Tells the bodies for which `which` holds to stop; they have their grace.
    pub(super) fn stop(&mut self, reason: CancelReason, which: impl Fn(u64, &StepPolicy) -> bool) {
        let now = self.timer.now_ms();
        for body in self.running.values_mut() {
            if body.stop.is_none() && which(body.call, &body.policy) {
                body.tell(reason, now);
            }
        }
    }

    /// Drops every body at once.
    pub(super) fn abort_all(&mut self) {
        self.running.clear();
        self.tasks.abort_all();
    }

    /// When something has to be done next.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.running.values().map(Running::due_ms).min()
    }

    /// Does what is due: tells bodies that took too long, drops those that used up their grace. Answers the dropped.
    pub(super) fn tick(&mut self) -> Vec<Ended> {
        let now = self.timer.now_ms();
        let mut gone = Vec::new();
        for (id, body) in &mut self.running {
            if body.due_ms() > now {
                continue;
            }
            if body.stop.is_some() {
                body.abort.abort();
                gone.push(*id);
            } else {
                body.tell(CancelReason::TimedOut, now);
            }
        }
        while self.tasks.try_join_next().is_some() {}
        gone.into_iter()
            .filter_map(|id| self.take(id, None))
            .collect()
    }

    /// Takes out a body that ended by itself. `None` for one that was dropped before.
    pub(super) fn ended(&mut self, id: u64, result: StepResult) -> Option<Ended> {
        self.take(id, Some(result))
    }

    fn take(&mut self, id: u64, result: Option<StepResult>) -> Option<Ended> {
        let body = self.running.remove(&id)?;
        let progress = locked(&body.shared.beat).progress.take();
        if let Some(progress) = progress {
            self.beats.insert(body.call, progress);
        }
        Some(Ended {
            call: body.call,
            step: body.shared.step.clone(),
            attempt: body.attempt,
            policy: body.policy,
            stopped: body.stop.map(|(reason, _)| reason),
            result,
        })
    }
}

impl Running {
    fn tell(&mut self, reason: CancelReason, now_ms: u64) {
        self.stop = Some((reason, later(now_ms, self.policy.grace)));
        *locked(&self.shared.told) = Some(self.shared.timer.busy());
        self.shared.stop.send_replace(Some(reason));
    }

    fn due_ms(&self) -> u64 {
        if let Some((_, drop_ms)) = self.stop {
            return drop_ms;
        }
        let silent_ms = self.policy.heartbeat_timeout.map_or(u64::MAX, |timeout| {
            later(locked(&self.shared.beat).at_ms, timeout)
        });
        self.deadline_ms.min(silent_ms)
    }
}

async fn run_body(
    id: u64,
    shared: Arc<Shared>,
    body: ErasedStep,
    input: Value,
    sender: mpsc::UnboundedSender<Message>,
) {
    let step = Arc::clone(&shared);
    let running = async { caught(&step.step, || body(&*step, input)).await };
    let span = tracing::info_span!(
        "step",
        run = shared.run,
        step = shared.step,
        attempt = shared.attempt
    );
    let result = running.instrument(span).await;
    let result = fitting(&format!("the result of step {}", shared.step), result);
    // From here on it is the message that keeps the clock standing.
    let busy = shared.timer.busy();
    let done = (locked(&shared.busy).take(), locked(&shared.told).take());
    drop(done);
    // When nobody listens any more, the worker is gone.
    let _ = sender.send(Message::Ended {
        body: id,
        result,
        busy,
    });
}

/// Runs what may panic; a panic becomes an error with its text.
async fn caught<'a>(what: &str, body: impl FnOnce() -> BoxFut<'a, StepResult>) -> StepResult {
    let what = format!("step {what}");
    let made = std::panic::catch_unwind(AssertUnwindSafe(body));
    let running = made.map_err(|panic| StepError::panicked(&what, panic_text(&*panic)))?;
    AssertUnwindSafe(running)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(StepError::panicked(&what, panic_text(&*panic))))
}

/// The text of a panic.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

/// What a body and its driver share; the [`StepContext`] of the body.
struct Shared {
    run: String,
    call: u64,
    step: String,
    attempt: u32,
    last: Option<Value>,
    timer: Arc<dyn RunTimer>,
    host: Arc<dyn Host>,
    stop: watch::Sender<Option<CancelReason>>,
    beat: Mutex<Beat>,
    busy: Mutex<Option<Busy>>,
    /// Keeps a virtual clock standing between the word to stop and the moment the body hears it.
    told: Mutex<Option<Busy>>,
}

struct Beat {
    at_ms: u64,
    kept_ms: Option<u64>,
    progress: Option<Value>,
}

impl Shared {
    async fn told(&self) -> CancelReason {
        let mut stop = self.stop.subscribe();
        loop {
            if let Some(reason) = *stop.borrow_and_update() {
                return reason;
            }
            if stop.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Lets a virtual clock move while `wait` is waited for.
    async fn idle<T>(&self, wait: impl Future<Output = T> + Send) -> T {
        let resting = Resting {
            shared: self,
            busy: locked(&self.busy).take(),
        };
        let resting = resting.rest();
        let output = wait.await;
        drop(resting);
        output
    }
}

/// While it lives the body counts as waiting.
struct Resting<'a> {
    shared: &'a Shared,
    busy: Option<Busy>,
}

impl Resting<'_> {
    fn rest(mut self) -> Self {
        drop(self.busy.take());
        self
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        *locked(&self.shared.busy) = Some(self.shared.timer.busy());
        let told = locked(&self.shared.told).take();
        drop(told);
    }
}

impl StepContext for Shared {
    fn run_id(&self) -> &str {
        &self.run
    }

    fn step(&self) -> &str {
        &self.step
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn idempotency_key(&self) -> String {
        let digest = Sha256::digest(format!("{}\n{}\n{}", self.run, self.call, self.step));
        digest[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn heartbeat<'a>(&'a self, progress: Value) -> BoxFut<'a, ()> {
        Box::pin(async move {
            if let Err(error) = check_size("a heartbeat", &progress) {
                tracing::warn!(run = self.run, step = self.step, %error, "a heartbeat was not kept");
                return;
            }
            let now = self.timer.now_ms();
            let keep = {
                let mut beat = locked(&self.beat);
                beat.at_ms = now;
                beat.progress = Some(progress.clone());
                let keep = beat
                    .kept_ms
                    .is_none_or(|kept| now >= kept.saturating_add(KEEP_EVERY_MS));
                if keep {
                    beat.kept_ms = Some(now);
                }
                keep
            };
            if keep && let Err(error) = self.host.beat(&self.run, self.call, &progress).await {
                tracing::warn!(run = self.run, step = self.step, %error, "a heartbeat was not kept");
            }
        })
    }

    fn last_heartbeat(&self) -> Option<Value> {
        self.last.clone()
    }

    fn cancelled<'a>(&'a self) -> BoxFut<'a, CancelReason> {
        Box::pin(self.told())
    }

    fn cancel_reason(&self) -> Option<CancelReason> {
        *self.stop.borrow()
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFut<'a, Result<(), StepError>> {
        let sleeping = self.timer.sleep_until(later(self.timer.now_ms(), duration));
        Box::pin(async move {
            let (slept, woken) = self
                .idle(async {
                    tokio::select! {
                        biased;
                        _ = self.told() => (Err(StepError::cancelled()), None),
                        woken = sleeping => (Ok(()), Some(woken)),
                    }
                })
                .await;
            drop(woken);
            slept
        })
    }
}
