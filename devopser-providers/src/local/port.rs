//! Loopback ports for processes, behind the router.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use devopser_core::{ErrorKind, Result};
use tokio::net::{TcpSocket, TcpStream};

use super::error::error;

/// Beyond the ports that apps get as their addresses and those that Linux gives to outgoing connections, so that a process
/// finds its port free when it is started again.
const FIRST: u16 = 61_000;
const LAST: u16 = 65_500;

/// How long a connection on this machine may take.
const PROBE: Duration = Duration::from_millis(300);

/// The ports that are given to processes of this worker.
#[derive(Debug, Default)]
pub(super) struct Ports(Mutex<HashSet<u16>>);

impl Ports {
    /// `wanted` if it is free, or another one.
    pub(super) fn take(&self, wanted: u16) -> Result<u16> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // From any place on, so that two who look at the same time hardly ever find the same.
        let any = RandomState::new().build_hasher().finish() % u64::from(LAST - FIRST);
        let any = FIRST + u16::try_from(any).unwrap_or(0);
        let candidates = (any..LAST).chain(FIRST..any);
        let port = std::iter::once(wanted)
            .chain(candidates)
            .find(|port| !taken.contains(port) && is_free(*port))
            .ok_or_else(|| {
                let text = format!("no port from {FIRST} to {LAST} is free for an app");
                error(ErrorKind::PortTaken, text).with_remedy("Stop apps that are not needed.")
            })?;
        taken.insert(port);
        Ok(port)
    }

    /// Notes that a process has `port` already.
    pub(super) fn keep(&self, port: u16) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(port);
    }

    pub(super) fn give_back(&self, port: u16) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&port);
    }
}

pub(super) fn is_free(port: u16) -> bool {
    let bind = |ip: Ipv4Addr| -> io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(ip.into(), port))
    };
    port != 0 && bind(Ipv4Addr::LOCALHOST).is_ok() && bind(Ipv4Addr::UNSPECIFIED).is_ok()
}

/// Where a process listens on `port`: some bind the name `localhost`, which can be the IPv6 loopback address.
pub(super) async fn answering(port: u16) -> Option<SocketAddr> {
    let addresses = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    for address in addresses.map(|ip| SocketAddr::new(ip, port)) {
        let connected = tokio::time::timeout(PROBE, TcpStream::connect(address)).await;
        if matches!(connected, Ok(Ok(_))) {
            return Some(address);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_until_it_is_given_back() {
        let ports = Ports::default();
        let first = ports.take(0).unwrap();
        assert!(is_free(first));
        let second = ports.take(first).unwrap();
        assert_ne!(first, second);
        ports.give_back(first);
        assert_eq!(ports.take(first).unwrap(), first);
    }
}
