//! What every [`ServiceControl`](crate::provider::ServiceControl) must do.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;

use super::{Artifacts, Rig, cases, check, check_refused};
use crate::id::ReleaseId;
use crate::model::service::{HealthCheck, Limits, ReleasePhase, ReleaseRef, ServiceRef};
use crate::provider::{
    DeployRequest, DeployerExt, DestroyRequest, LogOptions, Poll, PrepareRequest, Provider,
};
use crate::{Error, ErrorKind, Result};

/// What the cases work on.
#[expect(
    missing_debug_implementations,
    reason = "it holds the host's own objects"
)]
pub struct Fixture<'a> {
    /// The provider; its deployer starts what is watched.
    pub provider: &'a Provider,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// Makes what is deployed.
    pub artifacts: &'a dyn Artifacts,
}

cases! {
    Fixture<'_>;
    starting_what_runs_changes_nothing,
    stopping_twice_is_ok,
    a_followed_log_ends_with_the_context,
}

const GRACE: Duration = Duration::from_secs(5);

fn poll() -> Poll {
    Poll::until(Duration::from_secs(120)).every(Duration::from_millis(200))
}

async fn running(fixture: &Fixture<'_>) -> Result<(Rig, ReleaseRef)> {
    let rig = Rig::new(fixture.folder)?;
    let deployer = fixture.provider.deployer()?;
    let request = PrepareRequest {
        target: rig.ctx.owner.target.clone(),
        databases: Vec::new(),
        without_password: Vec::new(),
    };
    let prepared = deployer.prepare(&rig.ctx, request).await?;
    let (artifact, app_port) = fixture.artifacts.make(&rig.ctx, 1).await?;
    let request = DeployRequest {
        service: prepared.service,
        release: ReleaseId::generate(),
        artifact,
        app_port,
        env: prepared.env,
        limits: Limits::default(),
        container: Default::default(),
        companions: Vec::new(),
        health: HealthCheck::default(),
    };
    let release = deployer.deploy(&rig.ctx, request).await?;
    deployer.wait_until_live(&rig.ctx, &release, poll()).await?;
    Ok((rig, release))
}

async fn destroy(fixture: &Fixture<'_>, rig: &Rig, service: ServiceRef) -> Result<()> {
    let request = DestroyRequest::Service { service };
    fixture
        .provider
        .deployer()?
        .destroy(&rig.ctx, request)
        .await
}

/// Starting a release that runs leaves it as it is.
pub async fn starting_what_runs_changes_nothing(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, release) = running(fixture).await?;
    let (deployer, control) = (
        fixture.provider.deployer()?,
        fixture.provider.service_control()?,
    );
    let before = deployer.status(&rig.ctx, &release).await?;
    control.start(&rig.ctx, &release).await?;
    let after = deployer.status(&rig.ctx, &release).await?;
    check!(
        before.started_at == after.started_at,
        "a running release must not be started again"
    );
    check!(
        after.phase == ReleasePhase::Running,
        "a running release must run on"
    );
    control.stats(&rig.ctx, &release).await?;
    destroy(fixture, &rig, release.service).await
}

/// Stopping what is stopped or absent is `Ok`; a stopped release can be started.
pub async fn stopping_twice_is_ok(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, release) = running(fixture).await?;
    let (deployer, control) = (
        fixture.provider.deployer()?,
        fixture.provider.service_control()?,
    );
    for _ in 0..2 {
        control.stop(&rig.ctx, &release, GRACE).await?;
        let phase = deployer.status(&rig.ctx, &release).await?.phase;
        check!(
            phase == ReleasePhase::Stopped,
            "a stopped release must be stopped, not {phase:?}"
        );
    }
    let stats = control.stats(&rig.ctx, &release).await;
    check_refused(stats, ErrorKind::NotFound, "the use of a stopped release")?;
    control.start(&rig.ctx, &release).await?;
    deployer.wait_until_live(&rig.ctx, &release, poll()).await?;
    control.restart(&rig.ctx, &release, GRACE).await?;
    deployer.wait_until_live(&rig.ctx, &release, poll()).await?;
    destroy(fixture, &rig, release.service.clone()).await?;
    control.stop(&rig.ctx, &release, GRACE).await
}

/// A log that is followed ends when the context is cancelled; one that is not ends by itself.
pub async fn a_followed_log_ends_with_the_context(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, release) = running(fixture).await?;
    let control = fixture.provider.service_control()?;
    let options = |last, follow| LogOptions { last, follow };
    let ends = |ctx: crate::Context, options| {
        let lines = control.logs(&ctx, &release, options).count();
        async move {
            let limit = Duration::from_secs(30);
            tokio::time::timeout(limit, lines).await.map_err(|_| {
                Error::unexpected(format!("conformance: a log ({options:?}) does not end"))
            })
        }
    };
    let few = ends(rig.ctx.clone(), options(Some(1), false)).await?;
    check!(few <= 1, "one line was asked for, {few} came");
    let mut ctx = rig.ctx.clone();
    ctx.cancel = rig.ctx.cancel.child_token();
    let cancel = ctx.cancel.clone();
    let (ended, ()) = futures::join!(ends(ctx, options(None, true)), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel.cancel();
    });
    ended?;
    destroy(fixture, &rig, release.service.clone()).await
}
