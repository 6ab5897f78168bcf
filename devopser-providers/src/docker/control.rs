//! The service control.

use std::time::Duration;

use async_trait::async_trait;
use devopser_core::Result;
use devopser_core::context::Context;
use devopser_core::model::service::{CompanionStatus, LogLine, ReleaseRef, Stats};
use devopser_core::provider::{LogOptions, ProviderInfo, ServiceControl};
use futures::stream::BoxStream;

use super::deploy::absent;
use super::model::ContainerPhase;
use super::{Docker, logs};

#[async_trait]
impl ServiceControl for Docker {
    fn info(&self) -> ProviderInfo {
        Self::info(self)
    }

    async fn start(&self, ctx: &Context, release: &ReleaseRef) -> Result<()> {
        let facts = self
            .owned_container(ctx, release)
            .await?
            .ok_or_else(|| absent(release))?;
        self.start_companions(ctx, release).await?;
        self.engine.start_container(ctx, &facts.id).await
    }

    async fn stop(&self, ctx: &Context, release: &ReleaseRef, grace: Duration) -> Result<()> {
        if let Some(facts) = self.owned_container(ctx, release).await? {
            self.engine.stop_container(ctx, &facts.id, grace).await?;
        }
        self.stop_companions(ctx, release, grace).await
    }

    async fn restart(&self, ctx: &Context, release: &ReleaseRef, grace: Duration) -> Result<()> {
        let facts = self
            .owned_container(ctx, release)
            .await?
            .ok_or_else(|| absent(release))?;
        self.engine.restart_container(ctx, &facts.id, grace).await
    }

    fn logs(
        &self,
        ctx: &Context,
        release: &ReleaseRef,
        options: LogOptions,
    ) -> BoxStream<'static, Result<LogLine>> {
        logs::stream(self.clone(), ctx.clone(), release.clone(), options)
    }

    async fn companions(
        &self,
        ctx: &Context,
        release: &ReleaseRef,
    ) -> Result<Vec<CompanionStatus>> {
        self.companions_of(ctx, release).await
    }

    async fn stats(&self, ctx: &Context, release: &ReleaseRef) -> Result<Stats> {
        let facts = self
            .owned_container(ctx, release)
            .await?
            .filter(|facts| facts.phase == ContainerPhase::Running)
            .ok_or_else(|| absent(release))?;
        let raw = self.engine.container_stats(ctx, &facts.id).await?;
        let uptime = facts.started_at.map_or(0, |started| {
            ctx.clock.now_ms().saturating_sub(started) / 1000
        });
        Ok(Stats {
            cpu_percent: raw.cpu_percent,
            memory_bytes: raw.memory_bytes,
            memory_limit_bytes: raw.memory_limit_bytes,
            network_received_bytes: raw.network_received_bytes,
            network_sent_bytes: raw.network_sent_bytes,
            pids: raw.pids,
            uptime_seconds: uptime,
        })
    }
}
