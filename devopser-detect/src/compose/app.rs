//! From a compose file to an app: the service that gets the address, and its companions.

use std::collections::BTreeSet;

use devopser_core::id::ImageRef;
use devopser_core::model::container::{
    Companion, ContainerOptions, RestartRule, WaitFor, WaitUntil,
};
use devopser_core::model::plan::BuildPlan;
use devopser_core::model::report::{Evidence, Finding};
use devopser_core::model::service::Limits;

use super::choose::{choose, order};
use super::load::{Project, finding, load};
use super::policy::{self, is_false};
use super::service::{self, Plain};
use super::{Variables, build};
use crate::dockerfile::Dockerfile;
use crate::stack::health::fetched;
use crate::tree::FileTree;

/// A compose file as an app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComposeApp {
    /// The service that gets the app's address.
    pub service: String,
    /// Why it does.
    pub evidence: Evidence,
    /// How its image is made.
    pub build: BuildPlan,
    /// The port that it listens on in its container, where the file or its Dockerfile says one.
    pub port: Option<u16>,
    /// The path that its health check fetches over HTTP.
    pub health_path: Option<String>,
    /// How its container is run.
    pub container: ContainerOptions,
    /// Its limits, where the file says any.
    pub limits: Option<Limits>,
    /// The other services, in the order in which they are started.
    pub companions: Vec<Companion>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Reads a compose file as an app; `service` names the one that gets the address where the file does not say.
///
/// # Errors
/// Everything that is refused: what reaches for the host, and what is not carried out.
pub fn compose_app(
    tree: &dyn FileTree,
    path: &str,
    variables: &Variables,
    service: Option<&str>,
) -> Result<ComposeApp, Vec<Finding>> {
    let project = load(tree, path, variables)?;
    let mut findings = policy::check(&project);
    findings.extend(project.missing.iter().cloned());
    findings.extend(top_level(&project));
    let mut services = Vec::new();
    for one in &project.services {
        match service::read(&project, one) {
            Ok(plain) => services.push(plain),
            Err(more) => findings.extend(more),
        }
    }
    findings.extend(images(&project, &services));
    if findings.is_empty() {
        app(&project, services, service)
    } else {
        // The policy and the reading may tell the same.
        let mut known = BTreeSet::new();
        findings.retain(|found| known.insert((found.path.clone(), found.line, found.rule.clone())));
        Err(findings)
    }
}

/// Whether a service that starts is built from the source: the file then describes the app itself, not only what it
/// needs while it is developed.
#[must_use]
pub fn compose_builds(tree: &dyn FileTree, path: &str, variables: &Variables) -> bool {
    match load(tree, path, variables) {
        Ok(project) => project
            .services
            .iter()
            .any(|service| service.node.get("build").is_some()),
        // What cannot be read is told by whoever carries it out.
        Err(_) => true,
    }
}

/// Keys of the file itself.
fn top_level(project: &Project<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut refuse = |line: u32, what: String| {
        found.push(finding(
            &project.path,
            line,
            "unsupported",
            format!("{what} is not carried out"),
        ));
    };
    for (key, line, node) in project.root.map() {
        let allowed: &[&str] = match key.as_str() {
            "version" | "name" | "services" => continue,
            key if key.starts_with("x-") => continue,
            "volumes" => &["name", "labels", "external", "driver"],
            "networks" => &["name", "labels", "external", "driver", "attachable"],
            "secrets" | "configs" => &[
                "file",
                "environment",
                "content",
                "name",
                "labels",
                "external",
            ],
            key => {
                refuse(*line, key.to_owned());
                continue;
            }
        };
        for (name, _, options) in node.map() {
            for (option, line, value) in options.map() {
                let is_usual =
                    option != "driver" || matches!(value.text(), Some("local" | "bridge" | ""));
                let is_known = allowed.contains(&option.as_str()) && is_usual;
                if !(is_known || is_false(value)) {
                    refuse(*line, format!("{key}.{name}.{option}"));
                }
            }
        }
    }
    found
}

/// A name of an image goes into a Dockerfile: only what is one may.
fn images(project: &Project<'_>, services: &[Plain]) -> Vec<Finding> {
    let wrong = services
        .iter()
        .filter(|service| !service.is_built)
        .filter(|service| {
            let image = service.image.as_deref().unwrap_or_default();
            ImageRef::new(image).is_err()
        });
    wrong
        .map(|service| {
            let image = service.image.as_deref().unwrap_or_default();
            let reason = format!(
                "the service {:?}: {image:?} is no name of an image",
                service.name
            );
            finding(&project.path, service.line, "unreadable", reason)
        })
        .collect()
}

fn app(
    project: &Project<'_>,
    mut services: Vec<Plain>,
    asked: Option<&str>,
) -> Result<ComposeApp, Vec<Finding>> {
    let path = &project.path;
    known_dependencies(path, &services).map_err(|found| vec![found])?;
    let once: BTreeSet<String> = services
        .iter()
        .flat_map(|service| &service.depends_on)
        .filter(|(_, until, _)| *until == WaitUntil::Completed)
        .map(|(name, ..)| name.clone())
        .collect();
    for service in &mut services {
        service.runs_once = once.contains(&service.name);
    }
    let chosen = choose(path, &services, asked).map_err(|found| vec![found])?;
    let order = order(path, &services).map_err(|found| vec![found])?;
    let web = services[chosen.index].clone();
    let after = dependents(&services, &web.name);
    let mut companions = Vec::new();
    for index in order.into_iter().filter(|index| *index != chosen.index) {
        let after_app = after.contains(&services[index].name);
        companions.push(companion(path, &services[index], &web.name, after_app)?);
    }
    let line = chosen.port.map_or(web.line, |port| port.line);
    let mut container = web.container.clone();
    container.aliases.push(web.name.clone());
    container.wait_for = waits(&web);
    let port = chosen.port.map(|port| port.inside);
    let port = port.or_else(|| exposed(&web));
    let check = container.health.as_ref().map(|check| check.test.join(" "));
    Ok(ComposeApp {
        evidence: Evidence::line(
            path.clone(),
            Some(line),
            format!("{}: {}", web.name, chosen.why),
        ),
        health_path: check.and_then(|check| fetched(&check, port)),
        port,
        build: build::plan(&web),
        limits: web.is_limited.then_some(web.limits),
        warnings: warnings(&services, &web.name),
        service: web.name,
        container,
        companions,
    })
}

fn known_dependencies(path: &str, services: &[Plain]) -> Result<(), Finding> {
    for service in services {
        for (name, _, line) in &service.depends_on {
            if !services.iter().any(|other| other.name == *name) {
                let reason = format!(
                    "the service {:?}: depends_on names {name:?}, which is not started",
                    service.name
                );
                return Err(finding(path, *line, "unreadable", reason));
            }
        }
    }
    Ok(())
}

/// The services that need the one, directly or through others.
fn dependents(services: &[Plain], name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::from([name.to_owned()]);
    loop {
        let before = found.len();
        for service in services {
            if service
                .depends_on
                .iter()
                .any(|(needed, ..)| found.contains(needed))
            {
                found.insert(service.name.clone());
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

fn companion(
    path: &str,
    service: &Plain,
    web: &str,
    after_app: bool,
) -> Result<Companion, Vec<Finding>> {
    let on_web = service
        .depends_on
        .iter()
        .find(|(name, until, _)| name == web && *until != WaitUntil::Started);
    if let Some((_, _, line)) = on_web {
        let reason = format!(
            "the service {:?} waits until {web:?} is healthy or done, which gets the address; only service_started is carried out there",
            service.name
        );
        return Err(vec![finding(path, *line, "unsupported", reason)]);
    }
    let usual = if service.runs_once {
        RestartRule::Never
    } else {
        RestartRule::UnlessStopped
    };
    let mut container = service.container.clone();
    container.wait_for = waits(service);
    container.wait_for.retain(|wait| wait.companion != web);
    Ok(Companion {
        name: service.name.clone(),
        build: build::plan(service),
        image: None,
        container,
        limits: service.limits,
        restart: service.restart.unwrap_or(usual),
        after_app,
    })
}

fn waits(service: &Plain) -> Vec<WaitFor> {
    service
        .depends_on
        .iter()
        .map(|(companion, until, _)| WaitFor {
            companion: companion.clone(),
            until: *until,
        })
        .collect()
}

/// The port that its Dockerfile exposes.
fn exposed(web: &Plain) -> Option<u16> {
    match build::plan(web) {
        BuildPlan::Image { dockerfile, .. } => Dockerfile::parse(&dockerfile)
            .exposed()
            .map(|(port, _)| port),
        _ => None,
    }
}

fn warnings(services: &[Plain], web: &str) -> Vec<String> {
    let mut found: Vec<String> = services
        .iter()
        .flat_map(|service| service.warnings.clone())
        .collect();
    let published = services
        .iter()
        .filter(|service| service.name != web && !service.ports.is_empty());
    found.extend(published.map(|service| {
        format!("{}: its ports are reached on the app's own network only; the app's address goes to {web}", service.name)
    }));
    found
}
