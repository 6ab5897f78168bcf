//! What every [`PriceList`](crate::provider::PriceList) must do.

use std::path::Path;

use super::{Rig, cases, check};
use crate::Result;
use crate::model::plan::Plan;
use crate::provider::PriceList;

/// What the cases work on.
#[derive(Clone, Debug)]
pub struct Fixture<'a> {
    /// The price list.
    pub prices: &'a dyn PriceList,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// A plan that the provider could carry out.
    pub plan: Plan,
}

cases! {
    Fixture<'_>;
    a_quote_names_its_source_and_its_date,
}

/// A quote says where it comes from and of when it is; the same plan costs the same; nothing is made.
pub async fn a_quote_names_its_source_and_its_date(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let first = fixture.prices.quote(&rig.ctx, &fixture.plan).await?;
    let second = fixture.prices.quote(&rig.ctx, &fixture.plan).await?;
    check!(first == second, "the same plan must cost the same");
    check!(!first.source.is_empty(), "a quote must name its source");
    let digits = first.as_of.split('-').map(str::len).collect::<Vec<_>>();
    let is_date =
        digits == [4, 2, 2] && first.as_of.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    check!(
        is_date,
        "a quote must name its day, not \"{}\"",
        first.as_of
    );
    check!(first.total().0 >= 0, "nothing costs less than nothing");
    check!(rig.rows().await?.is_empty(), "a quote must make nothing");
    Ok(())
}
