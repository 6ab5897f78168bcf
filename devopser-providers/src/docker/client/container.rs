//! Containers: made, looked at, started, stopped, removed; their logs and numbers.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models as api;
use bollard::query_parameters as query;
use devopser_core::context::Context;
use devopser_core::model::container::RestartRule;
use devopser_core::{Error, ErrorKind, Result};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::{Engine, absent_as_none};
use crate::docker::model::{
    ContainerFacts, ContainerHealth, ContainerPhase, ContainerSpec, HealthSpec, Listed, LogChunk,
    MountSpec, RawStats,
};
use crate::docker::time::parse_timestamp;

impl Engine {
    /// The container of that name or id; `None` when the engine does not know it.
    pub(crate) async fn container(
        &self,
        ctx: &Context,
        name: &str,
    ) -> Result<Option<ContainerFacts>> {
        let answer = self
            .call(ctx, "inspect container", |docker| async move {
                docker.inspect_container(name, None).await
            })
            .await;
        Ok(absent_as_none(answer)?.map(facts))
    }

    /// Every container, running or not, that carries all of `labels` (`name` or `name=value`).
    pub(crate) async fn containers(&self, ctx: &Context, labels: &[String]) -> Result<Vec<Listed>> {
        let options = query::ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([("label".to_owned(), labels.to_vec())])),
            ..Default::default()
        };
        let found = self
            .call(ctx, "list containers", |docker| async move {
                docker.list_containers(Some(options)).await
            })
            .await?;
        Ok(found.into_iter().filter_map(listed).collect())
    }

    /// Makes a container and returns its id. Its name must be free.
    pub(crate) async fn create_container(
        &self,
        ctx: &Context,
        spec: ContainerSpec,
    ) -> Result<String> {
        let options = query::CreateContainerOptions {
            name: Some(spec.name.clone()),
            ..Default::default()
        };
        // Large: it would be copied through every future on the way.
        let body = Box::new(create_body(&spec));
        let made = self
            .mutate(ctx, "create container", |docker| async move {
                docker.create_container(Some(options), *body).await
            })
            .await?;
        Ok(made.id)
    }

    /// Writes a file into a container that need not run.
    pub(crate) async fn write_file(
        &self,
        ctx: &Context,
        name: &str,
        path: &str,
        content: &[u8],
    ) -> Result<()> {
        let archive = single_file_archive(path.trim_start_matches('/'), content)?;
        let options = query::UploadToContainerOptions {
            path: "/".into(),
            ..Default::default()
        };
        self.mutate(ctx, "write file", |docker| async move {
            docker
                .upload_to_container(name, Some(options), bollard::body_full(archive.into()))
                .await
        })
        .await
    }

    /// Starts a container; one that runs is left as it is.
    pub(crate) async fn start_container(&self, ctx: &Context, name: &str) -> Result<()> {
        self.mutate(ctx, "start container", |docker| async move {
            docker.start_container(name, None).await
        })
        .await
    }

    /// Asks it to end, and ends it after `grace`. An absent one is `Ok`.
    pub(crate) async fn stop_container(
        &self,
        ctx: &Context,
        name: &str,
        grace: Duration,
    ) -> Result<()> {
        let limit = grace + self.request_timeout;
        ctx.before_mutation(limit)?;
        let options = query::StopContainerOptions {
            t: Some(whole_seconds(grace)),
            ..Default::default()
        };
        let answer = self
            .call_within(ctx, "stop container", limit, |docker| async move {
                docker.stop_container(name, Some(options)).await
            })
            .await;
        absent_as_none(answer).map(|_| ())
    }

    /// Stops and starts it.
    pub(crate) async fn restart_container(
        &self,
        ctx: &Context,
        name: &str,
        grace: Duration,
    ) -> Result<()> {
        let limit = grace + self.request_timeout;
        ctx.before_mutation(limit)?;
        let options = query::RestartContainerOptions {
            t: Some(whole_seconds(grace)),
            ..Default::default()
        };
        self.call_within(ctx, "restart container", limit, |docker| async move {
            docker.restart_container(name, Some(options)).await
        })
        .await
    }

    /// Ends and removes it with its unnamed volumes, and waits until the engine does not know it any more.
    pub(crate) async fn remove_container(&self, ctx: &Context, id: &str) -> Result<()> {
        let options = query::RemoveContainerOptions {
            v: true,
            force: true,
            link: false,
        };
        let answer = self
            .mutate(ctx, "remove container", |docker| async move {
                docker.remove_container(id, Some(options)).await
            })
            .await;
        match absent_as_none(answer) {
            Ok(_) => {}
            // Another removal of it is under way.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
        for _ in 0..100 {
            if self.container(ctx, id).await?.is_none() {
                return Ok(());
            }
            ctx.sleep(Duration::from_millis(100)).await?;
        }
        Err(self.timed_out("remove container", Duration::from_secs(10)))
    }

    /// What it wrote, with the engine's timestamps in front of each line.
    pub(crate) async fn container_logs(
        &self,
        name: &str,
        last: Option<u32>,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogChunk>>> {
        let docker = self.streaming().await?;
        let options = query::LogsOptions {
            follow,
            stdout: true,
            stderr: true,
            timestamps: true,
            tail: last.map_or_else(|| "all".to_owned(), |n| n.to_string()),
            ..Default::default()
        };
        let socket = self.socket.clone();
        Ok(docker
            .logs(name, Some(options))
            .map_ok(chunk)
            .map_err(move |e| super::error::map(&socket, "logs", e))
            .boxed())
    }

    /// What it uses now. The engine measures for about a second.
    pub(crate) async fn container_stats(&self, ctx: &Context, name: &str) -> Result<RawStats> {
        let options = query::StatsOptions {
            stream: false,
            one_shot: false,
        };
        let first = self
            .call(ctx, "stats", |docker| async move {
                docker.stats(name, Some(options)).try_next().await
            })
            .await?;
        first.map(|stats| raw_stats(&stats)).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("the container {name} does not run"),
            )
        })
    }
}

fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

fn listed(summary: api::ContainerSummary) -> Option<Listed> {
    let name = summary.names?.into_iter().next()?;
    Some(Listed {
        id: summary.id?,
        name: name.trim_start_matches('/').to_owned(),
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
    })
}

fn facts(answer: api::ContainerInspectResponse) -> ContainerFacts {
    let state = answer.state.unwrap_or_default();
    let phase = phase(state.status);
    let ended = !matches!(phase, ContainerPhase::Running | ContainerPhase::Paused);
    let health = state.health.unwrap_or_default();
    ContainerFacts {
        id: answer.id.unwrap_or_default(),
        name: answer
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        labels: answer
            .config
            .and_then(|config| config.labels)
            .unwrap_or_default()
            .into_iter()
            .collect(),
        phase,
        health: match health.status {
            Some(api::HealthStatusEnum::STARTING) => ContainerHealth::Starting,
            Some(api::HealthStatusEnum::HEALTHY) => ContainerHealth::Healthy,
            Some(api::HealthStatusEnum::UNHEALTHY) => ContainerHealth::Unhealthy,
            _ => ContainerHealth::None,
        },
        exit_code: state.exit_code.filter(|_| ended),
        out_of_memory: state.oom_killed.unwrap_or_default(),
        restarts: answer
            .restart_count
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0),
        started_at: state.started_at.as_deref().and_then(parse_timestamp),
        error: state.error.filter(|text| !text.is_empty()),
        pid: state
            .pid
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid > 0),
        ports: published(
            answer
                .network_settings
                .and_then(|n| n.ports)
                .unwrap_or_default(),
        ),
        health_output: health
            .log
            .and_then(|log| log.into_iter().last())
            .and_then(|last| last.output),
    }
}

fn phase(status: Option<api::ContainerStateStatusEnum>) -> ContainerPhase {
    use api::ContainerStateStatusEnum as Status;
    match status {
        Some(Status::CREATED) => ContainerPhase::Created,
        Some(Status::RUNNING | Status::STOPPING) => ContainerPhase::Running,
        Some(Status::PAUSED) => ContainerPhase::Paused,
        Some(Status::RESTARTING) => ContainerPhase::Restarting,
        Some(Status::REMOVING) => ContainerPhase::Removing,
        Some(Status::DEAD) => ContainerPhase::Dead,
        Some(Status::EXITED | Status::EMPTY) | None => ContainerPhase::Exited,
    }
}

fn published(ports: api::PortMap) -> BTreeMap<u16, SocketAddr> {
    let mut found = BTreeMap::new();
    for (inside, bindings) in ports {
        let Some(Ok(inside)) = inside.strip_suffix("/tcp").map(str::parse::<u16>) else {
            continue;
        };
        for binding in bindings.unwrap_or_default() {
            let host = binding.host_ip.as_deref().unwrap_or_default().parse();
            let port = binding.host_port.as_deref().unwrap_or_default().parse();
            if let (Ok(host), Ok(port)) = (host, port) {
                let host: IpAddr = host;
                found.insert(inside, SocketAddr::new(host, port));
            }
        }
    }
    found
}

fn create_body(spec: &ContainerSpec) -> api::ContainerCreateBody {
    let exposed = spec.publish.map(|port| format!("{port}/tcp"));
    api::ContainerCreateBody {
        image: Some(spec.image.clone()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        env: Some(
            spec.env
                .iter()
                .map(|(name, value)| format!("{name}={}", value.expose()))
                .collect(),
        ),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.command.clone(),
        user: spec.user.clone(),
        working_dir: spec.working_dir.clone(),
        hostname: spec.hostname.clone(),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_grace.map(|grace| i64::from(whole_seconds(grace))),
        exposed_ports: exposed.clone().map(|port| vec![port]),
        healthcheck: spec.health.as_ref().map(health_config),
        host_config: Some(host_config(spec, exposed)),
        networking_config: Some(api::NetworkingConfig {
            endpoints_config: Some(HashMap::from([(
                spec.network.clone(),
                api::EndpointSettings {
                    aliases: Some(spec.aliases.clone()),
                    ..Default::default()
                },
            )])),
        }),
        ..Default::default()
    }
}

fn host_config(spec: &ContainerSpec, exposed: Option<String>) -> api::HostConfig {
    let memory = spec
        .memory_bytes
        .and_then(|bytes| i64::try_from(bytes).ok());
    let binding = api::PortBinding {
        host_ip: Some(Ipv4Addr::LOCALHOST.to_string()),
        host_port: Some("0".into()),
    };
    api::HostConfig {
        memory,
        // Equal to the memory: no swap.
        memory_swap: memory,
        nano_cpus: spec.cpu_millis.map(|millis| i64::from(millis) * 1_000_000),
        pids_limit: spec.pids.map(i64::from),
        init: Some(spec.init),
        network_mode: Some(spec.network.clone()),
        port_bindings: exposed.map(|port| HashMap::from([(port, Some(vec![binding]))])),
        restart_policy: Some(api::RestartPolicy {
            name: Some(match spec.restart {
                RestartRule::Never => api::RestartPolicyNameEnum::NO,
                RestartRule::OnFailure => api::RestartPolicyNameEnum::ON_FAILURE,
                _ => api::RestartPolicyNameEnum::UNLESS_STOPPED,
            }),
            maximum_retry_count: None,
        }),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(spec.capabilities.clone()),
        readonly_rootfs: Some(spec.read_only),
        shm_size: spec.shm_bytes.and_then(|bytes| i64::try_from(bytes).ok()),
        tmpfs: Some(spec.tmpfs.clone().into_iter().collect()),
        security_opt: Some(vec!["no-new-privileges".into()]),
        log_config: Some(api::HostConfigLogConfig {
            typ: Some("json-file".into()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), "10m".to_owned()),
                ("max-file".to_owned(), "3".to_owned()),
            ])),
        }),
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        ..Default::default()
    }
}

fn mount(mount: &MountSpec) -> api::Mount {
    api::Mount {
        typ: Some(api::MountType::VOLUME),
        source: mount.volume.clone(),
        target: Some(mount.path.clone()),
        read_only: Some(mount.read_only),
        ..Default::default()
    }
}

fn health_config(health: &HealthSpec) -> api::HealthConfig {
    let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    api::HealthConfig {
        test: Some(health.test.clone()),
        interval: Some(nanos(health.interval)),
        timeout: Some(nanos(health.timeout)),
        start_period: Some(nanos(health.start_period)),
        retries: Some(i64::from(health.retries)),
        ..Default::default()
    }
}

fn single_file_archive(path: &str, content: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    let mut archive = tar::Builder::new(Vec::new());
    archive
        .append_data(&mut header, path, content)
        .and_then(|()| archive.into_inner())
        .map_err(|e| Error::unexpected("a file for a container cannot be packed").with_source(e))
}

fn chunk(output: LogOutput) -> LogChunk {
    let is_error_stream = matches!(output, LogOutput::StdErr { .. });
    LogChunk {
        is_error_stream,
        data: output.into_bytes().to_vec(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share in per cent needs no more than a float's precision"
)]
fn raw_stats(stats: &api::ContainerStatsResponse) -> RawStats {
    let total = |cpu: &Option<api::ContainerCpuStats>| {
        cpu.as_ref()
            .and_then(|cpu| cpu.cpu_usage.as_ref()?.total_usage)
            .unwrap_or(0)
    };
    let system = |cpu: &Option<api::ContainerCpuStats>| {
        cpu.as_ref()
            .and_then(|cpu| cpu.system_cpu_usage)
            .unwrap_or(0)
    };
    let processors = stats
        .cpu_stats
        .as_ref()
        .map(|cpu| {
            let counted = cpu.cpu_usage.as_ref().and_then(|u| u.percpu_usage.as_ref());
            cpu.online_cpus
                .filter(|n| *n > 0)
                .unwrap_or_else(|| counted.map_or(1, |each| u32::try_from(each.len()).unwrap_or(1)))
        })
        .unwrap_or(1);
    let used = total(&stats.cpu_stats).saturating_sub(total(&stats.precpu_stats));
    let passed = system(&stats.cpu_stats).saturating_sub(system(&stats.precpu_stats));
    let cpu_percent = if passed == 0 {
        0.0
    } else {
        used as f64 / passed as f64 * f64::from(processors) * 100.0
    };
    let memory = stats.memory_stats.clone().unwrap_or_default();
    let parts = memory.stats.unwrap_or_default();
    // What the kernel would give back at once is not the app's: cgroup v2 and v1 name it differently.
    let cache = parts
        .get("inactive_file")
        .or_else(|| parts.get("total_inactive_file"))
        .copied()
        .unwrap_or(0);
    let networks = stats.networks.clone().unwrap_or_default();
    RawStats {
        cpu_percent,
        memory_bytes: memory.usage.unwrap_or(0).saturating_sub(cache),
        memory_limit_bytes: memory.limit,
        network_received_bytes: networks.values().filter_map(|n| n.rx_bytes).sum(),
        network_sent_bytes: networks.values().filter_map(|n| n.tx_bytes).sum(),
        pids: stats.pids_stats.as_ref().and_then(|pids| pids.current),
    }
}
