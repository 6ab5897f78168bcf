//! What every [`SystemStore`] of ours must do. It is not for hosts, so these are plain tests.

use futures::future::join_all;

use crate::id::{
    AppName, DeploymentId, EnvironmentName, IdempotencyKey, ProviderId, ResourceId, Target,
    TenantId,
};
use crate::model::deployment::CancelReason;
use crate::model::resource::{ResourceIntent, ResourceState};
use crate::store::{PendingRun, SystemStore, WORKER_LEASE};
use crate::{ErrorKind, Result};

const HOUR: u64 = 60 * 60 * 1000;

pub(crate) fn target(tenant: &str, app: &str) -> Target {
    Target {
        tenant: TenantId::new(tenant).unwrap(),
        app: AppName::new(app).unwrap(),
        environment: EnvironmentName::production(),
    }
}

pub(crate) fn run(deployment: &str, target: &Target, created_at: u64) -> PendingRun {
    PendingRun {
        deployment: DeploymentId::new(deployment).unwrap(),
        target: target.clone(),
        taken: false,
        cancel: None,
        created_at,
    }
}

fn intent(name: &str) -> ResourceIntent {
    ResourceIntent {
        provider: ProviderId::new("docker").unwrap(),
        kind: "container".to_owned(),
        name: name.to_owned(),
    }
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) {
    assert_eq!(result.unwrap_err().kind(), kind);
}

pub(crate) async fn the_installation_is_made_once(store: &dyn SystemStore) {
    let ids = join_all((0..8).map(|_| store.installation())).await;
    let first = ids[0].as_ref().unwrap();
    assert!(first.len() >= 32, "{first}");
    for id in &ids {
        assert_eq!(id.as_ref().unwrap(), first);
    }
}

pub(crate) async fn the_queue_is_oldest_first_and_not_taken(store: &dyn SystemStore) {
    let shop = target("a", "shop");
    let mut claims_to_be_taken = run("d1", &shop, 20);
    claims_to_be_taken.taken = true;
    store.enqueue(&claims_to_be_taken, None).await.unwrap();
    store.enqueue(&run("d3", &shop, 10), None).await.unwrap();
    store.enqueue(&run("d2", &shop, 10), None).await.unwrap();
    let mut cancelled = run("d4", &target("b", "shop"), 5);
    cancelled.cancel = Some(CancelReason::Superseded);
    store.enqueue(&cancelled, None).await.unwrap();
    let expected = [
        cancelled,
        run("d2", &shop, 10),
        run("d3", &shop, 10),
        run("d1", &shop, 20),
    ];
    assert_eq!(store.pending().await.unwrap(), expected);
}

pub(crate) async fn enqueue_again_changes_nothing(store: &dyn SystemStore) {
    let first = run("d", &target("a", "shop"), 1);
    for _ in 0..2 {
        let id = store.enqueue(&first, None).await.unwrap();
        assert_eq!(id, first.deployment);
        assert!(store.take(&id, 0).await.unwrap());
    }
    assert_eq!(store.pending().await.unwrap().len(), 1);
    assert!(store.pending().await.unwrap()[0].taken);
    let foreign = run("d", &target("b", "shop"), 1);
    refused(store.enqueue(&foreign, None).await, ErrorKind::Conflict);
}

pub(crate) async fn a_key_attaches_for_24_hours(store: &dyn SystemStore) {
    let shop = target("a", "shop");
    let start = 1000 * HOUR;
    let first = run("d1", &shop, start);
    let id = store.enqueue(&first, Some(&key("k"))).await.unwrap();
    store.finish(&id, 0).await.unwrap();
    let soon = run("d2", &shop, start + 24 * HOUR - 1);
    assert_eq!(store.enqueue(&soon, Some(&key("k"))).await.unwrap(), id);
    assert_eq!(store.pending().await.unwrap(), []);
    // The key belongs to the tenant, whatever the app.
    let blog = run("d3", &target("a", "blog"), start + 1);
    assert_eq!(store.enqueue(&blog, Some(&key("k"))).await.unwrap(), id);
    let foreign = run("d4", &target("b", "shop"), start + 1);
    let theirs = store.enqueue(&foreign, Some(&key("k"))).await.unwrap();
    assert_eq!(theirs, foreign.deployment);
    let later = run("d5", &shop, start + 24 * HOUR);
    let again = store.enqueue(&later, Some(&key("k"))).await.unwrap();
    assert_eq!(again, later.deployment);
    let attached = run("d6", &shop, start + 25 * HOUR);
    let attached = store.enqueue(&attached, Some(&key("k"))).await.unwrap();
    assert_eq!(attached, later.deployment);
}

pub(crate) async fn one_key_at_once_makes_one_run(store: &dyn SystemStore) {
    let shop = target("a", "shop");
    let runs: Vec<_> = (0..16).map(|n| run(&format!("d{n}"), &shop, 1)).collect();
    let key = key("same");
    let ids = join_all(runs.iter().map(|run| store.enqueue(run, Some(&key)))).await;
    let pending = store.pending().await.unwrap();
    assert_eq!(pending.len(), 1);
    for id in ids {
        assert_eq!(id.unwrap(), pending[0].deployment);
    }
}

pub(crate) async fn one_run_of_a_target_is_taken(store: &dyn SystemStore) {
    let shop = target("a", "shop");
    let mut pr = shop.clone();
    pr.environment = EnvironmentName::new("pr-1").unwrap();
    for n in 0..8 {
        let queued = run(&format!("shop{n}"), &shop, n);
        store.enqueue(&queued, None).await.unwrap();
    }
    for (id, other) in [
        ("pr", &pr),
        ("blog", &target("a", "blog")),
        ("b", &target("b", "shop")),
    ] {
        store.enqueue(&run(id, other, 1), None).await.unwrap();
        let id = DeploymentId::new(id).unwrap();
        assert!(store.take(&id, 0).await.unwrap(), "{id}");
    }
    let ids: Vec<_> = (0..8)
        .map(|n| DeploymentId::new(format!("shop{n}")).unwrap())
        .collect();
    let results = join_all(ids.iter().map(|id| store.take(id, 0))).await;
    let taken: Vec<_> = std::iter::zip(&ids, results)
        .filter_map(|(id, result)| result.unwrap().then_some(id))
        .collect();
    assert_eq!(taken.len(), 1);
    assert!(store.take(taken[0], 0).await.unwrap(), "taking it again");
    store.finish(taken[0], 0).await.unwrap();
    store.finish(taken[0], 0).await.unwrap();
    assert!(!store.take(taken[0], 0).await.unwrap(), "it has ended");
    let next = ids.iter().find(|id| *id != taken[0]).unwrap();
    assert!(store.take(next, 0).await.unwrap());
}

pub(crate) async fn the_first_reason_to_cancel_stays(store: &dyn SystemStore) {
    let queued = run("d", &target("a", "shop"), 1);
    store.enqueue(&queued, None).await.unwrap();
    store
        .enqueue(&run("e", &target("a", "shop"), 1), None)
        .await
        .unwrap();
    let id = &queued.deployment;
    for reason in [CancelReason::Superseded, CancelReason::Requested] {
        assert!(store.request_cancel(id, reason).await.unwrap());
    }
    let pending = store.pending().await.unwrap();
    assert_eq!(pending[0].cancel, Some(CancelReason::Superseded));
    assert_eq!(pending[1].cancel, None);
    store.finish(id, 0).await.unwrap();
    let late = store.request_cancel(id, CancelReason::Requested).await;
    assert!(!late.unwrap());
}

pub(crate) async fn a_lease_has_one_holder(store: &dyn SystemStore) {
    assert_eq!(store.lease("x", 0).await.unwrap(), None);
    let first = store
        .acquire_lease("x", "one", 100, 200)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((first.epoch, first.expires_at), (1, 200));
    assert_eq!(
        store.acquire_lease("x", "two", 199, 300).await.unwrap(),
        None
    );
    assert_eq!(store.lease("x", 199).await.unwrap(), Some(first.clone()));
    assert_eq!(store.lease("x", 200).await.unwrap(), None);
    assert_eq!(store.lease("y", 100).await.unwrap(), None);
    let renewed = store
        .acquire_lease("x", "one", 150, 400)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((renewed.epoch, renewed.expires_at), (1, 400));
    let delayed = store
        .acquire_lease("x", "one", 120, 300)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(delayed.expires_at, 400, "a renewal never shortens");
    let late = store
        .acquire_lease("x", "one", 500, 600)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((late.epoch, late.expires_at), (1, 600), "nobody took it");
    let second = store
        .acquire_lease("x", "two", 600, 700)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((second.holder.as_str(), second.epoch), ("two", 2));
    assert_eq!(
        store.acquire_lease("x", "one", 650, 800).await.unwrap(),
        None
    );
    let names = (0..16).map(|n| format!("h{n}")).collect::<Vec<_>>();
    let grants = join_all(
        names
            .iter()
            .map(|name| store.acquire_lease("z", name, 1, 9)),
    )
    .await;
    let granted = grants.into_iter().filter_map(Result::unwrap).count();
    assert_eq!(granted, 1);
}

pub(crate) async fn a_lease_that_was_given_back_gets_a_new_epoch(store: &dyn SystemStore) {
    store.release_lease("x", "one").await.unwrap();
    store.acquire_lease("x", "one", 100, 200).await.unwrap();
    store.release_lease("x", "two").await.unwrap();
    assert!(
        store.lease("x", 150).await.unwrap().is_some(),
        "not two's to give back"
    );
    store.release_lease("x", "one").await.unwrap();
    assert_eq!(store.lease("x", 150).await.unwrap(), None);
    let again = store
        .acquire_lease("x", "one", 150, 250)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((again.epoch, again.expires_at), (2, 250));
}

pub(crate) async fn an_old_epoch_is_refused_and_changes_nothing(store: &dyn SystemStore) {
    let shop = target("a", "shop");
    let queued = run("d", &shop, 1);
    let id = &queued.deployment;
    store.enqueue(&queued, None).await.unwrap();
    store
        .acquire_lease(WORKER_LEASE, "one", 0, 10)
        .await
        .unwrap();
    let row = store
        .intend(&shop, Some(id), &intent("n"), 1, 1)
        .await
        .unwrap();
    // Another lease's epoch does not count.
    for holder in ["1", "2", "3"] {
        store.acquire_lease("other", holder, 20, 20).await.unwrap();
    }
    assert!(store.take(id, 1).await.unwrap());
    let grant = store
        .acquire_lease(WORKER_LEASE, "two", 20, 30)
        .await
        .unwrap();
    assert_eq!(grant.unwrap().epoch, 2);
    let conflict = ErrorKind::Conflict;
    let before = (
        store.pending().await.unwrap(),
        store.resources(None).await.unwrap(),
    );
    refused(store.take(id, 1).await, conflict);
    refused(store.finish(id, 1).await, conflict);
    refused(
        store.intend(&shop, None, &intent("new"), 1, 1).await,
        conflict,
    );
    refused(store.resource_created(&row, "c", 1).await, conflict);
    refused(store.resource_failed(&row, "why", 1).await, conflict);
    refused(store.resource_gone(&row, 1).await, conflict);
    let after = (
        store.pending().await.unwrap(),
        store.resources(None).await.unwrap(),
    );
    assert_eq!(after, before);
    // Given back, the lease still fences.
    store.release_lease(WORKER_LEASE, "two").await.unwrap();
    refused(store.finish(id, 1).await, conflict);
    store.resource_created(&row, "c", 2).await.unwrap();
    store.finish(id, 2).await.unwrap();
}

pub(crate) async fn a_resource_has_one_row(store: &dyn SystemStore) {
    let (shop, id) = (target("a", "shop"), DeploymentId::new("d").unwrap());
    let row = store
        .intend(&shop, Some(&id), &intent("n"), 5, 0)
        .await
        .unwrap();
    let again = store.intend(&shop, None, &intent("n"), 9, 0).await.unwrap();
    assert_eq!(again, row);
    for other in [target("a", "blog"), target("b", "shop")] {
        let foreign = store
            .intend(&other, None, &intent("n"), 9, 0)
            .await
            .unwrap_err();
        assert_eq!(foreign.kind(), ErrorKind::Conflict);
        assert!(!format!("{foreign:?}").contains("shop"), "{foreign:?}");
    }
    let found = store.resources(None).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].id, &found[0].target), (&row, &shop));
    assert_eq!(found[0].deployment.as_ref(), Some(&id));
    assert_eq!(found[0].intent, intent("n"));
    assert_eq!(
        (found[0].state, found[0].created_at),
        (ResourceState::Intended, 5)
    );
    let many = join_all(
        (0..16).map(|_| async { store.intend(&shop, None, &intent("m"), 1, 0).await.unwrap() }),
    );
    let ids: std::collections::BTreeSet<_> = many.await.into_iter().collect();
    assert_eq!(ids.len(), 1);
}

pub(crate) async fn a_resource_lives_until_it_is_gone(store: &dyn SystemStore) {
    let shop = target("a", "shop");
    let row = store.intend(&shop, None, &intent("n"), 5, 0).await.unwrap();
    store.resource_failed(&row, "no answer", 0).await.unwrap();
    let found = store.resources(Some(&shop)).await.unwrap();
    assert_eq!(found[0].last_error.as_deref(), Some("no answer"));
    store.resource_created(&row, "c1", 0).await.unwrap();
    let found = store.resources(Some(&shop)).await.unwrap();
    assert_eq!(found[0].state, ResourceState::Created);
    assert_eq!(found[0].provider_ref.as_deref(), Some("c1"));
    assert_eq!(found[0].last_error, None);
    for _ in 0..2 {
        store.resource_gone(&row, 0).await.unwrap();
        assert_eq!(store.resources(Some(&shop)).await.unwrap(), []);
    }
    store.resource_failed(&row, "late", 0).await.unwrap();
    refused(
        store.resource_created(&row, "c1", 0).await,
        ErrorKind::NotFound,
    );
    assert_eq!(store.resources(None).await.unwrap(), []);
    let other = ResourceId::generate();
    refused(
        store.resource_created(&other, "c", 0).await,
        ErrorKind::NotFound,
    );
}

pub(crate) async fn resources_are_listed_by_target_oldest_first(store: &dyn SystemStore) {
    let (ours, theirs) = (target("a", "shop"), target("b", "shop"));
    for (owner, name, at) in [(&ours, "2", 20), (&theirs, "3", 15), (&ours, "1", 10)] {
        store
            .intend(owner, None, &intent(name), at, 0)
            .await
            .unwrap();
    }
    let names = |found: Vec<crate::model::resource::Resource>| {
        found
            .into_iter()
            .map(|row| row.intent.name)
            .collect::<String>()
    };
    assert_eq!(names(store.resources(Some(&ours)).await.unwrap()), "12");
    assert_eq!(names(store.resources(Some(&theirs)).await.unwrap()), "3");
    assert_eq!(names(store.resources(None).await.unwrap()), "132");
}

pub(crate) async fn a_port_belongs_to_one_target(store: &dyn SystemStore) {
    let (shop, blog) = (target("a", "shop"), target("a", "blog"));
    let (theirs, last) = (target("b", "shop"), target("c", "shop"));
    let two = [20_001, 20_002];
    assert_eq!(
        store.reserve_port(&shop, None, &two).await.unwrap(),
        Some(20_001)
    );
    // It keeps what it has, whatever it asks for.
    assert_eq!(
        store.reserve_port(&shop, None, &[9]).await.unwrap(),
        Some(20_001)
    );
    assert_eq!(
        store.reserve_port(&shop, Some(9), &two).await.unwrap(),
        Some(20_001)
    );
    assert_eq!(
        store.reserve_port(&blog, Some(20_001), &two).await.unwrap(),
        None
    );
    assert_eq!(
        store.reserve_port(&blog, Some(65_535), &two).await.unwrap(),
        Some(65_535)
    );
    assert_eq!(
        store.reserve_port(&theirs, None, &two).await.unwrap(),
        Some(20_002)
    );
    assert_eq!(store.reserve_port(&last, None, &two).await.unwrap(), None);
    assert_eq!(store.reserve_port(&last, None, &[]).await.unwrap(), None);
    let ports = store.ports().await.unwrap();
    let found: Vec<_> = ports
        .iter()
        .map(|grant| (grant.port, &grant.target))
        .collect();
    assert_eq!(found, [(20_001, &shop), (20_002, &theirs), (65_535, &blog)]);
    store.release_port(&shop).await.unwrap();
    store.release_port(&shop).await.unwrap();
    assert_eq!(
        store.reserve_port(&last, None, &two).await.unwrap(),
        Some(20_001)
    );
    assert_eq!(store.ports().await.unwrap().len(), 3);
}

pub(crate) async fn many_reservations_never_share_a_port(store: &dyn SystemStore) {
    let targets: Vec<_> = (0..200).map(|n| target("a", &format!("app{n}"))).collect();
    let candidates: Vec<u16> = (20_000..20_199).collect();
    let reserved = join_all(
        targets
            .iter()
            .map(|target| store.reserve_port(target, None, &candidates)),
    );
    let mut ports: Vec<_> = reserved
        .await
        .into_iter()
        .filter_map(Result::unwrap)
        .collect();
    ports.sort_unstable();
    assert_eq!(ports, candidates, "199 have one each, one has none");
}

pub(crate) async fn secrets_belong_to_their_tenant(store: &dyn SystemStore) {
    let (ours, theirs) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
    for (name, sealed) in [
        ("env/B", "1"),
        ("env/A", "2"),
        ("env/A", "3"),
        ("other%", "4"),
    ] {
        store.put_secret(&ours, name, sealed).await.unwrap();
    }
    assert_eq!(
        store.secret(&ours, "env/A").await.unwrap().as_deref(),
        Some("3")
    );
    assert_eq!(store.secret(&theirs, "env/A").await.unwrap(), None);
    assert_eq!(store.secret(&ours, "env/").await.unwrap(), None);
    assert_eq!(
        store.secret_names(&ours, "env/").await.unwrap(),
        ["env/A", "env/B"]
    );
    assert_eq!(store.secret_names(&ours, "").await.unwrap().len(), 3);
    assert_eq!(store.secret_names(&ours, "%").await.unwrap().len(), 0);
    assert_eq!(store.secret_names(&theirs, "").await.unwrap().len(), 0);
    for _ in 0..2 {
        store.remove_secret(&theirs, "env/A").await.unwrap();
        store.remove_secret(&ours, "env/B").await.unwrap();
    }
    assert_eq!(
        store.secret_names(&ours, "").await.unwrap(),
        ["env/A", "other%"]
    );
}

pub(crate) async fn a_rotation_sees_every_secret_and_replaces_no_newer_one(
    store: &dyn SystemStore,
) {
    let (ours, theirs) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
    for (tenant, name) in [(&theirs, "a"), (&ours, "b"), (&ours, "a"), (&theirs, "0")] {
        store.put_secret(tenant, name, "old").await.unwrap();
    }
    let mut seen = Vec::new();
    let mut last: Option<(TenantId, String)> = None;
    loop {
        let after = last.as_ref().map(|(tenant, name)| (tenant, name.as_str()));
        let page = store.sealed_secrets(after, 3).await.unwrap();
        let Some(end) = page.last() else { break };
        last = Some((end.tenant.clone(), end.name.clone()));
        seen.extend(
            page.into_iter()
                .map(|row| format!("{}{}{}", row.tenant, row.name, row.sealed)),
        );
    }
    assert_eq!(seen, ["aaold", "abold", "b0old", "baold"]);
    assert!(
        store
            .replace_secret(&ours, "a", "old", "new")
            .await
            .unwrap()
    );
    assert!(
        !store
            .replace_secret(&ours, "a", "old", "newer")
            .await
            .unwrap()
    );
    assert!(
        !store
            .replace_secret(&ours, "absent", "old", "new")
            .await
            .unwrap()
    );
    assert_eq!(
        store.secret(&ours, "a").await.unwrap().as_deref(),
        Some("new")
    );
    assert_eq!(
        store.secret(&theirs, "a").await.unwrap().as_deref(),
        Some("old")
    );
}
