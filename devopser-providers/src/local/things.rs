//! What we made on this machine, with its owner mark: a file for each thing, written before the thing is made.

use std::fs;
use std::path::{Path, PathBuf};

use devopser_core::id::{Digest, ProviderId, ResourceId};
use devopser_core::model::resource::ResourceIntent;
use devopser_core::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{error, folder};

/// A process that belongs to a release.
pub(super) const PROCESS: &str = "process";
/// A folder of a release or of a build.
pub(super) const FOLDER: &str = "folder";

/// A thing on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Thing {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) mark: String,
    /// The folder, or for a process the folder of its release.
    pub(super) path: PathBuf,
}

/// Every thing on this machine.
#[derive(Clone, Debug)]
pub(super) struct Things {
    provider: ProviderId,
    folder: PathBuf,
}

impl Things {
    pub(super) fn new(provider: ProviderId, state_folder: &Path) -> Self {
        Self {
            provider,
            folder: state_folder.join("things"),
        }
    }

    fn file(&self, kind: &str, name: &str) -> PathBuf {
        let key = Digest::of(format!("{kind}\0{name}").as_bytes());
        self.folder.join(format!("{}.json", &key.hex()[..32]))
    }

    pub(super) fn get(&self, kind: &str, name: &str) -> Option<Thing> {
        serde_json::from_slice(&fs::read(self.file(kind, name)).ok()?).ok()
    }

    pub(super) fn all(&self) -> Vec<Thing> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "json"))
            .filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok())
            .collect()
    }

    fn intent(&self, kind: &str, name: &str) -> ResourceIntent {
        ResourceIntent {
            provider: self.provider.clone(),
            kind: kind.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Writes down what is about to be made: in the ledger, then here.
    pub(super) async fn intend(
        &self,
        ctx: &Context,
        kind: &str,
        name: &str,
        path: &Path,
    ) -> Result<ResourceId> {
        let id = ctx.ledger.intend(self.intent(kind, name)).await?;
        let thing = Thing {
            kind: kind.to_owned(),
            name: name.to_owned(),
            mark: ctx.owner.mark(),
            path: path.to_owned(),
        };
        let file = self.file(kind, name);
        error::blocking(move || {
            let bytes = serde_json::to_vec(&thing).unwrap_or_default();
            folder::write(&file, &bytes)
        })
        .await?;
        Ok(id)
    }

    /// Notes that the thing is gone: here, then in the ledger.
    pub(super) async fn gone(&self, ctx: &Context, kind: &str, name: &str) -> Result<()> {
        self.forget(kind, name)?;
        let intent = self.intent(kind, name);
        for row in ctx.ledger.list().await? {
            if row.intent == intent {
                ctx.ledger.gone(&row.id).await?;
            }
        }
        Ok(())
    }

    pub(super) fn forget(&self, kind: &str, name: &str) -> Result<()> {
        let file = self.file(kind, name);
        match fs::remove_file(&file) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(error::file("remove", &file, source))
            }
            _ => Ok(()),
        }
    }

    /// Notes why a thing could not be removed. Its row stays.
    pub(super) async fn stays(&self, ctx: &Context, kind: &str, name: &str, why: &str) {
        let intent = self.intent(kind, name);
        for row in ctx.ledger.list().await.unwrap_or_default() {
            if row.intent == intent {
                // The removal's own error is returned anyway.
                let _ = ctx.ledger.failed(&row.id, why).await;
            }
        }
    }
}
