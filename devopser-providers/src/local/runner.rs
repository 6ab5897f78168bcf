//! Starts, adopts and stops the processes of releases. One worker at a time does.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use devopser_core::model::artifact::{Artifact, ProcessArtifact};
use devopser_core::{Context, ErrorKind, Result};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::LocalConfig;
use super::end::end;
use super::error::{blocking, error};
use super::log;
use super::port::{self, Ports};
use super::proc::{self, Identity};
use super::run::run;
use super::spawn::{Start, with_port};
use super::state::{Exit, State};
use super::supervisor::{LEASE_MARGIN, Watched, watch};

/// How long an ended child may take until the system hands over its exit code.
const REAP_TIME: Duration = Duration::from_secs(5);

/// How long a release command may take.
const RELEASE_TIME: Duration = Duration::from_secs(600);

/// A release of this worker. Whoever changes its state holds the lock.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) folder: PathBuf,
    pub(super) lock: Mutex<()>,
    watch: std::sync::Mutex<Option<Watch>>,
    /// Where the process was seen to answer. It is not asked again: a busy one may take no connection for a while.
    answered: std::sync::Mutex<Option<(Identity, SocketAddr)>>,
}

#[derive(Debug)]
struct Watch {
    stop: CancellationToken,
    task: JoinHandle<Option<Watched>>,
}

impl Slot {
    /// Whether somebody watches its process.
    pub(super) fn is_watched(&self) -> bool {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch
            .as_ref()
            .is_some_and(|watch| !watch.task.is_finished())
    }

    /// Where the process of `state` answers; `None` before it does.
    pub(super) async fn answering(&self, state: &State) -> Option<SocketAddr> {
        let process = state.process.as_ref()?;
        let seen = || self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((identity, address)) = seen().as_ref()
            && identity == process
        {
            return Some(*address);
        }
        let address = port::answering(state.port).await?;
        *seen() = Some((process.clone(), address));
        Some(address)
    }

    /// Ends the watching and hands the process back.
    async fn unwatch(&self) -> Option<Watched> {
        let watch = self
            .watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        watch.stop.cancel();
        watch.task.await.ok().flatten()
    }
}

/// Every release that this worker touched, by folder.
#[derive(Debug, Default)]
pub(super) struct Slots(std::sync::Mutex<HashMap<PathBuf, Arc<Slot>>>);

impl Slots {
    pub(super) fn of(&self, folder: &Path) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(folder.to_owned()).or_insert_with(|| {
            Arc::new(Slot {
                folder: folder.to_owned(),
                lock: Mutex::default(),
                watch: std::sync::Mutex::default(),
                answered: std::sync::Mutex::default(),
            })
        });
        Arc::clone(slot)
    }

    pub(super) fn forget(&self, folder: &Path) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.remove(folder);
    }
}

/// Starts, adopts and stops processes.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) config: LocalConfig,
    pub(super) ports: Ports,
    /// Ends all watching; what runs goes on.
    pub(super) closing: CancellationToken,
}

impl Runner {
    /// Makes sure that the process runs and is watched. The caller holds the slot's lock.
    pub(super) async fn ensure(
        self: &Arc<Self>,
        ctx: &Context,
        slot: &Arc<Slot>,
        state: &mut State,
    ) -> Result<()> {
        if state.spawning {
            adopt_by_mark(&slot.folder, state).await?;
        }
        if state.is_alive() {
            if !slot.is_watched()
                && let Some(identity) = state.process.clone()
            {
                self.ports.keep(state.port);
                let child = None;
                self.watch(ctx, slot, Watched { identity, child });
            }
            return Ok(());
        }
        // It may wait to be started again; that is now.
        slot.unwatch().await;
        state.restarts = 0;
        state.recent.clear();
        state.again_at = None;
        self.ports.give_back(state.port);
        state.port = self.ports.take(state.port)?;
        let watched = self.launch(ctx, &slot.folder, state).await?;
        self.watch(ctx, slot, watched);
        Ok(())
    }

    fn watch(self: &Arc<Self>, ctx: &Context, slot: &Arc<Slot>, watched: Watched) {
        let stop = self.closing.child_token();
        let ctx = Context {
            cancel: stop.clone(),
            ..ctx.clone()
        };
        let task = tokio::spawn(watch(Arc::clone(self), Arc::clone(slot), ctx, watched));
        let mut watch = slot.watch.lock().unwrap_or_else(PoisonError::into_inner);
        *watch = Some(Watch { stop, task });
    }

    /// Starts the process, and writes down that it is about to before, and which it is afterwards.
    pub(super) async fn launch(
        &self,
        ctx: &Context,
        folder: &Path,
        state: &mut State,
    ) -> Result<Watched> {
        end(&state.name, state.process.as_ref(), Duration::ZERO).await?;
        let (command, place, env) = self.prepare(ctx, state).await?;
        self.release(ctx, state, &place, &env).await?;
        ctx.before_mutation(LEASE_MARGIN)?;
        state.spawning = true;
        state.process = None;
        state.exit = None;
        state.started_at = Some(ctx.clock.now_ms());
        state.save(folder).await?;
        let start = Start {
            command: &command,
            folder: &place,
            env,
            mark: &state.name,
            failure: ErrorKind::Crashed,
        };
        let started = start.spawn(&self.config, || log::outputs(folder).map(both));
        let child = match started {
            Ok(child) => child,
            Err(error) => {
                state.spawning = false;
                state.exit = Some(Exit {
                    code: None,
                    how: error.message().to_owned(),
                    at: ctx.clock.now_ms(),
                });
                state.save(folder).await?;
                return Err(error);
            }
        };
        self.note(folder, state, child).await
    }

    /// Runs what must be done before the start. What a cut-off run left is ended by the next, as it has the same mark.
    async fn release(
        &self,
        ctx: &Context,
        state: &State,
        folder: &Path,
        env: &BTreeMap<String, String>,
    ) -> Result<()> {
        let Artifact::Process(ProcessArtifact {
            release: Some(command),
            ..
        }) = &state.artifact
        else {
            return Ok(());
        };
        let start = Start {
            command,
            folder,
            env: env.clone(),
            mark: &state.name,
            failure: ErrorKind::Crashed,
        };
        run(ctx, &self.config, start, RELEASE_TIME).await
    }

    async fn note(
        &self,
        folder: &Path,
        state: &mut State,
        mut child: tokio::process::Child,
    ) -> Result<Watched> {
        let identity = child
            .id()
            .and_then(|pid| Identity::of(i32::try_from(pid).ok()?));
        state.process = identity.clone();
        state.spawning = false;
        let saved = state.save(folder).await;
        match (identity, saved) {
            (Some(identity), Ok(())) => Ok(Watched {
                identity,
                child: Some(child),
            }),
            (identity, saved) => {
                // Nobody would find it again.
                end(&state.name, identity.as_ref(), Duration::ZERO).await?;
                let _ = tokio::time::timeout(REAP_TIME, child.wait()).await;
                saved?;
                let text = "the system does not know the process that was just started";
                Err(error(ErrorKind::Unexpected, text))
            }
        }
    }

    /// The command with its port, where it runs, and its environment with its secrets.
    async fn prepare(
        &self,
        ctx: &Context,
        state: &State,
    ) -> Result<(Vec<String>, PathBuf, BTreeMap<String, String>)> {
        let Artifact::Process(process) = &state.artifact else {
            let text = "a folder of files has no process";
            return Err(error(ErrorKind::Unsupported, text));
        };
        let mut env = BTreeMap::new();
        for (name, value) in &state.env {
            let value = value.resolve(&*ctx.vault).await?;
            env.insert(name.as_str().to_owned(), value.expose().to_owned());
        }
        env.insert("PORT".into(), state.port.to_string());
        let command = process
            .command
            .iter()
            .map(|argument| with_port(argument, state.port))
            .collect();
        Ok((command, process.folder.clone(), env))
    }

    /// Stops the process with everything that it started, and notes how it ended. The caller holds the slot's lock.
    pub(super) async fn stop(
        &self,
        ctx: &Context,
        slot: &Slot,
        state: &mut State,
        grace: Duration,
    ) -> Result<()> {
        if state.wanted || state.spawning || state.again_at.is_some() {
            state.wanted = false;
            state.again_at = None;
            state.save(&slot.folder).await?;
        }
        let watched = slot.unwatch().await;
        let was_alive = state.is_alive();
        end(&state.name, state.process.as_ref(), grace).await?;
        self.ports.give_back(state.port);
        let code = match watched {
            Some(mut watched) => {
                let ended = tokio::time::timeout(REAP_TIME, watched.ended()).await;
                ended.ok().and_then(|(code, _)| code)
            }
            None => None,
        };
        if was_alive || state.spawning {
            state.spawning = false;
            state.exit = Some(Exit {
                code,
                how: "was stopped".into(),
                at: ctx.clock.now_ms(),
            });
            state.save(&slot.folder).await?;
        }
        Ok(())
    }
}

/// A worker was cut off between starting the process and noting which it is: it is found by its mark.
async fn adopt_by_mark(folder: &Path, state: &mut State) -> Result<()> {
    let name = state.name.clone();
    if let Some(identity) = blocking(move || Ok(proc::leader(&name))).await? {
        state.process = Some(identity);
        state.spawning = false;
        state.save(folder).await?;
    }
    Ok(())
}

fn both((out, err): (std::fs::File, std::fs::File)) -> (Stdio, Stdio) {
    (out.into(), err.into())
}
