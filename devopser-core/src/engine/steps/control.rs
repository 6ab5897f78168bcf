//! The steps `stop` and `start`.

use std::sync::Arc;
use std::time::Duration;

use super::Steps;
use super::live::reference;
use crate::context::Context;
use crate::engine::runtime::StepContext;
use crate::model::record::{App, Desired, Release};
use crate::pipeline::Run;
use crate::{Error, ErrorKind, Result};

/// How long an app may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// Takes the app's requests away, then stops it.
pub(super) async fn stop(steps: Steps, cx: &dyn StepContext, run: Run) -> Result<()> {
    let (steps, run) = (&steps, &run);
    let target = &run.target;
    steps
        .run(cx, target, &run.deployment, |ctx| async move {
            let (app, release) = steps.current(target).await?;
            let app = steps
                .update_app(&app.target, |app| app.desired = Desired::Stopped)
                .await?;
            steps.point(&ctx, &app, None).await?;
            let provider = Arc::clone(steps.provider(&app)?);
            provider
                .service_control()?
                .stop(&ctx, &reference(&release)?, GRACE)
                .await?;
            Ok(((), None))
        })
        .await
}

/// Starts the app, waits until it answers, and gives it its requests.
pub(super) async fn start(steps: Steps, cx: &dyn StepContext, run: Run) -> Result<()> {
    let (steps, run) = (&steps, &run);
    let target = &run.target;
    steps
        .run(cx, target, &run.deployment, |ctx| async move {
            let (app, release) = steps.current(target).await?;
            let url = steps.start_again(&ctx, &app, &release).await?;
            steps
                .update_app(target, |app| app.desired = Desired::Running)
                .await?;
            steps
                .update_deployment(target, &run.deployment, |record| {
                    record.url = Some(url.clone())
                })
                .await?;
            Ok(((), Some(url)))
        })
        .await
}

impl Steps {
    /// The app and the release that takes its requests.
    async fn current(&self, target: &crate::id::Target) -> Result<(App, Release)> {
        let app = self.app(target).await?.value;
        let current = app.current_release.clone().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("\"{}\" was never live", target.app),
            )
        })?;
        let release = self.release(target, &current).await?;
        Ok((app, release))
    }

    async fn start_again(&self, ctx: &Context, app: &App, release: &Release) -> Result<String> {
        let provider = Arc::clone(self.provider(app)?);
        let reference = reference(release)?;
        provider.service_control()?.start(ctx, &reference).await?;
        self.wait_until_healthy(ctx, app, release).await?;
        let upstream = provider.deployer()?.activate(ctx, &reference).await?;
        self.point(ctx, app, Some(upstream)).await
    }
}
