//! Watching what runs: health checks, and keeping routes in line with what the provider says.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::steps::Steps;
use crate::Result;
use crate::model::record::{App, Desired};
use crate::model::service::{HealthCheck, ReleasePhase, Upstream};

/// Asks an upstream whether it takes requests.
#[async_trait]
pub trait Probe: Debug + Send + Sync + 'static {
    /// What it answered, in a few words, or why it is not healthy.
    ///
    /// # Behavior
    /// - It ends within `health.timeout`.
    async fn answers(
        &self,
        upstream: Option<&Upstream>,
        health: &HealthCheck,
    ) -> std::result::Result<String, String>;
}

/// Asks over HTTP, or by a connection where the check names no path. A folder is healthy when it is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpProbe;

#[async_trait]
impl Probe for HttpProbe {
    async fn answers(
        &self,
        upstream: Option<&Upstream>,
        health: &HealthCheck,
    ) -> std::result::Result<String, String> {
        match upstream {
            None => Err("it has no address yet".into()),
            Some(Upstream::Folder { path, .. }) if path.is_dir() => {
                Ok("the files are there".into())
            }
            Some(Upstream::Folder { path, .. }) => Err(format!("{} is no folder", path.display())),
            Some(Upstream::Address { address }) => {
                let check = probe(*address, health.path.fetched());
                tokio::time::timeout(health.timeout, check)
                    .await
                    .unwrap_or_else(|_| {
                        Err(format!("no answer within {} s", health.timeout.as_secs()))
                    })
            }
        }
    }
}

/// One request, spoken by hand: a status line is all that is wanted, whatever follows.
async fn probe(address: SocketAddr, path: Option<&str>) -> std::result::Result<String, String> {
    let mut stream = TcpStream::connect(address)
        .await
        .map_err(|error| format!("nothing listens ({error})"))?;
    let Some(path) = path else {
        return Ok("it accepts connections".into());
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUser-Agent: devopser-health\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        address.port()
    );
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| format!("the connection broke ({error})"))?;
    let mut answer = Vec::with_capacity(64);
    while answer.len() < 12 {
        let read = stream
            .read_buf(&mut answer)
            .await
            .map_err(|error| format!("the connection broke ({error})"))?;
        if read == 0 {
            return Err("it closed the connection without an answer".into());
        }
    }
    let status = std::str::from_utf8(&answer[..12])
        .ok()
        .and_then(|line| line.strip_prefix("HTTP/1."));
    let status = status
        .and_then(|rest| rest.get(2..5))
        .and_then(|code| code.parse::<u16>().ok());
    match status {
        Some(code) if code < 500 => Ok(format!("GET {path} answered {code}")),
        Some(code) => Err(format!("GET {path} answered {code}")),
        None => Err("what it answers is not HTTP".into()),
    }
}

impl Steps {
    /// Points every app's address at what runs of it now. Called when a worker starts and every few seconds after: a
    /// container that the engine restarted has another port.
    pub(crate) async fn bring_back(&self, app: &App) -> Result<()> {
        if app.desired == Desired::Removed {
            return Ok(());
        }
        let ctx = self.context(&app.target)?;
        let upstream = match (&app.current_release, app.desired) {
            (Some(current), Desired::Running) => {
                let release = self.release(&app.target, current).await?;
                let Some(reference) = &release.reference else {
                    return Ok(());
                };
                let provider = Arc::clone(self.provider(app)?);
                let status = provider.deployer()?.status(&ctx, reference).await?;
                match status.phase {
                    ReleasePhase::Stopped => {
                        provider.service_control()?.start(&ctx, reference).await?;
                        provider.deployer()?.status(&ctx, reference).await?.upstream
                    }
                    ReleasePhase::Absent => {
                        tracing::warn!(app = %app.target, "the live release is gone at the provider");
                        None
                    }
                    _ => {
                        // What an earlier worker started is watched by this one from now on, and what ended while no
                        // worker watched is started again, where the provider leaves that to us.
                        if let Err(error) = provider.deployer()?.activate(&ctx, reference).await {
                            tracing::debug!(app = %app.target, %error, "the live release cannot be activated");
                        }
                        status.upstream
                    }
                }
            }
            (Some(_), _) => None,
            (None, _) => return Ok(()),
        };
        self.point(&ctx, app, upstream).await.map(|_| ())
    }
}

/// How often routes are compared with what runs.
pub(crate) const WATCH_TIME: Duration = Duration::from_secs(3);
