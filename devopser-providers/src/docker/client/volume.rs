//! Volumes.

use std::collections::HashMap;

use bollard::models as api;
use bollard::query_parameters as query;
use devopser_core::Result;
use devopser_core::context::Context;

use super::{Engine, absent_as_none};
use crate::docker::model::{Labels, Listed};

impl Engine {
    /// The volume of that name; `None` when the engine does not know it.
    pub(crate) async fn volume(&self, ctx: &Context, name: &str) -> Result<Option<Listed>> {
        let answer = self
            .call(ctx, "inspect volume", |docker| async move {
                docker.inspect_volume(name).await
            })
            .await;
        Ok(absent_as_none(answer)?.map(listed))
    }

    /// Every volume with the label (`name` or `name=value`).
    pub(crate) async fn volumes(&self, ctx: &Context, label: &str) -> Result<Vec<Listed>> {
        let options = query::ListVolumesOptions {
            filters: Some(HashMap::from([(
                "label".to_owned(),
                vec![label.to_owned()],
            )])),
        };
        let found = self
            .call(ctx, "list volumes", |docker| async move {
                docker.list_volumes(Some(options)).await
            })
            .await?;
        Ok(found
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(listed)
            .collect())
    }

    /// Makes a volume; one of that name is left as it is.
    pub(crate) async fn create_volume(
        &self,
        ctx: &Context,
        name: &str,
        labels: Labels,
    ) -> Result<()> {
        let body = api::VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.into_iter().collect()),
            ..Default::default()
        };
        self.mutate(ctx, "create volume", |docker| async move {
            docker.create_volume(body).await
        })
        .await
        .map(|_| ())
    }

    /// Removes it with its data. An absent one is `Ok`.
    pub(crate) async fn remove_volume(&self, ctx: &Context, name: &str) -> Result<()> {
        let answer = self
            .mutate(ctx, "remove volume", |docker| async move {
                docker
                    .remove_volume(name, None::<query::RemoveVolumeOptions>)
                    .await
            })
            .await;
        absent_as_none(answer).map(|_| ())
    }
}

fn listed(volume: api::Volume) -> Listed {
    Listed {
        id: volume.name.clone(),
        name: volume.name,
        labels: volume.labels.into_iter().collect(),
    }
}
