//! From a build to a running release and back.

use std::time::Duration;

use devopser_core::ErrorKind;
use devopser_core::id::Digest;
use devopser_core::model::artifact::ImageArtifact;
use devopser_core::model::service::{LogStream, ReleasePhase, Upstream};
use devopser_core::provider::{DestroyRequest, LogOptions};
use futures::{StreamExt, TryStreamExt};

use crate::stage::{NODE, SERVER, docker, on_stage};

#[test]
fn a_release_is_built_run_and_removed() {
    on_stage(|stage| async move {
        stage.write("server.js", SERVER);
        let built = stage.build("1", NODE).await.unwrap();
        stage.prepare().await;
        let release = stage.deploy("rel_1", &built.image).await;
        assert_eq!(stage.fetch(&release).await, "hello");
        let status = stage.status(&release).await;
        assert_eq!(status.phase, ReleasePhase::Running);
        assert_eq!(status.detail, None);
        assert!(status.started_at.is_some());

        // Converges: nothing is started twice.
        let id = docker(&["inspect", "-f", "{{.Id}}", &release.name]);
        assert_eq!(stage.deploy("rel_1", &built.image).await, release);
        assert_eq!(docker(&["inspect", "-f", "{{.Id}}", &release.name]), id);
        let upstream = stage
            .deployer()
            .activate(&stage.ctx, &release)
            .await
            .unwrap();
        assert_eq!(Some(upstream), stage.status(&release).await.upstream);
        let releases = stage
            .deployer()
            .releases(&stage.ctx, &stage.service)
            .await
            .unwrap();
        assert_eq!(releases, std::slice::from_ref(&release));

        for _ in 0..2 {
            let request = DestroyRequest::Release {
                release: release.clone(),
            };
            stage.deployer().destroy(&stage.ctx, request).await.unwrap();
            assert_eq!(stage.status(&release).await.phase, ReleasePhase::Absent);
        }
        let error = stage
            .deployer()
            .activate(&stage.ctx, &release)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn limits_and_hardening_are_really_applied() {
    on_stage(|stage| async move {
        stage.write("server.js", SERVER);
        let built = stage.build("1", NODE).await.unwrap();
        stage.prepare().await;
        let release = stage.deploy("rel_1", &built.image).await;
        let field = |format: &str| docker(&["inspect", "-f", format, &release.name]);
        for (format, expected) in [
            ("{{.HostConfig.Memory}}", "268435456"),
            ("{{.HostConfig.MemorySwap}}", "268435456"),
            ("{{.HostConfig.NanoCpus}}", "500000000"),
            ("{{.HostConfig.PidsLimit}}", "100"),
            ("{{.HostConfig.CapDrop}}", "[ALL]"),
            ("{{.HostConfig.SecurityOpt}}", "[no-new-privileges]"),
            ("{{.HostConfig.RestartPolicy.Name}}", "unless-stopped"),
            ("{{.HostConfig.Init}}", "true"),
            ("{{.HostConfig.Privileged}}", "false"),
            ("{{index .HostConfig.LogConfig.Config \"max-size\"}}", "10m"),
        ] {
            assert_eq!(field(format), expected, "{format}");
        }
        let Some(Upstream::Address { address }) = stage.status(&release).await.upstream else {
            panic!("no address");
        };
        assert!(address.ip().is_loopback());
        let caps = docker(&["exec", &release.name, "grep", "CapEff", "/proc/self/status"]);
        // CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID, NET_BIND_SERVICE.
        assert!(caps.ends_with("00000000000004eb"), "{caps}");
        let new_privileges = docker(&[
            "exec",
            &release.name,
            "grep",
            "NoNewPrivs",
            "/proc/self/status",
        ]);
        assert!(new_privileges.ends_with('1'), "{new_privileges}");
    });
}

#[test]
fn logs_are_read_with_time_and_stream_and_followed() {
    on_stage(|stage| async move {
        let script = "console.log('x'.repeat(40000)); console.error('err'); let n = 0; setInterval(() => console.log('tick ' + n++), 200)";
        stage.write("server.js", script);
        let built = stage.build("1", NODE).await.unwrap();
        stage.prepare().await;
        let release = stage.deploy("rel_1", &built.image).await;
        let follow = LogOptions {
            last: None,
            follow: true,
        };
        let lines: Vec<_> = stage
            .control()
            .logs(&stage.ctx, &release, follow)
            .take(6)
            .try_collect()
            .await
            .unwrap();
        let long = lines
            .iter()
            .find(|line| line.line.starts_with('x'))
            .unwrap();
        assert_eq!(long.line.len(), 40000);
        let error = lines.iter().find(|line| line.line == "err").unwrap();
        assert_eq!(error.stream, LogStream::Stderr);
        assert!(lines.iter().all(|line| line.at.is_some()));
        assert!(lines.iter().any(|line| line.line == "tick 1"));

        // A cancelled follower ends.
        let (ctx, token) = stage.cancellable();
        let stream = stage.control().logs(&ctx, &release, follow);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            token.cancel();
        });
        tokio::time::timeout(Duration::from_secs(10), stream.count())
            .await
            .unwrap();

        // An ended container keeps its log.
        let stop = stage
            .control()
            .stop(&stage.ctx, &release, Duration::from_secs(1));
        stop.await.unwrap();
        let last = LogOptions {
            last: Some(2),
            follow: false,
        };
        let lines: Vec<_> = stage
            .control()
            .logs(&stage.ctx, &release, last)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].line.starts_with("tick"), "{lines:?}");
    });
}

#[test]
fn a_silent_app_can_be_followed_and_stopped_started_and_measured() {
    on_stage(|stage| async move {
        let silent = SERVER.lines().filter(|line| !line.starts_with("console"));
        stage.write("server.js", &silent.collect::<Vec<_>>().join("\n"));
        let built = stage.build("1", NODE).await.unwrap();
        stage.prepare().await;
        let release = stage.deploy("rel_1", &built.image).await;
        assert_eq!(stage.fetch(&release).await, "hello");
        let stats = stage.control().stats(&stage.ctx, &release).await.unwrap();
        assert!(stats.memory_bytes > 1 << 20, "{stats:?}");
        assert_eq!(stats.memory_limit_bytes, Some(256 << 20));
        assert!(stats.pids.unwrap() >= 2, "{stats:?}");
        assert!(stats.network_received_bytes > 0, "{stats:?}");

        for _ in 0..2 {
            let stop = stage
                .control()
                .stop(&stage.ctx, &release, Duration::from_secs(5));
            stop.await.unwrap();
            let status = stage.status(&release).await;
            assert_eq!(status.phase, ReleasePhase::Stopped);
            assert_eq!(status.exit_code, Some(0));
            assert_eq!(status.upstream, None);
        }
        let error = stage
            .control()
            .stats(&stage.ctx, &release)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        for _ in 0..2 {
            stage.control().start(&stage.ctx, &release).await.unwrap();
            assert_eq!(stage.fetch(&release).await, "hello");
        }
        let restart = stage
            .control()
            .restart(&stage.ctx, &release, Duration::from_secs(5));
        restart.await.unwrap();
        assert_eq!(stage.fetch(&release).await, "hello");
    });
}

#[test]
fn an_app_that_exits_is_seen_with_its_code_and_restarts() {
    on_stage(|stage| async move {
        stage.write("server.js", "console.log('no'); process.exit(3)");
        let built = stage.build("1", NODE).await.unwrap();
        stage.prepare().await;
        let release = stage.deploy("rel_1", &built.image).await;
        let status = stage.wait_for(&release, ReleasePhase::Exited).await;
        assert_eq!(status.exit_code, Some(3));
        assert!(!status.out_of_memory);
        assert!(status.restarts >= 1, "{status:?}");
    });
}

#[test]
fn an_app_that_takes_too_much_memory_is_told_apart() {
    on_stage(|stage| async move {
        stage.write(
            "server.js",
            "const a = []; for (;;) a.push(Buffer.alloc(8 << 20, 1))",
        );
        let built = stage.build("1", NODE).await.unwrap();
        stage.prepare().await;
        let mut request = stage.deploy_request("rel_1", &built.image);
        request.limits.memory_bytes = Some(64 << 20);
        let release = stage.deployer().deploy(&stage.ctx, request).await.unwrap();
        let status = stage.wait_for(&release, ReleasePhase::Exited).await;
        assert!(status.out_of_memory, "{status:?}");
        assert_eq!(status.exit_code, Some(137));
    });
}

#[test]
fn a_command_that_is_not_there_is_an_exit_that_the_log_explains() {
    on_stage(|stage| async move {
        let dockerfile = "FROM debian:bookworm-slim\nCMD [\"no-such-program\"]\n";
        let built = stage.build("1", dockerfile).await.unwrap();
        stage.prepare().await;
        let release = stage.deploy("rel_1", &built.image).await;
        let status = stage.wait_for(&release, ReleasePhase::Exited).await;
        assert_eq!(status.exit_code, Some(127));
        let all = LogOptions {
            last: None,
            follow: false,
        };
        let lines: Vec<_> = stage
            .control()
            .logs(&stage.ctx, &release, all)
            .try_collect()
            .await
            .unwrap();
        assert!(lines[0].line.contains("no-such-program"), "{lines:?}");
    });
}

#[test]
fn the_wrong_port_is_told() {
    on_stage(|stage| async move {
        for (release, listen, expected) in [
            ("rel_1", "8081", "the app listens on 8081, not on 3000"),
            (
                "rel_2",
                "3000, '127.0.0.1'",
                "listens on 127.0.0.1:3000 only",
            ),
        ] {
            stage.write(
                "server.js",
                &format!("require('http').createServer(() => 0).listen({listen})"),
            );
            let built = stage.build(release, NODE).await.unwrap();
            stage.prepare().await;
            let release = stage.deploy(release, &built.image).await;
            let mut detail = String::new();
            for _ in 0..50 {
                detail = stage.status(&release).await.detail.unwrap_or_default();
                if detail.contains(expected) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert!(detail.contains(expected), "{detail}");
        }
    });
}

#[test]
fn an_earlier_image_is_rolled_back_to_by_its_digest() {
    on_stage(|stage| async move {
        stage.write("server.js", &SERVER.replace("hello", "first"));
        let first = stage.build("app", NODE).await.unwrap();
        stage.write("server.js", &SERVER.replace("hello", "second"));
        // The same name again: the digest still pins the first.
        let second = stage.build("app", NODE).await.unwrap();
        assert_ne!(first.image.digest, second.image.digest);
        stage.prepare().await;
        let newer = stage.deploy("rel_2", &second.image).await;
        assert_eq!(stage.fetch(&newer).await, "second");
        let older = stage.deploy("rel_3", &first.image).await;
        assert_eq!(stage.fetch(&older).await, "first");

        let gone = ImageArtifact {
            digest: Digest::of(b"nothing"),
            ..first.image.clone()
        };
        let error = stage
            .deployer()
            .deploy(&stage.ctx, stage.deploy_request("rel_4", &gone))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.remedy().is_some());
    });
}
