//! What every [`ImageBuilder`](crate::provider::ImageBuilder) must do.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{Rig, cases, check, check_refused};
use crate::id::ImageRef;
use crate::model::artifact::Artifact;
use crate::model::service::ServiceRef;
use crate::provider::{BuildRequest, DestroyRequest, InventoryExt, Provider};
use crate::{Error, ErrorKind, Result, Secret};

/// What the cases work on.
#[derive(Clone, Copy, Debug)]
pub struct Fixture<'a> {
    /// The provider; its deployer removes what was built.
    pub provider: &'a Provider,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// A Dockerfile that builds within a minute; it copies the file `content` and writes at least a line.
    pub dockerfile: &'a str,
    /// A Dockerfile that builds for at least five seconds.
    pub slow_dockerfile: &'a str,
    /// A Dockerfile whose image depends on the value of the secret `kit`, which it mounts.
    pub secret_dockerfile: &'a str,
}

cases! {
    Fixture<'_>;
    output_is_told_line_by_line,
    a_cancelled_build_leaves_nothing,
    the_image_stands_in_the_ledger_first,
    the_same_request_gives_the_same_digest,
    another_secret_is_another_build,
}

fn request(rig: &Rig, dockerfile: &str) -> Result<BuildRequest> {
    let folder = rig.ctx.folder.join("source");
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join("content"), rig.ctx.owner.mark()))
        .map_err(|source| Error::unexpected("the source cannot be written").with_source(source))?;
    Ok(BuildRequest {
        folder,
        dockerfile: dockerfile.to_owned(),
        dockerignore: String::new(),
        tag: ImageRef::new(format!("devopser-kit/{}:1", rig.ctx.owner.target.app))?,
        target: None,
        build_args: BTreeMap::new(),
        secrets: BTreeMap::new(),
        no_cache: false,
    })
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

/// What the build writes is told; a build that fails names its step.
pub async fn output_is_told_line_by_line(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let builder = fixture.provider.image_builder()?;
    let built = builder
        .build(&rig.ctx, request(&rig, fixture.dockerfile)?)
        .await?;
    let lines = rig.services.lines();
    check!(!lines.is_empty(), "a build must tell what it writes");
    let broken = lines.iter().find(|line| line.contains('\n'));
    check!(
        broken.is_none(),
        "output must come line by line: {broken:?}"
    );
    let failing = request(&rig, &format!("{}\nRUN false\n", fixture.dockerfile))?;
    let failed = builder.build(&rig.ctx, failing).await;
    check_refused(failed, ErrorKind::BuildFailed, "a build whose step fails")?;
    let unreadable = builder
        .build(&rig.ctx, request(&rig, "NOT A DOCKERFILE\n")?)
        .await;
    check_refused(
        unreadable,
        ErrorKind::InvalidInput,
        "a Dockerfile that does not parse",
    )?;
    remove(fixture, &rig, Artifact::Image(built.image)).await
}

/// A build that is cancelled ends soon and leaves no image.
pub async fn a_cancelled_build_leaves_nothing(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let cancel = rig.ctx.cancel.clone();
    let (built, ()) = futures::join!(
        async {
            let request = request(&rig, fixture.slow_dockerfile)?;
            fixture
                .provider
                .image_builder()?
                .build(&rig.ctx, request)
                .await
        },
        async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            cancel.cancel();
        }
    );
    check_refused(built, ErrorKind::Cancelled, "a cancelled build")?;
    let mut after = rig.clone();
    after.ctx.cancel = crate::context::CancellationToken::new();
    if let Ok(inventory) = fixture.provider.inventory() {
        let left = inventory
            .all_owned(&after.ctx, &after.ctx.owner.mark())
            .await?;
        check!(left.is_empty(), "a cancelled build left {left:?}");
    }
    Ok(())
}

/// Without a row in the ledger nothing is built; what was built is noted and carries the mark.
pub async fn the_image_stands_in_the_ledger_first(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let builder = fixture.provider.image_builder()?;
    let refused = builder
        .build(
            &rig.with_closed_ledger(),
            request(&rig, fixture.dockerfile)?,
        )
        .await;
    check_refused(
        refused,
        ErrorKind::Conflict,
        "a build without a row in the ledger",
    )?;
    let built = builder
        .build(&rig.ctx, request(&rig, fixture.dockerfile)?)
        .await?;
    check!(
        !rig.rows().await?.is_empty(),
        "the image must stand in the ledger"
    );
    let unmade = rig.unmade_rows().await?;
    check!(unmade.is_empty(), "what was made must be noted: {unmade:?}");
    if let Ok(inventory) = fixture.provider.inventory() {
        let owned = inventory.all_owned(&rig.ctx, &rig.ctx.owner.mark()).await?;
        check!(!owned.is_empty(), "the image must carry the owner mark");
    }
    remove(fixture, &rig, Artifact::Image(built.image)).await?;
    check!(
        rig.rows().await?.is_empty(),
        "the row must leave with the image"
    );
    Ok(())
}

/// The same source and request give the same image, another source another one.
pub async fn the_same_request_gives_the_same_digest(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let builder = fixture.provider.image_builder()?;
    let first = builder
        .build(&rig.ctx, request(&rig, fixture.dockerfile)?)
        .await?;
    let second = builder
        .build(&rig.ctx, request(&rig, fixture.dockerfile)?)
        .await?;
    check!(
        first.image == second.image,
        "the same request must give the same image"
    );
    let changed = request(&rig, fixture.dockerfile)?;
    std::fs::write(changed.folder.join("content"), "changed")
        .map_err(|source| Error::unexpected("the source cannot be written").with_source(source))?;
    let third = builder.build(&rig.ctx, changed).await?;
    check!(
        third.image.digest != first.image.digest,
        "another source must give another image"
    );
    remove(fixture, &rig, Artifact::Image(third.image)).await
}

/// What was made with one value of a secret is not taken for another.
pub async fn another_secret_is_another_build(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let builder = fixture.provider.image_builder()?;
    let mut made = Vec::new();
    for value in ["kit-first", "kit-second", "kit-second"] {
        let mut request = request(&rig, fixture.secret_dockerfile)?;
        request.secrets.insert("kit".to_owned(), Secret::new(value));
        made.push(builder.build(&rig.ctx, request).await?.image);
    }
    check!(
        made[0].digest != made[1].digest,
        "another secret must give another image"
    );
    check!(
        made[1].digest == made[2].digest,
        "the same secret must give the same image"
    );
    remove(fixture, &rig, Artifact::Image(made.swap_remove(2))).await
}
