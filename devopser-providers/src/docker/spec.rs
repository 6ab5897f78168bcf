//! From a request to a container.
//!
//! # Capabilities
//! Everything is dropped; these come back, because the official images start as root, prepare their folders and then step
//! down to a user of their own:
//!
//! - an app: `CHOWN`, `DAC_OVERRIDE`, `FOWNER` (entry points that give folders away), `SETGID`, `SETUID` (nginx, Apache
//!   and `gosu` step down), `KILL` (a root parent ends children of another user) and `NET_BIND_SERVICE` (port 80);
//! - a database: the same without `NET_BIND_SERVICE`.
//!
//! Left out of Docker's own set: `AUDIT_WRITE`, `FSETID`, `MKNOD`, `NET_RAW`, `SETFCAP`, `SETPCAP`, `SYS_CHROOT`.

use devopser_core::context::Context;
use devopser_core::id::EnvName;
use devopser_core::model::service::{EnvValue, Environment};
use devopser_core::provider::DeployRequest;
use devopser_core::{Result, Secret};

use super::model::{ContainerSpec, ImageFacts};
use super::names;

/// What an app's container may do.
pub(crate) const APP_CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETUID",
];
/// What a database's container may do.
pub(crate) const DATABASE_CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "KILL",
    "SETGID",
    "SETUID",
];

/// The container of a release.
pub(crate) async fn app(
    ctx: &Context,
    request: &DeployRequest,
    image: &ImageFacts,
    mark: &str,
) -> Result<ContainerSpec> {
    let mut labels = names::labels(mark);
    labels.insert(names::ROLE_LABEL.into(), names::ROLE_APP.into());
    labels.insert(names::RELEASE_LABEL.into(), request.release.to_string());
    labels.insert(names::PORT_LABEL.into(), request.app_port.to_string());
    let mut env = resolve(ctx, &request.env).await?;
    env.retain(|(name, _)| name != "PORT");
    env.push(("PORT".into(), Secret::new(request.app_port.to_string())));
    // Many servers listen on `HOST`, and on the container's own loopback when it is not set.
    if !env.iter().any(|(name, _)| name == "HOST") && !image.env.iter().any(|name| name == "HOST") {
        env.push(("HOST".into(), Secret::new("0.0.0.0")));
    }
    let defaults = devopser_core::model::service::Limits::default();
    Ok(ContainerSpec {
        name: names::container(&request.service.name, &request.release),
        image: image.id.to_string(),
        labels,
        env,
        memory_bytes: request.limits.memory_bytes.or(defaults.memory_bytes),
        cpu_millis: request.limits.cpu_millis.or(defaults.cpu_millis),
        pids: request.limits.pids.or(defaults.pids),
        capabilities: APP_CAPABILITIES,
        init: true,
        publish: Some(request.app_port),
        network: request.service.name.clone(),
        ..ContainerSpec::default()
    })
}

/// The environment with its secrets.
async fn resolve(ctx: &Context, env: &Environment) -> Result<Vec<(String, Secret)>> {
    let mut resolved = Vec::with_capacity(env.len() + 2);
    for (name, value) in env {
        let value = match value {
            EnvValue::Plain(text) => Secret::new(text.as_str()),
            EnvValue::Secret(reference) => ctx.vault.get(reference).await.map_err(|e| {
                e.with_context("env", EnvName::as_str(name))
                    .with_operation("Deployer::deploy")
            })?,
        };
        resolved.push((name.to_string(), value));
    }
    Ok(resolved)
}
