//! What runs beside an app: a container for each companion, replaced where it changed, with the app's named volumes.

use std::time::Duration;

use devopser_core::context::Context;
use devopser_core::model::container::{Companion, RestartRule, WaitFor, WaitUntil};
use devopser_core::model::resource::OWNER_LABEL;
use devopser_core::model::service::{CompanionStatus, ReleaseRef, ServiceRef};
use devopser_core::{Error, ErrorKind, Result};

use super::deploy::{refuse_foreign, status};
use super::destroy::GRACE;
use super::model::{ContainerFacts, ContainerHealth, ContainerPhase, Labels, Listed, MountSpec};
use super::{Docker, ID, names, spec};

/// How often a companion may end and be started again while it is waited for.
const MAX_RESTARTS: u32 = 3;

impl Docker {
    /// Makes a companion run as it is meant to. One that runs so already is left alone; another is replaced.
    pub(crate) async fn ensure_companion(
        &self,
        ctx: &Context,
        service: &str,
        mark: &str,
        companion: &Companion,
    ) -> Result<()> {
        self.wait_for(ctx, service, &companion.container.wait_for)
            .await?;
        let image = self.companion_image(ctx, companion).await?;
        let spec = spec::companion(ctx, service, companion, &image, mark).await?;
        if let Some(facts) = self.engine.container(ctx, &spec.name).await? {
            refuse_foreign("container", &spec.name, &facts.labels, mark)?;
            if is_same(&facts.labels, &spec.labels) {
                if is_done(&facts, companion.restart) {
                    return Ok(());
                }
            } else {
                ctx.progress
                    .note(&format!("{} is replaced", companion.name));
                let grace = companion.container.stop_grace.unwrap_or(GRACE);
                self.engine.stop_container(ctx, &facts.id, grace).await?;
                self.engine.remove_container(ctx, &facts.id).await?;
            }
        }
        self.ensure_volumes(ctx, &spec.mounts, mark).await?;
        self.ensure_container(ctx, spec, mark).await
    }

    async fn companion_image(
        &self,
        ctx: &Context,
        companion: &Companion,
    ) -> Result<devopser_core::id::Digest> {
        let name = &companion.name;
        let image = companion
            .image
            .as_ref()
            .ok_or_else(|| Error::unexpected(format!("{name} has no image")))?;
        let found = self.engine.image(ctx, image.digest.as_str()).await?;
        found.map(|found| found.id).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("the image of {name} is not on the engine any more"),
            )
            .with_provider(ID)
            .with_context("digest", &image.digest)
            .with_remedy("Deploy the source again: the image has to be built anew.")
        })
    }

    /// Makes the named ones of the volumes exist.
    pub(crate) async fn ensure_volumes(
        &self,
        ctx: &Context,
        mounts: &[MountSpec],
        mark: &str,
    ) -> Result<()> {
        for name in mounts.iter().filter_map(|mount| mount.volume.as_ref()) {
            self.ensure_volume(ctx, name, mark).await?;
        }
        Ok(())
    }

    /// Waits until every companion is as it must be.
    pub(crate) async fn wait_for(
        &self,
        ctx: &Context,
        service: &str,
        waits: &[WaitFor],
    ) -> Result<()> {
        for wait in waits {
            self.wait_for_one(ctx, service, wait).await?;
        }
        Ok(())
    }

    async fn wait_for_one(&self, ctx: &Context, service: &str, wait: &WaitFor) -> Result<()> {
        let name = names::companion(service, &wait.companion);
        let deadline = tokio::time::Instant::now() + self.config.database_timeout;
        let mut is_told = false;
        loop {
            let facts = self.engine.container(ctx, &name).await?;
            let late = tokio::time::Instant::now() >= deadline;
            match facts.as_ref().map(|facts| progress(facts, wait.until)) {
                Some(Waiting::Over) => return Ok(()),
                Some(Waiting::On) if !late => {}
                state => {
                    let why = match state {
                        None => "does not exist",
                        Some(Waiting::Failed(why)) => why,
                        Some(_) => "takes too long",
                    };
                    return Err(self.not_ready(ctx, &name, wait, why, facts.as_ref()).await);
                }
            }
            if !is_told {
                ctx.progress
                    .note(&format!("Waiting for {}", wait.companion));
                is_told = true;
            }
            ctx.sleep(Duration::from_millis(300)).await?;
        }
    }

    async fn not_ready(
        &self,
        ctx: &Context,
        name: &str,
        wait: &WaitFor,
        why: &str,
        facts: Option<&ContainerFacts>,
    ) -> Error {
        let lines = match facts {
            Some(_) => self.last_lines(ctx, name, 30).await,
            None => Vec::new(),
        };
        let until = match wait.until {
            WaitUntil::Healthy => "healthy",
            WaitUntil::Completed => "done",
            _ => "started",
        };
        let said = facts
            .and_then(|facts| facts.health_output.clone())
            .map(|said| format!("; its health check says: {}", said.trim()))
            .unwrap_or_default();
        Error::new(
            ErrorKind::Unhealthy,
            format!(
                "the service \"{}\" did not become {until}: it {why}{said}",
                wait.companion
            ),
        )
        .with_provider(ID)
        .with_context("container", name)
        .with_log(lines)
        .with_remedy("Its last lines say why. Correct what it needs, or its health check.")
    }

    /// The companions' containers of a service.
    async fn companions_listed(&self, ctx: &Context, service: &ServiceRef) -> Result<Vec<Listed>> {
        let labels = [
            format!("{OWNER_LABEL}={}", names::mark(&ctx.owner, &service.target)),
            format!("{}={}", names::ROLE_LABEL, names::ROLE_COMPANION),
        ];
        let mut found = self.engine.containers(ctx, &labels).await?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Removes the companions that are not named. Their volumes stay until the service goes.
    pub(crate) async fn destroy_companions(
        &self,
        ctx: &Context,
        service: &ServiceRef,
        keep: &[String],
    ) -> Result<()> {
        for found in self.companions_listed(ctx, service).await? {
            let name = found.labels.get(names::COMPANION_LABEL);
            if name.is_some_and(|name| keep.contains(name)) {
                continue;
            }
            self.engine.stop_container(ctx, &found.id, GRACE).await?;
            self.engine.remove_container(ctx, &found.id).await?;
            self.strike_row(ctx, "container", &found.name).await?;
        }
        Ok(())
    }

    pub(crate) async fn start_companions(&self, ctx: &Context, release: &ReleaseRef) -> Result<()> {
        for found in self.companions_listed(ctx, &release.service).await? {
            let facts = self.engine.container(ctx, &found.id).await?;
            // What ended well has done its work.
            let done = facts.is_some_and(|facts| {
                facts.phase == ContainerPhase::Running
                    || facts.phase == ContainerPhase::Exited
                        && facts.exit_code == Some(0)
                        && facts.labels.contains_key(names::ONCE_LABEL)
            });
            if !done {
                self.engine.start_container(ctx, &found.id).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn stop_companions(
        &self,
        ctx: &Context,
        release: &ReleaseRef,
        grace: Duration,
    ) -> Result<()> {
        for found in self.companions_listed(ctx, &release.service).await? {
            self.engine.stop_container(ctx, &found.id, grace).await?;
        }
        Ok(())
    }

    /// What runs beside a release.
    pub(crate) async fn companions_of(
        &self,
        ctx: &Context,
        release: &ReleaseRef,
    ) -> Result<Vec<CompanionStatus>> {
        let mut all = Vec::new();
        for found in self.companions_listed(ctx, &release.service).await? {
            let Some(facts) = self.engine.container(ctx, &found.id).await? else {
                continue;
            };
            all.push(CompanionStatus {
                name: found
                    .labels
                    .get(names::COMPANION_LABEL)
                    .cloned()
                    .unwrap_or_default(),
                reference: ReleaseRef {
                    name: found.name,
                    ..release.clone()
                },
                status: status(&facts),
            });
        }
        Ok(all)
    }
}

fn is_same(found: &Labels, wanted: &Labels) -> bool {
    found.get(names::SPEC_LABEL) == wanted.get(names::SPEC_LABEL)
}

/// Whether it has done its work, and is not to be started again.
fn is_done(facts: &ContainerFacts, restart: RestartRule) -> bool {
    restart != RestartRule::UnlessStopped
        && facts.phase == ContainerPhase::Exited
        && facts.exit_code == Some(0)
}

enum Waiting {
    Over,
    On,
    Failed(&'static str),
}

fn progress(facts: &ContainerFacts, until: WaitUntil) -> Waiting {
    let ended = matches!(facts.phase, ContainerPhase::Exited | ContainerPhase::Dead);
    let well = ended && facts.exit_code == Some(0);
    match until {
        _ if facts.restarts >= MAX_RESTARTS => Waiting::Failed("ends again and again"),
        WaitUntil::Completed if well => Waiting::Over,
        WaitUntil::Started if well || facts.phase == ContainerPhase::Running => Waiting::Over,
        _ if ended && !well => Waiting::Failed("ended with an error"),
        WaitUntil::Healthy if well => Waiting::Failed("ended"),
        WaitUntil::Healthy if facts.phase == ContainerPhase::Running => match facts.health {
            ContainerHealth::Healthy => Waiting::Over,
            ContainerHealth::None => Waiting::Failed("has no health check"),
            ContainerHealth::Unhealthy => Waiting::Failed("is unhealthy"),
            ContainerHealth::Starting => Waiting::On,
        },
        _ => Waiting::On,
    }
}
