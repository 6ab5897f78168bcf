//! [`ImageBuilder`]: builds container images.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::ProviderInfo;
use crate::context::Context;
use crate::id::ImageRef;
use crate::model::artifact::ImageArtifact;
use crate::{Result, Secret};

/// What to build.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The folder of the source: the build context.
    pub folder: PathBuf,
    /// The Dockerfile's text; it need not lie in the folder.
    pub dockerfile: String,
    /// The text of `.dockerignore`; what it names is not sent.
    pub dockerignore: String,
    /// The name that the image gets.
    pub tag: ImageRef,
    /// The stage that is built. `None`: the last.
    pub target: Option<String>,
    /// Build arguments. They can end up in the image's history: no secrets here.
    pub build_args: BTreeMap<String, String>,
    /// Secrets that the build may mount by id (`RUN --mount=type=secret`); they never end up in the image.
    pub secrets: BTreeMap<String, Secret>,
    /// Whether the cache of earlier builds is left out.
    pub no_cache: bool,
}

/// What was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Built {
    /// The image.
    pub image: ImageArtifact,
    /// Its size in bytes.
    pub size_bytes: u64,
}

impl Built {
    /// A built image.
    #[must_use]
    pub fn new(image: ImageArtifact, size_bytes: u64) -> Self {
        Self { image, size_bytes }
    }
}

/// Builds container images.
#[async_trait]
pub trait ImageBuilder: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// Builds `request` and returns the image, pinned by its digest.
    ///
    /// # Behavior
    /// - Output goes to `ctx.progress` line by line while the build goes on.
    /// - A cancelled `ctx` ends the build at the builder and leaves no image and no container behind.
    /// - The image carries the owner mark and stands in the ledger before the build begins.
    /// - The same request again gives the same digest when nothing changed, from the cache.
    /// - A step that mounts a secret comes from the cache only for the same owner with the same value of that secret.
    ///
    /// # Errors
    /// - [`BuildFailed`](crate::ErrorKind::BuildFailed) with the step and its last lines.
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput) for a Dockerfile that does not parse, with the line.
    /// - [`DiskFull`](crate::ErrorKind::DiskFull), [`Unavailable`](crate::ErrorKind::Unavailable) when the builder cannot
    ///   be reached or stops in the middle.
    async fn build(&self, ctx: &Context, request: BuildRequest) -> Result<Built>;
}
