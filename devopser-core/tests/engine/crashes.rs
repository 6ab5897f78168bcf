//! A worker that dies at any step, before or after its effect: the next one brings the deployment to the same end.

use devopser_core::model::deployment::DeploymentState;
use devopser_core::pipeline::step;

use crate::support::House;

/// Every step of `deploy_repo`.
const STEPS: [&str; 9] = [
    step::FETCH,
    step::PLAN,
    step::PREPARE,
    step::BUILD,
    step::DEPLOY,
    step::VERIFY,
    step::ROUTE,
    step::ACTIVATE,
    step::FINISH,
];

fn crash(house: &House, step: &str, after: bool) {
    if after {
        house.runtime.crash_after(step, 1);
    } else {
        house.runtime.crash_before(step, 1);
    }
}

#[tokio::test]
async fn a_first_deployment_survives_a_crash_at_every_step() {
    for step in STEPS {
        for after in [false, true] {
            let house = House::new().await;
            let target = House::target("acme");
            crash(&house, step, after);
            let id = house
                .engine
                .deploy(house.spec(&target, "one"))
                .await
                .unwrap();
            let record = house.to_end(&target, &id).await;
            let case = format!("crash {} {step}", if after { "after" } else { "before" });
            assert_eq!(
                record.state,
                DeploymentState::Succeeded,
                "{case}: {:?}",
                record.error
            );
            assert_eq!(house.runtime.crashes(), 1, "{case}");
            let cloud = house.cloud.snapshot();
            assert_eq!(cloud.made_twice(), Vec::<String>::new(), "{case}");
            assert_eq!(cloud.count("release"), 1, "{case}");
            assert_eq!(cloud.routes.len(), 1, "{case}");
            assert!(cloud.routes[0].upstream.is_some(), "{case}");
        }
    }
}

#[tokio::test]
async fn a_redeploy_survives_a_crash_at_every_step() {
    for step in STEPS {
        for after in [false, true] {
            let house = House::new().await;
            let target = House::target("acme");
            let first = house
                .engine
                .deploy(house.spec(&target, "one"))
                .await
                .unwrap();
            house.to_end(&target, &first).await;
            let before = house.cloud.snapshot().routes[0].clone();
            crash(&house, step, after);
            let second = house
                .engine
                .deploy(house.spec(&target, "two"))
                .await
                .unwrap();
            let record = house.to_end(&target, &second).await;
            let case = format!("crash {} {step}", if after { "after" } else { "before" });
            assert_eq!(
                record.state,
                DeploymentState::Succeeded,
                "{case}: {:?}",
                record.error
            );
            let cloud = house.cloud.snapshot();
            assert_eq!(cloud.made_twice(), Vec::<String>::new(), "{case}");
            assert_eq!(cloud.count("release"), 1, "{case}: the old one is gone");
            assert_eq!(
                cloud.routes[0].port, before.port,
                "{case}: the address stays"
            );
            assert_ne!(cloud.routes[0].upstream, before.upstream, "{case}");
        }
    }
}

#[tokio::test]
async fn a_removal_survives_a_crash_and_leaves_nothing() {
    for after in [false, true] {
        let house = House::new().await;
        let target = House::target("acme");
        let id = house
            .engine
            .deploy(house.spec(&target, "one"))
            .await
            .unwrap();
        house.to_end(&target, &id).await;
        crash(&house, step::DESTROY, after);
        let id = house.engine.destroy(&target).await.unwrap();
        let record = house.to_end(&target, &id).await;
        assert_eq!(
            record.state,
            DeploymentState::Succeeded,
            "{:?}",
            record.error
        );
        let kinds: Vec<&str> = record
            .receipt
            .iter()
            .map(|line| line.kind.as_str())
            .collect();
        if !after {
            assert!(
                kinds.contains(&"release") && kinds.contains(&"database"),
                "{kinds:?}"
            );
        }
        house.assert_nothing_left(&target).await;
    }
}

#[tokio::test]
async fn a_failed_deployment_leaves_nothing_whenever_the_undo_crashes() {
    for after in [false, true] {
        let house = House::new().await;
        let target = House::target("acme");
        let fault = devopser_core::memory::Fault::Before(devopser_core::ErrorKind::BuildFailed);
        house.cloud.inject("ImageBuilder::build", 1, fault);
        crash(&house, step::UNDO, after);
        let id = house
            .engine
            .deploy(house.spec(&target, "one"))
            .await
            .unwrap();
        let record = house.to_end(&target, &id).await;
        assert_eq!(record.state, DeploymentState::Failed);
        assert_eq!(
            record.error.unwrap().kind,
            devopser_core::ErrorKind::BuildFailed
        );
        house.assert_nothing_left(&target).await;
    }
}
