//! [`Embedded`]: an engine in one folder, with nothing to set up.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use devopser_core::engine::runtime::{EmbeddedRuntime, FileLeases};
use devopser_core::engine::{Engine, EngineBuilder, EngineParts, Worker, WorkerOptions};
use devopser_core::id::TenantId;
use devopser_core::provider::Catalog;
use devopser_core::source::GitProgram;
use devopser_core::store::{FolderBlobStore, SqliteStore};
use devopser_core::vault::KeyRing;
use devopser_core::{Error, ErrorKind, Result};
use devopser_providers::embedded::{EmbeddedConfig, EmbeddedRouter, port_is_free};

use crate::StackPlanner;

/// How an [`Embedded`] engine is opened. Nothing is read from the environment: what a host wants from there, it hands in.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// The folder that holds everything; made when it is missing, for its owner alone.
    pub folder: PathBuf,
    /// Where programs are looked for, as in `PATH`: `git`, and on the provider `local` the app's own.
    pub search_path: String,
    /// More variables for git, such as `HTTPS_PROXY`, `GIT_SSL_CAINFO` or `SSH_AUTH_SOCK`.
    pub git_variables: Vec<(OsString, OsString)>,
    /// Whether `ssh://` and `git@` sources are accepted: they use the keys of the user that runs this process.
    pub ssh_keys_of_user: bool,
    /// The home folder of what the provider `local` runs.
    pub home: PathBuf,
    /// The socket of the Docker engine.
    pub docker_socket: PathBuf,
    /// The port on which the router knows apps by their host name `{app}.localhost`. `None`: it has none.
    pub alias_port: Option<u16>,
}

impl EmbeddedOptions {
    /// Defaults for everything but the folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self {
            home: folder.join("home"),
            folder,
            git_variables: Vec::new(),
            ssh_keys_of_user: false,
            search_path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            docker_socket: "/var/run/docker.sock".into(),
            alias_port: None,
        }
    }

    /// How git is run with these options.
    #[must_use]
    pub fn git_program(&self) -> GitProgram {
        GitProgram {
            search_path: (&self.search_path).into(),
            variables: self.git_variables.clone(),
            ssh_keys_of_user: self.ssh_keys_of_user,
            ..GitProgram::default()
        }
    }
}

/// An engine in one folder: SQLite, the router in this process, the providers of this build.
#[derive(Debug)]
pub struct Embedded {
    engine: Engine,
    folder: PathBuf,
    lock: Option<WorkerLock>,
}

impl Embedded {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// [`ConfigInvalid`](ErrorKind::ConfigInvalid) when the folder cannot be used, and what the store says.
    pub async fn open(options: EmbeddedOptions) -> Result<Self> {
        let folder = options.folder.clone();
        let store = Arc::new(SqliteStore::open(&folder.join("devopser.db")).await?);
        let lease = Arc::new(FileLeases::acquire(folder.join("executors"))?);
        let runtime = EmbeddedRuntime::open(store.pool().clone(), lease).await?;
        let router = EmbeddedRouter::new(EmbeddedConfig {
            bind: Ipv4Addr::LOCALHOST.into(),
            alias_port: options.alias_port,
            ..EmbeddedConfig::default()
        })?;
        let engine = EngineBuilder::new(EngineParts {
            records: Arc::<SqliteStore>::clone(&store),
            system: store,
            runtime: Arc::new(runtime),
            blobs: Arc::new(FolderBlobStore::open(folder.join("blobs")).await?),
            catalog: catalog(&options)?,
            router: Arc::new(router),
            planner: Arc::new(StackPlanner),
            keys: Arc::new(KeyRing::open_or_create(folder.join("vault.key")).await?),
            folder: folder.join("work"),
        })
        .port_is_free(port_is_free)
        .git(options.git_program())
        .build()
        .await?;
        Ok(Self {
            engine,
            folder,
            lock: None,
        })
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The tenant of a host that has only one.
    ///
    /// # Errors
    /// None in practice: the name is valid.
    pub fn default_tenant() -> Result<TenantId> {
        TenantId::new("default")
    }

    /// Begins to work, unless another process does on this folder. The system frees the lock of a process that died, so
    /// its work is taken over at once.
    ///
    /// # Errors
    /// [`ConfigInvalid`](ErrorKind::ConfigInvalid) when the lock file cannot be used, and what the store says.
    pub async fn try_work(&mut self) -> Result<Option<Worker>> {
        let Some(mut lock) = WorkerLock::try_take(&self.folder)? else {
            return Ok(None);
        };
        let dead_holder = lock.holder()?;
        let holder = format!("worker-{}", devopser_core::id::DeploymentId::generate());
        lock.set_holder(&holder)?;
        let worker = Worker::start(
            &self.engine,
            WorkerOptions {
                holder,
                dead_holder,
            },
        )
        .await?;
        // Without the lease the lock is given back: a lease of unknown origin ends by itself soon.
        self.lock = worker.as_ref().map(|_| lock);
        Ok(worker)
    }

    /// Whether a process works on this folder now.
    ///
    /// # Errors
    /// [`ConfigInvalid`](ErrorKind::ConfigInvalid) when the lock file cannot be used.
    pub fn has_worker(&self) -> Result<bool> {
        Ok(self.lock.is_some() || WorkerLock::try_take(&self.folder)?.is_none())
    }

    /// Gives the lock of the folder back, after the worker was stopped.
    pub fn release(&mut self) {
        self.lock = None;
    }
}

/// The lock that one worker on a folder holds; the system frees it when the process ends, however it ends.
#[derive(Debug)]
struct WorkerLock(File);

impl WorkerLock {
    fn try_take(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("worker.lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(|source| unusable(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(unusable(&path, source)),
        }
    }

    /// Who held it last.
    fn holder(&mut self) -> Result<Option<String>> {
        let mut text = String::new();
        self.0
            .rewind()
            .and_then(|()| self.0.read_to_string(&mut text))
            .map_err(|source| unusable(Path::new("worker.lock"), source))?;
        Ok((!text.is_empty()).then_some(text))
    }

    fn set_holder(&mut self, holder: &str) -> Result<()> {
        let written = self
            .0
            .set_len(0)
            .and_then(|()| self.0.rewind())
            .and_then(|()| self.0.write_all(holder.as_bytes()));
        written
            .and_then(|()| self.0.sync_data())
            .map_err(|source| unusable(Path::new("worker.lock"), source))
    }
}

fn unusable(path: &Path, source: std::io::Error) -> Error {
    Error::new(
        ErrorKind::ConfigInvalid,
        format!("{} cannot be used", path.display()),
    )
    .with_source(source)
}

#[cfg_attr(
    not(any(feature = "docker", feature = "local")),
    expect(unused_variables, reason = "no provider takes options")
)]
fn catalog(options: &EmbeddedOptions) -> Result<Catalog> {
    let catalog = Catalog::default();
    #[cfg(feature = "local")]
    let catalog = catalog.with(devopser_providers::local::provider(
        devopser_providers::local::LocalConfig {
            search_path: options.search_path.clone(),
            home: options.home.clone(),
            ..devopser_providers::local::LocalConfig::new(options.folder.join("local"))
        },
    )?);
    #[cfg(not(feature = "local"))]
    let catalog = catalog.without("local", "local");
    #[cfg(feature = "docker")]
    let catalog = catalog.with(devopser_providers::docker::provider(
        devopser_providers::docker::DockerConfig {
            socket: options.docker_socket.clone(),
            ..Default::default()
        },
    )?);
    #[cfg(not(feature = "docker"))]
    let catalog = catalog.without("docker", "docker");
    Ok(catalog)
}
