//! How a record reaches the pipeline.

use super::super::super::policy::StepError;
use super::super::super::port::CancelReason;
use super::super::super::timer::locked;
use super::super::context::{Asked, CallResult, later};
use super::super::{Event, Record, Signal};
use super::{Driver, Stop};
use crate::ErrorKind;

impl Driver<'_> {
    /// Hands a record to the pipeline.
    pub(super) fn apply(&mut self, record: Record) -> Result<(), Stop> {
        locked(&self.state).now_ms = record.at_ms;
        let label = record.event.label();
        match record.event {
            Event::Step { call, outcome, .. } => {
                self.retries.remove(&call);
                self.end_call(call, &label, outcome.map(Some))?;
            }
            Event::Retry {
                call,
                step,
                attempt,
                error,
            } => self.count_attempt(call, &step, attempt, &error, record.at_ms)?,
            Event::Timer { call } => self.end_call(call, &label, Ok(None))?,
            Event::Wait { call, signal, .. } => {
                if let Some(Signal { id, .. }) = &signal {
                    self.signals.taken(*id);
                }
                let payload = signal.map(|signal| signal.payload);
                self.end_call(call, &label, Ok(payload))?;
            }
            Event::Cancel => {
                locked(&self.state).cancel();
                self.bodies
                    .stop(CancelReason::RunCancelled, |_, policy| !policy.shielded);
            }
            Event::Patch { id } => locked(&self.state).patch(&id),
        }
        Ok(())
    }

    fn end_call(&self, number: u64, recorded: &str, outcome: CallResult) -> Result<(), Stop> {
        let mut state = locked(&self.state);
        match state.calls.get_mut(&number) {
            Some(call) if call.is_open() && call.asked.label() == recorded => {
                call.end(outcome);
                Ok(())
            }
            other => Err(self.changed(recorded, other.map(|call| &call.asked))),
        }
    }

    fn count_attempt(
        &mut self,
        number: u64,
        recorded: &str,
        attempt: u32,
        error: &StepError,
        at_ms: u64,
    ) -> Result<(), Stop> {
        let wait = match locked(&self.state)
            .calls
            .get(&number)
            .map(|call| &call.asked)
        {
            Some(Asked::Step { step, policy, .. }) if step == recorded => {
                policy.wait_after(attempt, error)
            }
            other => return Err(self.changed(recorded, other)),
        };
        self.retries.insert(number, (attempt, later(at_ms, wait)));
        Ok(())
    }

    /// The pipeline asked for something else than when the journal was written.
    fn changed(&self, recorded: &str, asked: Option<&Asked>) -> Stop {
        let asked = asked.map_or_else(|| "nothing".to_owned(), Asked::label);
        let text = format!(
            "the code of pipeline {} is not the one that began this run: the journal has \"{recorded}\" where the code \
             asks for \"{asked}\"; changed code needs a new version or a patch",
            self.run.pipeline
        );
        Stop::Changed(StepError::runtime(ErrorKind::Unexpected, text))
    }
}
