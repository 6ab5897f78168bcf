//! Several processes on one SQLite file, and one that is killed. The children are this test program, started again.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::ErrorKind;
use crate::id::DeploymentId;
use crate::model::event::EventKind;
use crate::model::record::Expected;
use crate::store::{DeploymentStore, RecordKind, SqliteStore, StoredRecord, SystemStore};
use crate::testkit::system::{run, target};

const ROLE: &str = "DEVOPSER_TEST_ROLE";
const FOLDER: &str = "DEVOPSER_TEST_FOLDER";
const DEADLINE: Duration = Duration::from_secs(120);

fn spawn(role: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::processes::child",
            "--ignored",
            "--nocapture",
        ])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a child tells, without the lines of the test program.
fn told(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.filter_map(|line| Some(line.ok()?.strip_prefix("@ ")?.to_owned()))
}

fn tell(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n@ {text}").unwrap();
    out.flush().unwrap();
}

fn note(text: &str) -> [EventKind; 1] {
    [EventKind::Note {
        text: text.to_owned(),
    }]
}

fn shared() -> (crate::id::TenantId, DeploymentId) {
    (target("t", "shop").tenant, DeploymentId::new("d").unwrap())
}

fn counter(value: u64) -> StoredRecord {
    StoredRecord {
        kind: RecordKind::App,
        id: "counter".to_owned(),
        target: "a/b".to_owned(),
        state: "running".to_owned(),
        created_at: 1,
        body: json!(value),
    }
}

/// Adds one by compare-and-set; says how often another was faster.
async fn increment(store: &SqliteStore) -> u64 {
    let (tenant, _) = shared();
    for lost in 0.. {
        let found = store
            .get(&tenant, RecordKind::App, "counter")
            .await
            .unwrap()
            .unwrap();
        let next = counter(found.value.body.as_u64().unwrap() + 1);
        match store
            .put(&tenant, next, Expected::Revision(found.revision))
            .await
        {
            Ok(_) => return lost,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
        }
    }
    unreachable!()
}

#[tokio::test]
#[ignore = "it is the other process of the tests below"]
async fn child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let folder = std::path::PathBuf::from(std::env::var(FOLDER).unwrap());
    let started = Instant::now();
    tell("ready");
    while !folder.join("go").exists() {
        assert!(started.elapsed() < DEADLINE);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let store = SqliteStore::open(folder.join("store.db")).await.unwrap();
    let (tenant, deployment) = shared();
    if role == "endless" {
        for n in 1_u64.. {
            let seq = store
                .append(&tenant, &deployment, n, &note("x"))
                .await
                .unwrap();
            store
                .put(
                    &tenant,
                    StoredRecord {
                        id: n.to_string(),
                        ..counter(n)
                    },
                    Expected::Absent,
                )
                .await
                .unwrap();
            tell(&seq.to_string());
        }
    }
    let candidates: Vec<u16> = (20_000..20_200).collect();
    for n in 0..100 {
        let target = target("t", &format!("app-{role}-{n}"));
        let port = store
            .reserve_port(&target, None, &candidates)
            .await
            .unwrap();
        tell(&format!("port {}", port.unwrap()));
        let end = store
            .append(&tenant, &deployment, n, &note(&role))
            .await
            .unwrap();
        tell(&format!("event {end}"));
        increment(&store).await;
        let queued = DeploymentId::new(format!("run-{role}-{n}")).unwrap();
        if store.take(&queued, 1).await.unwrap() {
            tell(&format!("taken {n}"));
        }
    }
}

#[tokio::test]
async fn two_processes_share_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut children = [spawn("a", folder.path()), spawn("b", folder.path())];
    let mut lines = children.each_mut().map(told);
    for lines in &mut lines {
        assert_eq!(lines.next().as_deref(), Some("ready"));
    }
    // The queue is filled before, the rest of the schema is found done by both.
    let store = SqliteStore::open(folder.path().join("store.db"))
        .await
        .unwrap();
    let (tenant, deployment) = shared();
    store
        .put(&tenant, counter(0), Expected::Absent)
        .await
        .unwrap();
    for n in 0..100 {
        for role in ["a", "b"] {
            let queued = run(
                &format!("run-{role}-{n}"),
                &target("t", &format!("app{n}")),
                1,
            );
            store.enqueue(&queued, None).await.unwrap();
        }
    }
    std::fs::write(folder.path().join("go"), "").unwrap();
    let told: Vec<String> = lines.into_iter().flatten().collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let values = |what: &str| -> Vec<u64> {
        let values = told.iter().filter_map(|line| line.strip_prefix(what));
        let mut values: Vec<u64> = values.map(|value| value.parse().unwrap()).collect();
        values.sort_unstable();
        values
    };
    assert_eq!(values("port "), (20_000..20_200).collect::<Vec<_>>());
    assert_eq!(values("event "), (1..=200).collect::<Vec<_>>());
    assert_eq!(values("taken "), (0..100).collect::<Vec<_>>());
    let events = store.events(&tenant, &deployment, 0, 1000).await.unwrap();
    let seqs: Vec<_> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
    let found = store
        .get(&tenant, RecordKind::App, "counter")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.value.body, json!(200));
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("go"), "").unwrap();
    let (tenant, deployment) = shared();
    let mut acknowledged = 0;
    for _ in 0..3 {
        let mut child = spawn("endless", folder.path());
        let mut lines = told(&mut child);
        assert_eq!(lines.next().as_deref(), Some("ready"));
        for _ in 0..40 {
            let Some(line) = lines.next() else { break };
            acknowledged = line.parse().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let store = SqliteStore::open(folder.path().join("store.db"))
            .await
            .unwrap();
        let events = store.events(&tenant, &deployment, 0, 10_000).await.unwrap();
        let seqs: BTreeSet<_> = events.iter().map(|event| event.seq).collect();
        assert!(events.len() as u64 >= acknowledged);
        assert_eq!(seqs, (1..=events.len() as u64).collect());
        let page = crate::model::record::PageRequest {
            offset: 0,
            limit: 1000,
        };
        let written = store
            .list(&tenant, RecordKind::App, None, page)
            .await
            .unwrap();
        assert!(written.len() as u64 >= acknowledged.min(40));
        let check: String = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_one(store.pool())
            .await
            .unwrap();
        assert_eq!(check, "ok");
        for record in written {
            store
                .remove(&tenant, RecordKind::App, &record.value.id)
                .await
                .unwrap();
        }
    }
    assert!(acknowledged >= 120);
}

#[tokio::test]
async fn a_write_is_fast_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/store.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let (tenant, deployment) = shared();
    let mut revision = store
        .put(&tenant, counter(0), Expected::Absent)
        .await
        .unwrap();
    let started = Instant::now();
    for n in 1..=50 {
        revision = store
            .put(&tenant, counter(n), Expected::Revision(revision))
            .await
            .unwrap();
        store
            .append(&tenant, &deployment, n, &note("x"))
            .await
            .unwrap();
    }
    let each = started.elapsed() / 50;
    eprintln!("put and append: {each:?}");
    // A hundred times what it takes on an idle machine.
    assert!(each < Duration::from_millis(300), "{each:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        for name in ["store.db", "store.db-wal", "store.db-shm"] {
            assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
        }
    }
}

#[tokio::test]
async fn a_write_that_is_dropped_leaves_the_store_usable() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("store.db"))
        .await
        .unwrap();
    let (tenant, deployment) = shared();
    for delay in 0..200 {
        let events: Vec<_> = (0..50).flat_map(|_| note("x")).collect();
        let write = store.append(&tenant, &deployment, 1, &events);
        let _ = tokio::time::timeout(Duration::from_micros(delay * 20), write).await;
    }
    let last = store
        .append(&tenant, &deployment, 1, &note("last"))
        .await
        .unwrap();
    let events = store.events(&tenant, &deployment, 0, 20_000).await.unwrap();
    assert_eq!(events.len() as u64, last);
    assert_eq!(last % 50, 1, "whole calls only");
}
