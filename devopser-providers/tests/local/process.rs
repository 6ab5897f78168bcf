//! Processes: started, watched, stopped.

use std::time::{Duration, Instant};

use devopser_core::id::EnvName;
use devopser_core::model::artifact::Artifact;
use devopser_core::model::report::Database;
use devopser_core::model::service::{EnvValue, ReleasePhase, SecretRef, Upstream};
use devopser_core::provider::{DestroyRequest, LogOptions, PrepareRequest};
use devopser_core::{ErrorKind, Secret};
use futures::StreamExt;

use super::support::*;

const GRACE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_app_runs_answers_and_is_removed_without_a_trace() {
    let bench = Bench::new();
    let prepare = PrepareRequest {
        target: target(),
        databases: vec![Database::Sqlite],
        without_password: Vec::new(),
    };
    let prepared = bench.deployer().prepare(&bench.ctx, prepare).await.unwrap();
    assert_eq!(prepared.service, service());
    let release = bench.deploy(app("one")).await;
    assert_eq!(bench.deploy(app("one")).await, release);
    let address = bench.address(&release).await;
    assert_eq!(fetch(address, "/"), "hello");
    assert_eq!(processes(&bench.mark()).len(), 1);
    let upstream = bench
        .deployer()
        .activate(&bench.ctx, &release)
        .await
        .unwrap();
    assert_eq!(upstream, Upstream::Address { address });

    // Another release runs beside it.
    let second = bench.deploy(app("two")).await;
    let other = bench.address(&second).await;
    assert_ne!(fetch(address, "/pid"), fetch(other, "/pid"));
    let releases = bench.deployer().releases(&bench.ctx, &service()).await;
    assert_eq!(releases.unwrap(), [release.clone(), second]);

    for _ in 0..2 {
        let release = release.clone();
        let request = DestroyRequest::Release { release };
        bench.deployer().destroy(&bench.ctx, request).await.unwrap();
    }
    assert_eq!(bench.status(&release).await.phase, ReleasePhase::Absent);
    assert_eq!(fetch(other, "/"), "hello");
    bench.destroy_all().await;
    bench.destroy_all().await;
}

#[tokio::test]
async fn an_app_gets_its_own_environment_and_nothing_of_the_workers() {
    let bench = Bench::new();
    let secret = SecretRef("database".into());
    let value = Secret::new("sentinel-secret");
    bench.ctx.vault.put(&secret, &value).await.unwrap();
    let mut request = app("one");
    let name = EnvName::new("DATABASE_URL").unwrap();
    request.env.insert(name, EnvValue::Secret(secret));
    // What the worker has open must not be open in the app.
    let _file = std::fs::File::open("/etc/hostname").unwrap();
    let _listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let release = bench.deploy(request).await;
    let address = bench.address(&release).await;
    let env = fetch(address, "/env");
    let names: Vec<&str> = env
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    assert_eq!(
        names,
        [
            "DATABASE_URL",
            "DEVOPSER_RELEASE",
            "HOME",
            "LANG",
            "PATH",
            "PORT",
            "ROLE"
        ]
    );
    assert!(env.contains("DATABASE_URL=sentinel-secret"));
    assert!(env.contains(&format!("PORT={}", address.port())));
    let files = fetch(address, "/files");
    assert!(
        files.contains("/dev/null") && files.contains("app.log"),
        "{files}"
    );
    assert!(!files.contains("hostname"), "{files}");
    // Its listener and the connection; the worker's own are not there.
    let sockets = files.lines().filter(|file| file.starts_with("socket:"));
    assert_eq!(sockets.count(), 2, "{files}");
    for file in ["target/releases/one/release.json", "state/things"] {
        let path = bench.folder.join(file);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        assert!(!text.contains("sentinel"), "{file}");
    }
    bench.destroy_all().await;
}

#[tokio::test]
async fn the_port_is_put_into_the_arguments() {
    let bench = Bench::new();
    let command = words(&[
        "sh",
        "-c",
        "echo \"$0 $1\"; sleep 1000",
        "on:$PORT",
        "${PORT}",
    ]);
    let release = bench.deploy(request("one", command)).await;
    let log = logs(&bench, &release, Some(1)).await;
    let port = log[0].split_once(' ').unwrap().1;
    assert!(port.parse::<u16>().is_ok());
    assert_eq!(log[0], format!("on:{port} {port}"));
    bench.destroy_all().await;
}

#[tokio::test]
async fn what_is_released_runs_to_its_end_before_each_start() {
    let (bench, folder) = (Bench::new(), tempfile::tempdir().unwrap());
    let of = |release: &str, first: &str| {
        let mut request = request(release, words(&["sh", "-c", "cat made; sleep 1000"]));
        let Artifact::Process(process) = &mut request.artifact else {
            panic!("no process");
        };
        process.folder = folder.path().to_owned();
        process.release = Some(words(&["sh", "-c", first]));
        request
    };
    let first = "sleep 0.2; echo \"$ROLE on $PORT\" >> made";
    let release = bench.deploy(of("one", first)).await;
    let made = logs(&bench, &release, Some(1)).await;
    assert!(made[0].starts_with("app on "), "{made:?}");
    bench
        .control()
        .restart(&bench.ctx, &release, GRACE)
        .await
        .unwrap();
    let text = std::fs::read_to_string(folder.path().join("made")).unwrap();
    assert_eq!(text.lines().count(), 2);
    let broken = of("two", "echo no table >&2; exit 3");
    let error = bench.deployer().deploy(&bench.ctx, broken).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Crashed);
    assert!(error.message().contains("exited with code 3"), "{error}");
    assert_eq!(error.log(), ["no table"]);
    bench.destroy_all().await;
}

#[tokio::test]
async fn an_app_that_exits_at_once_is_said_to_and_not_started_again() {
    let bench = Bench::new();
    let command = words(&["sh", "-c", "echo wrong >&2; exit 7"]);
    let release = bench.deploy(request("one", command)).await;
    let status = bench.reach(&release, ReleasePhase::Exited).await;
    assert_eq!(status.exit_code, Some(7));
    assert_eq!(status.detail.as_deref(), Some("exited with code 7"));
    assert_eq!(logs(&bench, &release, None).await, ["wrong"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.status(&release).await.restarts, 0);
    bench.destroy_all().await;
}

#[tokio::test]
async fn a_missing_program_is_named_with_a_remedy() {
    let bench = Bench::new();
    let command = words(&["no-such-program", "start"]);
    let deployed = bench.deployer().deploy(&bench.ctx, request("one", command));
    let error = deployed.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Crashed);
    assert!(
        error
            .message()
            .contains("\"no-such-program\" is not installed")
    );
    assert!(error.remedy().is_some());
    bench.destroy_all().await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_before_anything_is_made() {
    let bench = Bench::new();
    let prepare = PrepareRequest {
        target: target(),
        databases: vec![Database::Postgres],
        without_password: Vec::new(),
    };
    let error = bench
        .deployer()
        .prepare(&bench.ctx, prepare)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let empty = bench
        .deployer()
        .deploy(&bench.ctx, request("one", Vec::new()))
        .await;
    assert_eq!(empty.unwrap_err().kind(), ErrorKind::InvalidInput);
    let mut gone = app("one");
    if let devopser_core::model::artifact::Artifact::Process(process) = &mut gone.artifact {
        process.folder = "/no/such/folder".into();
    }
    let error = bench.deployer().deploy(&bench.ctx, gone).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    std::fs::create_dir_all(bench.ctx.folder().join("releases/one")).unwrap();
    let error = bench
        .deployer()
        .deploy(&bench.ctx, app("one"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(bench.ctx.ledger.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_app_on_another_port_is_told_from_one_that_is_slow() {
    let bench = Bench::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut request = app("one");
    let value = EnvValue::Plain(port.to_string());
    request
        .env
        .insert(EnvName::new("OTHER_PORT").unwrap(), value);
    let release = bench.deploy(request).await;
    let end = Instant::now() + Duration::from_secs(30);
    let detail = loop {
        let status = bench.status(&release).await;
        assert_eq!(status.phase, ReleasePhase::Starting);
        if let Some(detail) = status.detail {
            break detail;
        }
        assert!(Instant::now() < end);
    };
    assert!(
        detail.contains(&format!("it listens on port {port}, not on")),
        "{detail}"
    );
    bench.destroy_all().await;
}

#[tokio::test]
async fn an_app_that_listens_on_ipv6_only_is_found() {
    let bench = Bench::new();
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let mut request = app("one");
    let value = EnvValue::Plain("::1".into());
    request.env.insert(EnvName::new("LISTEN").unwrap(), value);
    let release = bench.deploy(request).await;
    let address = bench.address(&release).await;
    assert!(address.is_ipv6());
    assert_eq!(fetch(address, "/"), "hello");
    bench.destroy_all().await;
}

#[tokio::test]
async fn a_live_app_that_crashes_is_started_again() {
    let bench = Bench::new();
    let release = bench.deploy(app("one")).await;
    let address = bench.address(&release).await;
    bench
        .deployer()
        .activate(&bench.ctx, &release)
        .await
        .unwrap();
    for restarts in 1..=2 {
        let pid = fetch(address, "/pid");
        fetch(address, "/crash");
        until("it is started again", || {
            let now = fetch(address, "/pid");
            !now.is_empty() && now != pid
        })
        .await;
        let status = bench.reach(&release, ReleasePhase::Running).await;
        assert_eq!(status.restarts, restarts);
        assert_eq!(processes(&bench.mark()).len(), 1);
    }
    bench.destroy_all().await;
}

#[tokio::test]
async fn an_app_that_crashes_again_and_again_is_left_alone() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fail");
    let script = "test -e \"$0\" && exit 9; exec sleep 1000";
    let command = words(&["sh", "-c", script, file.to_str().unwrap()]);
    let release = bench.deploy(request("one", command)).await;
    bench
        .deployer()
        .activate(&bench.ctx, &release)
        .await
        .unwrap();
    std::fs::write(&file, "").unwrap();
    let begin = Instant::now();
    for pid in processes(&bench.mark()) {
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    let status = bench.reach(&release, ReleasePhase::Exited).await;
    let ended = (status.restarts, status.exit_code);
    assert_eq!(ended, (5, Some(9)), "{status:?}");
    assert!(begin.elapsed() > Duration::from_secs(10), "the waits grow");
    let detail = status.detail.unwrap();
    assert!(
        detail.contains("exited with code 9") && detail.contains("left alone"),
        "{detail}"
    );

    bench
        .deployer()
        .activate(&bench.ctx, &release)
        .await
        .unwrap();
    assert_eq!(bench.status(&release).await.phase, ReleasePhase::Exited);

    // A person may start it again.
    std::fs::remove_file(&file).unwrap();
    bench.control().start(&bench.ctx, &release).await.unwrap();
    assert_eq!(bench.status(&release).await.phase, ReleasePhase::Starting);
    bench.destroy_all().await;
}

#[tokio::test]
async fn stopping_ends_the_whole_family_and_starting_brings_it_back() {
    let bench = Bench::new();
    let release = bench.deploy(app("one")).await;
    let address = bench.address(&release).await;
    bench
        .deployer()
        .activate(&bench.ctx, &release)
        .await
        .unwrap();
    let daemon: i32 = fetch(address, "/child").parse().unwrap();
    // Its environment, which the mark is in, stands there once it has begun its program.
    let is_there = || processes(&bench.mark()).contains(&daemon);
    until("the daemon carries the mark", is_there).await;
    bench.control().start(&bench.ctx, &release).await.unwrap();
    assert_eq!(processes(&bench.mark()).len(), 2);
    for _ in 0..2 {
        bench
            .control()
            .stop(&bench.ctx, &release, GRACE)
            .await
            .unwrap();
        assert_eq!(processes(&bench.mark()), [0; 0]);
    }
    let status = bench.status(&release).await;
    assert_eq!(
        (status.phase, status.exit_code),
        (ReleasePhase::Stopped, Some(143))
    );
    assert!(bench.control().stats(&bench.ctx, &release).await.is_err());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(processes(&bench.mark()), [0; 0]);
    bench.control().start(&bench.ctx, &release).await.unwrap();
    let before = fetch(bench.address(&release).await, "/pid");
    bench
        .control()
        .restart(&bench.ctx, &release, GRACE)
        .await
        .unwrap();
    assert_ne!(fetch(bench.address(&release).await, "/pid"), before);
    bench.destroy_all().await;
}

#[tokio::test]
async fn an_app_that_does_not_want_to_end_is_ended_after_its_grace() {
    let bench = Bench::new();
    let script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    let release = bench
        .deploy(request("one", words(&["sh", "-c", script])))
        .await;
    assert_eq!(logs(&bench, &release, None).await, ["ready"]);
    let begin = Instant::now();
    let grace = Duration::from_millis(500);
    bench
        .control()
        .stop(&bench.ctx, &release, grace)
        .await
        .unwrap();
    assert!(begin.elapsed() >= grace && begin.elapsed() < GRACE);
    assert_eq!(bench.status(&release).await.exit_code, Some(137));
    bench.destroy_all().await;
}

#[tokio::test]
async fn its_log_is_followed_and_its_use_is_measured() {
    let bench = Bench::new();
    let release = bench.deploy(app("one")).await;
    let address = bench.address(&release).await;
    let options = LogOptions {
        last: Some(0),
        follow: true,
    };
    let mut lines = bench.control().logs(&bench.ctx, &release, options);
    let first = tokio::time::timeout(Duration::from_millis(500), lines.next());
    assert!(first.await.is_err(), "nothing is new");
    fetch(address, "/lines");
    for n in 0..100 {
        let line = tokio::time::timeout(GRACE, lines.next()).await.unwrap();
        assert_eq!(line.unwrap().unwrap().line, format!("line {n}"));
    }
    let all = logs(&bench, &release, None).await;
    assert!(
        all.contains(&"a word on standard error".to_owned()),
        "{all:?}"
    );
    assert_eq!(logs(&bench, &release, Some(1)).await, ["line 99"]);

    fetch(address, "/busy");
    let stats = bench.control().stats(&bench.ctx, &release).await.unwrap();
    assert!(
        stats.cpu_percent > 0.0 && stats.cpu_percent < 1000.0,
        "{stats:?}"
    );
    assert!(
        stats.memory_bytes > 500_000 && stats.pids > Some(1),
        "{stats:?}"
    );
    bench.destroy_all().await;
    let end = tokio::time::timeout(GRACE, lines.next()).await.unwrap();
    assert!(end.is_none(), "the stream ends with its release");
}
