//! The steps `fetch`, `plan` and `choose`: from a source to a release that is written down.

use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

use super::Steps;
use crate::context::Context;
use crate::engine::runtime::StepContext;
use crate::id::{Digest, Target};
use crate::model::artifact::Artifact;
use crate::model::deployment::{Action, Deployment};
use crate::model::plan::{BuildPlan, DeploySpec, Plan};
use crate::model::record::{App, Desired, Expected, PageRequest, Release, ReleaseState};
use crate::model::service::{EnvValue, ReleasePhase};
use crate::model::source::Source;
use crate::pipeline::StepInput;
use crate::provider::BlobStoreExt;
use crate::source::{GitRequest, inside, snapshot_git, unpack};
use crate::store::DeploymentStoreExt;
use crate::{Error, ErrorKind, Result};

/// Makes sure that the app is known with its port, and that the source lies in the blob store as a snapshot.
pub(super) async fn fetch(steps: Steps, cx: &dyn StepContext, input: StepInput) -> Result<()> {
    let (steps, input) = (&steps, &input);
    let (target, id) = (&input.target, &input.deployment);
    steps
        .run(cx, target, id, |ctx| async move {
            let spec = steps.spec(target, id).await?;
            steps.ensure_app(&spec).await?;
            let Source::Git { url, revision } = &spec.source else {
                return Ok(((), Some(spec.source.describe())));
            };
            let work = ctx.folder().join("git");
            let bundle = ctx.folder().join(format!("{id}.tar"));
            let request = GitRequest {
                url: url.clone(),
                revision: revision.clone(),
                credential: None,
                work,
                limits: steps.shared.limits.clone(),
                program: steps.shared.git.clone(),
            };
            let taken = snapshot_git(&request, &bundle, &*ctx.progress, &ctx.cancel).await?;
            let digest = steps
                .shared
                .parts
                .blobs
                .put_file(&target.tenant, &bundle)
                .await?;
            remove_file(&bundle).await;
            let origin = format!(
                "{}@{}",
                url.without_credentials(),
                taken.commit.get(..12).unwrap_or(&taken.commit)
            );
            let source = Source::Snapshot {
                digest,
                origin: origin.clone(),
                commit: Some(taken.commit),
            };
            steps.set_source(target, id, &source).await?;
            Ok(((), Some(origin)))
        })
        .await
}

/// Looks at the source and writes down the release that is to be made. `false` when the live release is the same already.
pub(super) async fn plan(steps: Steps, cx: &dyn StepContext, input: StepInput) -> Result<bool> {
    let (steps, input) = (&steps, &input);
    let (target, id) = (&input.target, &input.deployment);
    steps
        .run(cx, target, id, |ctx| async move {
            let spec = steps.spec(target, id).await?;
            steps.source_folder(&ctx, &spec).await?;
            let folder = steps.source_top(&ctx, &spec).await?;
            let shared = &steps.shared;
            let planner = std::sync::Arc::clone(&shared.parts.planner);
            let (for_planner, for_folder) = (spec.clone(), folder.clone());
            let plan = blocking(move || planner.plan(&for_folder, &for_planner)).await?;
            for warning in &plan.warnings {
                ctx.progress.note(warning);
            }
            let fingerprint = fingerprint(&spec, &plan)?;
            if let Some(live) = steps.live_with(&ctx, target, &fingerprint).await? {
                return Ok((
                    false,
                    Some(format!("unchanged: release {} is live", live.number)),
                ));
            }
            let detail = describe(&plan);
            steps.write_release(input, &spec, plan, fingerprint).await?;
            Ok((true, Some(detail)))
        })
        .await
}

/// Chooses the release that a rollback goes to, and writes its artifact down as a new release.
pub(super) async fn choose(steps: Steps, cx: &dyn StepContext, input: StepInput) -> Result<()> {
    let (steps, input) = (&steps, &input);
    let (target, id) = (&input.target, &input.deployment);
    steps
        .run(cx, target, id, |ctx| async move {
            let records = &steps.shared.parts.records;
            let current = steps.app(target).await?.value.current_release;
            let wanted = match records.deployment(&target.tenant, id).await?.map(|found| found.value.action) {
                Some(Action::Rollback { to }) => to,
                _ => None,
            };
            let all = records.releases(target, PageRequest { offset: 0, limit: 1000 }).await?;
            let all: Vec<Release> = all.into_iter().map(|found| found.value).collect();
            if all.iter().any(|release| release.id == input.release) {
                return Ok(((), None));
            }
            let number = all.iter().map(|release| release.number).max().unwrap_or(0) + 1;
            let live = all.iter().find(|release| Some(&release.id) == current.as_ref());
            let chosen = match &wanted {
                Some(wanted) => all.iter().find(|release| release.id == *wanted),
                None => all.iter().find(|release| {
                    release.state == ReleaseState::Retired
                        && live.is_some_and(|live| release.number < live.number && release.artifact != live.artifact)
                }),
            };
            let chosen = chosen.ok_or_else(|| no_release(target, wanted.is_some()))?;
            if !matches!(chosen.state, ReleaseState::Retired | ReleaseState::Active) || chosen.artifact.is_none() {
                return Err(Error::new(ErrorKind::NotFound, format!("release {} cannot run again", chosen.number))
                    .with_remedy("Its artifact is gone. Deploy its source again."));
            }
            ctx.progress.note("A rollback changes what runs and its environment. Databases and files stay as they are.");
            let release = Release {
                id: input.release.clone(),
                number,
                deployment: id.clone(),
                state: ReleaseState::Pending,
                origin: chosen.origin.clone(),
                reference: None,
                created_at: steps.shared.now(),
                ..chosen.clone()
            };
            steps.put_release(&release).await?;
            Ok(((), Some(format!("back to release {}", chosen.number))))
        })
        .await
}

fn no_release(target: &Target, asked: bool) -> Error {
    let app = &target.app;
    let text = if asked {
        format!("\"{app}\" has no such release")
    } else {
        format!("\"{app}\" has no earlier release to go back to")
    };
    Error::new(ErrorKind::NotFound, text).with_remedy("`devopser status` lists the releases.")
}

fn describe(plan: &Plan) -> String {
    let stack = plan.report.stack.as_ref();
    let fact =
        |fact: Option<&crate::model::report::Fact<String>>| fact.map(|fact| fact.value.clone());
    let mut parts: Vec<String> = Vec::new();
    if let BuildPlan::Image {
        own_dockerfile: true,
        ..
    } = plan.build
    {
        parts.push(match plan.companions.is_empty() {
            true => "its own Dockerfile".into(),
            false => "its own compose file".into(),
        });
    } else if let Some(stack) = stack {
        parts.extend(fact(stack.framework.as_ref()));
        parts.extend(fact(stack.runtime.as_ref()).map(|runtime| {
            match fact(stack.version.as_ref()) {
                Some(version) => format!("{runtime} {version}"),
                None => runtime,
            }
        }));
        parts.extend(fact(stack.package_manager.as_ref()));
    }
    parts.extend(
        plan.companions
            .iter()
            .map(|companion| companion.name.clone()),
    );
    parts.extend(plan.databases.iter().filter_map(|database| {
        serde_json::to_value(database)
            .ok()
            .and_then(|name| name.as_str().map(str::to_owned))
    }));
    parts.dedup();
    parts.join(", ")
}

/// What makes two deployments the same: the source, how it is built, and how it runs.
fn fingerprint(spec: &DeploySpec, plan: &Plan) -> Result<String> {
    let source = match &spec.source {
        Source::Snapshot { digest, .. } => digest.to_string(),
        // A tag can move: an image is never known to be unchanged.
        other => format!("{}-{}", other.describe(), uuid::Uuid::now_v7()),
    };
    let all = serde_json::json!([
        source,
        spec.root,
        spec.provider,
        spec.env,
        spec.build_env,
        spec.build_secrets,
        spec.limits,
        plan.health(&spec.health),
        spec.port,
        plan.build,
        plan.app_port,
        plan.databases,
        plan.without_password,
        plan.database_env,
        plan.run_env,
        plan.container,
        plan.limits,
        plan.companions,
    ]);
    let text = serde_json::to_vec(&all).map_err(|source| {
        Error::unexpected("the plan cannot be written as JSON").with_source(source)
    })?;
    Ok(Digest::of(&text).to_string())
}

impl Steps {
    /// The record of the app, made with a reserved port where it is new.
    async fn ensure_app(&self, spec: &DeploySpec) -> Result<App> {
        let shared = &self.shared;
        let records = &shared.parts.records;
        let found = records.app(&spec.target).await?;
        if let Some(found) = &found {
            if found.value.provider != spec.provider {
                let (app, provider) = (&spec.target.app, &found.value.provider);
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!("\"{app}\" runs on the provider {provider}"),
                )
                .with_remedy(format!(
                    "Remove it first (`devopser rm {app}`), or deploy under another name."
                )));
            }
            if spec.port.is_none_or(|port| port == found.value.port) {
                return Ok(found.value.clone());
            }
        }
        let port = self
            .reserve_port(spec, found.as_ref().map(|found| found.value.port))
            .await?;
        let expected = found
            .as_ref()
            .map_or(Expected::Absent, |found| Expected::Revision(found.revision));
        let app = match found {
            Some(found) => App {
                port,
                ..found.value
            },
            None => App {
                target: spec.target.clone(),
                provider: spec.provider.clone(),
                port,
                desired: Desired::Running,
                service: None,
                current_release: None,
                created_at: shared.now(),
            },
        };
        records.put_app(&app, expected).await?;
        Ok(app)
    }

    async fn reserve_port(&self, spec: &DeploySpec, has: Option<u16>) -> Result<u16> {
        let shared = &self.shared;
        let system = &shared.parts.system;
        let held = system.ports().await?;
        let mine = held
            .iter()
            .find(|grant| grant.target == spec.target)
            .map(|grant| grant.port);
        if let Some(wanted) = spec.port {
            if Some(wanted) != mine && !(shared.port_is_free)(wanted) {
                return Err(port_taken(wanted));
            }
            if has.is_some() && mine != Some(wanted) {
                system.release_port(&spec.target).await?;
            }
            return system
                .reserve_port(&spec.target, Some(wanted), &[])
                .await?
                .ok_or_else(|| port_taken(wanted));
        }
        if let Some(mine) = mine {
            return Ok(mine);
        }
        let mut candidates: Vec<u16> = Vec::with_capacity(64);
        let span = usize::from(shared.ports.end() - shared.ports.start()) + 1;
        let first = rand::random_range(0..span);
        for offset in 0..span {
            let port = shared.ports.start() + u16::try_from((first + offset) % span).unwrap_or(0);
            if !held.iter().any(|grant| grant.port == port) && (shared.port_is_free)(port) {
                candidates.push(port);
            }
            if candidates.len() == 64 {
                break;
            }
        }
        system
            .reserve_port(&spec.target, None, &candidates)
            .await?
            .ok_or_else(|| {
                let (first, last) = (shared.ports.start(), shared.ports.end());
                Error::new(
                    ErrorKind::QuotaExceeded,
                    format!("no port from {first} to {last} is free"),
                )
                .with_remedy("Remove an app that is not needed any more.")
            })
    }

    /// Replaces the source of a deployment by its snapshot.
    async fn set_source(
        &self,
        target: &Target,
        id: &crate::id::DeploymentId,
        source: &Source,
    ) -> Result<Deployment> {
        self.update_deployment(target, id, |record| {
            if let Action::Deploy { spec } = &mut record.action {
                spec.source = source.clone();
            }
        })
        .await
    }

    /// The app's folder inside the unpacked source.
    pub(super) async fn source_folder(&self, ctx: &Context, spec: &DeploySpec) -> Result<PathBuf> {
        let top = self.source_top(ctx, spec).await?;
        match &spec.root {
            None => Ok(top),
            Some(root) => inside(&top, root),
        }
    }

    /// The unpacked source; for an image, an empty folder.
    pub(super) async fn source_top(&self, ctx: &Context, spec: &DeploySpec) -> Result<PathBuf> {
        let sources = ctx.folder().join("sources");
        let Source::Snapshot { digest, .. } = &spec.source else {
            let empty = sources.join("none");
            make_folder(&empty).await?;
            return Ok(empty);
        };
        make_folder(&sources).await?;
        let folder = sources.join(digest.hex());
        if !folder.is_dir() {
            self.unpack(&spec.target, digest, &folder).await?;
        }
        Ok(folder)
    }

    async fn unpack(&self, target: &Target, digest: &Digest, into: &Path) -> Result<()> {
        let bundle = into.with_extension("tar");
        let mut content = self.shared.parts.blobs.get(&target.tenant, digest).await?;
        let written = async {
            let mut file = tokio::fs::File::create(&bundle).await?;
            tokio::io::copy(&mut content, &mut file).await?;
            file.flush().await
        };
        written.await.map_err(|source| {
            Error::new(
                ErrorKind::DiskFull,
                format!("the source {digest} cannot be unpacked"),
            )
            .with_source(source)
        })?;
        let (from, into) = (bundle.clone(), into.to_owned());
        blocking(move || unpack(&from, &into)).await?;
        remove_file(&bundle).await;
        Ok(())
    }

    /// The live release, when it has that fingerprint and runs.
    async fn live_with(
        &self,
        ctx: &Context,
        target: &Target,
        fingerprint: &str,
    ) -> Result<Option<Release>> {
        let app = self.app(target).await?.value;
        let Some(current) = &app.current_release else {
            return Ok(None);
        };
        let release = self.release(target, current).await?;
        let Some(reference) = release
            .reference
            .as_ref()
            .filter(|_| app.desired == Desired::Running)
        else {
            return Ok(None);
        };
        if release.fingerprint != fingerprint {
            return Ok(None);
        }
        let status = self
            .provider(&app)?
            .deployer()?
            .status(ctx, reference)
            .await?;
        // A provider whose own first check still waits says that it is starting.
        let runs = matches!(status.phase, ReleasePhase::Running | ReleasePhase::Starting)
            && status.upstream.is_some();
        Ok(runs.then_some(release))
    }

    async fn write_release(
        &self,
        input: &StepInput,
        spec: &DeploySpec,
        plan: Plan,
        fingerprint: String,
    ) -> Result<()> {
        let records = &self.shared.parts.records;
        let earlier = records
            .releases(
                &input.target,
                PageRequest {
                    offset: 0,
                    limit: 1000,
                },
            )
            .await?;
        let earlier = earlier
            .iter()
            .filter(|found| found.value.id != input.release);
        let number = earlier.map(|found| found.value.number).max().unwrap_or(0) + 1;
        let mut env = spec.env.clone();
        for (name, value) in &plan.run_env {
            let name = crate::id::EnvName::new(name.as_str())?;
            env.entry(name)
                .or_insert_with(|| EnvValue::Plain(value.clone()));
        }
        let release = Release {
            id: input.release.clone(),
            target: input.target.clone(),
            number,
            deployment: input.deployment.clone(),
            state: ReleaseState::Pending,
            artifact: None::<Artifact>,
            companion_images: std::collections::BTreeMap::new(),
            origin: spec.source.describe(),
            fingerprint,
            app_port: plan.app_port,
            env,
            limits: plan.limits.unwrap_or(spec.limits),
            health: plan.health(&spec.health),
            reference: None,
            plan: Some(Box::new(plan)),
            created_at: self.shared.now(),
        };
        self.put_release(&release).await
    }
}

fn port_taken(port: u16) -> Error {
    Error::new(ErrorKind::PortTaken, format!("the port {port} is in use"))
        .with_context("port", port)
        .with_remedy("Choose another port, or leave it out to get a free one.")
}

async fn make_folder(folder: &Path) -> Result<()> {
    tokio::fs::create_dir_all(folder).await.map_err(|source| {
        Error::new(
            ErrorKind::DiskFull,
            format!("the folder {} cannot be made", folder.display()),
        )
        .with_source(source)
    })
}

async fn remove_file(file: &Path) {
    // A left-over is removed with the folder of the app at the latest.
    let _ = tokio::fs::remove_file(file).await;
}

/// Runs blocking work on its own thread.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| Error::unexpected("a blocking task panicked").with_source(source))?
}
