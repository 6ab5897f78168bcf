//! The core of devopser: traits, models, errors, the HTTP plane, the durable engine, the pipelines, the stores
//! and the conformance kit. It knows no provider.
//!
//! Start at [`engine::Engine`] (what a host calls), [`provider`] (what a provider implements) and [`pipeline`]
//! (what happens between a source and a live URL).

pub mod error;
pub mod id;
pub mod model;
pub mod provider;
pub mod secret;

pub use error::{Error, ErrorKind, Result, Retry};
pub use secret::Secret;
