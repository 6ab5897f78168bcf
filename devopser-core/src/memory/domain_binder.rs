//! [`MemoryDomainBinder`]: domains and certificates that nobody checks.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::cloud::MemoryCloud;
use super::services::lock;
use crate::context::Context;
use crate::id::{HostName, RecordName};
use crate::model::service::ServiceRef;
use crate::provider::{
    DomainBinder, DomainCapability, DomainPhase, DomainRef, DomainStatus, ProviderInfo, RecordType,
    RequiredRecord,
};
use crate::{Error, ErrorKind, Result};

const PER_SERVICE: u32 = 4;

/// Whose each domain is, and how often it was looked at.
#[derive(Debug, Default)]
pub(super) struct Domains(BTreeMap<HostName, (ServiceRef, u32)>);

impl Domains {
    pub(super) fn forget(&mut self, name: &str) {
        self.0.retain(|host_name, _| host_name.as_str() != name);
    }
}

/// A binder whose domains wait for DNS at the first look, for the certificate at the second, and are active from then on.
/// Four domains a service.
#[derive(Clone, Debug)]
pub struct MemoryDomainBinder {
    cloud: MemoryCloud,
}

impl MemoryDomainBinder {
    /// The one of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }
}

impl MemoryDomainBinder {
    fn check(&self, domain: &DomainRef) -> Result<()> {
        let state = lock(&self.cloud.shared.state);
        let domains = &state.domains.0;
        if let Some((service, _)) = domains.get(&domain.host_name) {
            if *service == domain.service {
                return Ok(());
            }
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("{} belongs to another service", domain.host_name),
            )
            .with_provider("memory"));
        }
        let used = domains
            .values()
            .filter(|(service, _)| *service == domain.service)
            .count();
        if used >= PER_SERVICE as usize {
            return Err(
                Error::new(ErrorKind::QuotaExceeded, "the service has no domain left")
                    .with_provider("memory")
                    .with_context("limit", PER_SERVICE)
                    .with_context("used", used),
            );
        }
        Ok(())
    }
}

fn status_of(domain: &DomainRef, looks: u32) -> Result<DomainStatus> {
    let phase = match looks {
        0 | 1 => DomainPhase::PendingDns,
        2 => DomainPhase::PendingCertificate,
        _ => DomainPhase::Active,
    };
    let record = RequiredRecord {
        name: RecordName::new(domain.host_name.as_str())?,
        record_type: RecordType::Cname,
        value: "edge.memory.invalid".into(),
        purpose: "leads to the service".into(),
    };
    Ok(DomainStatus::of(phase).with_records(vec![record]))
}

#[async_trait]
impl DomainBinder for MemoryDomainBinder {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    fn capability(&self) -> DomainCapability {
        DomainCapability {
            apex: true,
            certificate: true,
            per_service: Some(PER_SERVICE),
        }
    }

    async fn attach(&self, ctx: &Context, domain: &DomainRef) -> Result<DomainStatus> {
        let call = self.cloud.change(ctx, "DomainBinder::attach").await?;
        self.check(domain)?;
        let (host_name, service) = (domain.host_name.clone(), domain.service.clone());
        self.cloud
            .ensure(
                ctx,
                call,
                "domain",
                domain.host_name.as_str(),
                move |state| {
                    state.domains.0.insert(host_name, (service, 0));
                },
            )
            .await?;
        status_of(domain, 0)
    }

    async fn status(&self, ctx: &Context, domain: &DomainRef) -> Result<DomainStatus> {
        let call = self.cloud.look(ctx, "DomainBinder::status").await?;
        let looks = match lock(&self.cloud.shared.state)
            .domains
            .0
            .get_mut(&domain.host_name)
        {
            Some((service, looks)) if *service == domain.service => {
                *looks = looks.saturating_add(1);
                Some(*looks)
            }
            _ => None,
        };
        call.happened().await?;
        looks.map_or(Ok(DomainStatus::of(DomainPhase::Absent)), |looks| {
            status_of(domain, looks)
        })
    }

    async fn detach(&self, ctx: &Context, domain: &DomainRef) -> Result<()> {
        let call = self.cloud.change(ctx, "DomainBinder::detach").await?;
        let ours = lock(&self.cloud.shared.state)
            .domains
            .0
            .get(&domain.host_name)
            .is_none_or(|(service, _)| *service == domain.service);
        if ours {
            self.cloud
                .discard(ctx, "domain", domain.host_name.as_str())
                .await?;
        }
        call.happened().await
    }
}
