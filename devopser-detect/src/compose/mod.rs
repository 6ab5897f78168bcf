//! A repository's own compose file (<https://docs.docker.com/reference/compose-file/>): what it may not
//! ask for, and what is carried out of it (`docs/compose.md`).

mod app;
mod build;
mod choose;
mod fields;
mod interpolate;
mod load;
mod mounts;
mod policy;
mod ports;
mod service;
mod storage;

use devopser_core::model::report::Finding;

pub use app::{ComposeApp, compose_app, compose_builds};
pub use interpolate::{Variable, Variables};
pub(crate) use load::inside;

use crate::tree::FileTree;

/// Checks what a compose file, and the Dockerfiles that it builds, ask of the host.
///
/// Refused are `privileged`, the host's network and other namespaces, mounts from outside of the source, the container
/// engine's socket, added capabilities, devices, weakened security options, and what would bring any of these in from
/// elsewhere: `include`, an `extends` that leads away, remote or outside build contexts, foreign volumes and networks.
#[must_use]
pub fn compose_policy(tree: &dyn FileTree, path: &str, variables: &Variables) -> Vec<Finding> {
    match load::load(tree, path, variables) {
        Ok(project) => {
            let mut findings = policy::check(&project);
            findings.extend(project.missing);
            findings
        }
        Err(findings) => findings,
    }
}

#[cfg(test)]
mod tests;
