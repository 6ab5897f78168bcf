//! [`HttpRouter`]: points addresses at upstreams.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::ProviderInfo;
use crate::Result;
use crate::context::Context;
use crate::id::{HostName, Target};
use crate::model::service::Upstream;

/// What a route belongs to: one for each target.
pub type RouteId = Target;

/// An address and where its requests go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// What it belongs to.
    pub id: RouteId,
    /// The stable loopback port of the app.
    pub port: u16,
    /// Host names that are answered on the router's own port.
    pub host_names: Vec<HostName>,
    /// Where the requests go; `None` answers 503 with a page that says that the app is stopped.
    pub upstream: Option<Upstream>,
}

/// Points addresses at upstreams.
#[async_trait]
pub trait HttpRouter: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// Every route.
    async fn routes(&self, ctx: &Context) -> Result<Vec<Route>>;

    /// Makes the route as it is asked for and returns the URL that it answers on.
    ///
    /// # Behavior
    /// - Requests under way end at the upstream where they began; not one is dropped.
    /// - Repeating it changes nothing.
    ///
    /// # Errors
    /// - [`PortTaken`](crate::ErrorKind::PortTaken) when the port is in use by something else.
    async fn ensure(&self, ctx: &Context, route: Route) -> Result<String>;

    /// Takes the route away and stops listening on its port. An absent one is `Ok`.
    async fn remove(&self, ctx: &Context, id: &RouteId) -> Result<()>;

    /// How many requests are under way at an upstream, whether it still has a route or not.
    async fn in_flight(&self, ctx: &Context, upstream: &Upstream) -> Result<u64>;
}
