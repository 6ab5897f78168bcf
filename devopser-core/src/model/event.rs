//! What a deployment tells while it goes on.

use serde::{Deserialize, Serialize};

use crate::error::ErrorReport;
use crate::id::DeploymentId;
use crate::model::deployment::DeploymentState;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The state changed.
    State {
        /// The new state.
        state: DeploymentState,
    },
    /// A step began.
    StepStarted {
        /// The step.
        step: String,
    },
    /// A step ended well.
    StepFinished {
        /// The step.
        step: String,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
        /// What came of it, in a line.
        detail: Option<String>,
    },
    /// A step failed.
    StepFailed {
        /// The step.
        step: String,
        /// Why.
        error: ErrorReport,
    },
    /// A line of a build's or an app's output.
    Log {
        /// The step.
        step: String,
        /// The line.
        line: String,
    },
    /// Something a person should know.
    Note {
        /// The text.
        text: String,
    },
    /// The app answers here.
    Live {
        /// The URL.
        url: String,
    },
    /// The deployment ended with this error.
    Failed {
        /// Why.
        error: ErrorReport,
    },
}

/// An event as it is stored: its sequence has no gaps within a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Counted from 1 within the deployment.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}
