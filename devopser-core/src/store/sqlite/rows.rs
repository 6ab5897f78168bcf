//! From rows and columns to values and back.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::failed;
use crate::id::{AppName, EnvironmentName, Target, TenantId};
use crate::{Error, Result};

/// As a BIGINT.
pub(super) fn signed(number: u64) -> Result<i64> {
    i64::try_from(number)
        .map_err(|_| Error::invalid("number", format!("{number} is more than {}", i64::MAX)))
}

/// From a BIGINT.
pub(super) fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| unreadable(format!("the number {number} is negative")))
}

/// A column that counts.
pub(super) fn number(row: &SqliteRow, column: usize) -> Result<u64> {
    unsigned(row.try_get(column).map_err(failed)?)
}

/// A column of text.
pub(super) fn text(row: &SqliteRow, column: usize) -> Result<String> {
    row.try_get(column).map_err(failed)
}

/// A column of text that may be absent.
pub(super) fn optional_text(row: &SqliteRow, column: usize) -> Result<Option<String>> {
    row.try_get(column).map_err(failed)
}

/// A checked id.
pub(super) fn id<T: TryFrom<String, Error = Error>>(text: String) -> Result<T> {
    T::try_from(text).map_err(|error| unreadable(error.message().to_owned()))
}

/// Three columns that name a target, from `first` on.
pub(super) fn target(row: &SqliteRow, first: usize) -> Result<Target> {
    Ok(Target {
        tenant: id::<TenantId>(text(row, first)?)?,
        app: id::<AppName>(text(row, first + 1)?)?,
        environment: id::<EnvironmentName>(text(row, first + 2)?)?,
    })
}

/// A value as JSON.
pub(super) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|source| {
        Error::unexpected("a value cannot be written as JSON").with_source(source)
    })
}

/// A value from JSON.
pub(super) fn from_json<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|source| {
        unreadable("its JSON is not what was expected".into()).with_source(source)
    })
}

/// The stable name of an enum's value.
pub(super) fn to_name(value: &impl Serialize) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => Ok(name),
        other => Err(Error::unexpected(format!(
            "a name is not a text: {other:?}"
        ))),
    }
}

/// An enum's value from its stable name.
pub(super) fn from_name<T: DeserializeOwned>(name: String) -> Result<T> {
    serde_json::from_value(Value::String(name))
        .map_err(|source| unreadable("a name is not known".into()).with_source(source))
}

fn unreadable(why: String) -> Error {
    Error::unexpected(format!(
        "a row cannot be read by this version of devopser: {why}"
    ))
}
