//! [`MemoryDnsRouter`]: zones that no name server answers for.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::cloud::{MemoryCloud, State};
use super::services::lock;
use super::snapshot::Verb;
use crate::context::Context;
use crate::id::{HostName, RecordName};
use crate::provider::{
    ChangeRef, ChangeStatus, DnsCapability, DnsRouter, EnsureRecordSet, OnForeign, ProviderInfo,
    RecordFilter, RecordSet, RecordType, RemoveRecordSet, Zone,
};
use crate::{Error, ErrorKind, Result};

/// Zones, their record sets, and how often each change was looked at.
#[derive(Debug, Default)]
pub(super) struct Zones {
    names: Vec<HostName>,
    sets: BTreeMap<(RecordName, RecordType), RecordSet>,
    changes: BTreeMap<String, u32>,
}

impl Zones {
    pub(super) fn forget(&mut self, thing: &str) {
        self.sets
            .retain(|(name, record_type), _| thing_name(name, *record_type) != thing);
    }
}

impl MemoryCloud {
    /// Gives the account a zone.
    pub fn add_zone(&self, name: HostName) {
        lock(&self.shared.state).zones.names.push(name);
    }

    /// Puts a record set there that is not ours.
    pub fn add_foreign_records(&self, set: RecordSet) {
        let key = (set.name.clone(), set.record_type);
        lock(&self.shared.state).zones.sets.insert(key, set);
    }
}

impl MemoryCloud {
    /// A record set as it is, whoever's it is.
    #[must_use]
    pub fn record_set(&self, name: &RecordName, record_type: RecordType) -> Option<RecordSet> {
        let key = (name.clone(), record_type);
        lock(&self.shared.state).zones.sets.get(&key).cloned()
    }
}

fn thing_name(name: &RecordName, record_type: RecordType) -> String {
    format!("{name} {record_type:?}")
}

/// A DNS provider without name servers. A change is pending at the first look and applied at the second.
#[derive(Clone, Debug)]
pub struct MemoryDnsRouter {
    cloud: MemoryCloud,
}

impl MemoryDnsRouter {
    /// The one of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }
}

impl MemoryDnsRouter {
    /// Whether the set is there as it is wanted; fails when it is someone else's and not to be adopted.
    fn check(&self, ctx: &Context, request: &EnsureRecordSet) -> Result<bool> {
        let mut state = lock(&self.cloud.shared.state);
        let key = (request.name.clone(), request.record_type);
        let Some(known) = state.zones.sets.get(&key) else {
            return Ok(false);
        };
        if known.mark.as_deref() == Some(ctx.owner.mark().as_str()) {
            return Ok(*known == wanted(ctx, request));
        }
        if request.on_foreign != OnForeign::Adopt {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!(
                    "{} has {:?} records that are not ours",
                    request.name, request.record_type
                ),
            )
            .with_provider("memory")
            .with_remedy("Remove them, or say that they are to be adopted."));
        }
        let name = thing_name(&request.name, request.record_type);
        state.things.remove(&("record_set".to_owned(), name));
        Ok(false)
    }

    fn changed(&self, zone: &Zone) -> ChangeRef {
        let mut state = lock(&self.cloud.shared.state);
        let id = format!("change-{}", state.next_number());
        state.zones.changes.insert(id.clone(), 0);
        ChangeRef {
            zone: zone.clone(),
            id: Some(id),
        }
    }
}

fn unchanged(zone: &Zone) -> ChangeRef {
    ChangeRef {
        zone: zone.clone(),
        id: None,
    }
}

fn wanted(ctx: &Context, request: &EnsureRecordSet) -> RecordSet {
    let mut values = request.values.clone();
    values.sort();
    values.dedup();
    RecordSet {
        name: request.name.clone(),
        record_type: request.record_type,
        values,
        ttl: request.ttl,
        proxied: request.proxied,
        mark: Some(ctx.owner.mark()),
    }
}

fn insert(state: &mut State, set: RecordSet) {
    state
        .zones
        .sets
        .insert((set.name.clone(), set.record_type), set);
}

#[async_trait]
impl DnsRouter for MemoryDnsRouter {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    fn capability(&self) -> DnsCapability {
        DnsCapability {
            apex_cname: false,
            proxied: true,
            pending: true,
        }
    }

    async fn zone_for(&self, ctx: &Context, name: &RecordName) -> Result<Zone> {
        let call = self.cloud.look(ctx, "DnsRouter::zone_for").await?;
        let found = lock(&self.cloud.shared.state)
            .zones
            .names
            .iter()
            .filter(|zone| {
                let (name, zone) = (name.as_str(), zone.as_str());
                name == zone || name.ends_with(&format!(".{zone}"))
            })
            .max_by_key(|zone| zone.as_str().len())
            .cloned();
        call.happened().await?;
        let name = found.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("no zone of the account holds {name}"),
            )
            .with_provider("memory")
        })?;
        Ok(Zone {
            provider: MemoryCloud::id(),
            id: format!("zone-{name}"),
            name,
        })
    }

    async fn record_sets(
        &self,
        ctx: &Context,
        zone: &Zone,
        filter: RecordFilter,
    ) -> Result<Vec<RecordSet>> {
        let call = self.cloud.look(ctx, "DnsRouter::record_sets").await?;
        let inside = format!(".{}", zone.name);
        let sets = lock(&self.cloud.shared.state)
            .zones
            .sets
            .values()
            .filter(|set| {
                set.name.as_str() == zone.name.as_str() || set.name.as_str().ends_with(&inside)
            })
            .filter(|set| filter.name.as_ref().is_none_or(|name| *name == set.name))
            .filter(|set| {
                filter
                    .record_type
                    .is_none_or(|kind| kind == set.record_type)
            })
            .cloned()
            .collect();
        call.happened().await?;
        Ok(sets)
    }

    async fn ensure(
        &self,
        ctx: &Context,
        zone: &Zone,
        request: EnsureRecordSet,
    ) -> Result<ChangeRef> {
        request.validate(zone, self.capability())?;
        let call = self.cloud.change(ctx, "DnsRouter::ensure").await?;
        if self.check(ctx, &request)? {
            call.happened().await?;
            return Ok(unchanged(zone));
        }
        let set = wanted(ctx, &request);
        let name = thing_name(&request.name, request.record_type);
        {
            let mut state = lock(&self.cloud.shared.state);
            if state.thing("record_set", &name).is_some() {
                insert(&mut state, set.clone());
                state.effect(Verb::Changed, "record_set", &name);
            }
        }
        self.cloud
            .ensure(ctx, call, "record_set", &name, move |state| {
                insert(state, set)
            })
            .await?;
        Ok(self.changed(zone))
    }

    async fn remove(
        &self,
        ctx: &Context,
        zone: &Zone,
        request: RemoveRecordSet,
    ) -> Result<ChangeRef> {
        let call = self.cloud.change(ctx, "DnsRouter::remove").await?;
        let name = thing_name(&request.name, request.record_type);
        self.cloud.discard(ctx, "record_set", &name).await?;
        call.happened().await?;
        Ok(self.changed(zone))
    }

    async fn change_status(&self, ctx: &Context, change: &ChangeRef) -> Result<ChangeStatus> {
        let call = self.cloud.look(ctx, "DnsRouter::change_status").await?;
        let status = change.id.as_ref().map_or(ChangeStatus::Applied, |id| {
            let mut state = lock(&self.cloud.shared.state);
            let looks = state.zones.changes.entry(id.clone()).or_default();
            *looks = looks.saturating_add(1);
            if *looks > 1 {
                ChangeStatus::Applied
            } else {
                ChangeStatus::Pending
            }
        });
        call.happened().await?;
        Ok(status)
    }
}
