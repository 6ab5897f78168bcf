//! The engine: what takes a deployment from a source to a live URL, durably.
//!
//! [`Engine`] is what a host calls: it writes requests into the store and reads what came of them. [`Worker`] does the
//! work; whoever holds the lease works, in whatever process. The store is the only thing between them.

mod bound;
mod builder;
mod client;
mod events;
mod logs;
pub mod runtime;
mod steps;
mod sweep;
mod watch;
mod worker;

pub use builder::{EngineBuilder, EngineParts};
pub use client::{AppView, Engine, Following};
pub use watch::{HttpProbe, Probe};
pub use worker::{Worker, WorkerOptions};
