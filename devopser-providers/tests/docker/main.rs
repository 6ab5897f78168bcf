//! The provider `docker` against a real engine. Without one the tests are skipped aloud, and fail where `CI` is set.
//! They need the images `node:22-slim`, `debian:bookworm-slim`, `postgres:17` and `redis:8` on the engine.
#![cfg(feature = "docker")]

#[expect(clippy::unwrap_used, reason = "helpers of tests are tests")]
mod build;
#[expect(clippy::unwrap_used, reason = "helpers of tests are tests")]
mod clean;
#[expect(clippy::unwrap_used, reason = "helpers of tests are tests")]
mod conformance;
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]
mod database;
mod run;
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests"
)]
mod stage;
