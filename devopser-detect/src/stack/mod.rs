//! The detectors: one file or folder for each stack, one row or file for each framework.

pub(crate) mod context;
pub(crate) mod data;
pub(crate) mod databases;
pub(crate) mod deno;
pub(crate) mod dockerfile;
pub(crate) mod dotnet;
pub(crate) mod elixir;
pub(crate) mod go;
pub(crate) mod health;
pub(crate) mod java;
pub(crate) mod names;
pub(crate) mod node;
pub(crate) mod others;
pub(crate) mod pages;
pub(crate) mod php;
pub(crate) mod port;
pub(crate) mod python;
pub(crate) mod redis;
pub(crate) mod release;
pub(crate) mod ruby;
pub(crate) mod rust;
pub(crate) mod sitegen;
pub(crate) mod statics;

use std::collections::VecDeque;
use std::fmt::Debug;

use devopser_core::model::report::{Detection, Evidence, Fact};
use devopser_core::provider::{FileTree, StackDetector};

use crate::rank::{Found, Strength};
use crate::scan::{Scan, ci};

/// A built-in detector: [`StackDetector`] on a shared [`Scan`].
pub(crate) trait Stack: Debug + Send + Sync + 'static {
    /// The detector's id, which is its row in the ranking table.
    fn id(&self) -> &'static str;

    /// The file names that it reads.
    fn reads(&self) -> &'static [&'static str];

    /// The frameworks that it knows, with repetitions; for languages that are built in one way, the languages.
    fn frameworks(&self) -> Vec<&'static str>;

    /// What it found and how strongly that speaks for the stack.
    fn detect(&self, scan: &Scan<'_>) -> Option<Found>;
}

/// Every built-in detector.
pub(crate) const STACKS: &[&dyn Stack] = &[
    &node::Node,
    &deno::Bun,
    &deno::Deno,
    &python::Python,
    &php::Php,
    &ruby::Ruby,
    &go::Go,
    &rust::Rust,
    &java::Java,
    &dotnet::DotNet,
    &elixir::Elixir,
    &others::Others,
    &sitegen::SiteGenerator,
    &statics::StaticSite,
    &dockerfile::ExistingDockerfile,
];

/// A built-in detector as the public trait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuiltIn(pub(crate) &'static dyn Stack);

impl StackDetector for BuiltIn {
    fn id(&self) -> &'static str {
        self.0.id()
    }

    fn reads(&self) -> &'static [&'static str] {
        self.0.reads()
    }

    fn detect(&self, tree: &dyn FileTree) -> Option<Detection> {
        let scan = Scan::new(tree);
        let mut detection = crate::rank::graded(self.0.detect(&scan)?);
        detection.warnings.extend(scan.take_warnings());
        Some(detection)
    }
}

/// A detection with its runtime.
pub(crate) fn detection(id: &str, runtime: &str, evidence: Evidence) -> Detection {
    Detection {
        detector: id.to_owned(),
        runtime: Some(Fact::new(runtime.to_owned(), 95, evidence)),
        ..Detection::default()
    }
}

/// A fact of text.
pub(crate) fn fact(
    value: impl Into<String>,
    confidence: u8,
    evidence: Evidence,
) -> Option<Fact<String>> {
    Some(Fact::new(value.into(), confidence, evidence))
}

/// The version that the first of the candidates resolves to; one that is older than what another asks for was left behind.
pub(crate) fn version(
    runtime: &str,
    pinned: impl IntoIterator<Item = Option<(String, Evidence)>>,
) -> Option<Fact<String>> {
    let mut pinned = pinned.into_iter().flatten().collect::<VecDeque<_>>();
    while let Some((wanted, mut evidence)) = pinned.pop_front() {
        let Some(found) = crate::version::resolve(runtime, &wanted) else {
            continue;
        };
        let mut others = pinned.iter();
        if others.any(|(other, _)| crate::version::is_below(runtime, &found, other)) {
            continue;
        }
        if found != wanted {
            evidence.why = format!("{}: {wanted}", evidence.why);
        }
        return Some(Fact::new(found, 90, evidence));
    }
    None
}

/// The version that the repository's workflows build with, where nothing pins one.
pub(crate) fn built_with(scan: &Scan<'_>, runtime: &str, key: &str) -> Option<Fact<String>> {
    let pinned = ci::version(scan, key).or_else(|| ci::version(scan.above()?, key));
    let fact = version(runtime, [pinned])?;
    Some(Fact {
        confidence: 60,
        ..fact
    })
}

/// The version that the workflows build with, where what the repository asks for is only the least that will do.
pub(crate) fn at_least(
    scan: &Scan<'_>,
    runtime: &str,
    key: &str,
    least: Option<Fact<String>>,
) -> Option<Fact<String>> {
    let numbers = |fact: &Fact<String>| -> Vec<u32> {
        fact.value
            .split('.')
            .map_while(|part| part.parse().ok())
            .collect()
    };
    let built = built_with(scan, runtime, key);
    match (built, least) {
        (Some(built), Some(least)) if numbers(&built) > numbers(&least) => Some(built),
        (built, least) => least.or(built),
    }
}

/// Puts a found detection together.
pub(crate) const fn found(detection: Detection, strength: Strength) -> Option<Found> {
    Some(Found {
        detection,
        strength,
    })
}
