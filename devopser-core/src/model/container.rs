//! How a container is run beyond its image, and the containers that run beside an app: [`Companion`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::model::artifact::ImageArtifact;
use crate::model::plan::BuildPlan;
use crate::model::service::{EnvValue, Environment, Limits};

/// How a container is run beyond its image. The default is what the image says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerOptions {
    /// Environment; the release's own wins.
    pub env: Environment,
    /// The program that is started. `None`: the image's own.
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments. `None`: the image's own.
    pub command: Option<Vec<String>>,
    /// The user, by name or number.
    pub user: Option<String>,
    /// The folder in which it is started.
    pub working_dir: Option<String>,
    /// The host name that it sees.
    pub hostname: Option<String>,
    /// The names under which the others on the app's network find it.
    pub aliases: Vec<String>,
    /// Volumes of the app.
    pub volumes: Vec<VolumeMount>,
    /// Folders in memory, each with its options.
    pub tmpfs: BTreeMap<String, String>,
    /// Files that are written into it before it is started.
    pub files: Vec<ContainerFile>,
    /// Whether its own files cannot be changed.
    pub read_only: bool,
    /// Whether an init process takes care of its children.
    pub init: Option<bool>,
    /// The signal that asks it to end.
    pub stop_signal: Option<String>,
    /// How long it may take to end.
    pub stop_grace: Option<Duration>,
    /// The size of `/dev/shm` in bytes.
    pub shm_bytes: Option<u64>,
    /// Capabilities that it does not get, of those that every container gets.
    pub drop_capabilities: Vec<String>,
    /// How its health is checked from inside.
    pub health: Option<ContainerCheck>,
    /// What must be so before it is started.
    pub wait_for: Vec<WaitFor>,
}

/// A volume in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    /// The volume's name in the app; it keeps its data until the app is removed. `None`: it goes with the container.
    pub name: Option<String>,
    /// Where it is mounted.
    pub path: String,
    /// Whether it cannot be written to.
    #[serde(default)]
    pub read_only: bool,
}

impl VolumeMount {
    /// The volume of a folder that keeps its data. It has its name from the path: another folder is another volume.
    #[must_use]
    pub fn kept(path: &str) -> Self {
        let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
        let bare = path.trim_matches('/');
        let mut name = bare.replace(|char: char| !plain(char), "-");
        if !bare.chars().all(|char| plain(char) || char == '/') {
            let digest = Digest::of(path.as_bytes()).to_string();
            name = format!("{name}-{}", &digest[digest.len() - 8..]);
        }
        Self {
            name: Some(name),
            path: path.to_owned(),
            read_only: false,
        }
    }
}

/// A file that is written into a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFile {
    /// Its absolute path.
    pub path: String,
    /// Its content.
    pub content: EnvValue,
}

/// A health check that runs inside of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerCheck {
    /// `["CMD", program, …]`, `["CMD-SHELL", line]`, or `["NONE"]`.
    pub test: Vec<String>,
    /// The pause between two checks.
    pub interval: Duration,
    /// The longest time of one check.
    pub timeout: Duration,
    /// How long failures do not count after the start.
    pub start_period: Duration,
    /// How many failures in a row make it unhealthy.
    pub retries: u32,
}

/// What must be so before a container is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitFor {
    /// The companion.
    pub companion: String,
    /// How it must be.
    pub until: WaitUntil,
}

/// How a companion must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitUntil {
    /// It was started.
    Started,
    /// Its health check passes.
    Healthy,
    /// It ended without an error.
    Completed,
}

/// When an ended container is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RestartRule {
    /// Unless it was stopped on purpose.
    #[default]
    UnlessStopped,
    /// When it ended with an error.
    OnFailure,
    /// Never.
    Never,
}

/// A container that runs beside an app on its network: a service of its compose file that has no address of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Companion {
    /// Its name in the app, and its host name on the app's network.
    pub name: String,
    /// How its image is made.
    pub build: BuildPlan,
    /// The image, once it is built.
    #[serde(default)]
    pub image: Option<ImageArtifact>,
    /// How it is run.
    pub container: ContainerOptions,
    /// The most it may use.
    pub limits: Limits,
    /// When it is started again.
    pub restart: RestartRule,
    /// Whether it is started after the app.
    #[serde(default)]
    pub after_app: bool,
}
