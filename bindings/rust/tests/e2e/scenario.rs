//! The way of one application, from its folder to its removal.

use std::future::Future;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::apps::{self, Expectation};
use crate::command::Devopser;
use crate::{docker, web};

/// How long what happens behind a finished command may take: draining the old release, ending the worker.
const SETTLING: Duration = Duration::from_secs(60);

/// Up, content, up again with a change, rollback, rm; nothing is left.
pub(crate) async fn deploys_redeploys_rolls_back_and_leaves_nothing(name: &str) {
    if !apps::is_selected(name) {
        println!("{name}: not among DEVOPSER_E2E_APPS");
        return;
    }
    if !has_docker(name) {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let source = scratch.path().join(name);
    apps::make(name, &source);
    let tenant = format!("e2e-{name}-{}", std::process::id());
    let devopser = Devopser::new(&scratch.path().join("state"), &tenant);
    let run = Run {
        app: apps::expectation(name),
        devopser,
        source: source.display().to_string(),
        client: web::client(),
    };
    run.all().await;
}

/// Whether a Docker engine answers. Where none does, it says so loudly; in CI that is a failure.
pub(crate) fn has_docker(name: &str) -> bool {
    let answers = docker::answers();
    if !answers {
        let in_ci = std::env::var_os("CI").is_some();
        assert!(!in_ci, "no Docker engine answers, and CI needs one");
        println!("\n!!! {name}: SKIPPED, no Docker engine answers; nothing was tested\n");
    }
    answers
}

/// One application on its way.
pub(crate) struct Run {
    pub(crate) app: Expectation,
    pub(crate) devopser: Devopser,
    pub(crate) source: String,
    pub(crate) client: reqwest::Client,
}

impl Run {
    async fn all(&self) {
        let (name, app) = (self.app.name.as_str(), &self.app);
        let before = docker::owned_by(self.devopser.tenant());
        assert!(before.is_empty(), "{before:?} was there before the test");

        let url = self.up("first up").await;
        let first = self.content(&url, &app.content).await;
        self.one_hardened_container_runs().await;

        app.change(std::path::Path::new(&self.source));
        assert_eq!(
            self.up("second up").await,
            url,
            "a redeploy keeps the address"
        );
        let second = self.content(&url, &app.second_content).await;
        self.one_hardened_container_runs().await;
        if name == "postgres" {
            assert!(
                counter(&second) > counter(&first),
                "the database lost its rows: {first:?}, then {second:?}"
            );
        }
        self.is_listed(&url).await;

        let rolled_back = self.timed("rollback", &["rollback", name]).await;
        assert_eq!(
            rolled_back["url"],
            url.as_str(),
            "a rollback keeps the address"
        );
        self.content(&url, &app.content).await;
        self.one_hardened_container_runs().await;

        self.timed("rm", &["rm", name]).await;
        self.nothing_is_left(&url).await;
    }

    /// `up`, which must end live at one of our ports.
    async fn up(&self, what: &str) -> String {
        self.up_with(what, &[]).await
    }

    /// `up` with more arguments.
    pub(crate) async fn up_with(&self, what: &str, more: &[&str]) -> String {
        let mut arguments = vec![
            "up",
            &self.source,
            "--detach",
            "--name",
            &self.app.name,
            "--provider",
            "docker",
        ];
        arguments.extend(more);
        let ended = self.timed(what, &arguments).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        let url = ended["url"].as_str().expect("up prints a URL").to_owned();
        let port = port_of(&url);
        assert!(
            (20_000..=40_000).contains(&port),
            "{url} is outside of the range of ports"
        );
        url
    }

    pub(crate) async fn timed(&self, what: &str, arguments: &[&str]) -> Value {
        let start = Instant::now();
        let ended = self.devopser.succeed(arguments).await;
        println!(
            "{:<12} {what:<10} {:>6.1} s",
            self.app.name,
            start.elapsed().as_secs_f64()
        );
        ended
    }

    /// The answer at once after the command has ended: live means live.
    pub(crate) async fn content(&self, url: &str, expected: &str) -> String {
        let url = format!("{url}{}", self.app.path);
        let (status, text) = web::fetch(&self.client, &url)
            .await
            .expect("the address answers");
        assert_eq!(status, 200, "{url} answered {text}");
        assert!(
            text.contains(expected),
            "{expected:?} is not in what {url} answered:\n{text}"
        );
        text
    }

    /// After the old release was drained one container of the app runs, and it is held tight.
    pub(crate) async fn one_hardened_container_runs(&self) {
        until("one container runs", || async {
            let running = docker::running_apps(self.devopser.tenant());
            if running.len() == 1 {
                Ok(())
            } else {
                Err(format!("{running:?} run"))
            }
        })
        .await;
        for container in docker::running_apps(self.devopser.tenant()) {
            let hardening = docker::hardening(&container);
            let parts: Vec<&str> = hardening.split(' ').collect();
            assert_eq!(parts[0], "false", "privileged: {hardening}");
            assert!(hardening.contains("no-new-privileges"), "{hardening}");
            assert!(hardening.contains("[ALL]"), "capabilities: {hardening}");
        }
    }

    async fn is_listed(&self, url: &str) {
        let listed = self.devopser.succeed(&["ps"]).await;
        let rows = listed.as_array().expect("ps prints a list");
        assert_eq!(rows.len(), 1, "{listed}");
        assert_eq!(rows[0]["name"], self.app.name.as_str(), "{listed}");
        assert_eq!(rows[0]["url"], url, "{listed}");
        assert_eq!(rows[0]["state"], "running", "{listed}");
    }

    pub(crate) async fn nothing_is_left(&self, url: &str) {
        until("nothing of ours is in the engine", || async {
            let left = docker::owned_by(self.devopser.tenant());
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("{left:?}"))
            }
        })
        .await;
        let listed = self.devopser.succeed(&["ps"]).await;
        assert_eq!(listed, serde_json::json!([]), "ps lists nothing");
        until("the worker that was left behind has ended", || async {
            let workers = self.devopser.workers();
            if workers.is_empty() {
                Ok(())
            } else {
                Err(format!(
                    "processes {workers:?}\n{}",
                    self.devopser.worker_log()
                ))
            }
        })
        .await;
        let port = port_of(url);
        until("the port is free again", || async {
            std::net::TcpListener::bind(("127.0.0.1", port))
                .map(|_| ())
                .map_err(|error| error.to_string())
        })
        .await;
        self.nothing_is_recorded().await;
    }

    /// No reservation of a port and no resource is left in the store.
    async fn nothing_is_recorded(&self) {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.devopser.database());
        let mut connection = sqlx::ConnectOptions::connect(&options)
            .await
            .expect("the store can be opened");
        for table in ["devopser_ports", "devopser_resources"] {
            let count: i64 = sqlx::query_scalar(&format!("SELECT count(*) FROM {table}"))
                .fetch_one(&mut connection)
                .await
                .expect("the store can be read");
            assert_eq!(count, 0, "rows are left in {table}");
        }
    }
}

/// Looks again and again until `holds` does, or the time is over.
async fn until<F, Answer>(what: &str, holds: F)
where
    F: Fn() -> Answer,
    Answer: Future<Output = Result<(), String>>,
{
    let deadline = Instant::now() + SETTLING;
    loop {
        match holds().await {
            Ok(()) => return,
            Err(found) => assert!(
                Instant::now() < deadline,
                "not so after {SETTLING:?}: {what}; {found}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn port_of(url: &str) -> u16 {
    let port = url
        .strip_prefix("http://127.0.0.1:")
        .expect("the address is on this machine");
    port.trim_end_matches('/')
        .parse()
        .expect("the address ends in a port")
}

fn counter(text: &str) -> u64 {
    text.rsplit(' ')
        .next()
        .and_then(|word| word.trim().parse().ok())
        .expect("the page ends in the counter")
}
