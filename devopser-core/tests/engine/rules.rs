//! The rules of the road: one deployment a target, cancel, supersede, idempotency, tenants, rollback.

use std::time::Duration;

use devopser_core::ErrorKind;
use devopser_core::id::{EnvName, IdempotencyKey, TenantId};
use devopser_core::memory::{Fault, Outcome};
use devopser_core::model::deployment::DeploymentState;
use devopser_core::model::event::EventKind;
use devopser_core::model::plan::OverlapPolicy;
use devopser_core::model::record::PageRequest;
use devopser_core::model::service::{EnvPart, EnvValue};

use crate::support::House;

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_unchanged_source_does_nothing_and_a_changed_one_is_a_new_release() {
    let house = House::new().await;
    let target = House::target("acme");
    let worker = house.worker().await;
    for (page, builds) in [("one", 1), ("one", 1), ("two", 2)] {
        let id = house
            .engine
            .deploy(house.spec(&target, page))
            .await
            .unwrap();
        let record = house.engine.wait(&target.tenant, &id, LONG).await.unwrap();
        assert_eq!(
            record.state,
            DeploymentState::Succeeded,
            "{:?}",
            record.error
        );
        assert_eq!(
            house.cloud.snapshot().calls_of("ImageBuilder::build"),
            builds,
            "{page}"
        );
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_release_has_its_databases_under_the_names_of_its_framework() {
    let house = House::new().await;
    let target = House::target("acme");
    let worker = house.worker().await;
    let id = house
        .engine
        .deploy(house.spec(&target, "one"))
        .await
        .unwrap();
    house.engine.wait(&target.tenant, &id, LONG).await.unwrap();
    let page = PageRequest {
        offset: 0,
        limit: 10,
    };
    let releases = house.engine.releases(&target, page).await.unwrap();
    let value = |name: &str| releases[0].env.get(&EnvName::new(name).unwrap()).cloned();
    let Some(EnvValue::Secret(url)) = value("DATABASE_URL") else {
        panic!("the provider gives the URL as a secret");
    };
    let parts = vec![EnvPart::Secret(url), EnvPart::Plain("?pool=5".to_owned())];
    assert_eq!(value("APP_DATABASE"), Some(EnvValue::Template(parts)));
    // There is no Redis: nothing stands for it.
    assert_eq!(value("APP_CACHE"), None);
    worker.stop().await;
}

#[tokio::test]
async fn a_rollback_runs_the_earlier_artifact_without_a_build() {
    let house = House::new().await;
    let target = House::target("acme");
    let worker = house.worker().await;
    for page in ["one", "two"] {
        let id = house
            .engine
            .deploy(house.spec(&target, page))
            .await
            .unwrap();
        house.engine.wait(&target.tenant, &id, LONG).await.unwrap();
    }
    let id = house.engine.rollback(&target, None).await.unwrap();
    let record = house.engine.wait(&target.tenant, &id, LONG).await.unwrap();
    assert_eq!(
        record.state,
        DeploymentState::Succeeded,
        "{:?}",
        record.error
    );
    let releases = house
        .engine
        .releases(&target, PageRequest::default())
        .await
        .unwrap();
    let artifact = |number| {
        releases
            .iter()
            .find(|release| release.number == number)
            .unwrap()
            .artifact
            .clone()
    };
    assert_eq!(artifact(3), artifact(1));
    assert_ne!(artifact(2), artifact(1));
    assert_eq!(house.cloud.snapshot().calls_of("ImageBuilder::build"), 2);
    worker.stop().await;
}

#[tokio::test]
async fn a_rollback_without_an_earlier_release_changes_nothing() {
    let house = House::new().await;
    let target = House::target("acme");
    let worker = house.worker().await;
    let id = house
        .engine
        .deploy(house.spec(&target, "one"))
        .await
        .unwrap();
    house.engine.wait(&target.tenant, &id, LONG).await.unwrap();
    let id = house.engine.rollback(&target, None).await.unwrap();
    let record = house.engine.wait(&target.tenant, &id, LONG).await.unwrap();
    assert_eq!(record.state, DeploymentState::Failed);
    assert_eq!(record.error.unwrap().kind, ErrorKind::NotFound);
    assert!(house.cloud.snapshot().routes[0].upstream.is_some());
    worker.stop().await;
}

#[tokio::test]
async fn a_cancel_ends_a_build_and_leaves_nothing() {
    let house = House::new().await;
    let target = House::target("acme");
    house.cloud.inject(
        "ImageBuilder::build",
        1,
        Fault::Delay(Duration::from_secs(3600)),
    );
    let worker = house.worker().await;
    let id = house
        .engine
        .deploy(house.spec(&target, "one"))
        .await
        .unwrap();
    wait_for_step(&house, &target, &id, "build").await;
    house.engine.cancel(&target.tenant, &id).await.unwrap();
    let record = house.engine.wait(&target.tenant, &id, LONG).await.unwrap();
    assert_eq!(record.state, DeploymentState::Cancelled);
    worker.stop().await;
    house.assert_nothing_left(&target).await;
}

#[tokio::test]
async fn a_newer_deployment_supersedes_the_one_under_way() {
    let house = House::new().await;
    let target = House::target("acme");
    house.cloud.inject(
        "ImageBuilder::build",
        1,
        Fault::Delay(Duration::from_secs(3600)),
    );
    let worker = house.worker().await;
    let first = house
        .engine
        .deploy(house.spec(&target, "one"))
        .await
        .unwrap();
    wait_for_step(&house, &target, &first, "build").await;
    let mut spec = house.spec(&target, "two");
    spec.overlap = OverlapPolicy::Reject;
    assert_eq!(
        house.engine.deploy(spec.clone()).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    spec.overlap = OverlapPolicy::Supersede;
    let second = house.engine.deploy(spec).await.unwrap();
    let record = house
        .engine
        .wait(&target.tenant, &second, LONG)
        .await
        .unwrap();
    assert_eq!(
        record.state,
        DeploymentState::Succeeded,
        "{:?}",
        record.error
    );
    let first = house
        .engine
        .deployment(&target.tenant, &first)
        .await
        .unwrap();
    assert_eq!(first.state, DeploymentState::Superseded);
    worker.stop().await;
}

#[tokio::test]
async fn a_removal_ends_what_is_under_way() {
    for pages in [&["one"][..], &["one", "two"]] {
        let house = House::new().await;
        let target = House::target("acme");
        let (last, earlier) = pages.split_last().unwrap();
        let worker = house.worker().await;
        for page in earlier {
            let spec = house.spec(&target, page);
            let id = house.engine.deploy(spec).await.unwrap();
            house.engine.wait(&target.tenant, &id, LONG).await.unwrap();
        }
        let forever = Fault::Delay(Duration::from_secs(3600));
        house.cloud.inject("ImageBuilder::build", 1, forever);
        let spec = house.spec(&target, last);
        let running = house.engine.deploy(spec).await.unwrap();
        wait_for_step(&house, &target, &running, "build").await;
        let removal = house.engine.destroy(&target).await.unwrap();
        let tenant = &target.tenant;
        let removal = house.engine.wait(tenant, &removal, LONG).await.unwrap();
        assert_eq!(removal.state, DeploymentState::Succeeded, "{removal:?}");
        let running = house.engine.deployment(tenant, &running).await.unwrap();
        assert_eq!(running.state, DeploymentState::Superseded);
        assert!(
            house.cloud.snapshot().things.is_empty(),
            "something is left"
        );
        worker.stop().await;
    }
}

#[tokio::test]
async fn the_same_key_attaches_to_what_it_made() {
    let house = House::new().await;
    let target = House::target("acme");
    let mut spec = house.spec(&target, "one");
    spec.idempotency_key = Some(IdempotencyKey::new("order-7").unwrap());
    let first = house.engine.deploy(spec.clone()).await.unwrap();
    let second = house.engine.deploy(spec).await.unwrap();
    assert_eq!(first, second);
    house.to_end(&target, &first).await;
    assert_eq!(house.cloud.snapshot().made("release"), 1);
}

#[tokio::test]
async fn an_app_that_ends_at_once_fails_with_its_last_lines_and_leaves_nothing() {
    let house = House::new().await;
    let target = House::target("acme");
    house.cloud.script([Outcome::Exits {
        code: 3,
        lines: vec!["no such module".into()],
    }]);
    let id = house
        .engine
        .deploy(house.spec(&target, "one"))
        .await
        .unwrap();
    let record = house.to_end(&target, &id).await;
    let error = record.error.unwrap();
    assert_eq!(error.kind, ErrorKind::Crashed);
    assert!(
        error.log.iter().any(|line| line.contains("no such module")),
        "{:?}",
        error.log
    );
    house.assert_nothing_left(&target).await;
}

#[tokio::test]
async fn a_failed_redeploy_leaves_the_live_release_alone() {
    let house = House::new().await;
    let target = House::target("acme");
    let id = house
        .engine
        .deploy(house.spec(&target, "one"))
        .await
        .unwrap();
    house.to_end(&target, &id).await;
    let before = house.cloud.snapshot();
    house.cloud.script([Outcome::OutOfMemory]);
    let id = house
        .engine
        .deploy(house.spec(&target, "two"))
        .await
        .unwrap();
    let record = house.to_end(&target, &id).await;
    assert_eq!(record.error.unwrap().kind, ErrorKind::OutOfMemory);
    let after = house.cloud.snapshot();
    assert_eq!(after.routes, before.routes);
    assert_eq!(after.count("release"), 1);
    assert_eq!(after.count("image"), 1);
}

#[tokio::test]
async fn another_tenant_sees_and_touches_nothing() {
    let house = House::new().await;
    let (mine, other) = (House::target("acme"), House::target("rival"));
    let id = house.engine.deploy(house.spec(&mine, "one")).await.unwrap();
    house.to_end(&mine, &id).await;
    let engine = &house.engine;
    let rival = TenantId::new("rival").unwrap();
    assert_eq!(
        engine.deployment(&rival, &id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        engine.cancel(&rival, &id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert!(engine.events(&rival, &id, 0, 100).await.unwrap().is_empty());
    assert!(engine.apps(&rival).await.unwrap().is_empty());
    assert!(
        engine
            .releases(&other, PageRequest::default())
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        engine
            .deployments(&other, PageRequest::default())
            .await
            .unwrap()
            .is_empty()
    );
    for refused in [
        engine.app(&other).await.map(|_| ()).unwrap_err(),
        engine.stop(&other).await.map(|_| ()).unwrap_err(),
        engine.start(&other).await.map(|_| ()).unwrap_err(),
        engine.restart(&other).await.map(|_| ()).unwrap_err(),
        engine.rollback(&other, None).await.map(|_| ()).unwrap_err(),
        engine.destroy(&other).await.map(|_| ()).unwrap_err(),
        engine.stats(&other).await.map(|_| ()).unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn events_are_read_by_cursor_without_gaps() {
    let house = House::new().await;
    let target = House::target("acme");
    let id = house
        .engine
        .deploy(house.spec(&target, "one"))
        .await
        .unwrap();
    house.to_end(&target, &id).await;
    let all = house
        .engine
        .events(&target.tenant, &id, 0, 1000)
        .await
        .unwrap();
    let sequences: Vec<u64> = all.iter().map(|event| event.seq).collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
    let rest = house
        .engine
        .events(&target.tenant, &id, 3, 1000)
        .await
        .unwrap();
    assert_eq!(rest, all[3..]);
    assert!(matches!(
        all.last().unwrap().kind,
        EventKind::State {
            state: DeploymentState::Succeeded
        }
    ));
}

#[tokio::test]
async fn a_stopped_app_has_no_upstream_and_starts_again() {
    let house = House::new().await;
    let target = House::target("acme");
    let worker = house.worker().await;
    let id = house
        .engine
        .deploy(house.spec(&target, "one"))
        .await
        .unwrap();
    house.engine.wait(&target.tenant, &id, LONG).await.unwrap();
    let id = house.engine.stop(&target).await.unwrap();
    house.engine.wait(&target.tenant, &id, LONG).await.unwrap();
    assert!(house.cloud.snapshot().routes[0].upstream.is_none());
    let id = house.engine.start(&target).await.unwrap();
    let record = house.engine.wait(&target.tenant, &id, LONG).await.unwrap();
    assert_eq!(
        record.state,
        DeploymentState::Succeeded,
        "{:?}",
        record.error
    );
    assert!(house.cloud.snapshot().routes[0].upstream.is_some());
    worker.stop().await;
}

async fn wait_for_step(
    house: &House,
    target: &devopser_core::id::Target,
    id: &devopser_core::id::DeploymentId,
    step: &str,
) {
    let deadline = std::time::Instant::now() + LONG;
    loop {
        let record = house.engine.deployment(&target.tenant, id).await.unwrap();
        if record.step.as_deref() == Some(step) {
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{step} was never reached: {record:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
