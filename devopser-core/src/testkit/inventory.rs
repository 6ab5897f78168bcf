//! What every [`Inventory`](crate::provider::Inventory) must do.

use std::path::Path;

use super::{Rig, Stranger, cases, check};
use crate::Result;
use crate::provider::{InventoryExt, OwnedThing, PrepareRequest, Provider};

/// What the cases work on.
#[expect(
    missing_debug_implementations,
    reason = "it holds the host's own objects"
)]
pub struct Fixture<'a> {
    /// The provider; its deployer makes what is listed.
    pub provider: &'a Provider,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// The kind of thing that [`stranger`](Self::stranger) plants.
    pub foreign_kind: &'a str,
    /// Plants a thing of that kind.
    pub stranger: Option<&'a dyn Stranger>,
}

cases! {
    Fixture<'_>;
    only_what_carries_the_mark_is_listed,
    a_thing_is_on_one_page,
    removing_twice_is_ok,
    what_does_not_carry_the_mark_is_left_untouched,
}

/// Things of a target, as the inventory lists them.
async fn made(fixture: &Fixture<'_>) -> Result<(Rig, Vec<OwnedThing>)> {
    let rig = Rig::new(fixture.folder)?;
    let request = PrepareRequest {
        target: rig.ctx.owner.target.clone(),
        databases: Vec::new(),
        without_password: Vec::new(),
    };
    fixture
        .provider
        .deployer()?
        .prepare(&rig.ctx, request)
        .await?;
    let mark = rig.ctx.owner.mark();
    let things = fixture
        .provider
        .inventory()?
        .all_owned(&rig.ctx, &mark)
        .await?;
    Ok((rig, things))
}

async fn remove_all(fixture: &Fixture<'_>, rig: &Rig, things: &[OwnedThing]) -> Result<()> {
    for thing in things {
        fixture
            .provider
            .inventory()?
            .remove(&rig.ctx, thing)
            .await?;
    }
    Ok(())
}

/// Things of another target or of someone else are not listed.
pub async fn only_what_carries_the_mark_is_listed(fixture: &Fixture<'_>) -> Result<()> {
    let (first, first_things) = made(fixture).await?;
    let (second, second_things) = made(fixture).await?;
    let inventory = fixture.provider.inventory()?;
    for (rig, things) in [(&first, &first_things), (&second, &second_things)] {
        let mark = rig.ctx.owner.mark();
        let wrong = things.iter().find(|thing| thing.mark != mark);
        check!(
            wrong.is_none(),
            "a thing with another mark was listed: {wrong:?}"
        );
        for thing in things {
            let seen = inventory
                .inspect(&rig.ctx, &thing.kind, &thing.name)
                .await?;
            check!(
                seen.as_ref() == Some(thing),
                "a listed thing must be seen as it was listed"
            );
        }
    }
    remove_all(fixture, &first, &first_things).await?;
    remove_all(fixture, &second, &second_things).await
}

/// Each thing is listed once, and a page that was asked for twice is the same.
pub async fn a_thing_is_on_one_page(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, things) = made(fixture).await?;
    let (inventory, mark) = (fixture.provider.inventory()?, rig.ctx.owner.mark());
    for (index, thing) in things.iter().enumerate() {
        check!(
            !things[..index].contains(thing),
            "a thing was listed twice: {thing:?}"
        );
    }
    let first = inventory.owned(&rig.ctx, &mark, None).await?;
    let again = inventory.owned(&rig.ctx, &mark, None).await?;
    check!(first == again, "a page must stay the same");
    remove_all(fixture, &rig, &things).await
}

/// Removing what is gone is `Ok`.
pub async fn removing_twice_is_ok(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, things) = made(fixture).await?;
    remove_all(fixture, &rig, &things).await?;
    remove_all(fixture, &rig, &things).await?;
    let inventory = fixture.provider.inventory()?;
    let left = inventory.all_owned(&rig.ctx, &rig.ctx.owner.mark()).await?;
    check!(left.is_empty(), "things are left: {left:?}");
    for thing in &things {
        let seen = inventory
            .inspect(&rig.ctx, &thing.kind, &thing.name)
            .await?;
        check!(seen.is_none(), "a removed thing must be gone: {seen:?}");
    }
    Ok(())
}

/// A thing of the same kind and name without the mark stays.
pub async fn what_does_not_carry_the_mark_is_left_untouched(fixture: &Fixture<'_>) -> Result<()> {
    let Some(stranger) = fixture.stranger else {
        return Ok(());
    };
    let rig = Rig::new(fixture.folder)?;
    let name = format!("foreign-{}", rig.ctx.owner.target.app);
    stranger.plant(fixture.foreign_kind, &name).await?;
    let inventory = fixture.provider.inventory()?;
    let mut thing = OwnedThing {
        kind: fixture.foreign_kind.to_owned(),
        name: name.clone(),
        provider_ref: name.clone(),
        mark: rig.ctx.owner.mark(),
    };
    if let Some(seen) = inventory.inspect(&rig.ctx, &thing.kind, &name).await? {
        thing.provider_ref = seen.provider_ref;
    }
    inventory.remove(&rig.ctx, &thing).await?;
    check!(
        stranger.is_there(fixture.foreign_kind, &name).await?,
        "a thing without our mark must stay"
    );
    Ok(())
}
