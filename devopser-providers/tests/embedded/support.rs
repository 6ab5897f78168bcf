//! A small HTTP server and client, so that the tests see every byte that the router sends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use devopser_core::Context;
use devopser_core::id::{AppName, EnvironmentName, HostName, Target, TenantId};
use devopser_core::model::resource::Owner;
use devopser_core::model::service::Upstream;
use devopser_core::provider::{HttpRouter, Route};
use devopser_providers::embedded::{EmbeddedConfig, EmbeddedRouter};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// An HTTP server. Dropping it ends it with all its connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start<F, R>(handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, handler)
    }

    pub(crate) fn on<F, R>(listener: TcpListener, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send,
    {
        let address = listener.local_addr().unwrap();
        let handler = Arc::new(handler);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let handler = Arc::clone(&handler);
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let handler = Arc::clone(&handler);
                        async move { Ok::<_, Infallible>(handler(request).await) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, task }
    }

    /// A server that answers every request with `text`.
    pub(crate) async fn saying(text: &'static str) -> Self {
        Self::start(move |_| async move { Response::new(full(text)) }).await
    }

    pub(crate) fn upstream(&self) -> Upstream {
        Upstream::Address {
            address: self.address,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection that is kept open.
pub(crate) struct Client(pub(crate) SendRequest<Body>);

impl Client {
    pub(crate) async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub(crate) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> hyper::Result<Response<Incoming>> {
        self.0.ready().await?;
        self.0.send_request(request).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> hyper::Result<(Response<()>, Bytes)> {
        let (parts, body) = self
            .send(request(path).body(full("")).unwrap())
            .await?
            .into_parts();
        let bytes = body.collect().await?.to_bytes();
        Ok((Response::from_parts(parts, ()), bytes))
    }
}

pub(crate) fn request(path: &str) -> http::request::Builder {
    Request::builder()
        .uri(path)
        .header("host", "client.example")
}

/// One request on a connection of its own: the status and the text.
pub(crate) async fn get(port: u16, path: &str) -> (u16, String) {
    let (response, bytes) = Client::connect(port).await.get(path).await.unwrap();
    (
        response.status().as_u16(),
        String::from_utf8_lossy(&bytes).into_owned(),
    )
}

pub(crate) fn router() -> EmbeddedRouter {
    EmbeddedRouter::new(EmbeddedConfig {
        drain: Duration::from_millis(500),
        ..EmbeddedConfig::default()
    })
    .unwrap()
}

pub(crate) fn target(app: &str) -> Target {
    Target {
        tenant: TenantId::new("acme").unwrap(),
        app: AppName::new(app).unwrap(),
        environment: EnvironmentName::production(),
    }
}

pub(crate) fn context() -> Context {
    let owner = Owner {
        installation: "test".into(),
        target: target("shop"),
    };
    Context::detached(owner, std::env::temp_dir())
}

/// A port that nothing listens on.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

pub(crate) fn route(app: &str, port: u16, upstream: Option<Upstream>) -> Route {
    Route {
        id: target(app),
        port,
        host_names: vec![HostName::new(format!("{app}.localhost")).unwrap()],
        upstream,
    }
}

/// A router with one route to `upstream`, and its port.
pub(crate) async fn routed(upstream: Upstream) -> (EmbeddedRouter, u16) {
    let router = router();
    let port = free_port();
    let url = router
        .ensure(&context(), route("shop", port, Some(upstream)))
        .await
        .unwrap();
    assert_eq!(url, format!("http://127.0.0.1:{port}"));
    (router, port)
}

pub(crate) async fn in_flight(router: &EmbeddedRouter, upstream: &Upstream) -> u64 {
    router.in_flight(&context(), upstream).await.unwrap()
}

/// Waits until `done`, for at most ten seconds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while !done().await {
        assert!(tokio::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
