//! What every store must do with events.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::{line, new_tenant, record};
use crate::Result;
use crate::id::DeploymentId;
use crate::model::deployment::DeploymentState;
use crate::model::event::EventKind;
use crate::model::record::Expected;
use crate::store::{DeploymentStore, RecordKind};
use crate::testkit::check;

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
