//! [`ServerProvider`]: makes servers and snapshots of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::{Ipv4Addr, Ipv6Addr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Poll, ProviderInfo};
use crate::context::Context;
use crate::id::{ProviderId, Region, ServerName, ServerSize, SnapshotName};
use crate::{Error, ErrorKind, Result, Secret};

/// What a provider of servers can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerCapability {
    /// It makes snapshots of servers.
    pub snapshots: bool,
    /// A snapshot can be in several regions.
    pub transfer: bool,
    /// The most bytes of the script that a server runs first.
    pub max_user_data: u32,
}

/// What a server is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ServerImage {
    /// An image of the provider's, by its name there.
    Public {
        /// The name.
        slug: String,
    },
    /// A snapshot, by the provider's id.
    Snapshot {
        /// The id.
        id: String,
    },
}

/// A server as it is wanted. It has no `Serialize`: the script may hold a key.
#[derive(Clone, Debug)]
pub struct EnsureServer {
    /// Its name, by which a repeated call finds it: unique among our servers.
    pub name: ServerName,
    /// Where.
    pub region: Region,
    /// How large.
    pub size: ServerSize,
    /// What from.
    pub image: ServerImage,
    /// What it runs first.
    pub user_data: Option<Secret>,
    /// What we want to find it by; the provider's tags hold it.
    pub labels: BTreeMap<String, String>,
}

/// A server: enough to find it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRef {
    /// The provider.
    pub provider: ProviderId,
    /// The provider's id of it.
    pub id: String,
    /// Its name.
    pub name: ServerName,
}

/// Where a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ServerPhase {
    /// It is being made or started; it may have no address yet.
    Starting,
    /// It runs and has an address; what is on it may still be starting.
    Running,
    /// It does not run, and costs all the same.
    Stopped,
    /// It will not come about.
    Failed,
}

/// A server as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Which.
    pub reference: ServerRef,
    /// Where it is in its life.
    pub phase: ServerPhase,
    /// Where.
    pub region: Region,
    /// How large.
    pub size: ServerSize,
    /// What it was made from, when the provider says.
    pub image: Option<ServerImage>,
    /// Its public IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// Its public IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// What we find it by.
    pub labels: BTreeMap<String, String>,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
}

/// A snapshot as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsureSnapshot {
    /// Its name, by which a repeated call finds it: unique among our snapshots.
    pub name: SnapshotName,
    /// The server that it is taken of.
    pub server: ServerRef,
    /// Where it should be. More than one needs [`ServerCapability::transfer`].
    pub regions: BTreeSet<Region>,
}

/// A snapshot as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The provider's id of it.
    pub id: String,
    /// Its name.
    pub name: SnapshotName,
    /// Where it is by now.
    pub regions: BTreeSet<Region>,
    /// Whether a server can be made from it, in the regions where it is.
    pub ready: bool,
    /// Its size in bytes, once it is known.
    pub size_bytes: Option<u64>,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
}

/// Makes servers and snapshots of them. Several apps share servers, so it sees and touches what carries the
/// mark of `ctx`'s tenant, and nothing else.
#[async_trait]
pub trait ServerProvider: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// What it can do.
    fn capability(&self) -> ServerCapability;

    /// Our servers.
    ///
    /// # Behavior
    /// - A server that is not ours is not listed.
    async fn servers(&self, ctx: &Context) -> Result<Vec<Server>>;

    /// Makes the server. It is on its way, not necessarily running: look again, or use
    /// [`ServerProviderExt::wait_until_running`].
    ///
    /// # Behavior
    /// - Ensuring a server of one name twice makes one.
    ///
    /// # Errors
    /// - [`InvalidInput`](ErrorKind::InvalidInput), before anything is made, for a region, size or image that do not fit.
    /// - [`QuotaExceeded`](ErrorKind::QuotaExceeded) with `limit` and `used` in the context.
    async fn ensure(&self, ctx: &Context, request: EnsureServer) -> Result<Server>;

    /// Removes the server.
    ///
    /// # Behavior
    /// - Destroying a server twice is `Ok`.
    /// - A server that is not ours is not destroyed.
    async fn destroy(&self, ctx: &Context, server: &ServerRef) -> Result<()>;

    /// Our snapshots, newest first.
    async fn snapshots(&self, ctx: &Context) -> Result<Vec<Snapshot>>;

    /// Takes the snapshot, and brings it to the regions that are missing. It is on its way, not necessarily ready: call it
    /// again. Requires [`ServerCapability::snapshots`].
    ///
    /// # Behavior
    /// - Taking a snapshot of one name twice makes one.
    /// - A region that is added later is added to the same snapshot.
    async fn snapshot(&self, ctx: &Context, request: EnsureSnapshot) -> Result<Snapshot>;

    /// Removes a snapshot, by the provider's id.
    ///
    /// # Behavior
    /// - Removing a snapshot twice is `Ok`.
    async fn remove_snapshot(&self, ctx: &Context, id: &str) -> Result<()>;
}

/// Sugar over any [`ServerProvider`].
#[async_trait]
pub trait ServerProviderExt: ServerProvider {
    /// The server of a name, if there is one.
    ///
    /// # Errors
    /// What the provider says.
    async fn server(&self, ctx: &Context, name: &ServerName) -> Result<Option<Server>> {
        let servers = self.servers(ctx).await?;
        Ok(servers
            .into_iter()
            .find(|server| server.reference.name == *name))
    }

    /// Waits until the server runs and has an address.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when it failed or vanished, [`Timeout`](ErrorKind::Timeout),
    /// [`Cancelled`](ErrorKind::Cancelled), or what the provider says.
    async fn wait_until_running(
        &self,
        ctx: &Context,
        name: &ServerName,
        poll: Poll,
    ) -> Result<Server> {
        poll.run(ctx, "waiting for the server", || async {
            match self.server(ctx, name).await? {
                Some(server) if server.phase == ServerPhase::Running && server.ipv4.is_some() => {
                    Ok(Some(server))
                }
                Some(server) if server.phase != ServerPhase::Failed => Ok(None),
                _ => Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("the server \"{name}\" did not come about"),
                )
                .with_retry(crate::Retry::Later { after: None })),
            }
        })
        .await
    }
}

impl<T: ServerProvider + ?Sized> ServerProviderExt for T {}
