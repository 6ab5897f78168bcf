//! Builds.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use devopser_core::{ErrorKind, Secret};

use crate::stage::{Stage, docker, on_stage};

const BASE: &str = "FROM debian:bookworm-slim\n";

fn lines(stage: &Stage) -> String {
    stage.memory.lines().join("\n")
}

fn fact<'a>(error: &'a devopser_core::Error, key: &str) -> Option<&'a str> {
    let found = error.context().iter().find(|(name, _)| name == key);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn a_build_tells_its_lines_and_the_same_again_comes_from_the_cache() {
    on_stage(|stage| async move {
        let file = stage.write("file", "content");
        let dockerfile = format!(
            "{BASE}COPY file /file\nRUN echo from-the-{}; cat /file > /made\nEXPOSE 4000\n",
            stage.ctx.owner.installation
        );
        let built = stage.build("1", &dockerfile).await.unwrap();
        let told = lines(&stage);
        let step = format!("RUN echo from-the-{}", stage.ctx.owner.installation);
        assert!(told.contains(&step), "{told}");
        let output = format!(" from-the-{}", stage.ctx.owner.installation);
        assert!(
            told.lines()
                .any(|line| line.starts_with('#') && line.ends_with(&output))
        );
        assert_eq!(built.image.port, Some(4000));
        assert!(built.size_bytes > 1 << 20);
        assert_eq!(
            docker(&["inspect", "-f", "{{.Id}}", built.image.reference.as_str()]),
            built.image.digest.as_str()
        );

        // Another time of the file's change is no change.
        let earlier = std::time::SystemTime::now() - Duration::from_secs(5000);
        std::fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(earlier)
            .unwrap();
        let again = stage.build("2", &dockerfile).await.unwrap();
        assert_eq!(again.image.digest, built.image.digest);
        assert!(lines(&stage).contains("CACHED"));
    });
}

#[test]
fn a_change_that_keeps_size_and_time_is_seen() {
    on_stage(|stage| async move {
        let time = std::time::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
        let mut digests = Vec::new();
        for content in ["aaaa", "bbbb", "aaaa"] {
            let file = stage.write("file", content);
            std::fs::File::options()
                .write(true)
                .open(&file)
                .unwrap()
                .set_modified(time)
                .unwrap();
            let built = stage.build("1", &format!("{BASE}COPY file /file\n")).await;
            digests.push(built.unwrap().image.digest);
        }
        assert_ne!(digests[0], digests[1]);
        assert_eq!(digests[0], digests[2]);
    });
}

#[test]
fn the_context_is_the_source_without_what_is_ignored() {
    on_stage(|stage| async move {
        stage.write("src/deep/a.txt", "a");
        stage.write("node_modules/m/index.js", "m");
        stage.write("docs/keep.md", "k");
        stage.write("docs/drop.md", "d");
        stage.write("empty-file", "");
        let script = stage.write("run.sh", "#!/bin/sh\n");
        std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let root = stage.source.path();
        std::fs::create_dir(root.join("empty")).unwrap();
        symlink("/etc/hostname", root.join("out")).unwrap();
        symlink("..", root.join("src/loop")).unwrap();
        let mut request = stage.request(
            "1",
            &format!("{BASE}COPY . /c\nRUN cd /c && find . -printf 'SEEN %p %y %m %l\\n' | sort\n"),
        );
        request.dockerignore = "**/node_modules\ndocs\n!docs/keep.md\n".into();
        request.no_cache = true;
        stage.builder().build(&stage.ctx, request).await.unwrap();
        let told = lines(&stage);
        let mut seen: Vec<&str> = told
            .lines()
            .filter_map(|line| Some(line.split_once(" SEEN ./")?.1.trim_end()))
            .collect();
        seen.sort_unstable();
        assert_eq!(
            seen,
            [
                "docs d 755",
                "docs/keep.md f 644",
                "empty d 755",
                "empty-file f 644",
                "out l 777 /etc/hostname",
                "run.sh f 755",
                "src d 755",
                "src/deep d 755",
                "src/deep/a.txt f 644",
                "src/loop l 777 ..",
            ]
        );
    });
}

#[test]
fn a_large_context_of_many_files_arrives_whole() {
    on_stage(|stage| async move {
        for n in 0..3000 {
            stage.write(&format!("many/{}/{n}", n % 50), &n.to_string());
        }
        stage.write("big", &"0123456789abcdef".repeat(1 << 20));
        let dockerfile = format!(
            "{BASE}COPY . /c\nRUN test $(find /c/many -type f | wc -l) = 3000 && test $(stat -c %s /c/big) = 16777216 && test $(cat /c/many/49/2999) = 2999\n"
        );
        stage.build("1", &dockerfile).await.unwrap();
    });
}

#[test]
fn secrets_are_mounted_and_stay_out_of_image_and_log() {
    on_stage(|stage| async move {
        let mut request = stage.request(
            "1",
            &format!(
                "{BASE}ARG WHO\nRUN --mount=type=secret,id=token test \"$(cat /run/secrets/token)\" = \"sentinel-4711\" && test \"$WHO\" = \"a b\" && echo it-was-there\n"
            ),
        );
        request.no_cache = true;
        request.build_args = BTreeMap::from([("WHO".into(), "a b".into())]);
        request.secrets = BTreeMap::from([("token".into(), Secret::new("sentinel-4711"))]);
        let built = stage.builder().build(&stage.ctx, request).await.unwrap();
        let told = lines(&stage);
        assert!(told.contains(" it-was-there"), "{told}");
        let tag = built.image.reference.as_str();
        let history = docker(&["history", "--no-trunc", "-q", tag]) + &docker(&["inspect", tag]);
        assert!(!history.contains("sentinel-4711\""), "{history}");
        let files = docker(&["run", "--rm", tag, "ls", "/run/secrets"]);
        assert_eq!(files, "");
    });
}

/// What a build with this secret leaves in its image; builds it twice, the second time from the cache when it may.
fn left_by_a_secret(dockerfile: &str, secret: Option<&'static str>, is_cached: bool) {
    let dockerfile = dockerfile.to_owned();
    on_stage(move |stage| async move {
        for name in ["1", "2"] {
            let mut request = stage.request(name, &dockerfile);
            let secrets = secret.map(|value| ("token".to_owned(), Secret::new(value)));
            request.secrets = secrets.into_iter().collect();
            let built = stage.builder().build(&stage.ctx, request).await.unwrap();
            let tag = built.image.reference.as_str();
            let left = docker(&["run", "--rm", tag, "cat", "/left"]);
            assert_eq!(left, secret.unwrap_or("none"));
            let history = docker(&["history", "--no-trunc", tag]);
            assert!(!history.contains("token."), "{history}");
        }
        let told = lines(&stage);
        assert!(!told.contains("token."), "{told}");
        assert!(told.contains("type=secret,id=token"), "{told}");
        let runs = told.lines().filter(|line| line.ends_with(" it runs"));
        assert_eq!(runs.count(), if is_cached { 1 } else { 2 }, "{told}");
    });
}

#[test]
fn what_was_made_with_a_secret_is_not_given_to_who_has_another() {
    let unique = Secret::generate(12);
    let command = format!(
        "echo {}; echo it runs; cat /run/secrets/token > /left || echo none > /left",
        unique.expose()
    );
    let plain = format!("{BASE}RUN --mount=type=secret,id=token {command}\n");
    // A form that is not understood: the secret is there, and no step may come from the cache.
    let odd = format!("{BASE}RUN --mount=\"type=secret,id=token\" {command}\n");
    for (dockerfile, is_cached) in [(plain, true), (odd, false)] {
        // Each on a stage of its own, which is another owner, with the same source.
        left_by_a_secret(&dockerfile, Some("first"), is_cached);
        left_by_a_secret(&dockerfile, Some("second"), is_cached);
        left_by_a_secret(&dockerfile, None, is_cached);
    }
}

#[test]
fn a_cache_mount_is_seen_by_its_owner_alone() {
    let unique = Secret::generate(12);
    let mount = format!("--mount=type=cache,id={},target=/kept", unique.expose());
    // Each on a stage of its own, which is another owner.
    for _ in 0..2 {
        let mount = mount.clone();
        on_stage(move |stage| async move {
            for (name, seen) in [("first", "0"), ("second", "1")] {
                let owner = &stage.ctx.owner.installation;
                let command = "ls /kept | wc -l > /seen; touch /kept/left";
                let dockerfile = format!("{BASE}RUN {mount} {command}; : {owner} {name}\n");
                let built = stage.build(name, &dockerfile).await.unwrap();
                let tag = built.image.reference.as_str();
                assert_eq!(
                    docker(&["run", "--rm", tag, "cat", "/seen"]),
                    seen,
                    "{name}"
                );
            }
        });
    }
}

#[test]
fn an_error_of_a_secret_mount_names_it_as_the_dockerfile_does() {
    on_stage(|stage| async move {
        let mount = "RUN --mount=type=secret,id=token,required=true true\n";
        let error = stage
            .build("1", &format!("{BASE}{mount}"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BuildFailed, "{error:?}");
        assert!(
            error.message().contains("secret token not found"),
            "{error:?}"
        );
        assert!(!format!("{error:?}").contains("token."), "{error:?}");
    });
}

#[test]
fn a_step_that_fails_is_told_with_its_lines_and_leaves_nothing() {
    on_stage(|stage| async move {
        let dockerfile = format!(
            "{BASE}RUN for n in $(seq 50); do echo line-$n; done; sleep 0.5; echo oops >&2; exit 7\n"
        );
        let error = stage.build("1", &dockerfile).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BuildFailed, "{error:?}");
        assert!(error.message().contains("exit code 7"), "{error:?}");
        assert!(
            fact(&error, "step").unwrap().contains("RUN for n"),
            "{error:?}"
        );
        assert_eq!(error.log().len(), 30, "{error:?}");
        assert!(error.log().contains(&"oops".to_owned()), "{error:?}");
        assert!(error.remedy().is_some());
        assert_eq!(stage.left(), Vec::<String>::new());
    });
}

#[test]
fn a_missing_file_and_an_invalid_dockerfile_are_told_apart() {
    on_stage(|stage| async move {
        let error = stage
            .build("1", &format!("{BASE}COPY not-there /\n"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BuildFailed, "{error:?}");
        assert!(error.message().contains("not-there"), "{error:?}");
        for (dockerfile, line) in [
            (format!("{BASE}\nRUN true\nNONSENSE here\n"), Some("4")),
            (format!("{BASE}RUN --mount=nonsense true\n"), None),
            (String::new(), None),
        ] {
            let error = stage.build("1", &dockerfile).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
            if line.is_some() {
                assert_eq!(fact(&error, "line"), line, "{error:?}");
            }
            assert!(error.remedy().is_some(), "{error:?}");
        }
    });
}

#[test]
fn a_base_image_that_cannot_be_fetched_is_named() {
    on_stage(|stage| async move {
        // Nothing listens there: the answer does not depend on the network.
        let error = stage
            .build("1", "FROM 127.0.0.1:9/nobody/nothing:1\n")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert_eq!(
            fact(&error, "base_image"),
            Some("127.0.0.1:9/nobody/nothing:1")
        );
    });
}

#[test]
fn a_cancelled_build_ends_at_the_engine_and_leaves_nothing() {
    on_stage(|stage| async move {
        let seconds = "86399";
        let (ctx, token) = stage.cancellable();
        let request = stage.request(
            "1",
            &format!(
                "{BASE}RUN echo {} && sleep {seconds}\n",
                ctx.owner.installation
            ),
        );
        let build = {
            let stage = std::sync::Arc::clone(&stage);
            tokio::spawn(async move { stage.builder().build(&ctx, request).await })
        };
        let runs = || {
            std::fs::read_dir("/proc")
                .unwrap()
                .flatten()
                .any(|process| {
                    std::fs::read(process.path().join("cmdline"))
                        .is_ok_and(|line| line == format!("sleep\0{seconds}\0").into_bytes())
                })
        };
        let begun = Instant::now();
        while !runs() && begun.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(runs(), "{}", lines(&stage));
        token.cancel();
        let cancelled = Instant::now();
        let error = build.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(cancelled.elapsed() < Duration::from_secs(11));
        assert!(!runs(), "the step still runs");
        assert_eq!(stage.left(), Vec::<String>::new());
        use devopser_core::context::Ledger;
        assert_eq!(stage.memory.list().await.unwrap(), []);
    });
}

#[test]
fn an_image_of_somebody_else_is_not_replaced() {
    on_stage(|stage| async move {
        let tag = stage.tag("theirs");
        docker(&["tag", "debian:bookworm-slim", tag.as_str()]);
        let before = docker(&["inspect", "-f", "{{.Id}}", tag.as_str()]);
        let error = stage.build("theirs", BASE).await.unwrap_err();
        let after = docker(&["inspect", "-f", "{{.Id}}", tag.as_str()]);
        docker(&["rmi", tag.as_str()]);
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(before, after);
    });
}
