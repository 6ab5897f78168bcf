//! What a build makes and a deployer takes: [`Artifact`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, ImageRef};

/// What a build makes and a deployer takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Artifact {
    /// A container image.
    Image(ImageArtifact),
    /// A folder of files that are served as they are.
    StaticSite(StaticSite),
    /// A folder of prepared source whose start command is run as a process.
    Process(ProcessArtifact),
}

/// A container image, pinned by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageArtifact {
    /// The name under which the deployer finds it.
    pub reference: ImageRef,
    /// The digest that pins it: the image's id on an engine, the manifest's digest in a registry.
    pub digest: Digest,
    /// The port that the image listens on, when the build knows it.
    pub port: Option<u16>,
}

/// A folder of files that are served as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticSite {
    /// The folder, on the worker's machine.
    pub folder: PathBuf,
    /// The digest of the files.
    pub digest: Digest,
    /// Whether an unknown path without a file extension answers with `index.html`.
    pub single_page_app: bool,
}

/// A folder of prepared source and the command that starts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessArtifact {
    /// The folder, on the worker's machine.
    pub folder: PathBuf,
    /// The digest of the source that it was prepared from.
    pub digest: Digest,
    /// The program and its arguments; `$PORT` in an argument is replaced by the port.
    pub command: Vec<String>,
    /// What runs to its end before each start, in the same environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Vec<String>>,
}

impl Artifact {
    /// The digest that pins the artifact.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Image(image) => &image.digest,
            Self::StaticSite(site) => &site.digest,
            Self::Process(process) => &process.digest,
        }
    }
}
