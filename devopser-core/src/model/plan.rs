//! What the caller asks for ([`DeploySpec`]) and what will happen ([`Plan`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{DataFolder, EnvName, IdempotencyKey, ProviderId, Target};
use crate::model::container::{Companion, ContainerOptions};
use crate::model::report::{Database, Report};
use crate::model::service::{Environment, HealthCheck, HealthPath, Limits, SecretRef};
use crate::model::source::Source;

/// What happens when a target has a deployment under way already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OverlapPolicy {
    /// The new one waits until the older ones ended.
    #[default]
    Queue,
    /// The older ones are cancelled; the new one goes as soon as they ended.
    Supersede,
    /// The new one is refused with [`Conflict`](crate::ErrorKind::Conflict), which names the holder.
    Reject,
}

/// What the caller asks for. Make one with [`DeploySpec::new`] and set what differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploySpec {
    /// What it is for.
    pub target: Target,
    /// Where the code comes from.
    pub source: Source,
    /// Where it goes.
    pub provider: ProviderId,
    /// The folder of the app inside the source. Default: its root.
    #[serde(default)]
    pub root: Option<String>,
    /// The environment while it runs. `PORT` is ours.
    #[serde(default)]
    pub env: Environment,
    /// The environment while it is built; plain values only, as they can end up in an image. A generated Dockerfile
    /// declares them (`ARG NAME`) where the repository's own commands begin; an own one declares what it reads.
    #[serde(default)]
    pub build_env: BTreeMap<String, String>,
    /// Secrets while it is built, by name. A generated Dockerfile mounts them for the repository's own commands, which
    /// read them as variables; an own one mounts them itself (`RUN --mount=type=secret,id=NAME`, read from
    /// `/run/secrets/NAME`). They are in no image, and not in the environment of what runs. Another value of the same
    /// secret builds nothing anew by itself.
    #[serde(default)]
    pub build_secrets: BTreeMap<EnvName, SecretRef>,
    /// A fixed port for the app's address. Default: a free one from 20000 to 40000, kept for the app's life.
    #[serde(default)]
    pub port: Option<u16>,
    /// The port that the app listens on inside, where detection is wrong.
    #[serde(default)]
    pub app_port: Option<u16>,
    /// The start command, where detection is wrong.
    #[serde(default)]
    pub start_command: Option<String>,
    /// The build command, where detection is wrong.
    #[serde(default)]
    pub build_command: Option<String>,
    /// What brings the database's tables up to date before each start, where detection is wrong; empty: nothing does.
    #[serde(default)]
    pub release_command: Option<String>,
    /// More folders whose content outlives releases, beside those that are found.
    #[serde(default)]
    pub data_folders: Vec<DataFolder>,
    /// The most it may use.
    #[serde(default)]
    pub limits: Limits,
    /// How it is decided that it can take requests.
    #[serde(default)]
    pub health: HealthCheck,
    /// Whether a Dockerfile of the repository's own is built. Default: yes.
    #[serde(default = "yes")]
    pub own_dockerfile: bool,
    /// Whether a compose file of the repository's own is carried out. Default: yes.
    #[serde(default = "yes")]
    pub own_compose: bool,
    /// The service of the compose file that gets the app's address, where it does not follow from the file.
    #[serde(default)]
    pub service: Option<String>,
    /// Whether databases that detection asks for are made. Default: yes.
    #[serde(default = "yes")]
    pub databases: bool,
    /// What happens when the target has a deployment under way already.
    #[serde(default)]
    pub overlap: OverlapPolicy,
    /// The same key again attaches to the deployment that it made. Kept for 24 hours.
    #[serde(default)]
    pub idempotency_key: Option<IdempotencyKey>,
}

const fn yes() -> bool {
    true
}

impl DeploySpec {
    /// A spec with defaults.
    #[must_use]
    pub fn new(target: Target, source: Source, provider: ProviderId) -> Self {
        Self {
            target,
            source,
            provider,
            root: None,
            env: Environment::new(),
            build_env: BTreeMap::new(),
            build_secrets: BTreeMap::new(),
            port: None,
            app_port: None,
            start_command: None,
            build_command: None,
            release_command: None,
            data_folders: Vec::new(),
            limits: Limits::default(),
            health: HealthCheck::default(),
            own_dockerfile: true,
            own_compose: true,
            service: None,
            databases: true,
            overlap: OverlapPolicy::default(),
            idempotency_key: None,
        }
    }
}

/// How the artifact is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BuildPlan {
    /// An image is built from a Dockerfile.
    Image {
        /// The Dockerfile's text.
        dockerfile: String,
        /// The text of `.dockerignore`.
        dockerignore: String,
        /// Whether the Dockerfile is the repository's own.
        own_dockerfile: bool,
        /// What else the build needs to know.
        #[serde(default)]
        options: ImageOptions,
    },
    /// Commands are run in a copy of the source, and a start command is kept.
    Process {
        /// The command that installs the dependencies.
        install: Option<Vec<String>>,
        /// The command that builds.
        build: Option<Vec<String>>,
        /// The command that starts the app.
        start: Vec<String>,
        /// The command that runs to its end before each start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<Vec<String>>,
    },
    /// Files are served as they are, after an optional build.
    Static {
        /// The command that installs the dependencies.
        install: Option<Vec<String>>,
        /// The command that builds.
        build: Option<Vec<String>>,
        /// The folder of the files, relative to the app's root.
        output_dir: String,
        /// Whether an unknown path answers with `index.html`.
        single_page_app: bool,
    },
}

/// What an image build needs beyond its Dockerfile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageOptions {
    /// The folder of the build context, counted from the top of the source whatever the app's root is; empty for the
    /// whole source.
    pub context: String,
    /// The stage that is built. `None`: the last.
    pub target: Option<String>,
    /// Build arguments, before those of the spec. No secrets here.
    pub args: BTreeMap<String, String>,
    /// The text of a Dockerfile that adds files of the source to the built image, which it names `base`; empty for none.
    pub adds: String,
}

/// What will happen: pure data, the same for the same source and spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What was found, and why.
    pub report: Report,
    /// How the artifact is made.
    pub build: BuildPlan,
    /// The port that the app listens on inside.
    pub app_port: u16,
    /// The databases that are made beside it.
    pub databases: Vec<Database>,
    /// Those of them that let the app in without a password as well: it hands none over.
    #[serde(default)]
    pub without_password: Vec<Database>,
    /// How the app itself calls what reaches its databases, beside the names that every app gets: texts in which `${NAME}` stands
    /// for one of those, such as `jdbc:postgresql://${POSTGRES_HOST}/app`. The spec's own environment wins.
    #[serde(default)]
    pub database_env: BTreeMap<String, String>,
    /// How its container is run: what the repository's compose file says, and the volumes of its data folders.
    #[serde(default)]
    pub container: ContainerOptions,
    /// The path of its health check, as the app's authors tell their platform or container; the spec's own wins.
    #[serde(default)]
    pub health_path: Option<String>,
    /// Its limits, where the compose file says any and the spec does not.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// The containers that run beside it, in the order in which they are started.
    #[serde(default)]
    pub companions: Vec<Companion>,
    /// Environment that the stack wants when it runs; the spec's own wins.
    pub run_env: BTreeMap<String, String>,
    /// The compose file that says the same for a person to run by hand; empty where it makes no sense.
    pub compose: String,
    /// What would be made, a line each.
    pub makes: Vec<String>,
    /// What a person should know, a line each.
    pub warnings: Vec<String>,
}

impl Plan {
    /// The health check of a release: the spec's, with the path that was detected where the spec names none.
    #[must_use]
    pub fn health(&self, spec: &HealthCheck) -> HealthCheck {
        let path = match (&spec.path, &self.health_path) {
            (HealthPath::Detected, Some(path)) => HealthPath::Path(path.clone()),
            (path, _) => path.clone(),
        };
        HealthCheck {
            path,
            ..spec.clone()
        }
    }
}
