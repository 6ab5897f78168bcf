//! What every [`Registry`](crate::provider::Registry) must do.

use std::path::Path;

use super::{Rig, Stranger, cases, check, check_refused};
use crate::id::{ImageTag, RepositoryName};
use crate::provider::{Access, ImageSource, PushRequest, Registry, Repository};
use crate::{ErrorKind, Result};

/// What the cases work on.
#[expect(
    missing_debug_implementations,
    reason = "it holds the host's own objects"
)]
pub struct Fixture<'a> {
    /// The registry.
    pub registry: &'a dyn Registry,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// An image that can be pushed.
    pub image: ImageSource,
    /// Another one.
    pub other_image: ImageSource,
    /// Plants a `repository`.
    pub stranger: Option<&'a dyn Stranger>,
}

cases! {
    Fixture<'_>;
    ensuring_a_repository_twice_makes_one,
    a_foreign_repository_is_left_untouched,
    an_unknown_tag_is_not_found,
    pushing_twice_stores_nothing,
    what_was_pushed_resolves,
    deleting_an_image_twice_is_ok,
}

fn name(rig: &Rig) -> Result<RepositoryName> {
    RepositoryName::new(rig.ctx.owner.target.app.as_str())
}

async fn repository(fixture: &Fixture<'_>) -> Result<(Rig, Repository)> {
    let rig = Rig::new(fixture.folder)?;
    let repository = fixture
        .registry
        .ensure_repository(&rig.ctx, &name(&rig)?)
        .await?;
    Ok((rig, repository))
}

fn push(repository: &Repository, source: &ImageSource) -> Result<PushRequest> {
    Ok(PushRequest {
        source: source.clone(),
        repository: repository.clone(),
        tag: ImageTag::new("v1")?,
    })
}

/// Ensuring a repository again returns the same and makes nothing; a login for it can be had.
pub async fn ensuring_a_repository_twice_makes_one(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, first) = repository(fixture).await?;
    let rows = rig.rows().await?;
    let second = fixture
        .registry
        .ensure_repository(&rig.ctx, &name(&rig)?)
        .await?;
    check!(first == second, "ensuring again must return the same");
    check!(
        rig.rows().await? == rows,
        "ensuring again must make nothing"
    );
    for access in [Access::Pull, Access::Push] {
        let login = fixture.registry.login(&rig.ctx, &first, access).await?;
        check!(!login.server.is_empty(), "a login must name its server");
        let shown = format!("{login:?}");
        check!(
            !shown.contains(login.password.expose()),
            "a login must not show its password"
        );
    }
    Ok(())
}

/// A repository of the name that is someone else's is left untouched.
pub async fn a_foreign_repository_is_left_untouched(fixture: &Fixture<'_>) -> Result<()> {
    let Some(stranger) = fixture.stranger else {
        return Ok(());
    };
    let rig = Rig::new(fixture.folder)?;
    let name = name(&rig)?;
    stranger.plant("repository", name.as_str()).await?;
    let ensured = fixture.registry.ensure_repository(&rig.ctx, &name).await;
    check_refused(
        ensured,
        ErrorKind::AlreadyExists,
        "ensuring a foreign repository",
    )?;
    check!(
        rig.rows().await?.is_empty(),
        "what is not ours must not be in the ledger"
    );
    Ok(())
}

/// A tag that was never pushed is not found.
pub async fn an_unknown_tag_is_not_found(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, repository) = repository(fixture).await?;
    let found = fixture
        .registry
        .resolve(&rig.ctx, &repository, &ImageTag::new("none")?)
        .await;
    check_refused(found, ErrorKind::NotFound, "resolving an unknown tag")
}

/// Pushing the same image again returns the same; another image does not take an immutable tag.
pub async fn pushing_twice_stores_nothing(fixture: &Fixture<'_>) -> Result<()> {
    if !fixture.registry.capability().push {
        return Ok(());
    }
    let (rig, repository) = repository(fixture).await?;
    let first = fixture
        .registry
        .push(&rig.ctx, push(&repository, &fixture.image)?)
        .await?;
    let rows = rig.rows().await?.len();
    let second = fixture
        .registry
        .push(&rig.ctx, push(&repository, &fixture.image)?)
        .await?;
    check!(first == second, "pushing again must return the same");
    check!(
        rig.rows().await?.len() == rows,
        "pushing again must store nothing"
    );
    if fixture.registry.capability().immutable_tags {
        let other = fixture
            .registry
            .push(&rig.ctx, push(&repository, &fixture.other_image)?)
            .await;
        check_refused(other, ErrorKind::Conflict, "giving a tag to another image")?;
    }
    Ok(())
}

/// What was pushed is found under its tag.
pub async fn what_was_pushed_resolves(fixture: &Fixture<'_>) -> Result<()> {
    if !fixture.registry.capability().push {
        return Ok(());
    }
    let (rig, repository) = repository(fixture).await?;
    let request = push(&repository, &fixture.image)?;
    let pushed = fixture.registry.push(&rig.ctx, request.clone()).await?;
    let digest = fixture
        .registry
        .resolve(&rig.ctx, &repository, &request.tag)
        .await?;
    check!(digest == pushed.digest, "the tag must name what was pushed");
    Ok(())
}

/// Deleting an image again is `Ok`.
pub async fn deleting_an_image_twice_is_ok(fixture: &Fixture<'_>) -> Result<()> {
    let capability = fixture.registry.capability();
    if !capability.push || !capability.delete {
        return Ok(());
    }
    let (rig, repository) = repository(fixture).await?;
    let request = push(&repository, &fixture.image)?;
    let pushed = fixture.registry.push(&rig.ctx, request.clone()).await?;
    for _ in 0..2 {
        fixture
            .registry
            .delete(&rig.ctx, &repository, &pushed.digest)
            .await?;
    }
    let found = fixture
        .registry
        .resolve(&rig.ctx, &repository, &request.tag)
        .await;
    check_refused(found, ErrorKind::NotFound, "resolving what was deleted")
}
