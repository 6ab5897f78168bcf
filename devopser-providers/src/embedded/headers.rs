//! Which headers go through, and which are the router's.

use std::net::{IpAddr, SocketAddr};

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What only a proxy may say about the client.
const SAID_BY_PROXIES: [&str; 7] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
];

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// Whether it is a proxy that the host put in front, whose word on the client counts.
    pub(super) trusted: bool,
}

/// Whether the request asks for a WebSocket.
pub(super) fn asks_for_websocket(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}

/// Makes a client's headers those of the request to the upstream. `Host` stays as the client sent it.
pub(super) fn to_upstream(
    headers: &mut HeaderMap,
    peer: Peer,
    upstream: SocketAddr,
    websocket: bool,
) {
    let trailers = has_token(headers, &TE, "trailers");
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    remove_hop_by_hop(headers);
    headers.remove(EXPECT);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if websocket {
        keep_upgrade(headers);
    }
    say_who_asked(headers, peer);
    if !headers.contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(&upstream.to_string())
    {
        headers.insert(HOST, host);
    }
}

fn say_who_asked(headers: &mut HeaderMap, peer: Peer) {
    if !peer.trusted {
        for name in SAID_BY_PROXIES {
            headers.remove(name);
        }
    }
    let address = peer.address.to_canonical().to_string();
    let before = headers
        .get(&FORWARDED_FOR)
        .and_then(|value| value.to_str().ok());
    let chain = before.map_or_else(|| address.clone(), |before| format!("{before}, {address}"));
    if let Ok(chain) = HeaderValue::from_str(&chain) {
        headers.insert(FORWARDED_FOR, chain);
    }
    if !headers.contains_key(&FORWARDED_PROTO) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    if !headers.contains_key(&FORWARDED_HOST)
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(FORWARDED_HOST, host);
    }
}

/// Makes an upstream's headers those of the answer.
pub(super) fn to_client(headers: &mut HeaderMap, websocket: bool) {
    remove_hop_by_hop(headers);
    if websocket {
        keep_upgrade(headers);
    }
}

fn keep_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Removes what belongs to one connection only: the usual headers and those that `Connection` names.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            // These frame or address the message; a client must not be able to take them away.
            .filter(|name| name != HOST && name != CONTENT_LENGTH)
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in [
        CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPSTREAM: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 40_001);

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn peer(trusted: bool) -> Peer {
        Peer {
            address: IpAddr::from([127, 0, 0, 1]),
            trusted,
        }
    }

    #[test]
    fn what_belongs_to_one_connection_stays_there() {
        let mut map = headers(&[
            ("host", "shop.localhost"),
            ("connection", "keep-alive, x-private, host, content-length"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("te", "trailers, deflate"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic eA=="),
            ("expect", "100-continue"),
            ("content-length", "3"),
            ("accept", "*/*"),
        ]);
        to_upstream(&mut map, peer(false), UPSTREAM, false);
        let mut names: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept",
                "content-length",
                "host",
                "te",
                "x-forwarded-for",
                "x-forwarded-host",
                "x-forwarded-proto"
            ]
        );
        assert_eq!(map["te"], "trailers");
    }

    #[test]
    fn a_length_beside_a_transfer_encoding_is_dropped() {
        let mut map = headers(&[("content-length", "3"), ("transfer-encoding", "chunked")]);
        to_upstream(&mut map, peer(false), UPSTREAM, false);
        assert!(!map.contains_key(CONTENT_LENGTH) && !map.contains_key(TRANSFER_ENCODING));
        assert_eq!(map[HOST], "127.0.0.1:40001");
    }

    #[test]
    fn only_a_trusted_peer_may_speak_for_the_client() {
        let sent = [
            ("host", "a.example"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
        ];
        let mut map = headers(&sent);
        to_upstream(&mut map, peer(false), UPSTREAM, false);
        assert_eq!(map[FORWARDED_FOR], "127.0.0.1");
        assert_eq!(map[FORWARDED_PROTO], "http");
        assert_eq!(map[FORWARDED_HOST], "a.example");
        assert!(!map.contains_key("forwarded") && !map.contains_key("x-real-ip"));

        let mut map = headers(&sent);
        to_upstream(&mut map, peer(true), UPSTREAM, false);
        assert_eq!(map[FORWARDED_FOR], "6.6.6.6, 127.0.0.1");
        assert_eq!(map[FORWARDED_PROTO], "https");
        assert_eq!(map["x-real-ip"], "6.6.6.6");
    }

    #[test]
    fn a_websocket_keeps_its_upgrade_and_nothing_else_does() {
        let mut map = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
        ]);
        assert!(asks_for_websocket(&Method::GET, &map));
        assert!(!asks_for_websocket(&Method::POST, &map));
        to_upstream(&mut map, peer(false), UPSTREAM, true);
        assert_eq!(map[CONNECTION], "upgrade");
        assert_eq!(map[UPGRADE], "websocket");
        let map = headers(&[
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", "h2c"),
        ]);
        assert!(!asks_for_websocket(&Method::GET, &map));
    }
}
