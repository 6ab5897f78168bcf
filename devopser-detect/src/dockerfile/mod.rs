//! Dockerfiles: reading one, and saying what is wrong with it and what it may not ask for.

mod check;
mod parse;
mod policy;

pub use check::{Problem, check_dockerfile};
pub(crate) use parse::Dockerfile;

/// The files and folders of the build context that a Dockerfile copies, as far as it names them plainly.
#[must_use]
pub fn dockerfile_copies(text: &str) -> Vec<String> {
    Dockerfile::parse(text).copies()
}

pub use policy::{dockerfile_policy, without_frontend};

/// The folders that a Dockerfile's last stage declares as volumes (<https://docs.docker.com/reference/dockerfile/#volume>), and
/// those of `more`: absolute, and none that the stage copies files to.
#[must_use]
pub fn dockerfile_volumes(text: &str, more: &[String]) -> Vec<String> {
    Dockerfile::parse(text).volumes(more)
}

/// The port that a Dockerfile's last stage exposes.
#[must_use]
pub fn dockerfile_port(text: &str) -> Option<u16> {
    Dockerfile::parse(text).exposed().map(|(port, _)| port)
}
