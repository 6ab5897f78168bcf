//! The steps `prepare` and `build`: the service, and the artifact that it will run.

use super::Steps;
use crate::context::Context;
use crate::engine::runtime::StepContext;
use crate::model::artifact::Artifact;
use crate::model::plan::{BuildPlan, Plan};
use crate::model::record::Release;
use crate::model::service::ServiceRef;
use crate::pipeline::StepInput;
use crate::provider::{BuildRequest, PrepareRequest, Provider, SourceBuildRequest};
use crate::{Error, Result};

/// Makes the service exist, and writes what the app needs to reach its databases into the release.
pub(super) async fn prepare(steps: Steps, cx: &dyn StepContext, input: StepInput) -> Result<()> {
    let (steps, input) = (&steps, &input);
    let target = &input.target;
    steps
        .run(cx, target, &input.deployment, |ctx| async move {
            let app = steps.app(target).await?.value;
            let mut release = steps.release(target, &input.release).await?;
            let databases = plan_of(&release)?.databases.clone();
            let names: Vec<String> = databases
                .iter()
                .map(|database| format!("{database:?}").to_lowercase())
                .collect();
            let request = PrepareRequest {
                target: target.clone(),
                databases,
            };
            let prepared = steps
                .provider(&app)?
                .deployer()?
                .prepare(&ctx, request)
                .await?;
            steps
                .update_app(target, |app| app.service = Some(prepared.service.clone()))
                .await?;
            for (name, value) in prepared.env {
                release.env.entry(name).or_insert(value);
            }
            steps.put_release(&release).await?;
            Ok(((), (!names.is_empty()).then(|| names.join(", "))))
        })
        .await
}

/// Builds the artifact and writes it into the release.
pub(super) async fn build(steps: Steps, cx: &dyn StepContext, input: StepInput) -> Result<()> {
    let (steps, input) = (&steps, &input);
    let target = &input.target;
    steps
        .run(cx, target, &input.deployment, |ctx| async move {
            let app = steps.app(target).await?.value;
            let mut release = steps.release(target, &input.release).await?;
            let provider = std::sync::Arc::clone(steps.provider(&app)?);
            let artifact = steps
                .artifact(&ctx, input, &provider, plan_of(&release)?)
                .await?;
            let detail = short(&artifact);
            if let Artifact::Image(image) = &artifact
                && let Some(port) = image.port
                && release.app_port == 0
            {
                release.app_port = port;
            }
            release.artifact = Some(artifact);
            steps.put_release(&release).await?;
            Ok(((), Some(detail)))
        })
        .await
}

fn short(artifact: &Artifact) -> String {
    let digest = artifact.digest().hex();
    let digest = digest.get(..12).unwrap_or(digest);
    match artifact {
        Artifact::Image(_) => format!("image {digest}"),
        Artifact::StaticSite(_) => format!("site {digest}"),
        Artifact::Process(_) => format!("folder {digest}"),
    }
}

fn plan_of(release: &Release) -> Result<&Plan> {
    release
        .plan
        .as_deref()
        .ok_or_else(|| Error::unexpected(format!("release {} has no plan", release.id)))
}

impl Steps {
    async fn artifact(
        &self,
        ctx: &Context,
        input: &StepInput,
        provider: &Provider,
        plan: &Plan,
    ) -> Result<Artifact> {
        let spec = self.spec(&input.target, &input.deployment).await?;
        let folder = self.source_folder(ctx, &spec).await?;
        match &plan.build {
            BuildPlan::Image {
                dockerfile,
                dockerignore,
                ..
            } => {
                let request = BuildRequest {
                    folder,
                    dockerfile: dockerfile.clone(),
                    dockerignore: dockerignore.clone(),
                    tag: self.shared.image_tag(&input.target, &input.deployment)?,
                    build_args: spec.build_env.clone(),
                    secrets: std::collections::BTreeMap::new(),
                    no_cache: false,
                };
                Ok(Artifact::Image(
                    provider.image_builder()?.build(ctx, request).await?.image,
                ))
            }
            BuildPlan::Process { .. } | BuildPlan::Static { .. } => {
                let digest = match &spec.source {
                    crate::model::source::Source::Snapshot { digest, .. } => digest.clone(),
                    other => {
                        return Err(Error::invalid(
                            "source",
                            format!("{} holds no source code", other.describe()),
                        ));
                    }
                };
                let mut request = SourceBuildRequest::new(folder, digest, plan.build.clone());
                request.build_env = spec.build_env.clone();
                provider.source_builder()?.build(ctx, request).await
            }
        }
    }

    /// The service of an app. Before it was made ready, its name is empty: a provider then goes by the target.
    pub(crate) fn service(app: &crate::model::record::App) -> ServiceRef {
        app.service.clone().unwrap_or_else(|| ServiceRef {
            provider: app.provider.clone(),
            target: app.target.clone(),
            name: String::new(),
        })
    }
}
