//! What a provider implements: one file and one trait for each ability.
//!
//! Every trait is object-safe and held as `Arc<dyn _>`. Every mutating call converges: it looks, makes what is missing,
//! brings the rest in line and returns; repeating it is safe, and removing what is absent is `Ok`.

mod catalog;
mod deployer;
mod http_router;
mod image_builder;
mod inventory;
mod planner;
mod service_control;
mod source_builder;
mod stack_detector;

pub use catalog::{Catalog, Provider, ProviderInfo};
pub use deployer::{
    DeployRequest, Deployer, DeployerCapability, DestroyRequest, PrepareRequest, Prepared,
};
pub use http_router::{HttpRouter, Route, RouteId};
pub use image_builder::{BuildRequest, Built, ImageBuilder};
pub use inventory::{Inventory, OwnedThing};
pub use planner::Planner;
pub use service_control::{LogOptions, ServiceControl};
pub use source_builder::{SourceBuildRequest, SourceBuilder};
pub use stack_detector::{FileRead, FileTree, StackDetector};
