//! Connections to one upstream, kept open between requests.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::RequestBody;

/// How long an idle connection is kept. Shorter than the keep-alive of usual servers (gunicorn 2 s, Node 5 s), so that the
/// upstream hardly ever closes a connection just when a request is sent on it; a new one costs little on this machine.
const LONGEST_IDLE: Duration = Duration::from_millis(1000);

/// How many idle connections are kept.
const MOST_IDLE: usize = 128;

/// How long it may take until a connection that ended an answer takes the next request.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The idle connections of one upstream.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<(SendRequest<RequestBody>, Instant)>>);

impl Pool {
    /// An idle connection that takes a request now: the one that was used last.
    pub(super) async fn take(&self) -> Option<SendRequest<RequestBody>> {
        loop {
            let mut sender = self.pop()?;
            if sender.is_ready() {
                return Some(sender);
            }
            let ready = tokio::time::timeout(LONGEST_WAIT, sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                return Some(sender);
            }
        }
    }

    fn pop(&self) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (sender, since) = idle.pop()?;
            if since.elapsed() > LONGEST_IDLE {
                // Those below it are older still.
                idle.clear();
                return None;
            }
            if !sender.is_closed() {
                return Some(sender);
            }
        }
    }

    /// Keeps a connection whose answer ended.
    pub(super) fn put(&self, sender: SendRequest<RequestBody>) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= MOST_IDLE {
            idle.retain(|(sender, since)| !sender.is_closed() && since.elapsed() <= LONGEST_IDLE);
        }
        if idle.len() < MOST_IDLE {
            idle.push((sender, Instant::now()));
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NoConnection {
    /// The upstream does not listen, or cannot be reached.
    Refused(std::io::Error),
    /// It did not answer in time.
    TimedOut,
}

/// A new connection.
pub(super) async fn connect(address: SocketAddr) -> Result<SendRequest<RequestBody>, NoConnection> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address))
        .await
        .map_err(|_| NoConnection::TimedOut)?
        .map_err(NoConnection::Refused)?;
    // Without it small writes wait for acknowledgements; a failure costs speed only.
    let _ = stream.set_nodelay(true);
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| NoConnection::Refused(std::io::Error::other(error)))?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%address, %error, "a connection to an upstream broke");
        }
    });
    Ok(sender)
}
