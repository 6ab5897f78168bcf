//! A provider in a folder of its own, and what tests need to look at it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use devopser_core::Context;
use devopser_core::id::{
    AppName, Digest, EnvName, EnvironmentName, ProviderId, ReleaseId, Target, TenantId,
};
use devopser_core::memory::MemoryServices;
use devopser_core::model::artifact::{Artifact, ProcessArtifact};
use devopser_core::model::resource::Owner;
use devopser_core::model::service::{
    EnvValue, HealthCheck, Limits, ReleasePhase, ReleaseRef, ReleaseStatus, ServiceRef, Upstream,
};
use devopser_core::provider::{
    DeployRequest, Deployer, DestroyRequest, Inventory, InventoryExt, LogOptions, Provider,
    ServiceControl, SourceBuilder,
};
use devopser_providers::local::{LocalConfig, provider};
use futures::StreamExt;

pub(crate) struct Bench {
    pub(crate) folder: PathBuf,
    pub(crate) provider: Provider,
    pub(crate) ctx: Context,
    pub(crate) services: Arc<MemoryServices>,
    temporary: Option<tempfile::TempDir>,
}

pub(crate) fn target() -> Target {
    Target {
        tenant: TenantId::new("acme").unwrap(),
        app: AppName::new("shop").unwrap(),
        environment: EnvironmentName::production(),
    }
}

pub(crate) fn service() -> ServiceRef {
    ServiceRef {
        provider: ProviderId::new("local").unwrap(),
        target: target(),
        name: target().key(),
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut bench = Self::at(temporary.path());
        bench.temporary = Some(temporary);
        bench
    }

    /// A worker whose things lie in `folder`, as an earlier worker may have left them.
    pub(crate) fn at(folder: &Path) -> Self {
        let config = LocalConfig {
            search_path: std::env::var("PATH").unwrap(),
            ..LocalConfig::new(folder.join("state"))
        };
        // The marks of tests that run at the same time must differ.
        let installation = folder.file_name().unwrap().to_string_lossy().into_owned();
        let target_folder = folder.join("target");
        std::fs::create_dir_all(&target_folder).unwrap();
        let owner = Owner {
            installation,
            target: target(),
        };
        let services = Arc::new(MemoryServices::default());
        let ctx = Context {
            ledger: Arc::<MemoryServices>::clone(&services) as _,
            vault: Arc::<MemoryServices>::clone(&services) as _,
            progress: Arc::<MemoryServices>::clone(&services) as _,
            ..Context::detached(owner, target_folder)
        };
        Self {
            folder: folder.to_owned(),
            provider: provider(config).unwrap(),
            ctx,
            services,
            temporary: None,
        }
    }

    pub(crate) fn deployer(&self) -> &dyn Deployer {
        self.provider.deployer.as_deref().unwrap()
    }

    pub(crate) fn control(&self) -> &dyn ServiceControl {
        self.provider.service_control.as_deref().unwrap()
    }

    pub(crate) fn builder(&self) -> &dyn SourceBuilder {
        self.provider.source_builder.as_deref().unwrap()
    }

    pub(crate) fn inventory(&self) -> &dyn Inventory {
        self.provider.inventory.as_deref().unwrap()
    }

    pub(crate) fn mark(&self) -> String {
        self.ctx.owner.mark()
    }

    pub(crate) async fn deploy(&self, request: DeployRequest) -> ReleaseRef {
        self.deployer().deploy(&self.ctx, request).await.unwrap()
    }

    pub(crate) async fn status(&self, release: &ReleaseRef) -> ReleaseStatus {
        self.deployer().status(&self.ctx, release).await.unwrap()
    }

    /// Waits until the release is in `phase`.
    pub(crate) async fn reach(&self, release: &ReleaseRef, phase: ReleasePhase) -> ReleaseStatus {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let status = self.status(release).await;
            if status.phase == phase {
                return status;
            }
            assert!(Instant::now() < end, "not {phase:?} in time: {status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the release answers, and says where.
    pub(crate) async fn address(&self, release: &ReleaseRef) -> SocketAddr {
        match self.reach(release, ReleasePhase::Running).await.upstream {
            Some(Upstream::Address { address }) => address,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn destroy_all(&self) {
        let request = DestroyRequest::Service { service: service() };
        self.deployer().destroy(&self.ctx, request).await.unwrap();
        assert_eq!(processes(&self.mark()), [0; 0], "processes are left");
        let ledger = self.ctx.ledger.list().await.unwrap();
        assert!(ledger.is_empty(), "{ledger:?}");
        let owned = self
            .inventory()
            .all_owned(&self.ctx, &self.mark())
            .await
            .unwrap();
        assert!(owned.is_empty(), "{owned:?}");
        let left: Vec<_> = std::fs::read_dir(self.ctx.folder()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        if self.temporary.is_some() {
            for pid in processes(&self.mark()) {
                let pid = nix::unistd::Pid::from_raw(pid);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
        }
    }
}

/// The processes that carry a mark that begins with `prefix`.
pub(crate) fn processes(prefix: &str) -> Vec<i32> {
    let entry = format!("DEVOPSER_RELEASE={prefix}");
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable.starts_with(entry.as_bytes()))
        })
        .collect()
}

/// This program, as an app.
pub(crate) fn app_command() -> Vec<String> {
    let program = std::env::current_exe().unwrap();
    [
        program.to_str().unwrap(),
        "--exact",
        "app::play_app",
        "--nocapture",
    ]
    .map(str::to_owned)
    .to_vec()
}

pub(crate) fn request(release: &str, command: Vec<String>) -> DeployRequest {
    let mut env = BTreeMap::new();
    let role = EnvValue::Plain("app".into());
    env.insert(EnvName::new("ROLE").unwrap(), role);
    DeployRequest {
        service: service(),
        release: ReleaseId::new(release).unwrap(),
        artifact: Artifact::Process(ProcessArtifact {
            folder: std::env::temp_dir(),
            digest: Digest::of(release.as_bytes()),
            command,
            release: None,
        }),
        app_port: 3000,
        env,
        limits: Limits::default(),
        container: Default::default(),
        companions: Vec::new(),
        health: HealthCheck::default(),
    }
}

pub(crate) fn app(release: &str) -> DeployRequest {
    request(release, app_command())
}

pub(crate) fn words(command: &[&str]) -> Vec<String> {
    command.iter().map(|word| (*word).to_owned()).collect()
}

/// Fetches a path; an empty text when there is no answer.
pub(crate) fn fetch(address: SocketAddr, path: &str) -> String {
    let fetched = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = fetched().unwrap_or_default();
    answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default()
}

pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a release wrote, once it wrote something.
pub(crate) async fn logs(bench: &Bench, release: &ReleaseRef, last: Option<u32>) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let options = LogOptions {
            last,
            follow: false,
        };
        let lines = bench.control().logs(&bench.ctx, release, options);
        let lines: Vec<String> = lines.map(|line| line.unwrap().line).collect().await;
        if !lines.is_empty() || Instant::now() > end {
            return lines;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
