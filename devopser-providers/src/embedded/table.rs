//! Which upstream a request goes to, and how many requests are under way at each.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use devopser_core::model::service::Upstream;
use devopser_core::provider::{Route, RouteId};

use super::pool::Pool;

/// An upstream with the requests that are under way there and its idle connections. It lives as long as a route or a
/// request needs it; its idle connections are closed with it.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) upstream: Upstream,
    pub(super) pool: Pool,
    in_flight: AtomicU64,
}

/// One request that is under way at an upstream, from its arrival until the last byte of its answer.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Backend>);

impl InFlight {
    pub(super) fn enter(backend: &Arc<Backend>) -> Self {
        backend.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(backend))
    }

    pub(super) fn backend(&self) -> &Arc<Backend> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Every upstream that has a route or a request.
#[derive(Debug, Default)]
pub(super) struct Backends(Mutex<HashMap<Upstream, Weak<Backend>>>);

impl Backends {
    pub(super) fn of(&self, upstream: &Upstream) -> Arc<Backend> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(backend) = known.get(upstream).and_then(Weak::upgrade) {
            return backend;
        }
        known.retain(|_, backend| backend.strong_count() > 0);
        let backend = Arc::new(Backend {
            upstream: upstream.clone(),
            pool: Pool::default(),
            in_flight: AtomicU64::new(0),
        });
        known.insert(upstream.clone(), Arc::downgrade(&backend));
        backend
    }

    pub(super) fn in_flight(&self, upstream: &Upstream) -> u64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(upstream)
            .and_then(Weak::upgrade)
            .map_or(0, |backend| backend.in_flight.load(Ordering::SeqCst))
    }
}

/// A route with its upstream.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) route: Route,
    pub(super) backend: Option<Arc<Backend>>,
}

/// Every route, as one value that is replaced as a whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) routes: BTreeMap<RouteId, Arc<Entry>>,
    ports: HashMap<u16, Arc<Entry>>,
    hosts: HashMap<String, Arc<Entry>>,
}

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// At the stable port of a route.
    Port(u16),
    /// At the router's own port, where the host name decides.
    Alias,
}

impl Table {
    pub(super) fn of(routes: BTreeMap<RouteId, Arc<Entry>>) -> Self {
        let ports = routes
            .values()
            .map(|entry| (entry.route.port, Arc::clone(entry)))
            .collect();
        let hosts = routes
            .values()
            .flat_map(|entry| {
                let names = entry.route.host_names.iter();
                names.map(|name| (name.as_str().to_owned(), Arc::clone(entry)))
            })
            .collect();
        Self {
            routes,
            ports,
            hosts,
        }
    }

    pub(super) fn find(&self, door: Door, host: Option<&str>) -> Option<&Arc<Entry>> {
        match door {
            Door::Port(port) => self.ports.get(&port),
            Door::Alias => self.hosts.get(&host_name(host?)),
        }
    }
}

/// The name in a `Host` header: lower case, without the port and without the dot of the root.
fn host_name(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_read_without_port_case_and_root() {
        for host in [
            "shop.localhost",
            "Shop.Localhost:8080",
            "shop.localhost.",
            "shop.localhost.:80",
        ] {
            assert_eq!(host_name(host), "shop.localhost");
        }
    }

    #[test]
    fn requests_are_counted_even_where_no_route_is_left() {
        let backends = Backends::default();
        let upstream = Upstream::Address {
            address: ([127, 0, 0, 1], 1).into(),
        };
        let backend = backends.of(&upstream);
        let (first, second) = (InFlight::enter(&backend), InFlight::enter(&backend));
        drop(backend);
        assert_eq!(backends.in_flight(&upstream), 2);
        drop(first);
        assert_eq!(backends.in_flight(&upstream), 1);
        drop(second);
        assert_eq!(backends.in_flight(&upstream), 0);
    }
}
