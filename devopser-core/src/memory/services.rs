//! A ledger, a vault, a lease and a progress sink in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::context::{Lease, Ledger, Progress, Vault};
use crate::id::{AppName, EnvironmentName, ResourceId, Target, TenantId};
use crate::model::resource::{Resource, ResourceIntent, ResourceState};
use crate::model::service::SecretRef;
use crate::{Error, ErrorKind, Result, Secret};

/// A ledger, a vault, a lease that always holds, and a progress sink that keeps its lines; all in memory.
#[derive(Debug, Default)]
pub struct MemoryServices {
    rows: Mutex<Vec<Resource>>,
    secrets: Mutex<BTreeMap<SecretRef, Secret>>,
    lines: Mutex<Vec<String>>,
    notes: Mutex<Vec<String>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryServices {
    /// What was logged so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// What was noted so far.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        lock(&self.notes).clone()
    }
}

impl Progress for MemoryServices {
    fn log(&self, line: &str) {
        lock(&self.lines).push(line.to_owned());
    }

    fn note(&self, text: &str) {
        lock(&self.notes).push(text.to_owned());
    }
}

impl Lease for MemoryServices {
    fn holds_for(&self, _at_least: Duration) -> bool {
        true
    }
}

#[async_trait]
impl Ledger for MemoryServices {
    async fn intend(&self, intent: ResourceIntent) -> Result<ResourceId> {
        let mut rows = lock(&self.rows);
        if let Some(row) = rows.iter().find(|row| row.intent == intent) {
            return Ok(row.id.clone());
        }
        let id = ResourceId::generate();
        rows.push(Resource {
            id: id.clone(),
            target: Target {
                tenant: TenantId::new("memory")?,
                app: AppName::new("memory")?,
                environment: EnvironmentName::production(),
            },
            deployment: None,
            intent,
            provider_ref: None,
            state: ResourceState::Intended,
            created_at: 0,
            last_error: None,
        });
        Ok(id)
    }

    async fn created(&self, id: &ResourceId, provider_ref: &str) -> Result<()> {
        for row in lock(&self.rows).iter_mut().filter(|row| row.id == *id) {
            row.state = ResourceState::Created;
            row.provider_ref = Some(provider_ref.to_owned());
        }
        Ok(())
    }

    async fn gone(&self, id: &ResourceId) -> Result<()> {
        lock(&self.rows).retain(|row| row.id != *id);
        Ok(())
    }

    async fn failed(&self, id: &ResourceId, why: &str) -> Result<()> {
        for row in lock(&self.rows).iter_mut().filter(|row| row.id == *id) {
            row.last_error = Some(why.to_owned());
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Resource>> {
        Ok(lock(&self.rows).clone())
    }
}

#[async_trait]
impl Vault for MemoryServices {
    async fn get(&self, name: &SecretRef) -> Result<Secret> {
        lock(&self.secrets).get(name).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no secret \"{}\"", name.0),
            )
        })
    }

    async fn put(&self, name: &SecretRef, secret: &Secret) -> Result<()> {
        lock(&self.secrets).insert(name.clone(), secret.clone());
        Ok(())
    }

    async fn remove(&self, name: &SecretRef) -> Result<()> {
        lock(&self.secrets).remove(name);
        Ok(())
    }
}
