//! What must stay true of the public interface: every trait is object-safe, every handle can be shared between threads.

use std::sync::Arc;

use devopser_core::clock::Clock;
use devopser_core::context::{Context, Lease, Ledger, Progress, Vault};
use devopser_core::http::{
    HttpRequest, HttpResponse, HttpTransport, Jitter, Plane, RateLimiter, Sleeper,
};
use devopser_core::memory::{MemoryCloud, MemoryServices};
use devopser_core::provider::{
    Catalog, CiRunner, CodeHost, Deployer, DnsRouter, DomainBinder, FileTree, HttpRouter,
    ImageBuilder, Inventory, Planner, PriceList, Provider, Registry, RegistryLogin, RepositoryHost,
    ReviewHost, SecretSource, ServerProvider, ServiceControl, SourceBuilder, StackDetector,
};
use devopser_core::store::DeploymentStore;
use devopser_core::{Error, Secret};

fn shared<T: ?Sized + Send + Sync>() {}

macro_rules! object_safe {
    ($($ability:ident),* $(,)?) => {
        $(shared::<dyn $ability>(); shared::<Arc<dyn $ability>>();)*
    };
}

#[test]
fn every_trait_is_object_safe_and_can_be_shared() {
    object_safe!(
        CiRunner,
        Clock,
        CodeHost,
        Deployer,
        DeploymentStore,
        DnsRouter,
        DomainBinder,
        FileTree,
        HttpRouter,
        HttpTransport,
        ImageBuilder,
        Inventory,
        Jitter,
        Lease,
        Ledger,
        Planner,
        PriceList,
        Progress,
        RateLimiter,
        Registry,
        RepositoryHost,
        ReviewHost,
        SecretSource,
        ServerProvider,
        ServiceControl,
        Sleeper,
        SourceBuilder,
        StackDetector,
        Vault,
    );
    shared::<(
        Catalog,
        Provider,
        Context,
        Plane,
        Error,
        Secret,
        MemoryCloud,
        MemoryServices,
    )>();
    shared::<(HttpRequest, RegistryLogin)>();
    fn sent<T: Send>() {}
    sent::<HttpResponse>();
}

#[test]
fn the_memory_cloud_has_every_ability() {
    let provider = MemoryCloud::new().provider();
    assert_eq!(
        provider.abilities(),
        [
            "deployer",
            "image_builder",
            "source_builder",
            "service_control",
            "inventory",
            "http_router",
            "registry",
            "dns_router",
            "code_host",
            "secret_source",
            "domain_binder",
            "price_list",
            "repository_host",
            "ci_runner",
            "review_host",
            "server_provider",
        ]
    );
    let info = provider.info.clone();
    for other in [
        provider.deployer().unwrap().info(),
        provider.image_builder().unwrap().info(),
        provider.source_builder().unwrap().info(),
        provider.service_control().unwrap().info(),
        provider.inventory().unwrap().info(),
        provider.http_router().unwrap().info(),
        provider.registry().unwrap().info(),
        provider.dns_router().unwrap().info(),
        provider.code_host().unwrap().info(),
        provider.secret_source().unwrap().info(),
        provider.domain_binder().unwrap().info(),
        provider.price_list().unwrap().info(),
        provider.repository_host().unwrap().info(),
        provider.ci_runner().unwrap().info(),
        provider.review_host().unwrap().info(),
        provider.server_provider().unwrap().info(),
    ] {
        assert_eq!(other, info);
    }
}

#[test]
fn a_provider_without_an_ability_says_what_it_cannot() {
    let bare = Provider::new(MemoryCloud::info());
    let error = bare.dns_router().unwrap_err();
    assert_eq!(error.kind(), devopser_core::ErrorKind::Unsupported);
    assert!(
        error.message().contains("Memory cannot change DNS records"),
        "{error}"
    );
    assert!(bare.abilities().is_empty());
}

/// `$type` must not be `Serialize`: if it were, the call below would be ambiguous and this file would not compile.
macro_rules! not_serialisable {
    ($($type:ty),* $(,)?) => {
        $({
            trait Ambiguous<A> {
                fn check() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Serialisable;
            impl<T: ?Sized + serde::Serialize> Ambiguous<Serialisable> for T {}
            <$type as Ambiguous<_>>::check();
        })*
    };
}

#[test]
fn what_holds_a_secret_cannot_be_serialised() {
    not_serialisable!(
        Secret,
        RegistryLogin,
        devopser_core::provider::EnsureServer,
        devopser_core::provider::BuildRequest,
        HttpRequest,
    );
}
