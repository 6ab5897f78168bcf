//! Build variables and secrets: what is built sees them, what is left does not.

use std::path::Path;

use devopser::id::Digest;

use crate::command::Devopser;
use crate::{docker, scenario, web};

/// A value that is found wherever it was left behind.
const SECRET: &str = "sentinel-7f3a91c4-of-the-build";

const PACKAGE: &str = r#"{
  "name": "sealed",
  "engines": { "node": "22" },
  "scripts": { "build": "node build.js", "start": "node server.js" }
}
"#;

/// It prints the secret, as careless builds do, and keeps its hash and the variable.
const BUILD: &str = r#"const { createHash } = require('node:crypto');
const { writeFileSync } = require('node:fs');
const token = process.env.DEPLOY_TOKEN;
if (!token) throw new Error('DEPLOY_TOKEN is not set');
console.log(`using the token ${token} now`);
const hash = createHash('sha256').update(token).digest('hex');
writeFileSync('built.txt', `mode=${process.env.PUBLIC_MODE} sha256:${hash}`);
"#;

const SERVER: &str = r#"const { readFileSync } = require('node:fs');
const left = `left=[${process.env.DEPLOY_TOKEN ?? ''}${process.env.PUBLIC_MODE ?? ''}]`;
require('node:http')
  .createServer((request, answer) => answer.end(`${readFileSync('built.txt')} ${left}`))
  .listen(process.env.PORT, '0.0.0.0');
"#;

const DOCKERFILE: &str = "FROM node:22-slim
WORKDIR /app
COPY . .
ARG PUBLIC_MODE
RUN --mount=type=secret,id=DEPLOY_TOKEN,required=true \\
    DEPLOY_TOKEN=\"$(cat /run/secrets/DEPLOY_TOKEN)\" node build.js
USER node
EXPOSE 3000
CMD [\"node\", \"server.js\"]
";

/// With a generated Dockerfile and with one of the source's own.
pub(crate) async fn are_seen_by_the_build_only() {
    if !scenario::has_docker("secrets") {
        return;
    }
    for own in [None, Some(DOCKERFILE)] {
        let scratch = tempfile::tempdir().expect("a temporary folder can be made");
        let source = scratch.path().join("source");
        std::fs::create_dir(&source).expect("a folder can be made");
        let files = [
            ("package.json", Some(PACKAGE)),
            ("build.js", Some(BUILD)),
            ("server.js", Some(SERVER)),
            ("Dockerfile", own),
        ];
        for (name, text) in files {
            if let Some(text) = text {
                std::fs::write(source.join(name), text).expect("a file can be written");
            }
        }
        let kind = if own.is_some() { "own" } else { "generated" };
        let tenant = format!("e2e-sealed-{kind}-{}", std::process::id());
        let devopser = Devopser::new(&scratch.path().join("state"), &tenant);
        is_sealed(&devopser, &source.display().to_string()).await;
    }
}

async fn is_sealed(devopser: &Devopser, source: &str) {
    let up = [
        "up",
        source,
        "--detach",
        "--verbose",
        "--name",
        "sealed",
        "--provider",
        "docker",
        "--build-env",
        "PUBLIC_MODE=blue-mode",
        "--build-secret",
        "DEPLOY_TOKEN",
    ];
    let missing = devopser.run(&up).await;
    assert_eq!(missing.code, Some(2), "{}", missing.text);
    assert!(
        missing.text.contains("DEPLOY_TOKEN is not set"),
        "{}",
        missing.text
    );

    let ended = devopser.run_with(&up, &[("DEPLOY_TOKEN", SECRET)]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.text);
    let url = ended.json["url"].as_str().expect("up prints a URL");
    let answer = web::client()
        .get(url)
        .send()
        .await
        .expect("the app answers");
    let answer = answer.text().await.expect("the answer is text");
    let expected = format!("mode=blue-mode {} left=[]", Digest::of(SECRET.as_bytes()));
    assert_eq!(answer, expected);

    let tenant = devopser.tenant();
    let layers = docker::layers(tenant);
    assert!(
        holds(&layers, "mode=blue-mode sha256:"),
        "layers are searched as they are"
    );
    assert!(!holds(&layers, SECRET), "a layer holds the secret");
    let said = docker::all_said(tenant);
    assert!(
        said.contains("/run/secrets") || said.contains("server.js"),
        "{said}"
    );
    assert!(!said.contains(SECRET), "{said}");

    let events = devopser.run(&["events", "sealed"]).await;
    assert!(
        events.text.contains("using the token *** now"),
        "{}",
        events.text
    );
    let logs = devopser.run(&["logs", "sealed"]).await;
    for text in [&ended.text, &events.text, &logs.text] {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert_no_file_holds_it(devopser.state());

    devopser.succeed(&["rm", "sealed"]).await;
    assert_eq!(docker::owned_by(tenant), [] as [String; 0]);
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

fn assert_no_file_holds_it(folder: &Path) {
    for entry in std::fs::read_dir(folder)
        .expect("the state can be listed")
        .flatten()
    {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            assert_no_file_holds_it(&path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            assert!(
                !holds(&bytes, SECRET),
                "{} holds the secret",
                path.display()
            );
        }
    }
}
