//! What a compose file may not ask of the host that runs it.

use devopser_core::model::report::Finding;

use super::load::{Project, Service, finding, inside, text_of};
use super::mounts;
use crate::dockerfile::{check_dockerfile, dockerfile_policy};
use crate::yaml::{Node, Yaml};

/// Keys that are refused whatever they hold, with the rule and the reason.
const NEVER: &[(&str, &str, &str)] = &[
    (
        "pid",
        "host-namespace",
        "it shares the processes of the host or of another container",
    ),
    (
        "userns_mode",
        "host-namespace",
        "it leaves the user namespace",
    ),
    ("uts", "host-namespace", "it shares the host's name"),
    (
        "cgroup_parent",
        "host-namespace",
        "it leaves its control group",
    ),
    ("cap_add", "capability", "it adds capabilities"),
    ("devices", "device", "it hands over devices of the host"),
    (
        "device_cgroup_rules",
        "device",
        "it hands over devices of the host",
    ),
    ("gpus", "device", "it hands over devices of the host"),
    ("blkio_config", "device", "it names devices of the host"),
    ("sysctls", "kernel", "it changes settings of the kernel"),
    (
        "oom_kill_disable",
        "kernel",
        "it keeps the kernel from ending it",
    ),
    (
        "oom_score_adj",
        "kernel",
        "it changes whom the kernel ends first",
    ),
    ("runtime", "runtime", "it chooses another runtime"),
    ("isolation", "runtime", "it chooses another isolation"),
    (
        "credential_spec",
        "runtime",
        "it hands over credentials of the host",
    ),
    (
        "use_api_socket",
        "docker-socket",
        "it hands over the container engine",
    ),
    ("provider", "host-program", "it runs a program on the host"),
];

/// Everything in the services that start, and in their Dockerfiles, that is refused.
pub(crate) fn check(project: &Project<'_>) -> Vec<Finding> {
    let mut findings = Findings {
        project,
        found: Vec::new(),
    };
    for service in &project.services {
        findings.service(service);
    }
    findings.top_level();
    findings.found
}

struct Findings<'p> {
    project: &'p Project<'p>,
    found: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, node: &Node, line: u32, rule: &str, reason: impl Into<String>) {
        self.found.push(finding(&node.file, line, rule, reason));
    }

    fn service(&mut self, service: &Service) {
        for (key, line, node) in service.node.map() {
            let name = &service.name;
            if let Some((_, rule, reason)) = NEVER.iter().find(|(never, ..)| never == key) {
                if !is_empty(node) && !is_false(node) {
                    self.add(
                        node,
                        *line,
                        rule,
                        format!("{key} of the service {name:?} is not allowed: {reason}"),
                    );
                }
                continue;
            }
            match key.as_str() {
                "privileged" if !is_false(node) => {
                    self.add(
                        node,
                        *line,
                        "privileged",
                        format!(
                            "privileged of the service {name:?} is not allowed: it has the host"
                        ),
                    );
                }
                "network_mode" | "net" | "ipc" | "cgroup" => self.mode(name, key, *line, node),
                "security_opt" => self.security(name, node),
                "volumes" => self.mounts(name, node),
                "volumes_from" => {
                    self.add(node, *line, "host-mount", format!("volumes_from of the service {name:?} is not allowed: it takes what another container has; name the volumes"));
                }
                "build" => self.build(name, *line, node),
                "env_file" | "label_file" => self.files(key, node),
                "extra_hosts" => self.hosts(name, node),
                "post_start" | "pre_stop" => self.hooks(name, key, node),
                "deploy" => self.reservations(name, node),
                _ => {}
            }
        }
    }

    fn mode(&mut self, name: &str, key: &str, line: u32, node: &Node) {
        let value = node.text().unwrap_or_default();
        let is_allowed = match key {
            "ipc" => ["private", "shareable", "none"].contains(&value),
            "cgroup" => value == "private",
            _ => !(value == "host" || value.starts_with("container:")),
        };
        if !is_allowed {
            let rule = if key.starts_with("net") {
                "host-network"
            } else {
                "host-namespace"
            };
            self.add(node, line, rule, format!("{key}: {value} of the service {name:?} is not allowed: it shares what belongs to the host or to another container"));
        }
    }

    fn security(&mut self, name: &str, node: &Node) {
        const KEPT: [&str; 3] = [
            "no-new-privileges",
            "no-new-privileges:true",
            "no-new-privileges=true",
        ];
        for item in items(node) {
            let text = item.text().unwrap_or_default();
            if !KEPT.contains(&text) {
                self.add(item, item.line, "security-option", format!("security_opt {text:?} of the service {name:?} is not allowed: only no-new-privileges is"));
            }
        }
    }

    fn mounts(&mut self, name: &str, node: &Node) {
        for item in node.list() {
            match mounts::read(item, &self.project.base) {
                Ok(_) | Err(("unsupported", _)) => {}
                Err((rule, reason)) => {
                    self.add(
                        item,
                        item.line,
                        rule,
                        format!("volumes of the service {name:?}: {reason}"),
                    );
                }
            }
        }
    }

    fn hosts(&mut self, name: &str, node: &Node) {
        for item in items(node) {
            if item
                .text()
                .is_some_and(|text| text.ends_with("host-gateway"))
            {
                self.add(
                    item,
                    item.line,
                    "host-network",
                    format!(
                        "extra_hosts of the service {name:?} is not allowed to name the host itself"
                    ),
                );
            }
        }
    }

    fn hooks(&mut self, name: &str, key: &str, node: &Node) {
        for item in node.list() {
            if item.get("privileged").is_some_and(|value| !is_false(value)) {
                self.add(
                    item,
                    item.line,
                    "privileged",
                    format!("{key} of the service {name:?} is not allowed to be privileged"),
                );
            }
        }
    }

    fn reservations(&mut self, name: &str, node: &Node) {
        let devices = node
            .get("resources")
            .and_then(|resources| resources.get("reservations")?.get("devices"));
        if let Some(devices) = devices {
            self.add(
                devices,
                devices.line,
                "device",
                format!(
                    "deploy of the service {name:?} is not allowed to reserve devices of the host"
                ),
            );
        }
    }

    fn files(&mut self, key: &str, node: &Node) {
        let single = std::slice::from_ref(node);
        let all = if node.list().is_empty() {
            single
        } else {
            node.list()
        };
        for item in all {
            let path = item.text().or_else(|| item.get("path")?.text());
            if let Some(path) = path.filter(|path| inside(&self.project.base, path).is_none()) {
                self.add(
                    item,
                    item.line,
                    "outside-source",
                    format!("{key} {path:?} leads outside of the source"),
                );
            }
        }
    }

    fn build(&mut self, name: &str, line: u32, node: &Node) {
        for (key, line, value) in node.map() {
            let text = value.text().unwrap_or_default();
            let (rule, reason) = match key.as_str() {
                "privileged" if !is_false(value) => {
                    ("privileged", "it builds with the rights of the host")
                }
                "network" if !["default", "none"].contains(&text) => {
                    ("build-network", "only default and none are")
                }
                "ssh" => ("build-ssh", "it reaches the host's SSH agent"),
                "entitlements" if !is_empty(value) => {
                    ("build-security", "it leaves the sandbox of the builder")
                }
                "cache_to" => ("host-mount", "it writes to places outside of the build"),
                "additional_contexts" => ("outside-source", "it reads from outside of its context"),
                "isolation" => ("runtime", "it chooses another isolation"),
                _ => continue,
            };
            self.add(
                value,
                *line,
                rule,
                format!("build.{key} of the service {name:?} is not allowed: {reason}"),
            );
        }
        self.arguments(name, node);
        let context = node
            .text()
            .or_else(|| node.get("context")?.text())
            .unwrap_or(".");
        let Some(folder) = inside(&self.project.base, context).filter(|_| !is_remote(context))
        else {
            let shown: String = context.chars().take(80).collect();
            self.add(node, line, "outside-source", format!("the build context {shown:?} of the service {name:?} is not a folder of the source"));
            return;
        };
        if node.get("dockerfile_inline").is_none() {
            self.dockerfile(name, line, node, &folder);
        } else if let Some(inline) = node.get("dockerfile_inline") {
            let text = inline.text().unwrap_or_default();
            let found = dockerfile_policy(text);
            for problem in check_dockerfile(text)
                .err()
                .into_iter()
                .flatten()
                .chain(found)
            {
                self.add(
                    inline,
                    inline.line.saturating_add(problem.line),
                    "dockerfile",
                    format!(
                        "dockerfile_inline of the service {name:?}: {}",
                        problem.reason
                    ),
                );
            }
        }
    }

    /// Arguments that the builder itself obeys would undo what is checked in the Dockerfile.
    fn arguments(&mut self, name: &str, node: &Node) {
        let Some(arguments) = node.get("args") else {
            return;
        };
        let keys = arguments
            .map()
            .iter()
            .map(|(key, line, _)| (key.as_str(), *line));
        let listed = arguments
            .list()
            .iter()
            .filter_map(|item| Some((item.text()?, item.line)));
        let found: Vec<u32> = keys
            .chain(listed)
            .filter(|(key, _)| key.to_ascii_uppercase().starts_with("BUILDKIT_"))
            .filter(|(key, _)| !key.starts_with("BUILDKIT_INLINE_CACHE"))
            .map(|(_, line)| line)
            .collect();
        for line in found {
            self.add(arguments, line, "frontend", format!("build.args of the service {name:?} is not allowed to steer the builder (BUILDKIT_…)"));
        }
    }

    fn dockerfile(&mut self, name: &str, line: u32, node: &Node, folder: &str) {
        let file = node
            .get("dockerfile")
            .and_then(Node::text)
            .unwrap_or("Dockerfile");
        let Some(path) = inside(folder, file) else {
            self.add(
                node,
                line,
                "outside-source",
                format!(
                    "the Dockerfile {file:?} of the service {name:?} leads outside of the source"
                ),
            );
            return;
        };
        // What a listing without contents does not hold is looked at once it is there.
        let Some(text) = text_of(self.project.tree, &path) else {
            return;
        };
        let found = dockerfile_policy(&text);
        for problem in check_dockerfile(&text)
            .err()
            .into_iter()
            .flatten()
            .chain(found)
        {
            let found = finding(&path, problem.line, "dockerfile", problem.reason);
            if !self.found.contains(&found) {
                self.found.push(found);
            }
        }
    }

    /// `volumes`, `networks`, `secrets` and `configs` of the file itself.
    fn top_level(&mut self) {
        let root = &self.project.root;
        for kind in ["volumes", "networks", "secrets", "configs"] {
            for (name, line, node) in root.get(kind).map(Node::map).unwrap_or_default() {
                if node.get("external").is_some_and(|value| !is_false(value)) {
                    self.add(
                        node,
                        *line,
                        "foreign",
                        format!("{kind}.{name} is external: only what this app made is used"),
                    );
                }
                if kind == "volumes"
                    && node
                        .get("driver_opts")
                        .is_some_and(|value| !is_empty(value))
                {
                    self.add(node, *line, "host-mount", format!("volumes.{name}.driver_opts is not allowed: it can mount any place of the host"));
                }
                let driver = node.get("driver").and_then(Node::text).unwrap_or_default();
                if kind == "networks" && ["host", "macvlan", "ipvlan"].contains(&driver) {
                    self.add(node, *line, "host-network", format!("networks.{name}.driver: {driver} is not allowed: it is on the host's network"));
                }
                let file = node.get("file").and_then(Node::text);
                if let Some(file) = file.filter(|file| inside(&self.project.base, file).is_none()) {
                    self.add(
                        node,
                        *line,
                        "outside-source",
                        format!("{kind}.{name}.file {file:?} leads outside of the source"),
                    );
                }
            }
        }
    }
}

/// A URL, or the short forms of git.
fn is_remote(context: &str) -> bool {
    context.contains("://")
        || context.starts_with("git@")
        || context.starts_with("github.com/")
        || context.contains(".git#")
}

/// The values of a list or of a mapping.
fn items(node: &Node) -> Vec<&Node> {
    match &node.value {
        Yaml::List(items) => items.iter().collect(),
        Yaml::Map(entries) => entries.iter().map(|(.., node)| node).collect(),
        Yaml::Scalar(_) => vec![node],
        Yaml::Null => Vec::new(),
    }
}

fn is_empty(node: &Node) -> bool {
    match &node.value {
        Yaml::Null => true,
        Yaml::List(items) => items.is_empty(),
        Yaml::Map(entries) => entries.is_empty(),
        Yaml::Scalar(_) => false,
    }
}

/// Only what every reader of YAML takes for false is false.
pub(crate) fn is_false(node: &Node) -> bool {
    node.is_null() || matches!(node.text(), Some("false" | "False" | "FALSE"))
}
