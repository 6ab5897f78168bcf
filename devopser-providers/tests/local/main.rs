//! This machine as the target, with real processes. The apps are this test program itself, started again.
#![cfg(all(feature = "local", target_os = "linux"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::exit,
    clippy::zombie_processes,
    reason = "helpers of a test may unwrap, and the app that they run writes, crashes and forgets its children"
)]

mod adopt;
mod app;
mod builds;
mod conformance;
mod inventory;
mod process;
mod sites;
mod support;
