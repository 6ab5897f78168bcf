//! The image builder.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use devopser_core::context::{CancellationToken, Context};
use devopser_core::id::{Digest, ImageRef, ResourceId};
use devopser_core::model::artifact::ImageArtifact;
use devopser_core::provider::{BuildRequest, Built, ImageBuilder, ProviderInfo};
use devopser_core::{Error, ErrorKind, Result, Secret};
use futures::StreamExt;
use futures::stream::BoxStream;

use super::build_error::explain;
use super::build_log::BuildLog;
use super::client::BuildSession;
use super::context::BuildFolder;
use super::model::{BuildEvent, BuildSpec, ImageFacts};
use super::secret_mounts::{self, BoundDockerfile};
use super::{Docker, ID, names};

/// How long a cancelled build may take to end at the engine.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

#[async_trait]
impl ImageBuilder for Docker {
    fn info(&self) -> ProviderInfo {
        Self::info(self)
    }

    async fn build(&self, ctx: &Context, request: BuildRequest) -> Result<Built> {
        ctx.check_cancelled()?;
        let mark = ctx.owner.mark();
        let tag = request.tag.clone();
        let before = self.engine.image(ctx, tag.as_str()).await?;
        refuse_foreign(before.as_ref(), &mark, &tag)?;
        let row = ctx
            .ledger
            .intend(names::intent("image", tag.as_str())?)
            .await?;
        match Box::pin(self.run_build(ctx, request, &mark)).await {
            Ok(built) => {
                ctx.ledger
                    .created(&row, built.image.digest.as_str())
                    .await?;
                Ok(built)
            }
            Err(error) => {
                self.leave_nothing(ctx, &tag, before.as_ref(), &row).await;
                Err(error.with_provider(ID))
            }
        }
    }
}

/// An image of that name that we did not build is not replaced.
fn refuse_foreign(found: Option<&ImageFacts>, mark: &str, tag: &ImageRef) -> Result<()> {
    match found {
        Some(image) if names::mark_of(&image.labels) != Some(mark) => Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("the engine has an image {tag} that this app did not make"),
        )
        .with_provider(ID)
        .with_remedy("Remove or rename that image, or choose another name.")),
        _ => Ok(()),
    }
}

impl Docker {
    async fn run_build(&self, ctx: &Context, request: BuildRequest, mark: &str) -> Result<Built> {
        let mut bound = secret_mounts::bind(&request.dockerfile, mark, &request.secrets);
        let folder = Arc::new(read_folder(ctx, &request, &bound.text).await?);
        for line in &folder.left_out {
            ctx.progress.note(line);
        }
        if bound.has_unknown {
            ctx.progress.note("Every step is run anew: the Dockerfile mounts something in a form that cannot be told from a secret");
        }
        ctx.before_mutation(self.config.request_timeout)?;
        let id = Secret::generate(25).expose().to_owned();
        let session = ctx
            .run(BuildSession::open(
                self.engine.socket(),
                id.clone(),
                Digest::of(mark.as_bytes()).hex(),
                folder,
                std::mem::take(&mut bound.secrets),
            ))
            .await?;
        let mut build_args = request.build_args;
        // Cache mounts are shared by their ids: a Dockerfile must never see what another tenant's left there.
        build_args.insert("BUILDKIT_CACHE_MOUNT_NS".into(), names::short_hash(mark));
        let spec = BuildSpec {
            id: id.clone(),
            tag: request.tag.clone(),
            labels: names::labels(mark),
            target: request.target,
            build_args,
            no_cache: request.no_cache || bound.has_unknown,
        };
        let mut events = self.engine.build(spec, &session).await?;
        self.follow(ctx, &id, &bound, &mut events).await?;
        drop(session);
        let image = self
            .engine
            .image(ctx, request.tag.as_str())
            .await?
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Unavailable,
                    "the Docker engine ended the build without an image",
                )
            })?;
        Ok(Built::new(
            ImageArtifact {
                reference: request.tag,
                digest: image.id,
                port: image.port,
            },
            image.size_bytes,
        ))
    }

    /// Tells the build's lines until it ends, and ends it when the call is cancelled or too late.
    async fn follow(
        &self,
        ctx: &Context,
        id: &str,
        bound: &BoundDockerfile,
        events: &mut BoxStream<'static, Result<BuildEvent>>,
    ) -> Result<()> {
        let mut log = BuildLog::default();
        let deadline = tokio::time::sleep(self.config.build_timeout);
        tokio::pin!(deadline);
        let stopped = loop {
            tokio::select! {
                event = events.next() => match event {
                    None => return Ok(()),
                    Some(Ok(event)) => {
                        let event = as_written(event, bound);
                        log.lines(event).iter().for_each(|line| ctx.progress.log(line));
                    }
                    Some(Err(error)) => {
                        // What the step wrote last may come with the error.
                        return Err(explain(written_error(error, bound), log.failed()));
                    }
                },
                () = ctx.cancel.cancelled() => break Error::cancelled(),
                () = &mut deadline => break Error::new(
                    ErrorKind::Timeout,
                    format!("the build took longer than {} seconds", self.config.build_timeout.as_secs()),
                ),
            }
        };
        self.end_build(id, events).await;
        Err(stopped)
    }

    /// Ends a build at the engine and waits until it has ended.
    async fn end_build(&self, id: &str, events: &mut BoxStream<'static, Result<BuildEvent>>) {
        if let Err(error) = self.engine.cancel_build(id).await {
            tracing::debug!(%error, "a build could not be cancelled by its id; its connection is closed");
        }
        let drained = async { while let Some(Ok(_)) = events.next().await {} };
        if tokio::time::timeout(CANCEL_TIMEOUT, drained).await.is_err() {
            tracing::warn!("a cancelled build did not end in time; its connection is closed");
        }
    }

    /// After a failed or cancelled build: takes away an image that came into being all the same, and the row.
    async fn leave_nothing(
        &self,
        ctx: &Context,
        tag: &ImageRef,
        before: Option<&ImageFacts>,
        row: &ResourceId,
    ) {
        if before.is_some() {
            return;
        }
        // Clean-up happens although the call was cancelled.
        let ctx = Context {
            cancel: CancellationToken::new(),
            ..ctx.clone()
        };
        let removed = async {
            let now = self.engine.image(&ctx, tag.as_str()).await?;
            if now.is_some_and(|image| names::mark_of(&image.labels) == Some(&ctx.owner.mark())) {
                self.engine.remove_image(&ctx, tag.as_str()).await?;
            }
            ctx.ledger.gone(row).await
        };
        if let Err(error) = removed.await {
            // The row stays: whoever cleans up finds it.
            if let Err(error) = ctx.ledger.failed(row, &error.to_string()).await {
                tracing::debug!(%error, "the ledger did not take a failed clean-up");
            }
        }
    }
}

/// The names of steps as the Dockerfile wrote them.
fn as_written(event: BuildEvent, bound: &BoundDockerfile) -> BuildEvent {
    match event {
        BuildEvent::Vertex(mut vertex) => {
            vertex.name = bound.as_written(&vertex.name);
            vertex.error = bound.as_written(&vertex.error);
            BuildEvent::Vertex(vertex)
        }
        BuildEvent::Warning(text) => BuildEvent::Warning(bound.as_written(&text)),
        BuildEvent::Output { .. } => event,
    }
}

fn written_error(error: Error, bound: &BoundDockerfile) -> Error {
    let message = bound.as_written(error.message());
    if message == error.message() {
        return error;
    }
    Error::new(error.kind(), message)
}

async fn read_folder(
    ctx: &Context,
    request: &BuildRequest,
    dockerfile: &str,
) -> Result<BuildFolder> {
    let root = request.folder.clone();
    let dockerfile = dockerfile.to_owned();
    let dockerignore = request.dockerignore.clone();
    let now = ctx.clock.now_ms();
    let cancel = ctx.cancel.clone();
    tokio::task::spawn_blocking(move || {
        BuildFolder::read(&root, &dockerfile, &dockerignore, now, &cancel)
    })
    .await
    .map_err(|e| Error::unexpected("reading the source ended early").with_source(e))?
}
