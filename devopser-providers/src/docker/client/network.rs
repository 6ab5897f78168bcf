//! Networks.

use std::collections::HashMap;

use bollard::models as api;
use bollard::query_parameters as query;
use devopser_core::Result;
use devopser_core::context::Context;

use super::{Engine, absent_as_none};
use crate::docker::model::{Labels, Listed};

impl Engine {
    /// The network of that name; `None` when the engine does not know it.
    pub(crate) async fn network(&self, ctx: &Context, name: &str) -> Result<Option<Listed>> {
        let answer = self
            .call(ctx, "inspect network", |docker| async move {
                docker.inspect_network(name, None).await
            })
            .await;
        Ok(absent_as_none(answer)?.map(|network| Listed {
            id: network.id.unwrap_or_default(),
            name: network.name.unwrap_or_default(),
            labels: network.labels.unwrap_or_default().into_iter().collect(),
        }))
    }

    /// Every network with the label (`name` or `name=value`).
    pub(crate) async fn networks(&self, ctx: &Context, label: &str) -> Result<Vec<Listed>> {
        let options = query::ListNetworksOptions {
            filters: Some(HashMap::from([(
                "label".to_owned(),
                vec![label.to_owned()],
            )])),
        };
        let found = self
            .call(ctx, "list networks", |docker| async move {
                docker.list_networks(Some(options)).await
            })
            .await?;
        Ok(found
            .into_iter()
            .map(|network| Listed {
                id: network.id.unwrap_or_default(),
                name: network.name.unwrap_or_default(),
                labels: network.labels.unwrap_or_default().into_iter().collect(),
            })
            .collect())
    }

    /// Makes a bridge network and returns its id.
    pub(crate) async fn create_network(
        &self,
        ctx: &Context,
        name: &str,
        labels: Labels,
    ) -> Result<String> {
        let body = api::NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".into()),
            labels: Some(labels.into_iter().collect()),
            ..Default::default()
        };
        let made = self
            .mutate(ctx, "create network", |docker| async move {
                docker.create_network(body).await
            })
            .await?;
        Ok(made.id)
    }

    /// Removes it. An absent one is `Ok`.
    pub(crate) async fn remove_network(&self, ctx: &Context, id: &str) -> Result<()> {
        let answer = self
            .mutate(ctx, "remove network", |docker| async move {
                docker.remove_network(id).await
            })
            .await;
        absent_as_none(answer).map(|_| ())
    }
}
