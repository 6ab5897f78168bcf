//! [`MemoryServiceControl`]: starts and stops the releases of a [`MemoryCloud`].

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;

use super::cloud::{MemoryCloud, MemoryRelease, Outcome};
use super::services::lock;
use super::snapshot::Verb;
use crate::context::{CancellationToken, Context};
use crate::model::service::{CompanionStatus, LogLine, ReleaseRef, Stats};
use crate::provider::{LogOptions, ProviderInfo, ServiceControl};
use crate::{Error, ErrorKind, Result};

/// Starts, stops and watches the releases of a [`MemoryCloud`].
#[derive(Clone, Debug)]
pub struct MemoryServiceControl {
    cloud: MemoryCloud,
}

impl MemoryServiceControl {
    /// The service control of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }

    fn start_now(&self, release: &ReleaseRef, now: u64, again: bool) -> Result<()> {
        let mut state = lock(&self.cloud.shared.state);
        let Some(known) = state.releases.get_mut(&release.name) else {
            return Err(absent(release));
        };
        if !known.stopped && !again {
            return Ok(());
        }
        known.stopped = false;
        known.started_at = now;
        known.looks = 0;
        known.restarts += u32::from(again);
        state.effect(Verb::Started, "release", &release.name);
        Ok(())
    }

    fn stop_now(&self, release: &ReleaseRef) {
        let mut state = lock(&self.cloud.shared.state);
        if let Some(known) = state.releases.get_mut(&release.name)
            && !known.stopped
        {
            known.stopped = true;
            state.effect(Verb::Stopped, "release", &release.name);
        }
    }
}

fn absent(release: &ReleaseRef) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the release \"{}\" is not there", release.name),
    )
    .with_provider("memory")
}

fn runs(release: &MemoryRelease) -> bool {
    !release.stopped
        && !matches!(
            release.outcome,
            Outcome::Exits { .. } | Outcome::OutOfMemory
        )
}

#[async_trait]
impl ServiceControl for MemoryServiceControl {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    async fn start(&self, ctx: &Context, release: &ReleaseRef) -> Result<()> {
        let call = self.cloud.change(ctx, "ServiceControl::start").await?;
        self.start_now(release, ctx.clock.now_ms(), false)?;
        call.happened().await
    }

    async fn stop(&self, ctx: &Context, release: &ReleaseRef, _grace: Duration) -> Result<()> {
        let call = self.cloud.change(ctx, "ServiceControl::stop").await?;
        self.stop_now(release);
        call.happened().await
    }

    async fn restart(&self, ctx: &Context, release: &ReleaseRef, _grace: Duration) -> Result<()> {
        let call = self.cloud.change(ctx, "ServiceControl::restart").await?;
        self.stop_now(release);
        self.start_now(release, ctx.clock.now_ms(), true)?;
        call.happened().await
    }

    fn logs(
        &self,
        ctx: &Context,
        release: &ReleaseRef,
        options: LogOptions,
    ) -> BoxStream<'static, Result<LogLine>> {
        let Some(lines) = lock(&self.cloud.shared.state)
            .releases
            .get(&release.name)
            .map(|known| known.log.subscribe())
        else {
            return stream::iter([Err(absent(release))]).boxed();
        };
        let kept = lines.borrow().len();
        let wanted = options
            .last
            .map_or(kept, |last| usize::try_from(last).unwrap_or(usize::MAX));
        let state = (lines, kept.saturating_sub(wanted), ctx.cancel.clone());
        if options.follow {
            stream::unfold(state, next_line).boxed()
        } else {
            let rest: Vec<_> = state.0.borrow()[state.1..]
                .iter()
                .cloned()
                .map(Ok)
                .collect();
            stream::iter(rest).boxed()
        }
    }

    async fn companions(&self, _: &Context, _: &ReleaseRef) -> Result<Vec<CompanionStatus>> {
        // Nothing runs beside an app here.
        Ok(Vec::new())
    }

    async fn stats(&self, ctx: &Context, release: &ReleaseRef) -> Result<Stats> {
        let call = self.cloud.look(ctx, "ServiceControl::stats").await?;
        let now = ctx.clock.now_ms();
        let stats = lock(&self.cloud.shared.state)
            .releases
            .get(&release.name)
            .filter(|known| runs(known))
            .map(|known| Stats {
                memory_bytes: 1 << 20,
                pids: Some(1),
                uptime_seconds: now.saturating_sub(known.started_at) / 1000,
                ..Stats::default()
            })
            .ok_or_else(|| absent(release))?;
        call.happened().await?;
        Ok(stats)
    }
}

type Following = (watch::Receiver<Vec<LogLine>>, usize, CancellationToken);

/// The next line, once there is one; the end when the release is gone or the context is cancelled.
async fn next_line((mut lines, next, cancel): Following) -> Option<(Result<LogLine>, Following)> {
    let line = tokio::select! {
        biased;
        () = cancel.cancelled() => return None,
        found = lines.wait_for(|lines| lines.len() > next) => found.ok()?.get(next).cloned()?,
    };
    Some((Ok(line), (lines, next + 1, cancel)))
}
