//! [`MemoryRegistry`]: tags and digests, and no layers.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::cloud::MemoryCloud;
use super::image_builder::add_folder;
use super::services::lock;
use crate::context::Context;
use crate::id::{Digest, ImageRef, ImageTag, RepositoryName};
use crate::model::artifact::ImageArtifact;
use crate::provider::{
    Access, ImageSource, ProviderInfo, PushRequest, Pushed, Registry, RegistryCapability,
    RegistryLogin, Repository,
};
use crate::{Error, ErrorKind, Result, Secret};

/// What the tags name: repository and tag → reference of the image, with its digest.
#[derive(Debug, Default)]
pub(super) struct Tags(BTreeMap<(RepositoryName, ImageTag), (ImageRef, Digest)>);

impl Tags {
    pub(super) fn forget_repository(&mut self, name: &str) {
        self.0
            .retain(|(repository, _), _| repository.as_str() != name);
    }

    pub(super) fn forget_image(&mut self, reference: &str) {
        self.0.retain(|_, (known, _)| known.as_str() != reference);
    }
}

/// A registry that keeps tags and digests. Tags are immutable; what was pushed can be deployed in the same cloud.
#[derive(Clone, Debug)]
pub struct MemoryRegistry {
    cloud: MemoryCloud,
}

impl MemoryRegistry {
    /// The one of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }
}

impl MemoryRegistry {
    fn source_of(&self, source: &ImageSource) -> Result<(Digest, Option<u16>)> {
        match source {
            ImageSource::Engine { reference } => lock(&self.cloud.shared.state)
                .images
                .get(reference)
                .map(|image| (Digest::of(image.digest.as_str().as_bytes()), image.port))
                .ok_or_else(|| missing("image", reference.as_str())),
            ImageSource::Layout { folder } => {
                let mut content = Vec::new();
                add_folder(folder, folder, &mut content)
                    .map_err(|_| missing("folder", &folder.display().to_string()))?;
                Ok((Digest::of(&content), None))
            }
        }
    }
}

fn missing(kind: &str, name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no {kind} \"{name}\""),
    )
    .with_provider("memory")
}

#[async_trait]
impl Registry for MemoryRegistry {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    fn capability(&self) -> RegistryCapability {
        RegistryCapability {
            push: true,
            delete: true,
            immutable_tags: true,
            indexes: true,
        }
    }

    async fn ensure_repository(&self, ctx: &Context, name: &RepositoryName) -> Result<Repository> {
        let call = self
            .cloud
            .change(ctx, "Registry::ensure_repository")
            .await?;
        self.cloud
            .ensure(ctx, call, "repository", name.as_str(), |_| {})
            .await?;
        Ok(Repository {
            provider: MemoryCloud::id(),
            name: name.clone(),
            base: ImageRef::new(format!("registry.memory/{name}"))?,
        })
    }

    async fn login(
        &self,
        ctx: &Context,
        repository: &Repository,
        _access: Access,
    ) -> Result<RegistryLogin> {
        let call = self.cloud.look(ctx, "Registry::login").await?;
        if lock(&self.cloud.shared.state)
            .thing("repository", repository.name.as_str())
            .is_none()
        {
            return Err(missing("repository", repository.name.as_str()));
        }
        call.happened().await?;
        Ok(RegistryLogin {
            server: "registry.memory".into(),
            username: "memory".into(),
            password: Secret::generate(24),
            expires_at: Some(ctx.clock.now_ms().saturating_add(12 * 3600 * 1000)),
        })
    }

    async fn resolve(
        &self,
        ctx: &Context,
        repository: &Repository,
        tag: &ImageTag,
    ) -> Result<Digest> {
        let call = self.cloud.look(ctx, "Registry::resolve").await?;
        let found = lock(&self.cloud.shared.state)
            .registry
            .0
            .get(&(repository.name.clone(), tag.clone()))
            .map(|(_, digest)| digest.clone())
            .ok_or_else(|| missing("tag", tag.as_str()))?;
        call.happened().await?;
        Ok(found)
    }

    async fn push(&self, ctx: &Context, request: PushRequest) -> Result<Pushed> {
        let call = self.cloud.change(ctx, "Registry::push").await?;
        let repository = &request.repository;
        let (digest, port) = self.source_of(&request.source)?;
        let reference = repository.pinned(&digest)?;
        let key = (repository.name.clone(), request.tag.clone());
        {
            let mut state = lock(&self.cloud.shared.state);
            if state
                .thing("repository", repository.name.as_str())
                .is_none()
            {
                return Err(missing("repository", repository.name.as_str()));
            }
            let taken = state
                .registry
                .0
                .get(&key)
                .is_some_and(|(_, known)| *known != digest);
            if taken {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!("the tag \"{}\" names another image", request.tag),
                )
                .with_provider("memory"));
            }
            if state.thing("registry_image", reference.as_str()).is_some() {
                state
                    .registry
                    .0
                    .insert(key.clone(), (reference.clone(), digest.clone()));
            }
        }
        let (stored, pinned) = (reference.clone(), digest.clone());
        self.cloud
            .ensure(
                ctx,
                call,
                "registry_image",
                reference.as_str(),
                move |state| {
                    state
                        .registry
                        .0
                        .insert(key, (stored.clone(), pinned.clone()));
                    let image = ImageArtifact {
                        reference: stored.clone(),
                        digest: pinned,
                        port,
                    };
                    state.images.insert(stored, image);
                },
            )
            .await?;
        Ok(Pushed::new(digest, reference))
    }

    async fn delete(&self, ctx: &Context, repository: &Repository, digest: &Digest) -> Result<()> {
        let call = self.cloud.change(ctx, "Registry::delete").await?;
        let reference = repository.pinned(digest)?;
        self.cloud
            .discard(ctx, "registry_image", reference.as_str())
            .await?;
        call.happened().await
    }
}
