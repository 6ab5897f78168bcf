//! Where devopser remembers: the records, which a host may keep in its own database, and the machinery, which lives with
//! the runtime.

mod blobs;
#[cfg(test)]
#[cfg(all(feature = "embedded", feature = "testkit"))]
mod conformance;
pub(crate) mod files;
mod memory;
#[cfg(test)]
#[cfg(all(feature = "embedded", feature = "testkit"))]
mod processes;
mod records;
mod rules;
#[cfg(feature = "embedded")]
mod sqlite;
mod system;

pub use blobs::{FolderBlobStore, MemoryBlobStore};
pub use memory::MemoryStore;
pub use records::{DeploymentStore, DeploymentStoreExt, RecordKind, StoredRecord};
#[cfg(feature = "embedded")]
pub use sqlite::SqliteStore;
pub use system::{LeaseGrant, PendingRun, PortGrant, SealedSecret, SystemStore, WORKER_LEASE};
