//! [`OutboundPolicy`]: where requests may go, so that no text of a user's reaches the inside of the host's network.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Error, Result};

/// Where requests may go. The default is the public internet over `https` and `http`: no private, loopback, link-local or
/// metadata address, in whatever notation, also not behind a name. Redirects are not followed unless a number is set;
/// each one is checked like the first request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundPolicy {
    any_address: bool,
    hosts: BTreeSet<String>,
    redirects: u32,
}

impl OutboundPolicy {
    /// The public internet only.
    #[must_use]
    pub fn public_only() -> Self {
        Self::default()
    }

    /// Every address: for hosts whose URLs all come from their own configuration.
    #[must_use]
    pub fn anywhere() -> Self {
        Self {
            any_address: true,
            ..Self::default()
        }
    }

    /// Lets requests go to this host name or address too, wherever it leads: a stand-in or a proxy inside.
    #[must_use]
    pub fn allow_host(mut self, host: &str) -> Self {
        self.hosts.insert(normalised(host));
        self
    }

    /// Follows up to `count` redirects. `Authorization` and cookies are not sent on to another host; a header of the
    /// provider's own is.
    #[must_use]
    pub fn follow_redirects(mut self, count: u32) -> Self {
        self.redirects = count;
        self
    }

    /// How many redirects are followed.
    #[must_use]
    pub fn redirects(&self) -> u32 {
        self.redirects
    }

    /// Whether a name may lead to any address.
    #[must_use]
    pub fn trusts_host(&self, host: &str) -> bool {
        self.any_address || self.hosts.contains(&normalised(host))
    }

    /// Whether an address may be connected to.
    #[must_use]
    pub fn allows_address(&self, address: IpAddr) -> bool {
        self.trusts_host(&address.to_string()) || is_public(address)
    }

    /// Checks what a URL says by itself; the addresses behind a name are checked when it is resolved.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for another scheme, credentials in the URL, or an address that is
    /// not allowed.
    pub fn check(&self, scheme: &str, authority_has_user: bool, host: &str) -> Result<()> {
        if !matches!(scheme, "https" | "http") {
            return Err(Error::invalid("url", "must begin with https:// or http://"));
        }
        if authority_has_user {
            return Err(Error::invalid("url", "must not contain credentials"));
        }
        if host.is_empty() {
            return Err(Error::invalid("url", "must name a host"));
        }
        if self.trusts_host(host) {
            return Ok(());
        }
        let host = normalised(host);
        let local_name = host == "localhost" || host.ends_with(".localhost");
        let forbidden = match literal(&host) {
            Some(address) => !self.allows_address(address),
            None => local_name || looks_like_a_number(&host),
        };
        if forbidden {
            return Err(
                Error::invalid("url", format!("must not lead to the address {host}")).with_remedy(
                    "Allow the host in the policy for outgoing requests when it is meant.",
                ),
            );
        }
        Ok(())
    }
}

fn normalised(host: &str) -> String {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches('.')
        .to_ascii_lowercase()
}

fn literal(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

/// `0x7f000001`, `2130706433`, `127.1`, `0177.0.0.1`: notations that some resolvers read as an address.
fn looks_like_a_number(host: &str) -> bool {
    host.rsplit('.').next().is_some_and(|last| {
        let digits = last.strip_prefix("0x").unwrap_or(last);
        last.bytes().all(|b| b.is_ascii_digit())
            || (last.starts_with("0x") && digits.bytes().all(|b| b.is_ascii_hexdigit()))
    })
}

/// Whether an address is one of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, ..] = address.segments();
    let octets = address.octets();
    let last_four = Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]);
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    // NAT64 and 6to4 carry an IPv4 address.
    if a == 0x64 && b == 0xff9b && octets[4..12] == [0; 8] {
        return is_public_v4(last_four);
    }
    if a == 0x2002 {
        return is_public_v4(Ipv4Addr::new(octets[2], octets[3], octets[4], octets[5]));
    }
    // Only 2000::/3 is handed out; inside it, Teredo and the other special blocks of 2001::/23, documentation.
    (a & 0xe000) == 0x2000
        && !(a == 0x2001 && b < 0x0200)
        && !(a == 0x2001 && b == 0x0db8)
        && !(a == 0x3fff && b < 0x1000)
        && !(a == 0x2620 && b == 0x4f && c == 0x8000 && d == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORBIDDEN: &[&str] = &[
        "127.0.0.1",
        "127.9.9.9",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::7f00:1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:1::1",
        "2001:db8::1",
        "3fff::1",
        "100::1",
    ];

    #[test]
    fn no_inner_address_in_any_notation() {
        let policy = OutboundPolicy::public_only();
        for address in FORBIDDEN {
            let parsed: IpAddr = address.parse().unwrap();
            assert!(!policy.allows_address(parsed), "{address}");
            let host = if parsed.is_ipv6() {
                format!("[{address}]")
            } else {
                (*address).to_owned()
            };
            assert!(policy.check("http", false, &host).is_err(), "{address}");
        }
        for host in [
            "localhost",
            "LOCALHOST.",
            "app.localhost",
            "2130706433",
            "0x7f000001",
            "127.1",
            "0177.0.0.1",
            "127.0.0.0x1",
        ] {
            assert!(policy.check("http", false, host).is_err(), "{host}");
        }
    }

    #[test]
    fn the_public_internet_and_what_was_allowed() {
        let policy = OutboundPolicy::public_only()
            .allow_host("127.0.0.1")
            .allow_host("Registry.internal");
        for host in [
            "api.example.com",
            "1.1.1.1",
            "[2606:4700::1111]",
            "127.0.0.1",
            "registry.internal.",
        ] {
            assert!(policy.check("https", false, host).is_ok(), "{host}");
        }
        assert!(policy.check("https", false, "127.0.0.2").is_err());
        assert!(
            OutboundPolicy::anywhere()
                .check("http", false, "[::1]")
                .is_ok()
        );
    }

    #[test]
    fn other_schemes_and_credentials_are_refused() {
        let policy = OutboundPolicy::anywhere();
        for scheme in ["file", "ftp", "gopher", "unix"] {
            assert!(
                policy.check(scheme, false, "example.com").is_err(),
                "{scheme}"
            );
        }
        assert!(policy.check("https", true, "example.com").is_err());
        assert_eq!(policy.redirects(), 0);
    }
}
