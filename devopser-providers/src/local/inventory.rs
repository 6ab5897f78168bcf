//! [`Inventory`] of this machine.

use std::time::Duration;

use async_trait::async_trait;
use devopser_core::Result;
use devopser_core::context::Context;
use devopser_core::provider::{Inventory, InventoryExt, OwnedPage, OwnedThing, ProviderInfo};

use super::error::blocking;
use super::state::State;
use super::things::{FOLDER, PROCESS, Thing};
use super::{Local, end, folder, proc};

/// How long a process may take to end.
const GRACE: Duration = Duration::from_secs(10);

#[async_trait]
impl Inventory for Local {
    fn info(&self) -> ProviderInfo {
        self.info.clone()
    }

    async fn owned(
        &self,
        _ctx: &Context,
        mark_prefix: &str,
        _page: Option<&str>,
    ) -> Result<OwnedPage> {
        let (things, prefix) = (self.things.clone(), mark_prefix.to_owned());
        blocking(move || {
            let running = proc::marks(&prefix);
            let mut owned: Vec<OwnedThing> = things
                .all()
                .into_iter()
                .filter(|thing| thing.mark.starts_with(&prefix))
                .filter(|thing| exists(thing, running.contains(&thing.name)))
                .map(owned)
                .collect();
            for name in running {
                if !owned.iter().any(|thing| thing.name == name) {
                    owned.push(process(name));
                }
            }
            owned.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
            Ok(OwnedPage {
                things: owned,
                next: None,
            })
        })
        .await
    }

    async fn inspect(&self, ctx: &Context, kind: &str, name: &str) -> Result<Option<OwnedThing>> {
        let owned = self.all_owned(ctx, &ctx.owner.installation).await?;
        Ok(owned
            .into_iter()
            .find(|thing| thing.kind == kind && thing.name == name))
    }

    async fn remove(&self, ctx: &Context, thing: &OwnedThing) -> Result<()> {
        let known = self.things.get(&thing.kind, &thing.name);
        if thing.kind == PROCESS {
            self.remove_process(ctx, &thing.name, known).await?;
        } else if let Some(known) = known {
            blocking(move || folder::remove(&known.path)).await?;
        }
        self.things.gone(ctx, &thing.kind, &thing.name).await
    }
}

impl Local {
    async fn remove_process(&self, ctx: &Context, name: &str, known: Option<Thing>) -> Result<()> {
        if let Some(known) = known {
            let slot = self.slots.of(&known.path);
            let _held = slot.lock.lock().await;
            if let Some(mut state) = State::load(&known.path)? {
                return self.runner.stop(ctx, &slot, &mut state, GRACE).await;
            }
        }
        end::end(name, None, GRACE).await
    }
}

/// Whether the thing is there, beyond what was written down about it.
fn exists(thing: &Thing, running: bool) -> bool {
    match thing.kind.as_str() {
        FOLDER => thing.path.exists(),
        _ => {
            let state = || State::load(&thing.path).ok().flatten();
            running || state().is_some_and(|state| state.is_alive())
        }
    }
}

fn owned(thing: Thing) -> OwnedThing {
    OwnedThing {
        kind: thing.kind,
        name: thing.name,
        provider_ref: thing.path.display().to_string(),
        mark: thing.mark,
    }
}

/// A process that carries our mark and of which nothing was written down.
fn process(name: String) -> OwnedThing {
    OwnedThing {
        kind: PROCESS.to_owned(),
        // The mark has four parts: installation, tenant, app and environment.
        mark: name.split('/').take(4).collect::<Vec<_>>().join("/"),
        provider_ref: name.clone(),
        name,
    }
}
