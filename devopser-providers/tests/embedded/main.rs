//! The embedded router, with real sockets on the loopback address.
#![cfg(feature = "embedded")]
#![expect(clippy::unwrap_used, reason = "helpers of a test may unwrap")]

mod conformance;
mod files;
mod load;
mod proxy;
mod routes;
mod support;
