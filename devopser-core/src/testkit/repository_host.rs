//! What every [`RepositoryHost`](crate::provider::RepositoryHost) must do.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Rig, Stranger, cases, check, check_refused};
use crate::id::{CiSecretName, CodeRepository, TreePath};
use crate::provider::{
    CodeHost, CommitRequest, Committed, EnsureRepository, FileChange, FileRead, HostedRepository,
    RepositoryHost, RepositoryRef,
};
use crate::{ErrorKind, Result, Secret};

/// What the cases work on.
#[expect(
    missing_debug_implementations,
    reason = "it holds the host's own objects"
)]
pub struct Fixture<'a> {
    /// The host.
    pub host: &'a dyn RepositoryHost,
    /// Reads what was written.
    pub code: &'a dyn CodeHost,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// The account or organisation in which repositories `kit-…` are made and removed.
    pub account: String,
    /// A template with at least one file.
    pub template: CodeRepository,
    /// Plants a `code_repository`.
    pub stranger: Option<&'a dyn Stranger>,
}

cases! {
    Fixture<'_>;
    ensuring_a_repository_twice_makes_one,
    a_foreign_repository_is_left_untouched,
    unchanged_files_make_no_commit,
    other_files_stay_as_they_are,
    a_head_that_moved_is_built_upon,
    ensuring_a_secret_twice_is_ok,
    removing_a_repository_twice_is_ok,
    another_repository_of_the_name_stays,
}

struct Scene<'a> {
    fixture: &'a Fixture<'a>,
    rig: Rig,
    request: EnsureRepository,
    repository: HostedRepository,
}

fn wanted(fixture: &Fixture<'_>, rig: &Rig) -> Result<EnsureRepository> {
    Ok(EnsureRepository {
        name: CodeRepository::new(format!("{}/{}", fixture.account, rig.ctx.owner.target.app))?,
        template: fixture.template.clone(),
        private: true,
        description: "made by the conformance kit".into(),
    })
}

impl<'a> Scene<'a> {
    async fn new(fixture: &'a Fixture<'_>) -> Result<Self> {
        let rig = Rig::new(fixture.folder)?;
        let request = wanted(fixture, &rig)?;
        let repository = fixture
            .host
            .ensure_from_template(&rig.ctx, request.clone())
            .await?;
        Ok(Self {
            fixture,
            rig,
            request,
            repository,
        })
    }

    async fn commit(&self, path: &str, content: &'static str) -> Result<Committed> {
        let change = FileChange::Write {
            content: content.into(),
            executable: false,
        };
        let request = CommitRequest {
            repository: self.repository.clone(),
            branch: self.repository.default_branch.clone(),
            message: "Change a file".into(),
            files: BTreeMap::from([(TreePath::new(path)?, change)]),
        };
        self.fixture.host.commit(&self.rig.ctx, request).await
    }

    /// What a file holds now; `None` when it is absent.
    async fn content(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let repository = RepositoryRef {
            url: self.repository.url.clone(),
            credential: None,
        };
        let code = self.fixture.code;
        let head = code.resolve(&self.rig.ctx, &repository, None).await?;
        let read = code
            .read(&self.rig.ctx, &head, &[TreePath::new(path)?])
            .await?;
        Ok(read.into_iter().find_map(|file| match file.content {
            FileRead::Present(content) => Some(content.to_vec()),
            _ => None,
        }))
    }

    async fn remove(&self) -> Result<()> {
        self.fixture
            .host
            .remove(&self.rig.ctx, &self.repository)
            .await
    }
}

/// Ensuring again returns the same repository.
pub async fn ensuring_a_repository_twice_makes_one(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    let rows = scene.rig.rows().await?;
    let again = fixture
        .host
        .ensure_from_template(&scene.rig.ctx, scene.request.clone())
        .await?;
    check!(
        again == scene.repository,
        "ensuring again must return the same repository"
    );
    check!(
        scene.rig.rows().await? == rows,
        "ensuring again must make nothing"
    );
    scene.remove().await
}

/// A repository of the name that is someone else's is left untouched.
pub async fn a_foreign_repository_is_left_untouched(fixture: &Fixture<'_>) -> Result<()> {
    let Some(stranger) = fixture.stranger else {
        return Ok(());
    };
    let rig = Rig::new(fixture.folder)?;
    let request = wanted(fixture, &rig)?;
    stranger
        .plant("code_repository", request.name.as_str())
        .await?;
    let ensured = fixture.host.ensure_from_template(&rig.ctx, request).await;
    check_refused(
        ensured,
        ErrorKind::AlreadyExists,
        "ensuring a foreign repository",
    )
}

/// Committing the same content again makes no commit.
pub async fn unchanged_files_make_no_commit(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    let first = scene.commit("kit.txt", "one").await?;
    let second = scene.commit("kit.txt", "one").await?;
    check!(
        first.changed && !second.changed,
        "only the first commit must change something"
    );
    check!(first.sha == second.sha, "the head must stay the same");
    scene.remove().await
}

/// Files that a commit does not name stay, those of the template too.
pub async fn other_files_stay_as_they_are(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    scene.commit("kit/one.txt", "one").await?;
    scene.commit("kit/two.txt", "two").await?;
    check!(
        scene.content("kit/one.txt").await?.as_deref() == Some(b"one"),
        "a file that a commit does not name must stay"
    );
    scene.remove().await
}

/// A commit from an old view of the repository does not undo what came in between.
pub async fn a_head_that_moved_is_built_upon(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    let (first, second) = futures::join!(
        scene.commit("kit/a.txt", "a"),
        scene.commit("kit/b.txt", "b")
    );
    first?;
    second?;
    for (path, content) in [("kit/a.txt", b"a"), ("kit/b.txt", b"b")] {
        let found = scene.content(path).await?;
        check!(
            found.as_deref() == Some(&content[..]),
            "{path} must be there after both commits"
        );
    }
    scene.remove().await
}

/// Keeping a secret again is `Ok`.
pub async fn ensuring_a_secret_twice_is_ok(fixture: &Fixture<'_>) -> Result<()> {
    if !fixture.host.capability().secrets {
        return Ok(());
    }
    let scene = Scene::new(fixture).await?;
    let name = CiSecretName::new("KIT_SECRET")?;
    for value in ["first", "first", "second"] {
        let value = Secret::new(value);
        fixture
            .host
            .ensure_secret(&scene.rig.ctx, &scene.repository, &name, &value)
            .await?;
    }
    scene.remove().await
}

/// Removing again is `Ok`.
pub async fn removing_a_repository_twice_is_ok(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    scene.remove().await?;
    scene.remove().await?;
    check!(
        scene.rig.rows().await?.is_empty(),
        "the row must leave with the repository"
    );
    Ok(())
}

/// A new repository of the old name is another one.
pub async fn another_repository_of_the_name_stays(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    scene.remove().await?;
    let newer = fixture
        .host
        .ensure_from_template(&scene.rig.ctx, scene.request.clone())
        .await?;
    check!(
        newer.id != scene.repository.id,
        "another repository must have another id"
    );
    scene.remove().await?;
    let again = fixture
        .host
        .ensure_from_template(&scene.rig.ctx, scene.request.clone())
        .await?;
    check!(again.id == newer.id, "the newer repository must stay");
    fixture.host.remove(&scene.rig.ctx, &newer).await
}
