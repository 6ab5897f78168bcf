//! [`MemoryServerProvider`]: servers that are rows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use async_trait::async_trait;

use super::cloud::{MemoryCloud, State};
use super::services::lock;
use super::snapshot::Verb;
use crate::context::Context;
use crate::id::Region;
use crate::provider::{
    EnsureServer, EnsureSnapshot, ProviderInfo, Server, ServerCapability, ServerImage, ServerPhase,
    ServerProvider, ServerRef, Snapshot,
};
use crate::{Error, ErrorKind, Result};

/// The regions that there are.
const REGIONS: [&str; 2] = ["mem1", "mem2"];
/// The sizes that there are.
const SIZES: [&str; 2] = ["small", "large"];
/// The most servers of the account.
const MAX_SERVERS: usize = 25;

/// Servers and snapshots, by the names of their things.
#[derive(Debug, Default)]
pub(super) struct Servers {
    servers: BTreeMap<String, Server>,
    snapshots: BTreeMap<String, Snapshot>,
}

impl Servers {
    pub(super) fn forget_server(&mut self, name: &str) {
        self.servers.remove(name);
    }

    pub(super) fn forget_snapshot(&mut self, name: &str) {
        self.snapshots.remove(name);
    }
}

/// Servers that are rows: `mem1` and `mem2`, `small` and `large`, from the public image `base` or a snapshot. A new server
/// runs and has an address from the first look on.
#[derive(Clone, Debug)]
pub struct MemoryServerProvider {
    cloud: MemoryCloud,
}

impl MemoryServerProvider {
    /// The one of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }

    /// The snapshot of that name, brought to the regions that are missing; `None` when it has to be taken.
    fn extend(
        &self,
        ctx: &Context,
        name: &str,
        request: &EnsureSnapshot,
    ) -> Result<Option<Snapshot>> {
        let mut state = lock(&self.cloud.shared.state);
        let Some(known) = state.servers.snapshots.get_mut(name) else {
            let servers = &state.servers.servers;
            let server = servers
                .iter()
                .find(|(_, server)| server.reference.id == request.server.id);
            return match server {
                Some((server, _)) if is_ours(&state, ctx, "server", server) => Ok(None),
                _ => Err(Error::new(ErrorKind::NotFound, "there is no such server")
                    .with_provider("memory")),
            };
        };
        let before = known.regions.len();
        known.regions.extend(request.regions.iter().cloned());
        let known = known.clone();
        if known.regions.len() > before {
            state.effect(Verb::Changed, "snapshot", name);
        }
        Ok(Some(known))
    }
}

/// The name of a thing: one for each tenant.
fn thing_name(ctx: &Context, name: impl std::fmt::Display) -> String {
    format!("{}.{name}", ctx.tenant())
}

fn is_ours(state: &State, ctx: &Context, kind: &str, name: &str) -> bool {
    state
        .thing(kind, name)
        .is_some_and(|thing| thing.mark.starts_with(&ctx.owner.tenant_prefix()))
}

fn check(state: &State, ctx: &Context, request: &EnsureServer) -> Result<()> {
    if !REGIONS.contains(&request.region.as_str()) {
        return Err(Error::invalid(
            "region",
            format!("must be one of {}", REGIONS.join(", ")),
        ));
    }
    if !SIZES.contains(&request.size.as_str()) {
        return Err(Error::invalid(
            "size",
            format!("must be one of {}", SIZES.join(", ")),
        ));
    }
    let image_fits = match &request.image {
        ServerImage::Public { slug } => slug == "base",
        ServerImage::Snapshot { id } => state.servers.snapshots.iter().any(|(name, snapshot)| {
            snapshot.id == *id
                && snapshot.regions.contains(&request.region)
                && is_ours(state, ctx, "snapshot", name)
        }),
    };
    if !image_fits {
        return Err(Error::invalid(
            "image",
            format!("is not there in the region {}", request.region),
        ));
    }
    let used = state.servers.servers.len();
    if used >= MAX_SERVERS {
        return Err(
            Error::new(ErrorKind::QuotaExceeded, "the account has no server left")
                .with_provider("memory")
                .with_context("limit", MAX_SERVERS)
                .with_context("used", used),
        );
    }
    Ok(())
}

fn new_server(state: &mut State, request: EnsureServer, now: u64) -> Server {
    Server {
        reference: ServerRef {
            provider: MemoryCloud::id(),
            id: format!("server-{}", state.next_number()),
            name: request.name,
        },
        phase: ServerPhase::Starting,
        region: request.region,
        size: request.size,
        image: Some(request.image),
        ipv4: None,
        ipv6: None,
        labels: request.labels,
        created_at: now,
    }
}

fn check_regions(regions: &BTreeSet<Region>) -> Result<()> {
    if !regions.is_empty()
        && regions
            .iter()
            .all(|region| REGIONS.contains(&region.as_str()))
    {
        Ok(())
    } else {
        Err(Error::invalid(
            "regions",
            format!("must be some of {}", REGIONS.join(", ")),
        ))
    }
}

#[async_trait]
impl ServerProvider for MemoryServerProvider {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    fn capability(&self) -> ServerCapability {
        ServerCapability {
            snapshots: true,
            transfer: true,
            max_user_data: 65_536,
        }
    }

    async fn servers(&self, ctx: &Context) -> Result<Vec<Server>> {
        let call = self.cloud.look(ctx, "ServerProvider::servers").await?;
        let servers = {
            let mut state = lock(&self.cloud.shared.state);
            for (number, server) in (1_u8..).zip(state.servers.servers.values_mut()) {
                server.phase = ServerPhase::Running;
                server.ipv4.get_or_insert(Ipv4Addr::new(192, 0, 2, number));
            }
            let ours = |(name, _): &(&String, &Server)| is_ours(&state, ctx, "server", name);
            let servers = state.servers.servers.iter();
            servers
                .filter(ours)
                .map(|(_, server)| server.clone())
                .collect()
        };
        call.happened().await?;
        Ok(servers)
    }

    async fn ensure(&self, ctx: &Context, request: EnsureServer) -> Result<Server> {
        let call = self.cloud.change(ctx, "ServerProvider::ensure").await?;
        let name = thing_name(ctx, &request.name);
        let known = {
            let state = lock(&self.cloud.shared.state);
            let known = state.servers.servers.get(&name).cloned();
            if known.is_none() {
                check(&state, ctx, &request)?;
            }
            known
        };
        if let Some(known) = known {
            call.happened().await?;
            return Ok(known);
        }
        let (made, now) = (name.clone(), ctx.clock.now_ms());
        self.cloud
            .ensure(ctx, call, "server", &name, move |state| {
                let server = new_server(state, request, now);
                state.servers.servers.insert(made, server);
            })
            .await?;
        let state = lock(&self.cloud.shared.state);
        let server = state.servers.servers.get(&name).cloned();
        server.ok_or_else(|| {
            Error::new(
                ErrorKind::AlreadyExists,
                "a server of that name is not ours",
            )
        })
    }

    async fn destroy(&self, ctx: &Context, server: &ServerRef) -> Result<()> {
        let call = self.cloud.change(ctx, "ServerProvider::destroy").await?;
        let name = lock(&self.cloud.shared.state)
            .servers
            .servers
            .iter()
            .find_map(|(name, known)| (known.reference.id == server.id).then(|| name.clone()))
            .unwrap_or_else(|| thing_name(ctx, &server.name));
        let same = lock(&self.cloud.shared.state)
            .servers
            .servers
            .get(&name)
            .is_none_or(|known| known.reference.id == server.id);
        let prefix = ctx.owner.tenant_prefix();
        if same {
            self.cloud
                .discard_if(ctx, "server", &name, |thing| {
                    thing.mark.starts_with(&prefix)
                })
                .await?;
        }
        call.happened().await
    }

    async fn snapshots(&self, ctx: &Context) -> Result<Vec<Snapshot>> {
        let call = self.cloud.look(ctx, "ServerProvider::snapshots").await?;
        let mut snapshots: Vec<Snapshot> = {
            let state = lock(&self.cloud.shared.state);
            let snapshots = state.servers.snapshots.iter();
            snapshots
                .filter(|(name, _)| is_ours(&state, ctx, "snapshot", name))
                .map(|(_, snapshot)| snapshot.clone())
                .collect()
        };
        snapshots.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(b.id.cmp(&a.id)));
        call.happened().await?;
        Ok(snapshots)
    }

    async fn snapshot(&self, ctx: &Context, request: EnsureSnapshot) -> Result<Snapshot> {
        let call = self.cloud.change(ctx, "ServerProvider::snapshot").await?;
        check_regions(&request.regions)?;
        let name = thing_name(ctx, &request.name);
        if let Some(known) = self.extend(ctx, &name, &request)? {
            call.happened().await?;
            return Ok(known);
        }
        let (made, now) = (name.clone(), ctx.clock.now_ms());
        self.cloud
            .ensure(ctx, call, "snapshot", &name, move |state| {
                let snapshot = Snapshot {
                    id: format!("snapshot-{}", state.next_number()),
                    name: request.name,
                    regions: request.regions,
                    ready: true,
                    size_bytes: Some(1 << 30),
                    created_at: now,
                };
                state.servers.snapshots.insert(made, snapshot);
            })
            .await?;
        let state = lock(&self.cloud.shared.state);
        let snapshot = state.servers.snapshots.get(&name).cloned();
        snapshot.ok_or_else(|| {
            Error::new(
                ErrorKind::AlreadyExists,
                "a snapshot of that name is not ours",
            )
        })
    }

    async fn remove_snapshot(&self, ctx: &Context, id: &str) -> Result<()> {
        let call = self
            .cloud
            .change(ctx, "ServerProvider::remove_snapshot")
            .await?;
        let name = lock(&self.cloud.shared.state)
            .servers
            .snapshots
            .iter()
            .find_map(|(name, known)| (known.id == id).then(|| name.clone()));
        let prefix = ctx.owner.tenant_prefix();
        if let Some(name) = name {
            self.cloud
                .discard_if(ctx, "snapshot", &name, |thing| {
                    thing.mark.starts_with(&prefix)
                })
                .await?;
        }
        call.happened().await
    }
}
