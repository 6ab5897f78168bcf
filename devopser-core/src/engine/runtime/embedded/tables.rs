//! Our own tables: signals, and what runs show. One poller reads the signals of all runs by their number.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqlitePool};

use super::super::replay::Signal;
use super::{APP_VERSION, NOBODY};
use crate::{Error, ErrorKind, Result};

/// Made when missing. A later release adds to this list and changes nothing in it.
const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS devopser_runtime_signals (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL,
        name TEXT NOT NULL,
        payload TEXT NOT NULL
    )",
    "CREATE INDEX IF NOT EXISTS devopser_runtime_signals_run ON devopser_runtime_signals (run_id)",
    "CREATE TABLE IF NOT EXISTS devopser_runtime_notes (
        run_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (run_id, kind, key)
    )",
];

const SHOWN: &str = "shown";
const BEAT: &str = "beat";

/// The tables and the few questions that durare's interface does not answer.
#[derive(Debug)]
pub(super) struct Tables(SqlitePool);

impl Tables {
    pub(super) async fn open(pool: SqlitePool) -> Result<Self> {
        for table in TABLES {
            sqlx::query(table).execute(&pool).await.map_err(storage)?;
        }
        Ok(Self(pool))
    }

    /// Keeps a signal and answers its number; `None` when the run has ended or is unknown.
    pub(super) async fn send(&self, run: &str, name: &str, payload: &Value) -> Result<Option<i64>> {
        sqlx::query_scalar(
            "INSERT INTO devopser_runtime_signals (run_id, name, payload)
             SELECT workflow_uuid, ?, ? FROM workflow_status
             WHERE workflow_uuid = ? AND status = 'PENDING' AND application_version = ?
             RETURNING id",
        )
        .bind(name)
        .bind(payload.to_string())
        .bind(run)
        .bind(APP_VERSION)
        .fetch_optional(&self.0)
        .await
        .map_err(storage)
    }

    /// Every signal of a run, in order.
    pub(super) async fn signals_of(&self, run: &str) -> Result<Vec<Signal>> {
        let rows = sqlx::query(
            "SELECT id, run_id, name, payload FROM devopser_runtime_signals WHERE run_id = ? ORDER BY id",
        )
        .bind(run)
        .fetch_all(&self.0)
        .await
        .map_err(storage)?;
        let signals = rows.iter().map(signal);
        signals.map(|read| read.map(|(_, signal)| signal)).collect()
    }

    /// The signals of all runs after number `after`, with their runs.
    pub(super) async fn signals_after(&self, after: i64) -> Result<Vec<(String, Signal)>> {
        let rows = sqlx::query(
            "SELECT id, run_id, name, payload FROM devopser_runtime_signals WHERE id > ? ORDER BY id LIMIT 1000",
        )
        .bind(after)
        .fetch_all(&self.0)
        .await
        .map_err(storage)?;
        rows.iter().map(signal).collect()
    }

    /// The number of the last signal.
    pub(super) async fn last_signal(&self) -> Result<i64> {
        sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM devopser_runtime_signals")
            .fetch_one(&self.0)
            .await
            .map_err(storage)
    }

    pub(super) async fn show(&self, run: &str, key: &str, value: &Value) -> Result<()> {
        self.note(run, SHOWN, key, value).await
    }

    pub(super) async fn shown(&self, run: &str, key: &str) -> Result<Option<Value>> {
        let text: Option<String> = sqlx::query_scalar(
            "SELECT value FROM devopser_runtime_notes WHERE run_id = ? AND kind = ? AND key = ?",
        )
        .bind(run)
        .bind(SHOWN)
        .bind(key)
        .fetch_optional(&self.0)
        .await
        .map_err(storage)?;
        text.map(|text| json(&text)).transpose()
    }

    pub(super) async fn beat(&self, run: &str, call: u64, progress: &Value) -> Result<()> {
        self.note(run, BEAT, &call.to_string(), progress).await
    }

    pub(super) async fn beats(&self, run: &str) -> Result<BTreeMap<u64, Value>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT key, value FROM devopser_runtime_notes WHERE run_id = ? AND kind = ?",
        )
        .bind(run)
        .bind(BEAT)
        .fetch_all(&self.0)
        .await
        .map_err(storage)?;
        let mut beats = BTreeMap::new();
        for (key, value) in rows {
            if let Ok(call) = key.parse() {
                beats.insert(call, json(&value)?);
            }
        }
        Ok(beats)
    }

    async fn note(&self, run: &str, kind: &str, key: &str, value: &Value) -> Result<()> {
        sqlx::query(
            "INSERT INTO devopser_runtime_notes (run_id, kind, key, value) VALUES (?, ?, ?, ?)
             ON CONFLICT (run_id, kind, key) DO UPDATE SET value = excluded.value",
        )
        .bind(run)
        .bind(kind)
        .bind(key)
        .bind(value.to_string())
        .execute(&self.0)
        .await
        .map_err(storage)?;
        Ok(())
    }

    pub(super) async fn forget(&self, runs: &[String]) -> Result<()> {
        for run in runs {
            for table in ["devopser_runtime_signals", "devopser_runtime_notes"] {
                sqlx::query(&format!("DELETE FROM {table} WHERE run_id = ?"))
                    .bind(run)
                    .execute(&self.0)
                    .await
                    .map_err(storage)?;
            }
        }
        Ok(())
    }

    /// Who has runs of these workflows that have not ended: other executors, or [`NOBODY`].
    pub(super) async fn executors(&self, workflows: &[String]) -> Result<Vec<String>> {
        let workflows = Value::from(workflows.to_vec()).to_string();
        sqlx::query_scalar(
            "SELECT DISTINCT executor_id FROM workflow_status
             WHERE status = 'PENDING' AND application_version = ?
               AND name IN (SELECT value FROM json_each(?))",
        )
        .bind(APP_VERSION)
        .bind(workflows)
        .fetch_all(&self.0)
        .await
        .map_err(storage)
    }

    /// Gives back every run that the executor has and that has not ended: any worker may take it at once.
    pub(super) async fn give_back(&self, own: &str) -> Result<()> {
        sqlx::query(
            "UPDATE workflow_status SET executor_id = ?
             WHERE status = 'PENDING' AND application_version = ? AND executor_id = ?",
        )
        .bind(NOBODY)
        .bind(APP_VERSION)
        .bind(own)
        .execute(&self.0)
        .await
        .map_err(storage)?;
        Ok(())
    }
}

fn signal(row: &SqliteRow) -> Result<(String, Signal)> {
    let payload: String = row.try_get("payload").map_err(storage)?;
    let signal = Signal {
        id: row.try_get("id").map_err(storage)?,
        name: row.try_get("name").map_err(storage)?,
        payload: json(&payload)?,
    };
    Ok((row.try_get("run_id").map_err(storage)?, signal))
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|e| Error::unexpected("a kept payload cannot be read").with_source(e))
}

fn storage(error: sqlx::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the runtime's database does not answer",
    )
    .with_source(error)
}
