//! What every store of ours decides in the same way.

use crate::model::record::Expected;
use crate::store::RecordKind;
use crate::{Error, ErrorKind, Result};

/// How long an idempotency key is remembered.
pub(crate) const KEY_LIFETIME_MS: u64 = 24 * 60 * 60 * 1000;

/// The audit trail is only appended to.
pub(crate) fn check_put(kind: RecordKind, expected: Expected) -> Result<()> {
    if kind == RecordKind::Audit && expected != Expected::Absent {
        return Err(append_only());
    }
    Ok(())
}

/// The audit trail is only appended to.
pub(crate) fn check_remove(kind: RecordKind) -> Result<()> {
    if kind == RecordKind::Audit {
        return Err(append_only());
    }
    Ok(())
}

fn append_only() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "a line of the audit trail is neither changed nor removed",
    )
}

/// Another writer was faster.
pub(crate) fn lost_race(kind: RecordKind, id: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("the {} {id} was changed by another writer", kind.as_str()),
    )
    .with_remedy("read it again, then decide")
}

/// A write with `epoch` is refused when the worker's lease has moved on to `current`.
pub(crate) fn check_epoch(epoch: u64, current: u64) -> Result<()> {
    if epoch < current {
        return Err(Error::new(
            ErrorKind::Conflict,
            "another worker took over; this one's writes are refused",
        )
        .with_context("epoch", epoch)
        .with_context("current_epoch", current));
    }
    Ok(())
}

/// The deployment is in the queue for another target.
pub(crate) fn queued_elsewhere() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "a deployment of this id is in the queue for another target",
    )
}

/// The name belongs to another target; whose it is must not be told.
pub(crate) fn owned_elsewhere(kind: &str, name: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("the {kind} \"{name}\" belongs to another target"),
    )
}

/// The ledger has no such row.
pub(crate) fn no_resource(id: &crate::id::ResourceId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the ledger has no resource {id}"),
    )
}

/// The port for a target that has none: `wanted`, else the first free candidate.
pub(crate) fn choose_port(
    wanted: Option<u16>,
    candidates: &[u16],
    is_taken: impl Fn(u16) -> bool,
) -> Option<u16> {
    match wanted {
        Some(port) => (!is_taken(port)).then_some(port),
        None => candidates.iter().copied().find(|port| !is_taken(*port)),
    }
}
