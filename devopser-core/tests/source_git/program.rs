//! How the program is run: what never reaches it, and that it always ends.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use devopser_core::id::GitRevision;
use devopser_core::model::source::GitUrl;
use devopser_core::source::snapshot_git;
use devopser_core::{ErrorKind, Secret};

use super::{Place, field};

#[tokio::test]
async fn a_git_that_is_missing_is_told_with_a_remedy() {
    let place = Place::with_a_commit();
    let mut request = place.request(None);
    request.program.search_path = place.folder.path().into();
    let error = place.refusal(&request).await;
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{error}");
    assert!(error.to_string().contains("Install git"), "{error}");
}

#[tokio::test]
async fn urls_and_credentials_that_must_not_reach_git_do_not() {
    let place = Place::new();
    let mark = place.folder.path().join("mark");
    let program = place.script(&format!("touch {}", mark.display()));
    for (url, credential) in [
        ("git@example.com:a/b", false),
        ("ssh://git@example.com/a/b", false),
        ("http://example.com/a/b", true),
        ("http://localhost.example.com/a/b", true),
        ("file:///srv/a", true),
    ] {
        let mut request = place.request_to(url, None);
        request.program = program.clone();
        request.credential = credential.then(|| Secret::new("sentinel-token"));
        let error = place.refusal(&request).await;
        assert_eq!(
            (error.kind(), field(&error)),
            (ErrorKind::InvalidInput, "git_url"),
            "{url}: {error}"
        );
        assert!(!mark.exists(), "{url} reached git");
    }
    for url in [
        "ext::sh -c id",
        "-u",
        "--upload-pack=id",
        "https://h/a b",
        "fd::3",
        "https://u:p@h/a",
    ] {
        assert!(GitUrl::new(url).is_err(), "{url}");
    }
    for revision in [
        "--upload-pack=id",
        "-x",
        "a..b",
        "a b",
        "refs/heads/-x\n",
        "a:b",
        "@{u}",
        "*",
    ] {
        assert!(GitRevision::new(revision).is_err(), "{revision}");
    }
}

fn runs(pid: &Path) -> bool {
    let pid = fs::read_to_string(pid).unwrap_or_default();
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    !pid.trim().is_empty() && !status.is_empty() && !status.contains("State:\tZ")
}

async fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it did not happen"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn cancel_timeout_and_drop_end_everything_that_git_started() {
    for how in ["cancel", "timeout", "drop"] {
        let place = Place::new();
        let pid = place.folder.path().join("pid");
        let mut request = place.request(None);
        // A child that ignores a polite request, as helpers of git may.
        request.program = place.script(&format!(
            "trap '' TERM\nsh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 1; done'",
            pid.display()
        ));
        if how == "timeout" {
            request.program.timeout = Duration::from_secs(1);
        }
        let out = place.out();
        let mut call = Box::pin(snapshot_git(&request, &out, &place.told, &place.cancel));
        let ended = tokio::select! {
            result = &mut call => Some(result.unwrap_err()),
            () = until(|| runs(&pid)) => None,
        };
        let error = match (how, ended) {
            ("drop", None) => {
                drop(call);
                None
            }
            (_, Some(error)) => Some(error),
            (_, None) => {
                if how == "cancel" {
                    place.cancel.cancel();
                }
                Some(call.await.unwrap_err())
            }
        };
        until(|| !runs(&pid)).await;
        assert_eq!(place.left(), 0, "{how}");
        match how {
            "cancel" => assert_eq!(error.unwrap().kind(), ErrorKind::Cancelled),
            "timeout" => assert_eq!(error.unwrap().kind(), ErrorKind::Timeout),
            _ => assert!(error.is_none()),
        }
    }
}
