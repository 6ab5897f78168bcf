//! [`SourceBuilder`] on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use devopser_core::context::Context;
use devopser_core::id::Digest;
use devopser_core::model::artifact::{Artifact, ProcessArtifact, StaticSite};
use devopser_core::model::plan::BuildPlan;
use devopser_core::provider::{ProviderInfo, SourceBuildRequest, SourceBuilder};
use devopser_core::{Error, ErrorKind, Result};

use super::error::{blocking, error};
use super::folder::{self as tree, CopyOptions};
use super::run::run;
use super::spawn::Start;
use super::things::FOLDER;
use super::{Local, end, name};

/// Installs into the app's own folder what would otherwise go to the system's.
const MAKE_VENV: [&str; 4] = ["python3", "-m", "venv", ".venv"];
/// How long the worker's lease must last before a build begins.
const MARGIN: Duration = Duration::from_secs(10);

/// Where the builds of a target lie.
pub(super) fn folder(ctx: &Context) -> PathBuf {
    ctx.folder().join("builds")
}

/// A build: its folder, and the file that says that it is done.
struct Build {
    digest: Digest,
    name: String,
    folder: PathBuf,
    done: PathBuf,
}

impl Build {
    fn of(ctx: &Context, digest: Digest) -> Self {
        let key = digest.hex().get(..32).unwrap_or_default().to_owned();
        Self {
            name: name(ctx, &format!("builds/{key}")),
            folder: folder(ctx).join(&key),
            done: folder(ctx).join(format!("{key}.done")),
            digest,
        }
    }

    fn artifact(&self, plan: &BuildPlan) -> Result<Artifact> {
        match plan {
            BuildPlan::Process { start, release, .. } => Ok(Artifact::Process(ProcessArtifact {
                folder: self.folder.clone(),
                digest: self.digest.clone(),
                command: start.clone(),
                release: release.clone(),
            })),
            BuildPlan::Static {
                output_dir,
                single_page_app,
                ..
            } => Ok(Artifact::StaticSite(StaticSite {
                folder: self.output(output_dir)?,
                digest: self.digest.clone(),
                single_page_app: *single_page_app,
            })),
            _ => Err(unsupported()),
        }
    }

    /// The folder that the build made; it lies inside the build's, links resolved.
    fn output(&self, output_dir: &str) -> Result<PathBuf> {
        let inside = Path::new(output_dir)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let folder = self.folder.join(output_dir);
        let real = fs::canonicalize(&folder).ok().filter(|real| {
            let root = fs::canonicalize(&self.folder);
            real.is_dir() && root.is_ok_and(|root| real.starts_with(root))
        });
        if inside && real.is_some() {
            return Ok(folder);
        }
        let made = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut made: Vec<String> = made
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.') && name != "node_modules")
            .collect();
        made.sort();
        let text = format!("the build made no folder \"{output_dir}\"");
        Err(error(ErrorKind::BuildFailed, text)
            .with_context("folders", made.join(", "))
            .with_remedy("Correct the output folder, or the command that builds."))
    }
}

/// The commands of a plan, in order.
fn commands(plan: &BuildPlan) -> Result<Vec<Vec<String>>> {
    let (BuildPlan::Process { install, build, .. } | BuildPlan::Static { install, build, .. }) =
        plan
    else {
        return Err(unsupported());
    };
    let mut commands = Vec::new();
    if install.as_ref().is_some_and(|install| wants_venv(install)) {
        commands.push(MAKE_VENV.map(str::to_owned).to_vec());
    }
    commands.extend(install.iter().chain(build).cloned());
    Ok(commands)
}

fn wants_venv(install: &[String]) -> bool {
    let words: Vec<&str> = install.iter().map(String::as_str).collect();
    matches!(
        words.as_slice(),
        ["pip" | "pip3", ..] | ["python" | "python3", "-m", "pip", ..] | ["uv", "pip", ..]
    )
}

fn unsupported() -> Error {
    error(
        ErrorKind::Unsupported,
        "this machine builds static sites and processes, no images",
    )
}

/// What decides how a build comes out.
fn digest(request: &SourceBuildRequest, commands: &[Vec<String>]) -> Result<Digest> {
    let parts = (&request.digest, commands, &request.build_env);
    // The values of secrets stay out of it: a key is seen by everyone, and a short value could be found from it.
    let names: Vec<&String> = request.build_secrets.keys().collect();
    let text = match names.is_empty() {
        true => serde_json::to_vec(&parts),
        false => serde_json::to_vec(&(parts, names)),
    };
    let text = text.map_err(|source| {
        error(ErrorKind::Unexpected, "a build cannot be named").with_source(source)
    })?;
    Ok(Digest::of(&text))
}

/// The environment of the commands.
fn environment(request: &SourceBuildRequest) -> BTreeMap<String, String> {
    let mut env = request.build_env.clone();
    let secrets = request.build_secrets.iter();
    env.extend(secrets.map(|(name, secret)| (name.clone(), secret.expose().to_owned())));
    env
}

#[async_trait]
impl SourceBuilder for Local {
    fn info(&self) -> ProviderInfo {
        self.info.clone()
    }

    async fn build(&self, ctx: &Context, request: SourceBuildRequest) -> Result<Artifact> {
        let commands = commands(&request.plan)?;
        let build = Build::of(ctx, digest(&request, &commands)?);
        let slot = self.slots.of(&build.folder);
        let _held = slot.lock.lock().await;
        if build.done.is_file() && build.folder.is_dir() {
            ctx.progress
                .note("nothing changed: the earlier build is used");
            return build.artifact(&request.plan);
        }
        ctx.before_mutation(MARGIN)?;
        let row = self
            .things
            .intend(ctx, FOLDER, &build.name, &build.folder)
            .await?;
        let made = self.make(ctx, &build, &request, &commands).await;
        match made {
            Ok(artifact) => {
                let path = build.folder.display().to_string();
                ctx.ledger.created(&row, &path).await?;
                Ok(artifact)
            }
            Err(error) => {
                // The row stays when this fails, so that it is tried again later.
                if let Err(left) = self.remove_folder(ctx, &build.name, &build.folder).await {
                    tracing::warn!(error = %left, "a failed build could not be removed");
                }
                Err(error)
            }
        }
    }
}

impl Local {
    async fn make(
        &self,
        ctx: &Context,
        build: &Build,
        request: &SourceBuildRequest,
        commands: &[Vec<String>],
    ) -> Result<Artifact> {
        // What a build left behind that was cut off.
        end::end(&build.name, None, Duration::ZERO).await?;
        let (copying, from, to) = (
            ctx.clone(),
            request.source_folder.clone(),
            build.folder.clone(),
        );
        let left_out = blocking(move || {
            tree::remove(&to)?;
            tree::copy(&copying, &from, &to, CopyOptions::default())
        })
        .await?;
        for path in left_out {
            let path = path.display();
            ctx.progress.note(&format!(
                "{path} is left out: it leads out of the source, or is no file"
            ));
        }
        for command in commands {
            let start = Start {
                command,
                folder: &build.folder,
                env: environment(request),
                mark: &build.name,
                failure: ErrorKind::BuildFailed,
            };
            run(ctx, &self.runner.config, start, request.timeout).await?;
        }
        let artifact = build.artifact(&request.plan)?;
        let done = build.done.clone();
        blocking(move || tree::write(&done, b"")).await?;
        Ok(artifact)
    }

    /// Removes a build. An absent one is fine.
    pub(super) async fn remove_build(&self, ctx: &Context, digest: &Digest) -> Result<()> {
        let build = Build::of(ctx, digest.clone());
        let slot = self.slots.of(&build.folder);
        let held = slot.lock.lock().await;
        forget(&build.done)?;
        if self.things.get(FOLDER, &build.name).is_some() {
            self.remove_folder(ctx, &build.name, &build.folder).await?;
        }
        self.things.gone(ctx, FOLDER, &build.name).await?;
        drop(held);
        self.slots.forget(&build.folder);
        Ok(())
    }
}

fn forget(done: &Path) -> Result<()> {
    match fs::remove_file(done) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(super::error::file("remove", done, source))
        }
        _ => Ok(()),
    }
}

/// Forgets every build of a target whose folders are removed, and the folders that held builds and releases.
pub(super) async fn forget_all(ctx: &Context) -> Result<()> {
    let (builds, releases) = (folder(ctx), ctx.folder().join("releases"));
    blocking(move || {
        for entry in fs::read_dir(&builds).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|end| end == "done") {
                forget(&entry.path())?;
            }
        }
        // What is not ours keeps them.
        let _ = fs::remove_dir(&builds);
        let _ = fs::remove_dir(&releases);
        Ok(())
    })
    .await
}
