//! [`ServiceControl`]: starts, stops and watches what runs.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::ProviderInfo;
use crate::Result;
use crate::context::Context;
use crate::model::service::{CompanionStatus, LogLine, ReleaseRef, Stats};

/// Which lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// How many of the last lines. `None`: all that are kept.
    pub last: Option<u32>,
    /// Whether the stream goes on with new lines until it is dropped or the context is cancelled.
    pub follow: bool,
}

/// Starts, stops and watches what runs of a release.
#[async_trait]
pub trait ServiceControl: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// Starts a stopped release.
    ///
    /// # Behavior
    /// - A release that runs is left as it is.
    async fn start(&self, ctx: &Context, release: &ReleaseRef) -> Result<()>;

    /// Asks it to end, and ends it after `grace`.
    ///
    /// # Behavior
    /// - Stopping what is stopped or absent is `Ok`.
    async fn stop(&self, ctx: &Context, release: &ReleaseRef, grace: Duration) -> Result<()>;

    /// Stops and starts it.
    async fn restart(&self, ctx: &Context, release: &ReleaseRef, grace: Duration) -> Result<()>;

    /// What it wrote. The stream is made at once, the reading is in it.
    ///
    /// # Behavior
    /// - A stream that follows ends when the context is cancelled.
    fn logs(
        &self,
        ctx: &Context,
        release: &ReleaseRef,
        options: LogOptions,
    ) -> BoxStream<'static, Result<LogLine>>;

    /// What runs beside a release, each with what its log and numbers are asked for with.
    async fn companions(&self, ctx: &Context, release: &ReleaseRef)
    -> Result<Vec<CompanionStatus>>;

    /// What it uses now.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when it does not run.
    async fn stats(&self, ctx: &Context, release: &ReleaseRef) -> Result<Stats>;
}
