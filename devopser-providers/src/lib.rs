//! The providers of devopser: one folder and one feature each.

#[cfg(feature = "embedded")]
pub mod embedded;
