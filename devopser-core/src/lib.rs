//! The core of devopser: traits, models, errors, the HTTP plane, the durable engine, the pipelines, the stores
//! and the conformance kit. It knows no provider.

pub mod clock;
pub mod context;
pub mod engine;
pub mod error;
pub mod http;
pub mod id;
pub mod memory;
pub mod model;
pub mod pipeline;
pub mod provider;
pub mod secret;
pub mod signature;
pub mod source;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod vault;

pub use context::Context;
pub use error::{Error, ErrorKind, Result, Retry};
pub use secret::Secret;
