//! [`MemoryCloud`]: one provider whose things live in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::fault::Faults;
use super::services::lock;
use super::snapshot::{Effect, Verb};
use super::{
    MemoryCiRunner, MemoryCodeHost, MemoryDeployer, MemoryDnsRouter, MemoryDomainBinder,
    MemoryImageBuilder, MemoryInventory, MemoryPriceList, MemoryRegistry, MemoryRepositoryHost,
    MemoryReviewHost, MemoryRouter, MemorySecretSource, MemoryServerProvider, MemoryServiceControl,
    MemorySourceBuilder,
};
use crate::context::Context;
use crate::id::{Digest, EnvName, ImageRef, ProviderId, ReleaseId, ResourceId, Target};
use crate::model::artifact::ImageArtifact;
use crate::model::resource::ResourceIntent;
use crate::model::service::{LogLine, ReleaseRef, Upstream};
use crate::provider::{OwnedThing, Provider, ProviderInfo, Route};
use crate::{Error, ErrorKind, Result, Secret};

/// What becomes of an app once it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It takes requests, from this look at its status on (counted from 1).
    Runs {
        /// How many looks find it starting.
        after_looks: u32,
    },
    /// It ends by itself, having written these lines.
    Exits {
        /// Its exit code.
        code: i64,
        /// What it wrote.
        lines: Vec<String>,
    },
    /// The system ends it for its memory.
    OutOfMemory,
    /// It runs but fails its health check.
    Unhealthy,
    /// It never gets ready.
    NeverReady,
}

/// A release of the memory cloud.
#[derive(Debug)]
pub(super) struct MemoryRelease {
    pub(super) reference: ReleaseRef,
    pub(super) env: BTreeMap<EnvName, Secret>,
    pub(super) outcome: Outcome,
    pub(super) looks: u32,
    pub(super) stopped: bool,
    pub(super) restarts: u32,
    pub(super) started_at: u64,
    pub(super) upstream: Upstream,
    pub(super) log: watch::Sender<Vec<LogLine>>,
}

/// Everything that the memory cloud holds.
#[derive(Debug, Default)]
pub(super) struct State {
    /// By kind and name.
    pub(super) things: BTreeMap<(String, String), OwnedThing>,
    /// By name.
    pub(super) releases: BTreeMap<String, MemoryRelease>,
    /// Service name → release name.
    pub(super) active: BTreeMap<String, String>,
    /// By reference.
    pub(super) images: BTreeMap<ImageRef, ImageArtifact>,
    /// Folders whose artifact was removed.
    pub(super) removed: BTreeSet<Digest>,
    pub(super) routes: BTreeMap<Target, Route>,
    pub(super) occupied_ports: BTreeSet<u16>,
    pub(super) in_flight: Vec<(Upstream, u64)>,
    pub(super) registry: super::registry::Tags,
    pub(super) zones: super::dns_router::Zones,
    pub(super) code: super::repository_host::Code,
    pub(super) secrets: super::secret_source::Secrets,
    pub(super) domains: super::domain_binder::Domains,
    pub(super) runs: super::ci_runner::Runs,
    pub(super) reviews: super::review_host::Reviews,
    pub(super) servers: super::server_provider::Servers,
    pub(super) effects: Vec<Effect>,
    outcomes: Vec<Outcome>,
    next_id: u32,
}

impl State {
    pub(super) fn effect(&mut self, verb: Verb, kind: &str, name: &str) {
        self.effects.push(Effect {
            verb,
            kind: kind.to_owned(),
            name: name.to_owned(),
        });
    }

    pub(super) fn thing(&self, kind: &str, name: &str) -> Option<&OwnedThing> {
        self.things.get(&(kind.to_owned(), name.to_owned()))
    }

    pub(super) fn next_outcome(&mut self) -> Outcome {
        if self.outcomes.is_empty() {
            Outcome::Runs { after_looks: 0 }
        } else {
            self.outcomes.remove(0)
        }
    }

    /// A number that no other thing has.
    pub(super) fn next_number(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// An address of its own for each release; nothing listens there.
    pub(super) fn next_address(&mut self) -> SocketAddr {
        self.next_id += 1;
        let port = u16::try_from(50_000 + self.next_id % 10_000).unwrap_or(50_000);
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    pub(super) fn release_of(&mut self, release: &ReleaseId) -> Option<&mut MemoryRelease> {
        self.releases
            .values_mut()
            .find(|known| known.reference.release == *release)
    }
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) faults: Mutex<Faults>,
}

/// A provider whose things live in memory. It keeps the rules of every trait, counts what really happens, and can be told
/// to fail. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct MemoryCloud {
    pub(super) shared: Arc<Shared>,
}

impl MemoryCloud {
    /// An empty cloud.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Who it is: `memory`.
    #[must_use]
    pub fn info() -> ProviderInfo {
        ProviderInfo::new(Self::id(), "Memory")
    }

    /// Its abilities as a provider.
    #[must_use]
    pub fn provider(&self) -> Provider {
        let mut provider = Provider::new(Self::info());
        provider.deployer = Some(Arc::new(MemoryDeployer::new(self.clone())));
        provider.image_builder = Some(Arc::new(MemoryImageBuilder::new(self.clone())));
        provider.source_builder = Some(Arc::new(MemorySourceBuilder::new(self.clone())));
        provider.service_control = Some(Arc::new(MemoryServiceControl::new(self.clone())));
        provider.inventory = Some(Arc::new(MemoryInventory::new(self.clone())));
        provider.http_router = Some(self.router());
        provider.registry = Some(Arc::new(MemoryRegistry::new(self.clone())));
        provider.dns_router = Some(Arc::new(MemoryDnsRouter::new(self.clone())));
        provider.code_host = Some(Arc::new(MemoryCodeHost::new(self.clone())));
        provider.secret_source = Some(Arc::new(MemorySecretSource::new(self.clone())));
        provider.domain_binder = Some(Arc::new(MemoryDomainBinder::new(self.clone())));
        provider.price_list = Some(Arc::new(MemoryPriceList::new(self.clone())));
        provider.repository_host = Some(Arc::new(MemoryRepositoryHost::new(self.clone())));
        provider.ci_runner = Some(Arc::new(MemoryCiRunner::new(self.clone())));
        provider.review_host = Some(Arc::new(MemoryReviewHost::new(self.clone())));
        provider.server_provider = Some(Arc::new(MemoryServerProvider::new(self.clone())));
        provider
    }

    /// Its router.
    #[must_use]
    pub fn router(&self) -> Arc<MemoryRouter> {
        Arc::new(MemoryRouter::new(self.clone()))
    }

    /// What becomes of the apps that are started next, one for each. Without any, an app runs at once.
    pub fn script(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        lock(&self.shared.state).outcomes.extend(outcomes);
    }

    /// Puts an image there that devopser did not build, and returns it as an artifact.
    #[must_use]
    pub fn add_image(&self, reference: ImageRef, port: Option<u16>) -> ImageArtifact {
        let image = ImageArtifact {
            digest: Digest::of(reference.as_str().as_bytes()),
            reference: reference.clone(),
            port,
        };
        lock(&self.shared.state)
            .images
            .insert(reference, image.clone());
        image
    }

    /// Puts a thing there that is someone else's: it carries no mark of ours.
    pub fn add_foreign(&self, kind: &str, name: &str) {
        let thing = OwnedThing {
            kind: kind.to_owned(),
            name: name.to_owned(),
            provider_ref: format!("foreign-{name}"),
            mark: String::new(),
        };
        lock(&self.shared.state)
            .things
            .insert((kind.to_owned(), name.to_owned()), thing);
    }

    /// Lets something else listen on a port, so that no route can have it.
    pub fn occupy_port(&self, port: u16) {
        lock(&self.shared.state).occupied_ports.insert(port);
    }

    /// Says how many requests are under way at an upstream.
    pub fn set_in_flight(&self, upstream: &Upstream, requests: u64) {
        let mut state = lock(&self.shared.state);
        state.in_flight.retain(|(known, _)| known != upstream);
        state.in_flight.push((upstream.clone(), requests));
    }

    /// Lets an app write a line.
    pub fn write_log(&self, release: &ReleaseId, line: LogLine) {
        if let Some(release) = lock(&self.shared.state).release_of(release) {
            release.log.send_modify(|lines| lines.push(line));
        }
    }

    /// Ends a running app from outside, as if it crashed.
    pub fn crash(&self, release: &ReleaseId, code: i64) {
        if let Some(release) = lock(&self.shared.state).release_of(release) {
            release.outcome = Outcome::Exits {
                code,
                lines: Vec::new(),
            };
        }
    }

    /// A value of the environment that a release was started with.
    #[must_use]
    pub fn env_of(&self, release: &ReleaseId, name: &EnvName) -> Option<Secret> {
        lock(&self.shared.state)
            .release_of(release)
            .and_then(|release| release.env.get(name).cloned())
    }

    pub(super) fn id() -> ProviderId {
        match ProviderId::new("memory") {
            Ok(id) => id,
            // The rule for a provider's id accepts this constant; a test holds it.
            Err(_) => unreachable!("\"memory\" is a provider id"),
        }
    }

    /// Makes a thing, or finds it: ledger first, then the thing, then the note that it was made. `apply` does what the
    /// kind needs beyond the entry, in the same moment.
    pub(super) async fn ensure(
        &self,
        ctx: &Context,
        call: super::fault::Call<'_>,
        kind: &str,
        name: &str,
        apply: impl FnOnce(&mut State) + Send,
    ) -> Result<()> {
        let mark = ctx.owner.mark();
        let row = self.intend(ctx, kind, name).await?;
        let provider_ref = {
            let mut state = lock(&self.shared.state);
            if let Some(thing) = state.thing(kind, name) {
                thing.provider_ref.clone()
            } else {
                state.next_id += 1;
                let thing = OwnedThing {
                    kind: kind.to_owned(),
                    name: name.to_owned(),
                    provider_ref: format!("mem-{}", state.next_id),
                    mark,
                };
                let provider_ref = thing.provider_ref.clone();
                state
                    .things
                    .insert((kind.to_owned(), name.to_owned()), thing);
                state.effect(Verb::Made, kind, name);
                apply(&mut state);
                provider_ref
            }
        };
        call.happened().await?;
        ctx.ledger.created(&row, &provider_ref).await
    }

    /// Writes the row of a thing that is about to be made, unless a thing of that name is someone else's.
    pub(super) async fn intend(&self, ctx: &Context, kind: &str, name: &str) -> Result<ResourceId> {
        self.refuse_foreign(kind, name, &ctx.owner.mark())?;
        let intent = ResourceIntent {
            provider: Self::id(),
            kind: kind.to_owned(),
            name: name.to_owned(),
        };
        ctx.ledger.intend(intent).await
    }

    fn refuse_foreign(&self, kind: &str, name: &str, mark: &str) -> Result<()> {
        match lock(&self.shared.state).thing(kind, name) {
            Some(thing) if thing.mark != mark => Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("the {kind} \"{name}\" exists and is not ours"),
            )
            .with_provider("memory")
            .with_remedy("Choose another name, or remove it.")),
            _ => Ok(()),
        }
    }

    /// Removes a thing that carries the mark of `ctx`, with what belongs to it; then its row. Anything else is left alone.
    pub(super) async fn discard(&self, ctx: &Context, kind: &str, name: &str) -> Result<()> {
        let mark = ctx.owner.mark();
        self.discard_if(ctx, kind, name, |thing| thing.mark == mark)
            .await
    }

    /// Removes a thing that `ours` accepts, and then its row.
    pub(super) async fn discard_if(
        &self,
        ctx: &Context,
        kind: &str,
        name: &str,
        ours: impl Fn(&OwnedThing) -> bool + Send,
    ) -> Result<()> {
        {
            let mut state = lock(&self.shared.state);
            match state.thing(kind, name) {
                Some(thing) if !ours(thing) => return Ok(()),
                Some(_) => state.drop_thing(kind, name),
                None => {}
            }
        }
        for row in ctx.ledger.list().await? {
            let intent = &row.intent;
            if intent.provider == Self::id() && intent.kind == kind && intent.name == name {
                ctx.ledger.gone(&row.id).await?;
            }
        }
        Ok(())
    }
}

impl State {
    /// Takes a thing out with all that belongs to it.
    pub(super) fn drop_thing(&mut self, kind: &str, name: &str) {
        self.things.remove(&(kind.to_owned(), name.to_owned()));
        match kind {
            "release" => {
                self.releases.remove(name);
                self.active.retain(|_, release| release != name);
            }
            "image" => self
                .images
                .retain(|reference, _| reference.as_str() != name),
            "service" => {
                self.active.remove(name);
            }
            "repository" => self.registry.forget_repository(name),
            "registry_image" => {
                self.registry.forget_image(name);
                self.images
                    .retain(|reference, _| reference.as_str() != name);
            }
            "record_set" => self.zones.forget(name),
            "code_repository" => self.code.forget(name),
            "domain" => self.domains.forget(name),
            "server" => self.servers.forget_server(name),
            "snapshot" => self.servers.forget_snapshot(name),
            _ => {}
        }
        self.effect(Verb::Removed, kind, name);
    }
}
