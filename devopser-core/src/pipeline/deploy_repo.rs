//! `deploy_repo`: from a source to a live URL.

use super::{Run, finish, go_live, minutes, new_release, step};
use crate::engine::runtime::{DurableContext, StepError, StepPolicy};
use crate::id::ReleaseId;

/// `fetch → plan → prepare → build → deploy → verify → route → activate`. A source that did not change since the live
/// release ends after `plan`.
///
/// # Errors
/// What the first step that fails says, after what was made is undone.
pub async fn deploy_repo(cx: &dyn DurableContext, run: Run) -> Result<(), StepError> {
    let release = new_release(cx)?;
    let outcome = deploy(cx, &run, &release).await;
    finish(cx, &run, Some(release), outcome, true).await
}

async fn deploy(cx: &dyn DurableContext, run: &Run, release: &ReleaseId) -> Result<(), StepError> {
    let input = run.step(release);
    cx.call::<_, ()>(step::FETCH, &input, minutes(20)).await?;
    let changed: bool = cx.call(step::PLAN, &input, minutes(2)).await?;
    if !changed {
        return Ok(());
    }
    cx.call::<_, ()>(step::PREPARE, &input, minutes(10)).await?;
    cx.call::<_, ()>(
        step::BUILD,
        &input,
        StepPolicy {
            max_attempts: 2,
            ..minutes(60)
        },
    )
    .await?;
    go_live(cx, &input).await
}
