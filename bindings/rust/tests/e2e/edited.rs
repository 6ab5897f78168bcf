//! Generated files that a person edited: kept by the next `generate`, and built by `up`.

use crate::apps::Expectation;
use crate::command::Devopser;
use crate::scenario::{Run, has_docker};
use crate::web;

const SERVER: &str = "require('http').createServer((_, response) => response.end('edited: ' + process.env.EDITED)).listen(process.env.PORT || 3000);\n";

/// Generate, edit, generate again, up.
pub(crate) async fn what_was_edited_is_kept_and_built() {
    if !has_docker("edited") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let source = scratch.path().join("source");
    std::fs::create_dir(&source).expect("a folder can be made");
    std::fs::write(source.join("server.js"), SERVER).expect("a file can be written");
    let run = Run {
        app: Expectation {
            name: "edited".into(),
            path: "/".into(),
            content: "edited: yes".into(),
            file: String::new(),
            from: String::new(),
            to: String::new(),
            second_content: String::new(),
        },
        devopser: Devopser::new(
            &scratch.path().join("state"),
            &format!("e2e-edited-{}", std::process::id()),
        ),
        source: source.display().to_string(),
        client: web::client(),
    };
    let outcome = |files: &serde_json::Value| files["files"][0]["outcome"].clone();
    let first = run.devopser.succeed(&["generate", &run.source]).await;
    assert_eq!(outcome(&first), "written", "{first}");
    let path = source.join(".deployment/Dockerfile");
    let text = std::fs::read_to_string(&path).expect("the Dockerfile is there");
    std::fs::write(&path, text.replacen("\nUSER", "\nENV EDITED=yes\nUSER", 1))
        .expect("a file can be written");
    let second = run.devopser.succeed(&["generate", &run.source]).await;
    assert_eq!(outcome(&second), "kept", "{second}");
    let url = run.up_with("up", &[]).await;
    run.content(&url, &run.app.content).await;
    run.timed("rm", &["rm", "edited"]).await;
    run.nothing_is_left(&url).await;
}
