//! The engine on the memory cloud: whole deployments, with crashes at every step.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test tells by panicking what is wrong"
)]

mod crashes;
mod rules;
mod support;
