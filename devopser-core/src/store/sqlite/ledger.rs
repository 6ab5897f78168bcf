//! The resource ledger and the ports.

use std::collections::BTreeSet;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection};

use super::{failed, rows};
use crate::Result;
use crate::id::{DeploymentId, ResourceId, Target};
use crate::model::resource::{Resource, ResourceIntent, ResourceState};
use crate::store::{PortGrant, rules};

pub(super) async fn intend(
    connection: &mut SqliteConnection,
    target: &Target,
    deployment: Option<&DeploymentId>,
    intent: &ResourceIntent,
    now: u64,
) -> Result<ResourceId> {
    let known = sqlx::query(
        "SELECT id, tenant, app, environment FROM devopser_resources
         WHERE provider = $1 AND kind = $2 AND name = $3",
    )
    .bind(intent.provider.as_str())
    .bind(&intent.kind)
    .bind(&intent.name)
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    if let Some(row) = known {
        return if rows::target(&row, 1)? == *target {
            rows::id(rows::text(&row, 0)?)
        } else {
            Err(rules::owned_elsewhere(&intent.kind, &intent.name))
        };
    }
    let id = ResourceId::generate();
    sqlx::query(
        "INSERT INTO devopser_resources
            (id, tenant, app, environment, deployment, provider, kind, name, state, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(id.as_str())
    .bind(target.tenant.as_str())
    .bind(target.app.as_str())
    .bind(target.environment.as_str())
    .bind(deployment.map(DeploymentId::as_str))
    .bind(intent.provider.as_str())
    .bind(&intent.kind)
    .bind(&intent.name)
    .bind(rows::to_name(&ResourceState::Intended)?)
    .bind(rows::signed(now)?)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(id)
}

pub(super) async fn created(
    connection: &mut SqliteConnection,
    id: &ResourceId,
    provider_ref: &str,
) -> Result<()> {
    let noted = sqlx::query(
        "UPDATE devopser_resources SET state = $2, provider_ref = $3, last_error = NULL
         WHERE id = $1",
    )
    .bind(id.as_str())
    .bind(rows::to_name(&ResourceState::Created)?)
    .bind(provider_ref)
    .execute(connection)
    .await
    .map_err(failed)?;
    if noted.rows_affected() == 0 {
        return Err(rules::no_resource(id));
    }
    Ok(())
}

pub(super) async fn gone(connection: &mut SqliteConnection, id: &ResourceId) -> Result<()> {
    sqlx::query("DELETE FROM devopser_resources WHERE id = $1")
        .bind(id.as_str())
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(super) async fn removal_failed(
    connection: &mut SqliteConnection,
    id: &ResourceId,
    why: &str,
) -> Result<()> {
    sqlx::query("UPDATE devopser_resources SET last_error = $2 WHERE id = $1")
        .bind(id.as_str())
        .bind(why)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(super) async fn resources(pool: &SqlitePool, target: Option<&Target>) -> Result<Vec<Resource>> {
    let query = match target {
        Some(target) => sqlx::query(
            "SELECT id, tenant, app, environment, deployment, provider, kind, name, provider_ref,
                state, created_at, last_error
             FROM devopser_resources WHERE tenant = $1 AND app = $2 AND environment = $3
             ORDER BY created_at, id",
        )
        .bind(target.tenant.as_str())
        .bind(target.app.as_str())
        .bind(target.environment.as_str()),
        None => sqlx::query(
            "SELECT id, tenant, app, environment, deployment, provider, kind, name, provider_ref,
                state, created_at, last_error
             FROM devopser_resources ORDER BY created_at, id",
        ),
    };
    let found = query.fetch_all(pool).await.map_err(failed)?;
    found.iter().map(resource).collect()
}

fn resource(row: &SqliteRow) -> Result<Resource> {
    Ok(Resource {
        id: rows::id(rows::text(row, 0)?)?,
        target: rows::target(row, 1)?,
        deployment: rows::optional_text(row, 4)?.map(rows::id).transpose()?,
        intent: ResourceIntent {
            provider: rows::id(rows::text(row, 5)?)?,
            kind: rows::text(row, 6)?,
            name: rows::text(row, 7)?,
        },
        provider_ref: rows::optional_text(row, 8)?,
        state: rows::from_name(rows::text(row, 9)?)?,
        created_at: rows::number(row, 10)?,
        last_error: rows::optional_text(row, 11)?,
    })
}

/// The port that the target has already.
async fn port_in(connection: &mut SqliteConnection, target: &Target) -> Result<Option<u16>> {
    sqlx::query(
        "SELECT port FROM devopser_ports WHERE tenant = $1 AND app = $2 AND environment = $3",
    )
    .bind(target.tenant.as_str())
    .bind(target.app.as_str())
    .bind(target.environment.as_str())
    .fetch_optional(connection)
    .await
    .and_then(|row| row.map(|row| row.try_get(0)).transpose())
    .map_err(failed)
}

pub(super) async fn reserve_port(
    connection: &mut SqliteConnection,
    target: &Target,
    wanted: Option<u16>,
    candidates: &[u16],
) -> Result<Option<u16>> {
    if let Some(port) = port_in(connection, target).await? {
        return Ok(Some(port));
    }
    let taken = sqlx::query("SELECT port FROM devopser_ports")
        .fetch_all(&mut *connection)
        .await
        .and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect())
        .map_err(failed)?;
    let taken: BTreeSet<u16> = taken;
    let chosen = rules::choose_port(wanted, candidates, |port| taken.contains(&port));
    if let Some(port) = chosen {
        sqlx::query(
            "INSERT INTO devopser_ports (port, tenant, app, environment) VALUES ($1, $2, $3, $4)",
        )
        .bind(i64::from(port))
        .bind(target.tenant.as_str())
        .bind(target.app.as_str())
        .bind(target.environment.as_str())
        .execute(connection)
        .await
        .map_err(failed)?;
    }
    Ok(chosen)
}

pub(super) async fn release_port(connection: &mut SqliteConnection, target: &Target) -> Result<()> {
    sqlx::query("DELETE FROM devopser_ports WHERE tenant = $1 AND app = $2 AND environment = $3")
        .bind(target.tenant.as_str())
        .bind(target.app.as_str())
        .bind(target.environment.as_str())
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(super) async fn ports(pool: &SqlitePool) -> Result<Vec<PortGrant>> {
    let found =
        sqlx::query("SELECT port, tenant, app, environment FROM devopser_ports ORDER BY port")
            .fetch_all(pool)
            .await
            .map_err(failed)?;
    let grant = |row: &SqliteRow| {
        Ok(PortGrant {
            port: row.try_get(0).map_err(failed)?,
            target: rows::target(row, 1)?,
        })
    };
    found.iter().map(grant).collect()
}
