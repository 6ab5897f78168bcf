//! The engine: what takes a deployment from a source to a live URL, durably.

pub mod runtime;
