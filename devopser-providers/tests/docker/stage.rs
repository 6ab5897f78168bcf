//! An installation of its own for each test, removed afterwards whatever happened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use devopser_core::context::{CancellationToken, Context, Ledger};
use devopser_core::id::{AppName, EnvironmentName, ImageRef, ReleaseId, Target, TenantId};
use devopser_core::memory::MemoryServices;
use devopser_core::model::artifact::{Artifact, ImageArtifact};
use devopser_core::model::resource::Owner;
use devopser_core::model::service::{
    Environment, HealthCheck, Limits, ReleasePhase, ReleaseRef, ReleaseStatus, ServiceRef, Upstream,
};
use devopser_core::provider::{
    BuildRequest, Built, DeployRequest, Deployer, DestroyRequest, ImageBuilder, PrepareRequest,
    Provider, ServiceControl,
};
use devopser_core::{Result, Secret};
use devopser_providers::docker::{DockerConfig, provider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const SERVER: &str = r"
const http = require('http');
console.log('starting');
console.error('to stderr');
http.createServer((q, s) => s.end(process.env.GREETING || 'hello')).listen(process.env.PORT, '0.0.0.0');
process.on('SIGTERM', () => process.exit(0));
";
pub(crate) const NODE: &str =
    "FROM node:22-slim\nWORKDIR /app\nCOPY . .\nCMD [\"node\", \"server.js\"]\n";

/// Everything that a test needs.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) provider: Provider,
    pub(crate) ctx: Context,
    pub(crate) memory: Arc<MemoryServices>,
    pub(crate) source: tempfile::TempDir,
    pub(crate) service: ServiceRef,
}

/// Runs a test on a stage and cleans up after it.
pub(crate) fn on_stage<F, Fut>(body: F)
where
    F: FnOnce(Arc<Stage>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    if !has_engine() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stage = Arc::new(Stage::new());
        let ended = tokio::spawn(body(Arc::clone(&stage))).await;
        let cleaned = stage.destroy().await;
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic.into_panic());
        }
        cleaned.unwrap();
        assert_eq!(stage.left(), Vec::<String>::new(), "left on the engine");
        assert_eq!(stage.memory.list().await.unwrap(), [], "left in the ledger");
    });
}

pub(crate) fn has_engine() -> bool {
    let found = Path::new("/var/run/docker.sock").exists();
    if !found {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI has no Docker engine at /var/run/docker.sock"
        );
        eprintln!("SKIPPED: there is no Docker engine at /var/run/docker.sock");
    }
    found
}

/// What the engine's own client prints.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("/usr/bin/docker")
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Stage {
    fn new() -> Self {
        let target = Target {
            tenant: TenantId::new("tester").unwrap(),
            app: AppName::new("stage").unwrap(),
            environment: EnvironmentName::production(),
        };
        let owner = Owner {
            installation: format!("test-{}", Secret::generate(12).expose()),
            target: target.clone(),
        };
        let memory = Arc::new(MemoryServices::default());
        let source = tempfile::tempdir().unwrap();
        let mut ctx = Context::detached(owner, source.path());
        ctx.progress = Arc::<MemoryServices>::clone(&memory);
        ctx.ledger = Arc::<MemoryServices>::clone(&memory);
        ctx.vault = Arc::<MemoryServices>::clone(&memory);
        ctx.lease = Arc::<MemoryServices>::clone(&memory);
        let hash = devopser_core::id::Digest::of(ctx.owner.mark().as_bytes());
        Self {
            provider: provider(DockerConfig::default()).unwrap(),
            service: ServiceRef {
                provider: devopser_core::id::ProviderId::new("docker").unwrap(),
                target,
                name: format!("devopser-stage-production-{}", &hash.hex()[..12]),
            },
            ctx,
            memory,
            source,
        }
    }

    pub(crate) fn deployer(&self) -> &dyn Deployer {
        &**self.provider.deployer().unwrap()
    }

    pub(crate) fn builder(&self) -> &dyn ImageBuilder {
        &**self.provider.image_builder().unwrap()
    }

    pub(crate) fn control(&self) -> &dyn ServiceControl {
        &**self.provider.service_control().unwrap()
    }

    pub(crate) fn cancellable(&self) -> (Context, CancellationToken) {
        let token = CancellationToken::new();
        let ctx = Context {
            cancel: token.clone(),
            ..self.ctx.clone()
        };
        (ctx, token)
    }

    pub(crate) fn mark_label(&self) -> String {
        format!("label=dev.devopser.owner={}", self.ctx.owner.mark())
    }

    pub(crate) fn write(&self, path: &str, content: &str) -> PathBuf {
        let file = self.source.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        file
    }

    pub(crate) fn tag(&self, name: &str) -> ImageRef {
        ImageRef::new(format!(
            "{}:{name}",
            self.ctx.owner.installation.to_lowercase()
        ))
        .unwrap()
    }

    pub(crate) fn request(&self, tag: &str, dockerfile: &str) -> BuildRequest {
        BuildRequest {
            folder: self.source.path().to_owned(),
            dockerfile: dockerfile.into(),
            dockerignore: String::new(),
            tag: self.tag(tag),
            target: None,
            build_args: BTreeMap::new(),
            secrets: BTreeMap::new(),
            no_cache: false,
        }
    }

    /// Builds, a second time where the engine dropped the connection: that is told as what passes, and the pipelines try
    /// such a step again as well.
    pub(crate) async fn build(&self, tag: &str, dockerfile: &str) -> Result<Built> {
        let build = || async {
            let request = self.request(tag, dockerfile);
            self.builder().build(&self.ctx, request).await
        };
        match build().await {
            Err(error) if error.message().ends_with("the connection ended") => build().await,
            built => built,
        }
    }

    pub(crate) async fn prepare(&self) {
        let prepared = self
            .deployer()
            .prepare(&self.ctx, self.prepare_request())
            .await
            .unwrap();
        assert_eq!(prepared.service, self.service);
    }

    pub(crate) fn prepare_request(&self) -> PrepareRequest {
        PrepareRequest {
            target: self.service.target.clone(),
            databases: Vec::new(),
            without_password: Vec::new(),
        }
    }

    pub(crate) fn deploy_request(&self, release: &str, image: &ImageArtifact) -> DeployRequest {
        DeployRequest {
            service: self.service.clone(),
            release: ReleaseId::new(release).unwrap(),
            artifact: Artifact::Image(image.clone()),
            app_port: 3000,
            env: Environment::new(),
            limits: Limits {
                memory_bytes: Some(256 << 20),
                cpu_millis: Some(500),
                pids: Some(100),
            },
            container: Default::default(),
            companions: Vec::new(),
            health: HealthCheck::default(),
        }
    }

    pub(crate) async fn deploy(&self, release: &str, image: &ImageArtifact) -> ReleaseRef {
        self.deployer()
            .deploy(&self.ctx, self.deploy_request(release, image))
            .await
            .unwrap()
    }

    pub(crate) async fn status(&self, release: &ReleaseRef) -> ReleaseStatus {
        self.deployer().status(&self.ctx, release).await.unwrap()
    }

    pub(crate) async fn wait_for(
        &self,
        release: &ReleaseRef,
        phase: ReleasePhase,
    ) -> ReleaseStatus {
        for _ in 0..200 {
            let status = self.status(release).await;
            if status.phase == phase {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never {phase:?}: {:?}", self.status(release).await);
    }

    /// What the app answers, once it does.
    pub(crate) async fn fetch(&self, release: &ReleaseRef) -> String {
        for _ in 0..100 {
            let status = self.status(release).await;
            if let Some(Upstream::Address { address }) = status.upstream
                && let Some(body) = get(address).await
            {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no answer: {:?}", self.status(release).await);
    }

    pub(crate) async fn destroy(&self) -> Result<()> {
        let request = DestroyRequest::Service {
            service: self.service.clone(),
        };
        self.deployer().destroy(&self.ctx, request).await
    }

    /// What carries our mark, as the engine's own client tells it.
    pub(crate) fn left(&self) -> Vec<String> {
        let label = self.mark_label();
        let lists: [&[&str]; 4] = [
            &["ps", "-aq", "--filter", &label],
            &["network", "ls", "-q", "--filter", &label],
            &["volume", "ls", "-q", "--filter", &label],
            &["images", "-aq", "--filter", &label],
        ];
        lists
            .into_iter()
            .flat_map(|list| docker(list).lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}

async fn get(address: std::net::SocketAddr) -> Option<String> {
    let mut connection = tokio::net::TcpStream::connect(address).await.ok()?;
    connection
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| {
        // One chunk, or the body as it is.
        body.lines().nth(1).unwrap_or(body).to_owned()
    })
}
