//! [`MemoryRouter`]: a table of routes that nobody listens to.

use async_trait::async_trait;

use super::cloud::MemoryCloud;
use super::services::lock;
use super::snapshot::Verb;
use crate::context::Context;
use crate::model::service::Upstream;
use crate::provider::{HttpRouter, ProviderInfo, Route, RouteId};
use crate::{Error, ErrorKind, Result};

/// A router whose routes are entries in a [`MemoryCloud`].
#[derive(Clone, Debug)]
pub struct MemoryRouter {
    cloud: MemoryCloud,
}

impl MemoryRouter {
    /// The router of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }
}

#[async_trait]
impl HttpRouter for MemoryRouter {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    async fn routes(&self, ctx: &Context) -> Result<Vec<Route>> {
        let call = self.cloud.look(ctx, "HttpRouter::routes").await?;
        let routes = lock(&self.cloud.shared.state)
            .routes
            .values()
            .cloned()
            .collect();
        call.happened().await?;
        Ok(routes)
    }

    async fn ensure(&self, ctx: &Context, route: Route) -> Result<String> {
        let call = self.cloud.change(ctx, "HttpRouter::ensure").await?;
        let url = format!("http://127.0.0.1:{}", route.port);
        {
            let mut state = lock(&self.cloud.shared.state);
            let taken = state.occupied_ports.contains(&route.port)
                || state
                    .routes
                    .values()
                    .any(|known| known.port == route.port && known.id != route.id);
            if taken {
                return Err(Error::new(
                    ErrorKind::PortTaken,
                    format!("port {} is in use", route.port),
                )
                .with_provider("memory"));
            }
            let name = route.id.key();
            match state.routes.insert(route.id.clone(), route.clone()) {
                Some(before) if before == route => {}
                Some(_) => state.effect(Verb::Changed, "route", &name),
                None => state.effect(Verb::Made, "route", &name),
            }
        }
        call.happened().await?;
        Ok(url)
    }

    async fn remove(&self, ctx: &Context, id: &RouteId) -> Result<()> {
        let call = self.cloud.change(ctx, "HttpRouter::remove").await?;
        {
            let mut state = lock(&self.cloud.shared.state);
            if state.routes.remove(id).is_some() {
                state.effect(Verb::Removed, "route", &id.key());
            }
        }
        call.happened().await
    }

    async fn in_flight(&self, ctx: &Context, upstream: &Upstream) -> Result<u64> {
        let call = self.cloud.look(ctx, "HttpRouter::in_flight").await?;
        let requests = lock(&self.cloud.shared.state)
            .in_flight
            .iter()
            .find_map(|(known, requests)| (known == upstream).then_some(*requests))
            .unwrap_or_default();
        call.happened().await?;
        Ok(requests)
    }
}
