//! The pipelines: deterministic async functions over named steps, one file each. They know neither a provider nor a
//! runtime; what a step does stands in [`crate::engine`]'s `steps`.

mod control;
mod deploy_repo;
mod destroy;
mod rollback;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use control::control;
pub use deploy_repo::deploy_repo;
pub use destroy::destroy;
pub use rollback::rollback;

use crate::engine::runtime::{DurableContext, StepError, StepPolicy};
use crate::error::ErrorReport;
use crate::id::{DeploymentId, ReleaseId, Target};
use crate::model::deployment::Action;

/// The names of the steps, as they stand in journals and events.
pub mod step {
    /// Takes the source into the blob store.
    pub const FETCH: &str = "fetch";
    /// Detects the stack and writes the plan down as a pending release.
    pub const PLAN: &str = "plan";
    /// Makes the service exist with its network and databases.
    pub const PREPARE: &str = "prepare";
    /// Makes the artifact.
    pub const BUILD: &str = "build";
    /// Starts the release beside the old one.
    pub const DEPLOY: &str = "deploy";
    /// Waits until it answers.
    pub const VERIFY: &str = "verify";
    /// Gives it the app's address.
    pub const ROUTE: &str = "route";
    /// Lets the old release end its requests and removes it.
    pub const ACTIVATE: &str = "activate";
    /// Chooses the release that a rollback goes to.
    pub const CHOOSE: &str = "choose";
    /// Stops what runs.
    pub const STOP: &str = "stop";
    /// Starts what was stopped.
    pub const START: &str = "start";
    /// Removes everything of the app.
    pub const DESTROY: &str = "destroy";
    /// Removes what a failed or cancelled deployment made.
    pub const UNDO: &str = "undo";
    /// Writes the end into the records.
    pub const FINISH: &str = "finish";
}

/// What every pipeline is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The deployment.
    pub deployment: DeploymentId,
    /// What it is for.
    pub target: Target,
    /// What is to be done.
    pub action: Action,
}

/// What most steps are called with: the run without its spec, and the release that it makes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepInput {
    /// The deployment.
    pub deployment: DeploymentId,
    /// What it is for.
    pub target: Target,
    /// The release.
    pub release: ReleaseId,
}

/// How a run ended; the input of the steps `undo` and `finish`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ending {
    /// The deployment.
    pub deployment: DeploymentId,
    /// What it was for.
    pub target: Target,
    /// The release that it was about.
    pub release: Option<ReleaseId>,
    /// Why it failed; `None` when it succeeded or was cancelled.
    pub error: Option<ErrorReport>,
    /// Whether it was cancelled.
    pub cancelled: bool,
}

impl Run {
    fn step(&self, release: &ReleaseId) -> StepInput {
        StepInput {
            deployment: self.deployment.clone(),
            target: self.target.clone(),
            release: release.clone(),
        }
    }

    fn ending(&self, release: Option<ReleaseId>, outcome: &Result<(), StepError>) -> Ending {
        let error = outcome.as_ref().err();
        Ending {
            deployment: self.deployment.clone(),
            target: self.target.clone(),
            release,
            error: error
                .filter(|error| !error.is_cancelled())
                .map(|error| (*error.error).clone()),
            cancelled: error.is_some_and(StepError::is_cancelled),
        }
    }
}

/// A new release's id, the same in a replay.
fn new_release(cx: &dyn DurableContext) -> Result<ReleaseId, StepError> {
    Ok(ReleaseId::new(format!(
        "rel_{}",
        cx.uuid().replace('-', "")
    ))?)
}

/// A step that talks to a provider for at most `minutes`, tried three times.
fn minutes(minutes: u64) -> StepPolicy {
    StepPolicy::default()
        .timeout(Duration::from_secs(minutes * 60))
        .grace(Duration::from_secs(20))
}

/// Compensation: it runs in spite of a cancel and is tried for a while.
fn compensation() -> StepPolicy {
    StepPolicy::compensation().attempts(5)
}

/// From a built artifact to a live address: the end that a deployment and a rollback share.
async fn go_live(cx: &dyn DurableContext, input: &StepInput) -> Result<(), StepError> {
    // What runs beside the app is started first, and may take its time until it is healthy.
    cx.call::<_, ()>(step::DEPLOY, input, minutes(15)).await?;
    cx.call::<_, ()>(
        step::VERIFY,
        input,
        StepPolicy::once().timeout(Duration::from_secs(1800)),
    )
    .await?;
    cx.call::<_, ()>(step::ROUTE, input, minutes(2)).await?;
    // From here the new release has the address: a cancel comes too late, and what is left of the old one is the
    // sweeper's if it cannot be removed now.
    let _ = cx
        .call::<_, ()>(step::ACTIVATE, input, compensation())
        .await;
    Ok(())
}

/// Undoes what a failed or cancelled run made, and writes the end into the records.
async fn finish(
    cx: &dyn DurableContext,
    run: &Run,
    release: Option<ReleaseId>,
    outcome: Result<(), StepError>,
    undo: bool,
) -> Result<(), StepError> {
    let ending = run.ending(release, &outcome);
    if undo && outcome.is_err() {
        // What cannot be undone now stays in the ledger, and the sweeper tries again.
        let _ = cx.call::<_, ()>(step::UNDO, &ending, compensation()).await;
    }
    cx.call::<_, ()>(step::FINISH, &ending, compensation().attempts(20))
        .await?;
    outcome
}
