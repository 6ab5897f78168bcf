//! A redeploy under load: `wrk` with 32 connections for ten seconds, and not one request is lost. Beside it a few clients
//! of our own look at what the answers say, which `wrk` does not.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::command::Devopser;
use crate::{apps, web};

/// The clients that read the answers.
const READERS: usize = 4;
const LOAD_TIME: Duration = Duration::from_secs(10);

pub(crate) async fn no_request_is_lost_in_a_redeploy() {
    if !crate::scenario::has_docker("redeploy under load") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let tenant = format!("e2e-load-{}", std::process::id());
    let devopser = Devopser::new(&scratch.path().join("state"), &tenant);
    let source = scratch.path().join("express");
    apps::make("express", &source);
    let source_text = source.display().to_string();
    let up = [
        "up",
        source_text.as_str(),
        "--detach",
        "--name",
        "express",
        "--provider",
        "docker",
    ];
    let url = devopser.succeed(&up).await["url"]
        .as_str()
        .expect("a URL")
        .to_owned();

    let load = Load::start(&url);
    let wrk = wrk(&url);
    let began = Instant::now();
    apps::expectation("express").change(&source);
    devopser.succeed(&up).await;
    tokio::time::sleep_until((began + LOAD_TIME).into()).await;
    let (good, bad) = load.end().await;
    println!("{good} answers read, {} of them wrong", bad.len());
    if let Some(wrk) = wrk {
        let output = wrk.wait_with_output().await.expect("wrk ends");
        let text = String::from_utf8_lossy(&output.stdout);
        println!("{text}");
        assert!(output.status.success(), "wrk failed: {text}");
        // wrk prints these lines only where there is something to count.
        assert!(!text.contains("Socket errors"), "connections were lost");
        assert!(!text.contains("Non-2xx"), "answers with another status");
        assert!(text.contains("requests in"), "wrk made no request");
    }
    assert!(
        bad.is_empty(),
        "{} of {good} requests failed: {:?}",
        bad.len(),
        bad.first()
    );
    assert!(good > 10, "only {good} answers were read");
    devopser.succeed(&["rm", "express"]).await;
}

/// The load itself. Without `wrk` only the readers' load is left, which CI does not accept.
fn wrk(url: &str) -> Option<tokio::process::Child> {
    let started = tokio::process::Command::new("wrk")
        .args(["--threads", "2", "--connections", "32", "--timeout", "10s"])
        .args(["--duration", &format!("{}s", LOAD_TIME.as_secs()), url])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    match started {
        Ok(child) => Some(child),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "CI has no wrk: {error}");
            println!("SKIPPED: the load of wrk, which is not installed: {error}");
            None
        }
    }
}

/// Clients that fetch one address as fast as they can.
struct Load {
    done: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    bad: Arc<std::sync::Mutex<Vec<String>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(url: &str) -> Self {
        let (done, good) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let bad = Arc::new(std::sync::Mutex::new(Vec::new()));
        let tasks = (0..READERS)
            .map(|_| {
                let (done, good, bad) = (Arc::clone(&done), Arc::clone(&good), Arc::clone(&bad));
                tokio::spawn(fetch_until(url.to_owned(), done, good, bad))
            })
            .collect();
        Self {
            done,
            good,
            bad,
            tasks,
        }
    }

    /// How many requests were answered as they should, and what went wrong with the others.
    async fn end(self) -> (u64, Vec<String>) {
        self.done.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.expect("a load task ends");
        }
        let bad = std::mem::take(&mut *self.bad.lock().expect("a lock"));
        (self.good.load(Ordering::SeqCst), bad)
    }
}

async fn fetch_until(
    url: String,
    done: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    bad: Arc<std::sync::Mutex<Vec<String>>>,
) {
    let client = web::client();
    while !done.load(Ordering::SeqCst) {
        match web::fetch(&client, &url).await {
            Ok((200, text)) if text.contains("Welcome to") => {
                good.fetch_add(1, Ordering::SeqCst);
            }
            Ok((status, text)) => bad.lock().expect("a lock").push(format!("{status} {text}")),
            Err(error) => bad.lock().expect("a lock").push(format!("{error:?}")),
        }
    }
}
