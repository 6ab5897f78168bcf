//! A worker that dies hard, and the next one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use devopser_core::ErrorKind;
use devopser_core::id::ReleaseId;
use devopser_core::model::service::{ReleasePhase, ReleaseRef};

use super::support::*;

/// Not a test: a worker that deploys an app and waits to be killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn play_worker() {
    let Ok(folder) = std::env::var("WORKER_FOLDER") else {
        return;
    };
    let bench = Bench::at(Path::new(&folder));
    let release = bench.deploy(app("one")).await;
    bench.address(&release).await;
    bench
        .deployer()
        .activate(&bench.ctx, &release)
        .await
        .unwrap();
    std::fs::write(bench.folder.join("ready"), "").unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
}

fn worker(folder: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "adopt::play_worker", "--nocapture"])
        .env("WORKER_FOLDER", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn reference(bench: &Bench) -> ReleaseRef {
    ReleaseRef {
        service: service(),
        release: ReleaseId::new("one").unwrap(),
        name: format!("{}/one", bench.mark()),
    }
}

#[tokio::test]
async fn the_next_worker_adopts_what_the_killed_one_started() {
    let bench = Bench::new();
    let mut worker = worker(&bench.folder);
    let ready = bench.folder.join("ready");
    until("the worker is ready", || ready.exists()).await;
    worker.kill().unwrap();
    worker.wait().unwrap();

    let release = reference(&bench);
    let address = bench.address(&release).await;
    let pid = fetch(address, "/pid");
    assert!(!pid.is_empty());
    assert_eq!(bench.deploy(app("one")).await, release);
    bench
        .deployer()
        .activate(&bench.ctx, &release)
        .await
        .unwrap();
    assert_eq!(fetch(address, "/pid"), pid);
    assert_eq!(processes(&bench.mark()).len(), 1);

    // It is watched again, though it is no child of this worker's.
    fetch(address, "/crash");
    until("it is started again", || {
        let now = fetch(address, "/pid");
        !now.is_empty() && now != pid
    })
    .await;
    assert_eq!(
        bench.reach(&release, ReleasePhase::Running).await.restarts,
        1
    );
    assert_eq!(processes(&bench.mark()).len(), 1);
    bench.destroy_all().await;
}

/// Kills the worker at different moments of a start; one child at most ever runs, and it is always found.
#[tokio::test]
async fn a_worker_that_is_killed_while_it_starts_an_app_leaves_no_unknown_child() {
    let bench = Bench::new();
    for delay in (0..12).map(|n| Duration::from_millis(5 * n)) {
        let mut worker = worker(&bench.folder);
        let folder = bench.ctx.folder().join("releases/one");
        until("the release begins", || folder.exists()).await;
        tokio::time::sleep(delay).await;
        worker.kill().unwrap();
        worker.wait().unwrap();
        let running = processes(&bench.mark());
        assert!(running.len() <= 1, "{running:?}");
        let release = bench.deploy(app("one")).await;
        let address = bench.address(&release).await;
        let pid: i32 = fetch(address, "/pid").parse().unwrap();
        assert_eq!(processes(&bench.mark()), [pid]);
        if let [before] = running.as_slice() {
            assert_eq!(*before, pid, "it was adopted, not started again");
        }
        bench.destroy_all().await;
        let _ = std::fs::remove_file(bench.folder.join("ready"));
    }
}

#[tokio::test]
async fn an_app_is_started_again_after_the_machine_was() {
    let bench = Bench::new();
    let release = bench.deploy(app("one")).await;
    bench.address(&release).await;
    bench
        .deployer()
        .activate(&bench.ctx, &release)
        .await
        .unwrap();
    // What a restart of the machine leaves: the state, and no process.
    let next = Bench::at(&bench.folder);
    let file = bench.ctx.folder().join("releases/one/release.json");
    let text = std::fs::read_to_string(&file).unwrap();
    bench
        .control()
        .stop(&bench.ctx, &release, Duration::from_secs(5))
        .await
        .unwrap();
    std::fs::write(&file, text).unwrap();

    let status = next.status(&release).await;
    assert_eq!(status.phase, ReleasePhase::Exited);
    assert!(status.detail.unwrap().contains("no worker watched"));
    next.deployer().activate(&next.ctx, &release).await.unwrap();
    assert_eq!(fetch(next.address(&release).await, "/"), "hello");
    bench.destroy_all().await;
}

#[tokio::test]
async fn a_release_that_nobody_knows_is_absent() {
    let bench = Bench::new();
    let release = reference(&bench);
    assert_eq!(bench.status(&release).await.phase, ReleasePhase::Absent);
    let activated = bench.deployer().activate(&bench.ctx, &release).await;
    assert_eq!(activated.unwrap_err().kind(), ErrorKind::NotFound);
    let grace = Duration::from_secs(1);
    bench
        .control()
        .stop(&bench.ctx, &release, grace)
        .await
        .unwrap();
    let started = bench.control().start(&bench.ctx, &release).await;
    assert_eq!(started.unwrap_err().kind(), ErrorKind::NotFound);
    bench.destroy_all().await;
}
