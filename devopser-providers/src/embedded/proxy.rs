//! Hands a request on to an upstream and its answer back, both streamed.

use std::net::SocketAddr;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::body::{AnswerBody, RequestBody, UpstreamBody};
use super::headers::{self, Peer};
use super::pages::{Reason, page};
use super::pool::{self, NoConnection};
use super::table::InFlight;

/// How long one side of a WebSocket may go on after the other ended.
const GOOD_BYE: Duration = Duration::from_secs(2);

/// A request without its body, which can be sent twice.
struct Head {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Head {
    fn with(self, body: RequestBody) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        *request.version_mut() = Version::HTTP_11;
        request
    }

    /// A copy of a request that may be sent twice without doing a thing twice.
    fn repeatable(request: &Request<RequestBody>) -> Option<Self> {
        let repeatable =
            request.method().is_idempotent() && matches!(request.body(), RequestBody::Empty);
        repeatable.then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        })
    }
}

/// An answer, and the connection that it comes on.
type Answered = (Response<Incoming>, SendRequest<RequestBody>);

/// Forwards `request` to `address`.
pub(super) async fn forward(
    in_flight: InFlight,
    address: SocketAddr,
    mut request: Request<Incoming>,
    peer: Peer,
    over: CancellationToken,
) -> Response<AnswerBody> {
    let websocket = headers::asks_for_websocket(request.method(), request.headers());
    let client = websocket.then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let mut head = Head {
        method: parts.method,
        uri: origin_form(&parts.uri),
        headers: parts.headers,
    };
    headers::to_upstream(&mut head.headers, peer, address, websocket);
    let body = if body.is_end_stream() {
        RequestBody::Empty
    } else {
        RequestBody::Stream(body)
    };
    let request = head.with(body);
    let answered = if websocket {
        send_fresh(address, request).await
    } else {
        send(&in_flight, address, request).await
    };
    match answered {
        Ok((response, sender)) => answer(response, sender, client, in_flight, over),
        Err(reason) => page(reason),
    }
}

/// Only path and query: the client's scheme and host are no business of the upstream's.
fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query()
        .cloned()
        .map_or_else(|| PathAndQuery::from_static("/").into(), Uri::from)
}

/// Sends on an idle connection, or on a new one where there is none. An idle connection may have been closed by the upstream
/// just now: what was not sent is sent again on a new one, and so is what may be sent twice and got no answer.
async fn send(
    in_flight: &InFlight,
    address: SocketAddr,
    request: Request<RequestBody>,
) -> Result<Answered, Reason> {
    let Some(mut sender) = in_flight.backend().pool.take().await else {
        return send_fresh(address, request).await;
    };
    let repeat = Head::repeatable(&request);
    match sender.try_send_request(request).await {
        Ok(response) => Ok((response, sender)),
        Err(mut error) => match (error.take_message(), repeat) {
            (Some(unsent), _) => send_fresh(address, unsent).await,
            (None, Some(head)) => send_fresh(address, head.with(RequestBody::Empty)).await,
            (None, None) => Err(broken(address, &error.into_error())),
        },
    }
}

async fn send_fresh(
    address: SocketAddr,
    request: Request<RequestBody>,
) -> Result<Answered, Reason> {
    let mut sender = pool::connect(address).await.map_err(|why| match why {
        NoConnection::Refused(error) => {
            tracing::debug!(%address, %error, "an upstream refused a connection");
            Reason::Refused
        }
        NoConnection::TimedOut => Reason::TimedOut,
    })?;
    match sender.send_request(request).await {
        Ok(response) => Ok((response, sender)),
        Err(error) => Err(broken(address, &error)),
    }
}

fn broken(address: SocketAddr, error: &hyper::Error) -> Reason {
    tracing::debug!(%address, %error, "an upstream broke off");
    Reason::Broken
}

fn answer(
    mut response: Response<Incoming>,
    sender: SendRequest<RequestBody>,
    client: Option<OnUpgrade>,
    in_flight: InFlight,
    over: CancellationToken,
) -> Response<AnswerBody> {
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if switched {
        let Some(client) = client else {
            // It was not asked to: what follows on the connection is not HTTP.
            return page(Reason::Broken);
        };
        let upstream = hyper::upgrade::on(&mut response);
        tokio::spawn(tunnel(client, upstream, in_flight, over));
        let (mut parts, _) = response.into_parts();
        headers::to_client(&mut parts.headers, true);
        return Response::from_parts(parts, AnswerBody::bytes(""));
    }
    let (mut parts, body) = response.into_parts();
    headers::to_client(&mut parts.headers, false);
    parts.version = Version::HTTP_11;
    // hyper sets what the new connection needs; its own extensions belong to the old one.
    parts.extensions.clear();
    let body = UpstreamBody::new(body, in_flight, Some(sender));
    Response::from_parts(parts, AnswerBody::Upstream(body))
}

/// Carries bytes both ways until one side ends or the time to end that a removed route has is over.
async fn tunnel(
    client: OnUpgrade,
    upstream: OnUpgrade,
    in_flight: InFlight,
    over: CancellationToken,
) {
    let carry = async {
        let (client, upstream) = tokio::try_join!(client, upstream)?;
        carry_both_ways(TokioIo::new(client), TokioIo::new(upstream)).await;
        Ok::<_, hyper::Error>(())
    };
    tokio::select! {
        result = carry => if let Err(error) = result {
            tracing::debug!(%error, "a WebSocket could not be opened");
        },
        () = over.cancelled() => {}
    }
    drop(in_flight);
}

/// Carries bytes until both sides ended, or one ended and the other had its time to say good-bye. An error ends a side too.
async fn carry_both_ways<A, B>(client: A, upstream: B)
where
    A: AsyncRead + AsyncWrite + Send,
    B: AsyncRead + AsyncWrite + Send,
{
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_upstream, mut to_upstream) = tokio::io::split(upstream);
    let up = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_upstream).await;
        let _ = to_upstream.shutdown().await;
    };
    let down = async {
        let _ = tokio::io::copy(&mut from_upstream, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::pin!(up, down);
    let _ = tokio::select! {
        () = &mut up => tokio::time::timeout(GOOD_BYE, down).await,
        () = &mut down => tokio::time::timeout(GOOD_BYE, up).await,
    };
}
