//! [`Registry`]: stores container images.

use std::fmt::Debug;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::ProviderInfo;
use crate::context::Context;
use crate::id::{Digest, ImageRef, ImageTag, ProviderId, RepositoryName};
use crate::{Result, Secret};

/// What a registry can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryCapability {
    /// It can push by itself. Without it, the builder pushes with the [`RegistryLogin`].
    pub push: bool,
    /// It removes single images.
    pub delete: bool,
    /// A tag that was pushed once is never given to another image.
    pub immutable_tags: bool,
    /// It takes image indexes and attestations. Without it, build for one platform and without provenance.
    pub indexes: bool,
}

/// A repository of a registry: enough to find it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// The provider.
    pub provider: ProviderId,
    /// Its name.
    pub name: RepositoryName,
    /// The images' name without tag, with the registry's host: `host/path`.
    pub base: ImageRef,
}

impl Repository {
    /// The reference of a tag of this repository.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when both together are too long.
    pub fn tagged(&self, tag: &ImageTag) -> Result<ImageRef> {
        ImageRef::new(format!("{}:{tag}", self.base))
    }

    /// The reference of a digest in this repository.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when both together are too long.
    pub fn pinned(&self, digest: &Digest) -> Result<ImageRef> {
        ImageRef::new(format!("{}@{digest}", self.base))
    }
}

/// What a login is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// To fetch images.
    Pull,
    /// To store and fetch images.
    Push,
}

/// A short-lived login. It has no `Serialize`: use it in the step that got it.
#[derive(Clone, Debug)]
pub struct RegistryLogin {
    /// The registry's host, with its port where it has one.
    pub server: String,
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// When it ends, in milliseconds since 1970; `None` when the registry does not say.
    pub expires_at: Option<u64>,
}

/// Where an image to push comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageSource {
    /// An image of the container engine on this machine.
    Engine {
        /// Its name there.
        reference: ImageRef,
    },
    /// A folder in the OCI image layout.
    Layout {
        /// The folder.
        folder: PathBuf,
    },
}

/// What to push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushRequest {
    /// The image.
    pub source: ImageSource,
    /// Where to.
    pub repository: Repository,
    /// Under which tag: one of its own for each build.
    pub tag: ImageTag,
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pushed {
    /// The digest of the manifest: what a deployment is pinned to.
    pub digest: Digest,
    /// The reference that the provider's deployer takes.
    pub reference: ImageRef,
}

impl Pushed {
    /// A pushed image.
    #[must_use]
    pub fn new(digest: Digest, reference: ImageRef) -> Self {
        Self { digest, reference }
    }
}

/// Stores container images.
#[async_trait]
pub trait Registry: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// What it can do.
    fn capability(&self) -> RegistryCapability;

    /// Makes the repository exist.
    ///
    /// # Behavior
    /// - Ensuring a repository twice makes one.
    /// - A repository of that name without our mark is left untouched.
    ///
    /// # Errors
    /// - [`AlreadyExists`](crate::ErrorKind::AlreadyExists) for a repository that is not ours.
    async fn ensure_repository(&self, ctx: &Context, name: &RepositoryName) -> Result<Repository>;

    /// A short-lived login for the repository.
    async fn login(
        &self,
        ctx: &Context,
        repository: &Repository,
        access: Access,
    ) -> Result<RegistryLogin>;

    /// The digest that a tag names now.
    ///
    /// # Behavior
    /// - A tag that does not exist is not found.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) for an unknown tag.
    async fn resolve(
        &self,
        ctx: &Context,
        repository: &Repository,
        tag: &ImageTag,
    ) -> Result<Digest>;

    /// Stores an image and returns its digest and the reference that the deployer takes.
    /// Requires [`RegistryCapability::push`].
    ///
    /// # Behavior
    /// - Pushing the same image under the same tag again stores nothing and returns the same.
    /// - What was pushed resolves by its tag to the returned digest.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) when the source or the repository is gone.
    /// - [`Conflict`](crate::ErrorKind::Conflict) where tags are immutable and the tag names another image.
    async fn push(&self, ctx: &Context, request: PushRequest) -> Result<Pushed>;

    /// Removes an image. Requires [`RegistryCapability::delete`].
    ///
    /// # Behavior
    /// - Deleting an image twice is `Ok`.
    async fn delete(&self, ctx: &Context, repository: &Repository, digest: &Digest) -> Result<()>;
}
