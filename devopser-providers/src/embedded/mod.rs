//! The router inside the worker's process: one loopback port for each app, and one port where the host name decides.
//!
//! A request reads its upstream once, from a table that is replaced as a whole; changing an upstream touches no listener
//! and no connection. Requests to an address are handed on over HTTP/1.1, a folder is served by the router itself.

mod body;
mod files;
mod headers;
mod listener;
mod pages;
mod pool;
mod port;
mod proxy;
mod table;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use devopser_core::id::{HostName, ProviderId};
use devopser_core::model::service::Upstream;
use devopser_core::provider::{HttpRouter, ProviderInfo, Route, RouteId};
use devopser_core::{Context, Error, ErrorKind, Result};
use tokio::sync::Mutex;

use listener::Listener;
pub use port::port_is_free;
use table::{Backends, Door, Entry, Table};

/// The id of the router.
const ID: &str = "embedded";

/// How the router listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedConfig {
    /// The address that it listens on. Default: `127.0.0.1`.
    pub bind: IpAddr,
    /// The port where the host name decides; 0 takes a free one. Default: `None`, no such port.
    pub alias_port: Option<u16>,
    /// What host names of apps end in. Default: `localhost`.
    pub suffix: String,
    /// Proxies in front of the router whose `X-Forwarded-*` headers count. Default: none; such headers are replaced.
    pub trusted_proxies: Vec<IpAddr>,
    /// How long requests and WebSockets may go on after their route was removed. Default: 10 seconds.
    pub drain: Duration,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::LOCALHOST.into(),
            alias_port: None,
            suffix: "localhost".into(),
            trusted_proxies: Vec::new(),
            drain: Duration::from_secs(10),
        }
    }
}

/// What listeners and the router share.
#[derive(Debug)]
struct Shared {
    config: EmbeddedConfig,
    table: ArcSwap<Table>,
    backends: Backends,
}

#[derive(Debug, Default)]
struct Listeners {
    routes: BTreeMap<RouteId, Listener>,
    alias: Option<Listener>,
}

/// The router inside the worker's process. It listens on nothing until the first [`HttpRouter::ensure`], and stops when it
/// is dropped.
#[derive(Debug)]
pub struct EmbeddedRouter {
    info: ProviderInfo,
    shared: Arc<Shared>,
    /// Also the lock under which the table is changed.
    listeners: Mutex<Listeners>,
}

impl EmbeddedRouter {
    /// A router without routes.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a suffix that no host name can end in.
    pub fn new(config: EmbeddedConfig) -> Result<Self> {
        HostName::new(config.suffix.as_str())?;
        Ok(Self {
            info: ProviderInfo::new(ProviderId::new(ID)?, "Embedded router"),
            shared: Arc::new(Shared {
                config,
                table: ArcSwap::default(),
                backends: Backends::default(),
            }),
            listeners: Mutex::default(),
        })
    }

    fn put(&self, route: Route) {
        let backend = route
            .upstream
            .as_ref()
            .map(|upstream| self.shared.backends.of(upstream));
        let mut routes = self.shared.table.load().routes.clone();
        let id = route.id.clone();
        routes.insert(id, Arc::new(Entry { route, backend }));
        self.shared.table.store(Arc::new(Table::of(routes)));
    }

    /// The host name of an app on the alias port: `label` and the suffix.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) when that is no host name.
    pub fn host_name(&self, label: &str) -> Result<HostName> {
        HostName::new(format!("{label}.{}", self.shared.config.suffix))
    }

    /// Where the alias port listens; `None` before the first route, and where there is none.
    pub async fn alias_address(&self) -> Option<SocketAddr> {
        let listeners = self.listeners.lock().await;
        listeners.alias.as_ref().map(|alias| alias.address)
    }

    /// Closes every port. Requests under way end by themselves, within the drain time.
    pub async fn close(&self) {
        let mut listeners = self.listeners.lock().await;
        self.shared.table.store(Arc::default());
        let listeners = std::mem::take(&mut *listeners);
        for listener in listeners.routes.into_values().chain(listeners.alias) {
            listener.close().await;
        }
    }

    /// Listens on `port`, unless it does already.
    async fn listen(&self, port: u16, door: Door) -> Result<Listener> {
        let address = SocketAddr::new(self.shared.config.bind, port);
        let socket = port::listen(address).await?;
        let address = socket.local_addr().unwrap_or(address);
        let shared = Arc::clone(&self.shared);
        Ok(Listener::start(shared, socket, address, door))
    }

    /// Opens the alias port. Without it every app still has its own, so a failure is told and does not stop a deployment.
    async fn ensure_alias(&self, ctx: &Context, listeners: &mut Listeners) {
        let Some(port) = self.shared.config.alias_port else {
            return;
        };
        if listeners.alias.is_none() {
            match self.listen(port, Door::Alias).await {
                Ok(listener) => listeners.alias = Some(listener),
                Err(error) => {
                    let text = error.message();
                    ctx.progress
                        .note(&format!("no host names for apps: {text}"));
                }
            }
        }
    }
}

/// Refuses a route that would take another one's port or name.
fn check(route: &Route, table: &Table) -> Result<()> {
    if route.port == 0 {
        return Err(Error::invalid("port", "must not be 0"));
    }
    for other in table.routes.values().map(|entry| &entry.route) {
        if other.id == route.id {
            continue;
        }
        if other.port == route.port {
            let message = format!("port {} belongs to {}", route.port, other.id);
            return Err(Error::new(ErrorKind::PortTaken, message)
                .with_context("port", route.port)
                .with_remedy("Choose another port, or none."));
        }
        let taken = route
            .host_names
            .iter()
            .find(|name| other.host_names.contains(name));
        if let Some(name) = taken {
            let message = format!("the host name {name} belongs to {}", other.id);
            return Err(Error::new(ErrorKind::Conflict, message).with_context("host_name", name));
        }
    }
    Ok(())
}

fn url(bind: IpAddr, port: u16) -> String {
    let ip = match bind {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, port))
}

#[async_trait]
impl HttpRouter for EmbeddedRouter {
    fn info(&self) -> ProviderInfo {
        self.info.clone()
    }

    async fn routes(&self, _ctx: &Context) -> Result<Vec<Route>> {
        let table = self.shared.table.load();
        Ok(table
            .routes
            .values()
            .map(|entry| entry.route.clone())
            .collect())
    }

    async fn ensure(&self, ctx: &Context, route: Route) -> Result<String> {
        let named = |error: Error| error.with_provider(ID).with_operation("HttpRouter::ensure");
        let mut listeners = self.listeners.lock().await;
        let table = self.shared.table.load_full();
        check(&route, &table).map_err(named)?;
        let url = url(self.shared.config.bind, route.port);
        let listener = listeners.routes.get(&route.id);
        let listens = listener.is_some_and(|listener| listener.address.port() == route.port);
        if !listens {
            let new = self.listen(route.port, Door::Port(route.port));
            let new = new.await.map_err(named)?;
            let old = listeners.routes.insert(route.id.clone(), new);
            if let Some(old) = old {
                self.put(route);
                old.close().await;
                return Ok(url);
            }
        }
        self.ensure_alias(ctx, &mut listeners).await;
        self.put(route);
        Ok(url)
    }

    async fn remove(&self, _ctx: &Context, id: &RouteId) -> Result<()> {
        let mut listeners = self.listeners.lock().await;
        let listener = listeners.routes.remove(id);
        let mut routes = self.shared.table.load().routes.clone();
        if routes.remove(id).is_some() {
            self.shared.table.store(Arc::new(Table::of(routes)));
        }
        if let Some(listener) = listener {
            listener.close().await;
        }
        Ok(())
    }

    async fn in_flight(&self, _ctx: &Context, upstream: &Upstream) -> Result<u64> {
        Ok(self.shared.backends.in_flight(upstream))
    }
}
