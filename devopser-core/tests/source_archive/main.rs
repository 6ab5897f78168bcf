//! The snapshot of an archive: what is accepted, and that everything hostile is refused by name.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of a test may panic"
)]
#![expect(
    clippy::too_many_lines,
    clippy::type_complexity,
    reason = "tables of cases"
)]

mod accepted;
mod hostile;
mod hostile_zip;
mod raw;

use std::fs;

use devopser_core::source::{Snapshot, SnapshotLimits, snapshot_archive};
use devopser_core::{Error, ErrorKind, Result};

fn take(bytes: &[u8], limits: &SnapshotLimits) -> Result<Snapshot> {
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("upload");
    fs::write(&archive, bytes).unwrap();
    let result = snapshot_archive(&archive, &place.path().join("out/snapshot.tar"), limits);
    let left: Vec<_> = fs::read_dir(place.path().join("out"))
        .map(|left| left.map(|entry| entry.unwrap().file_name()).collect())
        .unwrap_or_default();
    let expected = if result.is_ok() {
        vec!["snapshot.tar"]
    } else {
        vec![]
    };
    assert_eq!(left, expected, "{result:?}");
    result
}

fn assert_refused(case: &str, bytes: &[u8], limits: &SnapshotLimits, words: &[&str]) {
    let error: Error = match take(bytes, limits) {
        Ok(snapshot) => panic!("{case} was accepted: {snapshot:?}"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{case}: {error}");
    for word in words {
        assert!(
            error.to_string().contains(word),
            "{case}: {word:?} is not in: {error}"
        );
    }
}
