//! What every [`SourceBuilder`](crate::provider::SourceBuilder) must do.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Rig, cases, check, check_refused};
use crate::context::CancellationToken;
use crate::id::Digest;
use crate::model::artifact::Artifact;
use crate::model::plan::BuildPlan;
use crate::model::service::ServiceRef;
use crate::provider::{DestroyRequest, Provider, SourceBuildRequest};
use crate::{Error, ErrorKind, Result};

/// What the cases work on.
#[derive(Clone, Copy, Debug)]
pub struct Fixture<'a> {
    /// The provider; its deployer removes what was built.
    pub provider: &'a Provider,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// A command that writes at least a line and succeeds.
    pub command: &'a [&'a str],
    /// A command that takes at least five seconds; `None` where nothing is really run.
    pub slow_command: Option<&'a [&'a str]>,
}

cases! {
    Fixture<'_>;
    output_is_told_line_by_line,
    a_cancelled_build_ends_its_command,
    the_folder_stands_in_the_ledger_first,
    the_same_request_runs_nothing,
    a_build_that_was_cut_off_begins_afresh,
}

fn source(rig: &Rig) -> Result<PathBuf> {
    let folder = rig.ctx.folder.join("source");
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join("index.html"), rig.ctx.owner.mark()))
        .map_err(|source| Error::unexpected("the source cannot be written").with_source(source))?;
    Ok(folder)
}

fn request(rig: &Rig, command: &[&str]) -> Result<SourceBuildRequest> {
    let plan = BuildPlan::Static {
        install: None,
        build: Some(command.iter().map(|part| (*part).to_owned()).collect()),
        output_dir: ".".into(),
        single_page_app: false,
    };
    let digest = Digest::of(rig.ctx.owner.mark().as_bytes());
    Ok(SourceBuildRequest::new(source(rig)?, digest, plan))
}

async fn remove(fixture: &Fixture<'_>, rig: &Rig, artifact: Artifact) -> Result<()> {
    let service = ServiceRef {
        provider: fixture.provider.info.id.clone(),
        target: rig.ctx.owner.target.clone(),
        name: rig.ctx.owner.target.app.to_string(),
    };
    let request = DestroyRequest::Artifact { service, artifact };
    fixture
        .provider
        .deployer()?
        .destroy(&rig.ctx, request)
        .await
}

fn folder_of(artifact: &Artifact) -> Option<&Path> {
    match artifact {
        Artifact::StaticSite(site) => Some(&site.folder),
        Artifact::Process(process) => Some(&process.folder),
        Artifact::Image(_) => None,
    }
}

/// What the commands write is told; a command that fails is named.
pub async fn output_is_told_line_by_line(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let builder = fixture.provider.source_builder()?;
    let artifact = builder
        .build(&rig.ctx, request(&rig, fixture.command)?)
        .await?;
    let folder = folder_of(&artifact);
    check!(
        folder.is_some_and(|folder| folder.join("index.html").is_file()),
        "the artifact must hold the source's files"
    );
    let lines = rig.services.lines();
    check!(!lines.is_empty(), "a build must tell what it writes");
    check!(
        lines.iter().all(|line| !line.contains('\n')),
        "output must come line by line"
    );
    let failed = builder.build(&rig.ctx, request(&rig, &["false"])?).await;
    check_refused(failed, ErrorKind::BuildFailed, "a command that fails")?;
    let missing = builder
        .build(&rig.ctx, request(&rig, &["missing-program-of-the-kit"])?)
        .await;
    check_refused(
        missing,
        ErrorKind::BuildFailed,
        "a program that is not installed",
    )?;
    let mut image = request(&rig, fixture.command)?;
    image.plan = BuildPlan::Image {
        dockerfile: "FROM scratch\n".into(),
        dockerignore: String::new(),
        own_dockerfile: true,
        options: Default::default(),
    };
    let unsupported = builder.build(&rig.ctx, image).await;
    check_refused(
        unsupported,
        ErrorKind::Unsupported,
        "a plan of another kind",
    )?;
    remove(fixture, &rig, artifact).await
}

/// A cancelled build ends soon.
pub async fn a_cancelled_build_ends_its_command(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let builder = fixture.provider.source_builder()?;
    let started = Instant::now();
    let built = if let Some(slow) = fixture.slow_command {
        let request = request(&rig, slow)?;
        let (built, ()) = futures::join!(builder.build(&rig.ctx, request), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            rig.ctx.cancel.cancel();
        });
        built
    } else {
        rig.ctx.cancel.cancel();
        builder
            .build(&rig.ctx, request(&rig, fixture.command)?)
            .await
    };
    check_refused(built, ErrorKind::Cancelled, "a cancelled build")?;
    check!(
        started.elapsed() < Duration::from_secs(4),
        "a cancelled build must end soon"
    );
    Ok(())
}

/// Without a row in the ledger nothing is built; what was built is noted.
pub async fn the_folder_stands_in_the_ledger_first(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let builder = fixture.provider.source_builder()?;
    let closed = rig.with_closed_ledger();
    let refused = builder
        .build(&closed, request(&rig, fixture.command)?)
        .await;
    check_refused(
        refused,
        ErrorKind::Conflict,
        "a build without a row in the ledger",
    )?;
    let artifact = builder
        .build(&rig.ctx, request(&rig, fixture.command)?)
        .await?;
    check!(
        !rig.rows().await?.is_empty(),
        "the folder must stand in the ledger"
    );
    let unmade = rig.unmade_rows().await?;
    check!(unmade.is_empty(), "what was made must be noted: {unmade:?}");
    remove(fixture, &rig, artifact).await?;
    check!(
        rig.rows().await?.is_empty(),
        "the row must leave with the folder"
    );
    Ok(())
}

/// The same request again returns the same artifact and runs nothing.
pub async fn the_same_request_runs_nothing(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let builder = fixture.provider.source_builder()?;
    let first = builder
        .build(&rig.ctx, request(&rig, fixture.command)?)
        .await?;
    let lines = rig.services.lines().len();
    let second = builder
        .build(&rig.ctx, request(&rig, fixture.command)?)
        .await?;
    check!(
        first == second,
        "the same request must return the same artifact"
    );
    check!(
        rig.services.lines().len() == lines,
        "the same request must run nothing"
    );
    remove(fixture, &rig, first).await?;
    let third = builder
        .build(&rig.ctx, request(&rig, fixture.command)?)
        .await?;
    check!(
        rig.services.lines().len() > lines,
        "a removed artifact must be built again"
    );
    remove(fixture, &rig, third).await
}

/// What a build left behind that was cut off does not get into the next one.
pub async fn a_build_that_was_cut_off_begins_afresh(fixture: &Fixture<'_>) -> Result<()> {
    let mut rig = Rig::new(fixture.folder)?;
    let builder = fixture.provider.source_builder()?;
    let slow = fixture.slow_command.unwrap_or(fixture.command);
    if fixture.slow_command.is_some() {
        let attempt = builder.build(&rig.ctx, request(&rig, slow)?);
        // Dropped in the middle, as when the worker dies.
        let cut = tokio::time::timeout(Duration::from_millis(500), attempt).await;
        check!(cut.is_err(), "the slow command must take longer");
    } else {
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        let alive = std::mem::replace(&mut rig.ctx.cancel, cancelled);
        let cut = builder.build(&rig.ctx, request(&rig, slow)?).await;
        check_refused(cut, ErrorKind::Cancelled, "a cancelled build")?;
        rig.ctx.cancel = alive;
    }
    let artifact = builder.build(&rig.ctx, request(&rig, slow)?).await?;
    let folder = folder_of(&artifact);
    check!(
        folder.is_some_and(|folder| folder.join("index.html").is_file()),
        "the artifact must be whole"
    );
    remove(fixture, &rig, artifact).await
}
