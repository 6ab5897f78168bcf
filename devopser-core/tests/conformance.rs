//! The conformance kit on the memory cloud, and the promise that every documented behaviour has a case.
#![expect(clippy::unwrap_used, reason = "helpers of a test may unwrap")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::context;
use devopser_core::id::{
    AppName, CodeRepository, CommitSha, EnvironmentName, GitRevision, HostName, IdempotencyKey,
    ImageRef, Region, ServerSize, Target, TenantId, TreePath, WorkflowFile,
};
use devopser_core::memory::{MemoryCloud, MemoryDeployer};
use devopser_core::model::plan::{BuildPlan, Plan};
use devopser_core::model::report::{Database, Detection, Report};
use devopser_core::model::service::{SecretRef, ServiceRef};
use devopser_core::provider::{
    CommentRef, DispatchRequest, FileRead, FileTree, ImageSource, Provider, PullRequest,
    PullRequestRef, ReportRequest, RepositoryRef, ServerImage, StackDetector, WebhookEvent,
};
use devopser_core::testkit::{self, Stranger};
use devopser_core::{Result, Secret};

struct Setup {
    cloud: MemoryCloud,
    provider: Provider,
    folder: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let cloud = MemoryCloud::new();
        Self {
            provider: cloud.provider(),
            cloud,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn stranger(&self) -> Option<&dyn Stranger> {
        Some(&self.cloud)
    }
}

#[tokio::test]
async fn deployer() {
    let setup = Setup::new();
    let fixture = testkit::deployer::Fixture {
        provider: &setup.provider,
        folder: setup.folder.path(),
        artifacts: &setup.cloud,
        stranger: setup.stranger(),
    };
    testkit::deployer::all(&fixture).await.unwrap();
    assert!(setup.cloud.snapshot().made_twice().is_empty());
}

#[tokio::test]
async fn service_control() {
    let setup = Setup::new();
    let fixture = testkit::service_control::Fixture {
        provider: &setup.provider,
        folder: setup.folder.path(),
        artifacts: &setup.cloud,
    };
    testkit::service_control::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn inventory() {
    let setup = Setup::new();
    let fixture = testkit::inventory::Fixture {
        provider: &setup.provider,
        folder: setup.folder.path(),
        foreign_kind: "service",
        stranger: setup.stranger(),
    };
    testkit::inventory::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn image_builder() {
    let setup = Setup::new();
    let fixture = testkit::image_builder::Fixture {
        provider: &setup.provider,
        folder: setup.folder.path(),
        dockerfile: "FROM scratch\nCOPY content /content\n",
        slow_dockerfile: "FROM scratch\nRUN sleep 5\n",
        secret_dockerfile: "FROM scratch\nRUN --mount=type=secret,id=kit cp /run/secrets/kit /left\n",
    };
    testkit::image_builder::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn source_builder() {
    let setup = Setup::new();
    let fixture = testkit::source_builder::Fixture {
        provider: &setup.provider,
        folder: setup.folder.path(),
        command: &["echo", "done"],
        slow_command: Some(&["sleep", "5"]),
    };
    testkit::source_builder::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn http_router() {
    let setup = Setup::new();
    let router = setup.cloud.router();
    let fixture = testkit::http_router::Fixture {
        router: &*router,
        folder: setup.folder.path(),
        serves: false,
    };
    testkit::http_router::all(&fixture).await.unwrap();
    assert!(setup.cloud.snapshot().routes.is_empty());
}

#[tokio::test]
async fn registry() {
    let setup = Setup::new();
    let image = |name: &str| {
        let reference = ImageRef::new(name).unwrap();
        let _ = setup.cloud.add_image(reference.clone(), None);
        ImageSource::Engine { reference }
    };
    let fixture = testkit::registry::Fixture {
        registry: &**setup.provider.registry().unwrap(),
        folder: setup.folder.path(),
        image: image("kit:1"),
        other_image: image("kit:2"),
        stranger: setup.stranger(),
    };
    testkit::registry::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn dns_router() {
    let setup = Setup::new();
    let zone = HostName::new("example.com").unwrap();
    let inner_zone = HostName::new("inner.example.com").unwrap();
    setup.cloud.add_zone(zone.clone());
    setup.cloud.add_zone(inner_zone.clone());
    let fixture = testkit::dns_router::Fixture {
        router: &**setup.provider.dns_router().unwrap(),
        folder: setup.folder.path(),
        zone,
        inner_zone,
        stranger: setup.stranger(),
    };
    testkit::dns_router::all(&fixture).await.unwrap();
}

fn repository(cloud: &MemoryCloud, name: &str) -> CodeRepository {
    let name = CodeRepository::new(name).unwrap();
    let files = [
        ("README.md", "hello"),
        (".github/workflows/deploy.yml", "on: workflow_dispatch"),
    ]
    .map(|(path, text)| (TreePath::new(path).unwrap(), Bytes::from(text)));
    cloud
        .add_code_repository(name.clone(), BTreeMap::from(files))
        .unwrap();
    name
}

#[tokio::test]
async fn code_host() {
    let setup = Setup::new();
    let name = repository(&setup.cloud, "acme/shop");
    let fixture = testkit::code_host::Fixture {
        host: &**setup.provider.code_host().unwrap(),
        folder: setup.folder.path(),
        repository: RepositoryRef {
            url: MemoryCloud::url_of(&name).unwrap(),
            credential: None,
        },
        file: TreePath::new("README.md").unwrap(),
        content: b"hello".to_vec(),
    };
    testkit::code_host::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn secret_source() {
    let setup = Setup::new();
    let (ctx, mut other) = (context(), context());
    other.owner.target.tenant = TenantId::new("other").unwrap();
    let name = SecretRef("api-key".into());
    setup
        .cloud
        .add_secret(ctx.tenant().clone(), name.clone(), Secret::new("sentinel"));
    let fixture = testkit::secret_source::Fixture {
        source: &**setup.provider.secret_source().unwrap(),
        ctx: &ctx,
        other: &other,
        name,
        value: "sentinel",
    };
    testkit::secret_source::all(&fixture).await.unwrap();
}

fn service(app: &str) -> ServiceRef {
    let target = Target {
        tenant: TenantId::new("acme").unwrap(),
        app: AppName::new(app).unwrap(),
        environment: EnvironmentName::production(),
    };
    ServiceRef {
        provider: MemoryCloud::info().id,
        name: MemoryDeployer::service_name(&target),
        target,
    }
}

#[tokio::test]
async fn domain_binder() {
    let setup = Setup::new();
    let fixture = testkit::domain_binder::Fixture {
        binder: &**setup.provider.domain_binder().unwrap(),
        folder: setup.folder.path(),
        service: service("shop"),
        other_service: service("blog"),
        domain: HostName::new("example.com").unwrap(),
        becomes_active: true,
    };
    testkit::domain_binder::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn price_list() {
    let setup = Setup::new();
    let fixture = testkit::price_list::Fixture {
        prices: &**setup.provider.price_list().unwrap(),
        folder: setup.folder.path(),
        plan: Plan {
            report: Report::default(),
            build: BuildPlan::Image {
                dockerfile: "FROM nginx\n".into(),
                dockerignore: String::new(),
                own_dockerfile: true,
                options: Default::default(),
            },
            app_port: 80,
            databases: vec![Database::Postgres],
            without_password: Vec::new(),
            database_env: BTreeMap::new(),
            container: Default::default(),
            limits: None,
            companions: Vec::new(),
            health_path: None,
            run_env: BTreeMap::new(),
            compose: String::new(),
            makes: Vec::new(),
            warnings: Vec::new(),
        },
    };
    testkit::price_list::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn repository_host() {
    let setup = Setup::new();
    let template = repository(&setup.cloud, "acme/template");
    let fixture = testkit::repository_host::Fixture {
        host: &**setup.provider.repository_host().unwrap(),
        code: &**setup.provider.code_host().unwrap(),
        folder: setup.folder.path(),
        account: "acme".into(),
        template,
        stranger: setup.stranger(),
    };
    testkit::repository_host::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn ci_runner() {
    let setup = Setup::new();
    let fixture = testkit::ci_runner::Fixture {
        runner: &**setup.provider.ci_runner().unwrap(),
        folder: setup.folder.path(),
        request: DispatchRequest {
            repository: repository(&setup.cloud, "acme/shop"),
            workflow: WorkflowFile::new("deploy.yml").unwrap(),
            revision: GitRevision::new("main").unwrap(),
            inputs: BTreeMap::new(),
            key: IdempotencyKey::new("replaced").unwrap(),
        },
    };
    testkit::ci_runner::all(&fixture).await.unwrap();
}

#[async_trait]
impl testkit::review_host::Reader for Setup {
    async fn comments(&self, pull_request: &PullRequestRef) -> Result<Vec<String>> {
        Ok(self.cloud.comments(pull_request))
    }

    async fn write(&self, pull_request: &PullRequestRef, text: &str) -> Result<()> {
        self.cloud.add_foreign_comment(pull_request.clone(), text);
        Ok(())
    }

    async fn remove(&self, comment: &CommentRef) -> Result<()> {
        self.cloud.remove_comment(&comment.id);
        Ok(())
    }

    async fn shown(&self, report: &ReportRequest) -> Result<usize> {
        let shown = self
            .cloud
            .reports(&report.repository, &report.commit, &report.environment);
        Ok(shown.len())
    }
}

#[tokio::test]
async fn review_host() {
    let setup = Setup::new();
    let pull_request = PullRequestRef {
        repository: CodeRepository::new("acme/shop").unwrap(),
        number: 7,
    };
    let commit = CommitSha::new("a".repeat(40)).unwrap();
    setup.cloud.set_pull_request(PullRequest {
        reference: pull_request.clone(),
        title: "Change it".into(),
        author: "someone".into(),
        head: commit.clone(),
        head_branch: "change".into(),
        base_branch: "main".into(),
        from_fork: false,
        draft: false,
        open: true,
        labels: Default::default(),
    });
    let body = serde_json::to_vec(&WebhookEvent::Ping).unwrap();
    let fixture = testkit::review_host::Fixture {
        host: &**setup.provider.review_host().unwrap(),
        folder: setup.folder.path(),
        pull_request,
        commit,
        reader: &setup,
        known_event: ("event", &body),
    };
    testkit::review_host::all(&fixture).await.unwrap();
}

#[tokio::test]
async fn server_provider() {
    let setup = Setup::new();
    let fixture = testkit::server_provider::Fixture {
        servers: &**setup.provider.server_provider().unwrap(),
        folder: setup.folder.path(),
        region: Region::new("mem1").unwrap(),
        other_region: Region::new("mem2").unwrap(),
        size: ServerSize::new("small").unwrap(),
        image: ServerImage::Public {
            slug: "base".into(),
        },
        patience: Duration::from_secs(10),
        stranger: setup.stranger(),
    };
    testkit::server_provider::all(&fixture).await.unwrap();
}

/// Recognises a tree by a file `kit.json` with a name in it.
#[derive(Debug)]
struct KitDetector;

impl StackDetector for KitDetector {
    fn id(&self) -> &'static str {
        "kit"
    }

    fn reads(&self) -> &'static [&'static str] {
        &["kit.json"]
    }

    fn detect(&self, tree: &dyn FileTree) -> Option<Detection> {
        let FileRead::Present(content) = tree.read("kit.json") else {
            return None;
        };
        let parsed: serde_json::Value = serde_json::from_slice(&content).unwrap_or_default();
        Some(Detection {
            detector: "kit".into(),
            confidence: if parsed.is_object() { 90 } else { 10 },
            ..Detection::default()
        })
    }
}

#[tokio::test]
async fn stack_detector() {
    let trees = [
        BTreeMap::from([("kit.json".to_owned(), b"{}".to_vec())]),
        BTreeMap::new(),
    ];
    let fixture = testkit::stack_detector::Fixture {
        detector: &KitDetector,
        trees: &trees,
    };
    testkit::stack_detector::all(&fixture).await.unwrap();
}

/// The bullets under "Behavior" in the documentation of the methods of a file.
fn bullets(file: &Path) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let Some(doc) = line.trim().strip_prefix("///") else {
            inside = false;
            continue;
        };
        let doc = doc.trim();
        if let Some(heading) = doc.strip_prefix("# ") {
            inside = heading == "Behavior";
        } else if let (true, Some(bullet)) = (inside, doc.strip_prefix("- ")) {
            found.push(bullet.to_owned());
        }
    }
    found
}

#[test]
fn every_documented_behaviour_has_a_case() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/provider");
    let mut kits: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("ci_runner", testkit::ci_runner::CASES),
        ("code_host", testkit::code_host::CASES),
        ("deployer", testkit::deployer::CASES),
        ("dns_router", testkit::dns_router::CASES),
        ("domain_binder", testkit::domain_binder::CASES),
        ("http_router", testkit::http_router::CASES),
        ("image_builder", testkit::image_builder::CASES),
        ("inventory", testkit::inventory::CASES),
        ("price_list", testkit::price_list::CASES),
        ("registry", testkit::registry::CASES),
        ("repository_host", testkit::repository_host::CASES),
        ("review_host", testkit::review_host::CASES),
        ("secret_source", testkit::secret_source::CASES),
        ("server_provider", testkit::server_provider::CASES),
        ("service_control", testkit::service_control::CASES),
        ("source_builder", testkit::source_builder::CASES),
    ]);
    // The trees of the kit are its own, so a file tree's bullets have no case; a planner is tested where it is written; a
    // blob store has a kit of its own.
    const ELSEWHERE: [&str; 3] = ["blob_store", "planner", "stack_detector"];
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let documented = bullets(&path);
        if ELSEWHERE.contains(&name.as_str()) || documented.is_empty() {
            continue;
        }
        let cases = kits.remove(name.as_str()).unwrap_or_default();
        assert_eq!(
            cases.len(),
            documented.len(),
            "{name}: the cases are {cases:#?}, the documented behaviours {documented:#?}"
        );
    }
    assert!(
        kits.is_empty(),
        "cases without documented behaviour: {kits:?}"
    );
}
