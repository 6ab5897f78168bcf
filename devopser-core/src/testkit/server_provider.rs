//! What every [`ServerProvider`](crate::provider::ServerProvider) must do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::{Rig, Stranger, cases, check, check_refused};
use crate::id::{Region, ServerName, ServerSize, SnapshotName};
use crate::provider::{
    EnsureServer, EnsureSnapshot, Poll, Server, ServerImage, ServerProvider, ServerProviderExt,
    ServerRef, Snapshot,
};
use crate::{Error, ErrorKind, Result};

/// What the cases work on.
#[expect(
    missing_debug_implementations,
    reason = "it holds the host's own objects"
)]
pub struct Fixture<'a> {
    /// The provider.
    pub servers: &'a dyn ServerProvider,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// Where servers are made.
    pub region: Region,
    /// Another region, for snapshots.
    pub other_region: Region,
    /// The size of the servers.
    pub size: ServerSize,
    /// What they are made from.
    pub image: ServerImage,
    /// The longest time until a server runs.
    pub patience: Duration,
    /// Plants a `server`.
    pub stranger: Option<&'a dyn Stranger>,
}

cases! {
    Fixture<'_>;
    a_foreign_server_is_not_listed,
    ensuring_a_server_twice_makes_one,
    destroying_a_server_twice_is_ok,
    a_foreign_server_is_not_destroyed,
    taking_a_snapshot_twice_makes_one,
    a_region_is_added_to_the_same_snapshot,
    removing_a_snapshot_twice_is_ok,
}

fn wanted(fixture: &Fixture<'_>, rig: &Rig) -> Result<EnsureServer> {
    Ok(EnsureServer {
        name: ServerName::new(rig.ctx.owner.target.app.as_str())?,
        region: fixture.region.clone(),
        size: fixture.size.clone(),
        image: fixture.image.clone(),
        user_data: None,
        labels: BTreeMap::new(),
    })
}

async fn running(fixture: &Fixture<'_>) -> Result<(Rig, Server)> {
    let rig = Rig::new(fixture.folder)?;
    let request = wanted(fixture, &rig)?;
    let name = request.name.clone();
    fixture.servers.ensure(&rig.ctx, request).await?;
    let poll = Poll::until(fixture.patience).every(Duration::from_millis(100));
    let server = fixture
        .servers
        .wait_until_running(&rig.ctx, &name, poll)
        .await?;
    Ok((rig, server))
}

/// Servers of another tenant are not listed.
pub async fn a_foreign_server_is_not_listed(fixture: &Fixture<'_>) -> Result<()> {
    let (first, server) = running(fixture).await?;
    let second = Rig::new(fixture.folder)?;
    let seen = fixture.servers.servers(&second.ctx).await?;
    check!(
        seen.is_empty(),
        "a server of another tenant was listed: {seen:?}"
    );
    fixture.servers.destroy(&first.ctx, &server.reference).await
}

/// Ensuring a server again returns the same; a region that is none is refused.
pub async fn ensuring_a_server_twice_makes_one(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, server) = running(fixture).await?;
    let rows = rig.rows().await?;
    let again = fixture
        .servers
        .ensure(&rig.ctx, wanted(fixture, &rig)?)
        .await?;
    check!(
        again.reference == server.reference,
        "ensuring again must return the same server"
    );
    check!(
        fixture.servers.servers(&rig.ctx).await?.len() == 1,
        "there must be one server"
    );
    check!(
        rig.rows().await? == rows,
        "ensuring again must make nothing"
    );
    fixture.servers.destroy(&rig.ctx, &server.reference).await?;
    let mut nowhere = wanted(fixture, &rig)?;
    nowhere.region = Region::new("no-such-region")?;
    let refused = fixture.servers.ensure(&rig.ctx, nowhere).await;
    check_refused(
        refused,
        ErrorKind::InvalidInput,
        "a server in a region that is none",
    )
}

/// Destroying a server again is `Ok`, and nothing is left.
pub async fn destroying_a_server_twice_is_ok(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, server) = running(fixture).await?;
    for _ in 0..2 {
        fixture.servers.destroy(&rig.ctx, &server.reference).await?;
    }
    let left = fixture.servers.servers(&rig.ctx).await?;
    check!(left.is_empty(), "a destroyed server must be gone: {left:?}");
    check!(
        rig.rows().await?.is_empty(),
        "the row must leave with the server"
    );
    Ok(())
}

/// Servers of another tenant, and of someone else, are not destroyed.
pub async fn a_foreign_server_is_not_destroyed(fixture: &Fixture<'_>) -> Result<()> {
    let (owner, server) = running(fixture).await?;
    let other = Rig::new(fixture.folder)?;
    fixture
        .servers
        .destroy(&other.ctx, &server.reference)
        .await?;
    let left = fixture.servers.servers(&owner.ctx).await?;
    check!(left.len() == 1, "a server of another tenant must stay");
    fixture
        .servers
        .destroy(&owner.ctx, &server.reference)
        .await?;
    if let Some(stranger) = fixture.stranger {
        let name = format!("foreign-{}", other.ctx.owner.target.app);
        stranger.plant("server", &name).await?;
        let foreign = ServerRef {
            provider: server.reference.provider,
            id: name.clone(),
            name: ServerName::new(name.as_str())?,
        };
        fixture.servers.destroy(&other.ctx, &foreign).await?;
        check!(
            stranger.is_there("server", &name).await?,
            "a foreign server must stay"
        );
    }
    Ok(())
}

struct Taken {
    rig: Rig,
    server: Server,
    request: EnsureSnapshot,
    snapshot: Snapshot,
}

/// A snapshot in one region; `None` where there are no snapshots.
async fn taken(fixture: &Fixture<'_>) -> Result<Option<Taken>> {
    if !fixture.servers.capability().snapshots {
        return Ok(None);
    }
    let (rig, server) = running(fixture).await?;
    let request = EnsureSnapshot {
        name: SnapshotName::new(rig.ctx.owner.target.app.as_str())?,
        server: server.reference.clone(),
        regions: BTreeSet::from([fixture.region.clone()]),
    };
    let snapshot = ready(fixture, &rig, &request).await?;
    Ok(Some(Taken {
        rig,
        server,
        request,
        snapshot,
    }))
}

/// The snapshot, once it is in every region that is wanted.
async fn ready(fixture: &Fixture<'_>, rig: &Rig, request: &EnsureSnapshot) -> Result<Snapshot> {
    let poll = Poll::until(fixture.patience).every(Duration::from_millis(100));
    poll.run(&rig.ctx, "waiting for the snapshot", || async {
        let found = fixture.servers.snapshot(&rig.ctx, request.clone()).await?;
        let there = found.ready && request.regions.is_subset(&found.regions);
        Ok::<_, Error>(there.then_some(found))
    })
    .await
}

async fn clean(fixture: &Fixture<'_>, taken: &Taken) -> Result<()> {
    fixture
        .servers
        .remove_snapshot(&taken.rig.ctx, &taken.snapshot.id)
        .await?;
    fixture
        .servers
        .destroy(&taken.rig.ctx, &taken.server.reference)
        .await
}

/// Taking a snapshot of the name again returns the same.
pub async fn taking_a_snapshot_twice_makes_one(fixture: &Fixture<'_>) -> Result<()> {
    let Some(taken) = taken(fixture).await? else {
        return Ok(());
    };
    let again = fixture
        .servers
        .snapshot(&taken.rig.ctx, taken.request.clone())
        .await?;
    check!(
        again.id == taken.snapshot.id,
        "taking it again must return the same snapshot"
    );
    let all = fixture.servers.snapshots(&taken.rig.ctx).await?;
    check!(all.len() == 1, "there must be one snapshot, not {all:?}");
    clean(fixture, &taken).await
}

/// A region that is wanted later is added to the snapshot that exists.
pub async fn a_region_is_added_to_the_same_snapshot(fixture: &Fixture<'_>) -> Result<()> {
    if !fixture.servers.capability().transfer {
        return Ok(());
    }
    let Some(mut taken) = taken(fixture).await? else {
        return Ok(());
    };
    taken.request.regions.insert(fixture.other_region.clone());
    let wider = ready(fixture, &taken.rig, &taken.request).await?;
    check!(
        wider.id == taken.snapshot.id,
        "the snapshot must stay the same"
    );
    check!(
        wider.regions.contains(&fixture.other_region),
        "the region must be added"
    );
    clean(fixture, &taken).await
}

/// Removing a snapshot again is `Ok`.
pub async fn removing_a_snapshot_twice_is_ok(fixture: &Fixture<'_>) -> Result<()> {
    let Some(taken) = taken(fixture).await? else {
        return Ok(());
    };
    clean(fixture, &taken).await?;
    clean(fixture, &taken).await?;
    let left = fixture.servers.snapshots(&taken.rig.ctx).await?;
    check!(left.is_empty(), "a removed snapshot must be gone: {left:?}");
    check!(
        taken.rig.rows().await?.is_empty(),
        "the rows must leave with their things"
    );
    Ok(())
}
