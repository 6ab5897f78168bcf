//! Implementations in memory: for tests, for trying things out, and as examples of how each trait is meant.

mod services;

pub use services::MemoryServices;
