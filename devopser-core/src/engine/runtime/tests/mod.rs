//! The runtimes under the conformance functions, and what each does beyond them.

mod memory;

#[cfg(feature = "embedded")]
mod embedded;
