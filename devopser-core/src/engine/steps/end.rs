//! The steps `destroy`, `undo` and `finish`: taking away, and writing down how it ended.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::source::blocking;
use super::{Steps, Told};
use crate::context::Context;
use crate::engine::runtime::StepContext;
use crate::id::Target;
use crate::model::deployment::Action;
use crate::model::deployment::{CancelReason, Deployment, DeploymentState, ReceiptLine};
use crate::model::event::EventKind;
use crate::model::record::{App, Desired, PageRequest, Release, ReleaseState};
use crate::model::service::SecretRef;
use crate::model::source::Source;
use crate::pipeline::{Ending, Run};
use crate::provider::DestroyRequest;
use crate::store::{DeploymentStoreExt, RecordKind};
use crate::{Error, ErrorKind, Result};

/// Removes the app with everything that was made for it, and writes the receipt.
pub(super) async fn destroy(steps: Steps, cx: &dyn StepContext, run: Run) -> Result<()> {
    let (steps, run) = (&steps, &run);
    let target = &run.target;
    steps
        .run(cx, target, &run.deployment, |ctx| async move {
            let Some(found) = steps.shared.parts.records.app(target).await? else {
                return Ok(((), Some("there is nothing to remove".into())));
            };
            let before = ctx.ledger.list().await?;
            steps.take_away(&ctx, &found.value).await?;
            let now = steps.shared.now();
            let receipt: Vec<ReceiptLine> = before
                .into_iter()
                .map(|row| ReceiptLine {
                    kind: row.intent.kind,
                    name: row.intent.name,
                    gone_at: now,
                })
                .collect();
            let count = receipt.len();
            steps
                .update_deployment(target, &run.deployment, |record| {
                    // A step that is tried again finds less than it found at first.
                    let known = &mut record.receipt;
                    for line in &receipt {
                        if !known
                            .iter()
                            .any(|other| other.kind == line.kind && other.name == line.name)
                        {
                            known.push(line.clone());
                        }
                    }
                })
                .await?;
            Ok(((), Some(format!("{count} things are gone"))))
        })
        .await
}

/// Removes what a failed or cancelled run made. What was there before stays.
pub(super) async fn undo(steps: Steps, cx: &dyn StepContext, ending: Ending) -> Result<()> {
    let (steps, ending) = (&steps, &ending);
    let target = &ending.target;
    steps
        .run(cx, target, &ending.deployment, |ctx| async move {
            let Some(found) = steps.shared.parts.records.app(target).await? else {
                return Ok(nothing());
            };
            let app = found.value;
            let Some(id) = &ending.release else {
                return Ok(nothing());
            };
            if app.current_release.as_ref() == Some(id) {
                return Ok(nothing());
            }
            if app.current_release.is_none() {
                steps.take_away(&ctx, &app).await?;
                return Ok(((), Some("nothing is left of it".into())));
            }
            let records = &steps.shared.parts.records;
            if let Some(found) = records.release(&target.tenant, id).await? {
                steps.undo_release(&ctx, &app, found.value).await?;
            }
            Ok(((), Some("the live release is untouched".into())))
        })
        .await
}

fn nothing() -> Told<()> {
    ((), None)
}

/// Writes the end into the record, and takes the run out of the work queue.
pub(super) async fn finish(steps: Steps, _: &dyn StepContext, ending: Ending) -> Result<()> {
    steps.end(&ending).await
}

fn final_state(record: &Deployment, ending: &Ending) -> DeploymentState {
    match (&ending.error, ending.cancelled, record.cancel) {
        (Some(_), ..) => DeploymentState::Failed,
        (None, true, Some(CancelReason::Superseded)) => DeploymentState::Superseded,
        (None, true, _) => DeploymentState::Cancelled,
        (None, false, _) => DeploymentState::Succeeded,
    }
}

impl Steps {
    /// Writes the end of a run into its record and takes the run out of the work queue. Safe to repeat.
    pub(crate) async fn end(&self, ending: &Ending) -> Result<()> {
        let (target, id) = (&ending.target, &ending.deployment);
        let shared = &self.shared;
        let app = shared
            .parts
            .records
            .app(target)
            .await?
            .map(|found| found.value);
        let url = app
            .as_ref()
            .filter(|app| app.current_release.is_some())
            .map(|app| format!("http://127.0.0.1:{}", app.port));
        let live = app.and_then(|app| app.current_release);
        let now = shared.now();
        let already = shared.parts.records.deployment(&target.tenant, id).await?;
        let was_final = already.is_some_and(|found| found.value.state.is_final());
        let record = self
            .update_deployment(target, id, |record| {
                if record.state.is_final() {
                    return;
                }
                record.state = final_state(record, ending);
                record.finished_at = Some(now);
                record.error.clone_from(&ending.error);
                if record.state == DeploymentState::Succeeded
                    && !matches!(record.action, Action::Destroy)
                {
                    record.release.clone_from(&live);
                    record.url.clone_from(&url);
                }
            })
            .await?;
        if !was_final {
            let mut events = Vec::new();
            if let Some(error) = &record.error {
                events.push(EventKind::Failed {
                    error: error.clone(),
                });
            }
            events.push(EventKind::State {
                state: record.state,
            });
            shared
                .parts
                .records
                .append(&target.tenant, id, now, &events)
                .await?;
        }
        shared.parts.system.finish(id, self.lease.epoch()).await?;
        shared.wake.notify_one();
        Ok(())
    }
    /// Removes everything of an app, at the provider first, then from the records.
    pub(crate) async fn take_away(&self, ctx: &Context, app: &App) -> Result<()> {
        let target = &app.target;
        let parts = &self.shared.parts;
        if app.desired != Desired::Removed {
            self.update_app(target, |app| app.desired = Desired::Removed)
                .await?;
        }
        parts.router.remove(ctx, target).await?;
        let service = Self::service(app);
        let deployer = Arc::clone(self.provider(app)?.deployer()?);
        deployer
            .destroy(ctx, DestroyRequest::Service { service })
            .await?;
        let left = ctx.ledger.list().await?;
        if let Some(row) = left.first() {
            let what = format!("{} {}", row.intent.kind, row.intent.name);
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "{} things are not gone yet, the first is {what}",
                    left.len()
                ),
            ));
        }
        self.forget(ctx, target).await
    }

    async fn forget(&self, ctx: &Context, target: &Target) -> Result<()> {
        let parts = &self.shared.parts;
        let prefix = format!("{}/{}/", target.app, target.environment);
        for name in parts.system.secret_names(&target.tenant, &prefix).await? {
            ctx.vault.remove(&SecretRef(name)).await?;
        }
        self.forget_sources(ctx, target).await?;
        for found in parts
            .records
            .releases(
                target,
                PageRequest {
                    offset: 0,
                    limit: 1000,
                },
            )
            .await?
        {
            parts
                .records
                .remove(&target.tenant, RecordKind::Release, found.value.id.as_str())
                .await?;
        }
        let folder = self.shared.folder(target);
        blocking(move || match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let text = format!("the folder {} cannot be removed", folder.display());
                Err(Error::new(ErrorKind::Unavailable, text).with_source(error))
            }
            _ => Ok(()),
        })
        .await?;
        parts
            .records
            .remove(
                &target.tenant,
                RecordKind::App,
                &format!("{}/{}", target.app, target.environment),
            )
            .await?;
        parts.system.release_port(target).await
    }

    /// Removes the snapshots that no other app of the tenant was deployed from. Apps that are gone do not count, and the
    /// runs of this one are over but for those that still wait.
    async fn forget_sources(&self, ctx: &Context, target: &Target) -> Result<()> {
        let parts = &self.shared.parts;
        let (mut mine, mut others) = (BTreeSet::new(), BTreeSet::new());
        let mut page = PageRequest {
            offset: 0,
            limit: 1000,
        };
        loop {
            let found = parts
                .records
                .list(&target.tenant, RecordKind::Deployment, None, page)
                .await?;
            page.offset += found.len() as u64;
            for found in &found {
                let Ok(record) = serde_json::from_value::<Deployment>(found.value.body.clone())
                else {
                    continue;
                };
                let over = record.state.is_final() || ctx.deployment.as_ref() == Some(&record.id);
                let is_mine = record.target == *target && over;
                let Action::Deploy { spec } = record.action else {
                    continue;
                };
                let Source::Snapshot { digest, .. } = spec.source else {
                    continue;
                };
                if is_mine {
                    mine.insert(digest);
                } else if !over || parts.records.app(&record.target).await?.is_some() {
                    others.insert(digest);
                }
            }
            if found.len() < 1000 {
                break;
            }
        }
        for digest in mine.difference(&others) {
            parts.blobs.delete(&target.tenant, digest).await?;
        }
        Ok(())
    }

    pub(crate) async fn undo_release(
        &self,
        ctx: &Context,
        app: &App,
        mut release: Release,
    ) -> Result<()> {
        let deployer = Arc::clone(self.provider(app)?.deployer()?);
        // What was started but not noted is found at the provider.
        let reference = match release.reference.clone() {
            Some(reference) => Some(reference),
            None if release.artifact.is_some() => {
                let started = deployer.releases(ctx, &Self::service(app)).await?;
                started
                    .into_iter()
                    .find(|started| started.release == release.id)
            }
            None => None,
        };
        if let Some(release) = reference {
            deployer
                .destroy(ctx, DestroyRequest::Release { release })
                .await?;
        }
        for artifact in self.unused_artifacts(&release).await? {
            deployer
                .destroy(
                    ctx,
                    DestroyRequest::Artifact {
                        service: Self::service(app),
                        artifact,
                    },
                )
                .await?;
        }
        if !release.companions().is_empty() {
            self.restore_companions(ctx, app).await?;
        }
        release.state = ReleaseState::Failed;
        self.put_release(&release).await
    }

    /// Brings what runs beside the app back to what the live release has: a failed one may have replaced it.
    async fn restore_companions(&self, ctx: &Context, app: &App) -> Result<()> {
        let Some(current) = &app.current_release else {
            return Ok(());
        };
        let live = self.release(&app.target, current).await?;
        let keep = live.companions().into_iter().map(|c| c.name).collect();
        let deployer = Arc::clone(self.provider(app)?.deployer()?);
        if live.reference.is_some() && app.desired == Desired::Running {
            deployer
                .deploy(ctx, super::live::request(app, &live)?)
                .await?;
        }
        let service = Self::service(app);
        deployer
            .destroy(ctx, DestroyRequest::Companions { service, keep })
            .await
    }
}
