//! A house for tests: an engine on memory parts, and a worker that is started again whenever it crashes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use devopser_core::Result;
use devopser_core::engine::runtime::MemoryRuntime;
use devopser_core::engine::{Engine, EngineBuilder, EngineParts, Probe, Worker, WorkerOptions};
use devopser_core::id::{AppName, DeploymentId, EnvironmentName, Target, TenantId};
use devopser_core::memory::MemoryCloud;
use devopser_core::model::deployment::Deployment;
use devopser_core::model::plan::{BuildPlan, DeploySpec, Plan};
use devopser_core::model::report::{Database, Report};
use devopser_core::model::service::{HealthCheck, Upstream};
use devopser_core::model::source::Source;
use devopser_core::provider::{Catalog, Planner};
use devopser_core::store::{MemoryBlobStore, MemoryStore, SystemStore};
use devopser_core::vault::KeyRing;

/// Plans one image with one database, whatever the source is.
#[derive(Debug)]
struct OneImage;

impl Planner for OneImage {
    fn plan(&self, folder: &Path, _: &DeploySpec) -> Result<Plan> {
        let page = std::fs::read_to_string(folder.join("page")).unwrap();
        Ok(Plan {
            report: Report::default(),
            build: BuildPlan::Image {
                dockerfile: format!("FROM scratch\nLABEL page={page}\n"),
                dockerignore: String::new(),
                own_dockerfile: false,
                options: Default::default(),
            },
            app_port: 8080,
            databases: vec![Database::Postgres],
            without_password: Vec::new(),
            database_env: [
                (
                    "APP_DATABASE".to_owned(),
                    "${DATABASE_URL}?pool=5".to_owned(),
                ),
                ("APP_CACHE".to_owned(), "${REDIS_URL}".to_owned()),
            ]
            .into(),
            container: Default::default(),
            limits: None,
            companions: Vec::new(),
            health_path: None,
            run_env: Default::default(),
            compose: String::new(),
            makes: Vec::new(),
            warnings: Vec::new(),
        })
    }
}

/// Nothing listens in the memory cloud: what has an address is healthy.
#[derive(Debug)]
struct Believes;

#[async_trait]
impl Probe for Believes {
    async fn answers(
        &self,
        upstream: Option<&Upstream>,
        _: &HealthCheck,
    ) -> std::result::Result<String, String> {
        upstream
            .map(|_| "believed".to_owned())
            .ok_or_else(|| "no address".into())
    }
}

/// An engine on memory parts.
pub(crate) struct House {
    pub(crate) engine: Engine,
    pub(crate) cloud: MemoryCloud,
    pub(crate) runtime: MemoryRuntime,
    pub(crate) system: Arc<MemoryStore>,
    folder: tempfile::TempDir,
    workers: AtomicU32,
}

impl House {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = MemoryCloud::new();
        let runtime = MemoryRuntime::in_real_time();
        let system = Arc::new(MemoryStore::default());
        let engine = EngineBuilder::new(EngineParts {
            records: Arc::<MemoryStore>::clone(&system),
            system: Arc::<MemoryStore>::clone(&system),
            runtime: Arc::new(runtime.clone()),
            blobs: Arc::new(MemoryBlobStore::new()),
            catalog: Catalog::default().with(cloud.provider()),
            router: cloud.router(),
            planner: Arc::new(OneImage),
            keys: Arc::new(KeyRing::generate().unwrap()),
            folder: folder.path().join("work"),
        })
        .probe(Arc::new(Believes))
        .build()
        .await
        .unwrap();
        Self {
            engine,
            cloud,
            runtime,
            system,
            folder,
            workers: AtomicU32::new(0),
        }
    }

    /// The target `shop` of a tenant.
    pub(crate) fn target(tenant: &str) -> Target {
        Target {
            tenant: TenantId::new(tenant).unwrap(),
            app: AppName::new("shop").unwrap(),
            environment: EnvironmentName::production(),
        }
    }

    /// A spec whose source is one page.
    pub(crate) fn spec(&self, target: &Target, page: &str) -> DeploySpec {
        let path = self
            .folder
            .path()
            .join(format!("source-{}-{page}", target.tenant));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("page"), page).unwrap();
        DeploySpec::new(
            target.clone(),
            Source::Folder { path },
            MemoryCloud::info().id,
        )
    }

    /// Starts a worker; the one before it is known to be dead.
    pub(crate) async fn worker(&self) -> Worker {
        let number = self.workers.fetch_add(1, Ordering::SeqCst);
        let options = WorkerOptions {
            holder: format!("worker-{number}"),
            dead_holder: number
                .checked_sub(1)
                .map(|before| format!("worker-{before}")),
        };
        Worker::start(&self.engine, options)
            .await
            .unwrap()
            .expect("the lease is free")
    }

    /// Works until a deployment has ended, with a new worker after every crash.
    pub(crate) async fn to_end(&self, target: &Target, id: &DeploymentId) -> Deployment {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let worker = self.worker().await;
            let ended = tokio::select! {
                record = self.engine.wait(&target.tenant, id, Duration::from_secs(60)) => Some(record.unwrap()),
                () = worker.ended() => None,
            };
            worker.stop().await;
            if let Some(record) = ended {
                return record;
            }
            assert!(Instant::now() < deadline, "it never ended");
        }
    }

    /// Asserts that nothing of a target is left: at the provider, in the ledger, of its port, of its secrets.
    pub(crate) async fn assert_nothing_left(&self, target: &Target) {
        let left = self.cloud.snapshot().left_over("");
        assert!(left.is_empty(), "{left:?}");
        assert!(
            self.system
                .resources(Some(target))
                .await
                .unwrap()
                .is_empty()
        );
        assert!(self.system.ports().await.unwrap().is_empty());
        assert!(
            self.system
                .secret_names(&target.tenant, "")
                .await
                .unwrap()
                .is_empty()
        );
        assert!(self.system.pending().await.unwrap().is_empty());
    }
}
