//! The steps `prepare` and `build`: the service, and the artifact that it will run.

use std::collections::BTreeMap;

use super::Steps;
use crate::context::Context;
use crate::engine::runtime::StepContext;
use crate::model::artifact::{Artifact, ImageArtifact};
use crate::model::plan::{BuildPlan, DeploySpec, Plan};
use crate::model::record::Release;
use crate::model::service::{EnvValue, ServiceRef};
use crate::pipeline::StepInput;
use crate::provider::{BuildRequest, DestroyRequest, PrepareRequest, Provider, SourceBuildRequest};
use crate::source::inside;
use crate::{Error, Result, Secret};

/// Makes the service exist, and writes what the app needs to reach its databases into the release.
pub(super) async fn prepare(steps: Steps, cx: &dyn StepContext, input: StepInput) -> Result<()> {
    let (steps, input) = (&steps, &input);
    let target = &input.target;
    steps
        .run(cx, target, &input.deployment, |ctx| async move {
            let app = steps.app(target).await?.value;
            let mut release = steps.release(target, &input.release).await?;
            let plan = plan_of(&release)?.clone();
            let databases = plan.databases;
            let names: Vec<String> = databases
                .iter()
                .map(|database| format!("{database:?}").to_lowercase())
                .collect();
            let request = PrepareRequest {
                target: target.clone(),
                databases,
                without_password: plan.without_password,
            };
            let prepared = steps
                .provider(&app)?
                .deployer()?
                .prepare(&ctx, request)
                .await?;
            steps
                .update_app(target, |app| app.service = Some(prepared.service.clone()))
                .await?;
            for (name, text) in plan.database_env {
                let name = crate::id::EnvName::new(name)?;
                if let Some(value) = EnvValue::filled(&text, &prepared.env) {
                    release.env.entry(name).or_insert(value);
                }
            }
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
            let plan = plan_of(&release)?.clone();
            for companion in &plan.companions {
                let name = &companion.name;
                ctx.progress.note(&format!("Making the image of {name}"));
                let Artifact::Image(image) = steps
                    .artifact(&ctx, input, &provider, &companion.build, name)
                    .await?
                else {
                    return Err(Error::unexpected(format!("{name} has no image")));
                };
                release.companion_images.insert(name.clone(), image);
            }
            let artifact = steps
                .artifact(&ctx, input, &provider, &plan.build, "")
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

/// The secrets of the build, for as long as it goes on.
async fn build_secrets(ctx: &Context, spec: &DeploySpec) -> Result<BTreeMap<String, Secret>> {
    let mut secrets = BTreeMap::new();
    for (name, reference) in &spec.build_secrets {
        let secret = ctx.vault.get(reference).await?;
        secrets.insert(name.to_string(), secret);
    }
    Ok(secrets)
}

impl Steps {
    async fn artifact(
        &self,
        ctx: &Context,
        input: &StepInput,
        provider: &Provider,
        plan: &BuildPlan,
        part: &str,
    ) -> Result<Artifact> {
        let spec = self.spec(&input.target, &input.deployment).await?;
        let folder = self.source_folder(ctx, &spec).await?;
        match plan {
            BuildPlan::Image { .. } => {
                self.image(ctx, input, provider, plan, (folder, &spec), part)
                    .await
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
                let mut request = SourceBuildRequest::new(folder, digest, plan.clone());
                request.build_env = spec.build_env.clone();
                request.build_secrets = build_secrets(ctx, &spec).await?;
                provider.source_builder()?.build(ctx, request).await
            }
        }
    }

    async fn image(
        &self,
        ctx: &Context,
        input: &StepInput,
        provider: &Provider,
        plan: &BuildPlan,
        (folder, spec): (std::path::PathBuf, &DeploySpec),
        part: &str,
    ) -> Result<Artifact> {
        let BuildPlan::Image {
            dockerfile,
            dockerignore,
            options,
            ..
        } = plan
        else {
            return Err(Error::unexpected("the plan makes no image"));
        };
        let top = self.source_top(ctx, spec).await?;
        let context = match options.context.as_str() {
            "" => top,
            context => inside(&top, context)?,
        };
        let mut build_args = options.args.clone();
        build_args.extend(spec.build_env.clone());
        let tag = |part: &str| {
            self.shared
                .image_tag(&input.target, &input.deployment, part)
        };
        let base = format!("{part}.base");
        let is_base = !options.adds.is_empty();
        let request = BuildRequest {
            folder: context,
            dockerfile: dockerfile.clone(),
            dockerignore: dockerignore.clone(),
            tag: tag(if is_base { &base } else { part })?,
            target: options.target.clone(),
            build_args,
            secrets: build_secrets(ctx, spec).await?,
            no_cache: false,
        };
        let built = provider.image_builder()?.build(ctx, request).await?.image;
        if !is_base {
            return Ok(Artifact::Image(built));
        }
        let adds = (folder, options.adds.as_str());
        self.with_files(ctx, input, provider, built, adds, tag(part)?)
            .await
    }

    /// The image with files of the source added; the one without them goes.
    async fn with_files(
        &self,
        ctx: &Context,
        input: &StepInput,
        provider: &Provider,
        base: ImageArtifact,
        (folder, adds): (std::path::PathBuf, &str),
        tag: crate::id::ImageRef,
    ) -> Result<Artifact> {
        let request = BuildRequest {
            folder,
            dockerfile: format!("FROM {} AS base\n{adds}", base.reference),
            dockerignore: ".git\n".into(),
            tag,
            target: None,
            build_args: BTreeMap::new(),
            secrets: BTreeMap::new(),
            no_cache: false,
        };
        let built = provider.image_builder()?.build(ctx, request).await;
        let service = Self::service(&self.app(&input.target).await?.value);
        let artifact = Artifact::Image(base);
        let request = DestroyRequest::Artifact { service, artifact };
        provider.deployer()?.destroy(ctx, request).await?;
        Ok(Artifact::Image(built?.image))
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
