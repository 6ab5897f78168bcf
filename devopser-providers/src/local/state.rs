//! What is known of a release: one file in its folder.

use std::fs;
use std::path::{Path, PathBuf};

use devopser_core::model::artifact::Artifact;
use devopser_core::model::service::{Environment, ReleaseRef};
use devopser_core::{ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::proc::Identity;
use super::{error, folder};

/// The version of the file that this release of the library writes.
const VERSION: u32 = 1;

/// What is known of a release. Only the worker writes it; whoever reads it sees a whole one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) version: u32,
    pub(super) reference: ReleaseRef,
    /// The name of its process, which is also in the environment of everything that it starts.
    pub(super) name: String,
    pub(super) artifact: Artifact,
    pub(super) env: Environment,
    /// The port of its process; 0 for a folder of files.
    pub(super) port: u16,
    /// Whether it is meant to run.
    pub(super) wanted: bool,
    /// Whether it was given the service's requests. What ends by itself before that is not started again.
    #[serde(default)]
    pub(super) activated: bool,
    /// A process is about to be started, or was started and is not noted yet.
    #[serde(default)]
    pub(super) spawning: bool,
    /// The process that was started last.
    #[serde(default)]
    pub(super) process: Option<Identity>,
    /// When that was, in milliseconds since 1970.
    #[serde(default)]
    pub(super) started_at: Option<u64>,
    /// How it ended, once it did.
    #[serde(default)]
    pub(super) exit: Option<Exit>,
    /// How often it was started again.
    #[serde(default)]
    pub(super) restarts: u32,
    /// When that was, as far as it counts for the limit.
    #[serde(default)]
    pub(super) recent: Vec<u64>,
    /// When it is started again, while it waits for that.
    #[serde(default)]
    pub(super) again_at: Option<u64>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exit {
    /// Its code, or 128 and the number of the signal that ended it; `None` when nobody watched.
    pub(super) code: Option<i64>,
    /// In words.
    pub(super) how: String,
    /// When, in milliseconds since 1970.
    pub(super) at: u64,
}

impl State {
    pub(super) fn new(
        reference: ReleaseRef,
        name: String,
        artifact: Artifact,
        env: Environment,
    ) -> Self {
        Self {
            version: VERSION,
            reference,
            name,
            artifact,
            env,
            port: 0,
            wanted: true,
            activated: false,
            spawning: false,
            process: None,
            started_at: None,
            exit: None,
            restarts: 0,
            recent: Vec::new(),
            again_at: None,
        }
    }

    /// What is known of the release in `folder`; `None` when there is none.
    pub(super) fn load(folder: &Path) -> Result<Option<Self>> {
        let path = file(folder);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(error::file("read", &path, source)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| {
            error::error(
                ErrorKind::Unexpected,
                format!("{} cannot be understood", path.display()),
            )
            .with_source(source)
        })
    }

    pub(super) async fn save(&self, folder: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|source| {
            error::error(ErrorKind::Unexpected, "a release cannot be written down")
                .with_source(source)
        })?;
        let file = file(folder);
        error::blocking(move || folder::write(&file, &bytes)).await
    }

    /// Whether its process runs.
    pub(super) fn is_alive(&self) -> bool {
        self.process.as_ref().is_some_and(Identity::is_alive)
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("release.json")
}

/// The folder of a release, inside the folder of its target.
pub(super) fn release_folder(target: &Path, release: &str) -> PathBuf {
    target.join("releases").join(release)
}

/// The releases in the folder of a target.
pub(super) fn releases(target: &Path) -> Vec<State> {
    let entries = fs::read_dir(target.join("releases")).into_iter().flatten();
    let mut releases: Vec<State> = entries
        .flatten()
        .filter_map(|entry| State::load(&entry.path()).ok().flatten())
        .collect();
    releases.sort_by(|a, b| a.reference.release.cmp(&b.reference.release));
    releases
}
