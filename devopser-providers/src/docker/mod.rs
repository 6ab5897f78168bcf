//! The provider `docker`: builds images with BuildKit and runs them as containers on one Docker engine.
//!
//! What is made for a target: one bridge network, one container for each release, one container and one volume for each
//! database, and the images. Each carries the label `dev.devopser.owner` and a name made from the installation, the
//! target and the release, so that a repeated or cut-off call finds what it made.
//!
//! A container of a release gets no capability but those of [`spec`], no new privileges, limits on memory (swap
//! included), processors and processes, an init process, and rotated logs. Its port is published on an ephemeral port of
//! 127.0.0.1, which changes when it is restarted: ask [`Deployer::status`](devopser_core::provider::Deployer::status).
//!
//! Every type of the engine's client library stays in `client`. That library writes the bodies of requests, the
//! environment of containers among them, at the level `debug` under the target `bollard`: a host keeps it above that.

mod build;
mod build_error;
mod build_log;
mod check;
mod client;
mod companion;
mod context;
mod control;
mod database;
mod deploy;
mod destroy;
mod ignore;
mod inventory;
mod logs;
mod model;
mod names;
mod secret_mounts;
mod sockets;
mod spec;
mod time;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use devopser_core::id::ProviderId;
use devopser_core::provider::{Provider, ProviderInfo};
use devopser_core::{Error, ErrorKind, Result};

pub use check::{Check, check};

use client::Engine;

/// The id of the provider.
pub const ID: &str = "docker";

/// How the engine is reached, and for how long is waited. Nothing is read from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerConfig {
    /// The engine's Unix socket. Default: `/var/run/docker.sock`.
    pub socket: PathBuf,
    /// The longest time of one ordinary request. Default: 60 seconds.
    pub request_timeout: Duration,
    /// The longest time of one build. Default: one hour.
    pub build_timeout: Duration,
    /// The longest time until a new database answers. Default: 2 minutes.
    pub database_timeout: Duration,
}

impl Default for DockerConfig {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/var/run/docker.sock"),
            request_timeout: Duration::from_secs(60),
            build_timeout: Duration::from_secs(3600),
            database_timeout: Duration::from_secs(120),
        }
    }
}

impl DockerConfig {
    /// A config for an engine as `DOCKER_HOST` names it: `unix:///path`, or just the path.
    ///
    /// # Errors
    /// [`ConfigInvalid`](ErrorKind::ConfigInvalid) for any other scheme: published ports of a remote engine would not be
    /// reached on 127.0.0.1.
    pub fn from_host(host: &str) -> Result<Self> {
        let path = host.strip_prefix("unix://").unwrap_or(host);
        if !path.starts_with('/') {
            return Err(Error::new(
                ErrorKind::ConfigInvalid,
                format!("the Docker engine \"{host}\" is not a Unix socket"),
            )
            .with_provider(ID)
            .with_remedy("Name the socket of an engine on this machine, such as unix:///var/run/docker.sock."));
        }
        Ok(Self {
            socket: PathBuf::from(path),
            ..Self::default()
        })
    }
}

/// What every ability of the provider works with.
#[derive(Clone, Debug)]
pub(crate) struct Docker {
    config: Arc<DockerConfig>,
    engine: Arc<Engine>,
    id: ProviderId,
}

impl Docker {
    fn info(&self) -> ProviderInfo {
        ProviderInfo::new(self.id.clone(), "Docker")
    }
}

/// The provider `docker`. The engine is asked for the first time when it is needed.
///
/// # Errors
/// [`ConfigInvalid`](ErrorKind::ConfigInvalid) for a socket that is not an absolute path.
pub fn provider(config: DockerConfig) -> Result<Provider> {
    if !config.socket.is_absolute() {
        return Err(Error::new(
            ErrorKind::ConfigInvalid,
            "the path of the Docker engine's socket is not absolute",
        )
        .with_provider(ID));
    }
    let docker = Docker {
        engine: Arc::new(Engine::new(config.socket.clone(), config.request_timeout)),
        config: Arc::new(config),
        id: ProviderId::new(ID)?,
    };
    let mut provider = Provider::new(docker.info());
    provider.image_builder = Some(Arc::new(docker.clone()));
    provider.deployer = Some(Arc::new(docker.clone()));
    provider.service_control = Some(Arc::new(docker.clone()));
    provider.inventory = Some(Arc::new(docker));
    Ok(provider)
}
