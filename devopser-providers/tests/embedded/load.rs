//! No request is lost while upstreams are swapped, and large bodies need little memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use devopser_core::provider::HttpRouter;
use futures::StreamExt;
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use super::support::*;

/// Sends requests on 32 connections that are kept open, until told to stop. Returns how many were answered.
async fn load(port: u16, stop: Arc<AtomicBool>) -> u64 {
    let answered = Arc::new(AtomicU64::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        clients.spawn(async move {
            let mut client = Client::connect(port).await;
            while !stop.load(Ordering::Relaxed) {
                let (response, body) = client.get("/").await.unwrap();
                assert_eq!(response.status(), 200, "{body:?}");
                assert!(body.starts_with(b"release"));
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    answered.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_the_upstream_is_swapped_a_hundred_times_a_second() {
    let servers = [
        Server::saying("release 1").await,
        Server::saying("release 2").await,
    ];
    let (router, port) = routed(servers[0].upstream()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(load(port, Arc::clone(&stop)));
    let (begin, ctx) = (Instant::now(), context());
    let mut swaps = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    while begin.elapsed() < Duration::from_secs(3) {
        tick.tick().await;
        swaps += 1;
        let upstream = servers[swaps % 2].upstream();
        router
            .ensure(&ctx, route("shop", port, Some(upstream)))
            .await
            .unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let answered = load.await.unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{swaps} swaps, {answered} requests answered, 0 failed, {:.0}/s",
        answered as f64 / seconds
    );
    assert!(swaps > 20 && answered > 100);
}

/// A redeploy as the engine does it: the old server is ended hard as soon as no request is under way there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_servers_are_replaced() {
    let mut server = Server::saying("release 0").await;
    let (router, port) = routed(server.upstream()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(load(port, Arc::clone(&stop)));
    let (begin, ctx) = (Instant::now(), context());
    let mut redeploys = 0;
    while begin.elapsed() < Duration::from_secs(3) {
        let new = Server::saying("release n").await;
        router
            .ensure(&ctx, route("shop", port, Some(new.upstream())))
            .await
            .unwrap();
        let old = std::mem::replace(&mut server, new);
        let upstream = old.upstream();
        until("the old server is idle", || async {
            in_flight(&router, &upstream).await == 0
        })
        .await;
        drop(old);
        redeploys += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let answered = load.await.unwrap();
    println!("{redeploys} redeploys, {answered} requests answered, 0 failed");
    assert!(redeploys > 5 && answered > 100);
}

const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 1600;

fn hundred_megabytes() -> Body {
    let chunk = Bytes::from(vec![7_u8; CHUNK]);
    let chunks = futures::stream::repeat(chunk).take(CHUNKS);
    StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk)))).boxed_unsync()
}

async fn length(mut body: hyper::body::Incoming) -> usize {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    length
}

fn resident_kilobytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_go_both_ways_without_being_held() {
    let server = Server::start(|request| async move {
        let length = length(request.into_body()).await;
        let mut response = Response::new(hundred_megabytes());
        response.headers_mut().insert("x-received", length.into());
        response
    })
    .await;
    let (_router, port) = routed(server.upstream()).await;
    let before = resident_kilobytes("VmRSS");
    let sampler = tokio::spawn(async {
        let mut peak = 0;
        loop {
            peak = resident_kilobytes("VmRSS").max(peak);
            PEAK.store(peak, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let begin = Instant::now();
    let request = request("/")
        .method("POST")
        .body(hundred_megabytes())
        .unwrap();
    let response = Client::connect(port).await.send(request).await.unwrap();
    assert_eq!(
        response.headers()["x-received"],
        (CHUNK * CHUNKS).to_string()
    );
    assert_eq!(length(response.into_body()).await, CHUNK * CHUNKS);
    sampler.abort();
    let grown = PEAK.load(Ordering::Relaxed).saturating_sub(before);
    println!(
        "2 x {} MB in {:?}, {grown} kB more",
        (CHUNK * CHUNKS) >> 20,
        begin.elapsed()
    );
    // Other tests run in this process at the same time.
    assert!(grown < 40_000, "{grown} kB");
}

static PEAK: AtomicU64 = AtomicU64::new(0);
