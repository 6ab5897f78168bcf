//! The conformance kit: what every implementation of a trait must do, as functions that return an error which says what
//! was not so. A host runs them on its own implementations.

pub mod blobs;
mod memory;
mod rig;

pub mod ci_runner;
pub mod code_host;
pub mod deployer;
pub mod dns_router;
pub mod domain_binder;
pub mod http_router;
pub mod image_builder;
pub mod inventory;
pub mod price_list;
pub mod registry;
pub mod repository_host;
pub mod review_host;
pub mod secret_source;
pub mod server_provider;
pub mod service_control;
pub mod source_builder;
pub mod stack_detector;
pub mod store;
#[cfg(test)]
pub(crate) mod system;

pub use rig::{Artifacts, Rig, Stranger};

use crate::{Error, ErrorKind, Result};

/// Makes `CASES`, the names of a module's cases, one for each bullet in the documentation of the trait; and `all`, which
/// runs them.
macro_rules! cases {
    ($fixture:ty; $($case:ident),+ $(,)?) => {
        /// The names of the cases, one for each bullet under "Behavior" in the documentation of the trait, in its order.
        pub const CASES: &[&str] = &[$(stringify!($case)),+];

        /// Runs every case.
        ///
        /// # Errors
        /// The first behaviour that does not hold, with the name of its case in the context, or what the implementation
        /// failed with.
        pub async fn all(fixture: &$fixture) -> $crate::Result<()> {
            $(
                Box::pin($case(fixture))
                    .await
                    .map_err(|error| error.with_context("case", stringify!($case)))?;
            )+
            Ok(())
        }
    };
}
use cases;

/// Fails with the text unless the condition holds.
macro_rules! check {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::Error::unexpected(format!(
                "conformance: {} ({}:{})", format_args!($($text)+), file!(), line!()
            )));
        }
    };
}
use check;

/// Fails unless `result` is a refusal of that kind.
fn check_refused<T>(result: Result<T>, kind: ErrorKind, what: &str) -> Result<()> {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Error::unexpected(format!(
            "conformance: {what} must fail with {kind}, but failed with {}",
            error.kind()
        ))
        .with_source(error)),
        Ok(_) => Err(Error::unexpected(format!(
            "conformance: {what} must fail with {kind}, but succeeded"
        ))),
    }
}
