mod processes;

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::SqlitePoolOptions;
use tempfile::TempDir;

use super::super::{DurableRuntime, EmbeddedRuntime, FileLeases, sqlite_options};

async fn make() -> (TempDir, Arc<dyn DurableRuntime>) {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = open_at(folder.path()).await;
    (folder, Arc::new(runtime))
}

async fn open_at(folder: &Path) -> EmbeddedRuntime {
    let pool = SqlitePoolOptions::new()
        .max_connections(5)
        .connect_with(sqlite_options(&folder.join("engine.db")))
        .await
        .expect("a pool");
    let lease = FileLeases::acquire(folder.join("leases")).expect("a lease");
    EmbeddedRuntime::open(pool, Arc::new(lease))
        .await
        .expect("a runtime")
}

crate::conformance_tests!(make);
