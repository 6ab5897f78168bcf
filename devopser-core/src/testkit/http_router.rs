//! What every [`HttpRouter`](crate::provider::HttpRouter) must do.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::{Rig, cases, check};
use crate::model::service::Upstream;
use crate::provider::{HttpRouter, Route};
use crate::{Error, Result};

/// What the cases work on.
#[derive(Clone, Copy, Debug)]
pub struct Fixture<'a> {
    /// The router.
    pub router: &'a dyn HttpRouter,
    /// Where the contexts get their folders.
    pub folder: &'a Path,
    /// Whether it really listens on the ports of its routes.
    pub serves: bool,
}

cases! {
    Fixture<'_>;
    a_switch_drops_no_request,
    ensuring_twice_changes_nothing,
}

fn failed(source: std::io::Error) -> Error {
    Error::unexpected("conformance: a connection failed").with_source(source)
}

/// A port that nobody listens on.
async fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(failed)?;
    Ok(listener.local_addr().map_err(failed)?.port())
}

/// A server that answers every request with `name`, once `gate` lets it.
async fn upstream(name: &'static str, gate: Option<Arc<Notify>>) -> Result<Upstream> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, name, gate.clone()));
        }
    });
    Ok(Upstream::Address { address })
}

async fn answer(mut stream: TcpStream, name: &'static str, gate: Option<Arc<Notify>>) {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => head.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    if let Some(gate) = gate {
        gate.notified().await;
    }
    let length = name.len();
    let text =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{name}");
    let _ = stream.write_all(text.as_bytes()).await;
}

/// The answer to `GET /` on a port.
async fn get(port: u16) -> Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    let request = format!("GET / HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut text = String::new();
    let reading = stream.read_to_string(&mut text);
    let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
    read.map_err(|_| Error::unexpected("conformance: no answer within 20 seconds"))?
        .map_err(failed)?;
    Ok(text)
}

async fn wait_for_in_flight(fixture: &Fixture<'_>, rig: &Rig, upstream: &Upstream) -> Result<()> {
    for _ in 0..200 {
        if fixture.router.in_flight(&rig.ctx, upstream).await? > 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(Error::unexpected(
        "conformance: a request under way must be counted",
    ))
}

/// A request that is under way when the route is switched ends where it began, and the next one goes to the new upstream.
pub async fn a_switch_drops_no_request(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let gate = Arc::new(Notify::new());
    let old = upstream("old", Some(Arc::clone(&gate))).await?;
    let mut route = Route {
        id: rig.ctx.owner.target.clone(),
        port: free_port().await?,
        host_names: Vec::new(),
        upstream: Some(old.clone()),
    };
    let port = route.port;
    fixture.router.ensure(&rig.ctx, route.clone()).await?;
    route.upstream = Some(upstream("new", None).await?);
    if fixture.serves {
        let (answered, switched) = futures::join!(get(port), async {
            wait_for_in_flight(fixture, &rig, &old).await?;
            fixture.router.ensure(&rig.ctx, route.clone()).await?;
            let next = get(port).await;
            gate.notify_waiters();
            gate.notify_one();
            next
        });
        let (answered, next) = (answered?, switched?);
        check!(
            answered.ends_with("old"),
            "the request under way must end where it began: {answered}"
        );
        check!(
            next.ends_with("new"),
            "the next request must go to the new upstream: {next}"
        );
        check!(
            fixture.router.in_flight(&rig.ctx, &old).await? == 0,
            "an answered request must not be counted"
        );
    } else {
        fixture.router.ensure(&rig.ctx, route.clone()).await?;
    }
    fixture.router.remove(&rig.ctx, &route.id).await?;
    if fixture.serves {
        check!(
            get(port).await.is_err(),
            "a removed route must not be listened on"
        );
    }
    Ok(())
}

/// Ensuring a route again changes nothing; removing it twice is `Ok`.
pub async fn ensuring_twice_changes_nothing(fixture: &Fixture<'_>) -> Result<()> {
    let rig = Rig::new(fixture.folder)?;
    let route = Route {
        id: rig.ctx.owner.target.clone(),
        port: free_port().await?,
        host_names: Vec::new(),
        upstream: None,
    };
    let first = fixture.router.ensure(&rig.ctx, route.clone()).await?;
    let before = fixture.router.routes(&rig.ctx).await?;
    let second = fixture.router.ensure(&rig.ctx, route.clone()).await?;
    check!(first == second, "the address must stay the same");
    check!(
        fixture.router.routes(&rig.ctx).await? == before,
        "the routes must stay the same"
    );
    check!(before.contains(&route), "the route must be there");
    if fixture.serves {
        let answer = get(route.port).await?;
        check!(
            answer.starts_with("HTTP/1.1 503"),
            "a stopped app must answer 503: {answer}"
        );
    }
    fixture.router.remove(&rig.ctx, &route.id).await?;
    fixture.router.remove(&rig.ctx, &route.id).await?;
    let after = fixture.router.routes(&rig.ctx).await?;
    check!(!after.contains(&route), "a removed route must be gone");
    Ok(())
}
