//! What a provider implements: one file and one trait for each ability.
//!
//! Every trait is object-safe and held as `Arc<dyn _>`. Every mutating call converges: it looks, makes what is missing,
//! brings the rest in line and returns; repeating it is safe, and removing what is absent is `Ok`.

pub(crate) mod blob_store;
mod catalog;
mod ci_runner;
mod code_host;
mod deployer;
mod dns_router;
mod domain_binder;
mod http_router;
mod image_builder;
mod inventory;
mod ownership;
mod planner;
mod poll;
mod price_list;
mod registry;
mod repository_host;
mod review_host;
mod secret_source;
mod server_provider;
mod service_control;
mod source_builder;
mod stack_detector;

pub use blob_store::{BlobReader, BlobStore, BlobStoreExt};
pub use catalog::{Catalog, Provider, ProviderInfo};
pub use ci_runner::{
    CiCapability, CiConclusion, CiPhase, CiRun, CiRunRef, CiRunner, CiRunnerExt, DispatchRequest,
};
pub use code_host::{
    CodeHost, CodeHostCapability, CommitRef, FileContent, RepositoryRef, TreeEntry, TreeEntryKind,
    TreeListing,
};
pub use deployer::{
    DeployRequest, Deployer, DeployerCapability, DeployerExt, DestroyRequest, PrepareRequest,
    Prepared,
};
pub use dns_router::{
    ChangeRef, ChangeStatus, DnsCapability, DnsRouter, DnsRouterExt, EnsureRecordSet, RecordFilter,
    RecordSet, RecordType, RemoveRecordSet, Zone,
};
pub use domain_binder::{
    DomainBinder, DomainBinderExt, DomainCapability, DomainPhase, DomainRef, DomainStatus,
    RequiredRecord,
};
pub use http_router::{HttpRouter, Route, RouteId};
pub use image_builder::{BuildRequest, Built, ImageBuilder};
pub use inventory::{Inventory, InventoryExt, OwnedPage, OwnedThing};
pub use ownership::OnForeign;
pub use planner::Planner;
pub use poll::Poll;
pub use price_list::{PriceCapability, PriceList, Quote, QuoteLine, UsdMicros};
pub use registry::{
    Access, ImageSource, PushRequest, Pushed, Registry, RegistryCapability, RegistryLogin,
    Repository,
};
pub use repository_host::{
    CommitRequest, Committed, EnsureRepository, FileChange, HostedRepository, RepositoryHost,
    RepositoryHostCapability,
};
pub use review_host::{
    CommentRef, EnsureComment, PullRequest, PullRequestAction, PullRequestRef, ReportRequest,
    ReportState, ReviewCapability, ReviewHost, WebhookDelivery, WebhookEvent,
};
pub use secret_source::{SecretSource, SecretSourceCapability};
pub use server_provider::{
    EnsureServer, EnsureSnapshot, Server, ServerCapability, ServerImage, ServerPhase,
    ServerProvider, ServerProviderExt, ServerRef, Snapshot,
};
pub use service_control::{LogOptions, ServiceControl};
pub use source_builder::{SourceBuildRequest, SourceBuilder};
pub use stack_detector::{FileRead, FileTree, Listing, StackDetector};
