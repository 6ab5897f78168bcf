//! Implementations in memory: for tests, for trying things out, and as examples of how each trait is meant.
//!
//! [`MemoryCloud`] bundles the abilities of one provider over one state that a test can look at and break.

mod cloud;
mod deployer;
mod fault;
mod http_router;
mod image_builder;
mod inventory;
mod service_control;
mod services;
mod snapshot;
mod source_builder;

pub use cloud::{MemoryCloud, Outcome};
pub use deployer::MemoryDeployer;
pub use fault::Fault;
pub use http_router::MemoryRouter;
pub use image_builder::MemoryImageBuilder;
pub use inventory::MemoryInventory;
pub use service_control::MemoryServiceControl;
pub use services::MemoryServices;
pub use snapshot::{CloudSnapshot, Effect, Verb};
pub use source_builder::MemorySourceBuilder;
