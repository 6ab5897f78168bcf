//! Implementations in memory: for tests, for trying things out, and as examples of how each trait is meant.
//!
//! [`MemoryCloud`] bundles the abilities of one provider over one state that a test can look at and break.

mod ci_runner;
mod cloud;
mod code_host;
mod deployer;
mod dns_router;
mod domain_binder;
mod fault;
mod http_router;
mod image_builder;
mod inventory;
mod price_list;
mod registry;
mod repository_host;
mod review_host;
mod secret_source;
mod server_provider;
mod service_control;
mod services;
mod snapshot;
mod source_builder;

pub use ci_runner::MemoryCiRunner;
pub use cloud::{MemoryCloud, Outcome};
pub use code_host::MemoryCodeHost;
pub use deployer::MemoryDeployer;
pub use dns_router::MemoryDnsRouter;
pub use domain_binder::MemoryDomainBinder;
pub use fault::Fault;
pub use http_router::MemoryRouter;
pub use image_builder::MemoryImageBuilder;
pub use inventory::MemoryInventory;
pub use price_list::MemoryPriceList;
pub use registry::MemoryRegistry;
pub use repository_host::MemoryRepositoryHost;
pub use review_host::MemoryReviewHost;
pub use secret_source::MemorySecretSource;
pub use server_provider::MemoryServerProvider;
pub use service_control::MemoryServiceControl;
pub use services::MemoryServices;
pub use snapshot::{CloudSnapshot, Effect, Verb};
pub use source_builder::MemorySourceBuilder;
