//! One attempt to make a source live: its state machine and its record.

use serde::{Deserialize, Serialize};

use crate::error::ErrorReport;
use crate::id::{DeploymentId, ReleaseId, Target};
use crate::model::plan::DeploySpec;

/// The one state machine. The statuses of the products are views of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeploymentState {
    /// Accepted; waits for a worker or for the target.
    Queued,
    /// A worker does its steps.
    Running,
    /// It was asked to end; steps under way are ended and undone.
    Cancelling,
    /// Done: what was asked for is so.
    Succeeded,
    /// It ended with an error; what it made is undone.
    Failed,
    /// It was cancelled; what it made is undone.
    Cancelled,
    /// A newer one took its place before it was done.
    Superseded,
}

impl DeploymentState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::Cancelling,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Superseded,
    ];

    /// The stable text, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }

    /// Whether nothing can follow.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Superseded
        )
    }

    /// Whether `next` may follow.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(
                next,
                Self::Running | Self::Cancelled | Self::Superseded | Self::Failed
            ),
            Self::Running => matches!(next, Self::Cancelling | Self::Succeeded | Self::Failed),
            // A cancel can come too late: the last step may have succeeded or failed meanwhile.
            Self::Cancelling => matches!(
                next,
                Self::Cancelled | Self::Superseded | Self::Succeeded | Self::Failed
            ),
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Superseded => false,
        }
    }
}

/// What is to be done to the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Make a source live.
    Deploy {
        /// What was asked for. Its source is a snapshot or an image.
        spec: Box<DeploySpec>,
    },
    /// Make an earlier release live again.
    Rollback {
        /// The release; `None` is the one before the current.
        to: Option<ReleaseId>,
    },
    /// Stop the app; its address answers 503.
    Stop,
    /// Start a stopped app.
    Start,
    /// Stop and start the app.
    Restart,
    /// Remove the app with all that was made for it.
    Destroy,
}

impl Action {
    /// The stable text, as in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Deploy { .. } => "deploy",
            Self::Rollback { .. } => "rollback",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Destroy => "destroy",
        }
    }

    /// The pipeline that carries it out, with its version.
    #[must_use]
    pub const fn pipeline(&self) -> &'static str {
        match self {
            Self::Deploy { .. } => "deploy_repo@1",
            Self::Rollback { .. } => "rollback@1",
            Self::Stop | Self::Start | Self::Restart => "control@1",
            Self::Destroy => "destroy@1",
        }
    }
}

/// Why a deployment was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CancelReason {
    /// The caller asked.
    Requested,
    /// A newer deployment takes its place.
    Superseded,
}

/// The record of a deployment. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its id, and the id of its run.
    pub id: DeploymentId,
    /// What it is for.
    pub target: Target,
    /// What is to be done.
    pub action: Action,
    /// Where it is in the state machine.
    pub state: DeploymentState,
    /// The step under way, or the one that it ended in.
    pub step: Option<String>,
    /// When it was accepted.
    pub created_at: u64,
    /// When a worker began.
    pub started_at: Option<u64>,
    /// When it ended.
    pub finished_at: Option<u64>,
    /// The release that it made or made live.
    pub release: Option<ReleaseId>,
    /// Where the app answers, once it is live.
    pub url: Option<String>,
    /// Why it failed.
    pub error: Option<ErrorReport>,
    /// Why it was asked to end.
    pub cancel: Option<CancelReason>,
    /// What a destroy removed, a line each with its proof of absence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipt: Vec<ReceiptLine>,
}

/// A thing that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptLine {
    /// The kind of thing, such as `container`.
    pub kind: String,
    /// What the provider called it.
    pub name: String,
    /// When the provider said that it is gone.
    pub gone_at: u64,
}

impl Deployment {
    /// A new one in [`DeploymentState::Queued`].
    #[must_use]
    pub fn queued(id: DeploymentId, target: Target, action: Action, now: u64) -> Self {
        Self {
            id,
            target,
            action,
            state: DeploymentState::Queued,
            step: None,
            created_at: now,
            started_at: None,
            finished_at: None,
            release: None,
            url: None,
            error: None,
            cancel: None,
            receipt: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DeploymentState::{
        self, Cancelled, Cancelling, Failed, Queued, Running, Succeeded, Superseded,
    };

    #[test]
    fn exactly_these_transitions_are_allowed() {
        let allowed = [
            (Queued, Running),
            (Queued, Cancelled),
            (Queued, Superseded),
            (Queued, Failed),
            (Running, Cancelling),
            (Running, Succeeded),
            (Running, Failed),
            (Cancelling, Cancelled),
            (Cancelling, Superseded),
            (Cancelling, Succeeded),
            (Cancelling, Failed),
        ];
        for from in DeploymentState::ALL {
            for to in DeploymentState::ALL {
                assert_eq!(
                    from.may_become(to),
                    allowed.contains(&(from, to)),
                    "{from:?} -> {to:?}"
                );
            }
        }
    }

    #[test]
    fn a_final_state_has_no_way_out_and_every_other_has_one() {
        for from in DeploymentState::ALL {
            assert_eq!(
                from.is_final(),
                !DeploymentState::ALL.iter().any(|to| from.may_become(*to)),
                "{from:?}"
            );
            assert_eq!(serde_json::to_value(from).unwrap(), from.as_str());
        }
    }
}
