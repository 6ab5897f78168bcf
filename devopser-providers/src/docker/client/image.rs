//! Images.

use std::collections::HashMap;

use bollard::models as api;
use bollard::query_parameters as query;
use devopser_core::context::Context;
use devopser_core::id::Digest;
use devopser_core::{Error, ErrorKind, Result, Retry};
use futures::TryStreamExt;

use super::error::named;
use super::{Engine, absent_as_none};
use crate::docker::model::{ImageFacts, Listed};

impl Engine {
    /// The image of that reference or id; `None` when the engine does not know it.
    pub(crate) async fn image(&self, ctx: &Context, reference: &str) -> Result<Option<ImageFacts>> {
        let answer = self
            .call(ctx, "inspect image", |docker| async move {
                docker.inspect_image(reference).await
            })
            .await;
        absent_as_none(answer)?.map(facts).transpose()
    }

    /// Every image with the label (`name` or `name=value`): once for each of its tags, or once by its id.
    pub(crate) async fn images(&self, ctx: &Context, label: &str) -> Result<Vec<Listed>> {
        let options = query::ListImagesOptions {
            filters: Some(HashMap::from([(
                "label".to_owned(),
                vec![label.to_owned()],
            )])),
            ..Default::default()
        };
        let found = self
            .call(ctx, "list images", |docker| async move {
                docker.list_images(Some(options)).await
            })
            .await?;
        Ok(found.into_iter().flat_map(listed).collect())
    }

    /// Takes a tag away, or removes an image by its id; the image goes with its last tag. An absent one is `Ok`.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) while a container uses it.
    pub(crate) async fn remove_image(&self, ctx: &Context, reference: &str) -> Result<()> {
        let answer = self
            .mutate(ctx, "remove image", |docker| async move {
                docker
                    .remove_image(reference, None::<query::RemoveImageOptions>, None)
                    .await
            })
            .await;
        absent_as_none(answer).map(|_| ())
    }

    /// Fetches an image from its registry, unless the engine has it.
    pub(crate) async fn ensure_image(&self, ctx: &Context, reference: &str) -> Result<()> {
        if self.image(ctx, reference).await?.is_some() {
            return Ok(());
        }
        ctx.progress
            .note(&format!("Fetching the image {reference}"));
        let options = query::CreateImageOptions {
            from_image: Some(reference.to_owned()),
            ..Default::default()
        };
        let docker = self.streaming().await?;
        let pulled = async {
            docker
                .create_image(Some(options), None, None)
                .try_fold((), |(), _| async { Ok(()) })
                .await
                .map_err(|e| self.map("pull image", e))
        };
        let limit = std::time::Duration::from_secs(1800);
        let result = ctx
            .run(async {
                tokio::time::timeout(limit, pulled)
                    .await
                    .map_err(|_| self.timed_out("pull image", limit))?
            })
            .await;
        match result {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::DiskFull) => {
                Err(error)
            }
            Err(error) => Err(pull_failed(reference, &error)),
        }
    }
}

/// An image could not be fetched: says which, and whether a retry helps.
pub(super) fn pull_failed(reference: &str, error: &Error) -> Error {
    let text = error.message().to_ascii_lowercase();
    let is_refused = [
        "not found",
        "denied",
        "unauthorized",
        "does not exist",
        "manifest unknown",
    ]
    .iter()
    .any(|sign| text.contains(sign));
    let failed = if is_refused {
        named(
            "pull image",
            ErrorKind::NotFound,
            format!("the image {reference} cannot be fetched: its registry does not have it, or not for us"),
        )
        .with_remedy("Correct the name and the tag, or log the engine in to the registry.")
    } else {
        named(
            "pull image",
            ErrorKind::Unavailable,
            format!("the image {reference} cannot be fetched: its registry was not reached"),
        )
        .with_retry(Retry::Later { after: None })
        .with_remedy(
            "Check that the Docker engine reaches the registry, or load the image into the engine.",
        )
    };
    failed
        .with_context("image", reference)
        .with_context("cause", error.message())
}

fn facts(image: api::ImageInspect) -> Result<ImageFacts> {
    let config = image.config.unwrap_or_default();
    let ports: Vec<u16> = config
        .exposed_ports
        .unwrap_or_default()
        .iter()
        .filter_map(|port| port.strip_suffix("/tcp")?.parse().ok())
        .collect();
    Ok(ImageFacts {
        id: Digest::new(image.id.unwrap_or_default())?,
        tags: image.repo_tags.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        size_bytes: image
            .size
            .and_then(|size| u64::try_from(size).ok())
            .unwrap_or(0),
        port: ports.into_iter().min(),
        env: config
            .env
            .unwrap_or_default()
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, _)| name.to_owned())
            .collect(),
    })
}

fn listed(image: api::ImageSummary) -> Vec<Listed> {
    let labels: std::collections::BTreeMap<String, String> = image.labels.into_iter().collect();
    let mut names: Vec<String> = image
        .repo_tags
        .into_iter()
        .filter(|tag| tag != "<none>:<none>")
        .collect();
    if names.is_empty() {
        names.push(image.id.clone());
    }
    names
        .into_iter()
        .map(|name| Listed {
            id: image.id.clone(),
            name,
            labels: labels.clone(),
        })
        .collect()
}
