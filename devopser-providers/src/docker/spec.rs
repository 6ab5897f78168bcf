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
use devopser_core::id::{Digest, EnvName};
use devopser_core::model::container::{Companion, ContainerOptions, RestartRule};
use devopser_core::model::service::{Environment, Limits};
use devopser_core::provider::DeployRequest;
use devopser_core::{Error, Result, Secret};

use super::model::{ContainerSpec, HealthSpec, ImageFacts, MountSpec};
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
    let mut all = request.container.env.clone();
    all.extend(request.env.clone());
    let mut env = resolve(ctx, &all).await?;
    env.retain(|(name, _)| name != "PORT");
    env.push(("PORT".into(), Secret::new(request.app_port.to_string())));
    // Many servers listen on `HOST`, and on the container's own loopback when it is not set.
    if !env.iter().any(|(name, _)| name == "HOST") && !image.env.iter().any(|name| name == "HOST") {
        env.push(("HOST".into(), Secret::new("0.0.0.0")));
    }
    let service = &request.service.name;
    let spec = ContainerSpec {
        name: names::container(service, &request.release),
        image: image.id.to_string(),
        labels,
        env,
        init: request.container.init.unwrap_or(true),
        publish: Some(request.app_port),
        ..options(ctx, service, &request.container, &request.limits).await?
    };
    Ok(spec)
}

/// The container of a companion; its label says how it is run.
pub(crate) async fn companion(
    ctx: &Context,
    service: &str,
    companion: &Companion,
    image: &Digest,
    mark: &str,
) -> Result<ContainerSpec> {
    let env = resolve(ctx, &companion.container.env).await?;
    let mut labels = names::labels(mark);
    labels.insert(names::ROLE_LABEL.into(), names::ROLE_COMPANION.into());
    labels.insert(names::COMPANION_LABEL.into(), companion.name.clone());
    if companion.restart != RestartRule::UnlessStopped {
        labels.insert(names::ONCE_LABEL.into(), "true".into());
    }
    let mut spec = ContainerSpec {
        name: names::companion(service, &companion.name),
        image: image.to_string(),
        env,
        init: companion.container.init.unwrap_or(false),
        restart: companion.restart,
        ..options(ctx, service, &companion.container, &companion.limits).await?
    };
    spec.aliases.push(companion.name.clone());
    labels.insert(names::SPEC_LABEL.into(), digest_of(companion, &spec)?);
    spec.labels = labels;
    Ok(spec)
}

/// What a change of makes the container another one: its image, how it is run, and the values of its secrets.
fn digest_of(companion: &Companion, spec: &ContainerSpec) -> Result<String> {
    let secrets = spec.env.iter().chain(&spec.files);
    let secrets: Vec<(&str, &str)> = secrets
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect();
    let all = (
        &spec.image,
        &companion.container,
        &companion.limits,
        &companion.restart,
        secrets,
    );
    let text = serde_json::to_vec(&all)
        .map_err(|e| Error::unexpected("a companion cannot be written as JSON").with_source(e))?;
    Ok(Digest::of(&text).hex().to_owned())
}

/// What an app and a companion have in common.
async fn options(
    ctx: &Context,
    service: &str,
    container: &ContainerOptions,
    limits: &Limits,
) -> Result<ContainerSpec> {
    let defaults = Limits::default();
    let mut files = Vec::with_capacity(container.files.len());
    for file in &container.files {
        files.push((file.path.clone(), file.content.resolve(&*ctx.vault).await?));
    }
    let mut capabilities = names_of(APP_CAPABILITIES);
    let dropped = &container.drop_capabilities;
    capabilities.retain(|name| !dropped.iter().any(|other| other == name || other == "ALL"));
    Ok(ContainerSpec {
        entrypoint: container.entrypoint.clone(),
        command: container.command.clone(),
        user: container.user.clone(),
        working_dir: container.working_dir.clone(),
        hostname: container.hostname.clone(),
        memory_bytes: limits.memory_bytes.or(defaults.memory_bytes),
        cpu_millis: limits.cpu_millis.or(defaults.cpu_millis),
        pids: limits.pids.or(defaults.pids),
        capabilities,
        network: service.to_owned(),
        aliases: container.aliases.clone(),
        mounts: container
            .volumes
            .iter()
            .map(|mount| MountSpec {
                volume: mount.name.as_ref().map(|name| names::volume(service, name)),
                path: mount.path.clone(),
                read_only: mount.read_only,
            })
            .collect(),
        tmpfs: container.tmpfs.clone(),
        files,
        read_only: container.read_only,
        shm_bytes: container.shm_bytes,
        stop_signal: container.stop_signal.clone(),
        stop_grace: container.stop_grace,
        health: container.health.as_ref().map(|check| HealthSpec {
            test: check.test.clone(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            retries: check.retries,
        }),
        ..ContainerSpec::default()
    })
}

/// The names as the engine takes them.
pub(crate) fn names_of(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The environment with its secrets.
async fn resolve(ctx: &Context, env: &Environment) -> Result<Vec<(String, Secret)>> {
    let mut resolved = Vec::with_capacity(env.len() + 2);
    for (name, value) in env {
        let value = value.resolve(&*ctx.vault).await.map_err(|e| {
            e.with_context("env", EnvName::as_str(name))
                .with_operation("Deployer::deploy")
        })?;
        resolved.push((name.to_string(), value));
    }
    Ok(resolved)
}
