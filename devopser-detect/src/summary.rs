//! [`Summary`]: the flat answer that `detect --json` prints, and all that stands behind it.

use std::collections::BTreeMap;

use devopser_core::model::report::{
    Detection, Evidence, Fact, Finding, Pages, Report, ServiceFound,
};
use serde::{Deserialize, Serialize};

/// The flat answer. `None` where there is no answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// `node`, `python`, …
    pub runtime: Option<String>,
    /// The version of the runtime.
    pub version: Option<String>,
    /// `next`, `django`, …
    pub framework: Option<String>,
    /// `npm`, `uv`, …
    pub package_manager: Option<String>,
    /// Installs the dependencies.
    pub install_command: Option<String>,
    /// Builds.
    pub build_command: Option<String>,
    /// Starts.
    pub start_command: Option<String>,
    /// Brings the tables of its database up to date, before each start; not with a Dockerfile of the repository's own.
    #[serde(default)]
    pub release_command: Option<String>,
    /// What is asked whether it is well, where its authors name another path than `/`.
    #[serde(default)]
    pub health_path: Option<String>,
    /// The port that it listens on.
    pub port: Option<u16>,
    /// The port that it is told through `PORT` where nothing names one.
    pub assumed_port: Option<u16>,
    /// The servers that it needs; files (SQLite) are not among them.
    pub databases: Option<Vec<String>>,
    /// Where it keeps its data: folders relative to its root or absolute in its image.
    #[serde(default)]
    pub data_folders: Option<Vec<String>>,
    /// Whether files come out, not a server.
    #[serde(rename = "static")]
    pub is_static: Option<bool>,
    /// Where the files are.
    pub output_dir: Option<String>,
    /// The pages that a front end beside the program builds for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<PagesAnswer>,
    /// The folders of the services of a monorepo.
    pub services: Option<Vec<String>>,
    /// Whether the repository has a Dockerfile.
    pub has_dockerfile: bool,
    /// Whether it has a compose file.
    pub has_compose: bool,
    /// 0 to 100.
    pub confidence: u8,
    /// How sure each fact is, 0 to 100.
    pub confidences: BTreeMap<String, u8>,
    /// What proves each fact.
    pub evidence: BTreeMap<String, Vec<Evidence>>,
    /// The stacks that were not chosen, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_chosen: Vec<NotChosen>,
    /// The services of a monorepo, each with an answer of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_answers: Vec<ServiceAnswer>,
    /// What the repository's own Dockerfile and compose file ask for that is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What a person should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The front end of a program that embeds or serves its pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PagesAnswer {
    /// Its folder; `.` is the repository.
    pub root: String,
    /// Its framework.
    pub framework: Option<String>,
    /// Its package manager.
    pub package_manager: Option<String>,
    /// Builds the pages.
    pub build_command: Option<String>,
    /// The folders that the program has them in; empty where it is served as the build leaves it.
    pub outputs: Vec<String>,
}

/// A stack that was not chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotChosen {
    /// The detector: `node`, `static`, …
    pub stack: String,
    /// The framework that it knows.
    pub framework: Option<String>,
    /// 0 to 100.
    pub confidence: u8,
    /// Why another one was chosen.
    pub why: String,
}

/// A service of a monorepo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceAnswer {
    /// The last part of its folder.
    pub name: String,
    /// Its folder; deploy it alone with `--root`.
    pub root: String,
    /// The folder that its build reads: its own, or the workspace that it belongs to; `.` is the repository.
    pub context: String,
    /// Why it is a service.
    pub because: Vec<Evidence>,
    /// What it is.
    pub answer: Summary,
}

/// What a guess is sure of: it is in the report, for generation and for people, and no answer of the summary.
pub(crate) const GUESS: u8 = 30;

/// A fact that is an answer.
fn answer<T>(fact: &Option<Fact<T>>) -> Option<&Fact<T>> {
    fact.as_ref().filter(|fact| fact.confidence > GUESS)
}

/// The flat answer of a report.
#[must_use]
pub fn summary(report: &Report) -> Summary {
    let stack = report.stack.clone().unwrap_or_default();
    let value = |fact: &Option<Fact<String>>| fact.as_ref().map(|fact| fact.value.clone());
    let services: Vec<String> = report
        .services
        .iter()
        .map(|service| service.root.clone())
        .collect();
    Summary {
        runtime: value(&stack.runtime),
        version: value(&stack.version),
        framework: value(&stack.framework),
        package_manager: value(&stack.package_manager),
        install_command: value(&stack.install_command),
        build_command: value(&stack.build_command),
        start_command: report
            .dockerfile_start
            .clone()
            .or_else(|| value(&stack.start_command)),
        release_command: report
            .dockerfile
            .is_none()
            .then(|| value(&stack.release_command))
            .flatten(),
        health_path: value(&stack.health_path),
        port: report
            .dockerfile_port
            .or_else(|| answer(&stack.port).map(|fact| fact.value)),
        assumed_port: stack
            .port
            .as_ref()
            .filter(|fact| fact.confidence <= GUESS && report.dockerfile_port.is_none())
            .map(|fact| fact.value),
        data_folders: stack.data_folders.as_ref().map(|fact| fact.value.clone()),
        databases: answer(&stack.databases).map(|fact| {
            fact.value
                .iter()
                .filter(|database| database.is_server())
                .map(|database| database.name().to_owned())
                .collect()
        }),
        is_static: stack.is_static.as_ref().map(|fact| fact.value),
        output_dir: value(&stack.output_dir)
            .filter(|_| stack.is_static.as_ref().is_some_and(|fact| fact.value)),
        pages: stack.pages.as_ref().map(pages),
        services: (!services.is_empty()).then_some(services),
        has_dockerfile: report.dockerfile.is_some(),
        has_compose: report.compose.is_some(),
        confidence: stack.confidence,
        confidences: proofs(&stack)
            .map(|(name, confidence, _)| (name.to_owned(), confidence))
            .collect(),
        evidence: evidence(&stack, report),
        not_chosen: report.runners_up.iter().map(not_chosen).collect(),
        service_answers: report.services.iter().map(service).collect(),
        findings: report.findings.clone(),
        warnings: report.warnings.clone(),
    }
}

fn pages(found: &Pages) -> PagesAnswer {
    let value = |fact: &Option<Fact<String>>| fact.as_ref().map(|fact| fact.value.clone());
    let root = if found.folder.is_empty() {
        "."
    } else {
        &found.folder
    };
    PagesAnswer {
        root: root.to_owned(),
        framework: value(&found.detection.framework),
        package_manager: value(&found.detection.package_manager),
        build_command: value(&found.detection.build_command),
        outputs: found
            .outputs
            .iter()
            .map(|output| output.to.clone())
            .collect(),
    }
}

fn not_chosen(loser: &Detection) -> NotChosen {
    NotChosen {
        stack: loser.detector.clone(),
        framework: loser.framework.as_ref().map(|fact| fact.value.clone()),
        confidence: loser.confidence,
        why: loser.why_not.clone().unwrap_or_default(),
    }
}

fn service(found: &ServiceFound) -> ServiceAnswer {
    let report = Report {
        stack: found.detection.clone(),
        ..Report::default()
    };
    ServiceAnswer {
        name: found.name.clone(),
        root: found.root.clone(),
        context: found.context.clone(),
        because: found.evidence.clone(),
        answer: summary(&report),
    }
}

/// Each fact's name, confidence and evidence.
fn proofs(stack: &Detection) -> impl Iterator<Item = (&'static str, u8, &Vec<Evidence>)> {
    fn proof<'d, T>(
        name: &'static str,
        fact: Option<&'d Fact<T>>,
    ) -> Option<(&'static str, u8, &'d Vec<Evidence>)> {
        fact.map(|fact| (name, fact.confidence, &fact.evidence))
    }
    let pages = stack.pages.as_ref();
    let pages = pages.map(|pages| ("pages", 80, &pages.evidence));
    let is_guess = stack
        .port
        .as_ref()
        .is_some_and(|fact| fact.confidence <= GUESS);
    let port = if is_guess { "assumed_port" } else { "port" };
    [
        proof("runtime", stack.runtime.as_ref()),
        proof("version", stack.version.as_ref()),
        proof("framework", stack.framework.as_ref()),
        proof("package_manager", stack.package_manager.as_ref()),
        proof("install_command", stack.install_command.as_ref()),
        proof("build_command", stack.build_command.as_ref()),
        proof("start_command", stack.start_command.as_ref()),
        proof("release_command", stack.release_command.as_ref()),
        proof("health_path", stack.health_path.as_ref()),
        proof("data_folders", stack.data_folders.as_ref()),
        proof("output_dir", stack.output_dir.as_ref()),
        proof(port, stack.port.as_ref()),
        proof("databases", stack.databases.as_ref()),
        proof("static", stack.is_static.as_ref()),
    ]
    .into_iter()
    .flatten()
    .chain(pages)
}

fn evidence(stack: &Detection, report: &Report) -> BTreeMap<String, Vec<Evidence>> {
    let mut all: BTreeMap<String, Vec<Evidence>> = proofs(stack)
        .map(|(name, _, evidence)| (name.to_owned(), evidence.clone()))
        .collect();
    let services: Vec<Evidence> = report
        .services
        .iter()
        .flat_map(|service| service.evidence.iter().cloned())
        .collect();
    if !services.is_empty() {
        all.insert("services".to_owned(), services);
    }
    all
}
