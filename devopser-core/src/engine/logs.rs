//! Reading what an app wrote.

use std::time::Duration;

use futures::StreamExt as _;

use crate::context::Context;
use crate::model::service::ReleaseRef;
use crate::provider::{LogOptions, Provider};

/// The last lines of a release, for an error; empty when they cannot be had.
pub(crate) async fn last_lines(
    ctx: &Context,
    provider: &Provider,
    release: &ReleaseRef,
    count: u32,
) -> Vec<String> {
    let Ok(control) = provider.service_control() else {
        return Vec::new();
    };
    let stream = control.logs(
        ctx,
        release,
        LogOptions {
            last: Some(count),
            follow: false,
        },
    );
    let read = stream
        .filter_map(|line| async move { line.ok().map(|line| line.line) })
        .collect::<Vec<String>>();
    tokio::time::timeout(Duration::from_secs(5), read)
        .await
        .unwrap_or_default()
}
