//! [`MemoryReviewHost`]: comments and reports that nobody reads.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::cloud::MemoryCloud;
use super::services::lock;
use super::snapshot::Verb;
use crate::context::Context;
use crate::id::{CodeRepository, CommitSha, EnvironmentName};
use crate::provider::{
    CommentRef, EnsureComment, ProviderInfo, PullRequest, PullRequestRef, ReportRequest,
    ReportState, ReviewCapability, ReviewHost, WebhookDelivery, WebhookEvent,
};
use crate::{Error, ErrorKind, Result, Secret, signature};

const MAX_COMMENT: u32 = 65_536;

#[derive(Clone, Debug)]
struct Comment {
    id: String,
    pull_request: PullRequestRef,
    text: String,
    ours: bool,
}

/// Pull requests, comments, and the states that were reported.
#[derive(Debug, Default)]
pub(super) struct Reviews {
    pull_requests: BTreeMap<PullRequestRef, PullRequest>,
    comments: Vec<Comment>,
    reports: BTreeMap<(CodeRepository, CommitSha, EnvironmentName), Vec<ReportState>>,
}

impl MemoryCloud {
    /// Puts a pull request there, or changes it.
    pub fn set_pull_request(&self, pull_request: PullRequest) {
        let mut state = lock(&self.shared.state);
        let reference = pull_request.reference.clone();
        state.reviews.pull_requests.insert(reference, pull_request);
    }

    /// Lets a person write a comment.
    pub fn add_foreign_comment(&self, pull_request: PullRequestRef, text: &str) {
        let mut state = lock(&self.shared.state);
        let comment = Comment {
            id: format!("comment-{}", state.next_number()),
            pull_request,
            text: text.to_owned(),
            ours: false,
        };
        state.reviews.comments.push(comment);
    }

    /// Lets a person remove a comment.
    pub fn remove_comment(&self, id: &str) {
        let mut state = lock(&self.shared.state);
        state.reviews.comments.retain(|comment| comment.id != id);
    }

    /// The texts of the comments on a pull request, oldest first.
    #[must_use]
    pub fn comments(&self, pull_request: &PullRequestRef) -> Vec<String> {
        lock(&self.shared.state)
            .reviews
            .comments
            .iter()
            .filter(|comment| comment.pull_request == *pull_request)
            .map(|comment| comment.text.clone())
            .collect()
    }

    /// The states that were shown for a commit in an environment, oldest first.
    #[must_use]
    pub fn reports(
        &self,
        repository: &CodeRepository,
        commit: &CommitSha,
        environment: &EnvironmentName,
    ) -> Vec<ReportState> {
        let key = (repository.clone(), commit.clone(), environment.clone());
        let state = lock(&self.shared.state);
        state.reviews.reports.get(&key).cloned().unwrap_or_default()
    }
}

/// Comments and reports that nobody reads. Its webhooks are of the event `event`, whose body is a [`WebhookEvent`] as
/// JSON, or `ping`; sign them with [`signature::sign_webhook`].
#[derive(Clone, Debug)]
pub struct MemoryReviewHost {
    cloud: MemoryCloud,
}

impl MemoryReviewHost {
    /// The one of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }
}

fn missing(reference: &PullRequestRef) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!(
            "there is no pull request {}#{}",
            reference.repository, reference.number
        ),
    )
    .with_provider("memory")
}

/// The text with its marker, cut at a line where it is too long.
fn text_of(request: &EnsureComment) -> String {
    let marker = format!("<!-- {} -->", request.marker);
    let room = (MAX_COMMENT as usize).saturating_sub(marker.len() + 20);
    if request.body.len() <= room {
        return format!("{marker}\n{}", request.body);
    }
    let mut end = room;
    while !request.body.is_char_boundary(end) {
        end -= 1;
    }
    let part = &request.body[..end];
    let part = part.rfind('\n').map_or(part, |line_end| &part[..line_end]);
    format!("{marker}\n{part}\n… (cut)")
}

#[async_trait]
impl ReviewHost for MemoryReviewHost {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    fn capability(&self) -> ReviewCapability {
        ReviewCapability {
            max_comment: MAX_COMMENT,
            deployments: true,
        }
    }

    async fn comment(&self, ctx: &Context, request: EnsureComment) -> Result<CommentRef> {
        let call = self.cloud.change(ctx, "ReviewHost::comment").await?;
        let text = text_of(&request);
        let marker = format!("<!-- {} -->", request.marker);
        let id = {
            let mut state = lock(&self.cloud.shared.state);
            let known = state.reviews.comments.iter_mut().find(|comment| {
                comment.ours
                    && comment.pull_request == request.pull_request
                    && comment.text.starts_with(&marker)
            });
            if let Some(comment) = known {
                comment.text = text;
                comment.id.clone()
            } else {
                let comment = Comment {
                    id: format!("comment-{}", state.next_number()),
                    pull_request: request.pull_request,
                    text,
                    ours: true,
                };
                let id = comment.id.clone();
                state.reviews.comments.push(comment);
                state.effect(Verb::Made, "comment", &id);
                id
            }
        };
        call.happened().await?;
        Ok(CommentRef { id, url: None })
    }

    async fn report(&self, ctx: &Context, request: ReportRequest) -> Result<()> {
        let call = self.cloud.change(ctx, "ReviewHost::report").await?;
        {
            let mut state = lock(&self.cloud.shared.state);
            let key = (request.repository, request.commit, request.environment);
            let states = state.reviews.reports.entry(key).or_default();
            if states.last() != Some(&request.state) {
                states.push(request.state);
            }
        }
        call.happened().await
    }

    async fn pull_request(&self, ctx: &Context, reference: &PullRequestRef) -> Result<PullRequest> {
        let call = self.cloud.look(ctx, "ReviewHost::pull_request").await?;
        let found = lock(&self.cloud.shared.state)
            .reviews
            .pull_requests
            .get(reference)
            .cloned();
        call.happened().await?;
        found.ok_or_else(|| missing(reference))
    }

    fn verify_webhook(
        &self,
        delivery: WebhookDelivery<'_>,
        secrets: &[Secret],
    ) -> Result<Option<WebhookEvent>> {
        if !signature::verify_webhook(secrets, delivery.body, delivery.signature) {
            return Err(
                Error::new(ErrorKind::Unauthenticated, "the signature is wrong")
                    .with_provider("memory"),
            );
        }
        match delivery.event {
            "ping" => Ok(Some(WebhookEvent::Ping)),
            "event" => serde_json::from_slice(delivery.body)
                .map(Some)
                .map_err(|source| {
                    Error::invalid("body", "does not hold what its event needs").with_source(source)
                }),
            _ => Ok(None),
        }
    }
}
