//! The conformance kit on a router that really listens.

use devopser_core::testkit::{self, http_router::Fixture};

use super::support::router;

#[tokio::test]
async fn http_router() {
    let folder = tempfile::tempdir().unwrap();
    let router = router();
    let fixture = Fixture {
        router: &router,
        folder: folder.path(),
        serves: true,
    };
    testkit::http_router::all(&fixture).await.unwrap();
}
