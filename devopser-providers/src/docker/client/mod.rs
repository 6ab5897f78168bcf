//! The only place that knows the engine's client library: every type of it is turned into ours here.

mod build;
mod container;
mod error;
mod filesync;
mod image;
mod network;
mod session;
mod system;
mod volume;

use std::path::PathBuf;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use devopser_core::context::Context;
use devopser_core::{Error, ErrorKind, Result};
use tokio::sync::OnceCell;

pub(crate) use session::BuildSession;

/// Longer than anything that is read from a stream.
const STREAM_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A Docker engine behind a Unix socket. It is asked for its version the first time that it is needed.
#[derive(Debug)]
pub(crate) struct Engine {
    socket: PathBuf,
    request_timeout: Duration,
    docker: OnceCell<Docker>,
}

impl Engine {
    pub(crate) fn new(socket: PathBuf, request_timeout: Duration) -> Self {
        Self {
            socket,
            request_timeout,
            docker: OnceCell::new(),
        }
    }

    /// The client, its API version agreed with the engine.
    async fn docker(&self) -> Result<&Docker> {
        self.docker
            .get_or_try_init(|| async {
                let path = self.socket.to_string_lossy();
                // The times are kept by `call`; the client's own only has to be longer.
                let docker = Docker::connect_with_unix(&path, 3600, API_DEFAULT_VERSION)
                    .map_err(|e| self.map("connect", e))?;
                tokio::time::timeout(Duration::from_secs(10), docker.negotiate_version())
                    .await
                    .map_err(|_| self.timed_out("version", Duration::from_secs(10)))?
                    .map_err(|e| self.map("version", e))
            })
            .await
    }

    /// A client whose answers may take as long as a stream lasts: the engine sends the head of an answer with its first
    /// bytes, and a silent app writes none.
    async fn streaming(&self) -> Result<Docker> {
        Ok(self.docker().await?.clone().with_timeout(STREAM_TIMEOUT))
    }

    /// Asks the engine: ends with the call's cancellation or the time limit.
    async fn call<T, F, Fut>(&self, ctx: &Context, operation: &'static str, ask: F) -> Result<T>
    where
        T: Send,
        F: FnOnce(Docker) -> Fut + Send,
        Fut: Future<Output = std::result::Result<T, bollard::errors::Error>> + Send,
    {
        self.call_within(ctx, operation, self.request_timeout, ask)
            .await
    }

    async fn call_within<T, F, Fut>(
        &self,
        ctx: &Context,
        operation: &'static str,
        limit: Duration,
        ask: F,
    ) -> Result<T>
    where
        T: Send,
        F: FnOnce(Docker) -> Fut + Send,
        Fut: Future<Output = std::result::Result<T, bollard::errors::Error>> + Send,
    {
        ctx.run(async {
            let docker = self.docker().await?.clone();
            tokio::time::timeout(limit, Box::pin(ask(docker)))
                .await
                .map_err(|_| self.timed_out(operation, limit))?
                .map_err(|e| self.map(operation, e))
        })
        .await
    }

    /// Like [`Self::call`] for a request that changes something: the worker's lease must outlast it.
    async fn mutate<T, F, Fut>(&self, ctx: &Context, operation: &'static str, ask: F) -> Result<T>
    where
        T: Send,
        F: FnOnce(Docker) -> Fut + Send,
        Fut: Future<Output = std::result::Result<T, bollard::errors::Error>> + Send,
    {
        ctx.before_mutation(self.request_timeout)?;
        self.call(ctx, operation, ask).await
    }

    fn map(&self, operation: &str, error: bollard::errors::Error) -> Error {
        error::map(&self.socket, operation, error)
    }

    fn timed_out(&self, operation: &str, limit: Duration) -> Error {
        error::named(
            operation,
            ErrorKind::Timeout,
            format!(
                "the Docker engine did not answer within {} seconds",
                limit.as_secs()
            ),
        )
    }
}

/// `None` for what the engine does not know.
fn absent_as_none<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
