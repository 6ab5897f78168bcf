//! [`SqliteStore`]: both stores in one SQLite file, which several processes may use at once.

mod ledger;
mod migrations;
mod queue;
mod records;
mod rows;
mod secrets;
mod system;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Sqlite, SqliteConnection, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::id::{DeploymentId, TenantId};
use crate::model::event::EventKind;
use crate::model::record::{Expected, Revision};
use crate::store::{StoredRecord, files, rules};
use crate::{Error, ErrorKind, Result};

/// How long a writer waits for the writers of other processes: a disk may be slow because something else fills it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long opening the file is tried for.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Records and machinery in one SQLite file. Cheap to clone; the clones share the pool.
///
/// The durable runtime keeps its own tables in the same file over the same [`pool`](Self::pool). The process must not open
/// the file with another copy of SQLite: closing that one would drop the locks of this one.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    /// Writers of this process queue here in order, instead of polling for SQLite's one write lock.
    writer: Arc<Mutex<()>>,
}

impl SqliteStore {
    /// Opens the file and brings its schema up to date. A missing file is made, for this user only (mode 0600), with its
    /// missing folders (0700).
    ///
    /// # Errors
    /// [`ConfigInvalid`](ErrorKind::ConfigInvalid) when the path cannot be used, or when a newer release of devopser has
    /// changed the schema beyond what this one can write.
    pub async fn open(path: impl AsRef<Path> + Send) -> Result<Self> {
        let path = path.as_ref();
        files::private_file(path).await?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let deadline = Instant::now() + OPEN_TIMEOUT;
        // SQLite does not wait for a lock while it changes to the write-ahead log, which the first process does.
        let pool = loop {
            let pool = SqlitePoolOptions::new()
                .max_connections(8)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .connect_with(options.clone())
                .await
                .map_err(|source| failed(source).with_context("file", path.display()));
            match pool {
                Err(error) if error.is_retryable() && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                other => break other?,
            }
        };
        Self::from_pool(pool).await
    }

    /// A store over a pool that the host opened, with the schema brought up to date. The pool must use the write-ahead log,
    /// `synchronous = FULL` and a busy timeout, as [`open`](Self::open) does: a commit that does not survive a loss of
    /// power breaks the promise that what was made is known.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn from_pool(pool: SqlitePool) -> Result<Self> {
        migrations::migrate(&pool, migrations::ALL).await?;
        Ok(Self {
            pool,
            writer: Arc::default(),
        })
    }

    /// The pool, for the durable runtime that shares the file.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// [`put`](crate::store::DeploymentStore::put) on a connection to the store's file, inside the transaction that it is
    /// in: so a runtime commits a record together with a step's checkpoint.
    ///
    /// # Errors
    /// As `put`.
    pub async fn put_in(
        connection: &mut SqliteConnection,
        tenant: &TenantId,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<Revision> {
        records::put(connection, tenant, record, expected).await
    }

    /// [`append`](crate::store::DeploymentStore::append) on a connection to the store's file, inside the transaction that
    /// it is in.
    ///
    /// # Errors
    /// As `append`.
    pub async fn append_in(
        connection: &mut SqliteConnection,
        tenant: &TenantId,
        deployment: &DeploymentId,
        at: u64,
        events: &[EventKind],
    ) -> Result<u64> {
        records::append(connection, tenant, deployment, at, events).await
    }

    /// Closes the pool, and with it everything else that shares it. Later calls fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Begins a transaction that holds the write lock from the start, so that it never has to be upgraded.
    async fn write(&self) -> Result<Write> {
        let turn = Arc::clone(&self.writer).lock_owned().await;
        begin(self.pool.clone(), turn).await
    }

    /// As [`write`](Self::write), when `epoch` may still write.
    async fn fenced(&self, epoch: u64) -> Result<Write> {
        let mut write = self.write().await?;
        let current = queue::current_epoch(write.connection()).await?;
        rules::check_epoch(epoch, current)?;
        Ok(write)
    }
}

/// A write transaction with this process's turn; undone when it is dropped.
struct Write<Turn = OwnedMutexGuard<()>> {
    // Dropped before the turn is given on.
    transaction: Transaction<'static, Sqlite>,
    _turn: Turn,
}

/// Begins a transaction with the write lock, and keeps `turn` as long as it lasts.
///
/// In a task, so that nobody drops it half-way: sqlx 0.8 would put the connection back into the pool with the transaction
/// open and the write lock held, when a `begin_with` is dropped between the statement and its check.
async fn begin<Turn: Send + 'static>(pool: SqlitePool, turn: Turn) -> Result<Write<Turn>> {
    let begun = tokio::spawn(async move {
        let transaction = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        Ok(Write {
            transaction,
            _turn: turn,
        })
    });
    begun.await.unwrap_or_else(|source| {
        Err(Error::new(ErrorKind::Unavailable, "the runtime is going down").with_source(source))
    })
}

impl<Turn> Write<Turn> {
    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    async fn commit(self) -> Result<()> {
        self.transaction.commit().await.map_err(failed)
    }
}

/// What the database failed with. Bound values are never part of it.
fn failed(source: sqlx::Error) -> Error {
    // The low byte is SQLite's primary result code.
    let code = source
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<u32>().ok())
        .map(|code| code & 0xff);
    let (kind, message) = match (&source, code) {
        (_, Some(5 | 6)) => (ErrorKind::Unavailable, "the database is busy"),
        (_, Some(13)) => (ErrorKind::DiskFull, "no space is left for the database"),
        (_, Some(3 | 8 | 14)) => (
            ErrorKind::ConfigInvalid,
            "the database file cannot be opened for writing",
        ),
        (_, Some(11 | 26)) => (
            ErrorKind::Unexpected,
            "the database file is damaged or is not SQLite's",
        ),
        (_, Some(10))
        | (sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed, _) => {
            (ErrorKind::Unavailable, "the database cannot be reached")
        }
        _ => (ErrorKind::Unexpected, "the database refused a statement"),
    };
    Error::new(kind, message).with_source(source)
}
