//! What the driver does next: which bodies start, what the pipeline learns.

use serde_json::Value;

use super::super::super::policy::{StepError, StepErrorKind, StepPolicy};
use super::super::super::port::CancelReason;
use super::super::super::timer::locked;
use super::super::Event;
use super::super::bodies::{Ended, Order};
use super::super::context::{Asked, State};
use super::{Driver, Stop};
use crate::{Error, ErrorKind, Retry};

impl Driver<'_> {
    /// Starts every step that has no body and is not waiting for its next attempt.
    pub(super) fn start_bodies(&mut self) -> Result<(), Stop> {
        if self.stopping || self.bodies.has_dropped() {
            return Ok(());
        }
        for (call, attempt, asked) in self.startable() {
            let Asked::Step {
                step,
                input,
                policy,
            } = asked
            else {
                continue;
            };
            let Some(body) = self.registry.find_step(&step).cloned() else {
                self.ended.push_back(unknown_step(call, step, policy));
                continue;
            };
            self.host.before_step(&step)?;
            self.bodies.start(Order {
                run: self.run.id.clone(),
                call,
                step,
                attempt,
                input,
                policy,
                body,
            });
        }
        Ok(())
    }

    /// The steps that may start: their call, the number of the attempt, and what was asked for.
    fn startable(&self) -> Vec<(u64, u32, Asked)> {
        let now = self.timer.now_ms();
        let state = locked(&self.state);
        let open = state.calls.iter().filter(|(_, call)| call.is_open());
        let free = open.filter_map(|(number, call)| {
            let (attempts, due_ms) = self.retries.get(number).copied().unwrap_or((0, 0));
            let refused = state.cancelled && !call.asked.is_shielded();
            let starts =
                call.asked.is_step() && due_ms <= now && !refused && !self.works_on(*number);
            starts.then(|| (*number, attempts + 1, call.asked.clone()))
        });
        free.collect()
    }

    /// Whether the step has a body, or one that ended and was not yet judged.
    fn works_on(&self, call: u64) -> bool {
        self.bodies.has(call) || self.ended.iter().any(|ended| ended.call == call)
    }

    /// What the pipeline can learn of now.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        let cancelled = {
            let state = locked(&self.state);
            if let Some(id) = state.asked_patches.keys().next() {
                return Some(Event::Patch { id: id.clone() });
            }
            if self.signals.cancel_came() && !state.cancelled {
                return Some(Event::Cancel);
            }
            if let Some(event) = self.refused(&state) {
                return Some(event);
            }
            state.cancelled
        };
        while let Some(ended) = self.ended.pop_front() {
            if let Some(event) = Self::judge(ended, cancelled) {
                return Some(event);
            }
        }
        self.due(&locked(&self.state))
    }

    /// A step that a cancel kept from running.
    fn refused(&self, state: &State) -> Option<Event> {
        if !state.cancelled {
            return None;
        }
        let mut open = state.calls.iter().filter(|(_, call)| call.is_open());
        open.find_map(|(number, call)| match &call.asked {
            Asked::Step { step, policy, .. } if !policy.shielded && !self.works_on(*number) => {
                let outcome = Err(StepError::cancelled());
                Some(step_event(*number, step.clone(), outcome))
            }
            _ => None,
        })
    }

    /// The sleep or wait that is over first; a signal is over at once.
    fn due(&self, state: &State) -> Option<Event> {
        let now = self.timer.now_ms();
        let open = state.calls.iter().filter(|(_, call)| call.is_open());
        let waits = open.filter_map(|(number, call)| match &call.asked {
            Asked::Step { .. } => None,
            Asked::Sleep { until_ms } => Some((*until_ms, Event::Timer { call: *number })),
            Asked::Wait { event, until_ms } => {
                let signal = self.signals.first(event).cloned();
                let at_ms = if signal.is_some() { 0 } else { *until_ms };
                let event = event.clone();
                let call = *number;
                Some((
                    at_ms,
                    Event::Wait {
                        call,
                        event,
                        signal,
                    },
                ))
            }
        });
        let over = waits.filter(|(at_ms, _)| *at_ms <= now);
        over.min_by_key(|(at_ms, _)| *at_ms).map(|(_, event)| event)
    }

    /// What a body that ended means for its step. `None`: nothing, it was cut off and runs again later.
    fn judge(ended: Ended, cancelled: bool) -> Option<Event> {
        let Ended {
            call,
            step,
            attempt,
            policy,
            stopped,
            result,
        } = ended;
        let error = match (result, stopped) {
            (Some(Ok(value)), _) => return Some(step_event(call, step, Ok(value))),
            (_, Some(CancelReason::WorkerShutdown)) => return None,
            (_, Some(CancelReason::RunCancelled)) => StepError::cancelled(),
            (_, Some(CancelReason::TimedOut)) => timed_out(&step, attempt, &policy),
            (Some(Err(error)), _) => error,
            (None, _) => StepError::cancelled(),
        };
        let again = error.retryable() && attempt < policy.max_attempts;
        if again && (!cancelled || policy.shielded) {
            return Some(Event::Retry {
                call,
                step,
                attempt,
                error,
            });
        }
        let mut error = error;
        if error.retryable() && policy.max_attempts > 1 {
            error.error.retry = Retry::Exhausted;
        }
        Some(step_event(call, step, Err(error)))
    }
}

fn step_event(call: u64, step: String, outcome: Result<Value, StepError>) -> Event {
    Event::Step {
        call,
        step,
        outcome,
    }
}

fn unknown_step(call: u64, step: String, policy: StepPolicy) -> Ended {
    let text = format!("no step of the name {step} is registered with this worker");
    Ended {
        call,
        step,
        attempt: 1,
        policy,
        stopped: None,
        result: Some(Err(StepError::runtime(ErrorKind::ConfigInvalid, text))),
    }
}

fn timed_out(step: &str, attempt: u32, policy: &StepPolicy) -> StepError {
    let limit = policy.attempt_timeout;
    let error = Error::new(
        ErrorKind::Timeout,
        format!(
            "attempt {attempt} at step {step} took longer than {limit:?}, or gave no heartbeat"
        ),
    );
    StepError::of(StepErrorKind::TimedOut, &error)
}
