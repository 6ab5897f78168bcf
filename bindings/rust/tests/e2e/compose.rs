//! A repository with a compose file of its own: deployed, redeployed, failed, rolled back and removed, with the data of
//! its volume kept; and one that reaches for the host, which is refused.

use std::path::Path;

use serde_json::Value;

use crate::apps::Expectation;
use crate::command::Devopser;
use crate::scenario::{Run, has_docker};
use crate::{docker, web};

const COMPOSE: &str = r#"x-common: &common
  init: true
services:
  web:
    <<: *common
    build:
      context: .
      target: run
    ports: ["8080:3000"]
    environment:
      CACHE: "${CACHE_HOST:-cache}"
      URL: "redis://user:${TOKEN:?hand it over}@cache"
    depends_on:
      cache: { condition: service_healthy }
      prepare: { condition: service_completed_successfully }
    volumes:
      - ./content:/srv/content:ro
  prepare:
    build: { context: ., target: run }
    command: node prepare.js
    depends_on:
      cache: { condition: service_healthy }
  cache:
    image: redis:8
    command: redis-server --appendonly yes --protected-mode no
    ports: ["6379:6379"]
    volumes: ["cache-data:/data"]
    healthcheck:
      test: ["CMD", "redis-cli", "ping"]
      interval: 1s
      timeout: 5s
      retries: 30
    deploy: { resources: { limits: { memory: 256m } } }
volumes:
  cache-data:
"#;

const DOCKERFILE: &str = "# syntax=docker/dockerfile:1
FROM node:22-slim AS run
WORKDIR /app
COPY *.js ./
USER node
CMD [\"node\", \"server.js\"]
FROM run AS unused
RUN exit 1
";

const REDIS: &str = r"const net = require('net');
module.exports = (words, done) => {
  const socket = net.connect(6379, process.env.CACHE || 'cache');
  socket.on('error', error => done(String(error)));
  socket.write(words.join(' ') + '\r\n');
  socket.once('data', data => { done(String(data).trim()); socket.end(); });
};
";

const PREPARE: &str = "require('./redis')(['SET', 'prepared', 'yes'], answer => { console.log(answer); process.exit(answer === '+OK' ? 0 : 1); });\n";

const SERVER: &str = r"const redis = require('./redis');
const fs = require('fs');
require('http').createServer((request, response) => {
  redis(['GET', 'prepared'], prepared => redis(['INCR', 'visits'], visits => {
    const text = fs.readFileSync('/srv/content/page.txt', 'utf8').trim();
    const token = process.env.URL === 'redis://user:s3cret-token@cache' ? 'right' : 'wrong';
    response.end(`${text}, token ${token}, ${prepared.split('\r\n')[1]} ${visits.slice(1)}`);
  }));
}).listen(process.env.PORT);
";

fn repository(at: &Path) {
    std::fs::create_dir_all(at.join("content")).expect("a folder can be made");
    for (name, text) in [
        ("compose.yaml", COMPOSE),
        ("Dockerfile", DOCKERFILE),
        ("redis.js", REDIS),
        ("prepare.js", PREPARE),
        ("server.js", SERVER),
        ("content/page.txt", "first page"),
    ] {
        write(at, name, text);
    }
}

fn write(at: &Path, name: &str, text: &str) {
    std::fs::write(at.join(name), text).expect("a file can be written");
}

const TOKEN: &[&str] = &["--env", "TOKEN=s3cret-token"];

fn run_in(scratch: &Path, source: &Path) -> Run {
    let tenant = format!("e2e-compose-{}", std::process::id());
    Run {
        app: Expectation {
            name: "compose".into(),
            path: "/".into(),
            content: "first page, token right, yes".into(),
            file: "content/page.txt".into(),
            from: "first".into(),
            to: "second".into(),
            second_content: "second page, token right, yes".into(),
        },
        devopser: Devopser::new(&scratch.join("state"), &tenant),
        source: source.display().to_string(),
        client: web::client(),
    }
}

/// Up, content, up again with its cache replaced, a failure, rollback, rm.
pub(crate) async fn its_own_compose_file_is_carried_out() {
    if !has_docker("compose") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let source = scratch.path().join("compose");
    repository(&source);
    let run = run_in(scratch.path(), &source);
    let url = run.up_with("first up", TOKEN).await;
    let first = run.content(&url, &run.app.content).await;
    run.one_hardened_container_runs().await;
    let cache = only(&run, "cache");
    runs_beside(&run).await;

    // Nothing of the cache changed: it is left alone.
    run.app.change(&source);
    assert_eq!(run.up_with("second up", TOKEN).await, url);
    let second = run.content(&url, &run.app.second_content).await;
    assert!(visits(&second) > visits(&first), "{first}, then {second}");
    let same = only(&run, "cache");
    assert_eq!(same, cache, "the cache was replaced without need");

    let kept = replaces_and_fails(&run, &source, &url, &second).await;
    assert_ne!(only(&run, "cache"), cache, "the cache was not replaced");

    run.timed("rollback", &["rollback", "compose", "--to", "1"])
        .await;
    let back = run.content(&url, &run.app.content).await;
    assert!(visits(&back) > visits(&kept), "{kept}, then {back}");
    run.timed("restart", &["restart", "compose"]).await;
    run.content(&url, &run.app.content).await;

    run.timed("rm", &["rm", "compose"]).await;
    run.nothing_is_left(&url).await;
}

/// The cache is replaced and keeps its data; the app fails, and what was live comes back with the cache that it had; then
/// it goes live with the other cache.
async fn replaces_and_fails(run: &Run, source: &Path, url: &str, second: &str) -> String {
    let third = COMPOSE.replace("--appendonly yes", "--appendonly yes --maxclients 50");
    write(source, "compose.yaml", &third);
    write(source, "server.js", "process.exit(3)\n");
    let mut up = vec!["up", &run.source, "--detach", "--name", "compose"];
    up.extend(TOKEN);
    let failed = run.devopser.run(&up).await;
    assert_eq!(failed.code, Some(1), "{}", failed.text);
    let still = run.content(url, &run.app.second_content).await;
    assert!(visits(&still) > visits(second), "{second}, then {still}");
    write(source, "server.js", SERVER);
    assert_eq!(run.up_with("third up", TOKEN).await, url);
    let kept = run.content(url, &run.app.second_content).await;
    assert!(visits(&kept) > visits(&still), "{still}, then {kept}");
    kept
}

/// The companion's container by its name.
fn only(run: &Run, name: &str) -> String {
    let found = docker::companions(run.devopser.tenant(), name);
    assert_eq!(found.len(), 1, "containers of {name}: {found:?}");
    found[0].clone()
}

fn visits(page: &str) -> u64 {
    let last = page.rsplit(' ').next().unwrap_or_default();
    last.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{page:?} ends in no number"))
}

/// The services are listed with how they are, and their logs can be read.
async fn runs_beside(run: &Run) {
    let status = run.devopser.succeed(&["status", "compose"]).await;
    let services = status["services"].as_array().cloned().unwrap_or_default();
    let phase = |name: &str| {
        let found = services.iter().find(|service| service["name"] == name);
        found.map_or(Value::Null, |service| service["phase"].clone())
    };
    assert_eq!(phase("cache"), "running", "{status}");
    assert_eq!(phase("prepare"), "stopped", "{status}");
    let logs = run
        .devopser
        .run(&["logs", "compose", "--service", "cache"])
        .await;
    assert!(
        logs.text.contains("Ready to accept connections"),
        "{}",
        logs.text
    );
}

/// A file that reaches for the host through an anchor.
fn hostile() -> String {
    let reach = "x-reach: &reach\n  privileged: true\n  volumes: [\"/var/run/docker.sock:/s\"]\n";
    COMPOSE
        .replace("  prepare:\n", "  prepare:\n    <<: *reach\n")
        .replace("  init: true\n", &format!("  init: true\n{reach}"))
}

/// A file that reaches for the host is refused with line and reason before anything is made.
pub(crate) async fn what_reaches_for_the_host_is_refused() {
    if !has_docker("compose") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let source = scratch.path().join("hostile");
    let tenant = format!("e2e-hostile-{}", std::process::id());
    let devopser = Devopser::new(&scratch.path().join("state"), &tenant);
    let privileged = ["compose.yaml:4: privileged", "compose.yaml:5: volumes"];
    let network = ["Dockerfile:2: RUN --network=host", "the host's network"];
    let unknown = ["compose.yaml:5: ", "ulimits"];
    refused(&devopser, &source, "compose.yaml", &hostile(), privileged).await;
    let dockerfile = "FROM node:22-slim AS run\nRUN --network=host true\n";
    refused(&devopser, &source, "Dockerfile", dockerfile, network).await;
    let file = "services:\n  web:\n    build: .\n    ports: ['80']\n    ulimits: {nofile: 5}\n";
    refused(&devopser, &source, "compose.yaml", file, unknown).await;
    write(&source, "compose.yaml", &hostile());
    let detected = devopser
        .run(&["detect", &source.display().to_string()])
        .await;
    assert_eq!(detected.code, Some(0), "{}", detected.text);
}

/// The repository with one other file is refused as invalid input that says so, and leaves nothing.
async fn refused(devopser: &Devopser, source: &Path, file: &str, text: &str, says: [&str; 2]) {
    repository(source);
    write(source, file, text);
    let folder = source.display().to_string();
    let mut up = vec![
        "up",
        &folder,
        "--detach",
        "--name",
        "hostile",
        "--provider",
        "docker",
    ];
    up.extend(TOKEN);
    let ended = devopser.run(&up).await;
    assert_eq!(ended.code, Some(2), "{}", ended.text);
    assert_eq!(
        ended.json["error"]["kind"], "invalid_input",
        "{}",
        ended.text
    );
    for said in says {
        assert!(
            ended.text.contains(said),
            "{said:?} is not in {}",
            ended.text
        );
    }
    let left = docker::owned_by(devopser.tenant());
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(devopser.succeed(&["ps"]).await, serde_json::json!([]));
}
