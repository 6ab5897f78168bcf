//! Input that is wrong: each gets a clear error of a stable kind, and leaves nothing behind.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};

use crate::command::Devopser;
use crate::docker;

/// A case: its name, how the source is made, more arguments, the kind of the error, what its text must say.
struct Case {
    name: &'static str,
    make: fn(&Path) -> PathBuf,
    arguments: &'static [&'static str],
    kind: &'static str,
    says: &'static str,
    code: i32,
}

const CASES: &[Case] = &[
    Case {
        name: "absent",
        make: |at| at.join("nowhere"),
        arguments: &[],
        kind: "invalid_input",
        says: "cannot be read",
        code: 2,
    },
    Case {
        name: "not-archive",
        make: |at| file(at, "notes.txt", "hello"),
        arguments: &[],
        kind: "invalid_input",
        says: "archive",
        code: 2,
    },
    Case {
        name: "empty",
        make: |at| folder(at, &[]),
        arguments: &[],
        kind: "invalid_input",
        says: "empty",
        code: 2,
    },
    Case {
        name: "unknown",
        make: |at| folder(at, &[("a.xyz", "?")]),
        arguments: &[],
        kind: "invalid_input",
        says: "no stack was recognised",
        code: 2,
    },
    Case {
        name: "services",
        make: |at| {
            let package = r#"{"scripts":{"start":"node server.js"}}"#;
            folder(
                at,
                &[
                    ("shop/package.json", package),
                    ("admin/package.json", package),
                ],
            )
        },
        arguments: &[],
        kind: "invalid_input",
        says: "with `--root`: admin, shop",
        code: 2,
    },
    Case {
        name: "loop",
        make: a_link_to_itself,
        arguments: &[],
        kind: "invalid_input",
        says: "back to itself",
        code: 2,
    },
    Case {
        name: "escape",
        make: a_link_outside,
        arguments: &[],
        kind: "invalid_input",
        says: "outside",
        code: 2,
    },
    Case {
        name: "traversal",
        make: an_archive_with_dots,
        arguments: &[],
        kind: "invalid_input",
        says: "..",
        code: 2,
    },
    Case {
        name: "broken",
        make: |at| folder(at, &[("Dockerfile", "FROM node:22-slim\nRUNN true\n")]),
        arguments: &[],
        kind: "invalid_input",
        says: "line 2",
        code: 2,
    },
    Case {
        name: "failing",
        make: |at| {
            folder(
                at,
                &[(
                    "Dockerfile",
                    "FROM node:22-slim\nRUN echo before && exit 7\n",
                )],
            )
        },
        arguments: &[],
        kind: "build_failed",
        says: "exit 7",
        code: 1,
    },
    Case {
        name: "exiting",
        make: |at| {
            folder(
                at,
                &[(
                    "Dockerfile",
                    "FROM node:22-slim\nCMD [\"node\", \"-e\", \"console.log('last words'); process.exit(3)\"]\n",
                )],
            )
        },
        arguments: &[],
        kind: "crashed",
        says: "last words",
        code: 1,
    },
    Case {
        name: "elsewhere",
        make: |at| {
            folder(
                at,
                &[(
                    "Dockerfile",
                    "FROM node:22-slim\nCMD [\"node\", \"-e\", \"require('http').createServer((q, s) => s.end('x')).listen(9999)\"]\n",
                )],
            )
        },
        arguments: &["--app-port", "3000", "--health-timeout", "4"],
        kind: "unhealthy",
        says: "9999",
        code: 1,
    },
    Case {
        name: "shell",
        make: |at| folder(at, &[("index.html", "x")]),
        arguments: &["--name", "a;id"],
        kind: "",
        says: "lower-case letters",
        code: 2,
    },
    Case {
        name: "provider",
        make: |at| folder(at, &[("index.html", "x")]),
        arguments: &["--provider", "nope"],
        kind: "invalid_input",
        says: "docker",
        code: 2,
    },
];

pub(crate) async fn is_told_clearly() {
    if !crate::scenario::has_docker("bad input") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let tenant = format!("e2e-bad-{}", std::process::id());
    let devopser = Devopser::new(&scratch.path().join("state"), &tenant);
    for case in CASES {
        let at = scratch.path().join(case.name);
        std::fs::create_dir(&at).expect("a folder can be made");
        let source = (case.make)(&at).display().to_string();
        let mut arguments = vec!["up", source.as_str(), "--detach"];
        if !case.arguments.contains(&"--provider") {
            arguments.extend(["--provider", "docker"]);
        }
        arguments.extend(case.arguments);
        let ended = devopser.run(&arguments).await;
        println!("{}: {}", case.name, ended.json["error"]["message"]);
        assert_eq!(ended.code, Some(case.code), "{}: {}", case.name, ended.text);
        assert_eq!(
            ended.json["error"]["kind"].as_str().unwrap_or_default(),
            case.kind,
            "{}: {}",
            case.name,
            ended.text
        );
        assert!(
            ended.text.contains(case.says),
            "{}: {}",
            case.name,
            ended.text
        );
    }
    a_port_in_use(&devopser, scratch.path()).await;
    assert_eq!(devopser.succeed(&["ps"]).await, Value::Array(Vec::new()));
    assert_eq!(docker::owned_by(&tenant), Vec::<String>::new());
}

async fn a_port_in_use(devopser: &Devopser, scratch: &Path) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("an address").port().to_string();
    let source = folder(&scratch.join("port"), &[("index.html", "x")])
        .display()
        .to_string();
    let ended = devopser
        .run(&[
            "up",
            &source,
            "--detach",
            "--provider",
            "docker",
            "--port",
            &port,
        ])
        .await;
    assert_eq!(ended.json["error"]["kind"], "port_taken", "{}", ended.text);
    assert!(ended.text.contains(&port), "{}", ended.text);
}

/// The Docker engine goes away in the middle of a build, and comes back: the failure is told, and nothing is left.
pub(crate) async fn an_engine_that_stops() {
    if !crate::scenario::has_docker("engine that stops") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let tenant = format!("e2e-stops-{}", std::process::id());
    let devopser = Devopser::new(&scratch.path().join("state"), &tenant);
    let socket = scratch.path().join("docker.sock");
    let engine = Relay::start(&socket);
    let source = folder(
        &scratch.path().join("slow"),
        &[("Dockerfile", "FROM node:22-slim\nRUN sleep 60\n")],
    );
    let (source, socket_text) = (source.display().to_string(), socket.display().to_string());
    let all = [
        "up",
        &source,
        "--detach",
        "--provider",
        "docker",
        "--name",
        "slow",
        "--docker-socket",
        &socket_text,
    ];
    let up = devopser.run(&all);
    let stop = async {
        devopser
            .wait_for_log("slow", "sleep 60", &socket_text)
            .await;
        engine.stop();
    };
    let (ended, ()) = tokio::join!(up, stop);
    assert_eq!(ended.code, Some(1), "{}", ended.text);
    assert_eq!(ended.json["error"]["kind"], "unavailable", "{}", ended.text);

    let _engine = Relay::start(&socket);
    let deadline = Instant::now() + Duration::from_secs(150);
    while !docker::owned_by(&tenant).is_empty() || devopser.has_rows("devopser_resources").await {
        assert!(
            Instant::now() < deadline,
            "left: {:?}\n{}",
            docker::owned_by(&tenant),
            devopser.worker_log()
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn folder(at: &Path, files: &[(&str, &str)]) -> PathBuf {
    let folder = at.join("source");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    for (name, text) in files {
        let path = folder.join(name);
        let above = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(above).expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
    }
    folder
}

fn file(at: &Path, name: &str, text: &str) -> PathBuf {
    std::fs::write(at.join(name), text).expect("a file can be written");
    at.join(name)
}

fn a_link_to_itself(at: &Path) -> PathBuf {
    let folder = folder(at, &[("index.html", "x")]);
    std::os::unix::fs::symlink("round", folder.join("round")).expect("a link can be made");
    folder
}

fn a_link_outside(at: &Path) -> PathBuf {
    let folder = folder(at, &[("index.html", "x")]);
    std::os::unix::fs::symlink("/etc/passwd", folder.join("users")).expect("a link can be made");
    folder
}

/// A tar file with the entry `../escaped`, written by hand: a library would refuse to.
fn an_archive_with_dots(at: &Path) -> PathBuf {
    let mut header = [0_u8; 512];
    header[..10].copy_from_slice(b"../escaped");
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(b"00000000001");
    header[136..147].copy_from_slice(b"00000000000");
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    header[154] = 0;
    let mut content = [0_u8; 512];
    content[0] = b'x';
    let path = at.join("archive.tar");
    let mut file = std::fs::File::create(&path).expect("a file can be made");
    for block in [&header[..], &content, &[0; 1024]] {
        file.write_all(block).expect("a file can be written");
    }
    path
}

/// Passes connections on to the real engine until it is stopped.
struct Relay {
    socket: PathBuf,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Relay {
    fn start(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket can be made");
        let (stop, stopped) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            let mut over = stopped.clone();
            loop {
                let near = tokio::select! {
                    near = listener.accept() => near.expect("a connection").0,
                    _ = over.wait_for(|over| *over) => return,
                };
                tokio::spawn(pass_on(near, stopped.clone()));
            }
        });
        Self {
            socket: socket.to_owned(),
            stop,
        }
    }

    fn stop(&self) {
        let _ = self.stop.send(true);
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn pass_on(mut near: UnixStream, mut over: tokio::sync::watch::Receiver<bool>) {
    let Ok(mut far) = UnixStream::connect("/var/run/docker.sock").await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = over.wait_for(|over| *over) => {}
    }
}

impl Devopser {
    /// Waits until the newest deployment of an app has logged a text.
    async fn wait_for_log(&self, name: &str, text: &str, socket: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let ended = self.run(&["events", name, "--docker-socket", socket]).await;
            if ended
                .text
                .lines()
                .any(|line| line.contains("\"log\"") && line.contains(text))
            {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{text} was never logged:\n{}",
                ended.text
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether a table of the store has rows.
    async fn has_rows(&self, table: &str) -> bool {
        use sqlx::Connection as _;
        let url = format!("sqlite://{}?mode=ro", self.database().display());
        let mut connection = sqlx::SqliteConnection::connect(&url)
            .await
            .expect("the store can be read");
        let count: i64 = sqlx::query_scalar(&format!("SELECT COUNT(*) FROM {table}"))
            .fetch_one(&mut connection)
            .await
            .expect("the table can be read");
        count > 0
    }
}
