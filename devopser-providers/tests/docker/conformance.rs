//! The conformance kit on a real engine.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use devopser_core::Result;
use devopser_core::context::Context;
use devopser_core::id::ImageRef;
use devopser_core::model::artifact::Artifact;
use devopser_core::provider::{BuildRequest, Provider};
use devopser_core::testkit::{self, Artifacts, Stranger};
use devopser_providers::docker::{DockerConfig, provider};

use crate::stage::{NODE, SERVER, docker, has_engine};

/// Images of a server that tells its number.
#[derive(Debug)]
struct Servers(Provider);

#[async_trait]
impl Artifacts for Servers {
    async fn make(&self, ctx: &Context, number: u32) -> Result<(Artifact, u16)> {
        let folder = ctx.folder.join(format!("source-{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("server.js"), format!("{SERVER}// {number}")).unwrap();
        let request = BuildRequest {
            folder,
            dockerfile: NODE.into(),
            dockerignore: String::new(),
            tag: ImageRef::new(format!("{}:{number}", ctx.owner.installation))?,
            target: None,
            build_args: BTreeMap::new(),
            secrets: BTreeMap::new(),
            no_cache: false,
        };
        let built = self.0.image_builder()?.build(ctx, request).await?;
        Ok((Artifact::Image(built.image), 3000))
    }
}

/// Somebody else at the engine. A service of ours begins with its network.
#[derive(Debug)]
struct SomebodyElse;

impl SomebodyElse {
    fn sweep(name: &str) {
        docker(&["network", "rm", name]);
    }
}

#[async_trait]
impl Stranger for SomebodyElse {
    async fn plant(&self, _kind: &str, name: &str) -> Result<()> {
        let id = docker(&["network", "create", "--label", "planted=kit", name]);
        assert!(!id.is_empty(), "the network {name} was not made");
        Ok(())
    }

    async fn is_there(&self, _kind: &str, name: &str) -> Result<bool> {
        let filter = format!("name=^{name}$");
        Ok(!docker(&["network", "ls", "-q", "--filter", &filter]).is_empty())
    }
}

/// What the kit planted and what carries a mark of the kit.
fn planted() -> Vec<String> {
    let list = docker(&["network", "ls", "-q", "--filter", "label=planted=kit"]);
    list.lines().map(str::to_owned).collect()
}

fn on_engine<F: Future<Output = Result<()>>>(body: impl FnOnce(Provider, tempfile::TempDir) -> F) {
    if !has_engine() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ended = runtime.block_on(body(provider(DockerConfig::default()).unwrap(), folder));
    ended.unwrap();
}

#[test]
fn deployer() {
    on_engine(|provider, folder| async move {
        let artifacts = Servers(provider.clone());
        let fixture = testkit::deployer::Fixture {
            provider: &provider,
            folder: folder.path(),
            artifacts: &artifacts,
            stranger: Some(&SomebodyElse),
        };
        let ended = testkit::deployer::all(&fixture).await;
        planted().iter().for_each(|id| SomebodyElse::sweep(id));
        ended
    });
}

#[test]
fn service_control() {
    on_engine(|provider, folder| async move {
        let artifacts = Servers(provider.clone());
        let fixture = testkit::service_control::Fixture {
            provider: &provider,
            folder: folder.path(),
            artifacts: &artifacts,
        };
        testkit::service_control::all(&fixture).await
    });
}

#[test]
fn image_builder() {
    on_engine(|provider, folder| async move {
        let fixture = testkit::image_builder::Fixture {
            provider: &provider,
            folder: folder.path(),
            dockerfile: "FROM debian:bookworm-slim\nCOPY content /content\nRUN cat /content\n",
            slow_dockerfile: "FROM debian:bookworm-slim\nCOPY content /content\nRUN sleep 5\n",
            secret_dockerfile: "FROM debian:bookworm-slim\nCOPY content /content\n\
                RUN --mount=type=secret,id=kit cp /run/secrets/kit /left\n",
        };
        testkit::image_builder::all(&fixture).await
    });
}

/// Volumes of somebody else: what the inventory sees by kind and name.
#[derive(Debug)]
struct Volumes;

#[async_trait]
impl Stranger for Volumes {
    async fn plant(&self, kind: &str, name: &str) -> Result<()> {
        assert_eq!(kind, "volume");
        docker(&["volume", "create", name]);
        Ok(())
    }

    async fn is_there(&self, _kind: &str, name: &str) -> Result<bool> {
        let there = docker(&["volume", "inspect", "-f", "{{.Name}}", name]) == name;
        docker(&["volume", "rm", name]);
        Ok(there)
    }
}

#[test]
fn inventory() {
    on_engine(|provider, folder| async move {
        let fixture = testkit::inventory::Fixture {
            provider: &provider,
            folder: folder.path(),
            foreign_kind: "volume",
            stranger: Some(&Volumes),
        };
        testkit::inventory::all(&fixture).await
    });
}

#[test]
fn the_kit_leaves_nothing_on_the_engine() {
    on_engine(|provider, folder| async move {
        let artifacts = Servers(provider.clone());
        let fixture = testkit::deployer::Fixture {
            provider: &provider,
            folder: folder.path(),
            artifacts: &artifacts,
            stranger: None,
        };
        testkit::deployer::rows_leave_with_their_things(&fixture).await?;
        assert_eq!(left_of(folder.path()), Vec::<String>::new());
        Ok(())
    });
}

/// What still carries the mark of a context that worked below `folder`.
fn left_of(folder: &Path) -> Vec<String> {
    let rigs = std::fs::read_dir(folder).unwrap().flatten();
    let names = rigs.map(|rig| rig.file_name().to_string_lossy().into_owned());
    names
        .flat_map(|unique| {
            let mark = format!("kit{unique}/t{unique}/kit-{unique}/production");
            let label = format!("label=dev.devopser.owner={mark}");
            let lists: [&[&str]; 4] = [
                &["ps", "-aq", "--filter", &label],
                &["network", "ls", "-q", "--filter", &label],
                &["volume", "ls", "-q", "--filter", &label],
                &["images", "-aq", "--filter", &label],
            ];
            lists.map(docker)
        })
        .filter(|text| !text.is_empty())
        .collect()
}
