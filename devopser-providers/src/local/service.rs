//! [`ServiceControl`] on this machine.

use std::time::Duration;

use async_trait::async_trait;
use devopser_core::context::Context;
use devopser_core::model::artifact::Artifact;
use devopser_core::model::service::{CompanionStatus, LogLine, ReleaseRef, Stats};
use devopser_core::provider::{LogOptions, ProviderInfo, ServiceControl};
use devopser_core::{ErrorKind, Result};
use futures::stream::{self, BoxStream, StreamExt};

use super::error::{self, blocking, error};
use super::proc::{self, Identity};
use super::state::{State, release_folder};
use super::{Local, log};

/// Over how long the use of processors is measured.
const SAMPLE: Duration = Duration::from_millis(200);

#[async_trait]
impl ServiceControl for Local {
    fn info(&self) -> ProviderInfo {
        self.info.clone()
    }

    async fn start(&self, ctx: &Context, release: &ReleaseRef) -> Result<()> {
        let folder = release_folder(ctx.folder(), release.release.as_str());
        let slot = self.slots.of(&folder);
        let _held = slot.lock.lock().await;
        let mut state = State::load(&folder)?.ok_or_else(|| error::no_release(&release.release))?;
        if !state.wanted {
            state.wanted = true;
            state.exit = None;
            state.save(&folder).await?;
        }
        if !matches!(state.artifact, Artifact::Process(_)) {
            return Ok(());
        }
        if state.restarts > 0 {
            // Whoever starts it wants to see how it does from now on.
            state.restarts = 0;
            state.recent.clear();
            state.save(&folder).await?;
        }
        self.runner.ensure(ctx, &slot, &mut state).await
    }

    async fn stop(&self, ctx: &Context, release: &ReleaseRef, grace: Duration) -> Result<()> {
        let folder = release_folder(ctx.folder(), release.release.as_str());
        let slot = self.slots.of(&folder);
        let _held = slot.lock.lock().await;
        match State::load(&folder)? {
            Some(mut state) => self.runner.stop(ctx, &slot, &mut state, grace).await,
            None => Ok(()),
        }
    }

    async fn restart(&self, ctx: &Context, release: &ReleaseRef, grace: Duration) -> Result<()> {
        self.stop(ctx, release, grace).await?;
        self.start(ctx, release).await
    }

    fn logs(
        &self,
        ctx: &Context,
        release: &ReleaseRef,
        options: LogOptions,
    ) -> BoxStream<'static, Result<LogLine>> {
        let folder = release_folder(ctx.folder(), release.release.as_str());
        let (release, cancel) = (release.release.clone(), ctx.cancel.clone());
        stream::once(async move {
            match State::load(&folder) {
                Ok(Some(State {
                    artifact: Artifact::Process(_),
                    ..
                })) => log::stream(folder, options, cancel),
                Ok(Some(_)) => stream::empty().boxed(),
                Ok(None) => log::failed(error::no_release(&release)),
                Err(error) => log::failed(error),
            }
        })
        .flatten()
        .boxed()
    }

    async fn companions(&self, _: &Context, _: &ReleaseRef) -> Result<Vec<CompanionStatus>> {
        // Nothing runs beside an app here.
        Ok(Vec::new())
    }

    async fn stats(&self, ctx: &Context, release: &ReleaseRef) -> Result<Stats> {
        let folder = release_folder(ctx.folder(), release.release.as_str());
        let state = State::load(&folder)?.ok_or_else(|| error::no_release(&release.release))?;
        let process = state.process.filter(Identity::is_alive).ok_or_else(|| {
            let text = format!("release {} does not run", release.release);
            error(ErrorKind::NotFound, text)
        })?;
        let first = used(&process).await?;
        ctx.sleep(SAMPLE).await?;
        let second = used(&process).await?;
        let started_at = state.started_at.unwrap_or_default();
        Ok(Stats {
            cpu_percent: percent(second.ticks.saturating_sub(first.ticks)),
            memory_bytes: second.memory_bytes,
            pids: Some(second.threads),
            uptime_seconds: ctx.clock.now_ms().saturating_sub(started_at) / 1000,
            ..Stats::default()
        })
    }
}

/// What a group of processes uses.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    ticks: u64,
    threads: u64,
    memory_bytes: u64,
}

async fn used(leader: &Identity) -> Result<Used> {
    let leader = leader.clone();
    blocking(move || {
        let page = proc::page_bytes();
        let group = proc::group(&leader);
        Ok(group.iter().fold(Used::default(), |sum, process| Used {
            ticks: sum.ticks + process.ticks,
            threads: sum.threads + process.threads,
            memory_bytes: sum.memory_bytes + process.resident_pages * page,
        }))
    })
    .await
}

/// Ticks of [`SAMPLE`] as a share of one processor.
fn percent(ticks: u64) -> f64 {
    let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
    let a_second = u32::try_from(proc::ticks_per_second()).unwrap_or(100);
    f64::from(ticks) / f64::from(a_second) / SAMPLE.as_secs_f64() * 100.0
}
