//! Dockerfiles: reading one, and saying what is wrong with it and what it may not ask for.

mod check;
mod parse;
mod policy;

pub use check::{Problem, check_dockerfile};
pub(crate) use parse::Dockerfile;
pub use policy::{dockerfile_policy, without_frontend};
