//! [`MemoryStore`]: both stores in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::Result;
use crate::id::{DeploymentId, IdempotencyKey, ResourceId, Target, TenantId};
use crate::model::deployment::CancelReason;
use crate::model::event::{EventKind, StoredEvent};
use crate::model::record::{Expected, PageRequest, Revision, Versioned};
use crate::model::resource::{Resource, ResourceIntent, ResourceState};
use crate::store::rules;
use crate::store::{
    DeploymentStore, LeaseGrant, PendingRun, PortGrant, RecordKind, SealedSecret, StoredRecord,
    SystemStore, WORKER_LEASE,
};

/// Records and machinery in memory: for tests and for trying things out. All is lost with the value.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

type RecordKey = (TenantId, RecordKind, String);
type EventsKey = (TenantId, DeploymentId);

#[derive(Debug, Default)]
struct State {
    installation: Option<String>,
    records: BTreeMap<RecordKey, Versioned<StoredRecord>>,
    /// The highest revision of a removed record: a new record begins above it.
    removed_revision: Revision,
    events: BTreeMap<EventsKey, Vec<StoredEvent>>,
    queue: Vec<PendingRun>,
    keys: BTreeMap<(TenantId, IdempotencyKey), (DeploymentId, u64)>,
    leases: BTreeMap<String, HeldLease>,
    resources: Vec<Resource>,
    ports: BTreeMap<u16, Target>,
    secrets: BTreeMap<(TenantId, String), String>,
}

#[derive(Debug)]
struct HeldLease {
    holder: Option<String>,
    epoch: u64,
    expires_at: u64,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, when `epoch` may still write.
    fn fenced(&self, epoch: u64) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        let current = state.leases.get(WORKER_LEASE).map_or(0, |held| held.epoch);
        rules::check_epoch(epoch, current)?;
        Ok(state)
    }
}

#[async_trait]
impl DeploymentStore for MemoryStore {
    async fn get(
        &self,
        tenant: &TenantId,
        kind: RecordKind,
        id: &str,
    ) -> Result<Option<Versioned<StoredRecord>>> {
        let key = (tenant.clone(), kind, id.to_owned());
        Ok(self.lock().records.get(&key).cloned())
    }

    async fn put(
        &self,
        tenant: &TenantId,
        record: StoredRecord,
        expected: Expected,
    ) -> Result<Revision> {
        rules::check_put(record.kind, expected)?;
        let mut state = self.lock();
        let key = (tenant.clone(), record.kind, record.id.clone());
        let found = state.records.get(&key).map(|known| known.revision);
        let revision = match (expected, found) {
            (Expected::Absent, None) => state.removed_revision + 1,
            (Expected::Revision(expected), Some(found)) if expected == found => found + 1,
            _ => return Err(rules::lost_race(record.kind, &record.id)),
        };
        let value = Versioned {
            value: record,
            revision,
        };
        state.records.insert(key, value);
        Ok(revision)
    }

    async fn remove(&self, tenant: &TenantId, kind: RecordKind, id: &str) -> Result<()> {
        rules::check_remove(kind)?;
        let mut state = self.lock();
        let key = (tenant.clone(), kind, id.to_owned());
        let Some(removed) = state.records.remove(&key) else {
            return Ok(());
        };
        state.removed_revision = state.removed_revision.max(removed.revision);
        if kind == RecordKind::Deployment {
            state
                .events
                .retain(|(owner, deployment), _| owner != tenant || deployment.as_str() != id);
        }
        Ok(())
    }

    async fn list(
        &self,
        tenant: &TenantId,
        kind: RecordKind,
        target: Option<&str>,
        page: PageRequest,
    ) -> Result<Vec<Versioned<StoredRecord>>> {
        let state = self.lock();
        let mut found: Vec<_> = state
            .records
            .iter()
            .filter(|((owner, of, _), record)| {
                owner == tenant && *of == kind && target.is_none_or(|t| record.value.target == t)
            })
            .map(|(_, record)| record)
            .collect();
        found.sort_by(|a, b| {
            (b.value.created_at, &b.value.id).cmp(&(a.value.created_at, &a.value.id))
        });
        let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
        let page = found.into_iter().skip(offset).take(page.limit as usize);
        Ok(page.cloned().collect())
    }

    async fn append(
        &self,
        tenant: &TenantId,
        deployment: &DeploymentId,
        at: u64,
        events: &[EventKind],
    ) -> Result<u64> {
        let mut state = self.lock();
        let key = (tenant.clone(), deployment.clone());
        let stored = state.events.entry(key).or_default();
        for kind in events {
            stored.push(StoredEvent {
                deployment: deployment.clone(),
                seq: stored.len() as u64 + 1,
                at,
                kind: kind.clone(),
            });
        }
        Ok(stored.len() as u64)
    }

    async fn events(
        &self,
        tenant: &TenantId,
        deployment: &DeploymentId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>> {
        let state = self.lock();
        let key = (tenant.clone(), deployment.clone());
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let events = state.events.get(&key).into_iter().flatten();
        Ok(events.skip(after).take(limit as usize).cloned().collect())
    }
}

#[async_trait]
impl SystemStore for MemoryStore {
    async fn installation(&self) -> Result<String> {
        let mut state = self.lock();
        let id = state
            .installation
            .get_or_insert_with(|| uuid::Uuid::now_v7().simple().to_string());
        Ok(id.clone())
    }

    async fn enqueue(
        &self,
        run: &PendingRun,
        key: Option<&IdempotencyKey>,
    ) -> Result<DeploymentId> {
        let mut state = self.lock();
        let key = key.map(|key| (run.target.tenant.clone(), key.clone()));
        if let Some((earlier, at)) = key.as_ref().and_then(|key| state.keys.get(key))
            && at.saturating_add(rules::KEY_LIFETIME_MS) > run.created_at
        {
            return Ok(earlier.clone());
        }
        match state
            .queue
            .iter()
            .find(|queued| queued.deployment == run.deployment)
        {
            Some(queued) if queued.target != run.target => return Err(rules::queued_elsewhere()),
            Some(_) => {}
            None => state.queue.push(PendingRun {
                taken: false,
                ..run.clone()
            }),
        }
        if let Some(key) = key {
            state
                .keys
                .insert(key, (run.deployment.clone(), run.created_at));
        }
        Ok(run.deployment.clone())
    }

    async fn pending(&self) -> Result<Vec<PendingRun>> {
        let mut queue = self.lock().queue.clone();
        queue.sort_by(|a, b| (a.created_at, &a.deployment).cmp(&(b.created_at, &b.deployment)));
        Ok(queue)
    }

    async fn take(&self, deployment: &DeploymentId, epoch: u64) -> Result<bool> {
        let mut state = self.fenced(epoch)?;
        let Some(index) = state
            .queue
            .iter()
            .position(|run| run.deployment == *deployment)
        else {
            return Ok(false);
        };
        let target = state.queue[index].target.clone();
        let other_is_taken = state
            .queue
            .iter()
            .any(|run| run.taken && run.target == target && run.deployment != *deployment);
        if !other_is_taken {
            state.queue[index].taken = true;
        }
        Ok(!other_is_taken)
    }

    async fn request_cancel(
        &self,
        deployment: &DeploymentId,
        reason: CancelReason,
    ) -> Result<bool> {
        let mut state = self.lock();
        let run = state
            .queue
            .iter_mut()
            .find(|run| run.deployment == *deployment);
        Ok(run
            .map(|run| run.cancel = run.cancel.or(Some(reason)))
            .is_some())
    }

    async fn finish(&self, deployment: &DeploymentId, epoch: u64) -> Result<()> {
        self.fenced(epoch)?
            .queue
            .retain(|run| run.deployment != *deployment);
        Ok(())
    }

    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        now: u64,
        expires_at: u64,
    ) -> Result<Option<LeaseGrant>> {
        let mut state = self.lock();
        let held = state.leases.entry(name.to_owned()).or_insert(HeldLease {
            holder: None,
            epoch: 0,
            expires_at: 0,
        });
        match &held.holder {
            Some(known) if known == holder => held.expires_at = held.expires_at.max(expires_at),
            Some(_) if held.expires_at > now => return Ok(None),
            _ => {
                held.holder = Some(holder.to_owned());
                held.epoch += 1;
                held.expires_at = expires_at;
            }
        }
        Ok(Some(LeaseGrant {
            holder: holder.to_owned(),
            epoch: held.epoch,
            expires_at: held.expires_at,
        }))
    }

    async fn release_lease(&self, name: &str, holder: &str) -> Result<()> {
        if let Some(held) = self.lock().leases.get_mut(name)
            && held.holder.as_deref() == Some(holder)
        {
            held.holder = None;
            held.expires_at = 0;
        }
        Ok(())
    }

    async fn lease(&self, name: &str, now: u64) -> Result<Option<LeaseGrant>> {
        let state = self.lock();
        let held = state.leases.get(name).filter(|held| held.expires_at > now);
        Ok(held.and_then(|held| {
            Some(LeaseGrant {
                holder: held.holder.clone()?,
                epoch: held.epoch,
                expires_at: held.expires_at,
            })
        }))
    }

    async fn intend(
        &self,
        target: &Target,
        deployment: Option<&DeploymentId>,
        intent: &ResourceIntent,
        now: u64,
        epoch: u64,
    ) -> Result<ResourceId> {
        let mut state = self.fenced(epoch)?;
        if let Some(row) = state.resources.iter().find(|row| row.intent == *intent) {
            return if row.target == *target {
                Ok(row.id.clone())
            } else {
                Err(rules::owned_elsewhere(&intent.kind, &intent.name))
            };
        }
        let id = ResourceId::generate();
        state.resources.push(Resource {
            id: id.clone(),
            target: target.clone(),
            deployment: deployment.cloned(),
            intent: intent.clone(),
            provider_ref: None,
            state: ResourceState::Intended,
            created_at: now,
            last_error: None,
        });
        Ok(id)
    }

    async fn resource_created(
        &self,
        id: &ResourceId,
        provider_ref: &str,
        epoch: u64,
    ) -> Result<()> {
        let mut state = self.fenced(epoch)?;
        let row = state.resources.iter_mut().find(|row| row.id == *id);
        let row = row.ok_or_else(|| rules::no_resource(id))?;
        row.state = ResourceState::Created;
        row.provider_ref = Some(provider_ref.to_owned());
        row.last_error = None;
        Ok(())
    }

    async fn resource_gone(&self, id: &ResourceId, epoch: u64) -> Result<()> {
        self.fenced(epoch)?.resources.retain(|row| row.id != *id);
        Ok(())
    }

    async fn resource_failed(&self, id: &ResourceId, why: &str, epoch: u64) -> Result<()> {
        let mut state = self.fenced(epoch)?;
        if let Some(row) = state.resources.iter_mut().find(|row| row.id == *id) {
            row.last_error = Some(why.to_owned());
        }
        Ok(())
    }

    async fn resources(&self, target: Option<&Target>) -> Result<Vec<Resource>> {
        let state = self.lock();
        let mut rows: Vec<_> = state
            .resources
            .iter()
            .filter(|row| target.is_none_or(|target| row.target == *target))
            .cloned()
            .collect();
        rows.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(rows)
    }

    async fn reserve_port(
        &self,
        target: &Target,
        wanted: Option<u16>,
        candidates: &[u16],
    ) -> Result<Option<u16>> {
        let mut state = self.lock();
        if let Some((port, _)) = state.ports.iter().find(|(_, holder)| *holder == target) {
            return Ok(Some(*port));
        }
        let port = rules::choose_port(wanted, candidates, |port| state.ports.contains_key(&port));
        if let Some(port) = port {
            state.ports.insert(port, target.clone());
        }
        Ok(port)
    }

    async fn release_port(&self, target: &Target) -> Result<()> {
        self.lock().ports.retain(|_, holder| holder != target);
        Ok(())
    }

    async fn ports(&self) -> Result<Vec<PortGrant>> {
        let state = self.lock();
        let grants = state.ports.iter().map(|(port, target)| PortGrant {
            port: *port,
            target: target.clone(),
        });
        Ok(grants.collect())
    }

    async fn put_secret(&self, tenant: &TenantId, name: &str, sealed: &str) -> Result<()> {
        let key = (tenant.clone(), name.to_owned());
        self.lock().secrets.insert(key, sealed.to_owned());
        Ok(())
    }

    async fn secret(&self, tenant: &TenantId, name: &str) -> Result<Option<String>> {
        let key = (tenant.clone(), name.to_owned());
        Ok(self.lock().secrets.get(&key).cloned())
    }

    async fn remove_secret(&self, tenant: &TenantId, name: &str) -> Result<()> {
        let key = (tenant.clone(), name.to_owned());
        self.lock().secrets.remove(&key);
        Ok(())
    }

    async fn secret_names(&self, tenant: &TenantId, prefix: &str) -> Result<Vec<String>> {
        let state = self.lock();
        let names = state
            .secrets
            .keys()
            .filter(|(owner, name)| owner == tenant && name.starts_with(prefix));
        Ok(names.map(|(_, name)| name.clone()).collect())
    }

    async fn sealed_secrets(
        &self,
        after: Option<(&TenantId, &str)>,
        limit: u32,
    ) -> Result<Vec<SealedSecret>> {
        let state = self.lock();
        let rows = state
            .secrets
            .iter()
            .filter(|((tenant, name), _)| after.is_none_or(|after| (tenant, name.as_str()) > after))
            .take(limit as usize);
        Ok(rows
            .map(|((tenant, name), sealed)| SealedSecret {
                tenant: tenant.clone(),
                name: name.clone(),
                sealed: sealed.clone(),
            })
            .collect())
    }

    async fn replace_secret(
        &self,
        tenant: &TenantId,
        name: &str,
        old: &str,
        new: &str,
    ) -> Result<bool> {
        let key = (tenant.clone(), name.to_owned());
        match self.lock().secrets.get_mut(&key) {
            Some(sealed) if sealed == old => {
                new.clone_into(sealed);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
