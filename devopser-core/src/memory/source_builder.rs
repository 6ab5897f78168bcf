//! [`MemorySourceBuilder`]: names what it would run, and runs nothing.

use std::time::Duration;

use async_trait::async_trait;

use super::cloud::MemoryCloud;
use super::services::lock;
use crate::context::Context;
use crate::id::Digest;
use crate::model::artifact::{Artifact, ProcessArtifact, StaticSite};
use crate::model::plan::BuildPlan;
use crate::provider::{ProviderInfo, SourceBuildRequest, SourceBuilder};
use crate::{Error, ErrorKind, Result};

/// A source builder that runs nothing and copies nothing: the artifact lies in the source's own folder. The command
/// `false` fails, `sleep 5` takes that long, a program whose name begins with `missing-` is not installed, every other command succeeds.
#[derive(Clone, Debug)]
pub struct MemorySourceBuilder {
    cloud: MemoryCloud,
}

impl MemorySourceBuilder {
    /// The source builder of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }
}

#[async_trait]
impl SourceBuilder for MemorySourceBuilder {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    async fn build(&self, ctx: &Context, request: SourceBuildRequest) -> Result<Artifact> {
        let call = self.cloud.change(ctx, "SourceBuilder::build").await?;
        let digest = digest_of(&request);
        let (artifact, commands) = outcome(&request, &digest)?;
        let name = digest.as_str().to_owned();
        let built = lock(&self.cloud.shared.state)
            .thing("folder", &name)
            .is_some();
        if !built {
            self.cloud.intend(ctx, "folder", &name).await?;
            if let Err(error) = run(ctx, &commands).await {
                self.cloud.discard(ctx, "folder", &name).await?;
                return Err(error);
            }
        }
        self.cloud
            .ensure(ctx, call, "folder", &name, move |state| {
                state.removed.remove(&digest);
            })
            .await?;
        Ok(artifact)
    }
}

type Commands = Vec<Vec<String>>;

fn outcome(request: &SourceBuildRequest, digest: &Digest) -> Result<(Artifact, Commands)> {
    let digest = digest.clone();
    let folder = request.source_folder.clone();
    let steps = |install: &Option<Vec<String>>, build: &Option<Vec<String>>| {
        install.iter().chain(build).cloned().collect()
    };
    match &request.plan {
        BuildPlan::Process {
            install,
            build,
            start,
            release,
        } => {
            let artifact = Artifact::Process(ProcessArtifact {
                folder,
                digest,
                command: start.clone(),
                release: release.clone(),
            });
            Ok((artifact, steps(install, build)))
        }
        BuildPlan::Static {
            install,
            build,
            output_dir,
            single_page_app,
        } => {
            let artifact = Artifact::StaticSite(StaticSite {
                folder: folder.join(output_dir),
                digest,
                single_page_app: *single_page_app,
            });
            Ok((artifact, steps(install, build)))
        }
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            "a source builder takes plans of the kind process or static",
        )
        .with_provider("memory")),
    }
}

fn digest_of(request: &SourceBuildRequest) -> Digest {
    let mut text = format!("{}\0{:?}", request.digest, request.plan);
    for (name, value) in &request.build_env {
        text.push_str(&format!("\0{name}={value}"));
    }
    for name in request.build_secrets.keys() {
        text.push_str(&format!("\0{name}"));
    }
    Digest::of(text.as_bytes())
}

async fn run(ctx: &Context, commands: &Commands) -> Result<()> {
    for command in commands {
        ctx.check_cancelled()?;
        let line = format!("$ {}", command.join(" "));
        ctx.progress.log(&line);
        let why = match command.first().map(String::as_str) {
            Some("false") => "exited with 1".to_owned(),
            Some(program) if program.starts_with("missing-") => {
                format!("\"{program}\" is not installed")
            }
            Some("sleep") => {
                let seconds = command.get(1).and_then(|text| text.parse().ok());
                ctx.sleep(Duration::from_secs(seconds.unwrap_or(1))).await?;
                continue;
            }
            _ => {
                tokio::task::yield_now().await;
                continue;
            }
        };
        return Err(Error::new(ErrorKind::BuildFailed, why)
            .with_provider("memory")
            .with_context("command", command.join(" "))
            .with_log(vec![line]));
    }
    Ok(())
}
