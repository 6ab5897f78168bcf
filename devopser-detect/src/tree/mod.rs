//! Trees of files: [`FolderTree`] on disk, [`MemoryTree`] and [`ListingTree`] in memory, [`SubTree`] for a service's folder.

mod disk;
mod folder;
mod listing;
mod memory;
mod sub;

pub use devopser_core::provider::{FileRead, FileTree, Listing};
pub use folder::{FolderTree, Limits};
pub use listing::ListingTree;
pub use memory::MemoryTree;
pub use sub::SubTree;

/// Folders that never hold the repository's own sources: version control, installed dependencies, caches and
/// the outputs of build tools. They are not walked.
pub(crate) const PRUNED: &[&str] = &[
    ".angular",
    ".astro",
    ".bundle",
    ".cache",
    ".direnv",
    ".docusaurus",
    ".eggs",
    ".git",
    ".gradle",
    ".hg",
    ".idea",
    ".mypy_cache",
    ".next",
    ".nox",
    ".nuxt",
    ".nx",
    ".output",
    ".parcel-cache",
    ".pnpm-store",
    ".pytest_cache",
    ".ruff_cache",
    ".serverless",
    ".svelte-kit",
    ".svn",
    ".terraform",
    ".tox",
    ".turbo",
    ".venv",
    ".vercel",
    ".vs",
    "__pycache__",
    "_build",
    "bower_components",
    "node_modules",
    "target",
    "vendor",
    "venv",
];

/// Whether a folder of that name is left out of every tree.
pub(crate) fn is_pruned(name: &str) -> bool {
    PRUNED.binary_search(&name).is_ok()
}

/// Whether no part of the path is a pruned folder.
pub(crate) fn is_kept(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    parts.next();
    parts.all(|part| !is_pruned(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruned_is_sorted() {
        assert!(PRUNED.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn only_folders_are_pruned() {
        assert!(is_kept("target"));
        assert!(!is_kept("a/node_modules/b.js"));
    }
}
