//! [`ReviewHost`]: tells people at the code host how a deployment goes, and hears what they do.

use std::collections::BTreeSet;
use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::ProviderInfo;
use crate::context::Context;
use crate::id::{CodeRepository, CommitSha, EnvironmentName, GitRevision};
use crate::{Result, Secret};

/// What a review host can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewCapability {
    /// The longest comment in characters.
    pub max_comment: u32,
    /// It shows deployments with their address, beside plain statuses.
    pub deployments: bool,
}

/// A pull request: enough to find it again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PullRequestRef {
    /// The repository that it goes into.
    pub repository: CodeRepository,
    /// Its number.
    pub number: u64,
}

/// A pull request as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Which.
    pub reference: PullRequestRef,
    /// Its title.
    pub title: String,
    /// Who made it.
    pub author: String,
    /// The newest commit.
    pub head: CommitSha,
    /// The branch that it comes from.
    pub head_branch: String,
    /// The branch that it goes into.
    pub base_branch: String,
    /// Whether it comes from another repository: its code is a stranger's, and gets no secrets.
    pub from_fork: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether it is open.
    pub open: bool,
    /// Its labels.
    pub labels: BTreeSet<String>,
}

/// A comment as it is wanted: one for each pull request and marker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsureComment {
    /// Where.
    pub pull_request: PullRequestRef,
    /// What makes it ours: stands in it where people do not see it.
    pub marker: String,
    /// The text, in the host's markup, without the marker.
    pub body: String,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentRef {
    /// The provider's id of it.
    pub id: String,
    /// Where people read it.
    pub url: Option<String>,
}

/// How a deployment goes, as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReportState {
    /// It waits.
    Queued,
    /// It goes on.
    InProgress,
    /// It is live.
    Success,
    /// It failed.
    Failure,
    /// It was taken down.
    Inactive,
}

/// What to tell about a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRequest {
    /// The repository.
    pub repository: CodeRepository,
    /// The commit.
    pub commit: CommitSha,
    /// The environment; with the commit, what a later report replaces.
    pub environment: EnvironmentName,
    /// How it goes.
    pub state: ReportState,
    /// In a line, at most 140 characters.
    pub description: String,
    /// Where the app answers.
    pub url: Option<String>,
    /// Where people read more.
    pub log_url: Option<String>,
}

/// A delivery as it arrived, before anything was believed.
#[derive(Clone, Copy, Debug)]
pub struct WebhookDelivery<'a> {
    /// The id of the delivery, from its header; a repeated delivery has the same.
    pub id: &'a str,
    /// The name of the event, from its header.
    pub event: &'a str,
    /// The signature, from its header.
    pub signature: &'a str,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// What happened to a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PullRequestAction {
    /// It was opened, or opened again.
    Opened,
    /// It has new commits.
    Pushed,
    /// It was closed or merged.
    Closed,
    /// It became a draft, or stopped being one; a label or its base changed.
    Changed,
}

/// What a webhook tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WebhookEvent {
    /// A pull request changed.
    PullRequest {
        /// How.
        action: PullRequestAction,
        /// As it is now.
        pull_request: Box<PullRequest>,
        /// Through which installation of the app.
        installation: Option<u64>,
    },
    /// A branch got commits.
    Push {
        /// The repository.
        repository: CodeRepository,
        /// The branch.
        branch: GitRevision,
        /// Its head now; `None` when the branch was removed.
        head: Option<CommitSha>,
        /// Through which installation of the app.
        installation: Option<u64>,
    },
    /// Someone commented on a pull request.
    Comment {
        /// Which.
        pull_request: PullRequestRef,
        /// Who.
        author: String,
        /// Whether the author may push to the repository.
        trusted: bool,
        /// What.
        body: String,
    },
    /// A run of a workflow went on.
    Run {
        /// The repository.
        repository: CodeRepository,
        /// The provider's id of the run.
        id: String,
        /// Whether it ended.
        finished: bool,
    },
    /// The app was installed, taken away, or given other repositories.
    Installation {
        /// Which.
        installation: u64,
        /// Repositories that it can reach from now on.
        added: Vec<CodeRepository>,
        /// Repositories that it can no longer reach.
        removed: Vec<CodeRepository>,
        /// Whether it was taken away altogether.
        gone: bool,
    },
    /// The host tries whether anyone listens.
    Ping,
}

/// Tells people at the code host how a deployment goes, and hears what they do.
#[async_trait]
pub trait ReviewHost: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// What it can do.
    fn capability(&self) -> ReviewCapability;

    /// Makes or edits the one comment of the marker. A text that is too long is cut at a line and says so.
    ///
    /// # Behavior
    /// - Commenting twice with one marker leaves one comment, with the newer text.
    /// - A comment with the marker that someone else wrote is left untouched.
    /// - A comment that a person removed is made again.
    async fn comment(&self, ctx: &Context, request: EnsureComment) -> Result<CommentRef>;

    /// Tells how a deployment of a commit goes.
    ///
    /// # Behavior
    /// - Reporting the same state twice is shown once.
    async fn report(&self, ctx: &Context, request: ReportRequest) -> Result<()>;

    /// The pull request as it is now.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) for an unknown one.
    async fn pull_request(&self, ctx: &Context, reference: &PullRequestRef) -> Result<PullRequest>;

    /// Checks a delivery and says what it tells; `None` for events that are not of interest. Pure: call it in the host's
    /// own route, with the body byte for byte, before anything else. Several secrets are for the time of a rotation.
    ///
    /// # Behavior
    /// - A signature made with none of the secrets is refused before the body is read.
    /// - An event that is not known is `None`.
    ///
    /// # Errors
    /// - [`Unauthenticated`](crate::ErrorKind::Unauthenticated) for a wrong signature.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput) for a body that does not hold what its event needs.
    fn verify_webhook(
        &self,
        delivery: WebhookDelivery<'_>,
        secrets: &[Secret],
    ) -> Result<Option<WebhookEvent>>;
}
