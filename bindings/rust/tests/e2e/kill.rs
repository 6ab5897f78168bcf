//! `kill -9` of the process that works, at each step of a deployment: the next worker brings it to its end.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, SqliteConnection};

use crate::command::Devopser;
use crate::{apps, docker, web};

/// Every step of `deploy_repo` that is noted in the record while it runs.
const STEPS: [&str; 8] = [
    "fetch", "plan", "prepare", "build", "deploy", "verify", "route", "activate",
];
const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) async fn ends_live_whenever_it_is_killed() {
    if !crate::scenario::has_docker("kill -9") {
        return;
    }
    for step in STEPS {
        let scratch = tempfile::tempdir().expect("a temporary folder can be made");
        let tenant = format!("e2e-kill-{step}-{}", std::process::id());
        let devopser = Devopser::new(&scratch.path().join("state"), &tenant);
        let source = scratch.path().join("static");
        apps::make("static", &source);
        // A first deployment, so that the one that is killed has something live beside it.
        let source = source.display().to_string();
        let up = [
            "up",
            source.as_str(),
            "--detach",
            "--name",
            "static",
            "--provider",
            "docker",
        ];
        let url = devopser.succeed(&up).await["url"]
            .as_str()
            .expect("a URL")
            .to_owned();
        stop_workers(&devopser);

        apps::expectation("static").change(std::path::Path::new(&source));
        let mut killed =
            devopser.start(&["up", &source, "--name", "static", "--provider", "docker"]);
        wait_for_step(&devopser, &mut killed, step).await;
        killed.kill().expect("it can be killed");
        killed.wait().expect("it can be waited for");

        let mut next = devopser.start(&["serve"]);
        let ended = wait_for_end(&devopser).await;
        assert_eq!(ended, "succeeded", "killed at {step}");
        let expected = apps::expectation("static").second_content;
        let (status, text) = web::fetch(&web::client(), &url)
            .await
            .expect("the address answers");
        assert_eq!(status, 200, "killed at {step}");
        assert!(text.contains(&expected), "killed at {step}: {text}");
        assert_eq!(
            docker::running_apps(&tenant).len(),
            1,
            "killed at {step}: {:?}",
            docker::owned_by(&tenant)
        );
        devopser.succeed(&["rm", "static"]).await;
        assert_eq!(
            docker::owned_by(&tenant),
            Vec::<String>::new(),
            "killed at {step}"
        );
        end(&mut next);
        println!(
            "kill -9 at {step:<9} ended live with one container, and nothing was left after rm"
        );
    }
}

fn stop_workers(devopser: &Devopser) {
    for id in devopser.workers() {
        let pid = nix::unistd::Pid::from_raw(id);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    }
    let deadline = Instant::now() + DEADLINE;
    while !devopser.workers().is_empty() {
        assert!(Instant::now() < deadline, "the worker did not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn end(child: &mut Child) {
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().expect("a process id"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it can be told to end");
    child.wait().expect("it can be waited for");
}

/// Waits until the newest deployment is in the step, as the record says.
async fn wait_for_step(devopser: &Devopser, child: &mut Child, step: &str) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (state, now) = newest(devopser).await;
        if state == "running" && now == step {
            return;
        }
        assert!(
            child.try_wait().expect("it can be asked").is_none(),
            "it ended before {step}: {state} {now}"
        );
        assert!(
            Instant::now() < deadline,
            "{step} was never reached: {state} {now}"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn wait_for_end(devopser: &Devopser) -> String {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (state, step) = newest(devopser).await;
        if matches!(state.as_str(), "succeeded" | "failed" | "cancelled") {
            return state;
        }
        assert!(Instant::now() < deadline, "it did not end: {state} {step}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// State and step of the newest deployment, read from the store as another process would.
async fn newest(devopser: &Devopser) -> (String, String) {
    let url = format!("sqlite://{}?mode=ro", devopser.database().display());
    let mut connection = SqliteConnection::connect(&url)
        .await
        .expect("the store can be read");
    let body: String = sqlx::query_scalar(
        "SELECT body FROM devopser_records WHERE kind = 'deployment' ORDER BY created_at DESC, id DESC LIMIT 1",
    )
    .fetch_one(&mut connection)
    .await
    .expect("there is a deployment");
    let body: serde_json::Value = serde_json::from_str(&body).expect("a record is JSON");
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (text("state"), text("step"))
}

impl Devopser {
    /// Starts the command and leaves it running.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_devopser"))
            .args(arguments)
            .args(["--json", "--tenant", self.tenant(), "--state"])
            .arg(self.state())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command can be started")
    }
}
