//! The snapshot of a commit, from repositories that are made here by the git program.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of a test may panic"
)]

mod program;
mod revision;
mod server;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use devopser_core::context::{CancellationToken, Progress};
use devopser_core::id::GitRevision;
use devopser_core::model::source::GitUrl;
use devopser_core::source::{GitProgram, GitRequest, GitSnapshot, SnapshotLimits, snapshot_git};
use devopser_core::{Error, Result};

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
