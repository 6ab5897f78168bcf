//! What a provider implements: one file and one trait for each ability.

mod stack_detector;

pub use stack_detector::{FileRead, FileTree, StackDetector};
