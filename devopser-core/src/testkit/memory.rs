//! The memory cloud as the kit needs it: someone else's things, and artifacts.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Artifacts, Stranger};
use crate::context::Context;
use crate::id::{CodeRepository, ImageRef, RecordName};
use crate::memory::{MemoryCloud, MemoryImageBuilder};
use crate::model::artifact::Artifact;
use crate::provider::{BuildRequest, ImageBuilder, RecordSet, RecordType};
use crate::{Error, Result};

/// The name of a record set: only those of type A are planted.
fn record_name(name: &str) -> Result<RecordName> {
    let name = name
        .strip_suffix(" A")
        .ok_or_else(|| Error::invalid("name", "must read as \"www.example.com A\""))?;
    RecordName::new(name)
}

#[async_trait]
impl Stranger for MemoryCloud {
    async fn plant(&self, kind: &str, name: &str) -> Result<()> {
        match kind {
            "record_set" => self.add_foreign_records(RecordSet {
                name: record_name(name)?,
                record_type: RecordType::A,
                values: vec!["192.0.2.99".into()],
                ttl: None,
                proxied: false,
                mark: None,
            }),
            "code_repository" => {
                self.add_code_repository(CodeRepository::new(name)?, BTreeMap::new())?;
            }
            _ => self.add_foreign(kind, name),
        }
        Ok(())
    }

    async fn is_there(&self, kind: &str, name: &str) -> Result<bool> {
        if kind == "record_set" {
            let set = self.record_set(&record_name(name)?, RecordType::A);
            return Ok(set.is_some_and(|set| set.mark.is_none()));
        }
        let things = self.snapshot().things;
        Ok(things
            .iter()
            .any(|thing| thing.kind == kind && thing.name == name && thing.mark.is_empty()))
    }
}

#[async_trait]
impl Artifacts for MemoryCloud {
    async fn make(&self, ctx: &Context, number: u32) -> Result<(Artifact, u16)> {
        let request = BuildRequest {
            folder: ctx.folder.clone(),
            dockerfile: format!("FROM scratch\nENV NUMBER={number}\nEXPOSE 8080\n"),
            dockerignore: String::new(),
            tag: ImageRef::new(format!("{}:{number}", ctx.owner.target.app))?,
            target: None,
            build_args: BTreeMap::new(),
            secrets: BTreeMap::new(),
            no_cache: false,
        };
        let built = MemoryImageBuilder::new(self.clone())
            .build(ctx, request)
            .await?;
        Ok((Artifact::Image(built.image), 8080))
    }
}
