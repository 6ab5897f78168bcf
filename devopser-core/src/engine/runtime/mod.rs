//! The port between pipelines and the durable runtime that runs them.
//!
//! A **pipeline** is a deterministic async function over named steps: it sees a [`DurableContext`] and nothing else. A
//! **step** does the work: it sees a [`StepContext`]. A [`DurableRuntime`] starts pipelines and carries them to their
//! end over crashes and restarts.
//!
//! # What every runtime guarantees
//! - A run that was accepted runs to an end, as long as a worker lives that knows its pipeline.
//! - A step is tried at least once and never again after it completed: its result comes from the journal.
//! - Steps, timers and signals complete one after the other, in the order of the journal, also when many run at once:
//!   a replay takes the same way as the first time.
//! - Attempts are counted over errors that a step returned. A crash or a shutdown costs no attempt.
//!
//! # What a pipeline must keep to
//! - It awaits nothing but calls of its [`DurableContext`], alone or through [`join_all`] and [`select2`].
//! - It reads no clock, no random number and no order of a hash map; [`DurableContext::now_ms`] and
//!   [`DurableContext::uuid`] are for that.
//! - Big data goes by reference: nothing over [`MAX_PAYLOAD`] passes.

mod combine;
#[cfg(any(test, feature = "testkit"))]
pub mod conformance;
#[cfg(feature = "embedded")]
mod embedded;
mod hub;
mod lease;
mod memory;
mod policy;
mod port;
mod registry;
mod replay;
mod timer;

pub use combine::{Either, join_all, select2};
#[cfg(feature = "embedded")]
pub use embedded::{EmbeddedRuntime, sqlite_options};
pub use lease::{ExecutorLease, FileLeases};
pub use memory::MemoryRuntime;
pub use policy::{StepError, StepErrorKind, StepPolicy};
pub use port::{
    BoxFut, CancelReason, DurableContext, DurableRuntime, RunState, RunStatus, Started,
    StepContext, StepResult,
};
pub use registry::{
    AsyncBody, AsyncBodyWith, ErasedPipeline, ErasedStep, PipelineName, Registry, from_json,
    to_json,
};
pub use timer::VirtualClock;

/// The most that a payload may measure as JSON: inputs, results, signals, progress. What is bigger is refused.
pub const MAX_PAYLOAD: usize = 256 * 1024;

#[cfg(test)]
mod tests;
