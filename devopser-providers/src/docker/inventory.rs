//! The inventory.

use async_trait::async_trait;
use devopser_core::Result;
use devopser_core::context::Context;
use devopser_core::model::resource::OWNER_LABEL;
use devopser_core::provider::{Inventory, OwnedPage, OwnedThing, ProviderInfo};

use super::model::Listed;
use super::{Docker, names};

#[async_trait]
impl Inventory for Docker {
    fn info(&self) -> ProviderInfo {
        Self::info(self)
    }

    async fn owned(
        &self,
        ctx: &Context,
        mark_prefix: &str,
        _page: Option<&str>,
    ) -> Result<OwnedPage> {
        let mut things = Vec::new();
        for kind in names::KINDS {
            for thing in self.labelled(ctx, kind, OWNER_LABEL).await? {
                let Some(mark) = names::mark_of(&thing.labels) else {
                    continue;
                };
                if names::is_below(mark, mark_prefix) {
                    things.push(OwnedThing {
                        kind: kind.to_owned(),
                        name: thing.name.clone(),
                        provider_ref: thing.id.clone(),
                        mark: mark.to_owned(),
                    });
                }
            }
        }
        // The engine lists everything at once.
        Ok(OwnedPage { things, next: None })
    }

    async fn inspect(&self, ctx: &Context, kind: &str, name: &str) -> Result<Option<OwnedThing>> {
        let found = self.find(ctx, kind, name).await?;
        Ok(found.and_then(|(id, labels)| {
            Some(OwnedThing {
                kind: kind.to_owned(),
                name: name.to_owned(),
                provider_ref: id,
                mark: names::mark_of(&labels)?.to_owned(),
            })
        }))
    }

    async fn remove(&self, ctx: &Context, thing: &OwnedThing) -> Result<()> {
        let Some((id, labels)) = self.find(ctx, &thing.kind, &thing.name).await? else {
            return Ok(());
        };
        // Looked at again: the mark of a list may be old, or written by somebody else.
        let is_ours = names::mark_of(&labels).is_some_and(|mark| {
            mark == thing.mark && names::is_below(mark, &ctx.owner.installation)
        });
        if !is_ours {
            return Ok(());
        }
        let listed = Listed {
            id,
            name: thing.name.clone(),
            labels,
        };
        self.remove_thing(ctx, &thing.kind, &listed).await
    }
}
