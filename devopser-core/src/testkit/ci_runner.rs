//! What every [`CiRunner`](crate::provider::CiRunner) must do.

use std::path::Path;
use std::time::Duration;

use super::{Rig, cases, check, check_refused};
use crate::id::IdempotencyKey;
use crate::provider::{CiPhase, CiRunner, CiRunnerExt, DispatchRequest, Poll};
use crate::{ErrorKind, Result};

/// What the cases work on.
#[derive(Clone, Debug)]
pub struct Fixture<'a> {
    /// The runner.
    pub runner: &'a dyn CiRunner,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// A run that ends well within a few minutes. Its key is replaced.
    pub request: DispatchRequest,
}

cases! {
    Fixture<'_>;
    dispatching_twice_with_a_key_starts_one_run,
    another_key_starts_another_run,
    cancelling_what_ended_is_ok,
}

fn request(fixture: &Fixture<'_>, rig: &Rig, number: u32) -> Result<DispatchRequest> {
    let mut request = fixture.request.clone();
    request.key = IdempotencyKey::new(format!("{}-{number}", rig.ctx.owner.target.app))?;
    Ok(request)
}

/// The same key again returns the run that it started.
pub async fn dispatching_twice_with_a_key_starts_one_run(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let first = fixture
        .runner
        .dispatch(&rig.ctx, request(fixture, &rig, 1)?)
        .await?;
    let second = fixture
        .runner
        .dispatch(&rig.ctx, request(fixture, &rig, 1)?)
        .await?;
    check!(first.id == second.id, "one key must start one run");
    let mut invalid = request(fixture, &rig, 2)?;
    let limit = fixture.runner.capability().max_inputs;
    invalid.inputs = (0..=limit)
        .map(|n| (format!("input{n}"), String::new()))
        .collect();
    let refused = fixture.runner.dispatch(&rig.ctx, invalid).await;
    check_refused(
        refused,
        ErrorKind::InvalidInput,
        "a run with too many inputs",
    )?;
    fixture.runner.cancel(&rig.ctx, &first).await
}

/// Another key starts another run, also at the same time.
pub async fn another_key_starts_another_run(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let (first, second) = futures::join!(
        fixture
            .runner
            .dispatch(&rig.ctx, request(fixture, &rig, 1)?),
        fixture
            .runner
            .dispatch(&rig.ctx, request(fixture, &rig, 2)?),
    );
    let (first, second) = (first?, second?);
    check!(first.id != second.id, "another key must start another run");
    fixture.runner.cancel(&rig.ctx, &first).await?;
    fixture.runner.cancel(&rig.ctx, &second).await
}

/// A run that ended stays as it ended.
pub async fn cancelling_what_ended_is_ok(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let run = fixture
        .runner
        .dispatch(&rig.ctx, request(fixture, &rig, 1)?)
        .await?;
    let poll = Poll::until(Duration::from_secs(600)).every(Duration::from_millis(100));
    let ended = fixture
        .runner
        .wait_until_finished(&rig.ctx, &run, poll)
        .await?;
    check!(
        matches!(ended.phase, CiPhase::Finished { .. }),
        "the run must have ended"
    );
    fixture.runner.cancel(&rig.ctx, &run).await?;
    fixture.runner.cancel(&rig.ctx, &run).await?;
    let after = fixture.runner.follow(&rig.ctx, &run).await?;
    check!(
        after.phase == ended.phase,
        "a run that ended must stay as it ended"
    );
    Ok(())
}
