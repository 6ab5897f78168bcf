//! What a test sees of the memory cloud: [`CloudSnapshot`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::cloud::MemoryCloud;
use super::services::lock;
use crate::provider::{OwnedThing, Route};

/// What was done to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verb {
    /// It was made: each one of these would cost money at a cloud.
    Made,
    /// It was changed.
    Changed,
    /// A stopped release was started.
    Started,
    /// A release was stopped.
    Stopped,
    /// A release got the requests.
    Activated,
    /// It was removed.
    Removed,
}

/// Something that really happened, in contrast to a call that found everything as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// What was done.
    pub verb: Verb,
    /// The kind of thing: `service`, `database`, `image`, `release`, `route`, …
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// The state of a [`MemoryCloud`] at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CloudSnapshot {
    /// Everything that exists, those of others included.
    pub things: Vec<OwnedThing>,
    /// The routes.
    pub routes: Vec<Route>,
    /// Service name → name of the release that has its requests.
    pub active: BTreeMap<String, String>,
    /// Everything that happened, in order.
    pub effects: Vec<Effect>,
    /// How often each operation was called.
    pub calls: BTreeMap<String, u32>,
}

impl CloudSnapshot {
    /// How many things of this kind exist.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.things
            .iter()
            .filter(|thing| thing.kind == kind)
            .count()
    }

    /// How many things of this kind were made so far, whether they still exist or not.
    #[must_use]
    pub fn made(&self, kind: &str) -> usize {
        self.effects
            .iter()
            .filter(|effect| effect.verb == Verb::Made && effect.kind == kind)
            .count()
    }

    /// The things that were made more than once, as `kind name`.
    #[must_use]
    pub fn made_twice(&self) -> Vec<String> {
        let mut counts = BTreeMap::<String, usize>::new();
        for effect in self
            .effects
            .iter()
            .filter(|effect| effect.verb == Verb::Made)
        {
            *counts
                .entry(format!("{} {}", effect.kind, effect.name))
                .or_default() += 1;
        }
        counts
            .into_iter()
            .filter_map(|(thing, count)| (count > 1).then_some(thing))
            .collect()
    }

    /// Everything that exists and whose mark begins with `mark_prefix`, and every route, as `kind name`.
    #[must_use]
    pub fn left_over(&self, mark_prefix: &str) -> Vec<String> {
        self.things
            .iter()
            .filter(|thing| thing.mark.starts_with(mark_prefix))
            .map(|thing| format!("{} {}", thing.kind, thing.name))
            .chain(
                self.routes
                    .iter()
                    .map(|route| format!("route {}", route.id)),
            )
            .collect()
    }

    /// How often an operation, such as `Deployer::deploy`, was called.
    #[must_use]
    pub fn calls_of(&self, operation: &str) -> u32 {
        self.calls.get(operation).copied().unwrap_or_default()
    }
}

impl MemoryCloud {
    /// What exists and what happened so far.
    #[must_use]
    pub fn snapshot(&self) -> CloudSnapshot {
        let calls = lock(&self.shared.faults).calls.clone();
        let state = lock(&self.shared.state);
        CloudSnapshot {
            things: state.things.values().cloned().collect(),
            routes: state.routes.values().cloned().collect(),
            active: state.active.clone(),
            effects: state.effects.clone(),
            calls,
        }
    }
}
