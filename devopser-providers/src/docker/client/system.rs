//! The engine itself.

use devopser_core::Result;
use devopser_core::context::Context;

use super::Engine;
use crate::docker::model::EngineFacts;

impl Engine {
    /// Who the engine is.
    pub(crate) async fn facts(&self, ctx: &Context) -> Result<EngineFacts> {
        let version = self
            .call(
                ctx,
                "version",
                |docker| async move { docker.version().await },
            )
            .await?;
        let info = self
            .call(ctx, "info", |docker| async move { docker.info().await })
            .await?;
        Ok(EngineFacts {
            version: version.version.unwrap_or_default(),
            api_version: version.api_version.unwrap_or_default(),
            root: info.docker_root_dir,
            is_linux: info.os_type.as_deref() == Some("linux"),
        })
    }
}
