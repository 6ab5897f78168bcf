//! Listens on one port and serves what comes in.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use devopser_core::model::service::Upstream;

use super::Shared;
use super::body::AnswerBody;
use super::headers::Peer;
use super::pages::{Reason, page};
use super::table::{Backend, Door, InFlight};
use super::{files, proxy};

/// How long a connection may be silent between two requests, or take for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// A port that is listened on. Dropping it closes the port; requests under way may end.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    ending: Ending,
    accepting: Option<JoinHandle<()>>,
}

impl Listener {
    pub(super) fn start(
        shared: Arc<Shared>,
        listener: TcpListener,
        address: SocketAddr,
        door: Door,
    ) -> Self {
        let ending = Ending::default();
        let accepting = tokio::spawn(accept(shared, listener, door, ending.clone()));
        Self {
            address,
            ending,
            accepting: Some(accepting),
        }
    }

    /// Closes the port and returns once it is free. Requests under way end by themselves, within the drain time.
    pub(super) async fn close(mut self) {
        self.ending.closing.cancel();
        if let Some(accepting) = self.accepting.take() {
            // It fails only when it panicked or was aborted; the port is free then too.
            let _ = accepting.await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ending.closing.cancel();
    }
}

/// How the tasks of one listener are told to end.
#[derive(Clone, Debug, Default)]
struct Ending {
    /// Nothing new is accepted; what is under way may end.
    closing: CancellationToken,
    /// Whatever still goes on ends now, tunnels included.
    over: CancellationToken,
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, door: Door, ending: Ending) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ending.closing.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                tokio::spawn(serve(
                    Arc::clone(&shared),
                    stream,
                    peer,
                    door,
                    ending.clone(),
                ));
            }
            Err(error) => {
                // Most likely no file descriptor is left; others may end soon.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    let drain = shared.config.drain;
    tokio::spawn(async move {
        tokio::time::sleep(drain).await;
        ending.over.cancel();
    });
}

async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    door: Door,
    ending: Ending,
) {
    // Without it small writes wait for acknowledgements; a failure costs speed only.
    let _ = stream.set_nodelay(true);
    let trusted = &shared.config.trusted_proxies;
    let peer = Peer {
        address: peer.ip(),
        trusted: trusted.contains(&peer.ip().to_canonical()),
    };
    let over = ending.over.clone();
    let service = service_fn(move |request| {
        let (shared, over) = (Arc::clone(&shared), over.clone());
        async move { Ok::<_, Infallible>(handle(&shared, door, peer, request, over).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = ending.closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection => result,
                () = ending.over.cancelled() => Ok(()),
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a client's connection broke");
    }
}

async fn handle(
    shared: &Shared,
    door: Door,
    peer: Peer,
    request: Request<Incoming>,
    over: CancellationToken,
) -> Response<AnswerBody> {
    if request.method() == Method::CONNECT {
        return page(Reason::MethodNotAllowed);
    }
    let host = request
        .headers()
        .get(HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    let in_flight = match enter(shared, door, host) {
        Ok(in_flight) => in_flight,
        Err(reason) => return page(reason),
    };
    match in_flight.backend().upstream.clone() {
        Upstream::Address { address } => {
            proxy::forward(in_flight, address, request, peer, over).await
        }
        Upstream::Folder {
            path,
            single_page_app,
        } => files::serve(in_flight, &request, path, single_page_app).await,
        _ => page(Reason::Refused),
    }
}

/// Counts the request at the upstream of its route. Whoever changes a route afterwards and sees no request under way at the
/// upstream before can be sure that none will come: the route is looked at again once the request is counted.
fn enter(shared: &Shared, door: Door, host: Option<&str>) -> Result<InFlight, Reason> {
    loop {
        let backend = lookup(shared, door, host)?;
        let in_flight = InFlight::enter(&backend);
        if lookup(shared, door, host).is_ok_and(|now| Arc::ptr_eq(&now, &backend)) {
            return Ok(in_flight);
        }
    }
}

fn lookup(shared: &Shared, door: Door, host: Option<&str>) -> Result<Arc<Backend>, Reason> {
    let table = shared.table.load();
    let entry = table.find(door, host).ok_or(Reason::UnknownHost)?;
    entry.backend.clone().ok_or(Reason::Stopped)
}
