//! The encrypted secrets. They come sealed: this file never sees a key.

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection};

use super::{failed, rows};
use crate::Result;
use crate::id::TenantId;
use crate::store::SealedSecret;

pub(super) async fn put(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    name: &str,
    sealed: &str,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO devopser_secrets (tenant, name, sealed) VALUES ($1, $2, $3)
         ON CONFLICT (tenant, name) DO UPDATE SET sealed = excluded.sealed",
    )
    .bind(tenant.as_str())
    .bind(name)
    .bind(sealed)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

pub(super) async fn get(
    pool: &SqlitePool,
    tenant: &TenantId,
    name: &str,
) -> Result<Option<String>> {
    sqlx::query("SELECT sealed FROM devopser_secrets WHERE tenant = $1 AND name = $2")
        .bind(tenant.as_str())
        .bind(name)
        .fetch_optional(pool)
        .await
        .and_then(|row| row.map(|row| row.try_get(0)).transpose())
        .map_err(failed)
}

pub(super) async fn remove(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    name: &str,
) -> Result<()> {
    sqlx::query("DELETE FROM devopser_secrets WHERE tenant = $1 AND name = $2")
        .bind(tenant.as_str())
        .bind(name)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(super) async fn names(
    pool: &SqlitePool,
    tenant: &TenantId,
    prefix: &str,
) -> Result<Vec<String>> {
    let mut names: Vec<String> = sqlx::query("SELECT name FROM devopser_secrets WHERE tenant = $1")
        .bind(tenant.as_str())
        .fetch_all(pool)
        .await
        .and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect())
        .map_err(failed)?;
    // Here and not in SQL: databases sort text differently, and a prefix may hold what LIKE takes for a pattern.
    names.retain(|name| name.starts_with(prefix));
    names.sort_unstable();
    Ok(names)
}

pub(super) async fn page(
    pool: &SqlitePool,
    after: Option<(&TenantId, &str)>,
    limit: u32,
) -> Result<Vec<SealedSecret>> {
    // No tenant is empty, so the empty text is before every row.
    let (tenant, name) = after.map_or(("", ""), |(tenant, name)| (tenant.as_str(), name));
    let found = sqlx::query(
        "SELECT tenant, name, sealed FROM devopser_secrets
         WHERE tenant > $1 OR (tenant = $1 AND name > $2) ORDER BY tenant, name LIMIT $3",
    )
    .bind(tenant)
    .bind(name)
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
    .map_err(failed)?;
    let sealed = |row: &SqliteRow| {
        Ok(SealedSecret {
            tenant: rows::id(rows::text(row, 0)?)?,
            name: rows::text(row, 1)?,
            sealed: rows::text(row, 2)?,
        })
    };
    found.iter().map(sealed).collect()
}

pub(super) async fn replace(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    name: &str,
    old: &str,
    new: &str,
) -> Result<bool> {
    let replaced = sqlx::query(
        "UPDATE devopser_secrets SET sealed = $4 WHERE tenant = $1 AND name = $2 AND sealed = $3",
    )
    .bind(tenant.as_str())
    .bind(name)
    .bind(old)
    .bind(new)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(replaced.rows_affected() == 1)
}
