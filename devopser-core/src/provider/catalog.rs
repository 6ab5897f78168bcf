//! [`Provider`]: the abilities of one provider; [`Catalog`]: the providers of a host.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Deployer, ImageBuilder, Inventory, ServiceControl, SourceBuilder};
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

/// The abilities of one provider: a trait object for each that it has, so that nothing answers "not supported" at run time.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Who it is.
    pub info: ProviderInfo,
    /// Runs artifacts.
    pub deployer: Option<Arc<dyn Deployer>>,
    /// Builds images.
    pub image_builder: Option<Arc<dyn ImageBuilder>>,
    /// Builds source code by running its own commands.
    pub source_builder: Option<Arc<dyn SourceBuilder>>,
    /// Starts, stops and watches what runs.
    pub service_control: Option<Arc<dyn ServiceControl>>,
    /// Lists what carries our mark.
    pub inventory: Option<Arc<dyn Inventory>>,
}

impl Provider {
    /// A provider without any ability; set those that it has.
    #[must_use]
    pub fn new(info: ProviderInfo) -> Self {
        Self {
            info,
            deployer: None,
            image_builder: None,
            source_builder: None,
            service_control: None,
            inventory: None,
        }
    }

    /// The deployer.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when the provider has none.
    pub fn deployer(&self) -> Result<&Arc<dyn Deployer>> {
        self.deployer
            .as_ref()
            .ok_or_else(|| self.lacks("run anything"))
    }

    /// The image builder.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when the provider has none.
    pub fn image_builder(&self) -> Result<&Arc<dyn ImageBuilder>> {
        self.image_builder
            .as_ref()
            .ok_or_else(|| self.lacks("build images"))
    }

    /// The source builder.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when the provider has none.
    pub fn source_builder(&self) -> Result<&Arc<dyn SourceBuilder>> {
        self.source_builder
            .as_ref()
            .ok_or_else(|| self.lacks("build source code without a container"))
    }

    /// The service control.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when the provider has none.
    pub fn service_control(&self) -> Result<&Arc<dyn ServiceControl>> {
        self.service_control
            .as_ref()
            .ok_or_else(|| self.lacks("start, stop or watch what runs"))
    }

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
