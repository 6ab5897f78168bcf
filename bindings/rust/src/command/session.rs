//! A command's part in the work: another process works, one that is left behind, or this one.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use devopser::{Embedded, Engine, Error, ErrorKind, Result, Worker};

use super::args::Arguments;

/// How long a worker that was left behind may take to begin.
const WORKER_TIME: Duration = Duration::from_secs(20);

/// An open engine, and who works for it.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    embedded: Embedded,
    arguments: &'a Arguments,
    detach: bool,
    worker: Option<Worker>,
}

impl<'a> Session<'a> {
    /// A session in which somebody works. With `detach` a worker is left behind where there is none; without, this
    /// process is the worker.
    pub(crate) async fn begin(
        embedded: Embedded,
        arguments: &'a Arguments,
        detach: bool,
    ) -> Result<Self> {
        let mut session = Self {
            embedded,
            arguments,
            detach,
            worker: None,
        };
        session.ensure_worker().await?;
        Ok(session)
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        self.embedded.engine()
    }

    /// The worker, when it is this process.
    pub(crate) fn worker(&self) -> Option<&Worker> {
        self.worker.as_ref()
    }

    /// Makes sure that somebody works.
    pub(crate) async fn ensure_worker(&mut self) -> Result<()> {
        if self.worker.is_some() || self.embedded.has_worker()? {
            return Ok(());
        }
        if !self.detach {
            self.worker = self.embedded.try_work().await?;
            return Ok(());
        }
        leave_worker(self.arguments)?;
        let deadline = Instant::now() + WORKER_TIME;
        while !self.embedded.has_worker()? || self.engine().worker().await?.is_none() {
            if Instant::now() > deadline {
                return Err(
                    Error::new(ErrorKind::Unavailable, "the worker did not begin")
                        .with_remedy("Its output is in serve.log in the state folder."),
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends this process's part; what another one does goes on.
    pub(crate) async fn end(mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop().await;
            self.embedded.release();
        }
    }
}

/// Starts `devopser serve` as a process of its own that outlives this one.
fn leave_worker(arguments: &Arguments) -> Result<()> {
    let failed = |source: std::io::Error| {
        Error::new(ErrorKind::Unavailable, "a worker cannot be started").with_source(source)
    };
    let folder = super::state_folder(arguments)?;
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("serve.log"))
        .map_err(failed)?;
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = std::process::Command::new(program);
    command
        .arg("serve")
        .arg("--until-idle")
        .arg("--state")
        .arg(&folder)
        .current_dir(&folder);
    if let Some(socket) = &arguments.docker_socket {
        command.arg("--docker-socket").arg(socket);
    }
    if let Some(port) = arguments.alias_port {
        command.arg("--alias-port").arg(port.to_string());
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(failed)?)
        .stderr(log)
        .process_group(0);
    command.spawn().map(|_| ()).map_err(failed)
}
