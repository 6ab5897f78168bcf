//! The memory cloud: what it does when it is told to fail, and what a test can see of it.
#![expect(clippy::unwrap_used, reason = "helpers of a test may unwrap")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::context;
use devopser_core::ErrorKind;
use devopser_core::context::Context;
use devopser_core::id::{ImageRef, ReleaseId};
use devopser_core::memory::{Fault, MemoryCloud, MemoryDeployer, Outcome};
use devopser_core::model::artifact::Artifact;
use devopser_core::model::report::Database;
use devopser_core::model::resource::ResourceState;
use devopser_core::model::service::{EnvValue, HealthCheck, Limits, ReleasePhase};
use devopser_core::provider::{DeployRequest, DestroyRequest, PrepareRequest, Prepared, Provider};

async fn prepared(provider: &Provider, ctx: &Context) -> Prepared {
    let request = PrepareRequest {
        target: ctx.owner.target.clone(),
        databases: vec![Database::Postgres],
        without_password: Vec::new(),
    };
    provider
        .deployer()
        .unwrap()
        .prepare(ctx, request)
        .await
        .unwrap()
}

fn deploy_request(cloud: &MemoryCloud, prepared: &Prepared, release: &str) -> DeployRequest {
    DeployRequest {
        service: prepared.service.clone(),
        release: ReleaseId::new(release).unwrap(),
        artifact: Artifact::Image(cloud.add_image(ImageRef::new("shop:1").unwrap(), Some(80))),
        app_port: 80,
        env: prepared.env.clone(),
        limits: Limits::default(),
        container: Default::default(),
        companions: Vec::new(),
        health: HealthCheck::default(),
    }
}

#[tokio::test]
async fn a_worker_that_dies_after_the_effect_leaves_one_release_and_an_intended_row() {
    let cloud = MemoryCloud::new();
    let provider = Arc::new(cloud.provider());
    let ctx = context();
    let prepared = prepared(&provider, &ctx).await;
    let request = deploy_request(&cloud, &prepared, "rel_1");

    cloud.inject("Deployer::deploy", 1, Fault::HangAfter);
    let worker = tokio::spawn({
        let (provider, ctx, request) = (Arc::clone(&provider), ctx.clone(), request.clone());
        async move { provider.deployer().unwrap().deploy(&ctx, request).await }
    });
    cloud.until_hung(1).await;
    worker.abort();
    let row = |rows: Vec<devopser_core::model::resource::Resource>| {
        rows.into_iter()
            .find(|row| row.intent.kind == "release")
            .unwrap()
    };
    assert_eq!(
        row(ctx.ledger.list().await.unwrap()).state,
        ResourceState::Intended
    );

    let release = provider
        .deployer()
        .unwrap()
        .deploy(&ctx, request)
        .await
        .unwrap();
    assert_eq!(
        row(ctx.ledger.list().await.unwrap()).state,
        ResourceState::Created
    );
    let snapshot = cloud.snapshot();
    assert_eq!(
        (
            snapshot.made("release"),
            snapshot.calls_of("Deployer::deploy")
        ),
        (1, 2)
    );
    assert!(snapshot.made_twice().is_empty());

    let service = release.service;
    provider
        .deployer()
        .unwrap()
        .destroy(&ctx, DestroyRequest::Service { service })
        .await
        .unwrap();
    assert_eq!(cloud.snapshot().left_over("inst/"), Vec::<String>::new());
    assert!(ctx.ledger.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_nth_call_fails_before_or_after_the_effect() {
    let cloud = MemoryCloud::new();
    let provider = cloud.provider();
    let ctx = context();
    let prepared = prepared(&provider, &ctx).await;
    let deployer = provider.deployer().unwrap();
    cloud.inject("Deployer::deploy", 2, Fault::Before(ErrorKind::Unavailable));
    cloud.inject("Deployer::deploy", 3, Fault::After(ErrorKind::Timeout));
    for (release, outcome, made) in [
        ("rel_1", None, 1),
        ("rel_2", Some(ErrorKind::Unavailable), 1),
        ("rel_3", Some(ErrorKind::Timeout), 2),
        ("rel_3", None, 2),
    ] {
        let result = deployer
            .deploy(&ctx, deploy_request(&cloud, &prepared, release))
            .await;
        assert_eq!(result.err().map(|error| error.kind()), outcome, "{release}");
        assert_eq!(cloud.snapshot().made("release"), made, "{release}");
    }
}

#[tokio::test]
async fn an_app_does_what_the_script_says() {
    let cloud = MemoryCloud::new();
    let provider = cloud.provider();
    let ctx = context();
    let prepared = prepared(&provider, &ctx).await;
    let deployer = provider.deployer().unwrap();
    cloud.script([
        Outcome::Runs { after_looks: 1 },
        Outcome::Exits {
            code: 3,
            lines: vec!["no such module".into()],
        },
    ]);
    let first = deployer
        .deploy(&ctx, deploy_request(&cloud, &prepared, "rel_1"))
        .await
        .unwrap();
    for phase in [ReleasePhase::Starting, ReleasePhase::Running] {
        assert_eq!(deployer.status(&ctx, &first).await.unwrap().phase, phase);
    }
    let second = deployer
        .deploy(&ctx, deploy_request(&cloud, &prepared, "rel_2"))
        .await
        .unwrap();
    let status = deployer.status(&ctx, &second).await.unwrap();
    assert_eq!(
        (status.phase, status.exit_code),
        (ReleasePhase::Exited, Some(3))
    );
}

#[tokio::test]
async fn the_app_gets_the_url_of_its_database_and_the_request_never_holds_it() {
    let cloud = MemoryCloud::new();
    let provider = cloud.provider();
    let ctx = context();
    let prepared = prepared(&provider, &ctx).await;
    let request = deploy_request(&cloud, &prepared, "rel_1");
    let (name, value) = prepared.env.iter().next().unwrap();
    assert!(matches!(value, EnvValue::Secret(_)));
    let release = provider
        .deployer()
        .unwrap()
        .deploy(&ctx, request)
        .await
        .unwrap();
    let url = cloud.env_of(&release.release, name).unwrap();
    assert!(url.expose().starts_with("postgresql://app:"));
}

#[tokio::test]
async fn a_foreign_service_of_the_same_name_is_left_untouched() {
    let cloud = MemoryCloud::new();
    let ctx = context();
    let name = MemoryDeployer::service_name(&ctx.owner.target);
    cloud.add_foreign("service", &name);
    let request = PrepareRequest {
        target: ctx.owner.target.clone(),
        databases: Vec::new(),
        without_password: Vec::new(),
    };
    let error = cloud
        .provider()
        .deployer()
        .unwrap()
        .prepare(&ctx, request)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(ctx.ledger.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_delayed_call_ends_when_it_is_cancelled() {
    let cloud = MemoryCloud::new();
    let ctx = context();
    cloud.inject(
        "Deployer::prepare",
        1,
        Fault::Delay(Duration::from_secs(3600)),
    );
    ctx.cancel.cancel();
    let request = PrepareRequest {
        target: ctx.owner.target.clone(),
        databases: Vec::new(),
        without_password: Vec::new(),
    };
    let error = cloud
        .provider()
        .deployer()
        .unwrap()
        .prepare(&ctx, request)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(cloud.snapshot().things.is_empty());
}
