//! What every [`DeploymentStore`] must do: one function for each documented behaviour, and [`all`] for all of them.
//!
//! The functions make their own tenants, so that they can run on a store that holds other things, and at the same time.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::json;

use super::{check, check_refused};
use crate::id::{AppName, DeploymentId, EnvironmentName, Target, TenantId};
use crate::model::deployment::{Action, Deployment, DeploymentState};
use crate::model::event::EventKind;
use crate::model::record::{Expected, PageRequest};
use crate::store::{DeploymentStore, DeploymentStoreExt, RecordKind, StoredRecord};
use crate::{ErrorKind, Result};

/// Runs every function of this module.
///
/// # Errors
/// The first behaviour that does not hold, or what the store failed with.
pub async fn all(store: &dyn DeploymentStore) -> Result<()> {
    a_record_comes_back_as_it_was_written(store).await?;
    one_of_many_writers_succeeds(store).await?;
    a_lost_write_changes_nothing(store).await?;
    a_revision_is_never_given_twice(store).await?;
    a_removed_record_is_gone(store).await?;
    lists_are_sorted_and_paged(store).await?;
    the_audit_trail_is_only_appended_to(store).await?;
    sequences_have_no_gaps(store).await?;
    events_are_read_by_cursor(store).await?;
    removing_a_deployment_removes_its_events(store).await?;
    tenants_do_not_meet(store).await?;
    any_text_survives(store).await?;
    typed_records_come_back(store).await
}

/// A tenant that nobody else has.
fn new_tenant() -> Result<TenantId> {
    TenantId::new(format!("t_{}", uuid::Uuid::now_v7().simple()))
}

fn record(kind: RecordKind, id: &str, created_at: u64) -> StoredRecord {
    StoredRecord {
        kind,
        id: id.to_owned(),
        target: "shop/production".to_owned(),
        state: "queued".to_owned(),
        created_at,
        body: json!({"id": id}),
    }
}

fn line(text: &str) -> EventKind {
    EventKind::Log {
        step: "build".to_owned(),
        line: text.to_owned(),
    }
}

/// What is written is read, whole; what is not there is `None`.
///
/// # Errors
/// When it is not so.
pub async fn a_record_comes_back_as_it_was_written(store: &dyn DeploymentStore) -> Result<()> {
    let tenant = new_tenant()?;
    for kind in [
        RecordKind::App,
        RecordKind::Release,
        RecordKind::Deployment,
        RecordKind::Audit,
    ] {
        let mut written = record(kind, "a/b", 1_700_000_000_123);
        written.body = json!({"n": [1, -2, 2.5, null, true], "o": {"k": "v"}, "max": u64::MAX});
        check!(
            store.get(&tenant, kind, "a/b").await?.is_none(),
            "an absent {kind:?} is None"
        );
        let revision = store
            .put(&tenant, written.clone(), Expected::Absent)
            .await?;
        let read = store.get(&tenant, kind, "a/b").await?;
        check!(
            read.as_ref().map(|read| read.revision) == Some(revision),
            "get returns the revision that put returned"
        );
        check!(
            read.map(|read| read.value) == Some(written),
            "a {kind:?} is read as it was written"
        );
    }
    Ok(())
}

/// Of many writers that expect the same, exactly one succeeds and the others get `conflict`.
///
/// # Errors
/// When it is not so.
pub async fn one_of_many_writers_succeeds(store: &dyn DeploymentStore) -> Result<()> {
    let tenant = new_tenant()?;
    let mut expected = Expected::Absent;
    for round in 0..3_u64 {
        let writers = (0..16_u64).map(|writer| {
            let mut record = record(RecordKind::Deployment, "d", 1);
            record.body = json!({ "writer": writer, "round": round });
            let tenant = &tenant;
            async move { (writer, store.put(tenant, record, expected).await) }
        });
        let mut winner = None;
        for (writer, result) in join_all(writers).await {
            if let Ok(revision) = result {
                check!(winner.is_none(), "one writer of a round succeeds, not two");
                winner = Some((writer, revision));
            } else {
                check_refused(result, ErrorKind::Conflict, "the slower writer's put")?;
            }
        }
        let read = store.get(&tenant, RecordKind::Deployment, "d").await?;
        let stored = read.map(|read| (read.value.body["writer"].as_u64(), read.revision));
        check!(
            winner.is_some() && stored == winner.map(|(writer, at)| (Some(writer), at)),
            "what the winner wrote is stored: {winner:?} {stored:?}"
        );
        if let Some((_, revision)) = winner {
            expected = Expected::Revision(revision);
        }
    }
    Ok(())
}

/// A write whose expectation does not hold is `conflict` and changes nothing.
///
/// # Errors
/// When it is not so.
pub async fn a_lost_write_changes_nothing(store: &dyn DeploymentStore) -> Result<()> {
    let tenant = new_tenant()?;
    let first = record(RecordKind::App, "a/b", 1);
    let mut second = first.clone();
    "running".clone_into(&mut second.state);
    let absent = store
        .put(&tenant, first.clone(), Expected::Revision(1))
        .await;
    check_refused(absent, ErrorKind::Conflict, "an update of an absent record")?;
    let old = store.put(&tenant, first, Expected::Absent).await?;
    let new = store
        .put(&tenant, second.clone(), Expected::Revision(old))
        .await?;
    check!(new > old, "a revision grows with every write");
    let mut third = second.clone();
    third.body = json!({});
    for expected in [
        Expected::Absent,
        Expected::Revision(old),
        Expected::Revision(new + 1),
    ] {
        let late = store.put(&tenant, third.clone(), expected).await;
        check_refused(late, ErrorKind::Conflict, "a late put")?;
    }
    let read = store.get(&tenant, RecordKind::App, "a/b").await?;
    check!(
        read.map(|read| (read.value, read.revision)) == Some((second, new)),
        "a lost write leaves the record as it was"
    );
    Ok(())
}

/// A record that was removed and made again has a higher revision than before.
///
/// # Errors
/// When it is not so.
pub async fn a_revision_is_never_given_twice(store: &dyn DeploymentStore) -> Result<()> {
    let tenant = new_tenant()?;
    let app = record(RecordKind::App, "a/b", 1);
    let mut highest = 0;
    for _ in 0..3 {
        let made = store.put(&tenant, app.clone(), Expected::Absent).await?;
        check!(made > highest, "a record made again begins above its past");
        highest = store
            .put(&tenant, app.clone(), Expected::Revision(made))
            .await?;
        store.remove(&tenant, RecordKind::App, "a/b").await?;
        let late = store
            .put(&tenant, app.clone(), Expected::Revision(highest))
            .await;
        check_refused(late, ErrorKind::Conflict, "an update of a removed record")?;
    }
    Ok(())
}

/// A removed record is gone, others stay; removing what is absent is `Ok`.
///
/// # Errors
/// When it is not so.
pub async fn a_removed_record_is_gone(store: &dyn DeploymentStore) -> Result<()> {
    let tenant = new_tenant()?;
    for id in ["a", "b"] {
        let release = record(RecordKind::Release, id, 1);
        store.put(&tenant, release, Expected::Absent).await?;
    }
    for _ in 0..2 {
        store.remove(&tenant, RecordKind::Release, "a").await?;
        let gone = store.get(&tenant, RecordKind::Release, "a").await?;
        check!(gone.is_none(), "a removed record is gone");
    }
    store.remove(&tenant, RecordKind::App, "b").await?;
    let other = store.get(&tenant, RecordKind::Release, "b").await?;
    check!(other.is_some(), "another record stays");
    Ok(())
}

/// Lists are newest first, then by id, descending; pages count in that order; a target narrows them.
///
/// # Errors
/// When it is not so.
pub async fn lists_are_sorted_and_paged(store: &dyn DeploymentStore) -> Result<()> {
    let tenant = new_tenant()?;
    let kind = RecordKind::Deployment;
    for (id, at, target) in [
        ("b", 20, "shop/production"),
        ("a", 20, "shop/production"),
        ("c", 10, "shop/production"),
        ("d", 30, "shop/pr-1"),
        ("e", 9, "blog/production"),
    ] {
        let mut record = record(kind, id, at);
        target.clone_into(&mut record.target);
        store.put(&tenant, record, Expected::Absent).await?;
    }
    store
        .put(
            &tenant,
            record(RecordKind::Release, "r", 50),
            Expected::Absent,
        )
        .await?;
    for (target, offset, limit, ids) in [
        (None, 0, 100, "dbace"),
        (None, 1, 2, "ba"),
        (None, 4, 10, "e"),
        (None, 5, 10, ""),
        (Some("shop/production"), 0, 100, "bac"),
        (Some("shop/production"), 2, 1, "c"),
        (Some("shop"), 0, 100, ""),
    ] {
        let page = PageRequest { offset, limit };
        let found = store.list(&tenant, kind, target, page).await?;
        let found: String = found.into_iter().map(|record| record.value.id).collect();
        check!(
            found == ids,
            "list of {target:?}, {page:?} is {ids}, not {found}"
        );
    }
    Ok(())
}

/// A line of the audit trail can be written once and never changed or removed.
///
/// # Errors
/// When it is not so.
pub async fn the_audit_trail_is_only_appended_to(store: &dyn DeploymentStore) -> Result<()> {
    let tenant = new_tenant()?;
    let audit = record(RecordKind::Audit, "1", 1);
    let revision = store.put(&tenant, audit.clone(), Expected::Absent).await?;
    let changed = store
        .put(&tenant, audit.clone(), Expected::Revision(revision))
        .await;
    check_refused(changed, ErrorKind::Unsupported, "changing an audit line")?;
    let again = store.put(&tenant, audit, Expected::Absent).await;
    check_refused(again, ErrorKind::Conflict, "writing an audit line again")?;
    let removed = store.remove(&tenant, RecordKind::Audit, "1").await;
    check_refused(removed, ErrorKind::Unsupported, "removing an audit line")?;
    let read = store.get(&tenant, RecordKind::Audit, "1").await?;
    check!(read.is_some(), "the audit line stays");
    Ok(())
}

/// Sequences are counted from 1 without gaps, however many write at once.
///
/// # Errors
/// When it is not so.
pub async fn sequences_have_no_gaps(store: &dyn DeploymentStore) -> Result<()> {
    let tenant = new_tenant()?;
    let deployment = DeploymentId::generate();
    let none = store.append(&tenant, &deployment, 1, &[]).await?;
    check!(none == 0, "appending nothing to nothing returns 0");
    let writers = (0..20_u64).map(|writer| {
        let (tenant, deployment) = (&tenant, &deployment);
        let events: Vec<_> = (0..=writer % 3)
            .map(|part| line(&format!("{writer}.{part}")))
            .collect();
        async move { store.append(tenant, deployment, writer, &events).await }
    });
    let mut ends = BTreeSet::new();
    for end in join_all(writers).await {
        check!(ends.insert(end?), "two writers never get one sequence");
    }
    let events = store.events(&tenant, &deployment, 0, 1000).await?;
    let gapless = events
        .iter()
        .zip(1_u64..)
        .all(|(event, seq)| event.seq == seq);
    check!(gapless, "sequences count from 1 without gaps");
    check!(
        ends.last() == Some(&(events.len() as u64)),
        "append returns the sequence of its last event"
    );
    for together in events.windows(2) {
        if let [
            EventKind::Log { line: first, .. },
            EventKind::Log { line: second, .. },
        ] = together.iter().map(|event| &event.kind).collect::<Vec<_>>()[..]
            && let Some(writer) = second.strip_suffix(".1")
        {
            check!(
                *first == format!("{writer}.0"),
                "the events of one call stay together"
            );
        }
    }
    let last = store.append(&tenant, &deployment, 1, &[]).await?;
    check!(
        last == events.len() as u64,
        "appending nothing returns the last sequence"
    );
    Ok(())
}

/// Events come in order, after the cursor, at most as many as asked for, as they were written.
///
/// # Errors
/// When it is not so.
pub async fn events_are_read_by_cursor(store: &dyn DeploymentStore) -> Result<()> {
    let tenant = new_tenant()?;
    let deployment = DeploymentId::generate();
    let written = [
        EventKind::State {
            state: DeploymentState::Running,
        },
        line("one"),
        EventKind::StepFinished {
            step: "build".to_owned(),
            elapsed_ms: 12,
            detail: None,
        },
        EventKind::Note {
            text: "two".to_owned(),
        },
    ];
    store.append(&tenant, &deployment, 77, &written).await?;
    for (after, limit, seqs) in [
        (0, 100, vec![1, 2, 3, 4]),
        (1, 2, vec![2, 3]),
        (4, 5, vec![]),
        (0, 0, vec![]),
        (u64::MAX, 5, vec![]),
    ] {
        let events = store.events(&tenant, &deployment, after, limit).await?;
        let found: Vec<_> = events.iter().map(|event| event.seq).collect();
        check!(
            found == seqs,
            "events after {after}, at most {limit}, are {seqs:?}, not {found:?}"
        );
    }
    for (event, kind) in store
        .events(&tenant, &deployment, 0, 9)
        .await?
        .into_iter()
        .zip(written)
    {
        check!(
            event.kind == kind && event.at == 77 && event.deployment == deployment,
            "an event is read as it was written: {event:?}"
        );
    }
    Ok(())
}

/// With a deployment its events are removed, and nothing else.
///
/// # Errors
/// When it is not so.
pub async fn removing_a_deployment_removes_its_events(store: &dyn DeploymentStore) -> Result<()> {
    let tenant = new_tenant()?;
    let (gone, stays) = (DeploymentId::generate(), DeploymentId::generate());
    for id in [&gone, &stays] {
        let deployment = record(RecordKind::Deployment, id.as_str(), 1);
        store.put(&tenant, deployment, Expected::Absent).await?;
        store.append(&tenant, id, 1, &[line("x")]).await?;
    }
    store
        .remove(&tenant, RecordKind::Release, stays.as_str())
        .await?;
    store
        .remove(&tenant, RecordKind::Deployment, gone.as_str())
        .await?;
    let events = store.events(&tenant, &gone, 0, 9).await?;
    check!(events.is_empty(), "the events go with the deployment");
    let events = store.events(&tenant, &stays, 0, 9).await?;
    check!(events.len() == 1, "another deployment's events stay");
    Ok(())
}

/// No call of one tenant sees or changes what is another's, even with the same ids.
///
/// # Errors
/// When it is not so.
pub async fn tenants_do_not_meet(store: &dyn DeploymentStore) -> Result<()> {
    let (ours, theirs) = (new_tenant()?, new_tenant()?);
    let kind = RecordKind::Deployment;
    let id = DeploymentId::generate();
    let mine = record(kind, id.as_str(), 1);
    let revision = store.put(&ours, mine.clone(), Expected::Absent).await?;
    store.append(&ours, &id, 1, &[line("mine")]).await?;

    let page = PageRequest::default();
    let seen = store.get(&theirs, kind, id.as_str()).await?;
    check!(seen.is_none(), "get does not cross tenants");
    for target in [None, Some("shop/production")] {
        let seen = store.list(&theirs, kind, target, page).await?;
        check!(seen.is_empty(), "list does not cross tenants");
    }
    let seen = store.events(&theirs, &id, 0, 9).await?;
    check!(seen.is_empty(), "events do not cross tenants");
    let put = store
        .put(&theirs, mine.clone(), Expected::Revision(revision))
        .await;
    check_refused(put, ErrorKind::Conflict, "an update across tenants")?;
    let seq = store.append(&theirs, &id, 1, &[line("theirs")]).await?;
    check!(seq == 1, "append counts for the tenant alone");
    store.remove(&theirs, kind, id.as_str()).await?;
    let mut other = mine.clone();
    other.body = json!("theirs");
    store.put(&theirs, other, Expected::Absent).await?;
    store.remove(&theirs, kind, id.as_str()).await?;

    let read = store.get(&ours, kind, id.as_str()).await?;
    check!(
        read.map(|read| (read.value, read.revision)) == Some((mine, revision)),
        "put and remove do not cross tenants"
    );
    let events = store.events(&ours, &id, 0, 9).await?;
    check!(
        events.len() == 1 && events.iter().all(|event| event.kind == line("mine")),
        "append and remove do not touch another tenant's events"
    );
    Ok(())
}

/// Quotes, patterns, other scripts and characters that are not seen are kept as they are.
///
/// # Errors
/// When it is not so.
pub async fn any_text_survives(store: &dyn DeploymentStore) -> Result<()> {
    let tenant = new_tenant()?;
    let deployment = DeploymentId::generate();
    let hostile = "'; DROP TABLE x; -- \" \\ % _ $1 ? \u{0} \u{1b}[31m é 😀 \u{202e} \r\n";
    let mut written = record(RecordKind::Release, "x'--/%_", 1);
    written.body = json!({ hostile: hostile });
    store
        .put(&tenant, written.clone(), Expected::Absent)
        .await?;
    let read = store.get(&tenant, RecordKind::Release, "x'--/%_").await?;
    check!(
        read.map(|read| read.value) == Some(written),
        "a record with any text is read as it was written"
    );
    store
        .append(&tenant, &deployment, 1, &[line(hostile)])
        .await?;
    let events = store.events(&tenant, &deployment, 0, 9).await?;
    check!(
        events.iter().all(|event| event.kind == line(hostile)) && events.len() == 1,
        "an event with any text is read as it was written"
    );
    Ok(())
}

/// [`DeploymentStoreExt`] works on the store.
///
/// # Errors
/// When it is not so.
pub async fn typed_records_come_back(store: &dyn DeploymentStore) -> Result<()> {
    let target = Target {
        tenant: new_tenant()?,
        app: AppName::new("shop")?,
        environment: EnvironmentName::production(),
    };
    let id = DeploymentId::generate();
    let mut deployment = Deployment::queued(id.clone(), target.clone(), Action::Stop, 5);
    let made = store.put_deployment(&deployment, Expected::Absent).await?;
    deployment.state = DeploymentState::Running;
    store
        .put_deployment(&deployment, Expected::Revision(made))
        .await?;
    let read = store.deployment(&target.tenant, &id).await?;
    check!(
        read.map(|read| read.value).as_ref() == Some(&deployment),
        "a deployment is read as it was written"
    );
    let listed = store.deployments(&target, PageRequest::default()).await?;
    check!(
        listed.len() == 1 && listed.iter().all(|listed| listed.value == deployment),
        "a deployment is in the list of its target"
    );
    Ok(())
}
