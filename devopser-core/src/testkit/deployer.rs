//! What every [`Deployer`](crate::provider::Deployer) must do.

use std::path::Path;
use std::time::Duration;

use super::{Artifacts, Rig, Stranger, cases, check, check_refused};
use crate::context::Context;
use crate::id::ReleaseId;
use crate::model::artifact::Artifact;
use crate::model::container::{Companion, ContainerOptions, RestartRule};
use crate::model::plan::{BuildPlan, ImageOptions};
use crate::model::service::{HealthCheck, Limits, ReleasePhase, ReleaseRef, ServiceRef};
use crate::provider::{
    DeployRequest, Deployer, DeployerExt, DestroyRequest, InventoryExt, Poll, PrepareRequest,
    Prepared, Provider,
};
use crate::{ErrorKind, Result};

/// What the cases work on.
#[expect(
    missing_debug_implementations,
    reason = "it holds the host's own objects"
)]
pub struct Fixture<'a> {
    /// The provider.
    pub provider: &'a Provider,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// Makes what is deployed.
    pub artifacts: &'a dyn Artifacts,
    /// Plants a `service`; its name is that of [`Prepared::service`].
    pub stranger: Option<&'a dyn Stranger>,
}

cases! {
    Fixture<'_>;
    preparing_twice_returns_the_same,
    what_is_made_stands_in_the_ledger_first,
    a_foreign_service_is_left_untouched,
    deploying_twice_starts_one_release,
    other_releases_stay_as_they_are,
    companions_run_as_the_request_says,
    activating_twice_changes_nothing,
    destroying_twice_is_ok,
    rows_leave_with_their_things,
    what_is_not_ours_is_not_destroyed,
}

/// A target with its service.
struct Scene<'a> {
    deployer: &'a dyn Deployer,
    artifacts: &'a dyn Artifacts,
    rig: Rig,
    prepared: Prepared,
}

impl<'a> Scene<'a> {
    async fn new(fixture: &'a Fixture<'_>) -> Result<Self> {
        let rig = Rig::new(fixture.folder)?;
        let deployer = &**fixture.provider.deployer()?;
        let prepared = prepare(deployer, &rig.ctx).await?;
        Ok(Self {
            deployer,
            artifacts: fixture.artifacts,
            rig,
            prepared,
        })
    }

    fn ctx(&self) -> &Context {
        &self.rig.ctx
    }

    fn service(&self) -> ServiceRef {
        self.prepared.service.clone()
    }

    async fn request(&self, number: u32) -> Result<DeployRequest> {
        let (artifact, app_port) = self.artifacts.make(self.ctx(), number).await?;
        Ok(DeployRequest {
            service: self.service(),
            release: ReleaseId::generate(),
            artifact,
            app_port,
            env: self.prepared.env.clone(),
            limits: Limits::default(),
            container: Default::default(),
            companions: Vec::new(),
            health: HealthCheck::default(),
        })
    }

    /// A release that takes requests.
    async fn live(&self, number: u32) -> Result<ReleaseRef> {
        let request = self.request(number).await?;
        let release = self.deployer.deploy(self.ctx(), request).await?;
        let poll = Poll::until(Duration::from_secs(120)).every(Duration::from_millis(200));
        self.deployer
            .wait_until_live(self.ctx(), &release, poll)
            .await?;
        Ok(release)
    }

    async fn destroy(&self) -> Result<()> {
        let service = self.service();
        self.deployer
            .destroy(self.ctx(), DestroyRequest::Service { service })
            .await
    }
}

async fn prepare(deployer: &dyn Deployer, ctx: &Context) -> Result<Prepared> {
    let request = PrepareRequest {
        target: ctx.owner.target.clone(),
        databases: Vec::new(),
        without_password: Vec::new(),
    };
    deployer.prepare(ctx, request).await
}

/// Preparing a target again changes nothing and returns the same.
pub async fn preparing_twice_returns_the_same(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    let rows = scene.rig.rows().await?;
    let again = prepare(scene.deployer, scene.ctx()).await?;
    check!(
        again == scene.prepared,
        "preparing again must return the same"
    );
    check!(
        scene.rig.rows().await? == rows,
        "preparing again must make nothing"
    );
    scene.destroy().await
}

/// Nothing is made that the ledger does not hold, and what was made is noted.
pub async fn what_is_made_stands_in_the_ledger_first(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let deployer = &**fixture.provider.deployer()?;
    let refused = prepare(deployer, &rig.with_closed_ledger()).await;
    // A deployer that needs nothing around a release has nothing to write down.
    if refused.is_err() {
        check_refused(
            refused,
            ErrorKind::Conflict,
            "preparing without a row in the ledger",
        )?;
        if let Ok(inventory) = fixture.provider.inventory() {
            let made = inventory.all_owned(&rig.ctx, &rig.ctx.owner.mark()).await?;
            check!(
                made.is_empty(),
                "without a row in the ledger nothing may be made: {made:?}"
            );
        }
    }
    let scene = Scene::new(fixture).await?;
    scene.live(1).await?;
    let unmade = scene.rig.unmade_rows().await?;
    check!(unmade.is_empty(), "what was made must be noted: {unmade:?}");
    if let Ok(inventory) = fixture.provider.inventory() {
        let rows = scene.rig.rows().await?;
        for thing in inventory
            .all_owned(scene.ctx(), &scene.ctx().owner.mark())
            .await?
        {
            let noted = rows
                .iter()
                .any(|row| row.intent.kind == thing.kind && row.intent.name == thing.name);
            check!(
                noted,
                "{} {} carries our mark and is in no row",
                thing.kind,
                thing.name
            );
        }
    }
    scene.destroy().await
}

/// A service of the name that is someone else's is left untouched.
pub async fn a_foreign_service_is_left_untouched(fixture: &Fixture<'_>) -> Result<()> {
    let Some(stranger) = fixture.stranger else {
        return Ok(());
    };
    let scene = Scene::new(fixture).await?;
    scene.destroy().await?;
    let name = scene.service().name;
    stranger.plant("service", &name).await?;
    let prepared = prepare(scene.deployer, scene.ctx()).await;
    check_refused(
        prepared,
        ErrorKind::AlreadyExists,
        "preparing a foreign service",
    )?;
    check!(
        stranger.is_there("service", &name).await?,
        "the foreign service must stay"
    );
    Ok(())
}

/// The same release again returns the same and starts nothing.
pub async fn deploying_twice_starts_one_release(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    let request = scene.request(1).await?;
    let first = scene.deployer.deploy(scene.ctx(), request.clone()).await?;
    let rows = scene.rig.rows().await?.len();
    let second = scene.deployer.deploy(scene.ctx(), request).await?;
    check!(
        first == second,
        "deploying again must return the same release"
    );
    check!(
        scene.rig.rows().await?.len() == rows,
        "deploying again must make nothing"
    );
    let releases = scene
        .deployer
        .releases(scene.ctx(), &scene.service())
        .await?;
    check!(
        releases == [first],
        "there must be one release, not {releases:?}"
    );
    scene.destroy().await
}

/// A new release leaves the one that runs alone.
pub async fn other_releases_stay_as_they_are(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    let first = scene.live(1).await?;
    if scene.deployer.capability().staged {
        scene.live(2).await?;
        let status = scene.deployer.status(scene.ctx(), &first).await?;
        check!(
            status.phase == ReleasePhase::Running,
            "the first release must run on, not be {:?}",
            status.phase
        );
    }
    scene.destroy().await
}

/// What runs beside the app is left alone where it did not change, and replaced where it did.
pub async fn companions_run_as_the_request_says(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    let mut request = scene.request(1).await?;
    request.companions = vec![companion(&request)];
    let (deployer, control) = (scene.deployer, fixture.provider.service_control()?);
    if !deployer.capability().companions {
        let refused = deployer.deploy(scene.ctx(), request).await;
        check_refused(refused, ErrorKind::Unsupported, "companions")?;
        return scene.destroy().await;
    }
    let mut started = Vec::new();
    for change in [None, None, Some("changed")] {
        request.release = ReleaseId::generate();
        request.companions[0].container.hostname = change.map(str::to_owned);
        let release = deployer.deploy(scene.ctx(), request.clone()).await?;
        let beside = control.companions(scene.ctx(), &release).await?;
        let names: Vec<&str> = beside.iter().map(|one| one.name.as_str()).collect();
        check!(names == ["beside"], "one companion must run, not {names:?}");
        started.push(beside[0].status.started_at);
    }
    check!(
        started[0] == started[1],
        "a companion that runs as it must is left alone"
    );
    check!(
        started[1] != started[2],
        "a companion that changed must be replaced"
    );
    let request = DestroyRequest::Companions {
        service: scene.service(),
        keep: Vec::new(),
    };
    deployer.destroy(scene.ctx(), request).await?;
    scene.destroy().await
}

/// The app's own image once more, beside it.
fn companion(request: &DeployRequest) -> Companion {
    let image = match &request.artifact {
        Artifact::Image(image) => Some(image.clone()),
        _ => None,
    };
    Companion {
        name: "beside".into(),
        build: BuildPlan::Image {
            dockerfile: "FROM scratch\n".into(),
            dockerignore: String::new(),
            own_dockerfile: false,
            options: ImageOptions::default(),
        },
        image,
        container: ContainerOptions::default(),
        limits: Limits::default(),
        restart: RestartRule::UnlessStopped,
        after_app: false,
    }
}

/// Activating again changes nothing; it promotes and rolls back.
pub async fn activating_twice_changes_nothing(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    let first = scene.live(1).await?;
    let second = scene.live(2).await?;
    let upstream = scene.deployer.activate(scene.ctx(), &second).await?;
    let again = scene.deployer.activate(scene.ctx(), &second).await?;
    check!(
        upstream == again,
        "activating again must return the same upstream"
    );
    if scene.deployer.capability().staged {
        let back = scene.deployer.activate(scene.ctx(), &first).await?;
        check!(
            back != upstream,
            "another release must have another upstream"
        );
    }
    let release = first.clone();
    scene
        .deployer
        .destroy(scene.ctx(), DestroyRequest::Release { release })
        .await?;
    let gone = scene.deployer.activate(scene.ctx(), &first).await;
    check_refused(
        gone,
        ErrorKind::NotFound,
        "activating a release that is gone",
    )?;
    scene.destroy().await
}

/// Destroying what is gone is `Ok`.
pub async fn destroying_twice_is_ok(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    let request = scene.request(1).await?;
    let artifact = request.artifact.clone();
    let release = scene.deployer.deploy(scene.ctx(), request.clone()).await?;
    for _ in 0..2 {
        let release = release.clone();
        let request = DestroyRequest::Release { release };
        scene.deployer.destroy(scene.ctx(), request).await?;
    }
    let status = scene.deployer.status(scene.ctx(), &release).await?;
    check!(
        status.phase == ReleasePhase::Absent,
        "a destroyed release must be absent"
    );
    for _ in 0..2 {
        let request = DestroyRequest::Artifact {
            service: scene.service(),
            artifact: artifact.clone(),
        };
        scene.deployer.destroy(scene.ctx(), request).await?;
    }
    let without_artifact = scene.deployer.deploy(scene.ctx(), request).await;
    check_refused(
        without_artifact,
        ErrorKind::NotFound,
        "deploying an artifact that is gone",
    )?;
    scene.destroy().await?;
    scene.destroy().await
}

/// Once the service is destroyed, nothing of it is left, in the ledger or at the provider.
pub async fn rows_leave_with_their_things(fixture: &Fixture<'_>) -> Result<()> {
    let scene = Scene::new(fixture).await?;
    scene.live(1).await?;
    scene.live(2).await?;
    scene.destroy().await?;
    let rows = scene.rig.rows().await?;
    check!(rows.is_empty(), "rows are left: {rows:?}");
    if let Ok(inventory) = fixture.provider.inventory() {
        let left = inventory
            .all_owned(scene.ctx(), &scene.ctx().owner.mark())
            .await?;
        check!(left.is_empty(), "things are left: {left:?}");
    }
    Ok(())
}

/// A service of the name that is someone else's is not destroyed.
pub async fn what_is_not_ours_is_not_destroyed(fixture: &Fixture<'_>) -> Result<()> {
    let Some(stranger) = fixture.stranger else {
        return Ok(());
    };
    let scene = Scene::new(fixture).await?;
    scene.destroy().await?;
    let name = scene.service().name;
    stranger.plant("service", &name).await?;
    scene.destroy().await?;
    check!(
        stranger.is_there("service", &name).await?,
        "the foreign service must stay"
    );
    Ok(())
}
