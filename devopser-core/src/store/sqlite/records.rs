//! The records in SQLite.
//!
//! [`put`] and [`append`] work on a connection, so that a runtime can commit them together with a step's checkpoint.
//! Their first statement writes: a transaction that began without the write lock then never has to upgrade a stale read.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{SqliteStore, failed, rows};
use crate::id::{DeploymentId, TenantId};
use crate::model::event::{EventKind, StoredEvent};
use crate::model::record::{Expected, PageRequest, Revision, Versioned};
use crate::store::{DeploymentStore, RecordKind, StoredRecord, rules};
use crate::{Error, Result};

/// Writes a record on `connection`, inside the transaction that it is in.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    record: &StoredRecord,
    expected: Expected,
) -> Result<Revision> {
    rules::check_put(record.kind, expected)?;
    let sql = match expected {
        Expected::Absent => {
            "INSERT INTO devopser_records
                (tenant, kind, id, target, state, created_at, body, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8 + COALESCE(
                (SELECT value FROM devopser_counters WHERE name = 'removed_revision'), 0))
             ON CONFLICT (tenant, kind, id) DO NOTHING
             RETURNING revision"
        }
        Expected::Revision(_) => {
            "UPDATE devopser_records
             SET target = $4, state = $5, created_at = $6, body = $7, revision = $8 + 1
             WHERE tenant = $1 AND kind = $2 AND id = $3 AND revision = $8
             RETURNING revision"
        }
    };
    let base = match expected {
        Expected::Absent => 1,
        Expected::Revision(revision) => revision,
    };
    let row = sqlx::query(sql)
        .bind(tenant.as_str())
        .bind(record.kind.as_str())
        .bind(&record.id)
        .bind(&record.target)
        .bind(&record.state)
        .bind(rows::signed(record.created_at)?)
        .bind(rows::to_json(&record.body)?)
        .bind(rows::signed(base)?)
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    match row {
        Some(row) => rows::number(&row, 0),
        None => Err(rules::lost_race(record.kind, &record.id)),
    }
}

/// Appends events on `connection`, inside the transaction that it is in.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    deployment: &DeploymentId,
    at: u64,
    events: &[EventKind],
) -> Result<u64> {
    let count = events.len() as u64;
    // Whoever takes numbers holds the row until the commit, so numbers are committed in order and none is lost.
    let row = sqlx::query(
        "INSERT INTO devopser_event_heads (tenant, deployment, seq) VALUES ($1, $2, $3)
         ON CONFLICT (tenant, deployment) DO UPDATE
         SET seq = devopser_event_heads.seq + excluded.seq
         RETURNING seq",
    )
    .bind(tenant.as_str())
    .bind(deployment.as_str())
    .bind(rows::signed(count)?)
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let last = rows::number(&row, 0)?;
    for (seq, event) in (last + 1 - count..).zip(events) {
        sqlx::query(
            "INSERT INTO devopser_events (tenant, deployment, seq, at, body)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(tenant.as_str())
        .bind(deployment.as_str())
        .bind(rows::signed(seq)?)
        .bind(rows::signed(at)?)
        .bind(rows::to_json(event)?)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    }
    Ok(last)
}

async fn remove_in(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    kind: RecordKind,
    id: &str,
) -> Result<()> {
    let removed = sqlx::query(
        "DELETE FROM devopser_records WHERE tenant = $1 AND kind = $2 AND id = $3
         RETURNING revision",
    )
    .bind(tenant.as_str())
    .bind(kind.as_str())
    .bind(id)
    .fetch_optional(&mut *connection)
    .await
    .and_then(|row| row.map(|row| row.try_get::<i64, _>(0)).transpose())
    .map_err(failed)?;
    let Some(revision) = removed else {
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO devopser_counters (name, value) VALUES ('removed_revision', $1)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value
         WHERE excluded.value > devopser_counters.value",
    )
    .bind(revision)
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    if kind == RecordKind::Deployment {
        for sql in [
            "DELETE FROM devopser_events WHERE tenant = $1 AND deployment = $2",
            "DELETE FROM devopser_event_heads WHERE tenant = $1 AND deployment = $2",
        ] {
            sqlx::query(sql)
                .bind(tenant.as_str())
                .bind(id)
                .execute(&mut *connection)
                .await
                .map_err(failed)?;
        }
    }
    Ok(())
}

fn record(row: &SqliteRow, kind: RecordKind) -> Result<Versioned<StoredRecord>> {
    let value = StoredRecord {
        kind,
        id: rows::text(row, 0)?,
        target: rows::text(row, 1)?,
        state: rows::text(row, 2)?,
        created_at: rows::number(row, 3)?,
        body: rows::from_json(&rows::text(row, 5)?)?,
    };
    Ok(Versioned {
        value,
        revision: rows::number(row, 4)?,
    })
}

#[async_trait]
impl DeploymentStore for SqliteStore {
    async fn get(
        &self,
        tenant: &TenantId,
        kind: RecordKind,
        id: &str,
    ) -> Result<Option<Versioned<StoredRecord>>> {
        let row = sqlx::query(
            "SELECT id, target, state, created_at, revision, body FROM devopser_records
             WHERE tenant = $1 AND kind = $2 AND id = $3",
        )
        .bind(tenant.as_str())
        .bind(kind.as_str())
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        row.map(|row| record(&row, kind)).transpose()
    }

    async fn put(
        &self,
        tenant: &TenantId,
        record: StoredRecord,
        expected: Expected,
    ) -> Result<Revision> {
        let mut write = self.write().await?;
        let revision = put(write.connection(), tenant, &record, expected).await?;
        write.commit().await?;
        Ok(revision)
    }

    async fn remove(&self, tenant: &TenantId, kind: RecordKind, id: &str) -> Result<()> {
        rules::check_remove(kind)?;
        let mut write = self.write().await?;
        remove_in(write.connection(), tenant, kind, id).await?;
        write.commit().await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        kind: RecordKind,
        target: Option<&str>,
        page: PageRequest,
    ) -> Result<Vec<Versioned<StoredRecord>>> {
        // Two statements, so that each has its index.
        let sql = if target.is_some() {
            "SELECT id, target, state, created_at, revision, body FROM devopser_records
             WHERE tenant = $1 AND kind = $2 AND target = $5
             ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4"
        } else {
            "SELECT id, target, state, created_at, revision, body FROM devopser_records
             WHERE tenant = $1 AND kind = $2
             ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4"
        };
        let mut query = sqlx::query(sql)
            .bind(tenant.as_str())
            .bind(kind.as_str())
            .bind(i64::from(page.limit))
            .bind(rows::signed(page.offset)?);
        if let Some(target) = target {
            query = query.bind(target);
        }
        let found = query.fetch_all(&self.pool).await.map_err(failed)?;
        found.iter().map(|row| record(row, kind)).collect()
    }

    async fn append(
        &self,
        tenant: &TenantId,
        deployment: &DeploymentId,
        at: u64,
        events: &[EventKind],
    ) -> Result<u64> {
        let mut write = self.write().await?;
        let last = append(write.connection(), tenant, deployment, at, events).await?;
        write.commit().await?;
        Ok(last)
    }

    async fn events(
        &self,
        tenant: &TenantId,
        deployment: &DeploymentId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>> {
        let found = sqlx::query(
            "SELECT seq, at, body FROM devopser_events
             WHERE tenant = $1 AND deployment = $2 AND seq > $3 ORDER BY seq LIMIT $4",
        )
        .bind(tenant.as_str())
        .bind(deployment.as_str())
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let event = |row: &SqliteRow| {
            Ok::<_, Error>(StoredEvent {
                deployment: deployment.clone(),
                seq: rows::number(row, 0)?,
                at: rows::number(row, 1)?,
                kind: rows::from_json(&rows::text(row, 2)?)?,
            })
        };
        found.iter().map(event).collect()
    }
}
