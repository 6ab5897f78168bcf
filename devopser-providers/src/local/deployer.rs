//! [`Deployer`] on this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use devopser_core::context::Context;
use devopser_core::model::artifact::{Artifact, StaticSite};
use devopser_core::model::report::Database;
use devopser_core::model::service::{
    Environment, ReleasePhase, ReleaseRef, ReleaseStatus, ServiceRef, Upstream,
};
use devopser_core::provider::{
    DeployRequest, Deployer, DeployerCapability, DestroyRequest, PrepareRequest, Prepared,
    ProviderInfo,
};
use devopser_core::{Error, ErrorKind, Result};

use super::error::{self, blocking, error};
use super::folder::{self, CopyOptions};
use super::proc;
use super::runner::Slot;
use super::state::{State, release_folder, releases};
use super::supervisor::MOST_RESTARTS;
use super::things::{FOLDER, PROCESS};
use super::{Local, builder, end, name};

/// How long a process may take to end when its release is removed.
const GRACE: Duration = Duration::from_secs(10);
/// How long the worker's lease must last before files are copied.
const COPY_MARGIN: Duration = Duration::from_secs(10);
/// How long it may take until it is noted how a process ended.
const NOTE_TIME: Duration = Duration::from_millis(3000);

fn site_folder(release: &Path) -> PathBuf {
    release.join("site")
}

/// Where the requests of a release go, whether it runs or not.
async fn upstream(slot: &Slot, state: &State) -> Upstream {
    match &state.artifact {
        Artifact::StaticSite(site) => Upstream::Folder {
            path: site_folder(&slot.folder),
            single_page_app: site.single_page_app,
        },
        _ => Upstream::Address {
            address: slot
                .answering(state)
                .await
                .unwrap_or(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), state.port)),
        },
    }
}

impl Local {
    async fn deploy_new(
        &self,
        ctx: &Context,
        slot: &Slot,
        request: DeployRequest,
    ) -> Result<State> {
        let folder = &slot.folder;
        let process = name(ctx, request.release.as_str());
        let files = name(ctx, &format!("releases/{}", request.release));
        if folder.exists() && self.things.get(FOLDER, &files).is_none() {
            let text = format!("{} exists and was not made by devopser", folder.display());
            return Err(error(ErrorKind::AlreadyExists, text));
        }
        ctx.before_mutation(COPY_MARGIN)?;
        let row = self.things.intend(ctx, FOLDER, &files, folder).await?;
        let mut state = State::new(
            ReleaseRef {
                service: request.service,
                release: request.release,
                name: process.clone(),
            },
            process,
            request.artifact,
            request.env,
        );
        match &state.artifact {
            Artifact::StaticSite(site) => {
                self.take_site(ctx, folder, site).await?;
                state.started_at = Some(ctx.clock.now_ms());
            }
            _ => {
                self.things
                    .intend(ctx, PROCESS, &state.name, folder)
                    .await?;
                state.port = self.runner.ports.take(0)?;
                // From here on it is this worker's, or the next one's, to start.
                state.spawning = true;
            }
        }
        state.save(folder).await?;
        ctx.ledger
            .created(&row, &folder.display().to_string())
            .await?;
        Ok(state)
    }

    /// Copies the files of a site, so that the release stays as it is whatever happens to the build.
    async fn take_site(&self, ctx: &Context, folder: &Path, site: &StaticSite) -> Result<()> {
        let (from, to) = (site.folder.clone(), site_folder(folder));
        let options = CopyOptions {
            // Nobody changes a build of ours.
            link: from.starts_with(builder::folder(ctx)),
            visible_only: true,
        };
        let copying = ctx.clone();
        let left_out = blocking(move || {
            folder::remove(&to)?;
            folder::copy(&copying, &from, &to, options)
        })
        .await?;
        for path in left_out {
            let path = path.display();
            ctx.progress.note(&format!(
                "{path} is left out: it leads out of the folder, or is no file"
            ));
        }
        Ok(())
    }

    async fn destroy_release(&self, ctx: &Context, folder: &Path, release: &str) -> Result<()> {
        let process = name(ctx, release);
        let files = name(ctx, &format!("releases/{release}"));
        let slot = self.slots.of(folder);
        let held = slot.lock.lock().await;
        match State::load(folder)? {
            Some(mut state) => self.runner.stop(ctx, &slot, &mut state, GRACE).await?,
            None => end::end(&process, None, GRACE).await?,
        }
        self.things.gone(ctx, PROCESS, &process).await?;
        if self.things.get(FOLDER, &files).is_some() {
            self.remove_folder(ctx, &files, folder).await?;
        }
        self.things.gone(ctx, FOLDER, &files).await?;
        drop(held);
        self.slots.forget(folder);
        Ok(())
    }

    /// Removes a folder that carries our mark, and its row.
    pub(super) async fn remove_folder(&self, ctx: &Context, name: &str, path: &Path) -> Result<()> {
        let tree = path.to_owned();
        match blocking(move || folder::remove(&tree)).await {
            Ok(()) => self.things.gone(ctx, FOLDER, name).await,
            Err(error) => {
                self.things.stays(ctx, FOLDER, name, error.message()).await;
                Err(error)
            }
        }
    }

    async fn destroy_artifact(&self, ctx: &Context, artifact: &Artifact) -> Result<()> {
        let used = releases(ctx.folder())
            .into_iter()
            .find(|state| state.artifact.digest() == artifact.digest() && state.is_alive());
        if let Some(state) = used {
            let text = format!("release {} runs in this build", state.reference.release);
            return Err(error(ErrorKind::Conflict, text).with_remedy("Remove the release first."));
        }
        self.remove_build(ctx, artifact.digest()).await
    }

    async fn destroy_service(&self, ctx: &Context) -> Result<()> {
        let mark = ctx.owner.mark();
        for state in releases(ctx.folder()) {
            let release = state.reference.release.as_str();
            let folder = release_folder(ctx.folder(), release);
            self.destroy_release(ctx, &folder, release).await?;
        }
        // What was cut off before it was noted.
        let prefix = format!("{mark}/");
        for left in blocking(move || Ok(proc::marks(&prefix))).await? {
            end::end(&left, None, GRACE).await?;
        }
        for thing in self.things.all() {
            if thing.mark == mark && thing.kind == FOLDER {
                self.remove_folder(ctx, &thing.name, &thing.path).await?;
            } else if thing.mark == mark {
                self.things.gone(ctx, &thing.kind, &thing.name).await?;
            }
        }
        // Rows of things that were never made.
        for row in ctx.ledger.list().await? {
            if row.intent.provider == self.info.id {
                ctx.ledger.gone(&row.id).await?;
            }
        }
        builder::forget_all(ctx).await
    }

    async fn process_status(&self, folder: &Path, mut state: State) -> Result<ReleaseStatus> {
        let slot = self.slots.of(folder);
        let begin = tokio::time::Instant::now();
        // It just ended, and how is about to be noted.
        while !state.is_alive()
            && state.exit.is_none()
            && slot.is_watched()
            && begin.elapsed() < NOTE_TIME
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
            match State::load(folder)? {
                Some(now) => state = now,
                None => return Ok(ReleaseStatus::of(ReleasePhase::Absent)),
            }
        }
        // Whoever watched it may have noted how it ended and gone, both since the last look.
        if !slot.is_watched()
            && let Some(now) = State::load(folder)?
        {
            state = now;
        }
        let is_settled = state.is_alive() || state.exit.is_some() || !slot.is_watched();
        let mut status = ReleaseStatus::of(match is_settled {
            true => phase(&state),
            // Whether it is started again is not decided yet, however long that takes on a busy machine.
            false => ReleasePhase::Starting,
        });
        status.restarts = state.restarts;
        status.started_at = state.started_at;
        if !is_settled {
            status.detail = Some("it ended; what becomes of it is being decided".to_owned());
        } else if state.is_alive() {
            if let Some(address) = slot.answering(&state).await {
                status.phase = ReleasePhase::Running;
                status.upstream = Some(Upstream::Address { address });
            } else {
                status.detail = elsewhere(&state).await?;
            }
        } else {
            status.exit_code = state.exit.as_ref().and_then(|exit| exit.code);
            status.detail = Some(how_it_ended(&state));
        }
        Ok(status)
    }
}

/// The phase, as far as the state tells: whether a running process answers is another question.
fn phase(state: &State) -> ReleasePhase {
    if state.is_alive() || state.again_at.is_some() || (state.spawning && state.wanted) {
        ReleasePhase::Starting
    } else if state.wanted {
        ReleasePhase::Exited
    } else {
        ReleasePhase::Stopped
    }
}

fn how_it_ended(state: &State) -> String {
    let how = state.exit.as_ref().map_or_else(
        || "ended while no worker watched it".to_owned(),
        |exit| exit.how.clone(),
    );
    if state.again_at.is_some() {
        format!("{how}; it is started again")
    } else if state.recent.len() >= MOST_RESTARTS {
        format!("{how}; it was started again {MOST_RESTARTS} times and is left alone now")
    } else {
        how
    }
}

/// What a process does that runs but does not answer on its port.
async fn elsewhere(state: &State) -> Result<Option<String>> {
    let Some(process) = state.process.clone() else {
        return Ok(None);
    };
    let ports = blocking(move || Ok(proc::listening(&proc::group(&process)))).await?;
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    Ok((!ports.is_empty()).then(|| {
        format!(
            "it listens on port {}, not on {}: it must take its port from the variable PORT",
            ports.join(" and "),
            state.port
        )
    }))
}

fn check(artifact: &Artifact) -> Result<()> {
    let folder = match artifact {
        Artifact::StaticSite(site) => &site.folder,
        Artifact::Process(process) if cfg!(target_os = "linux") => {
            if process.command.is_empty() {
                return Err(Error::invalid("command", "must name a program"));
            }
            &process.folder
        }
        _ => {
            let text = "this machine runs static sites, and processes where it is Linux";
            return Err(
                error(ErrorKind::Unsupported, text).with_remedy("Deploy the image to Docker.")
            );
        }
    };
    if folder.is_dir() {
        return Ok(());
    }
    let text = format!("the build {} is gone", folder.display());
    Err(error(ErrorKind::NotFound, text).with_remedy("Deploy the source again."))
}

#[async_trait]
impl Deployer for Local {
    fn info(&self) -> ProviderInfo {
        self.info.clone()
    }

    fn capability(&self) -> DeployerCapability {
        DeployerCapability {
            image: false,
            static_site: true,
            process: cfg!(target_os = "linux"),
            databases: false,
            companions: false,
            staged: true,
        }
    }

    async fn prepare(&self, _ctx: &Context, request: PrepareRequest) -> Result<Prepared> {
        let wanted = request.databases.iter();
        if let Some(database) = wanted.copied().find(|wanted| *wanted != Database::Sqlite) {
            let text = format!("this machine makes no databases, and the app wants {database:?}");
            return Err(error(ErrorKind::Unsupported, text).with_remedy(
                "Deploy to Docker, or leave databases out and set the app's connection URL yourself.",
            ));
        }
        Ok(Prepared {
            service: ServiceRef {
                provider: self.info.id.clone(),
                name: request.target.key(),
                target: request.target,
            },
            env: Environment::new(),
        })
    }

    async fn deploy(&self, ctx: &Context, request: DeployRequest) -> Result<ReleaseRef> {
        check(&request.artifact)?;
        if !request.companions.is_empty() {
            let text = "nothing runs beside an app on this machine";
            return Err(error(ErrorKind::Unsupported, text)
                .with_remedy("Deploy the compose file to Docker."));
        }
        let folder = release_folder(ctx.folder(), request.release.as_str());
        let slot = self.slots.of(&folder);
        let _held = slot.lock.lock().await;
        let mut state = match State::load(&folder)? {
            Some(state) => state,
            None => self.deploy_new(ctx, &slot, request).await?,
        };
        // What ended by itself meanwhile, or was stopped, is left as it is.
        if state.wanted && (state.spawning || state.is_alive()) {
            self.runner.ensure(ctx, &slot, &mut state).await?;
            let row = self
                .things
                .intend(ctx, PROCESS, &state.name, &folder)
                .await?;
            let pid = state.process.as_ref().map_or(0, |process| process.pid);
            ctx.ledger.created(&row, &format!("process {pid}")).await?;
        }
        Ok(state.reference)
    }

    async fn status(&self, ctx: &Context, release: &ReleaseRef) -> Result<ReleaseStatus> {
        let folder = release_folder(ctx.folder(), release.release.as_str());
        let Some(state) = State::load(&folder)? else {
            return Ok(ReleaseStatus::of(ReleasePhase::Absent));
        };
        if let Artifact::Process(_) = state.artifact {
            return self.process_status(&folder, state).await;
        }
        let mut status = ReleaseStatus::of(ReleasePhase::Stopped);
        if state.wanted {
            status.phase = ReleasePhase::Running;
            status.upstream = Some(upstream(&self.slots.of(&folder), &state).await);
            status.started_at = state.started_at;
        }
        Ok(status)
    }

    async fn activate(&self, ctx: &Context, release: &ReleaseRef) -> Result<Upstream> {
        let folder = release_folder(ctx.folder(), release.release.as_str());
        let slot = self.slots.of(&folder);
        let _held = slot.lock.lock().await;
        let mut state = State::load(&folder)?.ok_or_else(|| error::no_release(&release.release))?;
        let first = !state.activated;
        if first {
            state.activated = true;
            state.save(&folder).await?;
        }
        // What was started again too often is left alone: a person looks at it and starts it.
        let left_alone = state.exit.is_some() && state.again_at.is_none() && !first;
        let waits = state.again_at.is_some() && slot.is_watched();
        let is_process = matches!(state.artifact, Artifact::Process(_));
        if is_process && state.wanted && !left_alone && !waits {
            self.runner.ensure(ctx, &slot, &mut state).await?;
        }
        Ok(upstream(&slot, &state).await)
    }

    async fn releases(&self, ctx: &Context, service: &ServiceRef) -> Result<Vec<ReleaseRef>> {
        let releases = releases(ctx.folder()).into_iter();
        Ok(releases
            .map(|state| state.reference)
            .filter(|reference| reference.service == *service)
            .collect())
    }

    async fn destroy(&self, ctx: &Context, request: DestroyRequest) -> Result<()> {
        match request {
            DestroyRequest::Release { release } => {
                let release = release.release.as_str();
                let folder = release_folder(ctx.folder(), release);
                self.destroy_release(ctx, &folder, release).await
            }
            DestroyRequest::Artifact { artifact, .. } => {
                self.destroy_artifact(ctx, &artifact).await
            }
            // Nothing runs beside an app here.
            DestroyRequest::Companions { .. } => Ok(()),
            DestroyRequest::Service { .. } => self.destroy_service(ctx).await,
        }
    }
}
