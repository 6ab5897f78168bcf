//! Which processes still live: an executor id is a lease.

use std::fmt::Debug;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::{Error, ErrorKind, Result};

/// Says which executors are dead, so that their runs can be taken over.
///
/// # Behavior
/// - [`executor`](Self::executor) is fresh for every value: no two processes, and no process before and after a restart,
///   share one.
/// - An executor is dead only when none of its steps can still run. A doubt means alive.
#[async_trait]
pub trait ExecutorLease: Debug + Send + Sync + 'static {
    /// The id under which this process takes runs.
    fn executor(&self) -> &str;

    /// Those of `executors` that are dead.
    async fn dead(&self, executors: &[String]) -> Result<Vec<String>>;
}

/// Leases as locked files, for processes on one machine: one file an executor in a folder that they all share. The
/// operating system frees the lock when the process ends, however it ends.
///
/// The folder must be on a local file system, and must be the same for every process that shares a database.
#[derive(Debug)]
pub struct FileLeases {
    folder: PathBuf,
    executor: String,
    _held: File,
}

impl FileLeases {
    /// Takes a lease of its own in `folder`, which is made when it is missing.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the file cannot be made or locked.
    pub fn acquire(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder).map_err(|e| failed(&folder, "made", e))?;
        let executor = uuid::Uuid::now_v7().to_string();
        let path = path_of(&folder, &executor);
        let held = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|e| failed(&path, "made", e))?;
        held.try_lock()
            .map_err(|e| failed(&path, "locked", e.into()))?;
        Ok(Self {
            folder,
            executor,
            _held: held,
        })
    }
}

#[async_trait]
impl ExecutorLease for FileLeases {
    fn executor(&self) -> &str {
        &self.executor
    }

    async fn dead(&self, executors: &[String]) -> Result<Vec<String>> {
        let folder = self.folder.clone();
        let others: Vec<String> = executors
            .iter()
            .filter(|id| **id != self.executor && is_id(id))
            .cloned()
            .collect();
        let looked = tokio::task::spawn_blocking(move || {
            others
                .into_iter()
                .filter(|id| is_dead(&path_of(&folder, id)))
                .collect()
        });
        looked.await.map_err(|e| Error::unexpected(e.to_string()))
    }
}

impl Drop for FileLeases {
    fn drop(&mut self) {
        // What is left behind is found unlocked and removed by the next process that looks.
        let _ = std::fs::remove_file(path_of(&self.folder, &self.executor));
    }
}

fn path_of(folder: &Path, executor: &str) -> PathBuf {
    folder.join(format!("{executor}.lock"))
}

/// An id that was not made here never becomes part of a path.
fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

/// A file that nobody holds, or that is gone, belongs to a dead process: it is made before its id is used.
fn is_dead(path: &Path) -> bool {
    let file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) => return error.kind() == io::ErrorKind::NotFound,
    };
    match file.try_lock() {
        Ok(()) => {
            let _ = std::fs::remove_file(path);
            true
        }
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, path = %path.display(), "a lease could not be looked at");
            false
        }
    }
}

fn failed(path: &Path, done: &str, cause: io::Error) -> Error {
    let text = format!("the lease {} could not be {done}", path.display());
    Error::new(ErrorKind::Unavailable, text)
        .with_operation("FileLeases::acquire")
        .with_source(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_held_lease_is_alive_and_a_free_one_dead() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = FileLeases::acquire(folder.path().join("leases")).expect("a lease");
        let two = FileLeases::acquire(folder.path().join("leases")).expect("a lease");
        let never = uuid::Uuid::now_v7().to_string();
        let asked = [
            one.executor().to_owned(),
            two.executor().to_owned(),
            never.clone(),
            "../two".to_owned(),
        ];
        assert_eq!(
            one.dead(&asked).await.expect("an answer"),
            std::slice::from_ref(&never)
        );
        let second = two.executor().to_owned();
        drop(two);
        assert_eq!(one.dead(&asked).await.expect("an answer"), [second, never]);
    }

    #[tokio::test]
    async fn a_file_that_a_dead_process_left_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let lease = FileLeases::acquire(folder.path()).expect("a lease");
        let left = uuid::Uuid::now_v7().to_string();
        std::fs::write(path_of(folder.path(), &left), "").expect("a file");
        let dead = lease.dead(std::slice::from_ref(&left)).await;
        assert_eq!(dead.expect("an answer"), std::slice::from_ref(&left));
        assert!(!path_of(folder.path(), &left).exists());
    }
}
