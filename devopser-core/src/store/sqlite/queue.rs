//! The work queue with its idempotency keys, and the leases.

use sqlx::sqlite::SqlitePool;
use sqlx::{Row, SqliteConnection};

use super::{failed, rows};
use crate::Result;
use crate::id::{DeploymentId, IdempotencyKey, Target};
use crate::model::deployment::CancelReason;
use crate::store::{LeaseGrant, PendingRun, WORKER_LEASE, rules};

pub(super) async fn enqueue(
    connection: &mut SqliteConnection,
    run: &PendingRun,
    key: Option<&IdempotencyKey>,
) -> Result<DeploymentId> {
    if let Some(key) = key
        && let Some(earlier) = remembered(connection, run, key).await?
    {
        return Ok(earlier);
    }
    match target_of(connection, &run.deployment).await? {
        Some(target) if target != run.target => return Err(rules::queued_elsewhere()),
        Some(_) => {}
        None => insert(connection, run).await?,
    }
    if let Some(key) = key {
        remember(connection, run, key).await?;
    }
    Ok(run.deployment.clone())
}

async fn remembered(
    connection: &mut SqliteConnection,
    run: &PendingRun,
    key: &IdempotencyKey,
) -> Result<Option<DeploymentId>> {
    let row = sqlx::query(
        "SELECT deployment FROM devopser_idempotency_keys
         WHERE tenant = $1 AND name = $2 AND created_at > $3",
    )
    .bind(run.target.tenant.as_str())
    .bind(key.as_str())
    .bind(rows::signed(run.created_at)?.saturating_sub_unsigned(rules::KEY_LIFETIME_MS))
    .fetch_optional(connection)
    .await
    .map_err(failed)?;
    row.map(|row| rows::id(rows::text(&row, 0)?)).transpose()
}

async fn remember(
    connection: &mut SqliteConnection,
    run: &PendingRun,
    key: &IdempotencyKey,
) -> Result<()> {
    let tenant = run.target.tenant.as_str();
    let now = rows::signed(run.created_at)?;
    sqlx::query("DELETE FROM devopser_idempotency_keys WHERE tenant = $1 AND created_at <= $2")
        .bind(tenant)
        .bind(now.saturating_sub_unsigned(rules::KEY_LIFETIME_MS))
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    sqlx::query(
        "INSERT INTO devopser_idempotency_keys (tenant, name, deployment, created_at)
         VALUES ($1, $2, $3, $4)",
    )
    .bind(tenant)
    .bind(key.as_str())
    .bind(run.deployment.as_str())
    .bind(now)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn insert(connection: &mut SqliteConnection, run: &PendingRun) -> Result<()> {
    sqlx::query(
        "INSERT INTO devopser_queue
            (deployment, tenant, app, environment, taken, cancel, created_at)
         VALUES ($1, $2, $3, $4, 0, $5, $6)",
    )
    .bind(run.deployment.as_str())
    .bind(run.target.tenant.as_str())
    .bind(run.target.app.as_str())
    .bind(run.target.environment.as_str())
    .bind(run.cancel.as_ref().map(rows::to_name).transpose()?)
    .bind(rows::signed(run.created_at)?)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn target_of(
    connection: &mut SqliteConnection,
    deployment: &DeploymentId,
) -> Result<Option<Target>> {
    let row =
        sqlx::query("SELECT tenant, app, environment FROM devopser_queue WHERE deployment = $1")
            .bind(deployment.as_str())
            .fetch_optional(connection)
            .await
            .map_err(failed)?;
    row.map(|row| rows::target(&row, 0)).transpose()
}

pub(super) async fn pending(pool: &SqlitePool) -> Result<Vec<PendingRun>> {
    let found = sqlx::query(
        "SELECT deployment, tenant, app, environment, taken, cancel, created_at
         FROM devopser_queue ORDER BY created_at, deployment",
    )
    .fetch_all(pool)
    .await
    .map_err(failed)?;
    let run = |row| {
        let cancel = rows::optional_text(row, 5)?;
        Ok(PendingRun {
            deployment: rows::id(rows::text(row, 0)?)?,
            target: rows::target(row, 1)?,
            taken: rows::number(row, 4)? == 1,
            cancel: cancel.map(rows::from_name).transpose()?,
            created_at: rows::number(row, 6)?,
        })
    };
    found.iter().map(run).collect()
}

pub(super) async fn take(
    connection: &mut SqliteConnection,
    deployment: &DeploymentId,
) -> Result<bool> {
    let taken = sqlx::query(
        "UPDATE devopser_queue SET taken = 1
         WHERE deployment = $1 AND NOT EXISTS (
            SELECT 1 FROM devopser_queue AS other
            WHERE other.taken = 1 AND other.deployment <> devopser_queue.deployment
              AND other.tenant = devopser_queue.tenant AND other.app = devopser_queue.app
              AND other.environment = devopser_queue.environment)",
    )
    .bind(deployment.as_str())
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(taken.rows_affected() == 1)
}

pub(super) async fn request_cancel(
    connection: &mut SqliteConnection,
    deployment: &DeploymentId,
    reason: CancelReason,
) -> Result<bool> {
    let asked = sqlx::query(
        "UPDATE devopser_queue SET cancel = COALESCE(cancel, $2) WHERE deployment = $1",
    )
    .bind(deployment.as_str())
    .bind(rows::to_name(&reason)?)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(asked.rows_affected() == 1)
}

pub(super) async fn finish(
    connection: &mut SqliteConnection,
    deployment: &DeploymentId,
) -> Result<()> {
    sqlx::query("DELETE FROM devopser_queue WHERE deployment = $1")
        .bind(deployment.as_str())
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// The epoch that may write.
pub(super) async fn current_epoch(connection: &mut SqliteConnection) -> Result<u64> {
    let row = sqlx::query("SELECT epoch FROM devopser_leases WHERE name = $1")
        .bind(WORKER_LEASE)
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    row.map_or(Ok(0), |row| rows::number(&row, 0))
}

pub(super) async fn acquire_lease(
    connection: &mut SqliteConnection,
    name: &str,
    holder: &str,
    now: u64,
    expires_at: u64,
) -> Result<Option<LeaseGrant>> {
    let row = sqlx::query(
        "INSERT INTO devopser_leases (name, holder, epoch, expires_at) VALUES ($1, $2, 1, $4)
         ON CONFLICT (name) DO UPDATE SET
            epoch = CASE WHEN devopser_leases.holder = excluded.holder
                THEN devopser_leases.epoch ELSE devopser_leases.epoch + 1 END,
            expires_at = CASE WHEN devopser_leases.holder = excluded.holder
                AND devopser_leases.expires_at > excluded.expires_at
                THEN devopser_leases.expires_at ELSE excluded.expires_at END,
            holder = excluded.holder
         WHERE devopser_leases.holder IS NULL OR devopser_leases.holder = excluded.holder
            OR devopser_leases.expires_at <= $3
         RETURNING epoch, expires_at",
    )
    .bind(name)
    .bind(holder)
    .bind(rows::signed(now)?)
    .bind(rows::signed(expires_at)?)
    .fetch_optional(connection)
    .await
    .map_err(failed)?;
    let grant = |row| {
        Ok(LeaseGrant {
            holder: holder.to_owned(),
            epoch: rows::number(row, 0)?,
            expires_at: rows::number(row, 1)?,
        })
    };
    row.as_ref().map(grant).transpose()
}

pub(super) async fn release_lease(
    connection: &mut SqliteConnection,
    name: &str,
    holder: &str,
) -> Result<()> {
    sqlx::query(
        "UPDATE devopser_leases SET holder = NULL, expires_at = 0 WHERE name = $1 AND holder = $2",
    )
    .bind(name)
    .bind(holder)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

pub(super) async fn lease(pool: &SqlitePool, name: &str, now: u64) -> Result<Option<LeaseGrant>> {
    let row = sqlx::query(
        "SELECT holder, epoch, expires_at FROM devopser_leases
         WHERE name = $1 AND holder IS NOT NULL AND expires_at > $2",
    )
    .bind(name)
    .bind(rows::signed(now)?)
    .fetch_optional(pool)
    .await
    .map_err(failed)?;
    let grant = |row| {
        Ok(LeaseGrant {
            holder: rows::text(row, 0)?,
            epoch: rows::number(row, 1)?,
            expires_at: rows::number(row, 2)?,
        })
    };
    row.as_ref().map(grant).transpose()
}

/// The id of the installation; the first to ask makes it.
pub(super) async fn installation(connection: &mut SqliteConnection) -> Result<String> {
    sqlx::query(
        "INSERT INTO devopser_settings (name, value) VALUES ('installation', $1)
         ON CONFLICT (name) DO NOTHING",
    )
    .bind(uuid::Uuid::now_v7().simple().to_string())
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query("SELECT value FROM devopser_settings WHERE name = 'installation'")
        .fetch_one(connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)
}
