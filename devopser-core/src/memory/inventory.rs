//! [`MemoryInventory`]: what a [`MemoryCloud`] holds.

use async_trait::async_trait;

use super::cloud::MemoryCloud;
use super::services::lock;
use crate::Result;
use crate::context::Context;
use crate::provider::{Inventory, OwnedPage, OwnedThing, ProviderInfo};

/// How many things a page holds: few, so that whoever forgets to turn it is found out.
const PAGE: usize = 3;

/// Lists and removes what carries our mark in a [`MemoryCloud`].
#[derive(Clone, Debug)]
pub struct MemoryInventory {
    cloud: MemoryCloud,
}

impl MemoryInventory {
    /// The inventory of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }
}

#[async_trait]
impl Inventory for MemoryInventory {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    async fn owned(
        &self,
        ctx: &Context,
        mark_prefix: &str,
        page: Option<&str>,
    ) -> Result<OwnedPage> {
        let call = self.cloud.look(ctx, "Inventory::owned").await?;
        let key = |thing: &OwnedThing| format!("{}/{}", thing.kind, thing.name);
        let mut things: Vec<OwnedThing> = lock(&self.cloud.shared.state)
            .things
            .values()
            .filter(|thing| !thing.mark.is_empty() && thing.mark.starts_with(mark_prefix))
            .filter(|thing| page.is_none_or(|last| key(thing).as_str() > last))
            .cloned()
            .collect();
        things.sort_by_key(key);
        let more = things.len() > PAGE;
        things.truncate(PAGE);
        let next = things.last().filter(|_| more).map(key);
        call.happened().await?;
        Ok(OwnedPage { things, next })
    }

    async fn inspect(&self, ctx: &Context, kind: &str, name: &str) -> Result<Option<OwnedThing>> {
        let call = self.cloud.look(ctx, "Inventory::inspect").await?;
        let thing = lock(&self.cloud.shared.state).thing(kind, name).cloned();
        call.happened().await?;
        Ok(thing)
    }

    async fn remove(&self, ctx: &Context, thing: &OwnedThing) -> Result<()> {
        let call = self.cloud.change(ctx, "Inventory::remove").await?;
        {
            let mut state = lock(&self.cloud.shared.state);
            let ours = state
                .thing(&thing.kind, &thing.name)
                .is_some_and(|known| !known.mark.is_empty() && known.mark == thing.mark);
            if ours {
                state.drop_thing(&thing.kind, &thing.name);
            }
        }
        call.happened().await
    }
}
