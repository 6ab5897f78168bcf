//! Which commit is taken, and what of it.

use std::fs;

use devopser_core::ErrorKind;
use devopser_core::source::{SnapshotLimits, resolve_git, snapshot_folder};

use super::{Place, field};

#[tokio::test]
async fn every_kind_of_revision_is_taken() {
    let place = Place::new();
    let first = place.commit("index.html", "one");
    place.git(&["tag", "-a", "-m", "first", "v1"]);
    place.git(&["tag", "light"]);
    place.git(&["branch", "feature/a"]);
    let second = place.commit("index.html", "two");
    for (revision, commit) in [
        (None, &second),
        (Some("HEAD"), &second),
        (Some("trunk"), &second),
        (Some("refs/heads/trunk"), &second),
        (Some("feature/a"), &first),
        (Some("v1"), &first),
        (Some("light"), &first),
        (Some(first.as_str()), &first),
        (Some(first.to_ascii_uppercase().as_str()), &first),
        (Some(&first[..7]), &first),
    ] {
        let request = place.request(revision);
        let resolved = resolve_git(&request, &place.told, &place.cancel)
            .await
            .unwrap();
        assert_eq!(&resolved, commit, "{revision:?}");
        let taken = place.take(&request).await.unwrap();
        assert_eq!(&taken.commit, commit, "{revision:?}");
        place.git(&["checkout", "-q", commit]);
        let folder = snapshot_folder(
            &place.repository(),
            &place.folder.path().join("folder.tar"),
            &request.limits,
        )
        .unwrap();
        place.git(&["checkout", "-q", "trunk"]);
        assert_eq!(taken.snapshot, folder, "{revision:?}");
        fs::remove_file(place.out()).unwrap();
    }
}

#[tokio::test]
async fn a_branch_goes_before_a_tag_of_the_same_name() {
    let place = Place::with_a_commit();
    place.git(&["tag", "same"]);
    let second = place.commit("index.html", "two");
    place.git(&["branch", "same"]);
    assert_eq!(
        place
            .take(&place.request(Some("same")))
            .await
            .unwrap()
            .commit,
        second
    );
}

#[tokio::test]
async fn an_unknown_revision_is_told_from_an_unknown_repository() {
    let place = Place::with_a_commit();
    for revision in [
        "none",
        "abcdef0",
        "0123456789012345678901234567890123456789",
        "refs/heads/none",
    ] {
        let error = place.refusal(&place.request(Some(revision))).await;
        assert_eq!(
            (error.kind(), field(&error)),
            (ErrorKind::NotFound, "revision"),
            "{revision}: {error}"
        );
        assert!(error.to_string().contains(revision), "{error}");
    }
    let blob = place.git(&["rev-parse", "HEAD:index.html"]);
    let error = place.refusal(&place.request(Some(&blob))).await;
    assert_eq!(
        (error.kind(), field(&error)),
        (ErrorKind::NotFound, "revision"),
        "{error}"
    );
    let nowhere = format!("file://{}/none", place.folder.path().display());
    let error = place.refusal(&place.request_to(&nowhere, None)).await;
    assert_eq!(
        (error.kind(), field(&error)),
        (ErrorKind::NotFound, "git_url"),
        "{error}"
    );
    let error = Place::new();
    let error = error.refusal(&error.request(None)).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("is empty"), "{error}");
}

#[tokio::test]
async fn what_is_not_taken_is_noted() {
    let place = Place::with_a_commit();
    fs::write(
        place.repository().join(".gitattributes"),
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    )
    .unwrap();
    let commit = place.commit("big.bin", "version https://git-lfs.github.com/spec/v1");
    place.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{commit},vendored"),
    ]);
    place.git(&["commit", "-q", "-m", "submodule"]);
    place.take(&place.request(None)).await.unwrap();
    let told = place.told.text();
    assert!(
        told.contains("Submodules are not fetched: vendored"),
        "{told}"
    );
    assert!(told.contains("Git LFS"), "{told}");
}

#[tokio::test]
async fn limits_and_links_hold_for_git_too() {
    let place = Place::with_a_commit();
    place.commit("second", "12345");
    let mut request = place.request(None);
    request.limits.files = 1;
    let error = place.refusal(&request).await;
    assert!(error.to_string().contains("more than 1 files"), "{error}");
    request.limits = SnapshotLimits {
        file_bytes: 4,
        ..SnapshotLimits::default()
    };
    let error = place.refusal(&request).await;
    assert!(
        error.to_string().contains("\"second\" is 5 bytes"),
        "{error}"
    );
    std::os::unix::fs::symlink("/etc/passwd", place.repository().join("passwd")).unwrap();
    place.commit("third", "x");
    let error = place.refusal(&place.request(None)).await;
    assert!(
        error.to_string().contains("\"passwd\" is a link"),
        "{error}"
    );
}
