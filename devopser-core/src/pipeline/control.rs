//! `control`: stops, starts or restarts an app.

use super::{Run, finish, minutes, step};
use crate::engine::runtime::{DurableContext, StepError};
use crate::model::deployment::Action;

/// `stop` or `start`, or one after the other for a restart.
///
/// # Errors
/// What the step says; a failed start leaves the app as it is.
pub async fn control(cx: &dyn DurableContext, run: Run) -> Result<(), StepError> {
    let outcome = turn(cx, &run).await;
    finish(cx, &run, None, outcome, false).await
}

async fn turn(cx: &dyn DurableContext, run: &Run) -> Result<(), StepError> {
    if matches!(run.action, Action::Stop | Action::Restart) {
        cx.call::<_, ()>(step::STOP, run, minutes(5)).await?;
    }
    if matches!(run.action, Action::Start | Action::Restart) {
        cx.call::<_, ()>(step::START, run, minutes(10)).await?;
    }
    Ok(())
}
