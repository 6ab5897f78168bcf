//! The conformance kit: what every implementation of a trait must do, as functions that return an error which says what
//! was not so. A host runs them on its own implementations.

pub mod blobs;
pub mod store;
#[cfg(test)]
pub(crate) mod system;

use crate::{Error, ErrorKind, Result};

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
