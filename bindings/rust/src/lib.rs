//! devopser: an embeddable deployment engine. It takes source code to a live URL, durably.
//!
//! [`Embedded`] opens everything that one process needs with nothing to set up: SQLite in a folder, the router in this
//! process, the providers of this build. [`Engine`] is what a host then calls.
//!
//! `README.md` has a complete example.

mod deployment_files;
mod embedded;
mod planner;

pub use deployment_files::{DeploymentFile, FileOutcome, write_deployment_files};
pub use devopser_core::context::CancellationToken;
pub use devopser_core::engine::{AppView, Engine, Following, Worker};
pub use devopser_core::model::deployment::{Deployment, DeploymentState};
pub use devopser_core::model::event::{EventKind, StoredEvent};
pub use devopser_core::model::plan::{DeploySpec, OverlapPolicy, Plan};
pub use devopser_core::model::source::{GitUrl, Source};
pub use devopser_core::{Context, Error, ErrorKind, Result, Retry, Secret, id, model, provider};
pub use devopser_core::{memory, source};
pub use devopser_detect as detect;
pub use devopser_providers as providers;
pub use embedded::{Embedded, EmbeddedOptions};
pub use planner::StackPlanner;

/// The example of the README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[derive(Debug)]
pub struct Readme;
