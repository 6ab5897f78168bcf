//! The arguments of the command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use devopser::id::{AppName, DataFolder, EnvName, EnvironmentName, TenantId};

/// From source code to a live URL, durably.
#[derive(Debug, Parser)]
#[command(name = "devopser", version, about, propagate_version = true)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The folder that holds everything. Default: $XDG_STATE_HOME/devopser or ~/.local/state/devopser.
    #[arg(long, global = true, value_name = "FOLDER", env = "DEVOPSER_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// The tenant.
    #[arg(long, global = true, default_value = "default")]
    pub(crate) tenant: TenantId,
    /// The environment.
    #[arg(long, global = true, default_value = "production")]
    pub(crate) environment: EnvironmentName,
    /// The socket of the Docker engine.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "DEVOPSER_DOCKER_SOCKET"
    )]
    pub(crate) docker_socket: Option<PathBuf>,
    /// A port on which apps answer by their name too, as http://NAME.localhost:PORT.
    #[arg(long, global = true, value_name = "PORT", env = "DEVOPSER_ALIAS_PORT")]
    pub(crate) alias_port: Option<u16>,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what a source is, and why.
    Detect(DetectArguments),
    /// Write the Dockerfile and the compose file to .deployment/, to be read, edited and kept.
    Generate(GenerateArguments),
    /// Say what `up` would do, and do nothing.
    Plan(SpecArguments),
    /// Take a source to a live URL.
    Up(UpArguments),
    /// List the apps.
    Ps,
    /// Show an app with its releases and what it uses.
    Status(AppArgument),
    /// Show what an app wrote.
    Logs(LogsArguments),
    /// Show what happened in a deployment.
    Events(EventsArguments),
    /// Stop an app; its address answers 503.
    Stop(AppArgument),
    /// Start a stopped app.
    Start(AppArgument),
    /// Stop and start an app.
    Restart(AppArgument),
    /// Make an earlier release live again.
    Rollback(RollbackArguments),
    /// Remove an app with all that was made for it, its databases included.
    Rm(AppArgument),
    /// Work until told to stop: deploy, route, watch, clean up.
    Serve(ServeArguments),
    /// Say what is missing on this machine, and how to get it.
    Doctor,
}

/// The arguments of `detect`.
#[derive(Debug, Args)]
pub(crate) struct DetectArguments {
    /// A folder, an archive (.tar, .tar.gz, .zip), or a git URL (https://…, git@…, file://…).
    #[arg(default_value = ".")]
    pub(crate) source: String,
    /// The branch, tag or commit of a git source.
    #[arg(long = "ref", value_name = "REVISION")]
    pub(crate) revision: Option<String>,
}

/// The arguments of `generate`.
#[derive(Debug, Args)]
pub(crate) struct GenerateArguments {
    /// A folder.
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// The folder of the app inside it.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) root: Option<String>,
    /// The port that the app listens on, where detection is wrong.
    #[arg(long)]
    pub(crate) app_port: Option<u16>,
    /// The path of the health check, where detection is wrong; `-` for none.
    #[arg(long, value_name = "PATH")]
    pub(crate) health_path: Option<String>,
    /// The name of a variable for the build.
    #[arg(long = "build-env", value_name = "NAME")]
    pub(crate) build_env: Vec<EnvName>,
    /// The name of a secret for the build.
    #[arg(long = "build-secret", value_name = "NAME")]
    pub(crate) build_secrets: Vec<EnvName>,
    /// Replace files that were edited as well.
    #[arg(long)]
    pub(crate) force: bool,
}

/// The arguments that say what is deployed.
#[derive(Debug, Args)]
pub(crate) struct SpecArguments {
    /// A folder, an archive (.tar, .tar.gz, .zip), a git URL (https://…, git@…, file://…), or image:NAME.
    #[arg(default_value = ".")]
    pub(crate) source: String,
    /// The name of the app. Default: made from the source.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<AppName>,
    /// Where it goes: docker, or local (runs the source's code on this machine, as you). Default: docker when an engine
    /// answers; else local, for a folder of yours.
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// The branch, tag or commit of a git source.
    #[arg(long = "ref", value_name = "REVISION")]
    pub(crate) revision: Option<String>,
    /// The folder of the app inside the source.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) root: Option<String>,
    /// A variable for the running app; NAME alone takes its value from this environment.
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// A secret variable for the running app, taken from this environment; it is kept encrypted and never shown.
    #[arg(long = "secret", value_name = "NAME")]
    pub(crate) secrets: Vec<String>,
    /// A variable for the build: a generated Dockerfile hands it to the source's install and build commands, one of the
    /// source's own declares it with ARG. It can end up in the image. NAME alone takes its value from this environment.
    #[arg(long = "build-env", value_name = "NAME=VALUE")]
    pub(crate) build_env: Vec<String>,
    /// A secret for the build, taken from this environment. A generated Dockerfile hands it to the source's install and
    /// build commands as a variable, one of the source's own mounts it (RUN --mount=type=secret,id=NAME). It is kept
    /// encrypted and never shown; it is in no image, and not in the environment of what runs.
    #[arg(long = "build-secret", value_name = "NAME")]
    pub(crate) build_secrets: Vec<String>,
    /// A fixed port for the app's address.
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The port that the app listens on, where detection is wrong.
    #[arg(long)]
    pub(crate) app_port: Option<u16>,
    /// The start command, where detection is wrong.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) start: Option<String>,
    /// The build command, where detection is wrong.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) build: Option<String>,
    /// What brings the database's tables up to date before each start, where detection is wrong; "" runs nothing.
    #[arg(long = "release-command", value_name = "COMMAND")]
    pub(crate) release: Option<String>,
    /// A folder whose content outlives releases, absolute in the container or relative to the app's; beside those that are found.
    #[arg(long = "data", value_name = "FOLDER")]
    pub(crate) data: Vec<DataFolder>,
    /// The most memory: 512m, 2g.
    #[arg(long)]
    pub(crate) memory: Option<String>,
    /// The most processors: 0.5, 2.
    #[arg(long)]
    pub(crate) cpus: Option<f64>,
    /// The path of the health check, where detection is wrong; `-` only waits for a connection.
    #[arg(long, value_name = "PATH")]
    pub(crate) health_path: Option<String>,
    /// The longest time until it must be healthy, in seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) health_timeout: Option<u64>,
    /// Leave the source's own Dockerfile aside and generate one.
    #[arg(long)]
    pub(crate) no_dockerfile: bool,
    /// Leave the source's own compose file aside.
    #[arg(long)]
    pub(crate) no_compose: bool,
    /// The service of the compose file that gets the app's address, where it does not follow from the file.
    #[arg(long, value_name = "NAME", conflicts_with = "no_compose")]
    pub(crate) service: Option<String>,
    /// Make no databases, whatever it asks for.
    #[arg(long)]
    pub(crate) no_databases: bool,
    /// What happens when a deployment of the app is under way.
    #[arg(long, value_enum, default_value = "queue")]
    pub(crate) overlap: Overlap,
    /// The same key again attaches to the deployment that it made.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// What happens when a deployment of the app is under way.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Overlap {
    /// Wait for it.
    Queue,
    /// Take its place.
    Supersede,
    /// Refuse.
    Reject,
}

/// The arguments of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpArguments {
    /// What is deployed.
    #[command(flatten)]
    pub(crate) spec: SpecArguments,
    /// Leave a worker behind and return once the app is live.
    #[arg(short = 'd', long)]
    pub(crate) detach: bool,
    /// Show every line of the build.
    #[arg(short = 'v', long)]
    pub(crate) verbose: bool,
}

/// An app by its name.
#[derive(Debug, Args)]
pub(crate) struct AppArgument {
    /// The name of the app.
    pub(crate) name: AppName,
}

/// The arguments of `rollback`.
#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    /// The app.
    #[command(flatten)]
    pub(crate) app: AppArgument,
    /// The number of the release, as `status` shows it. Default: the one before.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) to: Option<u64>,
}

/// The arguments of `logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    /// The app.
    #[command(flatten)]
    pub(crate) app: AppArgument,
    /// Go on with new lines.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// A service of the compose file beside the app.
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// How many of the last lines.
    #[arg(short = 'n', long, default_value_t = 100)]
    pub(crate) lines: u32,
}

/// The arguments of `events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArguments {
    /// The app.
    #[command(flatten)]
    pub(crate) app: AppArgument,
    /// Go on with new events until the deployment has ended.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The deployment. Default: the newest of the app.
    #[arg(long, value_name = "ID")]
    pub(crate) deployment: Option<String>,
    /// Leave out the events up to this sequence.
    #[arg(long, default_value_t = 0)]
    pub(crate) after: u64,
}

/// The arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// End by itself once there is no app and nothing to do.
    #[arg(long, hide = true)]
    pub(crate) until_idle: bool,
}
