//! What every store of ours must do with the ledger and the ports.

use futures::future::join_all;

use super::{intent, refused, target};
use crate::ErrorKind;
use crate::id::{DeploymentId, ResourceId};
use crate::model::resource::ResourceState;
use crate::store::SystemStore;

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
