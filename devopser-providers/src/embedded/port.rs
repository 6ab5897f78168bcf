//! Ports of this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use devopser_core::{Error, ErrorKind, Result};
use tokio::net::{TcpListener, TcpSocket};

/// How often a port that is in use is tried again: a connection that leaves this machine may hold it for a moment.
const TRIES: u32 = 5;

/// Whether nothing on this machine uses `port`: neither on the loopback address nor on all addresses. It is a look, not a
/// reservation: who needs the port binds it, and copes when another was faster.
#[must_use]
pub fn port_is_free(port: u16) -> bool {
    port != 0
        && [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED]
            .into_iter()
            .all(|ip| try_bind(SocketAddr::new(IpAddr::V4(ip), port)).is_ok())
}

/// Binds without listening, so that two who look at the same time do not see each other.
fn try_bind(address: SocketAddr) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)
}

/// Listens on `address`.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let mut tries = 0;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries + 1 < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(cannot_listen(address, error)),
        }
    }
}

fn cannot_listen(address: SocketAddr, error: io::Error) -> Error {
    let port = address.port();
    let (kind, message, remedy) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            ErrorKind::PortTaken,
            format!("port {port} is in use by another program"),
            format!("Stop the program that listens on port {port}, or choose another port."),
        ),
        io::ErrorKind::PermissionDenied => (
            ErrorKind::PermissionDenied,
            format!("this user may not listen on port {port}"),
            "Choose a port above 1023.".to_owned(),
        ),
        _ => (
            ErrorKind::Unavailable,
            format!("cannot listen on {address}: {error}"),
            "Check that the address belongs to this machine.".to_owned(),
        ),
    };
    Error::new(kind, message)
        .with_context("port", port)
        .with_remedy(remedy)
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_listened_on_is_not_free() {
        for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
            let listener = std::net::TcpListener::bind((ip, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert!(!port_is_free(port), "{ip}");
            drop(listener);
            assert!(port_is_free(port), "{ip}");
        }
        assert!(!port_is_free(0));
    }
}
