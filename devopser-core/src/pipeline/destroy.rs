//! `destroy`: removes an app with all that was made for it.

use super::{Run, compensation, finish, step};
use crate::engine::runtime::{DurableContext, StepError};

/// One step, tried again until the provider says that everything is gone. It cannot be cancelled half way.
///
/// # Errors
/// What could not be removed; it stays in the ledger, and the app stays known as being removed.
pub async fn destroy(cx: &dyn DurableContext, run: Run) -> Result<(), StepError> {
    let outcome = cx.call::<_, ()>(step::DESTROY, &run, compensation()).await;
    finish(cx, &run, None, outcome, false).await
}
