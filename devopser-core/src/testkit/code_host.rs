//! What every [`CodeHost`](crate::provider::CodeHost) must do.

use std::path::Path;

use futures::StreamExt;

use super::{Rig, cases, check, check_refused};
use crate::id::{GitRevision, TreePath};
use crate::provider::{CodeHost, CommitRef, FileRead, RepositoryRef};
use crate::{ErrorKind, Result};

/// What the cases work on.
#[derive(Clone, Debug)]
pub struct Fixture<'a> {
    /// The code host.
    pub host: &'a dyn CodeHost,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// A repository with at least two files on its default branch.
    pub repository: RepositoryRef,
    /// One of the files.
    pub file: TreePath,
    /// What it holds.
    pub content: Vec<u8>,
}

cases! {
    Fixture<'_>;
    a_commit_resolves_to_itself,
    an_unknown_revision_is_not_found,
    the_listing_is_sorted,
    there_is_one_answer_for_each_path,
    an_archive_that_is_too_large_ends_in_an_error,
}

async fn head(fixture: &Fixture<'_>) -> Result<(Rig, CommitRef)> {
    let rig = Rig::new(fixture.folder)?;
    let commit = fixture
        .host
        .resolve(&rig.ctx, &fixture.repository, None)
        .await?;
    Ok((rig, commit))
}

/// Resolving a commit gives that commit.
pub async fn a_commit_resolves_to_itself(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, commit) = head(fixture).await?;
    let revision = GitRevision::new(commit.sha.as_str())?;
    let again = fixture
        .host
        .resolve(&rig.ctx, &fixture.repository, Some(&revision))
        .await?;
    check!(again == commit, "a commit must resolve to itself");
    Ok(())
}

/// A revision that does not exist is not found.
pub async fn an_unknown_revision_is_not_found(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    for revision in ["no-such-branch-of-the-kit", &"0".repeat(40)] {
        let revision = GitRevision::new(revision)?;
        let found = fixture
            .host
            .resolve(&rig.ctx, &fixture.repository, Some(&revision))
            .await;
        check_refused(found, ErrorKind::NotFound, "resolving an unknown revision")?;
    }
    Ok(())
}

/// The listing is sorted and holds the file.
pub async fn the_listing_is_sorted(fixture: &Fixture<'_>) -> Result<()> {
    if !fixture.host.capability().tree {
        return Ok(());
    }
    let (rig, commit) = head(fixture).await?;
    let listing = fixture.host.tree(&rig.ctx, &commit).await?;
    check!(
        listing.entries.is_sorted_by(|a, b| a.path < b.path),
        "the listing must be sorted"
    );
    let found = listing
        .entries
        .iter()
        .any(|entry| entry.path == fixture.file);
    check!(
        found || listing.truncated,
        "the listing must hold {} or say that it is cut",
        fixture.file
    );
    Ok(())
}

/// Absent files have an answer, too, in the order asked for.
pub async fn there_is_one_answer_for_each_path(fixture: &Fixture<'_>) -> Result<()> {
    if !fixture.host.capability().tree {
        return Ok(());
    }
    let (rig, commit) = head(fixture).await?;
    let absent = TreePath::new("no/such/file of the kit")?;
    let paths = [absent.clone(), fixture.file.clone(), absent];
    let answers = fixture.host.read(&rig.ctx, &commit, &paths).await?;
    let asked: Vec<&TreePath> = answers.iter().map(|answer| &answer.path).collect();
    check!(
        asked == paths.iter().collect::<Vec<_>>(),
        "there must be an answer for each path, in order"
    );
    let reads: Vec<&FileRead> = answers.iter().map(|answer| &answer.content).collect();
    let present = FileRead::Present(fixture.content.as_slice().into());
    check!(
        reads == [&FileRead::Absent, &present, &FileRead::Absent],
        "the contents must be as they are in the commit"
    );
    Ok(())
}

/// A limit on the archive holds; without need of it, the archive is whole.
pub async fn an_archive_that_is_too_large_ends_in_an_error(fixture: &Fixture<'_>) -> Result<()> {
    if !fixture.host.capability().archive {
        return Ok(());
    }
    let (rig, commit) = head(fixture).await?;
    let parts: Vec<_> = fixture.host.archive(&rig.ctx, &commit, 10).collect().await;
    check!(
        parts.iter().any(Result::is_err),
        "an archive over its limit must end in an error"
    );
    let mut bytes = Vec::new();
    let mut archive = fixture.host.archive(&rig.ctx, &commit, 1 << 30);
    while let Some(part) = archive.next().await {
        bytes.extend_from_slice(&part?);
    }
    check!(bytes.starts_with(&[0x1f, 0x8b]), "an archive must be gzip");
    Ok(())
}
