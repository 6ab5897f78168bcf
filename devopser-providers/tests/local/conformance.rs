//! The conformance kit on this machine.

use async_trait::async_trait;
use devopser_core::context::Context;
use devopser_core::id::Digest;
use devopser_core::model::artifact::{Artifact, ProcessArtifact};
use devopser_core::model::plan::BuildPlan;
use devopser_core::provider::{Provider, SourceBuildRequest};
use devopser_core::testkit::{self, Artifacts};
use devopser_core::{Error, Result};

use super::support::*;

/// This program as an app, built by the provider's own builder.
struct Apps(Provider);

#[async_trait]
impl Artifacts for Apps {
    async fn make(&self, ctx: &Context, number: u32) -> Result<(Artifact, u16)> {
        let folder = ctx.folder.join(format!("source-{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("number"), number.to_string()).unwrap();
        let program = app_command();
        let start = [&["env".to_owned(), "ROLE=app".to_owned()], &program[..]].concat();
        let plan = BuildPlan::Process {
            install: None,
            build: None,
            start,
            release: None,
        };
        let digest = Digest::of(format!("{} {number}", ctx.owner.mark()).as_bytes());
        let request = SourceBuildRequest::new(folder, digest, plan);
        let built = self.0.source_builder()?.build(ctx, request).await?;
        match built {
            Artifact::Process(ProcessArtifact { .. }) => Ok((built, 3000)),
            other => Err(Error::unexpected(format!("no process: {other:?}"))),
        }
    }
}

#[tokio::test]
async fn deployer() {
    let bench = Bench::new();
    let artifacts = Apps(bench.provider.clone());
    let fixture = testkit::deployer::Fixture {
        provider: &bench.provider,
        folder: &bench.folder,
        artifacts: &artifacts,
        // Names of things on this machine are marks: nobody else makes them.
        stranger: None,
    };
    testkit::deployer::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn service_control() {
    let bench = Bench::new();
    let artifacts = Apps(bench.provider.clone());
    let fixture = testkit::service_control::Fixture {
        provider: &bench.provider,
        folder: &bench.folder,
        artifacts: &artifacts,
    };
    testkit::service_control::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn source_builder() {
    let bench = Bench::new();
    let fixture = testkit::source_builder::Fixture {
        provider: &bench.provider,
        folder: &bench.folder,
        command: &["echo", "done"],
        slow_command: Some(&["sleep", "5"]),
    };
    testkit::source_builder::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn inventory() {
    let bench = Bench::new();
    let fixture = testkit::inventory::Fixture {
        provider: &bench.provider,
        folder: &bench.folder,
        foreign_kind: "folder",
        stranger: None,
    };
    testkit::inventory::all(&fixture).await.unwrap();
}
