//! Folders that outlive releases: one that the caller names in a generated image, and one that an own Dockerfile declares.

use std::path::Path;

use crate::apps::Expectation;
use crate::command::Devopser;
use crate::scenario::{Run, has_docker};
use crate::web;

/// Says how often its folder has seen a start.
const SERVER: &str = "const fs = require('fs');\nconst file = process.argv[2] + '/starts';\nconst before = fs.existsSync(file) ? Number(fs.readFileSync(file, 'utf8')) : 0;\nfs.writeFileSync(file, String(before + 1));\nrequire('http').createServer((_, response) => response.end('first version, start ' + (before + 1))).listen(process.env.PORT || 3000);\n";

const PACKAGE: &str = r#"{"scripts": {"start": "node server.js kept/files"}}"#;

const DOCKERFILE: &str = "FROM node:22-slim\nENV FOLDER=/var/lib/counter\nRUN mkdir -p $FOLDER && chown node $FOLDER\nVOLUME $FOLDER\nWORKDIR /app\nCOPY . .\nUSER node\nEXPOSE 3000\nCMD [\"node\", \"server.js\", \"/var/lib/counter\"]\n";

/// Two releases see the same folder; removing the app removes it.
pub(crate) async fn outlives_a_release_and_goes_with_the_app() {
    if !has_docker("data") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let named: &[&str] = &["--data", "kept/files"];
    for (name, file, text, options) in [
        ("named", "package.json", PACKAGE, named),
        ("declared", "Dockerfile", DOCKERFILE, &[]),
    ] {
        let source = scratch.path().join(name);
        std::fs::create_dir(&source).expect("a folder can be made");
        write(&source, "server.js", SERVER);
        write(&source, file, text);
        let run = run_of(scratch.path(), &source, name);
        let url = run.up_with("first up", options).await;
        run.content(&url, "first version, start 1").await;
        write(&source, "server.js", &SERVER.replace("first", "second"));
        let url = run.up_with("second up", options).await;
        run.content(&url, "second version, start 2").await;
        run.timed("rm", &["rm", name]).await;
        run.nothing_is_left(&url).await;
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a file can be written");
}

fn run_of(scratch: &Path, source: &Path, name: &str) -> Run {
    Run {
        app: Expectation {
            name: name.to_owned(),
            path: "/".into(),
            content: String::new(),
            file: String::new(),
            from: String::new(),
            to: String::new(),
            second_content: String::new(),
        },
        devopser: Devopser::new(
            &scratch.join(format!("state-{name}")),
            &format!("e2e-data-{}", std::process::id()),
        ),
        source: source.display().to_string(),
        client: web::client(),
    }
}
