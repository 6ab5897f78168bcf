//! Dockerfiles: reading one, and saying what is wrong with it.

mod check;
mod parse;

pub use check::{Problem, check_dockerfile};
pub(crate) use parse::Dockerfile;
