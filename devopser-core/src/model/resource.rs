//! What we made at a provider: the rows of the resource ledger, and the mark that says whose it is.

use serde::{Deserialize, Serialize};

use crate::id::{DeploymentId, ProviderId, ResourceId, Target};

/// The label that every thing of ours carries where the provider has labels or tags.
pub const OWNER_LABEL: &str = "dev.devopser.owner";

/// Whose a thing is: the engine's installation and the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The id of the installation (one store), so that two stores on one provider do not touch each other's things.
    pub installation: String,
    /// The target.
    pub target: Target,
}

impl Owner {
    /// The value of the owner mark: `installation/tenant/app/environment`.
    #[must_use]
    pub fn mark(&self) -> String {
        format!("{}/{}", self.installation, self.target.key())
    }

    /// What the marks of all things of the same tenant begin with: for things that several apps share, such as servers.
    #[must_use]
    pub fn tenant_prefix(&self) -> String {
        format!("{}/{}/", self.installation, self.target.tenant)
    }
}

/// What is about to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceIntent {
    /// The provider.
    pub provider: ProviderId,
    /// The kind of thing: `container`, `network`, `volume`, `image`, `port`, `process`, `folder`, …
    pub kind: String,
    /// The name under which the provider will know it; unique for provider and kind.
    pub name: String,
}

/// Where a row of the ledger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResourceState {
    /// It is about to be made, or may have been made.
    Intended,
    /// It was made.
    Created,
}

/// A row of the ledger: a thing that we made or are about to make. It leaves only when the provider says that it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// What it was made for.
    pub target: Target,
    /// The deployment that made it.
    pub deployment: Option<DeploymentId>,
    /// What it is.
    pub intent: ResourceIntent,
    /// The provider's own id, once known.
    pub provider_ref: Option<String>,
    /// Where it is.
    pub state: ResourceState,
    /// When the row was written, in milliseconds since 1970.
    pub created_at: u64,
    /// Why the last attempt to remove it failed.
    pub last_error: Option<String>,
}
