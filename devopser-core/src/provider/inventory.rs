//! [`Inventory`]: what carries our mark at a provider.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::ProviderInfo;
use crate::Result;
use crate::context::Context;

/// A thing at a provider that carries our mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedThing {
    /// The kind of thing, as in the ledger.
    pub kind: String,
    /// Its name, as in the ledger.
    pub name: String,
    /// The provider's own id.
    pub provider_ref: String,
    /// The value of the owner mark.
    pub mark: String,
}

/// Some of the things that carry our mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedPage {
    /// The things.
    pub things: Vec<OwnedThing>,
    /// What the next page is asked for with; `None` after the last one.
    pub next: Option<String>,
}

/// Lists and removes what carries our mark.
#[async_trait]
pub trait Inventory: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// Everything whose mark begins with `mark_prefix` (an installation, or one target of it), page by page: the first with
    /// `None`, each other with what [`OwnedPage::next`] of the one before says. [`InventoryExt::all_owned`] turns the pages.
    ///
    /// # Behavior
    /// - A thing that does not carry such a mark is not listed.
    /// - A thing that stays is on one page exactly.
    async fn owned(
        &self,
        ctx: &Context,
        mark_prefix: &str,
        page: Option<&str>,
    ) -> Result<OwnedPage>;

    /// The thing as the provider knows it now; `None` when it is gone.
    async fn inspect(&self, ctx: &Context, kind: &str, name: &str) -> Result<Option<OwnedThing>>;

    /// Removes it.
    ///
    /// # Behavior
    /// - Removing a thing twice is `Ok`.
    /// - What does not carry the mark is left untouched.
    async fn remove(&self, ctx: &Context, thing: &OwnedThing) -> Result<()>;
}

/// What follows from [`Inventory`].
#[async_trait]
pub trait InventoryExt: Inventory {
    /// The things of all pages.
    ///
    /// # Errors
    /// What the inventory says of any page.
    async fn all_owned(&self, ctx: &Context, mark_prefix: &str) -> Result<Vec<OwnedThing>> {
        let mut page = self.owned(ctx, mark_prefix, None).await?;
        let mut things = page.things;
        while let Some(next) = page.next {
            page = self.owned(ctx, mark_prefix, Some(&next)).await?;
            things.append(&mut page.things);
        }
        Ok(things)
    }
}

impl<T: Inventory + ?Sized> InventoryExt for T {}
