//! Several workers on one file, in this process and in others.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::open_at;
use crate::Result;
use crate::engine::runtime::{
    DurableContext, DurableRuntime, EmbeddedRuntime, PipelineName, Registry, Started, StepContext,
    StepResult,
};

/// Tells a child what to do: the folder that it works in.
const CHILD: &str = "DEVOPSER_TEST_WORKER";

fn name() -> PipelineName {
    PipelineName::new("tested", 1)
}

async fn five(cx: &dyn DurableContext, _: Value) -> StepResult {
    for step in ["one", "two", "three", "four", "five"] {
        cx.step(step, json!(cx.run_id())).await?;
    }
    Ok(json!("done"))
}

/// Notes itself in the file; the first time step three runs, it hangs.
async fn noted(folder: Arc<PathBuf>, cx: &dyn StepContext, input: Value) -> Result<Value> {
    let hangs = cx.step() == "three" && folder.join("hang").exists();
    note(&folder, &format!("{} {}", cx.step(), cx.attempt()));
    if hangs {
        std::future::pending::<()>().await;
    }
    Ok(input)
}

fn note(folder: &Path, line: &str) {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .expect("a log");
    // In one piece: others append at the same time.
    let line = format!("{line}\n");
    file.write_all(line.as_bytes()).expect("a line");
}

fn lines(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn registry(folder: &Path) -> Registry {
    let folder = Arc::new(folder.to_owned());
    let registry = Registry::new().pipeline("tested", 1, five);
    ["one", "two", "three", "four", "five"]
        .iter()
        .fold(registry, |registry, step| {
            registry.step_with(step, &folder, noted)
        })
}

fn worker(runtime: &EmbeddedRuntime, folder: &Path) -> JoinHandle<Result<()>> {
    let (runtime, registry) = (runtime.clone(), registry(folder));
    let stop = Box::pin(std::future::pending());
    tokio::spawn(async move { runtime.run_worker(registry, stop).await })
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: never");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Not a test of its own: the worker that the tests below start in another process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) else {
        return;
    };
    let runtime = open_at(&folder).await;
    let stop = Box::pin(std::future::pending());
    let ended = runtime.run_worker(registry(&folder), stop).await;
    panic!("the worker ended: {ended:?}");
}

fn spawn_child(folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "engine::runtime::tests::embedded::processes::child",
        ])
        .env(CHILD, folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("a child")
}

fn kill(mut child: Child) {
    // On Unix this is SIGKILL.
    child.kill().expect("a kill");
    child.wait().expect("an end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_another_process_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("hang"), "").expect("a file");
    let runtime = open_at(folder.path()).await;
    // Started here, where no worker runs; taken by the child.
    let started = runtime.start("run", &name(), Value::Null).await;
    assert_eq!(started.expect("a start"), Started::New);
    let child = spawn_child(folder.path());
    until("step three", || {
        lines(folder.path()).contains(&"three 1".to_owned())
    })
    .await;
    std::fs::remove_file(folder.path().join("hang")).expect("a file");
    kill(child);
    let begun = Instant::now();
    let working = worker(&runtime, folder.path());
    assert_eq!(runtime.result("run").await, Ok(json!("done")));
    println!(
        "taken over and ended {:?} after the restart",
        begun.elapsed()
    );
    working.abort();
    let wanted = ["one 1", "two 1", "three 1", "three 1", "four 1", "five 1"];
    assert_eq!(lines(folder.path()), wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_living_worker_takes_over_within_seconds() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("hang"), "").expect("a file");
    let runtime = open_at(folder.path()).await;
    runtime
        .start("run", &name(), Value::Null)
        .await
        .expect("a start");
    let child = spawn_child(folder.path());
    until("step three", || {
        lines(folder.path()).contains(&"three 1".to_owned())
    })
    .await;
    let working = worker(&runtime, folder.path());
    // The other one lives: nothing is taken, however often this one looks.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(lines(folder.path()).len(), 3);
    std::fs::remove_file(folder.path().join("hang")).expect("a file");
    kill(child);
    let begun = Instant::now();
    assert_eq!(runtime.result("run").await, Ok(json!("done")));
    let took = begun.elapsed();
    println!("taken over and ended {took:?} after the kill");
    assert!(took < Duration::from_secs(60), "{took:?}");
    working.abort();
    assert_eq!(lines(folder.path()).len(), 6);
}

async fn counted(folder: Arc<PathBuf>, cx: &dyn StepContext, input: Value) -> Result<Value> {
    note(&folder, &format!("{} {}", cx.run_id(), cx.step()));
    tokio::time::sleep(Duration::from_millis(2)).await;
    Ok(input)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_never_run_one_run_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let starter = open_at(folder.path()).await;
    let workers = [open_at(folder.path()).await, open_at(folder.path()).await];
    let shared = Arc::new(folder.path().to_owned());
    let mut tasks = Vec::new();
    for runtime in &workers {
        let registry = Registry::new().pipeline("tested", 1, five);
        let registry = ["one", "two", "three", "four", "five"]
            .iter()
            .fold(registry, |all, step| all.step_with(step, &shared, counted));
        let runtime = runtime.clone();
        let stop = Box::pin(std::future::pending());
        tasks.push(tokio::spawn(async move {
            runtime.run_worker(registry, stop).await
        }));
    }
    for number in 0..40 {
        let id = format!("run-{number}");
        starter
            .start(&id, &name(), Value::Null)
            .await
            .expect("a start");
    }
    for number in 0..40 {
        let result = starter.result(&format!("run-{number}")).await;
        assert_eq!(result, Ok(json!("done")));
    }
    tasks.iter().for_each(JoinHandle::abort);
    let mut bodies = lines(folder.path());
    bodies.sort();
    let twice: Vec<_> = bodies.windows(2).filter(|two| two[0] == two[1]).collect();
    assert!(twice.is_empty(), "run twice: {twice:?}");
    assert_eq!(bodies.len(), 200);
}

/// A measurement, not a test: `cargo test -- --ignored --nocapture throughput`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn throughput() {
    let folder = tempfile::tempdir_in(".").expect("a folder");
    let runtime = open_at(folder.path()).await;
    async fn nothing(_: &dyn StepContext, input: Value) -> Result<Value> {
        Ok(input)
    }
    let registry = Registry::new().pipeline("tested", 1, five);
    let registry = ["one", "two", "three", "four", "five"]
        .iter()
        .fold(registry, |all, step| all.step(step, nothing));
    let stop = Box::pin(std::future::pending());
    let working = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.run_worker(registry, stop).await }
    });
    const RUNS: u32 = 500;
    let begun = Instant::now();
    for number in 0..RUNS {
        let id = format!("run-{number}");
        runtime
            .start(&id, &name(), Value::Null)
            .await
            .expect("a start");
    }
    println!("{RUNS} starts: {:?}", begun.elapsed());
    for number in 0..RUNS {
        let result = runtime.result(&format!("run-{number}")).await;
        assert_eq!(result, Ok(json!("done")));
    }
    let all = begun.elapsed();
    println!(
        "{RUNS} runs of five steps: {all:?}, {:.0}/s",
        f64::from(RUNS) / all.as_secs_f64()
    );
    let begun = Instant::now();
    runtime
        .start("alone", &name(), Value::Null)
        .await
        .expect("a start");
    runtime.result("alone").await.expect("a result");
    println!("one alone: {:?}", begun.elapsed());
    let idle = cpu_ticks();
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("idle: {} ticks of 10 ms in 5 s", cpu_ticks() - idle);
    working.abort();
}

fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<u64> = after
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    // The state is no number and is left out: user and system time are the tenth and eleventh numbers.
    fields.get(10).copied().unwrap_or(0) + fields.get(11).copied().unwrap_or(0)
}
