//! What happens where a thing of the wanted name is there already and is not ours.

use serde::{Deserialize, Serialize};

/// What happens where a thing of the wanted name is there already and does not carry our mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnForeign {
    /// It is left untouched, and the call fails with [`AlreadyExists`](crate::ErrorKind::AlreadyExists).
    #[default]
    Refuse,
    /// It gets our mark and is brought in line. Only on a person's word.
    Adopt,
}
