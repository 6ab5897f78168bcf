//! `rollback`: makes an earlier release live again.

use super::{Run, finish, go_live, minutes, new_release, step};
use crate::engine::runtime::{DurableContext, StepError};
use crate::id::ReleaseId;

/// `choose → deploy → verify → route → activate`. The earlier release's artifact runs again as a new release; nothing is
/// built.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) when there is no such release or its artifact is gone; nothing is changed then.
pub async fn rollback(cx: &dyn DurableContext, run: Run) -> Result<(), StepError> {
    let release = new_release(cx)?;
    let outcome = back(cx, &run, &release).await;
    finish(cx, &run, Some(release), outcome, true).await
}

async fn back(cx: &dyn DurableContext, run: &Run, release: &ReleaseId) -> Result<(), StepError> {
    let input = run.step(release);
    cx.call::<_, ()>(step::CHOOSE, &input, minutes(2)).await?;
    go_live(cx, &input).await
}
