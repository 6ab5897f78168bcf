//! Taking a source: from a folder, an archive or a git repository to one deterministic tar archive, and back to a folder.
//!
//! A *snapshot* is an uncompressed tar archive whose paths are sorted and whose times, owners and modes are fixed, so that
//! the same content gives the same [`Digest`] wherever it came from. A folder, an archive of that folder and a commit that
//! holds it give the same snapshot. Only regular files (executable or not), symbolic links that stay inside and empty
//! folders are in it; what [`left_out`](LEFT_OUT) lists never is.
//!
//! Everything here works on content that nobody checked: no function writes outside of what it was told to write, and a
//! refusal names the entry and the rule and leaves nothing behind.

mod archive;
mod archive_zip;
mod git;
mod git_failure;
mod git_run;
mod inside;
mod lay_out;
mod snapshot;
mod tar_read;
mod tar_write;
mod temporary;
mod tree;
mod unpack;

use serde::{Deserialize, Serialize};

use crate::id::Digest;

pub use archive::snapshot_archive;
pub use git::{GitProgram, GitRequest, GitSnapshot, resolve_git, snapshot_git};
pub use inside::inside;
pub use lay_out::lay_out;
pub use snapshot::snapshot_folder;
pub use tree::{LEFT_OUT, LeftOut, LeftOutWhen};
pub use unpack::unpack;

/// A snapshot that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The digest of the tar archive.
    pub digest: Digest,
    /// How many files and links it holds.
    pub files: u64,
    /// The size of the content of all files, in bytes.
    pub bytes: u64,
}

/// How large a source may be. Every limit is checked before anything of that size is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotLimits {
    /// Most files and links, and most folders. Default: 100,000.
    pub files: u64,
    /// Most bytes of content. Default: 2 GiB.
    pub bytes: u64,
    /// Most bytes of one file. Default: 512 MiB.
    pub file_bytes: u64,
    /// Most names in a path. Default: 64.
    pub depth: usize,
    /// How many times larger than itself a compressed archive may unpack to, once it unpacks to more than 16 MiB.
    /// Default: 200.
    pub ratio: u64,
}

impl Default for SnapshotLimits {
    fn default() -> Self {
        Self {
            files: 100_000,
            bytes: 2 << 30,
            file_bytes: 512 << 20,
            depth: 64,
            ratio: 200,
        }
    }
}
