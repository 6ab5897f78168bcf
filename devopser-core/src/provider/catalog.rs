//! [`Provider`]: the abilities of one provider; [`Catalog`]: the providers of a host.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    CiRunner, CodeHost, Deployer, DnsRouter, DomainBinder, HttpRouter, ImageBuilder, Inventory,
    PriceList, Registry, RepositoryHost, ReviewHost, SecretSource, ServerProvider, ServiceControl,
    SourceBuilder,
};
use crate::id::ProviderId;
use crate::{Error, ErrorKind, Result};

/// Who a provider is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProviderInfo {
    /// Its id, such as `aws-lightsail`.
    pub id: ProviderId,
    /// Its name for people.
    pub name: String,
}

impl ProviderInfo {
    /// An info.
    #[must_use]
    pub fn new(id: ProviderId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
        }
    }
}

macro_rules! abilities {
    ($($(#[$doc:meta])* $field:ident: $ability:ident, $cannot:literal;)*) => {
        /// The abilities of one provider: a trait object for each that it has, so that nothing answers "not supported" at
        /// run time.
        #[derive(Clone, Debug)]
        pub struct Provider {
            /// Who it is.
            pub info: ProviderInfo,
            $($(#[$doc])* pub $field: Option<Arc<dyn $ability>>,)*
        }

        impl Provider {
            /// A provider without any ability; set those that it has.
            #[must_use]
            pub fn new(info: ProviderInfo) -> Self {
                Self { info, $($field: None,)* }
            }

            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// [`Unsupported`](ErrorKind::Unsupported) when the provider cannot.
                pub fn $field(&self) -> Result<&Arc<dyn $ability>> {
                    self.$field.as_ref().ok_or_else(|| self.lacks($cannot))
                }
            )*

            /// The names of the abilities that it has, as the fields are called.
            #[must_use]
            pub fn abilities(&self) -> Vec<&'static str> {
                [$(self.$field.is_some().then_some(stringify!($field)),)*]
                    .into_iter()
                    .flatten()
                    .collect()
            }
        }
    };
}

abilities! {
    /// Runs artifacts.
    deployer: Deployer, "run anything";
    /// Builds images.
    image_builder: ImageBuilder, "build images";
    /// Builds source code by running its own commands.
    source_builder: SourceBuilder, "build source code without a container";
    /// Starts, stops and watches what runs.
    service_control: ServiceControl, "start, stop or watch what runs";
    /// Lists what carries our mark.
    inventory: Inventory, "list what we made";
    /// Points addresses at upstreams.
    http_router: HttpRouter, "route requests";
    /// Stores container images.
    registry: Registry, "store images";
    /// Points names at things.
    dns_router: DnsRouter, "change DNS records";
    /// Reads source code.
    code_host: CodeHost, "read source code";
    /// Hands out secrets.
    secret_source: SecretSource, "hand out secrets";
    /// Gives services domains of their own.
    domain_binder: DomainBinder, "give a service a domain of its own";
    /// Says what a plan costs.
    price_list: PriceList, "say what a plan costs";
    /// Makes repositories and writes into them.
    repository_host: RepositoryHost, "make repositories";
    /// Runs workflows.
    ci_runner: CiRunner, "run workflows";
    /// Tells people how a deployment goes.
    review_host: ReviewHost, "tell people at the code host how a deployment goes";
    /// Makes servers.
    server_provider: ServerProvider, "make servers";
}

impl Provider {
    fn lacks(&self, what: &str) -> Error {
        Error::new(
            ErrorKind::Unsupported,
            format!("{} cannot {what}", self.info.name),
        )
        .with_provider(self.info.id.as_str())
    }
}

/// The providers that a host has, by id. There is no global one.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    providers: BTreeMap<ProviderId, Arc<Provider>>,
    compiled_out: BTreeMap<String, String>,
}

impl Catalog {
    /// Adds a provider; one of the same id is replaced.
    #[must_use]
    pub fn with(mut self, provider: Provider) -> Self {
        self.providers
            .insert(provider.info.id.clone(), Arc::new(provider));
        self
    }

    /// Notes that `id` exists but needs the Cargo feature `feature`.
    #[must_use]
    pub fn without(mut self, id: &str, feature: &str) -> Self {
        self.compiled_out.insert(id.to_owned(), feature.to_owned());
        self
    }

    /// The provider of that id.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) that lists what there is, or names the missing Cargo feature.
    pub fn get(&self, id: &ProviderId) -> Result<&Arc<Provider>> {
        self.providers.get(id).ok_or_else(|| {
            if let Some(feature) = self.compiled_out.get(id.as_str()) {
                return Error::invalid("provider", format!("\"{id}\" is not part of this build"))
                    .with_remedy(format!(
                        "Build devopser with the Cargo feature \"{feature}\"."
                    ));
            }
            let known: Vec<&str> = self.providers.keys().map(ProviderId::as_str).collect();
            Error::invalid(
                "provider",
                format!("\"{id}\" is unknown; there are: {}", known.join(", ")),
            )
        })
    }

    /// Every provider, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_provider_lists_what_there_is_and_a_missing_one_names_its_feature() {
        let id = |text: &str| ProviderId::new(text).unwrap();
        let catalog = Catalog::default()
            .with(Provider::new(ProviderInfo::new(id("local"), "Local")))
            .without("fly", "fly");
        assert!(catalog.get(&id("local")).is_ok());
        assert!(
            catalog
                .get(&id("nope"))
                .unwrap_err()
                .to_string()
                .contains("there are: local")
        );
        assert!(
            catalog
                .get(&id("fly"))
                .unwrap_err()
                .to_string()
                .contains("feature \"fly\"")
        );
    }
}
