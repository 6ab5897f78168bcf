//! Source built by its own commands.

use std::fs;
use std::time::{Duration, Instant};

use devopser_core::ErrorKind;
use devopser_core::id::Digest;
use devopser_core::model::artifact::Artifact;
use devopser_core::model::plan::BuildPlan;
use devopser_core::provider::{DestroyRequest, SourceBuildRequest};

use super::support::*;

fn source() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in.txt"), "input").unwrap();
    folder
}

fn shell(script: &str) -> Option<Vec<String>> {
    Some(words(&["sh", "-c", script]))
}

fn site(source: &tempfile::TempDir, install: &str, build: &str) -> SourceBuildRequest {
    let plan = BuildPlan::Static {
        install: shell(install),
        build: shell(build),
        output_dir: "dist".into(),
        single_page_app: true,
    };
    SourceBuildRequest::new(source.path(), Digest::of(b"source"), plan)
}

#[tokio::test]
async fn commands_run_in_a_copy_and_once() {
    let (bench, source) = (Bench::new(), source());
    let build =
        "mkdir dist && cp in.txt dist/out.txt && echo \"$MODE\" >&2 && date +%N > dist/when";
    let mut request = site(&source, "echo installing", build);
    request
        .build_env
        .insert("MODE".into(), "for production".into());
    let artifact = bench
        .builder()
        .build(&bench.ctx, request.clone())
        .await
        .unwrap();
    let Artifact::StaticSite(made) = &artifact else {
        panic!("{artifact:?}");
    };
    assert!(made.single_page_app);
    assert_eq!(
        fs::read_to_string(made.folder.join("out.txt")).unwrap(),
        "input"
    );
    assert!(!source.path().join("dist").exists());
    let lines = bench.services.lines();
    for line in ["$ sh -c echo installing", "installing", "for production"] {
        assert!(lines.iter().any(|told| told == line), "{line}: {lines:?}");
    }
    let when = fs::read_to_string(made.folder.join("when")).unwrap();
    let again = bench
        .builder()
        .build(&bench.ctx, request.clone())
        .await
        .unwrap();
    assert_eq!(again, artifact);
    assert_eq!(fs::read_to_string(made.folder.join("when")).unwrap(), when);

    request.build_env.insert("MODE".into(), "other".into());
    let other = bench
        .builder()
        .build(&bench.ctx, request.clone())
        .await
        .unwrap();
    assert_ne!(other.digest(), artifact.digest());

    // A release of it outlives the build.
    let mut deploy = app("one");
    deploy.artifact = artifact.clone();
    let release = bench.deploy(deploy).await;
    let request = DestroyRequest::Artifact {
        service: service(),
        artifact: artifact.clone(),
    };
    for _ in 0..2 {
        bench
            .deployer()
            .destroy(&bench.ctx, request.clone())
            .await
            .unwrap();
    }
    assert!(!made.folder.exists());
    let site = bench.ctx.folder().join("releases/one/site/out.txt");
    assert_eq!(fs::read_to_string(site).unwrap(), "input");
    assert!(bench.status(&release).await.upstream.is_some());
    bench.destroy_all().await;
}

#[tokio::test]
async fn a_secret_of_the_build_is_seen_by_its_commands_only() {
    let (bench, source) = (Bench::new(), source());
    let value = "sentinel-of-the-build";
    let plan = BuildPlan::Process {
        install: None,
        build: shell("test -n \"$TOKEN\" && printf %s \"$TOKEN\" | wc -c > length.txt"),
        start: words(&["sh", "-c", "echo \"token=[$TOKEN]\"; exec sleep 1000"]),
        release: None,
    };
    let mut request = SourceBuildRequest::new(source.path(), Digest::of(b"source"), plan);
    let without = bench.builder().build(&bench.ctx, request.clone()).await;
    assert_eq!(
        without.unwrap_err().kind(),
        devopser_core::ErrorKind::BuildFailed
    );
    request
        .build_secrets
        .insert("TOKEN".into(), devopser_core::Secret::new(value));
    let artifact = bench
        .builder()
        .build(&bench.ctx, request.clone())
        .await
        .unwrap();
    let Artifact::Process(made) = &artifact else {
        panic!("{artifact:?}");
    };
    let length = fs::read_to_string(made.folder.join("length.txt")).unwrap();
    assert_eq!(length.trim(), value.len().to_string());
    assert!(!format!("{artifact:?}{request:?}").contains(value));

    let mut deploy = app("one");
    deploy.artifact = artifact.clone();
    let release = bench.deploy(deploy).await;
    assert_eq!(logs(&bench, &release, None).await, ["token=[]"]);
    let mut folders = vec![bench.folder.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
            let bytes = fs::read(entry.path()).unwrap_or_default();
            let found = bytes
                .windows(value.len())
                .any(|part| part == value.as_bytes());
            assert!(!found, "{} holds the secret", entry.path().display());
        }
    }

    let secret = devopser_core::Secret::new("another-value");
    request.build_secrets.insert("TOKEN".into(), secret);
    let again = bench.builder().build(&bench.ctx, request).await.unwrap();
    assert_eq!(again, artifact, "the value is no part of the key");
    bench.destroy_all().await;
}

#[tokio::test]
async fn a_build_of_an_app_is_run_where_it_was_built() {
    let (bench, source) = (Bench::new(), source());
    let plan = BuildPlan::Process {
        install: None,
        build: shell("echo built > state.txt"),
        start: words(&["sh", "-c", "cat state.txt in.txt; exec sleep 1000"]),
        release: None,
    };
    let request = SourceBuildRequest::new(source.path(), Digest::of(b"source"), plan);
    let artifact = bench.builder().build(&bench.ctx, request).await.unwrap();
    let mut deploy = app("one");
    deploy.artifact = artifact.clone();
    bench.deploy(deploy).await;
    let log = bench.ctx.folder().join("releases/one/app.log");
    until("it wrote", || {
        fs::read_to_string(&log).unwrap_or_default() == "built\ninput"
    })
    .await;
    let request = DestroyRequest::Artifact {
        service: service(),
        artifact,
    };
    let error = bench
        .deployer()
        .destroy(&bench.ctx, request)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    bench.destroy_all().await;
}

#[tokio::test]
async fn a_failing_command_is_told_with_its_last_lines() {
    let (bench, source) = (Bench::new(), source());
    let build = "for n in $(seq 1 100); do echo line $n; done; exit 4";
    let request = site(&source, "true", build);
    let error = bench
        .builder()
        .build(&bench.ctx, request)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BuildFailed);
    assert!(error.message().ends_with("exited with code 4"), "{error}");
    assert_eq!(error.log().len(), 30);
    assert_eq!(error.log().last().unwrap(), "line 100");
    assert!(error.context().iter().any(|(key, _)| key == "command"));
    bench.destroy_all().await;
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let (bench, source) = (Bench::new(), source());
    let mut request = site(&source, "true", "mkdir public");
    let error = bench
        .builder()
        .build(&bench.ctx, request.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BuildFailed);
    assert!(error.message().contains("no folder \"dist\""), "{error}");
    assert!(
        error
            .context()
            .contains(&("folders".into(), "public".into()))
    );

    request.plan = BuildPlan::Process {
        install: Some(words(&["no-such-program", "install"])),
        build: None,
        start: words(&["true"]),
        release: None,
    };
    let error = bench
        .builder()
        .build(&bench.ctx, request.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BuildFailed);
    assert!(
        error
            .message()
            .contains("\"no-such-program\" is not installed")
    );
    assert!(error.remedy().unwrap().contains("Docker"));

    for output_dir in ["../..", "/etc", "link"] {
        request.plan = BuildPlan::Static {
            install: None,
            build: shell("ln -s /etc link"),
            output_dir: output_dir.into(),
            single_page_app: false,
        };
        let error = bench
            .builder()
            .build(&bench.ctx, request.clone())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BuildFailed, "{output_dir}");
    }
    bench.destroy_all().await;
}

#[tokio::test]
async fn a_cancelled_or_late_build_ends_with_everything_that_it_started() {
    let (bench, source) = (Bench::new(), source());
    let script = "setsid sleep 1000 & sleep 1000";
    let mut request = site(&source, "true", script);
    let ctx = bench.ctx.clone();
    let cancel = ctx.cancel.clone();
    let mark = bench.mark();
    let canceller = tokio::spawn(async move {
        until("the build runs", || processes(&mark).len() >= 3).await;
        cancel.cancel();
    });
    let begin = Instant::now();
    let error = bench
        .builder()
        .build(&ctx, request.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    canceller.await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(processes(&bench.mark()), [0; 0]);
    assert!(ctx.ledger.list().await.unwrap().is_empty());

    let next = Bench::at(&bench.folder);
    request.timeout = Duration::from_millis(300);
    let error = next.builder().build(&next.ctx, request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(processes(&next.mark()), [0; 0]);
    next.destroy_all().await;
}

#[tokio::test]
async fn a_build_that_was_cut_off_is_begun_afresh() {
    let (bench, source) = (Bench::new(), source());
    let request = site(&source, "true", "mkdir dist; ls > dist/list");
    let artifact = bench
        .builder()
        .build(&bench.ctx, request.clone())
        .await
        .unwrap();
    let Artifact::StaticSite(made) = artifact else {
        panic!();
    };
    // As if it had been cut off: not done, and half of it there.
    let folder = made.folder.parent().unwrap();
    fs::remove_file(folder.with_extension("done")).unwrap();
    fs::write(folder.join("half"), "").unwrap();
    bench.builder().build(&bench.ctx, request).await.unwrap();
    assert!(!folder.join("half").exists());
    let list = fs::read_to_string(made.folder.join("list")).unwrap();
    assert_eq!(list, "dist\nin.txt\n");
    bench.destroy_all().await;
}

#[tokio::test]
async fn much_output_is_bounded() {
    let (bench, source) = (Bench::new(), source());
    let build = "mkdir dist; yes | head -n 100000; head -c 1000000 /dev/zero | tr '\\0' x";
    let request = site(&source, "true", build);
    bench.builder().build(&bench.ctx, request).await.unwrap();
    let lines = bench.services.lines();
    assert!(lines.len() < 20_100, "{}", lines.len());
    let notes = bench.services.notes();
    assert!(notes.iter().any(|note| note.contains("are left out")));
    bench.destroy_all().await;
}

#[tokio::test]
async fn python_packages_go_into_the_app_and_not_into_the_system() {
    let (bench, source) = (Bench::new(), source());
    if !std::process::Command::new("python3")
        .args(["-c", "import venv, ensurepip"])
        .status()
        .is_ok_and(|status| status.success())
    {
        return;
    }
    let plan = BuildPlan::Process {
        install: Some(words(&["pip", "--version"])),
        build: None,
        start: words(&[
            "python",
            "-c",
            "import sys, time; print(sys.prefix, flush=True); time.sleep(1000)",
        ]),
        release: None,
    };
    let request = SourceBuildRequest::new(source.path(), Digest::of(b"source"), plan);
    let artifact = bench.builder().build(&bench.ctx, request).await.unwrap();
    let mut deploy = app("one");
    deploy.artifact = artifact;
    bench.deploy(deploy).await;
    let log = bench.ctx.folder().join("releases/one/app.log");
    until("it wrote", || {
        fs::read_to_string(&log)
            .unwrap_or_default()
            .ends_with(".venv\n")
    })
    .await;
    bench.destroy_all().await;
}
