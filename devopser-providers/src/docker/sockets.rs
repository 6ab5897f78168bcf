//! Where the processes of a container listen, read from the kernel: nothing is run inside it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::model::ContainerFacts;

/// The engine's own resolver inside a network.
const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));

/// What a person should know about where the app listens, when it is not where it should. `None` when all is well or
/// nothing can be learned, such as for an engine on another machine.
pub(crate) fn complaint(facts: &ContainerFacts, port: u16) -> Option<String> {
    let pid = facts.pid?;
    // The number means something here only if the process is that container's.
    let group = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    if !group.contains(&facts.id) {
        return None;
    }
    let v4 = fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?;
    let v6 = fs::read_to_string(format!("/proc/{pid}/net/tcp6")).unwrap_or_default();
    let mut listening = listeners(&v4);
    listening.extend(listeners(&v6));
    judge(&listening, port)
}

fn judge(listening: &[SocketAddr], port: u16) -> Option<String> {
    let at_port: Vec<_> = listening.iter().filter(|at| at.port() == port).collect();
    if at_port.iter().any(|at| !at.ip().is_loopback()) {
        return None;
    }
    if let Some(at) = at_port.first() {
        return Some(format!(
            "the app listens on {at} only, where nothing outside of its container reaches it; it must listen on 0.0.0.0:{port}"
        ));
    }
    let mut others: Vec<u16> = listening.iter().map(SocketAddr::port).collect();
    others.sort_unstable();
    others.dedup();
    let shown: Vec<String> = others.iter().take(5).map(u16::to_string).collect();
    Some(if shown.is_empty() {
        format!("the app does not listen on port {port} yet")
    } else {
        format!("the app listens on {}, not on {port}", shown.join(", "))
    })
}

/// The listening sockets of a table such as `/proc/net/tcp`.
fn listeners(table: &str) -> Vec<SocketAddr> {
    const LISTEN: &str = "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let local = fields.next()?;
            (fields.nth(1)? == LISTEN).then(|| address(local)).flatten()
        })
        .filter(|at| at.ip() != RESOLVER)
        .collect()
}

/// `0100007F:1F90` is 127.0.0.1:8080: words of 32 bits in the machine's order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..ip.len()).step_by(8) {
        let word = u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let ip = if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        IpAddr::V4(Ipv4Addr::from(four))
    } else {
        let sixteen = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
        IpAddr::V6(Ipv6Addr::from(sixteen)).to_canonical()
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue
   0: 0B00007F:A0F1 00000000:0000 0A 00000000:00000000 00:00000000 00000000
   1: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000
   2: 0100007F:0050 0200007F:9999 01 00000000:00000000 00:00000000 00000000
";
    const TABLE6: &str = "  sl  local_address remote_address st
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0
   1: 00000000000000000000000001000000:1F92 00000000000000000000000000000000:0000 0A 0
";

    #[test]
    fn the_tables_of_the_kernel_are_read() {
        let found: Vec<String> = listeners(TABLE)
            .into_iter()
            .chain(listeners(TABLE6))
            .map(|at| at.to_string())
            .collect();
        assert_eq!(found, ["127.0.0.1:8081", "[::]:8080", "[::1]:8082"]);
    }

    #[test]
    fn a_person_is_told_what_is_wrong() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(judge(&[at("0.0.0.0:3000")], 3000), None);
        assert_eq!(judge(&[at("[::]:3000"), at("127.0.0.1:3000")], 3000), None);
        assert_eq!(
            judge(&[at("0.0.0.0:8081")], 3000).unwrap(),
            "the app listens on 8081, not on 3000"
        );
        assert!(
            judge(&[at("127.0.0.1:3000")], 3000)
                .unwrap()
                .contains("127.0.0.1:3000 only")
        );
        assert!(judge(&[], 3000).unwrap().contains("does not listen"));
    }
}
