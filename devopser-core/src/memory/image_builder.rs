//! [`MemoryImageBuilder`]: reads a Dockerfile line by line and runs nothing of it.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::cloud::MemoryCloud;
use super::services::lock;
use super::snapshot::Verb;
use crate::context::Context;
use crate::id::Digest;
use crate::model::artifact::ImageArtifact;
use crate::provider::{BuildRequest, Built, ImageBuilder, ProviderInfo};
use crate::{Error, ErrorKind, Result};

/// An image builder that runs nothing. A Dockerfile without `FROM` does not parse, `RUN false` fails, `RUN sleep 5`
/// takes that long, every other line is a step that succeeds; `EXPOSE` gives the image its port. The digest comes from the request, its secrets
/// included, and the folder's content.
#[derive(Clone, Debug)]
pub struct MemoryImageBuilder {
    cloud: MemoryCloud,
}

impl MemoryImageBuilder {
    /// The image builder of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }
}

#[async_trait]
impl ImageBuilder for MemoryImageBuilder {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    async fn build(&self, ctx: &Context, request: BuildRequest) -> Result<Built> {
        let call = self.cloud.change(ctx, "ImageBuilder::build").await?;
        let steps = steps_of(&request.dockerfile)?;
        let image = ImageArtifact {
            reference: request.tag.clone(),
            digest: digest_of(&request)?,
            port: exposed(&steps),
        };
        let name = request.tag.as_str().to_owned();
        let before = lock(&self.cloud.shared.state)
            .images
            .get(&request.tag)
            .cloned();
        if before.as_ref() == Some(&image) {
            ctx.progress.log("CACHED");
        } else {
            let row = self.cloud.intend(ctx, "image", &name).await?;
            if let Err(error) = run_steps(ctx, &steps).await {
                if before.is_none() {
                    ctx.ledger.gone(&row).await?;
                }
                return Err(error);
            }
        }
        let made = image.clone();
        self.cloud
            .ensure(ctx, call, "image", &name, move |state| {
                state.images.insert(made.reference.clone(), made);
            })
            .await?;
        let mut state = lock(&self.cloud.shared.state);
        // The tag may have named another build before: it moves.
        if state.images.get(&image.reference) != Some(&image) {
            state.images.insert(image.reference.clone(), image.clone());
            state.effect(Verb::Changed, "image", &name);
        }
        Ok(Built::new(image, 1 << 20))
    }
}

fn steps_of(dockerfile: &str) -> Result<Vec<String>> {
    let steps: Vec<String> = dockerfile
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    match steps.first() {
        Some(first) if first.starts_with("FROM ") || first.starts_with("ARG ") => Ok(steps),
        first => Err(Error::invalid(
            "dockerfile",
            format!(
                "line 1 must begin a stage with FROM, not \"{}\"",
                first.map_or("", String::as_str)
            ),
        )
        .with_context("line", 1)
        .with_provider("memory")),
    }
}

fn exposed(steps: &[String]) -> Option<u16> {
    steps
        .iter()
        .find_map(|step| step.strip_prefix("EXPOSE "))
        .and_then(|port| port.trim().parse().ok())
}

async fn run_steps(ctx: &Context, steps: &[String]) -> Result<()> {
    for (index, step) in steps.iter().enumerate() {
        ctx.check_cancelled()?;
        ctx.progress
            .log(&format!("[{}/{}] {step}", index + 1, steps.len()));
        if step == "RUN false" {
            return Err(
                Error::new(ErrorKind::BuildFailed, format!("\"{step}\" exited with 1"))
                    .with_provider("memory")
                    .with_context("step", step)
                    .with_log(vec![format!("[{}/{}] {step}", index + 1, steps.len())]),
            );
        }
        match step.strip_prefix("RUN sleep ").map(str::parse) {
            Some(Ok(seconds)) => ctx.sleep(Duration::from_secs(seconds)).await?,
            _ => tokio::task::yield_now().await,
        }
    }
    Ok(())
}

fn digest_of(request: &BuildRequest) -> Result<Digest> {
    let mut content = Vec::new();
    content.extend(request.dockerfile.as_bytes());
    content.extend(request.dockerignore.as_bytes());
    for (name, value) in &request.build_args {
        content.extend(format!("\0{name}={value}").as_bytes());
    }
    for (name, secret) in &request.secrets {
        let secret = Digest::of(secret.expose().as_bytes());
        content.extend(format!("\0{name}:{secret}").as_bytes());
    }
    add_folder(&request.folder, &request.folder, &mut content).map_err(|source| {
        Error::invalid("folder", "cannot be read")
            .with_context("folder", request.folder.display())
            .with_source(source)
    })?;
    Ok(Digest::of(&content))
}

/// Adds the names and contents of a folder's files, in order.
pub(super) fn add_folder(root: &Path, folder: &Path, content: &mut Vec<u8>) -> std::io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<std::io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type()?;
        let relative = path.strip_prefix(root).unwrap_or(&path);
        content.push(0);
        content.extend(relative.as_os_str().as_encoded_bytes());
        content.push(0);
        if kind.is_dir() {
            add_folder(root, &path, content)?;
        } else if kind.is_file() {
            content.extend(std::fs::read(&path)?);
        }
    }
    Ok(())
}
