//! Removal, foreign things, and engines that are not there.

use std::path::PathBuf;
use std::time::Duration;

use devopser_core::ErrorKind;
use devopser_core::context::{CancellationToken, Ledger};
use devopser_core::model::artifact::Artifact;
use devopser_core::model::report::Database;
use devopser_core::model::service::ReleasePhase;
use devopser_core::provider::{DestroyRequest, InventoryExt};
use devopser_providers::docker::{DockerConfig, check, provider};

use crate::stage::{NODE, SERVER, Stage, docker, has_engine, on_stage};

/// A container of the name that the release would get.
async fn name_of_release(stage: &Stage) -> String {
    stage.write("server.js", SERVER);
    let built = stage.build("1", NODE).await.unwrap();
    stage.prepare().await;
    let release = stage.deploy("rel_1", &built.image).await;
    let request = DestroyRequest::Release {
        release: release.clone(),
    };
    stage.deployer().destroy(&stage.ctx, request).await.unwrap();
    release.name
}

#[test]
fn destroying_a_service_leaves_nothing_and_can_be_repeated() {
    on_stage(|stage| async move {
        stage.write("server.js", SERVER);
        let first = stage.build("app", NODE).await.unwrap();
        stage.write("server.js", &format!("{SERVER}// changed"));
        let second = stage.build("app", NODE).await.unwrap();
        let mut request = stage.prepare_request();
        request.databases = vec![Database::Redis];
        stage.deployer().prepare(&stage.ctx, request).await.unwrap();
        stage.deploy("rel_1", &first.image).await;
        stage.deploy("rel_2", &second.image).await;
        // Two releases, a database, a network, a volume, an image with its name and one that lost it.
        assert_eq!(stage.left().len(), 7, "{:?}", stage.left());
        assert_eq!(stage.memory.list().await.unwrap().len(), 6);
        stage.destroy().await.unwrap();
        assert_eq!(stage.left(), Vec::<String>::new());
        assert_eq!(stage.memory.list().await.unwrap(), []);
        stage.destroy().await.unwrap();
    });
}

#[test]
fn a_container_of_the_same_name_without_our_mark_is_left_untouched() {
    on_stage(|stage| async move {
        let name = name_of_release(&stage).await;
        let built = stage.build("1", NODE).await.unwrap();
        let theirs = docker(&["create", "--name", &name, "debian:bookworm-slim", "true"]);
        assert!(!theirs.is_empty());
        let refused = stage
            .deployer()
            .deploy(&stage.ctx, stage.deploy_request("rel_1", &built.image))
            .await;
        let destroyed = stage.destroy().await;
        let still = docker(&["inspect", "-f", "{{.Id}}", &name]);
        docker(&["rm", &name]);
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.remedy().is_some());
        destroyed.unwrap();
        assert_eq!(still, theirs);
    });
}

#[test]
fn a_container_that_a_person_runs_from_our_image_is_not_ours() {
    on_stage(|stage| async move {
        stage.write("server.js", SERVER);
        let built = stage.build("1", NODE).await.unwrap();
        let theirs = docker(&["create", built.image.reference.as_str(), "true"]);
        // The image cannot go while they hold it: the failure is told and stays in the ledger.
        let error = stage.destroy().await.unwrap_err();
        let still = docker(&["inspect", "-f", "{{.Id}}", &theirs]);
        docker(&["rm", &theirs]);
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert_eq!(still, theirs);
        let rows = stage.memory.list().await.unwrap();
        assert_eq!(rows.len(), 1);
        assert!(rows[0].last_error.is_some());
    });
}

#[test]
fn a_create_that_was_cut_off_is_adopted() {
    on_stage(|stage| async move {
        let name = name_of_release(&stage).await;
        let built = stage.build("1", NODE).await.unwrap();
        let first = stage.deploy("rel_1", &built.image).await;
        docker(&["stop", "-t", "1", &name]);
        let id = docker(&["inspect", "-f", "{{.Id}}", &name]);
        let again = stage.deploy("rel_1", &built.image).await;
        assert_eq!(first, again);
        assert_eq!(docker(&["inspect", "-f", "{{.Id}}", &name]), id);
        assert_eq!(stage.fetch(&again).await, "hello");
    });
}

#[test]
fn an_artifact_goes_only_when_no_release_uses_it() {
    on_stage(|stage| async move {
        stage.write("server.js", SERVER);
        let built = stage.build("1", NODE).await.unwrap();
        stage.prepare().await;
        let release = stage.deploy("rel_1", &built.image).await;
        let artifact = DestroyRequest::Artifact {
            service: stage.service.clone(),
            artifact: Artifact::Image(built.image.clone()),
        };
        let image = || docker(&["images", "-q", built.image.reference.as_str()]);
        stage
            .deployer()
            .destroy(&stage.ctx, artifact.clone())
            .await
            .unwrap();
        assert!(!docker(&["inspect", "-f", "{{.Id}}", built.image.digest.as_str()]).is_empty());
        let request = DestroyRequest::Release { release };
        stage.deployer().destroy(&stage.ctx, request).await.unwrap();
        for _ in 0..2 {
            stage
                .deployer()
                .destroy(&stage.ctx, artifact.clone())
                .await
                .unwrap();
            assert_eq!(image(), "");
        }
    });
}

#[test]
fn the_inventory_lists_and_removes_what_is_ours() {
    on_stage(|stage| async move {
        stage.write("server.js", SERVER);
        let built = stage.build("1", NODE).await.unwrap();
        stage.prepare().await;
        let release = stage.deploy("rel_1", &built.image).await;
        let inventory = stage.provider.inventory.clone().unwrap();
        let installation = stage.ctx.owner.installation.clone();
        let owned = inventory
            .all_owned(&stage.ctx, &installation)
            .await
            .unwrap();
        let kinds: Vec<&str> = owned.iter().map(|thing| thing.kind.as_str()).collect();
        assert_eq!(kinds, ["container", "network", "image"]);
        assert!(
            owned
                .iter()
                .all(|thing| thing.mark == stage.ctx.owner.mark())
        );
        let part = &installation[..installation.len() - 1];
        assert_eq!(inventory.all_owned(&stage.ctx, part).await.unwrap(), []);

        let container = owned[0].clone();
        let found = inventory
            .inspect(&stage.ctx, "container", &release.name)
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(&container));
        // Another mark than it carries: untouched.
        let mut theirs = container.clone();
        theirs.mark = "somebody/else".into();
        inventory.remove(&stage.ctx, &theirs).await.unwrap();
        assert_eq!(stage.status(&release).await.phase, ReleasePhase::Running);
        for _ in 0..2 {
            inventory.remove(&stage.ctx, &container).await.unwrap();
            assert_eq!(stage.status(&release).await.phase, ReleasePhase::Absent);
        }
    });
}

#[test]
fn an_engine_that_is_not_there_is_told_with_a_remedy() {
    on_stage(|stage| async move {
        let config = DockerConfig {
            socket: PathBuf::from("/nonexistent/docker.sock"),
            ..DockerConfig::default()
        };
        let checks = check(&config).await;
        assert_eq!(checks.len(), 1);
        assert!(!checks[0].ok && checks[0].remedy.is_some());
        let error = provider(config)
            .unwrap()
            .deployer()
            .unwrap()
            .prepare(&stage.ctx, stage.prepare_request())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.is_retryable());
        assert!(error.message().contains("/nonexistent/docker.sock"));
        assert!(error.remedy().unwrap().contains("Start the Docker engine"));
    });
}

/// A socket in front of the engine's that a test can cut.
async fn relay(path: PathBuf, cut: CancellationToken) {
    let listener = tokio::net::UnixListener::bind(path).unwrap();
    while let Some(Ok((mut near, _))) = cut.run_until_cancelled(listener.accept()).await {
        let cut = cut.clone();
        tokio::spawn(async move {
            let mut far = tokio::net::UnixStream::connect("/var/run/docker.sock")
                .await
                .unwrap();
            let copied = tokio::io::copy_bidirectional(&mut near, &mut far);
            let _ = cut.run_until_cancelled(copied).await;
        });
    }
}

#[test]
fn an_engine_that_stops_in_the_middle_of_a_build_is_told() {
    on_stage(|stage| async move {
        let socket = stage.source.path().join("engine.sock");
        let cut = CancellationToken::new();
        let relay = tokio::spawn(relay(socket.clone(), cut.clone()));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let builder = provider(DockerConfig {
            socket,
            ..DockerConfig::default()
        })
        .unwrap()
        .image_builder
        .unwrap();
        let mut request = stage.request("1", "FROM debian:bookworm-slim\nRUN sleep 86398\n");
        request.dockerignore = "*".into();
        let ctx = stage.ctx.clone();
        let build = tokio::spawn(async move { builder.build(&ctx, request).await });
        for _ in 0..300 {
            if stage
                .memory
                .lines()
                .iter()
                .any(|line| line.ends_with("RUN sleep 86398"))
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        cut.cancel();
        relay.await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(60), build).await;
        let error = ended.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.is_retryable() && error.remedy().is_some());
        // It could not be looked whether the image came into being: the row stays for whoever cleans up.
        assert_eq!(stage.memory.list().await.unwrap().len(), 1);
    });
}

#[test]
fn the_check_of_an_engine_that_is_there_is_good() {
    if !has_engine() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let checks = runtime.block_on(check(&DockerConfig::default()));
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(&names[..2], ["engine", "buildkit"]);
    assert!(checks[..2].iter().all(|check| check.ok), "{checks:?}");
}
