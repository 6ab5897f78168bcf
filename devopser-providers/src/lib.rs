//! The providers of devopser: one folder and one feature each.

#[cfg(feature = "docker")]
pub mod docker;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "local")]
pub mod local;
