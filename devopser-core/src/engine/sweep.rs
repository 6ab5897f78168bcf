//! Removing what is left over, once a minute: of apps that are gone, of releases that failed, journals that grew old.

use std::sync::Arc;

use super::steps::Steps;
use super::worker::{all_apps, busy};
use crate::Result;
use crate::model::record::{App, Desired, PageRequest, ReleaseState};
use crate::model::resource::Resource;
use crate::store::DeploymentStoreExt;

/// How long the journal of a run is kept after its end, in milliseconds. Its deployment's record and events stay.
const KEEP_JOURNALS: u64 = 7 * 24 * 3600 * 1000;
/// How many journals are forgotten in one sweep at most.
const FORGET_AT_ONCE: usize = 500;

impl Steps {
    /// Removes what is left over: of apps that are gone or are being removed, of releases that failed or were replaced.
    pub(super) async fn sweep(&self) -> Result<()> {
        let parts = &self.shared.parts;
        let busy = busy(&self.shared).await?;
        for app in all_apps(&self.shared).await? {
            if !busy.contains(&app.target)
                && let Err(error) = self.sweep_app(&app).await
            {
                tracing::warn!(app = %app.target, %error, "what is left of an app stays for now");
            }
        }
        let before = self.shared.now().saturating_sub(KEEP_JOURNALS);
        parts.runtime.forget_ended(before, FORGET_AT_ONCE).await?;
        for row in parts.system.resources(None).await? {
            if busy.contains(&row.target) || parts.records.app(&row.target).await?.is_some() {
                continue;
            }
            if let Err(error) = self.sweep_row(&row).await {
                tracing::warn!(kind = row.intent.kind, name = row.intent.name, %error, "a left-over stays for now");
                parts
                    .system
                    .resource_failed(&row.id, &error.to_string(), self.lease.epoch())
                    .await?;
            }
        }
        Ok(())
    }

    /// Does again what could not be done when a run ended.
    async fn sweep_app(&self, app: &App) -> Result<()> {
        let ctx = self.context(&app.target)?;
        if app.desired == Desired::Removed {
            return self.take_away(&ctx, app).await;
        }
        let provider = Arc::clone(self.provider(app)?);
        let all = PageRequest {
            offset: 0,
            limit: 1000,
        };
        for found in self.shared.parts.records.releases(&app.target, all).await? {
            let mut release = found.value;
            let current = app.current_release.as_ref() == Some(&release.id);
            match release.state {
                ReleaseState::Pending if !current => self.undo_release(&ctx, app, release).await?,
                ReleaseState::Active if !current && app.current_release.is_some() => {
                    self.drain(&ctx, &provider, &release).await?;
                    release.state = ReleaseState::Retired;
                    self.put_release(&release).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn sweep_row(&self, row: &Resource) -> Result<()> {
        let parts = &self.shared.parts;
        let provider = parts.catalog.get(&row.intent.provider)?;
        let Some(inventory) = &provider.inventory else {
            return Ok(());
        };
        let ctx = self.context(&row.target)?;
        if let Some(thing) = inventory
            .inspect(&ctx, &row.intent.kind, &row.intent.name)
            .await?
        {
            inventory.remove(&ctx, &thing).await?;
        }
        if inventory
            .inspect(&ctx, &row.intent.kind, &row.intent.name)
            .await?
            .is_none()
        {
            parts
                .system
                .resource_gone(&row.id, self.lease.epoch())
                .await?;
        }
        Ok(())
    }
}
