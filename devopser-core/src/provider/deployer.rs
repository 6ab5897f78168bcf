//! [`Deployer`]: runs artifacts as services.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Poll, ProviderInfo};
use crate::context::Context;
use crate::id::{ReleaseId, Target};
use crate::model::artifact::Artifact;
use crate::model::container::{Companion, ContainerOptions};
use crate::model::report::Database;
use crate::model::service::{
    Environment, HealthCheck, Limits, ReleasePhase, ReleaseRef, ReleaseStatus, ServiceRef, Upstream,
};
use crate::{Error, ErrorKind, Result};

/// What a deployer can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployerCapability {
    /// It runs container images.
    pub image: bool,
    /// It serves folders of files.
    pub static_site: bool,
    /// It runs a start command in a folder of prepared source.
    pub process: bool,
    /// It makes databases beside the app.
    pub databases: bool,
    /// It runs companions beside the app.
    pub companions: bool,
    /// A new release runs beside the old one until it is activated.
    pub staged: bool,
}

/// What to make ready before anything is built or pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareRequest {
    /// What it is for.
    pub target: Target,
    /// The databases that are made beside the app.
    pub databases: Vec<Database>,
    /// Those of them that let the app in without a password as well. It counts when a database is made.
    #[serde(default)]
    pub without_password: Vec<Database>,
}

/// What was made ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The service.
    pub service: ServiceRef,
    /// What the app needs to reach its databases, such as `DATABASE_URL`; passwords are secret references.
    pub env: Environment,
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployRequest {
    /// The service.
    pub service: ServiceRef,
    /// Our id of the release: the key by which a repeated call finds what it made.
    pub release: ReleaseId,
    /// What to run.
    pub artifact: Artifact,
    /// The port that the app listens on inside; handed to it as `PORT`.
    pub app_port: u16,
    /// The environment, `PORT` left out.
    pub env: Environment,
    /// How its container is run beyond that.
    pub container: ContainerOptions,
    /// What runs beside it, in the order in which it is started.
    pub companions: Vec<Companion>,
    /// The most it may use.
    pub limits: Limits,
    /// How it is decided that it can take requests.
    pub health: HealthCheck,
}

/// What to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DestroyRequest {
    /// What runs of one release; its artifact stays, so that it can be rolled back to.
    Release {
        /// The release.
        release: ReleaseRef,
    },
    /// The artifact of a release: no rollback to it after this.
    Artifact {
        /// The service.
        service: ServiceRef,
        /// The artifact.
        artifact: Artifact,
    },
    /// Companions of the service that are not named.
    Companions {
        /// The service.
        service: ServiceRef,
        /// The names of those that stay.
        keep: Vec<String>,
    },
    /// Everything of the service: releases, artifacts, networks, databases with their data.
    Service {
        /// The service.
        service: ServiceRef,
    },
}

/// Runs artifacts as services on one account, engine or machine.
#[async_trait]
pub trait Deployer: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// What it can do.
    fn capability(&self) -> DeployerCapability;

    /// Makes the service exist with all that a release needs around it (network, databases, push target).
    ///
    /// # Behavior
    /// - Repeating it changes nothing and returns the same.
    /// - Whatever it makes stands in the ledger first and carries the owner mark.
    /// - A thing of that name without our mark is left untouched: [`AlreadyExists`](crate::ErrorKind::AlreadyExists).
    async fn prepare(&self, ctx: &Context, request: PrepareRequest) -> Result<Prepared>;

    /// Starts a release beside the ones that run. It is accepted, not necessarily serving: poll [`Deployer::status`].
    ///
    /// # Behavior
    /// - Repeating it with the same `request.release` returns the same release and starts nothing twice.
    /// - Other releases of the service are left as they are.
    /// - The companions run as the request says before it returns: those that run so already are left alone, others are
    ///   replaced and keep their named volumes. Without the capability a request with companions is refused:
    ///   [`Unsupported`](crate::ErrorKind::Unsupported).
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) when the artifact is gone.
    /// - [`Unsupported`](crate::ErrorKind::Unsupported), before anything is made, for an artifact outside the capability.
    async fn deploy(&self, ctx: &Context, request: DeployRequest) -> Result<ReleaseRef>;

    /// How a release is. An unknown one is [`ReleasePhase::Absent`](crate::model::service::ReleasePhase::Absent).
    async fn status(&self, ctx: &Context, release: &ReleaseRef) -> Result<ReleaseStatus>;

    /// Gives the release the service's requests and says where they go. Promotes and rolls back: one verb.
    ///
    /// # Behavior
    /// - Repeating it changes nothing.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) when the release is gone.
    async fn activate(&self, ctx: &Context, release: &ReleaseRef) -> Result<Upstream>;

    /// The releases that exist at the provider.
    async fn releases(&self, ctx: &Context, service: &ServiceRef) -> Result<Vec<ReleaseRef>>;

    /// Removes what the request names. What is absent is `Ok`.
    ///
    /// # Behavior
    /// - Removing twice is `Ok`.
    /// - A ledger row leaves only when the provider says that the thing is gone.
    /// - What does not carry our mark is left untouched.
    async fn destroy(&self, ctx: &Context, request: DestroyRequest) -> Result<()>;
}

/// Sugar over any [`Deployer`].
#[async_trait]
pub trait DeployerExt: Deployer {
    /// Waits until the release takes requests.
    ///
    /// # Errors
    /// [`OutOfMemory`](ErrorKind::OutOfMemory), [`Crashed`](ErrorKind::Crashed), [`NotFound`](ErrorKind::NotFound) when
    /// it is stopped or gone, [`Timeout`](ErrorKind::Timeout), [`Cancelled`](ErrorKind::Cancelled), or what the provider
    /// says. An unhealthy release is given the whole time.
    async fn wait_until_live(
        &self,
        ctx: &Context,
        release: &ReleaseRef,
        poll: Poll,
    ) -> Result<ReleaseStatus> {
        poll.run(ctx, "waiting for the release", || async {
            let status = self.status(ctx, release).await?;
            match status.phase {
                ReleasePhase::Running => Ok(Some(status)),
                ReleasePhase::Exited => Err(ended(&status)),
                ReleasePhase::Stopped | ReleasePhase::Absent => Err(Error::new(
                    ErrorKind::NotFound,
                    format!("the release \"{}\" does not run", release.name),
                )),
                _ => Ok(None),
            }
        })
        .await
    }
}

impl<T: Deployer + ?Sized> DeployerExt for T {}

fn ended(status: &ReleaseStatus) -> Error {
    let error = if status.out_of_memory {
        Error::new(ErrorKind::OutOfMemory, "the app was ended for its memory")
    } else {
        Error::new(ErrorKind::Crashed, "the app ended by itself")
    };
    match status.exit_code {
        Some(code) => error.with_context("exit_code", code),
        None => error,
    }
}
