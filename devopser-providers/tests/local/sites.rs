//! Static sites.

use std::fs;
use std::time::Duration;

use devopser_core::id::Digest;
use devopser_core::model::artifact::{Artifact, StaticSite};
use devopser_core::model::service::{ReleasePhase, Upstream};
use devopser_core::provider::LogOptions;
use futures::StreamExt;

use super::support::*;

#[tokio::test]
async fn a_site_is_a_folder_of_its_own_and_stays_as_it_was() {
    let bench = Bench::new();
    let source = tempfile::tempdir().unwrap();
    fs::create_dir(source.path().join("css")).unwrap();
    fs::write(source.path().join("index.html"), "one").unwrap();
    fs::write(source.path().join(".env"), "SECRET").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", source.path().join("out")).unwrap();
    let mut request = app("one");
    request.artifact = Artifact::StaticSite(StaticSite {
        folder: source.path().to_owned(),
        digest: Digest::of(b"one"),
        single_page_app: true,
    });
    let release = bench.deploy(request.clone()).await;
    assert_eq!(bench.deploy(request).await, release);
    let status = bench.status(&release).await;
    assert_eq!(status.phase, ReleasePhase::Running);
    let Some(Upstream::Folder {
        path,
        single_page_app: true,
    }) = status.upstream.clone()
    else {
        panic!("{status:?}");
    };
    fs::write(source.path().join("index.html"), "two").unwrap();
    assert_eq!(fs::read_to_string(path.join("index.html")).unwrap(), "one");
    assert!(!path.join(".env").exists() && !path.join("out").exists());
    assert!(
        bench
            .services
            .notes()
            .iter()
            .any(|line| line.contains("out is left out"))
    );
    let upstream = bench
        .deployer()
        .activate(&bench.ctx, &release)
        .await
        .unwrap();
    assert_eq!(Some(upstream), status.upstream);

    let grace = Duration::from_secs(1);
    bench
        .control()
        .stop(&bench.ctx, &release, grace)
        .await
        .unwrap();
    let status = bench.status(&release).await;
    assert_eq!(
        (status.phase, status.upstream),
        (ReleasePhase::Stopped, None)
    );
    bench.control().start(&bench.ctx, &release).await.unwrap();
    assert_eq!(bench.status(&release).await.phase, ReleasePhase::Running);
    let options = LogOptions {
        last: None,
        follow: true,
    };
    let mut lines = bench.control().logs(&bench.ctx, &release, options);
    assert!(lines.next().await.is_none());
    bench.destroy_all().await;
    assert!(!path.exists());
}
