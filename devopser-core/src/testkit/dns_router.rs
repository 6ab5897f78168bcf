//! What every [`DnsRouter`](crate::provider::DnsRouter) must do.

use std::path::Path;
use std::time::Duration;

use super::{Rig, Stranger, cases, check, check_refused};
use crate::id::{HostName, RecordName};
use crate::provider::{
    DnsRouter, DnsRouterExt, EnsureRecordSet, OnForeign, Poll, RecordFilter, RecordSet, RecordType,
    RemoveRecordSet, Zone,
};
use crate::{ErrorKind, Result};

/// What the cases work on.
#[expect(
    missing_debug_implementations,
    reason = "it holds the host's own objects"
)]
pub struct Fixture<'a> {
    /// The DNS provider.
    pub router: &'a dyn DnsRouter,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// A zone of the account. Names of the form `kit-….{zone}` are made and removed.
    pub zone: HostName,
    /// A zone of the account inside the first one.
    pub inner_zone: HostName,
    /// Plants a `record_set`, named as `www.example.com A`.
    pub stranger: Option<&'a dyn Stranger>,
}

cases! {
    Fixture<'_>;
    the_longest_zone_wins,
    ensuring_a_record_set_twice_changes_nothing,
    every_value_is_kept_and_no_other,
    a_foreign_record_set_is_left_untouched_or_adopted,
    removing_a_record_set_twice_is_ok,
    a_foreign_record_set_is_not_removed,
}

struct Scene<'a> {
    router: &'a dyn DnsRouter,
    rig: Rig,
    zone: Zone,
    name: RecordName,
}

impl<'a> Scene<'a> {
    async fn new(fixture: &'a Fixture<'_>) -> Result<Self> {
        let rig = Rig::new(fixture.folder)?;
        let name = RecordName::new(format!("{}.{}", rig.ctx.owner.target.app, fixture.zone))?;
        let zone = fixture.router.zone_for(&rig.ctx, &name).await?;
        Ok(Self {
            router: fixture.router,
            rig,
            zone,
            name,
        })
    }

    fn wanted(&self, values: &[&str]) -> EnsureRecordSet {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        EnsureRecordSet::new(self.name.clone(), RecordType::A, values)
    }

    async fn ensure(&self, request: EnsureRecordSet) -> Result<()> {
        let change = self
            .router
            .ensure(&self.rig.ctx, &self.zone, request)
            .await?;
        let poll = Poll::until(Duration::from_secs(300)).every(Duration::from_millis(50));
        self.router
            .wait_until_applied(&self.rig.ctx, &change, poll)
            .await
    }

    async fn remove(&self) -> Result<()> {
        let request = RemoveRecordSet {
            name: self.name.clone(),
            record_type: RecordType::A,
        };
        self.router
            .remove(&self.rig.ctx, &self.zone, request)
            .await?;
        Ok(())
    }

    async fn found(&self) -> Result<Vec<RecordSet>> {
        let filter = RecordFilter {
            name: Some(self.name.clone()),
            record_type: Some(RecordType::A),
        };
        self.router
            .record_sets(&self.rig.ctx, &self.zone, filter)
            .await
    }

    fn thing(&self) -> String {
        format!("{} A", self.name)
    }
}

/// A name belongs to the zone with the longest name; a name of no zone is not found.
pub async fn the_longest_zone_wins(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    for zone in [&fixture.zone, &fixture.inner_zone] {
        for name in [zone.to_string(), format!("a.{zone}"), format!("*.{zone}")] {
            let found = fixture
                .router
                .zone_for(&rig.ctx, &RecordName::new(name.as_str())?)
                .await?;
            check!(
                found.name == *zone,
                "{name} must be in {zone}, not {}",
                found.name
            );
        }
    }
    let nowhere = RecordName::new(format!("not{}", fixture.zone))?;
    let found = fixture.router.zone_for(&rig.ctx, &nowhere).await;
    check_refused(found, ErrorKind::NotFound, "a name of no zone")
}

/// Ensuring again changes nothing.
pub async fn ensuring_a_record_set_twice_changes_nothing(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    scene.ensure(scene.wanted(&["192.0.2.1"])).await?;
    let (before, rows) = (scene.found().await?, scene.rig.rows().await?);
    check!(
        before
            .first()
            .is_some_and(|set| set.mark.as_deref() == Some(scene.rig.ctx.owner.mark().as_str())),
        "the set must carry the owner mark"
    );
    let change = scene
        .router
        .ensure(&scene.rig.ctx, &scene.zone, scene.wanted(&["192.0.2.1"]))
        .await?;
    check!(change.id.is_none(), "ensuring again must make no change");
    check!(
        scene.found().await? == before,
        "ensuring again must leave the set as it is"
    );
    check!(
        scene.rig.rows().await? == rows,
        "ensuring again must make nothing"
    );
    scene.remove().await
}

/// The set holds exactly the values that were named last.
pub async fn every_value_is_kept_and_no_other(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    for values in [
        &["192.0.2.1", "192.0.2.2"][..],
        &["192.0.2.2", "192.0.2.3", "192.0.2.4"],
        &["192.0.2.9"],
    ] {
        scene.ensure(scene.wanted(values)).await?;
        let found = scene.found().await?;
        let [set] = &found[..] else {
            check!(false, "there must be one set, not {found:?}");
            return Ok(());
        };
        check!(
            set.values == values,
            "the values must be {values:?}, not {:?}",
            set.values
        );
    }
    scene.remove().await
}

/// A set that is someone else's is left as it is, unless it is to be adopted.
pub async fn a_foreign_record_set_is_left_untouched_or_adopted(
    fixture: &Fixture<'_>,
) -> Result<()> {
    let Some(stranger) = fixture.stranger else {
        return Ok(());
    };
    let scene = Scene::new(fixture).await?;
    stranger.plant("record_set", &scene.thing()).await?;
    let before = scene.found().await?;
    let request = scene.wanted(&["192.0.2.200"]);
    let refused = scene
        .router
        .ensure(&scene.rig.ctx, &scene.zone, request.clone())
        .await;
    check_refused(
        refused,
        ErrorKind::AlreadyExists,
        "ensuring a foreign record set",
    )?;
    check!(
        scene.found().await? == before,
        "a foreign record set must stay as it is"
    );
    let mut adopting = request;
    adopting.on_foreign = OnForeign::Adopt;
    scene.ensure(adopting).await?;
    let adopted = scene.found().await?;
    check!(
        adopted
            .first()
            .is_some_and(|set| set.values == ["192.0.2.200"]),
        "an adopted set must be as it was wanted, not {adopted:?}"
    );
    scene.remove().await
}

/// Removing again is `Ok`, and nothing is left.
pub async fn removing_a_record_set_twice_is_ok(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    scene.ensure(scene.wanted(&["192.0.2.1"])).await?;
    scene.remove().await?;
    scene.remove().await?;
    let left = scene.found().await?;
    check!(left.is_empty(), "a removed set must be gone: {left:?}");
    check!(
        scene.rig.rows().await?.is_empty(),
        "the row must leave with the set"
    );
    Ok(())
}

/// A set that is someone else's is not removed.
pub async fn a_foreign_record_set_is_not_removed(fixture: &Fixture<'_>) -> Result<()> {
    let Some(stranger) = fixture.stranger else {
        return Ok(());
    };
    let scene = Scene::new(fixture).await?;
    stranger.plant("record_set", &scene.thing()).await?;
    scene.remove().await?;
    check!(
        stranger.is_there("record_set", &scene.thing()).await?,
        "a foreign record set must stay"
    );
    Ok(())
}
