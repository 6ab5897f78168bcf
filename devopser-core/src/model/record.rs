//! What the records hold beside deployments: apps, releases, pages and revisions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{DeploymentId, ProviderId, ReleaseId, Target};
use crate::model::artifact::{Artifact, ImageArtifact};
use crate::model::container::Companion;
use crate::model::plan::Plan;
use crate::model::service::{Environment, HealthCheck, Limits, ReleaseRef, ServiceRef};

/// A number that grows with every write of a record; compare-and-set works on it.
pub type Revision = u64;

/// A record with its revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// The record.
    pub value: T,
    /// Its revision.
    pub revision: Revision,
}

/// What a writer expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No such record.
    Absent,
    /// The record at this revision.
    Revision(Revision),
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many to leave out, newest first.
    pub offset: u64,
    /// How many to return at most, 1 to 1000.
    pub limit: u32,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            offset: 0,
            limit: 100,
        }
    }
}

/// Whether an app is meant to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Desired {
    /// It is meant to run.
    Running,
    /// It was stopped.
    Stopped,
    /// It is being removed.
    Removed,
}

/// An app in an environment: what outlives its deployments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// What it is.
    pub target: Target,
    /// Where it runs.
    pub provider: ProviderId,
    /// The stable loopback port of its address.
    pub port: u16,
    /// Whether it is meant to run.
    pub desired: Desired,
    /// The service at the provider, once it was made ready.
    #[serde(default)]
    pub service: Option<ServiceRef>,
    /// The release that takes its requests.
    pub current_release: Option<ReleaseId>,
    /// When it was first deployed, in milliseconds since 1970.
    pub created_at: u64,
}

/// The state of a release in the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReleaseState {
    /// It is being made.
    Pending,
    /// It takes the requests.
    Active,
    /// Another took its place; its artifact is kept for a rollback.
    Retired,
    /// It never became active.
    Failed,
    /// Its artifact is gone: no rollback to it.
    Removed,
}

/// One version of an app: everything that a rollback needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// What it is for.
    pub target: Target,
    /// Counted from 1 within its target.
    pub number: u64,
    /// The deployment that made it.
    pub deployment: DeploymentId,
    /// Its state.
    pub state: ReleaseState,
    /// What runs, once it is built.
    pub artifact: Option<Artifact>,
    /// What it was made from, for people.
    pub origin: String,
    /// The digest of the source with all that went into the build: the same again needs no build.
    pub fingerprint: String,
    /// The port that it listens on inside.
    pub app_port: u16,
    /// Its environment, as references.
    pub env: Environment,
    /// Its limits.
    pub limits: Limits,
    /// Its health check.
    pub health: HealthCheck,
    /// What the provider calls it.
    pub reference: Option<ReleaseRef>,
    /// The images of what runs beside it, by the names of its companions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub companion_images: BTreeMap<String, ImageArtifact>,
    /// What was planned.
    pub plan: Option<Box<Plan>>,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
}

impl Release {
    /// The artifacts that it needs to run: its own, and those of what runs beside it.
    #[must_use]
    pub fn artifacts(&self) -> Vec<Artifact> {
        let images = self.companion_images.values().cloned();
        self.artifact
            .iter()
            .cloned()
            .chain(images.map(Artifact::Image))
            .collect()
    }

    /// What runs beside it, with its images.
    #[must_use]
    pub fn companions(&self) -> Vec<Companion> {
        let planned = self.plan.as_ref().map(|plan| plan.companions.clone());
        let with_image = |mut companion: Companion| {
            companion.image = self.companion_images.get(&companion.name).cloned();
            companion
        };
        planned
            .unwrap_or_default()
            .into_iter()
            .map(with_image)
            .collect()
    }
}
