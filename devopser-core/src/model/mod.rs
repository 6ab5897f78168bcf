//! The nouns of devopser as plain data. `docs/concepts.md` has the table of terms.

pub mod artifact;
pub mod container;
pub mod deployment;
pub mod event;
pub mod plan;
pub mod record;
pub mod report;
pub mod resource;
pub mod service;
pub mod source;
