//! The steps `deploy`, `verify`, `route` and `activate`: from an artifact to a live address.

use std::time::Duration;

use super::Steps;
use crate::context::Context;
use crate::engine::logs::last_lines;
use crate::engine::runtime::StepContext;
use crate::id::{HostName, Target};
use crate::model::artifact::Artifact;
use crate::model::event::EventKind;
use crate::model::record::{App, Desired, PageRequest, Release, ReleaseState};
use crate::model::service::{ReleasePhase, ReleaseRef, ReleaseStatus, Upstream};
use crate::pipeline::StepInput;
use crate::provider::{DeployRequest, DestroyRequest, Provider, Route};
use crate::store::DeploymentStoreExt;
use crate::{Error, ErrorKind, Result};

/// How long the old release may end its requests.
const DRAIN_TIME: Duration = Duration::from_secs(30);
/// A process that ends within this time after its start is told at once.
const CHECK_PAUSE: Duration = Duration::from_millis(150);

/// Starts the release beside the old one.
pub(super) async fn deploy(steps: Steps, cx: &dyn StepContext, input: StepInput) -> Result<()> {
    let (steps, input) = (&steps, &input);
    let target = &input.target;
    steps
        .run(cx, target, &input.deployment, |ctx| async move {
            let app = steps.app(target).await?.value;
            let mut release = steps.release(target, &input.release).await?;
            let request = request(&app, &release)?;
            let reference = steps
                .provider(&app)?
                .deployer()?
                .deploy(&ctx, request)
                .await?;
            let name = reference.name.clone();
            release.reference = Some(reference);
            steps.put_release(&release).await?;
            Ok(((), Some(name)))
        })
        .await
}

/// Waits until the release answers as its health check asks.
pub(super) async fn verify(steps: Steps, cx: &dyn StepContext, input: StepInput) -> Result<()> {
    let (steps, input) = (&steps, &input);
    let target = &input.target;
    steps
        .run(cx, target, &input.deployment, |ctx| async move {
            let app = steps.app(target).await?.value;
            let release = steps.release(target, &input.release).await?;
            let detail = steps.wait_until_healthy(&ctx, &app, &release).await?;
            Ok(((), Some(detail)))
        })
        .await
}

/// Writes down that the release is the app's, and gives it the address.
pub(super) async fn route(steps: Steps, cx: &dyn StepContext, input: StepInput) -> Result<()> {
    let (steps, input) = (&steps, &input);
    let target = &input.target;
    steps
        .run(cx, target, &input.deployment, |ctx| async move {
            let mut release = steps.release(target, &input.release).await?;
            let app = steps.app(target).await?.value;
            let reference = reference(&release)?;
            let upstream = steps
                .provider(&app)?
                .deployer()?
                .activate(&ctx, &reference)
                .await?;
            release.state = ReleaseState::Active;
            steps.put_release(&release).await?;
            // The record first: a worker that starts after a crash routes to what the record says.
            let app = steps
                .update_app(target, |app| {
                    app.current_release = Some(input.release.clone());
                    app.desired = Desired::Running;
                })
                .await?;
            let url = steps.point(&ctx, &app, Some(upstream)).await?;
            steps
                .update_deployment(target, &input.deployment, |record| {
                    record.url = Some(url.clone())
                })
                .await?;
            let kind = EventKind::Live { url: url.clone() };
            let records = &steps.shared.parts.records;
            records
                .append(
                    &target.tenant,
                    &input.deployment,
                    steps.shared.now(),
                    &[kind],
                )
                .await?;
            Ok(((), Some(url)))
        })
        .await
}

/// Lets the old releases end their requests, removes what runs of them, and forgets artifacts beyond those that are kept.
pub(super) async fn activate(steps: Steps, cx: &dyn StepContext, input: StepInput) -> Result<()> {
    let (steps, input) = (&steps, &input);
    let target = &input.target;
    steps
        .run(cx, target, &input.deployment, |ctx| async move {
            let app = steps.app(target).await?.value;
            let provider = std::sync::Arc::clone(steps.provider(&app)?);
            let found = steps
                .shared
                .parts
                .records
                .releases(
                    target,
                    PageRequest {
                        offset: 0,
                        limit: 1000,
                    },
                )
                .await?;
            let others = found
                .into_iter()
                .map(|found| found.value)
                .filter(|release| release.id != input.release);
            let release = steps.release(target, &input.release).await?;
            let keep = release.companions().into_iter().map(|c| c.name).collect();
            let mut drained = 0_u32;
            let mut kept = 0;
            for mut release in others {
                if release.state == ReleaseState::Active {
                    steps.drain(&ctx, &provider, &release).await?;
                    release.state = ReleaseState::Retired;
                    steps.put_release(&release).await?;
                    drained += 1;
                }
                if release.state == ReleaseState::Retired {
                    kept += 1;
                    if kept > steps.shared.keep_releases {
                        steps
                            .forget_artifact(&ctx, &provider, &app, release)
                            .await?;
                    }
                }
            }
            // Only now: what the old release had beside it may have served its last requests.
            let service = Steps::service(&app);
            provider
                .deployer()?
                .destroy(&ctx, DestroyRequest::Companions { service, keep })
                .await?;
            Ok((
                (),
                (drained > 0).then(|| "the old release ended its requests".to_owned()),
            ))
        })
        .await
}

/// What the provider is asked for to run a release.
pub(super) fn request(app: &App, release: &Release) -> Result<DeployRequest> {
    let artifact = release
        .artifact
        .clone()
        .ok_or_else(|| Error::unexpected("the release has no artifact"))?;
    let container = release.plan.as_ref().map(|plan| plan.container.clone());
    Ok(DeployRequest {
        service: Steps::service(app),
        release: release.id.clone(),
        artifact,
        app_port: release.app_port,
        env: release.env.clone(),
        limits: release.limits,
        health: release.health.clone(),
        container: container.unwrap_or_default(),
        companions: release.companions(),
    })
}

/// The reference of a release that was started.
pub(super) fn reference(release: &Release) -> Result<ReleaseRef> {
    release.reference.clone().ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("release {} was never started", release.number),
        )
    })
}

/// The host name under which the router's own port knows an app.
pub(crate) fn host_name(target: &Target) -> Result<HostName> {
    let environment = &target.environment;
    if environment.as_str() == "production" {
        HostName::new(format!("{}.localhost", target.app))
    } else {
        HostName::new(format!("{environment}.{}.localhost", target.app))
    }
}

impl Steps {
    /// Points the app's address at an upstream, or at the page that says that it is stopped.
    pub(crate) async fn point(
        &self,
        ctx: &Context,
        app: &App,
        upstream: Option<Upstream>,
    ) -> Result<String> {
        let route = Route {
            id: app.target.clone(),
            port: app.port,
            host_names: vec![host_name(&app.target)?],
            upstream,
        };
        self.shared.parts.router.ensure(ctx, route).await
    }

    /// Polls until the release answers, or says why it does not.
    pub(crate) async fn wait_until_healthy(
        &self,
        ctx: &Context,
        app: &App,
        release: &Release,
    ) -> Result<String> {
        let provider = std::sync::Arc::clone(self.provider(app)?);
        let reference = reference(release)?;
        let deadline = self.shared.now()
            + u64::try_from(release.health.start_timeout.as_millis()).unwrap_or(u64::MAX);
        loop {
            let status = provider.deployer()?.status(ctx, &reference).await?;
            let restarted = status.restarts > 0;
            match status.phase {
                ReleasePhase::Exited | ReleasePhase::Stopped => {
                    return Err(ended(ctx, &provider, &reference, &status).await);
                }
                ReleasePhase::Absent => return Err(Error::unexpected("what was started is gone")),
                _ if restarted => return Err(ended(ctx, &provider, &reference, &status).await),
                _ => {}
            }
            let last = match self
                .shared
                .probe
                .answers(status.upstream.as_ref(), &release.health)
                .await
            {
                Ok(detail) => return Ok(detail),
                Err(why) => why,
            };
            if self.shared.now() >= deadline {
                return Err(unhealthy(ctx, &provider, &reference, release, &status, &last).await);
            }
            ctx.sleep(CHECK_PAUSE).await?;
        }
    }

    /// Waits until no request is under way at a release, then removes what runs of it.
    pub(crate) async fn drain(
        &self,
        ctx: &Context,
        provider: &Provider,
        release: &Release,
    ) -> Result<()> {
        let Some(reference) = &release.reference else {
            return Ok(());
        };
        let deployer = provider.deployer()?;
        if let Some(upstream) = deployer.status(ctx, reference).await?.upstream {
            let deadline = tokio::time::Instant::now() + DRAIN_TIME;
            while self.shared.parts.router.in_flight(ctx, &upstream).await? > 0
                && tokio::time::Instant::now() < deadline
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        deployer
            .destroy(
                ctx,
                DestroyRequest::Release {
                    release: reference.clone(),
                },
            )
            .await
    }

    async fn forget_artifact(
        &self,
        ctx: &Context,
        provider: &Provider,
        app: &App,
        mut release: Release,
    ) -> Result<()> {
        for artifact in self.unused_artifacts(&release).await? {
            let request = DestroyRequest::Artifact {
                service: Self::service(app),
                artifact,
            };
            provider.deployer()?.destroy(ctx, request).await?;
        }
        release.state = ReleaseState::Removed;
        self.put_release(&release).await
    }

    /// The artifacts of a release that no other one that can still run has too.
    pub(crate) async fn unused_artifacts(&self, release: &Release) -> Result<Vec<Artifact>> {
        let all = self
            .shared
            .parts
            .records
            .releases(
                &release.target,
                PageRequest {
                    offset: 0,
                    limit: 1000,
                },
            )
            .await?;
        let is_used = |artifact: &Artifact| {
            all.iter().any(|found| {
                let other = &found.value;
                other.id != release.id
                    && matches!(
                        other.state,
                        ReleaseState::Active | ReleaseState::Retired | ReleaseState::Pending
                    )
                    && other.artifacts().iter().any(|used| match (used, artifact) {
                        // One image can have several names, and each goes with its own release.
                        (Artifact::Image(used), Artifact::Image(image)) => {
                            used.digest == image.digest && used.reference == image.reference
                        }
                        (used, artifact) => used.digest() == artifact.digest(),
                    })
            })
        };
        let mut unused = release.artifacts();
        unused.retain(|artifact| !is_used(artifact));
        Ok(unused)
    }
}

/// The error of a release whose process ended.
async fn ended(
    ctx: &Context,
    provider: &Provider,
    reference: &ReleaseRef,
    status: &ReleaseStatus,
) -> Error {
    let lines = last_lines(ctx, provider, reference, 30).await;
    let code = status.exit_code;
    let error = if status.out_of_memory {
        Error::new(
            ErrorKind::OutOfMemory,
            "the app was ended because it used more memory than its limit",
        )
        .with_remedy("Give it more memory (`--memory 2g`), or make it use less.")
    } else {
        let code = code.map_or_else(
            || "without an exit code".into(),
            |code| format!("with exit code {code}"),
        );
        Error::new(ErrorKind::Crashed, format!("the app ended {code} right after it was started"))
            .with_remedy("Its last lines say why. Correct the start command or what it needs (environment, database).")
    };
    let error = match status.exit_code {
        Some(code) => error.with_context("exit_code", code),
        None => error,
    };
    error
        .with_provider(reference.service.provider.as_str())
        .with_log(lines)
}

async fn unhealthy(
    ctx: &Context,
    provider: &Provider,
    reference: &ReleaseRef,
    release: &Release,
    status: &ReleaseStatus,
    last: &str,
) -> Error {
    let seconds = release.health.start_timeout.as_secs();
    let mut message = format!("the app runs but is not healthy after {seconds} s: {last}");
    let mut remedy =
        "Make it listen on 0.0.0.0 and the port in PORT, or name its port with `--app-port`."
            .to_owned();
    if let Some(detail) = &status.detail {
        message = format!("{message}; {detail}");
        remedy = format!("{remedy} A health check can be changed with `--health-path`.");
    }
    Error::new(ErrorKind::Unhealthy, message)
        .with_provider(reference.service.provider.as_str())
        .with_context("app_port", release.app_port)
        .with_remedy(remedy)
        .with_log(last_lines(ctx, provider, reference, 30).await)
}
