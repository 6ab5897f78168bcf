//! One service of a compose file: the keys that are carried out. Every other key is refused by name.

use std::time::Duration;

use devopser_core::id::EnvName;
use devopser_core::model::container::{ContainerCheck, ContainerOptions, RestartRule, WaitUntil};
use devopser_core::model::report::Finding;
use devopser_core::model::service::{EnvPart, EnvValue, Environment, Limits, SecretRef};

use super::fields::{self, Read};
use super::interpolate::{self, Piece, Variable};
use super::load::{Project, Service, finding, inside, text_of};
use super::policy::is_false;
use super::ports::{self, Port};
use super::{build, storage};
use crate::yaml::{Node, Yaml};

/// Keys that change nothing here: what they say is so anyway, or is for tools beside.
const WITHOUT_EFFECT: &[&str] = &[
    "annotations",
    "attach",
    "cpu_shares",
    "deploy",
    "develop",
    "extends",
    "labels",
    "logging",
    "mem_reservation",
    "mem_swappiness",
    "memswap_limit",
    "platform",
    "profiles",
    "pull_policy",
    "stdin_open",
    "tty",
];

/// Keys that may stand there with the value that is so anyway; the policy has refused every other.
const AS_IT_IS: &[&str] = &[
    "blkio_config",
    "cap_add",
    "cgroup",
    "cgroup_parent",
    "credential_spec",
    "device_cgroup_rules",
    "devices",
    "gpus",
    "ipc",
    "isolation",
    "oom_kill_disable",
    "oom_score_adj",
    "pid",
    "privileged",
    "provider",
    "runtime",
    "security_opt",
    "sysctls",
    "use_api_socket",
    "userns_mode",
    "uts",
];

/// A service as it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plain {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) image: Option<String>,
    pub(crate) is_built: bool,
    /// The folder of the build context; empty for the root.
    pub(crate) context: String,
    pub(crate) build: build::Build,
    /// Paths of the source that are copied into the image, and where to.
    pub(crate) adds: Vec<(String, String)>,
    pub(crate) container: ContainerOptions,
    pub(crate) limits: Limits,
    /// Whether the file says its limits.
    pub(crate) is_limited: bool,
    pub(crate) restart: Option<RestartRule>,
    pub(crate) ports: Vec<Port>,
    pub(crate) exposed: Vec<Port>,
    pub(crate) depends_on: Vec<(String, WaitUntil, u32)>,
    /// Whether another service waits until it has ended.
    pub(crate) runs_once: bool,
    pub(crate) warnings: Vec<String>,
}

impl Plain {
    /// The last part of its image's name, without tag.
    pub(crate) fn image_name(&self) -> &str {
        let image = self.image.as_deref().unwrap_or_default();
        let image = image.split('@').next().unwrap_or_default();
        let last = image.rsplit('/').next().unwrap_or_default();
        last.split(':').next().unwrap_or_default()
    }
}

/// Reads a service.
pub(crate) fn read(project: &Project<'_>, service: &Service) -> Result<Plain, Vec<Finding>> {
    let mut reader = Reader {
        project,
        plain: Plain {
            name: service.name.clone(),
            line: service.line,
            ..Plain::default()
        },
        findings: Vec::new(),
    };
    if !super::mounts::is_name(&service.name) {
        reader.refuse(
            &service.node,
            service.line,
            "unreadable",
            "its name is none",
        );
    }
    for (key, line, node) in service.node.map() {
        if let Err((rule, reason)) = reader.key(key, node) {
            reader.refuse(node, *line, rule, format!("{key}: {reason}"));
        }
    }
    let plain = &reader.plain;
    if !plain.is_built && plain.image.is_none() {
        reader.refuse(
            &service.node,
            service.line,
            "unreadable",
            "it has neither an image nor a build",
        );
    } else if plain.container.read_only && !plain.container.files.is_empty() {
        reader.refuse(
            &service.node,
            service.line,
            "unsupported",
            "read_only together with secrets or configs that are not files",
        );
    }
    if reader.findings.is_empty() {
        Ok(reader.plain)
    } else {
        Err(reader.findings)
    }
}

pub(crate) struct Reader<'p> {
    pub(crate) project: &'p Project<'p>,
    pub(crate) plain: Plain,
    pub(crate) findings: Vec<Finding>,
}

/// A rule and a reason.
pub(crate) type Refused<T> = Result<T, (&'static str, String)>;

/// A value that cannot be read is refused as such.
fn readable<T>(read: Read<T>) -> Refused<T> {
    read.map_err(|reason| ("unreadable", reason))
}

impl Reader<'_> {
    pub(crate) fn refuse(&mut self, node: &Node, line: u32, rule: &str, reason: impl Into<String>) {
        let reason = format!("the service {:?}: {}", self.plain.name, reason.into());
        self.findings.push(finding(&node.file, line, rule, reason));
    }

    fn key(&mut self, key: &str, node: &Node) -> Refused<()> {
        if key.starts_with("x-") || AS_IT_IS.contains(&key) {
            return Ok(());
        }
        if key == "deploy" {
            self.deploy(node)?;
        }
        if WITHOUT_EFFECT.contains(&key) {
            return Ok(());
        }
        if self.program(key, node)? || self.limit(key, node)? || self.place(key, node)? {
            return Ok(());
        }
        Err(("unsupported", "this key is not carried out".to_owned()))
    }

    /// What is run and how it ends.
    fn program(&mut self, key: &str, node: &Node) -> Refused<bool> {
        let container = &mut self.plain.container;
        match key {
            "image" => self.plain.image = Some(readable(fields::plain(node))?),
            "command" => container.command = readable(fields::command(node))?,
            "entrypoint" => container.entrypoint = readable(fields::command(node))?,
            "user" => container.user = Some(readable(fields::plain(node))?),
            "working_dir" => container.working_dir = Some(readable(fields::plain(node))?),
            "hostname" => container.hostname = Some(readable(fields::plain(node))?),
            "init" => container.init = Some(readable(fields::flag(node))?),
            "read_only" => container.read_only = readable(fields::flag(node))?,
            "stop_signal" => container.stop_signal = Some(readable(fields::plain(node))?),
            "stop_grace_period" => container.stop_grace = Some(readable(fields::duration(node))?),
            "cap_drop" => {
                let names = readable(fields::texts(node))?.into_iter();
                container.drop_capabilities = names
                    .map(|name| {
                        name.to_ascii_uppercase()
                            .trim_start_matches("CAP_")
                            .to_owned()
                    })
                    .collect();
            }
            "healthcheck" => container.health = health(node)?,
            "restart" => self.plain.restart = Some(restart(&readable(fields::plain(node))?)?),
            "environment" => self.environment(node)?,
            "env_file" => self.env_files(node)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn limit(&mut self, key: &str, node: &Node) -> Refused<bool> {
        let limits = &mut self.plain.limits;
        match key {
            "mem_limit" => limits.memory_bytes = Some(readable(fields::bytes(node))?),
            "cpus" => limits.cpu_millis = Some(readable(fields::processors(node))?),
            "pids_limit" => limits.pids = Some(readable(fields::number(node))?),
            "shm_size" => {
                self.plain.container.shm_bytes = Some(readable(fields::bytes(node))?);
                return Ok(true);
            }
            "scale" => {
                only(node, "1")?;
                return Ok(true);
            }
            _ => return Ok(false),
        }
        self.plain.is_limited = true;
        Ok(true)
    }

    /// Where it is and what it has.
    fn place(&mut self, key: &str, node: &Node) -> Refused<bool> {
        match key {
            "build" => build::read(self, node)?,
            "volumes" => storage::volumes(self, node),
            "tmpfs" => storage::tmpfs(self, node)?,
            "secrets" | "configs" => storage::files(self, key, node)?,
            "ports" => self.plain.ports = readable(ports::read(node))?,
            "expose" => self.plain.exposed = readable(ports::read(node))?,
            "container_name" => {
                let name = readable(fields::plain(node))?;
                self.plain.container.aliases.push(name);
            }
            "network_mode" => match node.text() {
                Some("bridge" | "default") => {}
                _ => {
                    return Err((
                        "unsupported",
                        "every service is on the app's own network".to_owned(),
                    ));
                }
            },
            "networks" => self.networks(node)?,
            "depends_on" => self.depends_on(node)?,
            "links" => {
                for name in readable(fields::texts(node))? {
                    let (service, alias) = name.split_once(':').unwrap_or((&name, &name));
                    if service != alias {
                        return Err(("unsupported", format!("the other name {alias:?} of a link")));
                    }
                    let service = service.to_owned();
                    self.plain
                        .depends_on
                        .push((service, WaitUntil::Started, node.line));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn environment(&mut self, node: &Node) -> Refused<()> {
        for (name, value) in readable(fields::pairs(node))? {
            let outside = || match self.project.variables.get(&name) {
                Some(Variable::Plain(text)) => Some(EnvValue::Plain(text.clone())),
                Some(Variable::Secret(name)) => Some(EnvValue::Secret(SecretRef(name.clone()))),
                None => None,
            };
            let value = value.map_or_else(outside, |text| Some(env_value(&text)));
            if let Some(value) = value {
                let name = env_name(&name)?;
                self.plain.container.env.insert(name, value);
            }
        }
        Ok(())
    }

    fn env_files(&mut self, node: &Node) -> Refused<()> {
        let single = std::slice::from_ref(node);
        let all = if node.list().is_empty() {
            single
        } else {
            node.list()
        };
        let mut found = Environment::new();
        for item in all {
            let path = item.get("path").unwrap_or(item);
            let path = readable(fields::plain(path))?;
            let is_required = item.get("required").is_none_or(|value| !is_false(value));
            let at = inside(&self.project.base, &path)
                .ok_or(("outside-source", format!("{path:?} leads outside")))?;
            let Some(text) = text_of(self.project.tree, &at) else {
                if is_required {
                    let reason = format!(
                        "{path:?} is not in the source; hand its variables over with --env or --secret, or say required: false"
                    );
                    return Err(("missing", reason));
                }
                continue;
            };
            let pairs = interpolate::env_file(&text, &self.project.variables)
                .map_err(|(line, reason)| ("unreadable", format!("{path}:{line}: {reason}")))?;
            for (name, value) in pairs {
                let value = match value {
                    Variable::Plain(text) => env_value(&text),
                    Variable::Secret(name) => EnvValue::Secret(SecretRef(name)),
                };
                found.insert(env_name(&name)?, value);
            }
        }
        // What environment says wins, wherever it stands.
        for (name, value) in found {
            self.plain.container.env.entry(name).or_insert(value);
        }
        Ok(())
    }

    fn networks(&mut self, node: &Node) -> Refused<()> {
        let declared = self.project.root.get("networks");
        let known =
            |name: &str| name == "default" || declared.is_some_and(|all| all.get(name).is_some());
        let listed = match &node.value {
            Yaml::Map(entries) => entries.iter().map(|(name, ..)| name.clone()).collect(),
            _ => readable(fields::texts(node))?,
        };
        if let Some(name) = listed.iter().find(|name| !known(name)) {
            return Err(("unreadable", format!("there is no network {name:?}")));
        }
        for (.., options) in node.map() {
            for (key, _, value) in options.map() {
                match key.as_str() {
                    "aliases" => self
                        .plain
                        .container
                        .aliases
                        .extend(readable(fields::texts(value))?),
                    "priority" | "gw_priority" => {}
                    key => return Err(("unsupported", format!("{key} in a network"))),
                }
            }
        }
        Ok(())
    }

    fn depends_on(&mut self, node: &Node) -> Refused<()> {
        for item in node.list() {
            let name = readable(fields::plain(item))?;
            self.plain
                .depends_on
                .push((name, WaitUntil::Started, item.line));
        }
        for (name, line, options) in node.map() {
            let until = match options.get("condition").and_then(Node::text) {
                None | Some("service_started") => WaitUntil::Started,
                Some("service_healthy") => WaitUntil::Healthy,
                Some("service_completed_successfully") => WaitUntil::Completed,
                Some(other) => {
                    return Err(("unreadable", format!("there is no condition {other:?}")));
                }
            };
            let is_started = self
                .project
                .services
                .iter()
                .any(|service| service.name == *name);
            let is_required = options.get("required").is_none_or(|value| !is_false(value));
            if is_started || is_required {
                self.plain.depends_on.push((name.clone(), until, *line));
            }
        }
        Ok(())
    }

    /// `deploy`: limits and the restart; what steers a cluster has no effect on one host.
    fn deploy(&mut self, node: &Node) -> Refused<()> {
        for (key, _, value) in node.map() {
            match key.as_str() {
                "resources" => {
                    for (key, _, value) in value.get("limits").map(Node::map).unwrap_or_default() {
                        let key = match key.as_str() {
                            "memory" => "mem_limit",
                            "cpus" => "cpus",
                            "pids" => "pids_limit",
                            key => return Err(("unsupported", format!("resources.limits.{key}"))),
                        };
                        self.limit(key, value)?;
                    }
                }
                "restart_policy" => {
                    let condition = value.get("condition").and_then(Node::text);
                    self.plain.restart = Some(match condition.unwrap_or("any") {
                        "none" => RestartRule::Never,
                        "on-failure" => RestartRule::OnFailure,
                        _ => RestartRule::UnlessStopped,
                    });
                }
                "replicas" => only(value, "1")?,
                "mode" => only(value, "replicated")?,
                "labels" | "update_config" | "rollback_config" | "endpoint_mode" => {}
                key => return Err(("unsupported", format!("{key} is not carried out"))),
            }
        }
        Ok(())
    }
}

fn only(node: &Node, value: &str) -> Refused<()> {
    match node.text() {
        Some(text) if text == value => Ok(()),
        _ => Err(("unsupported", format!("only {value} is carried out"))),
    }
}

pub(crate) fn env_value(text: &str) -> EnvValue {
    let mut parts: Vec<EnvPart> = interpolate::pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Plain(text) => EnvPart::Plain(text),
            Piece::Secret(name) => EnvPart::Secret(SecretRef(name)),
        })
        .collect();
    match (parts.len(), parts.pop()) {
        (1, Some(EnvPart::Plain(text))) => EnvValue::Plain(text),
        (1, Some(EnvPart::Secret(name))) => EnvValue::Secret(name),
        (_, last) => {
            parts.extend(last);
            EnvValue::Template(parts)
        }
    }
}

fn env_name(name: &str) -> Refused<EnvName> {
    EnvName::new(name).map_err(|error| ("unreadable", error.message().to_owned()))
}

fn restart(text: &str) -> Refused<RestartRule> {
    match text.split(':').next().unwrap_or_default() {
        "no" | "false" => Ok(RestartRule::Never),
        "on-failure" => Ok(RestartRule::OnFailure),
        "always" | "unless-stopped" => Ok(RestartRule::UnlessStopped),
        _ => Err(("unreadable", format!("there is no restart {text:?}"))),
    }
}

fn health(node: &Node) -> Refused<Option<ContainerCheck>> {
    let mut check = ContainerCheck {
        test: Vec::new(),
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(30),
        start_period: Duration::ZERO,
        retries: 3,
    };
    for (key, _, value) in node.map() {
        match key.as_str() {
            "test" => {
                check.test = match value.text() {
                    Some(_) => vec!["CMD-SHELL".to_owned(), readable(fields::plain(value))?],
                    None => readable(fields::texts(value))?,
                }
            }
            "interval" => check.interval = readable(fields::duration(value))?,
            "timeout" => check.timeout = readable(fields::duration(value))?,
            "start_period" => check.start_period = readable(fields::duration(value))?,
            "retries" => check.retries = readable(fields::number(value))?,
            "start_interval" => {}
            "disable" if readable(fields::flag(value))? => check.test = vec!["NONE".to_owned()],
            "disable" => {}
            key => return Err(("unsupported", format!("{key} is not carried out"))),
        }
    }
    let first = check.test.first().map(String::as_str);
    if first.is_some_and(|first| !["NONE", "CMD", "CMD-SHELL"].contains(&first)) {
        return Err((
            "unreadable",
            "test begins with CMD, CMD-SHELL or NONE".to_owned(),
        ));
    }
    // The engine takes none below a millisecond.
    check.interval = check.interval.max(Duration::from_millis(1));
    check.timeout = check.timeout.max(Duration::from_millis(1));
    Ok(Some(check))
}
