//! Where devopser remembers: the records, which a host may keep in its own database, and the machinery, which lives with
//! the runtime.

mod records;
mod system;

pub use records::{DeploymentStore, DeploymentStoreExt, RecordKind, StoredRecord};
pub use system::{LeaseGrant, PendingRun, PortGrant, SystemStore};
