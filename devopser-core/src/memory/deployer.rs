//! [`MemoryDeployer`]: runs nothing, and keeps every rule of [`Deployer`].

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio::sync::watch;

use super::cloud::{MemoryCloud, MemoryRelease, Outcome};
use super::services::lock;
use super::snapshot::Verb;
use crate::context::Context;
use crate::id::{EnvName, Target};
use crate::model::artifact::Artifact;
use crate::model::report::Database;
use crate::model::service::{
    EnvValue, Environment, LogLine, LogStream, ReleasePhase, ReleaseRef, ReleaseStatus, SecretRef,
    ServiceRef, Upstream,
};
use crate::provider::{
    DeployRequest, Deployer, DeployerCapability, DestroyRequest, PrepareRequest, Prepared,
    ProviderInfo,
};
use crate::{Error, ErrorKind, Result, Secret};

/// The kinds of thing that go with their service.
const OF_A_SERVICE: [&str; 4] = ["database", "folder", "image", "release"];

/// A deployer whose services and releases are entries in a [`MemoryCloud`].
#[derive(Clone, Debug)]
pub struct MemoryDeployer {
    cloud: MemoryCloud,
}

impl MemoryDeployer {
    /// The deployer of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }

    /// The name that the service of a target gets.
    #[must_use]
    pub fn service_name(target: &Target) -> String {
        target.key().replace('/', ".")
    }

    async fn secrets(ctx: &Context, env: &Environment) -> Result<BTreeMap<EnvName, Secret>> {
        let mut resolved = BTreeMap::new();
        for (name, value) in env {
            resolved.insert(name.clone(), value.resolve(&*ctx.vault).await?);
        }
        Ok(resolved)
    }

    fn check_artifact(&self, artifact: &Artifact) -> Result<()> {
        let state = lock(&self.cloud.shared.state);
        let known = match artifact {
            Artifact::Image(image) => state
                .images
                .get(&image.reference)
                .is_some_and(|known| known.digest == image.digest),
            other => !state.removed.contains(other.digest()),
        };
        if known {
            Ok(())
        } else {
            Err(gone("artifact", artifact.digest().as_str()))
        }
    }

    async fn database(
        &self,
        ctx: &Context,
        service: &str,
        database: Database,
    ) -> Result<Option<(EnvName, SecretRef)>> {
        let Some((kind, variable, scheme)) = database_names(database) else {
            return Ok(None);
        };
        let name = format!("{service}.{kind}");
        let call = self.cloud.change(ctx, "Deployer::prepare/database").await?;
        self.cloud
            .ensure(ctx, call, "database", &name, |_| {})
            .await?;
        let reference = SecretRef(format!("{name}-url"));
        match ctx.vault.get(&reference).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let password = Secret::generate(24);
                let url = format!("{scheme}://app:{}@{name}/app", password.expose());
                ctx.vault.put(&reference, &Secret::new(url)).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(Some((EnvName::new(variable)?, reference)))
    }

    async fn destroy_release(&self, ctx: &Context, release: &ReleaseRef) -> Result<()> {
        self.cloud.discard(ctx, "release", &release.name).await
    }

    async fn destroy_artifact(&self, ctx: &Context, artifact: &Artifact) -> Result<()> {
        match artifact {
            Artifact::Image(image) => {
                self.cloud
                    .discard(ctx, "image", image.reference.as_str())
                    .await
            }
            other => {
                let digest = other.digest();
                lock(&self.cloud.shared.state)
                    .removed
                    .insert(digest.clone());
                self.cloud.discard(ctx, "folder", digest.as_str()).await
            }
        }
    }

    async fn destroy_service(&self, ctx: &Context, service: &ServiceRef) -> Result<()> {
        let mark = ctx.owner.mark();
        let mut things: Vec<(String, String)> = lock(&self.cloud.shared.state)
            .things
            .values()
            .filter(|thing| thing.mark == mark && OF_A_SERVICE.contains(&thing.kind.as_str()))
            .map(|thing| (thing.kind.clone(), thing.name.clone()))
            .collect();
        // Rows of things that were never made, or that went away by themselves, leave the ledger too.
        for row in ctx.ledger.list().await? {
            if row.intent.provider == MemoryCloud::id()
                && OF_A_SERVICE.contains(&row.intent.kind.as_str())
            {
                things.push((row.intent.kind, row.intent.name));
            }
        }
        things.sort();
        things.dedup();
        for (kind, name) in things {
            self.cloud.discard(ctx, &kind, &name).await?;
            if kind == "database" {
                ctx.vault.remove(&SecretRef(format!("{name}-url"))).await?;
            }
        }
        let name = Self::service_name(&service.target);
        self.cloud.discard(ctx, "service", &name).await
    }
}

fn database_names(database: Database) -> Option<(&'static str, &'static str, &'static str)> {
    match database {
        Database::Postgres => Some(("postgres", "DATABASE_URL", "postgresql")),
        Database::Mysql => Some(("mysql", "DATABASE_URL", "mysql")),
        Database::Mariadb => Some(("mariadb", "DATABASE_URL", "mysql")),
        Database::Redis => Some(("redis", "REDIS_URL", "redis")),
        Database::Mongodb => Some(("mongodb", "MONGODB_URL", "mongodb")),
        Database::Sqlite => None,
    }
}

fn gone(kind: &str, name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the {kind} \"{name}\" is gone"),
    )
    .with_provider("memory")
}

fn status_of(release: &mut MemoryRelease) -> ReleaseStatus {
    release.looks = release.looks.saturating_add(1);
    let mut status = match &release.outcome {
        _ if release.stopped => ReleaseStatus::of(ReleasePhase::Stopped),
        Outcome::Runs { after_looks } if release.looks <= *after_looks => {
            ReleaseStatus::of(ReleasePhase::Starting)
        }
        Outcome::Runs { .. } => {
            let mut status = ReleaseStatus::of(ReleasePhase::Running);
            status.upstream = Some(release.upstream.clone());
            status
        }
        Outcome::Exits { code, .. } => {
            let mut status = ReleaseStatus::of(ReleasePhase::Exited);
            status.exit_code = Some(*code);
            status
        }
        Outcome::OutOfMemory => {
            let mut status = ReleaseStatus::of(ReleasePhase::Exited);
            status.exit_code = Some(137);
            status.out_of_memory = true;
            status
        }
        Outcome::Unhealthy => ReleaseStatus::of(ReleasePhase::Unhealthy),
        Outcome::NeverReady => ReleaseStatus::of(ReleasePhase::Starting),
    };
    status.restarts = release.restarts;
    status.started_at = Some(release.started_at);
    status
}

#[async_trait]
impl Deployer for MemoryDeployer {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    fn capability(&self) -> DeployerCapability {
        DeployerCapability {
            image: true,
            static_site: true,
            process: true,
            databases: true,
            companions: false,
            staged: true,
        }
    }

    async fn prepare(&self, ctx: &Context, request: PrepareRequest) -> Result<Prepared> {
        let call = self.cloud.change(ctx, "Deployer::prepare").await?;
        let name = Self::service_name(&request.target);
        self.cloud
            .ensure(ctx, call, "service", &name, |_| {})
            .await?;
        let mut env = Environment::new();
        for database in request.databases {
            if let Some((variable, reference)) = self.database(ctx, &name, database).await? {
                env.insert(variable, EnvValue::Secret(reference));
            }
        }
        Ok(Prepared {
            service: ServiceRef {
                provider: MemoryCloud::id(),
                target: request.target,
                name,
            },
            env,
        })
    }

    async fn deploy(&self, ctx: &Context, request: DeployRequest) -> Result<ReleaseRef> {
        if !request.companions.is_empty() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "nothing runs beside an app here",
            ));
        }
        let call = self.cloud.change(ctx, "Deployer::deploy").await?;
        let service = request.service;
        if lock(&self.cloud.shared.state)
            .thing("service", &service.name)
            .is_none()
        {
            return Err(gone("service", &service.name));
        }
        self.check_artifact(&request.artifact)?;
        let env = Self::secrets(ctx, &request.env).await?;
        let name = format!("{}.{}", service.name, request.release);
        let reference = ReleaseRef {
            service,
            release: request.release,
            name: name.clone(),
        };
        let started_at = ctx.clock.now_ms();
        let made = reference.clone();
        self.cloud
            .ensure(ctx, call, "release", &name, move |state| {
                let upstream = match &request.artifact {
                    Artifact::StaticSite(site) => Upstream::Folder {
                        path: site.folder.clone(),
                        single_page_app: site.single_page_app,
                    },
                    _ => Upstream::Address {
                        address: state.next_address(),
                    },
                };
                let outcome = state.next_outcome();
                let release = MemoryRelease {
                    log: watch::Sender::new(first_lines(&outcome, started_at)),
                    reference: made,
                    env,
                    outcome,
                    looks: 0,
                    stopped: false,
                    restarts: 0,
                    started_at,
                    upstream,
                };
                state
                    .releases
                    .insert(release.reference.name.clone(), release);
            })
            .await?;
        Ok(reference)
    }

    async fn status(&self, ctx: &Context, release: &ReleaseRef) -> Result<ReleaseStatus> {
        let call = self.cloud.look(ctx, "Deployer::status").await?;
        let status = lock(&self.cloud.shared.state)
            .releases
            .get_mut(&release.name)
            .map_or_else(|| ReleaseStatus::of(ReleasePhase::Absent), status_of);
        call.happened().await?;
        Ok(status)
    }

    async fn activate(&self, ctx: &Context, release: &ReleaseRef) -> Result<Upstream> {
        let call = self.cloud.change(ctx, "Deployer::activate").await?;
        let upstream = {
            let mut state = lock(&self.cloud.shared.state);
            let Some(known) = state.releases.get(&release.name) else {
                return Err(gone("release", &release.name));
            };
            let upstream = known.upstream.clone();
            let before = state
                .active
                .insert(release.service.name.clone(), release.name.clone());
            if before.as_ref() != Some(&release.name) {
                state.effect(Verb::Activated, "release", &release.name);
            }
            upstream
        };
        call.happened().await?;
        Ok(upstream)
    }

    async fn releases(&self, ctx: &Context, service: &ServiceRef) -> Result<Vec<ReleaseRef>> {
        let call = self.cloud.look(ctx, "Deployer::releases").await?;
        let releases = lock(&self.cloud.shared.state)
            .releases
            .values()
            .filter(|release| release.reference.service.name == service.name)
            .map(|release| release.reference.clone())
            .collect();
        call.happened().await?;
        Ok(releases)
    }

    async fn destroy(&self, ctx: &Context, request: DestroyRequest) -> Result<()> {
        let call = self.cloud.change(ctx, "Deployer::destroy").await?;
        match &request {
            DestroyRequest::Release { release } => self.destroy_release(ctx, release).await?,
            DestroyRequest::Artifact { artifact, .. } => {
                self.destroy_artifact(ctx, artifact).await?
            }
            // Nothing runs beside an app here.
            DestroyRequest::Companions { .. } => {}
            DestroyRequest::Service { service } => self.destroy_service(ctx, service).await?,
        }
        call.happened().await
    }
}

fn first_lines(outcome: &Outcome, at: u64) -> Vec<LogLine> {
    let lines = match outcome {
        Outcome::Exits { lines, .. } => lines.clone(),
        _ => vec!["started".to_owned()],
    };
    lines
        .into_iter()
        .map(|line| LogLine {
            at: Some(at),
            stream: LogStream::Stdout,
            line,
        })
        .collect()
}
