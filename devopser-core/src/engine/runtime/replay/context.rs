//! What the pipeline sees, and the state it shares with its driver.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::MAX_PAYLOAD;
use super::super::policy::{StepError, StepPolicy};
use super::super::port::{BoxFut, DurableContext, StepResult};
use super::super::timer::locked;
use crate::ErrorKind;

/// What a call ends with: a step with its value, a wait with its signal, a sleep with nothing.
pub(super) type CallResult = Result<Option<Value>, StepError>;

/// What the pipeline asked for.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Step {
        step: String,
        input: Value,
        policy: StepPolicy,
    },
    Sleep {
        until_ms: u64,
    },
    Wait {
        event: String,
        until_ms: u64,
    },
}

impl Asked {
    /// The same text as [`Event::label`](super::Event::label) of what ends it.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Step { step, .. } => format!("step {step}"),
            Self::Sleep { .. } => "sleep".to_owned(),
            Self::Wait { event, .. } => format!("wait for {event}"),
        }
    }

    pub(super) fn is_step(&self) -> bool {
        matches!(self, Self::Step { .. })
    }

    /// Whether a cancel leaves it alone.
    pub(super) fn is_shielded(&self) -> bool {
        matches!(self, Self::Step { policy, .. } if policy.shielded)
    }
}

/// A call that the pipeline made and has not got the result of.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) asked: Asked,
    outcome: Option<CallResult>,
    waker: Option<Waker>,
}

impl Call {
    /// Whether the driver still has to end it.
    pub(super) fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    pub(super) fn end(&mut self, outcome: CallResult) {
        self.outcome = Some(outcome);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// What the pipeline and its driver share.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) calls: BTreeMap<u64, Call>,
    /// Calls that were dropped before they ended.
    pub(super) dropped: Vec<u64>,
    /// What is to be shown and is not yet kept.
    pub(super) shown: Vec<(String, Value)>,
    /// Changes that the journal knows of.
    pub(super) patched: BTreeSet<String>,
    /// Changes that are answered already.
    pub(super) answers: BTreeMap<String, bool>,
    /// Changes that wait for their record.
    pub(super) asked_patches: BTreeMap<String, Vec<Waker>>,
    pub(super) now_ms: u64,
    pub(super) cancelled: bool,
    pub(super) replaying: bool,
    next_call: u64,
    next_uuid: u64,
}

impl State {
    /// The state of a run that begins.
    pub(super) fn at(now_ms: u64) -> Self {
        Self {
            now_ms,
            ..Self::default()
        }
    }

    /// Whether the pipeline waits for something that can come.
    pub(super) fn waits(&self) -> bool {
        self.calls.values().any(Call::is_open) || !self.asked_patches.is_empty()
    }

    fn call(&mut self, asked: Asked) -> u64 {
        let number = self.next_call;
        self.next_call += 1;
        let outcome = self.outcome_at_once(&asked);
        let call = Call {
            asked,
            outcome,
            waker: None,
        };
        self.calls.insert(number, call);
        number
    }

    fn outcome_at_once(&self, asked: &Asked) -> Option<CallResult> {
        if self.cancelled && !asked.is_shielded() {
            return Some(Err(StepError::cancelled()));
        }
        match asked {
            Asked::Step { step, input, .. } => {
                check_size(&format!("the input of step {step}"), input).err()
            }
            Asked::Sleep { .. } | Asked::Wait { .. } => None,
        }
        .map(Err)
    }

    /// Marks the run as cancelled; what only waits ends at once.
    pub(super) fn cancel(&mut self) {
        self.cancelled = true;
        for call in self.calls.values_mut() {
            if call.is_open() && !matches!(call.asked, Asked::Step { .. }) {
                call.end(Err(StepError::cancelled()));
            }
        }
    }

    /// Answers a change that was asked for.
    pub(super) fn patch(&mut self, id: &str) {
        self.answers.insert(id.to_owned(), true);
        for waker in self.asked_patches.remove(id).unwrap_or_default() {
            waker.wake();
        }
    }
}

/// Refuses what is bigger than [`MAX_PAYLOAD`].
pub(in super::super) fn check_size(what: &str, value: &Value) -> Result<(), StepError> {
    let size = size_of_json(value);
    if size <= MAX_PAYLOAD {
        return Ok(());
    }
    let text = format!(
        "{what} measures {size} bytes; at most {MAX_PAYLOAD} may pass: keep it elsewhere and pass a reference"
    );
    Err(StepError::runtime(ErrorKind::InvalidInput, text))
}

/// A result that may pass: one that is too big becomes an error, an error that is too big becomes shorter.
pub(super) fn fitting(what: &str, result: StepResult) -> StepResult {
    match result {
        Ok(value) => check_size(what, &value).map(|()| value),
        Err(error) if size_of_json(&error) > MAX_PAYLOAD => Err(error.shortened()),
        Err(error) => Err(error),
    }
}

fn size_of_json<T: Serialize>(value: &T) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

/// The [`DurableContext`] of a run that is driven here.
pub(super) struct RunContext {
    run: String,
    seed: String,
    state: Arc<Mutex<State>>,
}

impl RunContext {
    pub(super) fn new(run: &str, seed: &str, state: Arc<Mutex<State>>) -> Self {
        Self {
            run: run.to_owned(),
            seed: seed.to_owned(),
            state,
        }
    }

    fn call(&self, asked: impl FnOnce(&State) -> Asked) -> Pending {
        let mut state = locked(&self.state);
        let asked = asked(&state);
        let number = state.call(asked);
        drop(state);
        Pending {
            state: Arc::clone(&self.state),
            number,
            ended: false,
        }
    }
}

impl DurableContext for RunContext {
    fn run_id(&self) -> &str {
        &self.run
    }

    fn step_with<'a>(
        &'a self,
        name: &str,
        input: Value,
        policy: StepPolicy,
    ) -> BoxFut<'a, StepResult> {
        let step = name.to_owned();
        let call = self.call(|_| Asked::Step {
            step,
            input,
            policy,
        });
        Box::pin(async move { Ok(call.await?.unwrap_or(Value::Null)) })
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFut<'a, Result<(), StepError>> {
        let call = self.call(|state| Asked::Sleep {
            until_ms: later(state.now_ms, duration),
        });
        Box::pin(async move { call.await.map(|_| ()) })
    }

    fn wait_for<'a>(
        &'a self,
        event: &str,
        timeout: Duration,
    ) -> BoxFut<'a, Result<Option<Value>, StepError>> {
        let event = event.to_owned();
        Box::pin(self.call(|state| Asked::Wait {
            event,
            until_ms: later(state.now_ms, timeout),
        }))
    }

    fn now_ms(&self) -> u64 {
        locked(&self.state).now_ms
    }

    fn uuid(&self) -> String {
        let number = {
            let mut state = locked(&self.state);
            state.next_uuid += 1;
            state.next_uuid
        };
        let digest = Sha256::digest(format!("{}/{number}", self.seed));
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string()
    }

    fn patched<'a>(&'a self, id: &str) -> BoxFut<'a, bool> {
        let id = id.to_owned();
        {
            let mut state = locked(&self.state);
            if !state.answers.contains_key(&id) {
                if state.replaying && !state.patched.contains(&id) {
                    state.answers.insert(id.clone(), false);
                } else {
                    state.asked_patches.entry(id.clone()).or_default();
                }
            }
        }
        Box::pin(poll_fn(move |cx| {
            let mut state = locked(&self.state);
            if let Some(answer) = state.answers.get(&id) {
                return Poll::Ready(*answer);
            }
            let wakers = state.asked_patches.entry(id.clone()).or_default();
            wakers.push(cx.waker().clone());
            Poll::Pending
        }))
    }

    fn publish<'a>(&'a self, key: &str, value: Value) -> BoxFut<'a, Result<(), StepError>> {
        let checked = check_size(&format!("what is published as {key}"), &value);
        if checked.is_ok() {
            let mut state = locked(&self.state);
            // What was shown before a later record was kept before that record: a replay does not show it again.
            if !state.replaying {
                state.shown.push((key.to_owned(), value));
            }
        }
        Box::pin(ready(checked))
    }

    fn is_cancelled(&self) -> bool {
        locked(&self.state).cancelled
    }
}

pub(super) fn later(from_ms: u64, by: Duration) -> u64 {
    from_ms.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX))
}

/// The future of a call. Dropped before its end, it takes the call back.
struct Pending {
    state: Arc<Mutex<State>>,
    number: u64,
    ended: bool,
}

impl Future for Pending {
    type Output = CallResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CallResult> {
        let this = &mut *self;
        let mut state = locked(&this.state);
        let outcome = match state.calls.get_mut(&this.number) {
            Some(call) if call.outcome.is_none() => {
                call.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Some(call) => call.outcome.take(),
            None => None,
        };
        state.calls.remove(&this.number);
        drop(state);
        this.ended = true;
        Poll::Ready(outcome.unwrap_or_else(|| Err(StepError::cancelled())))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.ended {
            let mut state = locked(&self.state);
            let open = state
                .calls
                .remove(&self.number)
                .is_some_and(|call| call.is_open());
            if open {
                state.dropped.push(self.number);
            }
        }
    }
}
