//! Routes: made, changed, removed.

use std::time::Duration;

use devopser_core::ErrorKind;
use devopser_core::model::service::Upstream;
use devopser_core::provider::HttpRouter;
use devopser_providers::embedded::{EmbeddedConfig, EmbeddedRouter, port_is_free};
use http::Response;
use tokio::net::TcpStream;

use super::support::*;

#[tokio::test]
async fn a_route_answers_on_its_port_and_is_changed_in_place() {
    let (first, second) = (
        Server::saying("first").await,
        Server::saying("second").await,
    );
    let (router, port) = routed(first.upstream()).await;
    let ctx = context();
    let mut client = Client::connect(port).await;
    assert_eq!(client.get("/").await.unwrap().1, "first");

    router
        .ensure(&ctx, route("shop", port, Some(first.upstream())))
        .await
        .unwrap();
    assert_eq!(client.get("/").await.unwrap().1, "first");
    router
        .ensure(&ctx, route("shop", port, Some(second.upstream())))
        .await
        .unwrap();
    assert_eq!(client.get("/").await.unwrap().1, "second");
    router
        .ensure(&ctx, route("shop", port, None))
        .await
        .unwrap();
    let (response, page) = client.get("/").await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["x-devopser-router"], "stopped");
    assert!(String::from_utf8_lossy(&page).contains("This app is stopped"));

    let routes = router.routes(&ctx).await.unwrap();
    assert_eq!(routes, [route("shop", port, None)]);
}

#[tokio::test]
async fn an_upstream_that_does_not_listen_is_said_to_refuse() {
    let upstream = Upstream::Address {
        address: ([127, 0, 0, 1], free_port()).into(),
    };
    let (_router, port) = routed(upstream).await;
    let (status, page) = get(port, "/").await;
    assert_eq!(status, 502);
    assert!(page.contains("refused the connection"), "{page}");
}

#[tokio::test]
async fn the_host_name_decides_on_the_alias_port() {
    let (shop, blog) = (Server::saying("shop").await, Server::saying("blog").await);
    let router = EmbeddedRouter::new(EmbeddedConfig {
        alias_port: Some(0),
        ..EmbeddedConfig::default()
    })
    .unwrap();
    assert!(router.alias_address().await.is_none());
    let ctx = context();
    for (app, server) in [("shop", &shop), ("blog", &blog)] {
        let route = route(app, free_port(), Some(server.upstream()));
        assert_eq!(route.host_names, [router.host_name(app).unwrap()]);
        router.ensure(&ctx, route).await.unwrap();
    }
    let alias = router.alias_address().await.unwrap();
    for (host, status, text) in [
        ("shop.localhost", 200, "shop"),
        ("BLOG.localhost:8080", 200, "blog"),
        ("other.localhost", 404, "No app here"),
        ("127.0.0.1", 404, "No app here"),
    ] {
        let mut client = Client::connect(alias.port()).await;
        let request = http::Request::builder()
            .uri("/")
            .header("host", host)
            .body(full(""))
            .unwrap();
        let response = client.send(request).await.unwrap();
        assert_eq!(response.status(), status, "{host}");
        let body = http_body_util::BodyExt::collect(response.into_body());
        let body = body.await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(text), "{host}");
    }
}

#[tokio::test]
async fn an_alias_port_that_is_taken_does_not_stop_an_app() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let router = EmbeddedRouter::new(EmbeddedConfig {
        alias_port: Some(taken.local_addr().unwrap().port()),
        ..EmbeddedConfig::default()
    })
    .unwrap();
    let server = Server::saying("hello").await;
    let port = free_port();
    router
        .ensure(&context(), route("shop", port, Some(server.upstream())))
        .await
        .unwrap();
    assert_eq!(get(port, "/").await, (200, "hello".into()));
    assert!(router.alias_address().await.is_none());
}

#[tokio::test]
async fn a_port_in_use_is_named_with_a_remedy() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    assert!(!port_is_free(port));
    let router = router();
    let error = router
        .ensure(&context(), route("shop", port, None))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PortTaken);
    assert!(error.message().contains(&port.to_string()), "{error}");
    assert!(error.remedy().is_some());
    assert!(router.routes(&context()).await.unwrap().is_empty());
}

#[tokio::test]
async fn two_routes_never_share_a_port_or_a_name() {
    let server = Server::saying("hello").await;
    let (router, port) = routed(server.upstream()).await;
    let ctx = context();
    let error = router
        .ensure(&ctx, route("blog", port, None))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PortTaken);
    let mut same_name = route("blog", free_port(), None);
    same_name.host_names = route("shop", port, None).host_names;
    let error = router.ensure(&ctx, same_name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(get(port, "/").await, (200, "hello".into()));
}

#[tokio::test]
async fn a_route_moves_to_another_port() {
    let server = Server::saying("hello").await;
    let (router, old) = routed(server.upstream()).await;
    let new = free_port();
    router
        .ensure(&context(), route("shop", new, Some(server.upstream())))
        .await
        .unwrap();
    assert_eq!(get(new, "/").await, (200, "hello".into()));
    assert!(port_is_free(old));
}

#[tokio::test]
async fn removing_frees_the_port_and_lets_a_request_end() {
    let (release, wait) = tokio::sync::watch::channel(());
    let server = Server::start(move |_| {
        let mut wait = wait.clone();
        async move {
            wait.changed().await.unwrap();
            Response::new(full("late"))
        }
    })
    .await;
    let (router, port) = routed(server.upstream()).await;
    let mut client = Client::connect(port).await;
    let request = tokio::spawn(async move { client.get("/").await });
    let upstream = server.upstream();
    until("the request is under way", || async {
        in_flight(&router, &upstream).await == 1
    })
    .await;

    let ctx = context();
    router.remove(&ctx, &target("shop")).await.unwrap();
    router.remove(&ctx, &target("shop")).await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert_eq!(in_flight(&router, &upstream).await, 1);
    release.send(()).unwrap();
    assert_eq!(request.await.unwrap().unwrap().1, "late");
    until("the request ended", || async {
        in_flight(&router, &upstream).await == 0
    })
    .await;
    router
        .ensure(&ctx, route("shop", port, None))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_end_is_ended_after_the_drain_time() {
    let server = Server::start(|_| std::future::pending()).await;
    let (router, port) = routed(server.upstream()).await;
    let mut client = Client::connect(port).await;
    let request = tokio::spawn(async move { client.get("/").await });
    let upstream = server.upstream();
    until("the request is under way", || async {
        in_flight(&router, &upstream).await == 1
    })
    .await;
    router.remove(&context(), &target("shop")).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), request).await;
    assert!(ended.unwrap().unwrap().is_err());
    assert_eq!(in_flight(&router, &upstream).await, 0);
}

#[tokio::test]
async fn a_closed_or_dropped_router_listens_no_more() {
    let server = Server::saying("hello").await;
    let (router, port) = routed(server.upstream()).await;
    router.close().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    let (router, port) = routed(server.upstream()).await;
    drop(router);
    until("the port is free", || async { port_is_free(port) }).await;
}
