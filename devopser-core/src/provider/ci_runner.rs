//! [`CiRunner`]: starts and follows runs of a workflow.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::{Poll, ProviderInfo};
use crate::context::Context;
use crate::id::{CodeRepository, GitRevision, IdempotencyKey, ProviderId, WorkflowFile};
use crate::model::service::LogLine;
use crate::{Error, Result};

/// What a runner can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiCapability {
    /// The most inputs of a run.
    pub max_inputs: u32,
    /// The log of a run can be read while it goes on.
    pub live_logs: bool,
}

/// A run to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispatchRequest {
    /// The repository.
    pub repository: CodeRepository,
    /// The workflow.
    pub workflow: WorkflowFile,
    /// The branch or tag whose workflow runs.
    pub revision: GitRevision,
    /// The inputs; no secrets, they are shown.
    pub inputs: BTreeMap<String, String>,
    /// By which a repeated call finds the run that it started.
    pub key: IdempotencyKey,
}

/// A run: enough to find it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiRunRef {
    /// The provider.
    pub provider: ProviderId,
    /// The repository.
    pub repository: CodeRepository,
    /// The provider's id of it.
    pub id: String,
    /// Where people look at it.
    pub url: Option<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CiConclusion {
    /// Well.
    Success,
    /// A step failed, or the workflow could not be started.
    Failure,
    /// It was cancelled.
    Cancelled,
    /// It took too long.
    TimedOut,
    /// It waits for a person, or was skipped: it will not go on by itself.
    Blocked,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CiPhase {
    /// It waits for a machine.
    Queued,
    /// It goes on.
    Running,
    /// It ended.
    Finished {
        /// How.
        conclusion: CiConclusion,
    },
}

/// How a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CiRun {
    /// Where it is.
    pub phase: CiPhase,
    /// Counted from 1; a run that is started again has the same id and a higher attempt.
    pub attempt: u32,
    /// The job and the step that failed, when one did.
    pub failed_step: Option<String>,
}

impl CiRun {
    /// A first attempt in a phase.
    #[must_use]
    pub fn of(phase: CiPhase) -> Self {
        Self {
            phase,
            attempt: 1,
            failed_step: None,
        }
    }

    /// Sets which attempt it is.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Names the step that failed.
    #[must_use]
    pub fn with_failed_step(mut self, step: impl Into<String>) -> Self {
        self.failed_step = Some(step.into());
        self
    }
}

impl DispatchRequest {
    /// Checks the inputs against what the runner takes, before anything is sent.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for too many inputs or a name that is none.
    pub fn validate(&self, capability: CiCapability) -> Result<()> {
        let limit = usize::try_from(capability.max_inputs).unwrap_or(usize::MAX);
        if self.inputs.len() > limit {
            return Err(Error::invalid("inputs", format!("must be at most {limit}")));
        }
        let is_name = |name: &str| {
            (1..=100).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if self.inputs.keys().all(|name| is_name(name)) {
            Ok(())
        } else {
            Err(Error::invalid(
                "inputs",
                "names are 1 to 100 letters, digits, '_' or '-'",
            ))
        }
    }
}

/// Starts and follows runs of a workflow.
#[async_trait]
pub trait CiRunner: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// What it can do.
    fn capability(&self) -> CiCapability;

    /// Starts a run and returns it; never another one that happened to start at the same time.
    ///
    /// # Behavior
    /// - Dispatching twice with the same key starts one run.
    /// - Dispatching with another key starts another run.
    ///
    /// # Errors
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before anything is sent, as [`DispatchRequest::validate`].
    /// - [`NotFound`](crate::ErrorKind::NotFound) for an unknown repository or workflow.
    async fn dispatch(&self, ctx: &Context, request: DispatchRequest) -> Result<CiRunRef>;

    /// How the run is now: one look.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) for a run that is gone.
    async fn follow(&self, ctx: &Context, run: &CiRunRef) -> Result<CiRun>;

    /// Asks the run to end.
    ///
    /// # Behavior
    /// - Cancelling a run that ended is `Ok` and changes nothing.
    async fn cancel(&self, ctx: &Context, run: &CiRunRef) -> Result<()>;

    /// What the run wrote. The stream is made at once, the reading is in it.
    fn logs(&self, ctx: &Context, run: &CiRunRef) -> BoxStream<'static, Result<LogLine>>;
}

/// Sugar over any [`CiRunner`].
#[async_trait]
pub trait CiRunnerExt: CiRunner {
    /// Waits until the run ended, however it did.
    ///
    /// # Errors
    /// [`Timeout`](crate::ErrorKind::Timeout), [`Cancelled`](crate::ErrorKind::Cancelled), or what the provider says.
    async fn wait_until_finished(
        &self,
        ctx: &Context,
        run: &CiRunRef,
        poll: Poll,
    ) -> Result<CiRun> {
        poll.run(ctx, "waiting for the run", || async {
            let found = self.follow(ctx, run).await?;
            Ok(matches!(found.phase, CiPhase::Finished { .. }).then_some(found))
        })
        .await
    }
}

impl<T: CiRunner + ?Sized> CiRunnerExt for T {}
