//! The deployer.

use std::net::SocketAddr;

use async_trait::async_trait;
use devopser_core::context::Context;
use devopser_core::id::ReleaseId;
use devopser_core::model::artifact::Artifact;
use devopser_core::model::resource::OWNER_LABEL;
use devopser_core::model::service::{
    ReleasePhase, ReleaseRef, ReleaseStatus, ServiceRef, Upstream,
};
use devopser_core::provider::{
    DeployRequest, Deployer, DeployerCapability, DestroyRequest, PrepareRequest, Prepared,
    ProviderInfo,
};
use devopser_core::{Error, ErrorKind, Result};

use super::model::{ContainerFacts, ContainerHealth, ContainerPhase, ContainerSpec, Labels};
use super::{Docker, ID, names, sockets, spec};

#[async_trait]
impl Deployer for Docker {
    fn info(&self) -> ProviderInfo {
        Self::info(self)
    }

    fn capability(&self) -> DeployerCapability {
        DeployerCapability {
            image: true,
            static_site: false,
            process: false,
            databases: true,
            companions: true,
            staged: true,
        }
    }

    async fn prepare(&self, ctx: &Context, request: PrepareRequest) -> Result<Prepared> {
        let service = names::service_ref(&ctx.owner, &request.target)?;
        let mark = names::mark(&ctx.owner, &request.target);
        self.ensure_network(ctx, &service.name, &mark).await?;
        let env = self
            .ensure_databases(
                ctx,
                &service.name,
                &mark,
                &request.databases,
                &request.without_password,
            )
            .await?;
        Ok(Prepared { service, env })
    }

    async fn deploy(&self, ctx: &Context, request: DeployRequest) -> Result<ReleaseRef> {
        let Artifact::Image(artifact) = &request.artifact else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "Docker runs images, and this artifact is none",
            )
            .with_provider(ID));
        };
        let image = self
            .engine
            .image(ctx, artifact.digest.as_str())
            .await?
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    format!(
                        "the image {} is not on the engine any more",
                        artifact.reference
                    ),
                )
                .with_provider(ID)
                .with_context("digest", &artifact.digest)
                .with_remedy("Deploy the source again: the image has to be built anew.")
            })?;
        let mark = names::mark(&ctx.owner, &request.service.target);
        self.ensure_network(ctx, &request.service.name, &mark)
            .await?;
        let service = request.service.name.clone();
        let (before, after): (Vec<_>, Vec<_>) = request
            .companions
            .iter()
            .partition(|companion| !companion.after_app);
        for companion in before {
            self.ensure_companion(ctx, &service, &mark, companion)
                .await?;
        }
        self.wait_for(ctx, &service, &request.container.wait_for)
            .await?;
        let spec = spec::app(ctx, &request, &image, &mark).await?;
        self.ensure_volumes(ctx, &spec.mounts, &mark).await?;
        let name = spec.name.clone();
        self.ensure_container(ctx, spec, &mark).await?;
        for companion in after {
            self.ensure_companion(ctx, &service, &mark, companion)
                .await?;
        }
        Ok(ReleaseRef {
            service: request.service,
            release: request.release,
            name,
        })
    }

    async fn status(&self, ctx: &Context, release: &ReleaseRef) -> Result<ReleaseStatus> {
        Ok(match self.owned_container(ctx, release).await? {
            Some(facts) => status(&facts),
            None => ReleaseStatus::of(ReleasePhase::Absent),
        })
    }

    async fn activate(&self, ctx: &Context, release: &ReleaseRef) -> Result<Upstream> {
        // The router gives the requests; here it is only made sure that they can be taken.
        let facts = self
            .owned_container(ctx, release)
            .await?
            .ok_or_else(|| absent(release))?;
        status(&facts).upstream.ok_or_else(|| {
            Error::new(
                ErrorKind::Crashed,
                format!("the release {} does not run", release.release),
            )
            .with_provider(ID)
            .with_context("container", &facts.name)
        })
    }

    async fn releases(&self, ctx: &Context, service: &ServiceRef) -> Result<Vec<ReleaseRef>> {
        let labels = [
            format!("{OWNER_LABEL}={}", names::mark(&ctx.owner, &service.target)),
            format!("{}={}", names::ROLE_LABEL, names::ROLE_APP),
        ];
        let found = self.engine.containers(ctx, &labels).await?;
        Ok(found
            .into_iter()
            .filter_map(|container| {
                let release = container.labels.get(names::RELEASE_LABEL)?;
                Some(ReleaseRef {
                    service: service.clone(),
                    release: ReleaseId::new(release.as_str()).ok()?,
                    name: container.name,
                })
            })
            .collect())
    }

    async fn destroy(&self, ctx: &Context, request: DestroyRequest) -> Result<()> {
        match request {
            DestroyRequest::Release { release } => self.destroy_release(ctx, &release).await,
            DestroyRequest::Artifact { service, artifact } => {
                self.destroy_artifact(ctx, &service, &artifact).await
            }
            DestroyRequest::Companions { service, keep } => {
                self.destroy_companions(ctx, &service, &keep).await
            }
            DestroyRequest::Service { service } => self.destroy_service(ctx, &service).await,
        }
    }
}

impl Docker {
    /// The container of a release, if it is ours.
    pub(crate) async fn owned_container(
        &self,
        ctx: &Context,
        release: &ReleaseRef,
    ) -> Result<Option<ContainerFacts>> {
        let mark = names::mark(&ctx.owner, &release.service.target);
        let found = self.engine.container(ctx, &release.name).await?;
        Ok(found.filter(|facts| {
            let label = |name: &str| facts.labels.get(name).map(String::as_str);
            names::mark_of(&facts.labels) == Some(&mark)
                && (label(names::RELEASE_LABEL) == Some(release.release.as_str())
                    || label(names::COMPANION_LABEL).is_some())
        }))
    }

    pub(crate) async fn ensure_network(&self, ctx: &Context, name: &str, mark: &str) -> Result<()> {
        if let Some(found) = self.engine.network(ctx, name).await? {
            refuse_foreign("network", name, &found.labels, mark)?;
            let row = ctx.ledger.intend(names::intent("network", name)?).await?;
            return ctx.ledger.created(&row, &found.id).await;
        }
        let row = ctx.ledger.intend(names::intent("network", name)?).await?;
        let id = self
            .engine
            .create_network(ctx, name, names::labels(mark))
            .await?;
        ctx.ledger.created(&row, &id).await
    }

    pub(crate) async fn ensure_volume(&self, ctx: &Context, name: &str, mark: &str) -> Result<()> {
        let found = self.engine.volume(ctx, name).await?;
        if let Some(found) = &found {
            refuse_foreign("volume", name, &found.labels, mark)?;
        }
        let row = ctx.ledger.intend(names::intent("volume", name)?).await?;
        if found.is_none() {
            self.engine
                .create_volume(ctx, name, names::labels(mark))
                .await?;
        }
        ctx.ledger.created(&row, name).await
    }

    /// Makes a container exist and run. One of that name and our mark is adopted.
    pub(crate) async fn ensure_container(
        &self,
        ctx: &Context,
        spec: ContainerSpec,
        mark: &str,
    ) -> Result<()> {
        let name = spec.name.clone();
        let files = spec.files.clone();
        let mut found = self.engine.container(ctx, &name).await?;
        if let Some(facts) = &found {
            refuse_foreign("container", &name, &facts.labels, mark)?;
        }
        let row = ctx
            .ledger
            .intend(names::intent("container", &name)?)
            .await?;
        if let Some(facts) = found
            .take_if(|facts| matches!(facts.phase, ContainerPhase::Removing | ContainerPhase::Dead))
        {
            self.engine.remove_container(ctx, &facts.id).await?;
        }
        let (id, phase) = match found {
            Some(facts) => (facts.id, facts.phase),
            None => (self.create(ctx, spec, mark).await?, ContainerPhase::Created),
        };
        ctx.ledger.created(&row, &id).await?;
        if matches!(phase, ContainerPhase::Running | ContainerPhase::Restarting) {
            return Ok(());
        }
        for (path, content) in files {
            self.engine
                .write_file(ctx, &id, &path, content.expose().as_bytes())
                .await?;
        }
        self.engine
            .start_container(ctx, &id)
            .await
            .map_err(|error| not_started(&name, error))
    }

    async fn create(&self, ctx: &Context, spec: ContainerSpec, mark: &str) -> Result<String> {
        let name = spec.name.clone();
        match self.engine.create_container(ctx, spec).await {
            // An earlier request of ours that was cut off may have been carried out meanwhile.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let facts = self.engine.container(ctx, &name).await?.ok_or(error)?;
                refuse_foreign("container", &name, &facts.labels, mark)?;
                Ok(facts.id)
            }
            made => made,
        }
    }
}

/// A thing of our name without our mark is left untouched.
pub(crate) fn refuse_foreign(kind: &str, name: &str, labels: &Labels, mark: &str) -> Result<()> {
    if names::mark_of(labels) == Some(mark) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::AlreadyExists,
        format!("the engine has a {kind} {name} that this app did not make"),
    )
    .with_provider(ID)
    .with_context(kind, name)
    .with_remedy(format!(
        "Remove or rename that {kind}, or choose another app name."
    )))
}

/// The engine could not start the container: most often its command does not exist in the image.
fn not_started(name: &str, error: Error) -> Error {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::NotFound | ErrorKind::Unexpected => Error::new(
            ErrorKind::Crashed,
            format!(
                "the app cannot be started: {}",
                error.message().trim_start_matches("Docker: ")
            ),
        )
        .with_provider(ID)
        .with_context("container", name)
        .with_remedy("Check the start command: the image must have the program that it names."),
        _ => error,
    }
}

/// The error for a release that the engine does not know.
pub(crate) fn absent(release: &ReleaseRef) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the release {} has no container any more", release.release),
    )
    .with_provider(ID)
    .with_context("container", &release.name)
}

pub(crate) fn status(facts: &ContainerFacts) -> ReleaseStatus {
    let app_port = facts
        .labels
        .get(names::PORT_LABEL)
        .and_then(|port| port.parse::<u16>().ok());
    let address: Option<SocketAddr> = app_port.and_then(|port| facts.ports.get(&port)).copied();
    let mut status = ReleaseStatus::of(release_phase(facts));
    status.exit_code = facts.exit_code;
    status.out_of_memory = facts.out_of_memory;
    status.restarts = facts.restarts;
    status.started_at = facts.started_at;
    status.detail.clone_from(&facts.error);
    if facts.phase == ContainerPhase::Running {
        status.upstream = address.map(|address| Upstream::Address { address });
        status.detail = app_port
            .and_then(|port| sockets::complaint(facts, port))
            .or_else(|| {
                facts
                    .health_output
                    .clone()
                    .filter(|_| facts.health == ContainerHealth::Unhealthy)
            });
    }
    status
}

fn release_phase(facts: &ContainerFacts) -> ReleasePhase {
    match (facts.phase, facts.health) {
        (ContainerPhase::Running, ContainerHealth::Starting) => ReleasePhase::Starting,
        (ContainerPhase::Running, ContainerHealth::Unhealthy) => ReleasePhase::Unhealthy,
        (ContainerPhase::Running, _) => ReleasePhase::Running,
        (ContainerPhase::Created, _) if facts.error.is_none() => ReleasePhase::Starting,
        (ContainerPhase::Paused, _) => ReleasePhase::Stopped,
        // The restart policy leaves it ended only when it was stopped on purpose.
        (ContainerPhase::Exited, _) if facts.error.is_none() => ReleasePhase::Stopped,
        (ContainerPhase::Removing, _) => ReleasePhase::Absent,
        _ => ReleasePhase::Exited,
    }
}
