//! The schema and its versions. The durable runtime keeps its own list in the same file, so ours has a table of its own.

use sqlx::sqlite::SqlitePool;
use sqlx::{Row, SqliteConnection};

use super::{begin, failed, rows};
use crate::clock::{Clock, SystemClock};
use crate::{Error, ErrorKind, Result};

/// One step of the schema. Steps expand first and contract a release later, so that two releases may share a database.
#[derive(Debug)]
pub(super) struct Migration {
    /// Counted from 1, without gaps.
    pub(super) version: u64,
    /// What it does.
    pub(super) name: &'static str,
    /// Its statements.
    pub(super) sql: &'static str,
    /// The oldest library, as the last version that it knows, that may read once this is applied.
    pub(super) oldest_reader: u64,
    /// The same for writing.
    pub(super) oldest_writer: u64,
}

/// Every step, in order.
pub(super) const ALL: &[Migration] = &[
    Migration {
        version: 1,
        name: "records",
        sql: include_str!("../../../migrations/0001_records.sql"),
        oldest_reader: 1,
        oldest_writer: 1,
    },
    Migration {
        version: 2,
        name: "machinery",
        sql: include_str!("../../../migrations/0002_machinery.sql"),
        oldest_reader: 2,
        oldest_writer: 2,
    },
];

/// Applies what is missing of `known`, all in one transaction that holds the write lock: of two processes that open a new
/// file at once, one applies and the other finds it done.
pub(super) async fn migrate(pool: &SqlitePool, known: &[Migration]) -> Result<()> {
    let mut write = begin(pool.clone(), ()).await?;
    let connection = write.connection();
    make_bookkeeping(connection).await?;
    let (oldest_reader, oldest_writer) = oldest(connection).await?;
    let newest_known = known.last().map_or(0, |migration| migration.version);
    if newest_known < oldest_writer.max(oldest_reader) {
        return Err(too_old(newest_known, oldest_reader, oldest_writer));
    }
    let applied = sqlx::query("SELECT COALESCE(MAX(version), 0) FROM devopser_migrations")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    let applied = rows::unsigned(applied)?;
    for migration in known.iter().filter(|m| m.version > applied) {
        apply(connection, migration).await?;
    }
    write.commit().await
}

async fn make_bookkeeping(connection: &mut SqliteConnection) -> Result<()> {
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS devopser_migrations (
            version BIGINT PRIMARY KEY,
            name TEXT NOT NULL,
            applied_at BIGINT NOT NULL
        );
        CREATE TABLE IF NOT EXISTS devopser_schema (
            id BIGINT PRIMARY KEY,
            oldest_reader BIGINT NOT NULL,
            oldest_writer BIGINT NOT NULL
        );",
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

/// The oldest reader and the oldest writer; zeros in a new file.
async fn oldest(connection: &mut SqliteConnection) -> Result<(u64, u64)> {
    let row = sqlx::query("SELECT oldest_reader, oldest_writer FROM devopser_schema WHERE id = 1")
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    let Some(row) = row else {
        return Ok((0, 0));
    };
    Ok((rows::number(&row, 0)?, rows::number(&row, 1)?))
}

async fn apply(connection: &mut SqliteConnection, migration: &Migration) -> Result<()> {
    sqlx::raw_sql(migration.sql)
        .execute(&mut *connection)
        .await
        .map_err(|source| failed(source).with_context("migration", migration.name))?;
    sqlx::query("INSERT INTO devopser_migrations (version, name, applied_at) VALUES ($1, $2, $3)")
        .bind(rows::signed(migration.version)?)
        .bind(migration.name)
        .bind(rows::signed(SystemClock.now_ms())?)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    sqlx::query(
        "INSERT INTO devopser_schema (id, oldest_reader, oldest_writer) VALUES (1, $1, $2)
         ON CONFLICT (id) DO UPDATE
         SET oldest_reader = excluded.oldest_reader, oldest_writer = excluded.oldest_writer",
    )
    .bind(rows::signed(migration.oldest_reader)?)
    .bind(rows::signed(migration.oldest_writer)?)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

fn too_old(newest_known: u64, oldest_reader: u64, oldest_writer: u64) -> Error {
    Error::new(
        ErrorKind::ConfigInvalid,
        "a newer release of devopser has changed the database beyond what this one can use",
    )
    .with_context("schema_known", newest_known)
    .with_context("oldest_reader", oldest_reader)
    .with_context("oldest_writer", oldest_writer)
    .with_remedy("run the newer release of devopser on this database")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;

    #[test]
    fn versions_are_counted_without_gaps() {
        for (index, migration) in ALL.iter().enumerate() {
            assert_eq!(migration.version, index as u64 + 1);
            assert!(migration.oldest_reader <= migration.version);
            assert!(migration.oldest_writer <= migration.version);
            assert!(migration.oldest_reader <= migration.oldest_writer);
        }
    }

    fn future(oldest_writer: u64) -> Vec<Migration> {
        let steps = [
            (1, "", 1),
            (2, "", 2),
            (3, "CREATE TABLE later (id TEXT)", oldest_writer),
        ];
        let steps = steps.map(|(version, sql, oldest_writer)| Migration {
            version,
            name: "later",
            sql,
            oldest_reader: 1,
            oldest_writer,
        });
        steps.into()
    }

    #[tokio::test]
    async fn an_older_library_writes_as_long_as_the_schema_lets_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = SqliteStore::open(&path).await.unwrap();
        migrate(store.pool(), &future(2)).await.unwrap();
        SqliteStore::open(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_library_that_is_too_old_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = SqliteStore::open(&path).await.unwrap();
        migrate(store.pool(), &future(3)).await.unwrap();
        let error = SqliteStore::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        assert!(
            error
                .context()
                .contains(&("oldest_writer".into(), "3".into())),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_failed_migration_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("store.db"))
            .await
            .unwrap();
        let mut broken = future(2);
        broken[2].sql = "CREATE TABLE half (id TEXT); CREATE TABLE devopser_queue (id TEXT);";
        migrate(store.pool(), &broken).await.unwrap_err();
        migrate(store.pool(), &future(2)).await.unwrap();
        let half = sqlx::query("SELECT id FROM half")
            .fetch_optional(store.pool())
            .await;
        assert!(half.is_err());
    }

    #[tokio::test]
    async fn many_can_open_a_new_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("store.db");
        let opened = futures::future::join_all((0..8).map(|_| SqliteStore::open(&path))).await;
        for store in opened {
            store.unwrap();
        }
    }

    #[tokio::test]
    async fn the_runtime_keeps_its_own_list_in_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = SqliteStore::open(&path).await.unwrap();
        let provider = durare::SqliteProvider::from_pool(store.pool().clone());
        durare::StateProvider::init(&provider).await.unwrap();
        SqliteStore::open(&path).await.unwrap();
    }
}
