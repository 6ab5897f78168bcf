//! [`DomainBinder`]: gives a service a domain of its own, with a certificate.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Poll, ProviderInfo, RecordType};
use crate::context::Context;
use crate::id::{HostName, RecordName};
use crate::model::service::ServiceRef;
use crate::{Error, ErrorKind, Result};

/// What a binder can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainCapability {
    /// A zone's own name, such as `example.com`.
    pub apex: bool,
    /// It gets the certificate by itself.
    pub certificate: bool,
    /// The most domains of one service, when there is a limit.
    pub per_service: Option<u32>,
}

/// A domain of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRef {
    /// The service.
    pub service: ServiceRef,
    /// The name.
    pub host_name: HostName,
}

/// Where a domain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DomainPhase {
    /// Records are missing at the name server.
    PendingDns,
    /// The certificate is on its way.
    PendingCertificate,
    /// It answers with a valid certificate.
    Active,
    /// It will not come about without a person.
    Failed,
    /// It is not attached.
    Absent,
}

/// A record that has to stand at the name server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredRecord {
    /// The name.
    pub name: RecordName,
    /// The type.
    pub record_type: RecordType,
    /// The value.
    pub value: String,
    /// What it is for, in a few words.
    pub purpose: String,
}

/// How a domain is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DomainStatus {
    /// Where it is.
    pub phase: DomainPhase,
    /// What has to stand at the name server, whether it does already or not.
    pub records: Vec<RequiredRecord>,
    /// When the certificate ends, in milliseconds since 1970.
    pub certificate_expires_at: Option<u64>,
    /// What the provider says, in a line.
    pub detail: Option<String>,
}

impl DomainStatus {
    /// A status of `phase` and nothing else.
    #[must_use]
    pub fn of(phase: DomainPhase) -> Self {
        Self {
            phase,
            records: Vec::new(),
            certificate_expires_at: None,
            detail: None,
        }
    }

    /// Sets what has to stand at the name server.
    #[must_use]
    pub fn with_records(mut self, records: Vec<RequiredRecord>) -> Self {
        self.records = records;
        self
    }
}

/// Gives a service a domain of its own, with a certificate.
#[async_trait]
pub trait DomainBinder: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// What it can do.
    fn capability(&self) -> DomainCapability;

    /// Attaches the domain and says what has to stand at the name server. It is on its way, not necessarily active: poll
    /// [`DomainBinder::status`].
    ///
    /// # Behavior
    /// - Attaching a domain twice makes one binding and one certificate.
    /// - A domain of another service is not taken away from it.
    ///
    /// # Errors
    /// - [`AlreadyExists`](ErrorKind::AlreadyExists) when it belongs to another service.
    /// - [`QuotaExceeded`](ErrorKind::QuotaExceeded) with `limit` and `used` in the context.
    async fn attach(&self, ctx: &Context, domain: &DomainRef) -> Result<DomainStatus>;

    /// How the domain is.
    ///
    /// # Behavior
    /// - A domain that is not attached is absent, not an error.
    async fn status(&self, ctx: &Context, domain: &DomainRef) -> Result<DomainStatus>;

    /// Takes the domain off the service and removes the certificate that was made for it.
    ///
    /// # Behavior
    /// - Detaching a domain twice is `Ok`.
    async fn detach(&self, ctx: &Context, domain: &DomainRef) -> Result<()>;
}

/// Sugar over any [`DomainBinder`].
#[async_trait]
pub trait DomainBinderExt: DomainBinder {
    /// Waits until the domain answers with a valid certificate.
    ///
    /// # Errors
    /// [`Unhealthy`](ErrorKind::Unhealthy) when it failed or was detached, [`Timeout`](ErrorKind::Timeout),
    /// [`Cancelled`](ErrorKind::Cancelled), or what the provider says.
    async fn wait_until_active(
        &self,
        ctx: &Context,
        domain: &DomainRef,
        poll: Poll,
    ) -> Result<DomainStatus> {
        poll.run(ctx, "waiting for the domain", || async {
            let status = self.status(ctx, domain).await?;
            match status.phase {
                DomainPhase::Active => Ok(Some(status)),
                DomainPhase::Failed | DomainPhase::Absent => {
                    let detail = status.detail.unwrap_or_else(|| "no reason given".into());
                    Err(Error::new(
                        ErrorKind::Unhealthy,
                        format!("{} did not become active: {detail}", domain.host_name),
                    ))
                }
                _ => Ok(None),
            }
        })
        .await
    }
}

impl<T: DomainBinder + ?Sized> DomainBinderExt for T {}
