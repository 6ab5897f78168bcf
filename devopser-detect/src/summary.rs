//! [`Summary`]: the flat answer that `detect --json` prints.

use std::collections::BTreeMap;

use devopser_core::model::report::{Detection, Evidence, Fact, Report};
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
    /// The port that it listens on.
    pub port: Option<u16>,
    /// The port that it is told through `PORT` where nothing names one.
    pub assumed_port: Option<u16>,
    /// The servers that it needs; files (SQLite) are not among them.
    pub databases: Option<Vec<String>>,
    /// Whether files come out, not a server.
    #[serde(rename = "static")]
    pub is_static: Option<bool>,
    /// Where the files are.
    pub output_dir: Option<String>,
    /// The folders of the services of a monorepo.
    pub services: Option<Vec<String>>,
    /// Whether the repository has a Dockerfile.
    pub has_dockerfile: bool,
    /// Whether it has a compose file.
    pub has_compose: bool,
    /// 0 to 100.
    pub confidence: u8,
    /// What proves each fact.
    pub evidence: BTreeMap<String, Vec<Evidence>>,
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
        port: report
            .dockerfile_port
            .or_else(|| answer(&stack.port).map(|fact| fact.value)),
        assumed_port: stack
            .port
            .as_ref()
            .filter(|fact| fact.confidence <= GUESS && report.dockerfile_port.is_none())
            .map(|fact| fact.value),
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
        services: (!services.is_empty()).then_some(services),
        has_dockerfile: report.dockerfile.is_some(),
        has_compose: report.compose.is_some(),
        confidence: stack.confidence,
        evidence: evidence(&stack, report),
    }
}

fn evidence(stack: &Detection, report: &Report) -> BTreeMap<String, Vec<Evidence>> {
    let mut all = BTreeMap::new();
    let texts = [
        ("runtime", &stack.runtime),
        ("version", &stack.version),
        ("framework", &stack.framework),
        ("package_manager", &stack.package_manager),
        ("install_command", &stack.install_command),
        ("build_command", &stack.build_command),
        ("start_command", &stack.start_command),
        ("output_dir", &stack.output_dir),
    ];
    for (name, fact) in texts {
        if let Some(fact) = fact {
            all.insert(name.to_owned(), fact.evidence.clone());
        }
    }
    if let Some(fact) = &stack.port {
        let name = if fact.confidence > GUESS {
            "port"
        } else {
            "assumed_port"
        };
        all.insert(name.to_owned(), fact.evidence.clone());
    }
    if let Some(fact) = &stack.databases {
        all.insert("databases".to_owned(), fact.evidence.clone());
    }
    if let Some(fact) = &stack.is_static {
        all.insert("static".to_owned(), fact.evidence.clone());
    }
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
