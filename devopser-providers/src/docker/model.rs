//! What the engine says and is asked for, in our own words: plain data without a type of the client library.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use devopser_core::Secret;
use devopser_core::id::{Digest, ImageRef};
use devopser_core::model::container::RestartRule;

/// Labels of a thing.
pub(crate) type Labels = BTreeMap<String, String>;

/// The state of a container, as the engine names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerPhase {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

/// What the image's or our own health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerHealth {
    None,
    Starting,
    Healthy,
    Unhealthy,
}

/// A container, as the engine knows it now.
#[derive(Clone, Debug)]
pub(crate) struct ContainerFacts {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) phase: ContainerPhase,
    pub(crate) health: ContainerHealth,
    pub(crate) exit_code: Option<i64>,
    pub(crate) out_of_memory: bool,
    pub(crate) restarts: u32,
    pub(crate) started_at: Option<u64>,
    pub(crate) error: Option<String>,
    pub(crate) pid: Option<u32>,
    /// Published ports: the container's, and where it is reached.
    pub(crate) ports: BTreeMap<u16, SocketAddr>,
    /// What the last health check wrote.
    pub(crate) health_output: Option<String>,
}

/// A thing of any kind in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) labels: Labels,
}

/// An image, as the engine knows it.
#[derive(Clone, Debug)]
pub(crate) struct ImageFacts {
    pub(crate) id: Digest,
    pub(crate) tags: Vec<String>,
    pub(crate) labels: Labels,
    pub(crate) size_bytes: u64,
    pub(crate) port: Option<u16>,
    /// The names of the environment variables that the image sets.
    pub(crate) env: Vec<String>,
}

/// How a container's health is checked by the engine.
#[derive(Clone, Debug)]
pub(crate) struct HealthSpec {
    /// `CMD` or `CMD-SHELL` with what is run, or `NONE`.
    pub(crate) test: Vec<String>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) start_period: Duration,
    pub(crate) retries: u32,
}

/// A volume in a container.
#[derive(Clone, Debug)]
pub(crate) struct MountSpec {
    /// `None`: one without a name, which goes with its container.
    pub(crate) volume: Option<String>,
    pub(crate) path: String,
    pub(crate) read_only: bool,
}

/// A container to make.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContainerSpec {
    pub(crate) name: String,
    /// A reference, or the id of an image.
    pub(crate) image: String,
    pub(crate) labels: Labels,
    /// The environment; any value may be a secret.
    pub(crate) env: Vec<(String, Secret)>,
    /// `None`: the image's own.
    pub(crate) entrypoint: Option<Vec<String>>,
    /// `None`: the image's own.
    pub(crate) command: Option<Vec<String>>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) cpu_millis: Option<u32>,
    pub(crate) pids: Option<u32>,
    pub(crate) user: Option<String>,
    pub(crate) working_dir: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) init: bool,
    /// A port to publish on an ephemeral port of 127.0.0.1.
    pub(crate) publish: Option<u16>,
    pub(crate) network: String,
    /// The names under which the others of the network find it.
    pub(crate) aliases: Vec<String>,
    pub(crate) mounts: Vec<MountSpec>,
    /// Folders in memory, each with its options.
    pub(crate) tmpfs: BTreeMap<String, String>,
    pub(crate) read_only: bool,
    pub(crate) shm_bytes: Option<u64>,
    pub(crate) stop_signal: Option<String>,
    pub(crate) stop_grace: Option<Duration>,
    pub(crate) restart: RestartRule,
    pub(crate) health: Option<HealthSpec>,
    /// Files to write into the container before it is started.
    pub(crate) files: Vec<(String, Secret)>,
}

/// A build for the engine.
#[derive(Clone, Debug)]
pub(crate) struct BuildSpec {
    pub(crate) id: String,
    pub(crate) tag: ImageRef,
    pub(crate) labels: Labels,
    pub(crate) target: Option<String>,
    pub(crate) build_args: BTreeMap<String, String>,
    pub(crate) no_cache: bool,
}

/// What a build tells.
#[derive(Clone, Debug)]
pub(crate) enum BuildEvent {
    Vertex(VertexEvent),
    Output {
        vertex: String,
        is_error_stream: bool,
        data: Vec<u8>,
    },
    Warning(String),
}

/// A step of a build that began, ended or failed.
#[derive(Clone, Debug)]
pub(crate) struct VertexEvent {
    pub(crate) digest: String,
    pub(crate) name: String,
    pub(crate) started: bool,
    /// How long it took, once it ended.
    pub(crate) completed: Option<Duration>,
    pub(crate) cached: bool,
    pub(crate) error: String,
}

/// Raw numbers of a running container.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RawStats {
    pub(crate) cpu_percent: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) memory_limit_bytes: Option<u64>,
    pub(crate) network_received_bytes: u64,
    pub(crate) network_sent_bytes: u64,
    pub(crate) pids: Option<u64>,
}

/// A piece of a container's log.
#[derive(Clone, Debug)]
pub(crate) struct LogChunk {
    pub(crate) is_error_stream: bool,
    pub(crate) data: Vec<u8>,
}

/// Who the engine is.
#[derive(Clone, Debug)]
pub(crate) struct EngineFacts {
    pub(crate) version: String,
    pub(crate) api_version: String,
    pub(crate) root: Option<String>,
    pub(crate) is_linux: bool,
}
