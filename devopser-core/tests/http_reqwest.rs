//! The default transport against a small server on the loopback interface.
#![cfg(feature = "reqwest")]
#![expect(clippy::unwrap_used, reason = "helpers of a test may unwrap")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::context;
use devopser_core::ErrorKind;
use devopser_core::http::{
    HttpRequest, HttpTransport, OutboundPolicy, Plane, RequestBody, ReqwestTransport, RetryPolicy,
    TransportErrorKind,
};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers by path, one request a connection, and keeps the texts of the requests.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&log)));
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        text.extend_from_slice(&buffer[..read]);
        let shown = String::from_utf8_lossy(&text).into_owned();
        if let Some(end) = shown.find("\r\n\r\n") {
            let length = shown
                .to_ascii_lowercase()
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok())
                .unwrap_or(0);
            if shown.len() >= end + 4 + length {
                return shown;
            }
        }
        if read == 0 {
            return shown;
        }
    }
}

async fn answer(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>) {
    let request = read_request(&mut stream).await;
    let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
    let times = {
        let mut seen = seen.lock().unwrap();
        seen.push(request);
        seen.len()
    };
    let text = match path.as_str() {
        "/reset" => return,
        "/hang" => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return;
        }
        "/reset-once" if times == 1 => return,
        "/short" => {
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nhalf".to_owned()
        }
        "/redirect-out" => redirect("http://169.254.169.254/latest/meta-data"),
        "/redirect-name" => redirect("http://metadata.localhost/"),
        "/redirect-here" => redirect("/ok"),
        "/busy" if times == 1 => {
            "HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                .to_owned()
        }
        _ => "HTTP/1.1 200 OK\r\nx-answer: yes\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
            .to_owned(),
    };
    let _ = stream.write_all(text.as_bytes()).await;
}

fn redirect(to: &str) -> String {
    format!(
        "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
}

fn transport(policy: OutboundPolicy) -> ReqwestTransport {
    ReqwestTransport::builder()
        .outbound(policy)
        .connect_timeout(Duration::from_millis(500))
        .build()
        .unwrap()
}

fn here() -> OutboundPolicy {
    OutboundPolicy::public_only().allow_host("127.0.0.1")
}

async fn fails_with(transport: &ReqwestTransport, request: HttpRequest) -> TransportErrorKind {
    transport.send(&request).await.unwrap_err().kind()
}

#[tokio::test]
async fn an_answer_comes_with_headers_and_body() {
    let server = Server::start().await;
    let request = HttpRequest::get(format!("{}/ok", server.url)).query("a", "b c");
    let answer = transport(here())
        .send(&request)
        .await
        .unwrap()
        .collect(10)
        .await
        .unwrap();
    assert_eq!(
        (answer.text().as_str(), answer.header("x-answer")),
        ("ok", Some("yes"))
    );
    let seen = server.seen().remove(0).to_ascii_lowercase();
    assert!(seen.starts_with("get /ok?a=b%20c http/1.1"), "{seen}");
    assert!(seen.contains("user-agent: devopser/"), "{seen}");
}

#[tokio::test]
async fn failures_are_told_apart() {
    let server = Server::start().await;
    let transport = transport(here());
    let to = |path: &str| {
        HttpRequest::post(format!("{}{path}", server.url)).timeout(Duration::from_millis(300))
    };
    assert_eq!(
        fails_with(&transport, to("/reset")).await,
        TransportErrorKind::Interrupted
    );
    assert_eq!(
        fails_with(&transport, to("/hang")).await,
        TransportErrorKind::Timeout
    );
    let unused = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = HttpRequest::post(format!("http://{unused}/"));
    assert_eq!(
        fails_with(&transport, nobody).await,
        TransportErrorKind::Refused
    );
    let no_url = HttpRequest::get("not a url");
    assert_eq!(
        fails_with(&transport, no_url).await,
        TransportErrorKind::Invalid
    );
    let short = transport
        .send(&to("/short"))
        .await
        .unwrap()
        .collect(1000)
        .await
        .unwrap_err();
    assert_eq!(short.kind(), TransportErrorKind::Interrupted);
}

#[tokio::test]
async fn no_way_into_the_inner_network() {
    let server = Server::start().await;
    let guarded = transport(OutboundPolicy::public_only());
    for url in [
        format!("{}/ok", server.url),
        server.url.replace("127.0.0.1", "localhost"),
        server.url.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
        server.url.replace("127.0.0.1", "0x7f000001"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
        "http://user:pw@example.com/".to_owned(),
    ] {
        assert_eq!(
            fails_with(&guarded, HttpRequest::get(&url)).await,
            TransportErrorKind::Blocked,
            "{url}"
        );
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn redirects_are_off_and_checked_when_on() {
    let server = Server::start().await;
    let to = |path: &str| HttpRequest::get(format!("{}{path}", server.url));
    let answer = transport(here()).send(&to("/redirect-here")).await.unwrap();
    assert_eq!(answer.status.as_u16(), 302);
    let following = transport(here().follow_redirects(3));
    assert_eq!(
        following
            .send(&to("/redirect-here"))
            .await
            .unwrap()
            .status
            .as_u16(),
        200
    );
    for path in ["/redirect-out", "/redirect-name"] {
        assert_eq!(
            fails_with(&following, to(path)).await,
            TransportErrorKind::Blocked,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_streamed_body_says_its_length_and_is_opened_again() {
    let server = Server::start().await;
    let mut request = HttpRequest::put(format!("{}/busy", server.url));
    request.body = RequestBody::Stream {
        length: 6,
        open: Arc::new(|| {
            futures::stream::iter(["abc", "def"].map(|part| Ok(Bytes::from(part)))).boxed()
        }),
    };
    let plane = Plane::new(Arc::new(transport(here())));
    let answer = plane.fetch(&context(), request).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    for request in seen {
        assert!(request.ends_with("abcdef"), "{request}");
        let request = request.to_ascii_lowercase();
        assert!(
            request.contains("content-length: 6") && !request.contains("chunked"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn the_plane_repeats_over_a_real_connection_only_what_it_may() {
    let server = Server::start().await;
    let plane = Plane::new(Arc::new(transport(here()))).with_policy(RetryPolicy {
        base: Duration::from_millis(1),
        ..RetryPolicy::default()
    });
    let url = format!("{}/reset-once", server.url);
    let error = plane
        .fetch(&context(), HttpRequest::post(&url))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), server.seen().len()),
        (ErrorKind::Unavailable, 1)
    );

    let server = Server::start().await;
    let url = format!("{}/reset-once", server.url);
    plane
        .fetch(&context(), HttpRequest::put(&url))
        .await
        .unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_server_without_tls_is_named_and_bad_roots_are_refused() {
    let server = Server::start().await;
    let url = server.url.replace("http://", "https://");
    let error = transport(here())
        .send(&HttpRequest::get(url))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Refused, "{error}");
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let error = ReqwestTransport::builder().roots(bad).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
}
