//! What goes through the router, and how.

use std::time::Duration;

use devopser_core::model::service::Upstream;
use devopser_core::provider::HttpRouter;
use devopser_providers::embedded::{EmbeddedConfig, EmbeddedRouter};
use futures::{SinkExt, StreamExt};
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use super::support::*;

/// A server that answers with the head of the request as it came.
async fn mirror() -> Server {
    Server::start(|request| async move {
        let mut text = format!("{} {}\n", request.method(), request.uri());
        let mut lines: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
            .collect();
        lines.sort();
        text.extend(lines);
        let mut response = Response::new(full(text));
        let headers = response.headers_mut();
        headers.insert("connection", "x-internal".parse().unwrap());
        headers.insert("x-internal", "1".parse().unwrap());
        headers.insert("x-app", "1".parse().unwrap());
        response
    })
    .await
}

#[tokio::test]
async fn the_app_sees_the_request_as_the_client_sent_it() {
    let server = mirror().await;
    let (_router, port) = routed(server.upstream()).await;
    let request = request("/a%20b/../c?x=%2F&y")
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-real-ip", "6.6.6.6")
        .header("connection", "x-private")
        .header("x-private", "1")
        .header("cookie", "a=1")
        .body(full(""))
        .unwrap();
    let response = Client::connect(port).await.send(request).await.unwrap();
    assert!(response.headers().contains_key("x-app"));
    assert!(!response.headers().contains_key("x-internal"));
    let seen = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        String::from_utf8_lossy(&seen),
        "GET /a%20b/../c?x=%2F&y\n\
         cookie: a=1\n\
         host: client.example\n\
         x-forwarded-for: 127.0.0.1\n\
         x-forwarded-host: client.example\n\
         x-forwarded-proto: http\n"
    );
}

#[tokio::test]
async fn a_trusted_proxy_in_front_speaks_for_the_client() {
    let server = mirror().await;
    let router = EmbeddedRouter::new(EmbeddedConfig {
        trusted_proxies: vec![[127, 0, 0, 1].into()],
        ..EmbeddedConfig::default()
    })
    .unwrap();
    let port = free_port();
    router
        .ensure(&context(), route("shop", port, Some(server.upstream())))
        .await
        .unwrap();
    let request = request("/")
        .header("x-forwarded-for", "203.0.113.7")
        .header("x-forwarded-proto", "https")
        .body(full(""))
        .unwrap();
    let response = Client::connect(port).await.send(request).await.unwrap();
    let seen = response.into_body().collect().await.unwrap().to_bytes();
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(
        seen.contains("x-forwarded-for: 203.0.113.7, 127.0.0.1\n"),
        "{seen}"
    );
    assert!(seen.contains("x-forwarded-proto: https\n"), "{seen}");
}

#[tokio::test]
async fn a_websocket_goes_through_and_counts_as_under_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
    });
    let upstream = Upstream::Address { address };
    let (router, port) = routed(upstream.clone()).await;
    let url = format!("ws://127.0.0.1:{port}/socket");
    let (mut socket, answer) = tokio_tungstenite::connect_async(url).await.unwrap();
    assert_eq!(answer.status(), 101);
    let large = "x".repeat(1 << 20);
    for text in ["hello", "", &large] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    assert_eq!(in_flight(&router, &upstream).await, 1);

    // A new upstream does not touch it.
    let other = Server::saying("other").await;
    router
        .ensure(&context(), route("shop", port, Some(other.upstream())))
        .await
        .unwrap();
    socket.send(Message::text("still here")).await.unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::text("still here")
    );
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    echo.await.unwrap();
    until("the WebSocket ended", || async {
        in_flight(&router, &upstream).await == 0
    })
    .await;
}

#[tokio::test]
async fn a_websocket_ends_when_its_route_is_removed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while socket.next().await.is_some() {}
    });
    let (router, port) = routed(Upstream::Address { address }).await;
    let url = format!("ws://127.0.0.1:{port}/");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    router.remove(&context(), &target("shop")).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(5), socket.next());
    assert!(!matches!(end.await.unwrap(), Some(Ok(_))));
}

#[tokio::test]
async fn events_arrive_as_they_are_sent_and_count_until_the_end() {
    let (send, receive) = tokio::sync::broadcast::channel::<&'static str>(8);
    let events = send.clone();
    drop(receive);
    let server = Server::start(move |_| {
        let events = frames(events.subscribe());
        async move {
            let mut response = Response::new(StreamBody::new(events).boxed_unsync());
            let kind = "text/event-stream".parse().unwrap();
            response.headers_mut().insert("content-type", kind);
            response
        }
    })
    .await;
    let upstream = server.upstream();
    let (router, port) = routed(upstream.clone()).await;
    let mut client = Client::connect(port).await;
    let response = client
        .send(request("/").body(full("")).unwrap())
        .await
        .unwrap();
    let mut body = response.into_body();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        send.send(event).unwrap();
        let frame = tokio::time::timeout(Duration::from_secs(5), body.frame());
        let frame = frame.await.unwrap().unwrap().unwrap();
        assert_eq!(frame.data_ref().unwrap(), event);
        assert_eq!(in_flight(&router, &upstream).await, 1);
    }
    // It still counts when its route is gone.
    router
        .ensure(&context(), route("shop", port, None))
        .await
        .unwrap();
    assert_eq!(in_flight(&router, &upstream).await, 1);
    // It ends when the client goes away.
    drop((body, client));
    until("the stream ended", || async {
        in_flight(&router, &upstream).await == 0
    })
    .await;
}

/// The events of a channel as the frames of a body.
fn frames(
    events: tokio::sync::broadcast::Receiver<&'static str>,
) -> impl futures::Stream<Item = Result<Frame<bytes::Bytes>, std::convert::Infallible>> {
    futures::stream::unfold(events, |mut events| async move {
        let event = events.recv().await.ok()?;
        Some((Ok(Frame::data(event.into())), events))
    })
}

/// Answers the first request of each connection and closes it, without a word, when the second one arrives.
async fn answer_once(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
            let _ = stream.read(&mut buffer).await;
        });
    }
}

#[tokio::test]
async fn what_may_be_sent_twice_is_sent_again_when_an_idle_connection_was_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(answer_once(listener));
    let (_router, port) = routed(Upstream::Address { address }).await;
    for _ in 0..20 {
        assert_eq!(get(port, "/").await, (200, "ok".into()));
    }
    let request = request("/").method("POST").body(full("order=1")).unwrap();
    let response = Client::connect(port).await.send(request).await.unwrap();
    assert_eq!(response.status(), 502);
    assert_eq!(response.headers()["x-devopser-router"], "broken");
}

#[tokio::test]
async fn an_upstream_that_was_restarted_answers_at_once() {
    let mut server = Server::saying("before").await;
    let address = server.address;
    let (_router, port) = routed(server.upstream()).await;
    for _ in 0..20 {
        assert_eq!(get(port, "/").await.0, 200);
        drop(server);
        let listener = loop {
            if let Ok(listener) = TcpListener::bind(address).await {
                break listener;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        server = Server::on(listener, |_| async { Response::new(full("after")) });
        assert_eq!(get(port, "/").await, (200, "after".into()));
    }
}

#[tokio::test]
async fn an_answer_without_a_body_and_a_head_request_go_through() {
    let server = Server::start(|request| async move {
        let mut response = Response::new(full(if request.uri() == "/204" { "" } else { "12345" }));
        if request.uri() == "/204" {
            *response.status_mut() = http::StatusCode::NO_CONTENT;
        }
        response
    })
    .await;
    let (router, port) = routed(server.upstream()).await;
    let mut client = Client::connect(port).await;
    let head = request("/").method("HEAD").body(full("")).unwrap();
    let response = client.send(head).await.unwrap();
    assert_eq!(response.headers()["content-length"], "5");
    drop(response);
    assert_eq!(client.get("/204").await.unwrap().0.status(), 204);
    assert_eq!(client.get("/").await.unwrap().1, "12345");
    assert_eq!(in_flight(&router, &server.upstream()).await, 0);
}

#[tokio::test]
async fn nonsense_is_refused_and_does_not_reach_the_app() {
    let server = mirror().await;
    let (_router, port) = routed(server.upstream()).await;
    for (sent, status) in [
        ("CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", "405"),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
            "400",
        ),
        ("GET / HTTP/1.1\r\nbad header: a\r\n\r\n", "400"),
        ("nonsense\r\n\r\n", "400"),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer[9..], status.as_bytes(), "{sent}");
    }
}
