//! What every [`SecretSource`](crate::provider::SecretSource) must do.

use crate::context::Context;
use crate::model::service::SecretRef;
use crate::provider::SecretSource;
use crate::{ErrorKind, Result};

use super::{cases, check, check_refused};

/// What the cases work on.
#[derive(Clone, Debug)]
pub struct Fixture<'a> {
    /// The source.
    pub source: &'a dyn SecretSource,
    /// A context of the tenant whose secret it is.
    pub ctx: &'a Context,
    /// A context of another tenant.
    pub other: &'a Context,
    /// The name of a secret that exists.
    pub name: SecretRef,
    /// Its value.
    pub value: &'a str,
}

cases! {
    Fixture<'_>;
    an_unknown_name_is_not_found,
}

/// Unknown names are not found, and neither are those of another tenant; no error holds a secret.
pub async fn an_unknown_name_is_not_found(fixture: &Fixture<'_>) -> Result<()> {
    let found = fixture.source.get(fixture.ctx, &fixture.name).await?;
    check!(
        found.expose() == fixture.value,
        "the secret must be the one that was put there"
    );
    let unknown = SecretRef(format!("{}-unknown", fixture.name.0));
    let missing = fixture.source.get(fixture.ctx, &unknown).await;
    if let Err(error) = &missing {
        check!(
            !format!("{error:?}").contains(fixture.value),
            "an error must not hold a secret"
        );
    }
    check_refused(missing, ErrorKind::NotFound, "an unknown secret")?;
    if fixture.source.capability().per_tenant {
        let foreign = fixture.source.get(fixture.other, &fixture.name).await;
        check_refused(foreign, ErrorKind::NotFound, "the secret of another tenant")?;
    }
    Ok(())
}
