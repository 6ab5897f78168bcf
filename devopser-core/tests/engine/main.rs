//! The engine on the memory cloud: whole deployments, with crashes at every step.

mod crashes;
mod rules;
mod support;
