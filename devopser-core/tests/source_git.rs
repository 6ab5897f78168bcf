//! The snapshot of a commit, from repositories that are made here by the git program.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of a test may panic"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use devopser_core::context::{CancellationToken, Progress};
use devopser_core::id::GitRevision;
use devopser_core::model::source::GitUrl;
use devopser_core::source::{
    GitProgram, GitRequest, GitSnapshot, SnapshotLimits, resolve_git, snapshot_folder, snapshot_git,
};
use devopser_core::{Error, ErrorKind, Result, Secret};

#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn log(&self, line: &str) {
        self.0.lock().unwrap().push(line.into());
    }
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(format!("note: {text}"));
    }
}

impl Told {
    fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

struct Place {
    folder: tempfile::TempDir,
    told: Told,
    cancel: CancellationToken,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            told: Told::default(),
            cancel: CancellationToken::new(),
        };
        fs::create_dir(place.repository()).unwrap();
        place.git(&["init", "-q", "-b", "trunk"]);
        place
    }

    fn with_a_commit() -> Self {
        let place = Self::new();
        place.commit("index.html", "one");
        place
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=T",
                "-c",
                "user.email=t@example.com",
                "-c",
                "commit.gpgSign=false",
            ])
            .args(arguments)
            .current_dir(self.repository())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?} {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, name: &str, content: &str) -> String {
        fs::write(self.repository().join(name), content).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", name]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn request(&self, revision: Option<&str>) -> GitRequest {
        self.request_to(&format!("file://{}", self.repository().display()), revision)
    }

    fn request_to(&self, url: &str, revision: Option<&str>) -> GitRequest {
        GitRequest {
            url: GitUrl::new(url).unwrap(),
            revision: revision.map(|name| GitRevision::new(name).unwrap()),
            credential: None,
            work: self.folder.path().join("work"),
            limits: SnapshotLimits::default(),
            program: GitProgram::default(),
        }
    }

    async fn take(&self, request: &GitRequest) -> Result<GitSnapshot> {
        let result = snapshot_git(request, &self.out(), &self.told, &self.cancel).await;
        assert_eq!(self.left(), 0, "the clone is left behind: {result:?}");
        assert_eq!(result.is_ok(), self.out().exists());
        result
    }

    async fn refusal(&self, request: &GitRequest) -> Error {
        match self.take(request).await {
            Ok(taken) => panic!("accepted: {taken:?}"),
            Err(error) => error,
        }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out.tar")
    }

    fn left(&self) -> usize {
        fs::read_dir(self.folder.path().join("work")).map_or(0, Iterator::count)
    }

    /// A program in the place of git.
    fn script(&self, text: &str) -> GitProgram {
        let program = self.folder.path().join("program");
        fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        GitProgram {
            program,
            ..GitProgram::default()
        }
    }
}

fn field(error: &Error) -> &str {
    error
        .context()
        .iter()
        .find(|(key, _)| key == "field")
        .map_or("", |(_, value)| value)
}

#[tokio::test]
async fn every_kind_of_revision_is_taken() {
    let place = Place::new();
    let first = place.commit("index.html", "one");
    place.git(&["tag", "-a", "-m", "first", "v1"]);
    place.git(&["tag", "light"]);
    place.git(&["branch", "feature/a"]);
    let second = place.commit("index.html", "two");
    for (revision, commit) in [
        (None, &second),
        (Some("HEAD"), &second),
        (Some("trunk"), &second),
        (Some("refs/heads/trunk"), &second),
        (Some("feature/a"), &first),
        (Some("v1"), &first),
        (Some("light"), &first),
        (Some(first.as_str()), &first),
        (Some(first.to_ascii_uppercase().as_str()), &first),
        (Some(&first[..7]), &first),
    ] {
        let request = place.request(revision);
        let resolved = resolve_git(&request, &place.told, &place.cancel)
            .await
            .unwrap();
        assert_eq!(&resolved, commit, "{revision:?}");
        let taken = place.take(&request).await.unwrap();
        assert_eq!(&taken.commit, commit, "{revision:?}");
        place.git(&["checkout", "-q", commit]);
        let folder = snapshot_folder(
            &place.repository(),
            &place.folder.path().join("folder.tar"),
            &request.limits,
        )
        .unwrap();
        place.git(&["checkout", "-q", "trunk"]);
        assert_eq!(taken.snapshot, folder, "{revision:?}");
        fs::remove_file(place.out()).unwrap();
    }
}

#[tokio::test]
async fn a_branch_goes_before_a_tag_of_the_same_name() {
    let place = Place::with_a_commit();
    place.git(&["tag", "same"]);
    let second = place.commit("index.html", "two");
    place.git(&["branch", "same"]);
    assert_eq!(
        place
            .take(&place.request(Some("same")))
            .await
            .unwrap()
            .commit,
        second
    );
}

#[tokio::test]
async fn an_unknown_revision_is_told_from_an_unknown_repository() {
    let place = Place::with_a_commit();
    for revision in [
        "none",
        "abcdef0",
        "0123456789012345678901234567890123456789",
        "refs/heads/none",
    ] {
        let error = place.refusal(&place.request(Some(revision))).await;
        assert_eq!(
            (error.kind(), field(&error)),
            (ErrorKind::NotFound, "revision"),
            "{revision}: {error}"
        );
        assert!(error.to_string().contains(revision), "{error}");
    }
    let blob = place.git(&["rev-parse", "HEAD:index.html"]);
    let error = place.refusal(&place.request(Some(&blob))).await;
    assert_eq!(
        (error.kind(), field(&error)),
        (ErrorKind::NotFound, "revision"),
        "{error}"
    );
    let nowhere = format!("file://{}/none", place.folder.path().display());
    let error = place.refusal(&place.request_to(&nowhere, None)).await;
    assert_eq!(
        (error.kind(), field(&error)),
        (ErrorKind::NotFound, "git_url"),
        "{error}"
    );
    let error = Place::new();
    let error = error.refusal(&error.request(None)).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("is empty"), "{error}");
}

#[tokio::test]
async fn what_is_not_taken_is_noted() {
    let place = Place::with_a_commit();
    fs::write(
        place.repository().join(".gitattributes"),
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    )
    .unwrap();
    let commit = place.commit("big.bin", "version https://git-lfs.github.com/spec/v1");
    place.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{commit},vendored"),
    ]);
    place.git(&["commit", "-q", "-m", "submodule"]);
    place.take(&place.request(None)).await.unwrap();
    let told = place.told.text();
    assert!(
        told.contains("Submodules are not fetched: vendored"),
        "{told}"
    );
    assert!(told.contains("Git LFS"), "{told}");
}

#[tokio::test]
async fn limits_and_links_hold_for_git_too() {
    let place = Place::with_a_commit();
    place.commit("second", "12345");
    let mut request = place.request(None);
    request.limits.files = 1;
    let error = place.refusal(&request).await;
    assert!(error.to_string().contains("more than 1 files"), "{error}");
    request.limits = SnapshotLimits {
        file_bytes: 4,
        ..SnapshotLimits::default()
    };
    let error = place.refusal(&request).await;
    assert!(
        error.to_string().contains("\"second\" is 5 bytes"),
        "{error}"
    );
    std::os::unix::fs::symlink("/etc/passwd", place.repository().join("passwd")).unwrap();
    place.commit("third", "x");
    let error = place.refusal(&place.request(None)).await;
    assert!(
        error.to_string().contains("\"passwd\" is a link"),
        "{error}"
    );
}

#[tokio::test]
async fn a_git_that_is_missing_is_told_with_a_remedy() {
    let place = Place::with_a_commit();
    let mut request = place.request(None);
    request.program.search_path = place.folder.path().into();
    let error = place.refusal(&request).await;
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{error}");
    assert!(error.to_string().contains("Install git"), "{error}");
}

#[tokio::test]
async fn urls_and_credentials_that_must_not_reach_git_do_not() {
    let place = Place::new();
    let mark = place.folder.path().join("mark");
    let program = place.script(&format!("touch {}", mark.display()));
    for (url, credential) in [
        ("git@example.com:a/b", false),
        ("ssh://git@example.com/a/b", false),
        ("http://example.com/a/b", true),
        ("http://localhost.example.com/a/b", true),
        ("file:///srv/a", true),
    ] {
        let mut request = place.request_to(url, None);
        request.program = program.clone();
        request.credential = credential.then(|| Secret::new("sentinel-token"));
        let error = place.refusal(&request).await;
        assert_eq!(
            (error.kind(), field(&error)),
            (ErrorKind::InvalidInput, "git_url"),
            "{url}: {error}"
        );
        assert!(!mark.exists(), "{url} reached git");
    }
    for url in [
        "ext::sh -c id",
        "-u",
        "--upload-pack=id",
        "https://h/a b",
        "fd::3",
        "https://u:p@h/a",
    ] {
        assert!(GitUrl::new(url).is_err(), "{url}");
    }
    for revision in [
        "--upload-pack=id",
        "-x",
        "a..b",
        "a b",
        "refs/heads/-x\n",
        "a:b",
        "@{u}",
        "*",
    ] {
        assert!(GitRevision::new(revision).is_err(), "{revision}");
    }
}

/// Answers every request with `answer`, and keeps what was asked.
fn server(answer: &'static str) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 8192];
            let read = stream.read(&mut buffer).unwrap();
            kept.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&buffer[..read]));
            stream
                .write_all(
                    format!("HTTP/1.1 {answer}\r\nContent-Length: 19\r\nConnection: close\r\n\r\n<html>\nlogin</html>")
                        .as_bytes(),
                )
                .unwrap();
        }
    });
    (port, asked)
}

#[tokio::test]
async fn the_server_gets_the_credential_and_nobody_else() {
    let place = Place::new();
    let (port, asked) = server("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"");
    let mut request = place.request_to(&format!("http://127.0.0.1:{port}/sentinel-path"), None);
    let arguments = place.folder.path().join("arguments");
    request.program = place.script(&format!(
        "echo \"$@\" >> {}\nenv >&2\nexec git \"$@\"",
        arguments.display()
    ));
    request.credential = Some(Secret::new("sentinel-token"));
    let error = place.refusal(&request).await;
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    // "x-access-token:sentinel-token"
    let encoded = "eC1hY2Nlc3MtdG9rZW46c2VudGluZWwtdG9rZW4=";
    assert!(
        asked
            .lock()
            .unwrap()
            .contains(&format!("Authorization: Basic {encoded}"))
    );
    let arguments = fs::read_to_string(arguments).unwrap();
    let told = place.told.text();
    assert!(
        arguments.contains("sentinel-path") && told.contains("GIT_CONFIG_VALUE_0=***"),
        "{told}"
    );
    let report = serde_json::to_string(&error.to_report()).unwrap();
    for text in [arguments, told, report, format!("{error:?} {request:?}")] {
        assert!(
            !text.contains("sentinel-token") && !text.contains(encoded),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_redirect_does_not_carry_the_credential_away() {
    let place = Place::new();
    let (other, asked_other) = server("404 Not Found");
    let answer = format!(
        "302 Found\r\nLocation: http://127.0.0.1:{other}/a/info/refs?service=git-upload-pack"
    );
    let (port, _) = server(answer.leak());
    let mut request = place.request_to(&format!("http://127.0.0.1:{port}/a"), None);
    request.credential = Some(Secret::new("sentinel-token"));
    place.refusal(&request).await;
    assert_eq!(*asked_other.lock().unwrap(), "");
    request.credential = None;
    let error = place.refusal(&request).await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(asked_other.lock().unwrap().starts_with("GET /a/info/refs"));
}

#[tokio::test]
async fn failures_of_the_server_are_told_apart() {
    let place = Place::new();
    for (answer, kind) in [
        (
            "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"",
            ErrorKind::Unauthenticated,
        ),
        ("403 Forbidden", ErrorKind::PermissionDenied),
        ("404 Not Found", ErrorKind::NotFound),
        ("503 Service Unavailable", ErrorKind::Unavailable),
        ("200 OK\r\nContent-Type: text/html", ErrorKind::NotFound),
    ] {
        let (port, _) = server(answer);
        let error = place
            .refusal(&place.request_to(&format!("http://127.0.0.1:{port}/a"), None))
            .await;
        assert_eq!(error.kind(), kind, "{answer}: {error}");
    }
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = place
        .refusal(&place.request_to(&format!("http://127.0.0.1:{closed}/a"), None))
        .await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable());
}

fn runs(pid: &Path) -> bool {
    let pid = fs::read_to_string(pid).unwrap_or_default();
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    !pid.trim().is_empty() && !status.is_empty() && !status.contains("State:\tZ")
}

async fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it did not happen"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn cancel_timeout_and_drop_end_everything_that_git_started() {
    for how in ["cancel", "timeout", "drop"] {
        let place = Place::new();
        let pid = place.folder.path().join("pid");
        let mut request = place.request(None);
        // A child that ignores a polite request, as helpers of git may.
        request.program = place.script(&format!(
            "trap '' TERM\nsh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 1; done'",
            pid.display()
        ));
        if how == "timeout" {
            request.program.timeout = Duration::from_secs(1);
        }
        let out = place.out();
        let mut call = Box::pin(snapshot_git(&request, &out, &place.told, &place.cancel));
        let ended = tokio::select! {
            result = &mut call => Some(result.unwrap_err()),
            () = until(|| runs(&pid)) => None,
        };
        let error = match (how, ended) {
            ("drop", None) => {
                drop(call);
                None
            }
            (_, Some(error)) => Some(error),
            (_, None) => {
                if how == "cancel" {
                    place.cancel.cancel();
                }
                Some(call.await.unwrap_err())
            }
        };
        until(|| !runs(&pid)).await;
        assert_eq!(place.left(), 0, "{how}");
        match how {
            "cancel" => assert_eq!(error.unwrap().kind(), ErrorKind::Cancelled),
            "timeout" => assert_eq!(error.unwrap().kind(), ErrorKind::Timeout),
            _ => assert!(error.is_none()),
        }
    }
}
