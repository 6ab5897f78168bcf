//! [`DeploymentStore`]: apps, releases, deployments, their events and the audit trail. Every call takes a tenant.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{DeploymentId, ReleaseId, Target, TenantId};
use crate::model::deployment::Deployment;
use crate::model::event::{EventKind, StoredEvent};
use crate::model::record::{App, Expected, PageRequest, Release, Revision, Versioned};
use crate::{Error, Result};

/// The kinds of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecordKind {
    /// An [`App`]; its id is `app/environment`.
    App,
    /// A [`Release`].
    Release,
    /// A [`Deployment`].
    Deployment,
    /// A line of the audit trail; never changed once written.
    Audit,
}

impl RecordKind {
    /// The stable text, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Release => "release",
            Self::Deployment => "deployment",
            Self::Audit => "audit",
        }
    }
}

/// A record as a store keeps it: a few columns to look it up by, and one JSON document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRecord {
    /// Its kind.
    pub kind: RecordKind,
    /// Its id, unique for tenant and kind.
    pub id: String,
    /// The target, as `app/environment`.
    pub target: String,
    /// Its state, as text.
    pub state: String,
    /// When it was made, in milliseconds since 1970; lists are sorted by it, newest first, then by id, descending.
    pub created_at: u64,
    /// The document.
    pub body: Value,
}

/// The durable records. A host may write its own on its own database; `testkit` has the conformance suite.
#[async_trait]
pub trait DeploymentStore: Debug + Send + Sync + 'static {
    /// The record, or `None`.
    ///
    /// # Behavior
    /// - A record of another tenant is `None`.
    async fn get(
        &self,
        tenant: &TenantId,
        kind: RecordKind,
        id: &str,
    ) -> Result<Option<Versioned<StoredRecord>>>;

    /// Writes a record when `expected` holds, and returns its new revision.
    ///
    /// # Behavior
    /// - Of two writers that expect the same revision, one succeeds; the other gets
    ///   [`Conflict`](crate::ErrorKind::Conflict) and nothing is changed.
    /// - A revision of an id is never given twice, even when the record was removed and made again.
    /// - A record of another tenant with the same id is another record.
    /// - A line of the audit trail is written once: any `expected` but [`Expected::Absent`] is
    ///   [`Unsupported`](crate::ErrorKind::Unsupported).
    async fn put(
        &self,
        tenant: &TenantId,
        record: StoredRecord,
        expected: Expected,
    ) -> Result<Revision>;

    /// Removes a record, and with a deployment its events.
    ///
    /// # Behavior
    /// - An absent record, or one of another tenant, is `Ok` and nothing is changed.
    /// - A line of the audit trail is not removed: [`Unsupported`](crate::ErrorKind::Unsupported).
    async fn remove(&self, tenant: &TenantId, kind: RecordKind, id: &str) -> Result<()>;

    /// Records of a kind, newest first, of one target (`app/environment`) or of all.
    ///
    /// # Behavior
    /// - Sorted by `created_at`, then by id, both descending; `page` counts in that order.
    /// - Records of another tenant are not returned.
    async fn list(
        &self,
        tenant: &TenantId,
        kind: RecordKind,
        target: Option<&str>,
        page: PageRequest,
    ) -> Result<Vec<Versioned<StoredRecord>>>;

    /// Appends events and returns the sequence of the last one.
    ///
    /// # Behavior
    /// - Sequences are counted from 1 within a deployment, without gaps, whoever writes.
    /// - Appending nothing returns the sequence of the last event, 0 when there is none.
    async fn append(
        &self,
        tenant: &TenantId,
        deployment: &DeploymentId,
        at: u64,
        events: &[EventKind],
    ) -> Result<u64>;

    /// Events after the sequence `after`, at most `limit`, in order.
    ///
    /// # Behavior
    /// - Events of another tenant's deployment are not returned.
    async fn events(
        &self,
        tenant: &TenantId,
        deployment: &DeploymentId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>>;
}

/// Typed sugar over any [`DeploymentStore`].
#[async_trait]
pub trait DeploymentStoreExt: DeploymentStore {
    /// The app of a target.
    async fn app(&self, target: &Target) -> Result<Option<Versioned<App>>> {
        typed(
            self.get(&target.tenant, RecordKind::App, &place(target))
                .await?,
        )
    }

    /// Writes an app.
    async fn put_app(&self, app: &App, expected: Expected) -> Result<Revision> {
        let place = place(&app.target);
        let state = name_of(&app.desired)?;
        let record = stored(
            RecordKind::App,
            place.clone(),
            place,
            state,
            app.created_at,
            app,
        )?;
        self.put(&app.target.tenant, record, expected).await
    }

    /// The apps of a tenant, newest first.
    async fn apps(&self, tenant: &TenantId, page: PageRequest) -> Result<Vec<Versioned<App>>> {
        typed_all(self.list(tenant, RecordKind::App, None, page).await?)
    }

    /// A release.
    async fn release(
        &self,
        tenant: &TenantId,
        id: &ReleaseId,
    ) -> Result<Option<Versioned<Release>>> {
        typed(self.get(tenant, RecordKind::Release, id.as_str()).await?)
    }

    /// Writes a release.
    async fn put_release(&self, release: &Release, expected: Expected) -> Result<Revision> {
        let state = name_of(&release.state)?;
        let id = release.id.to_string();
        let record = stored(
            RecordKind::Release,
            id,
            place(&release.target),
            state,
            release.created_at,
            release,
        )?;
        self.put(&release.target.tenant, record, expected).await
    }

    /// The releases of a target, newest first.
    async fn releases(
        &self,
        target: &Target,
        page: PageRequest,
    ) -> Result<Vec<Versioned<Release>>> {
        typed_all(
            self.list(
                &target.tenant,
                RecordKind::Release,
                Some(&place(target)),
                page,
            )
            .await?,
        )
    }

    /// A deployment.
    async fn deployment(
        &self,
        tenant: &TenantId,
        id: &DeploymentId,
    ) -> Result<Option<Versioned<Deployment>>> {
        typed(
            self.get(tenant, RecordKind::Deployment, id.as_str())
                .await?,
        )
    }

    /// Writes a deployment.
    async fn put_deployment(
        &self,
        deployment: &Deployment,
        expected: Expected,
    ) -> Result<Revision> {
        let id = deployment.id.to_string();
        let state = deployment.state.as_str().to_owned();
        let place = place(&deployment.target);
        let record = stored(
            RecordKind::Deployment,
            id,
            place,
            state,
            deployment.created_at,
            deployment,
        )?;
        self.put(&deployment.target.tenant, record, expected).await
    }

    /// The deployments of a target, newest first.
    async fn deployments(
        &self,
        target: &Target,
        page: PageRequest,
    ) -> Result<Vec<Versioned<Deployment>>> {
        typed_all(
            self.list(
                &target.tenant,
                RecordKind::Deployment,
                Some(&place(target)),
                page,
            )
            .await?,
        )
    }
}

impl<S: DeploymentStore + ?Sized> DeploymentStoreExt for S {}

fn place(target: &Target) -> String {
    format!("{}/{}", target.app, target.environment)
}

fn name_of<T: Serialize>(state: &T) -> Result<String> {
    match serde_json::to_value(state) {
        Ok(Value::String(name)) => Ok(name),
        other => Err(Error::unexpected(format!(
            "a state is not a text: {other:?}"
        ))),
    }
}

fn stored<T: Serialize>(
    kind: RecordKind,
    id: String,
    target: String,
    state: String,
    created_at: u64,
    value: &T,
) -> Result<StoredRecord> {
    let body = serde_json::to_value(value).map_err(|source| {
        Error::unexpected("a record cannot be written as JSON").with_source(source)
    })?;
    Ok(StoredRecord {
        kind,
        id,
        target,
        state,
        created_at,
        body,
    })
}

fn typed<T: serde::de::DeserializeOwned>(
    record: Option<Versioned<StoredRecord>>,
) -> Result<Option<Versioned<T>>> {
    record.map(read_one).transpose()
}

fn typed_all<T: serde::de::DeserializeOwned>(
    records: Vec<Versioned<StoredRecord>>,
) -> Result<Vec<Versioned<T>>> {
    records.into_iter().map(read_one).collect()
}

fn read_one<T: serde::de::DeserializeOwned>(
    record: Versioned<StoredRecord>,
) -> Result<Versioned<T>> {
    let id = record.value.id.clone();
    let value = serde_json::from_value(record.value.body).map_err(|source| {
        Error::unexpected(format!(
            "the record {id} cannot be read by this version of devopser"
        ))
        .with_source(source)
    })?;
    Ok(Versioned {
        value,
        revision: record.revision,
    })
}

#[cfg(test)]
mod tests {
    use super::RecordKind;

    #[test]
    fn the_text_of_a_kind_is_its_json() {
        for kind in [
            RecordKind::App,
            RecordKind::Release,
            RecordKind::Deployment,
            RecordKind::Audit,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
