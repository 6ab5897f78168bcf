//! What every [`ReviewHost`](crate::provider::ReviewHost) must do.

use std::path::Path;

use async_trait::async_trait;

use super::{Rig, cases, check, check_refused};
use crate::id::CommitSha;
use crate::provider::{
    CommentRef, EnsureComment, PullRequestRef, ReportRequest, ReportState, ReviewHost,
    WebhookDelivery,
};
use crate::{ErrorKind, Result, Secret, signature};

/// Looks at the code host as people do, and does what they do.
#[async_trait]
pub trait Reader: Send + Sync {
    /// The texts of the comments on a pull request, oldest first.
    async fn comments(&self, pull_request: &PullRequestRef) -> Result<Vec<String>>;

    /// Lets a person write a comment.
    async fn write(&self, pull_request: &PullRequestRef, text: &str) -> Result<()>;

    /// Lets a person remove a comment.
    async fn remove(&self, comment: &CommentRef) -> Result<()>;

    /// How many statuses are shown for the commit of a report in its environment.
    async fn shown(&self, report: &ReportRequest) -> Result<usize>;
}

/// What the cases work on.
#[expect(
    missing_debug_implementations,
    reason = "it holds the host's own objects"
)]
pub struct Fixture<'a> {
    /// The host.
    pub host: &'a dyn ReviewHost,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// A pull request that is open.
    pub pull_request: PullRequestRef,
    /// Its newest commit.
    pub commit: CommitSha,
    /// A person.
    pub reader: &'a dyn Reader,
    /// An event that is known, and a body for it.
    pub known_event: (&'a str, &'a [u8]),
}

cases! {
    Fixture<'_>;
    commenting_twice_leaves_one_comment,
    a_persons_comment_is_left_untouched,
    a_removed_comment_is_made_again,
    reporting_twice_is_shown_once,
    a_wrong_signature_is_refused_first,
    an_unknown_event_is_none,
}

fn comment(fixture: &Fixture<'_>, rig: &Rig, body: &str) -> EnsureComment {
    EnsureComment {
        pull_request: fixture.pull_request.clone(),
        marker: format!("devopser:{}", rig.ctx.owner.target.app),
        body: body.to_owned(),
    }
}

async fn comments_of(fixture: &Fixture<'_>, rig: &Rig) -> Result<Vec<String>> {
    let marker = format!("devopser:{}", rig.ctx.owner.target.app);
    let mut comments = fixture.reader.comments(&fixture.pull_request).await?;
    comments.retain(|text| text.contains(&marker));
    Ok(comments)
}

/// The second comment replaces the first; one that is too long is cut.
pub async fn commenting_twice_leaves_one_comment(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let first = fixture
        .host
        .comment(&rig.ctx, comment(fixture, &rig, "first text"))
        .await?;
    let second = fixture
        .host
        .comment(&rig.ctx, comment(fixture, &rig, "second text"))
        .await?;
    check!(first.id == second.id, "the comment must be edited");
    let comments = comments_of(fixture, &rig).await?;
    let [text] = &comments[..] else {
        check!(false, "there must be one comment, not {comments:?}");
        return Ok(());
    };
    check!(
        text.contains("second text") && !text.contains("first text"),
        "the newer text must be there"
    );
    let limit = fixture.host.capability().max_comment as usize;
    let long = "a line of text\n".repeat(limit / 10);
    fixture
        .host
        .comment(&rig.ctx, comment(fixture, &rig, &long))
        .await?;
    let longest = comments_of(fixture, &rig)
        .await?
        .iter()
        .map(|text| text.chars().count())
        .max();
    check!(
        longest.is_some_and(|length| length <= limit),
        "a long text must be cut"
    );
    fixture.reader.remove(&second).await
}

/// A comment of a person that holds the marker is not edited.
pub async fn a_persons_comment_is_left_untouched(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let theirs = format!("<!-- devopser:{} --> mine", rig.ctx.owner.target.app);
    fixture.reader.write(&fixture.pull_request, &theirs).await?;
    let made = fixture
        .host
        .comment(&rig.ctx, comment(fixture, &rig, "ours"))
        .await?;
    let comments = comments_of(fixture, &rig).await?;
    check!(
        comments.contains(&theirs),
        "a person's comment must stay as it is"
    );
    check!(comments.len() == 2, "there must be a comment of our own");
    fixture.reader.remove(&made).await
}

/// A comment that a person removed is made again.
pub async fn a_removed_comment_is_made_again(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let first = fixture
        .host
        .comment(&rig.ctx, comment(fixture, &rig, "text"))
        .await?;
    fixture.reader.remove(&first).await?;
    let second = fixture
        .host
        .comment(&rig.ctx, comment(fixture, &rig, "text"))
        .await?;
    check!(
        comments_of(fixture, &rig).await?.len() == 1,
        "the comment must be there again"
    );
    fixture.reader.remove(&second).await
}

/// The same state again is shown once.
pub async fn reporting_twice_is_shown_once(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let report = |state| ReportRequest {
        repository: fixture.pull_request.repository.clone(),
        commit: fixture.commit.clone(),
        environment: rig.ctx.owner.target.environment.clone(),
        state,
        description: "by the conformance kit".into(),
        url: None,
        log_url: None,
    };
    let before = fixture.reader.shown(&report(ReportState::Queued)).await?;
    for state in [
        ReportState::InProgress,
        ReportState::InProgress,
        ReportState::Inactive,
    ] {
        fixture.host.report(&rig.ctx, report(state)).await?;
    }
    let shown = fixture.reader.shown(&report(ReportState::Queued)).await? - before;
    check!(shown == 2, "two states must be shown, not {shown}");
    let found = fixture
        .host
        .pull_request(&rig.ctx, &fixture.pull_request)
        .await?;
    check!(
        found.head == fixture.commit,
        "the pull request must say its newest commit"
    );
    Ok(())
}

fn delivery<'a>(event: &'a str, signature: &'a str, body: &'a [u8]) -> WebhookDelivery<'a> {
    WebhookDelivery {
        id: "delivery-1",
        event,
        signature,
        body,
    }
}

/// A delivery with a wrong signature is refused, whatever it holds; a rotated secret is accepted.
pub async fn a_wrong_signature_is_refused_first(fixture: &Fixture<'_>) -> Result<()> {
    let (event, body) = fixture.known_event;
    let (old, new) = (Secret::new("old-secret"), Secret::new("new-secret"));
    let signed = signature::sign_webhook(&old, body);
    for wrong in [
        "",
        "sha256=",
        &signed[..signed.len() - 1],
        &signature::sign_webhook(&new, body),
    ] {
        for body in [body, b"not json"] {
            let secrets = std::slice::from_ref(&old);
            let heard = fixture
                .host
                .verify_webhook(delivery(event, wrong, body), secrets);
            check_refused(heard, ErrorKind::Unauthenticated, "a wrong signature")?;
        }
    }
    let heard = fixture
        .host
        .verify_webhook(delivery(event, &signed, body), &[new, old.clone()])?;
    check!(heard.is_some(), "a known event must be heard");
    let signed = signature::sign_webhook(&old, b"not json");
    let broken = fixture
        .host
        .verify_webhook(delivery(event, &signed, b"not json"), &[old]);
    check_refused(
        broken,
        ErrorKind::InvalidInput,
        "a body that does not hold its event",
    )
}

/// An event that is not known is `None`.
pub async fn an_unknown_event_is_none(fixture: &Fixture<'_>) -> Result<()> {
    let secret = Secret::new("secret");
    let signed = signature::sign_webhook(&secret, b"{}");
    let heard = fixture
        .host
        .verify_webhook(delivery("event_of_the_kit", &signed, b"{}"), &[secret])?;
    check!(heard.is_none(), "an unknown event must be ignored");
    Ok(())
}
