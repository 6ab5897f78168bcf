//! What every [`DomainBinder`](crate::provider::DomainBinder) must do.

use std::path::Path;
use std::time::Duration;

use super::{Rig, cases, check, check_refused};
use crate::id::HostName;
use crate::model::service::ServiceRef;
use crate::provider::{DomainBinder, DomainBinderExt, DomainPhase, DomainRef, Poll};
use crate::{ErrorKind, Result};

/// What the cases work on.
#[derive(Clone, Debug)]
pub struct Fixture<'a> {
    /// The binder.
    pub binder: &'a dyn DomainBinder,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// A service of the provider.
    pub service: ServiceRef,
    /// Another one.
    pub other_service: ServiceRef,
    /// Names of the form `kit-….{domain}` are attached and detached.
    pub domain: HostName,
    /// Whether a domain becomes active by waiting (a stand-in), without a person's work at a name server.
    pub becomes_active: bool,
}

cases! {
    Fixture<'_>;
    attaching_twice_makes_one_binding,
    a_domain_is_not_taken_from_its_service,
    an_unknown_domain_is_absent,
    detaching_twice_is_ok,
}

fn scene(fixture: &Fixture<'_>) -> Result<(Rig, DomainRef)> {
    let rig = Rig::new(fixture.folder)?;
    let domain = DomainRef {
        service: fixture.service.clone(),
        host_name: HostName::new(format!("{}.{}", rig.ctx.owner.target.app, fixture.domain))?,
    };
    Ok((rig, domain))
}

/// Attaching again makes nothing; what has to stand at the name server is said.
pub async fn attaching_twice_makes_one_binding(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, domain) = scene(fixture)?;
    let first = fixture.binder.attach(&rig.ctx, &domain).await?;
    check!(
        !first.records.is_empty(),
        "the records that have to be there must be named"
    );
    let rows = rig.rows().await?;
    let second = fixture.binder.attach(&rig.ctx, &domain).await?;
    check!(
        first.records == second.records,
        "attaching again must want the same records"
    );
    check!(
        rig.rows().await? == rows,
        "attaching again must make nothing"
    );
    if fixture.becomes_active {
        let poll = Poll::until(Duration::from_secs(60)).every(Duration::from_millis(50));
        fixture
            .binder
            .wait_until_active(&rig.ctx, &domain, poll)
            .await?;
    }
    fixture.binder.detach(&rig.ctx, &domain).await
}

/// A domain of one service cannot be attached to another, nor detached from it.
pub async fn a_domain_is_not_taken_from_its_service(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, domain) = scene(fixture)?;
    fixture.binder.attach(&rig.ctx, &domain).await?;
    let mut taken = domain.clone();
    taken.service = fixture.other_service.clone();
    let refused = fixture.binder.attach(&rig.ctx, &taken).await;
    check_refused(
        refused,
        ErrorKind::AlreadyExists,
        "attaching a domain of another service",
    )?;
    fixture.binder.detach(&rig.ctx, &taken).await?;
    let phase = fixture.binder.status(&rig.ctx, &domain).await?.phase;
    check!(
        phase != DomainPhase::Absent,
        "the domain must stay with its service"
    );
    fixture.binder.detach(&rig.ctx, &domain).await
}

/// A domain that was never attached is absent.
pub async fn an_unknown_domain_is_absent(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, domain) = scene(fixture)?;
    let phase = fixture.binder.status(&rig.ctx, &domain).await?.phase;
    check!(
        phase == DomainPhase::Absent,
        "an unknown domain must be absent, not {phase:?}"
    );
    Ok(())
}

/// Detaching again is `Ok`, and nothing is left.
pub async fn detaching_twice_is_ok(fixture: &Fixture<'_>) -> Result<()> {
    let (rig, domain) = scene(fixture)?;
    fixture.binder.attach(&rig.ctx, &domain).await?;
    fixture.binder.detach(&rig.ctx, &domain).await?;
    fixture.binder.detach(&rig.ctx, &domain).await?;
    let phase = fixture.binder.status(&rig.ctx, &domain).await?.phase;
    check!(
        phase == DomainPhase::Absent,
        "a detached domain must be absent, not {phase:?}"
    );
    check!(
        rig.rows().await?.is_empty(),
        "the rows must leave with the domain"
    );
    Ok(())
}
