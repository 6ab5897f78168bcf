//! One service of a repository with several: built in the folder that it needs, be that the whole repository, and with the pages
//! that a front end inside it builds for it.

use std::path::Path;

use crate::apps::Expectation;
use crate::command::Devopser;
use crate::scenario::{Run, has_docker};
use crate::web;

const FILES: &[(&str, &str)] = &[
    (
        "package.json",
        r#"{"private": true, "workspaces": ["apps/*", "libs/*"]}"#,
    ),
    (
        "apps/web/package.json",
        r#"{"name": "web", "version": "1.0.0", "scripts": {"start": "node server.js"}, "dependencies": {"words": "1.0.0"}}"#,
    ),
    (
        "apps/web/server.js",
        "require('http').createServer((_, response) => response.end(require('words') + ', says web')).listen(process.env.PORT || 3000);\n",
    ),
    (
        "libs/words/package.json",
        r#"{"name": "words", "version": "1.0.0", "main": "out.js", "scripts": {"build": "node build.js"}}"#,
    ),
    (
        "libs/words/build.js",
        "require('fs').writeFileSync('out.js', 'module.exports = \"built words\"');\n",
    ),
    (
        "services/go/go.mod",
        "module example.test/go\n\ngo 1.21\n\nrequire example.test/words v0.0.0\n\nreplace example.test/words => ../../libs/go\n",
    ),
    (
        "services/go/main.go",
        "package main\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n\t\"os\"\n\n\t\"example.test/words\"\n)\n\nfunc main() {\n\thttp.HandleFunc(\"/\", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, words.Text) })\n\tpanic(http.ListenAndServe(\":\"+os.Getenv(\"PORT\"), nil))\n}\n",
    ),
    ("libs/go/go.mod", "module example.test/words\n\ngo 1.21\n"),
    (
        "libs/go/words.go",
        "package words\n\nconst Text = \"replaced words\"\n",
    ),
    (
        "services/paged/go.mod",
        "module example.test/paged\n\ngo 1.21\n",
    ),
    (
        "services/paged/main.go",
        "package main\n\nimport (\n\t\"embed\"\n\t\"io/fs\"\n\t\"net/http\"\n\t\"os\"\n)\n\n//go:embed all:web/dist\nvar files embed.FS\n\nfunc main() {\n\tpages, err := fs.Sub(files, \"web/dist\")\n\tif err != nil {\n\t\tpanic(err)\n\t}\n\thttp.Handle(\"/\", http.FileServer(http.FS(pages)))\n\tpanic(http.ListenAndServe(\":\"+os.Getenv(\"PORT\"), nil))\n}\n",
    ),
    ("services/paged/web/dist/.gitkeep", ""),
    (
        "services/paged/web/package.json",
        r#"{"name": "pages", "version": "1.0.0", "private": true, "scripts": {"build": "node build.js"}}"#,
    ),
    (
        "services/paged/web/build.js",
        "require('fs').writeFileSync('dist/index.html', '<p>pages of ' + require('./package.json').name + '</p>');\n",
    ),
    (
        "services/released/package.json",
        r#"{"scripts": {"start": "node server.js"}}"#,
    ),
    ("services/released/Procfile", "release: node prepare.js\n"),
    (
        "services/released/prepare.js",
        "require('fs').writeFileSync('tables.txt', 'tables are there');\n",
    ),
    (
        "services/released/server.js",
        "const tables = require('fs').readFileSync('tables.txt');\nlet warm = false;\nrequire('http').createServer((request, response) => {\n  warm ||= request.url === '/warm';\n  response.statusCode = warm ? 200 : 500;\n  response.end(tables);\n}).listen(process.env.PORT || 3000);\n",
    ),
    (
        "services/released/fly.toml",
        "[[http_service.checks]]\npath = '/warm'\n",
    ),
    (
        "services/own/other.js",
        "require('http').createServer((_, response) => response.end('another start')).listen(process.env.PORT);\n",
    ),
    (
        "services/own/Dockerfile",
        "FROM node:22-slim\nWORKDIR /app\nCOPY libs/words libs/words\nCOPY services/own/*.js .\nUSER node\nEXPOSE 3000\nCMD [\"node\", \"server.js\"]\n",
    ),
    (
        "services/own/server.js",
        "require('http').createServer((_, response) => response.end(require('fs').readFileSync('libs/words/build.js', 'utf8').slice(0, 12) + ', copied')).listen(process.env.PORT || 3000);\n",
    ),
];

/// Each service goes live by its root alone.
pub(crate) async fn is_built_with_what_lies_above_it() {
    if !has_docker("member") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let source = scratch.path().join("source");
    for (name, text) in FILES {
        write(&source.join(name), text);
    }
    let services = [
        ("apps/web", None, "built words, says web"),
        ("services/go", None, "replaced words"),
        ("services/paged", None, "<p>pages of pages</p>"),
        ("services/released", None, "tables are there"),
        ("services/own", None, "require('fs', copied"),
        ("services/own", Some("node other.js"), "another start"),
    ];
    for (root, start, content) in services {
        let run = run_of(scratch.path(), &source, root, content);
        let mut options = vec!["--root", root];
        options.extend(start.iter().flat_map(|start| ["--start", start]));
        let url = run.up_with("up", &options).await;
        run.content(&url, content).await;
        run.timed("rm", &["rm", &run.app.name]).await;
        run.nothing_is_left(&url).await;
    }
}

fn write(path: &Path, text: &str) {
    let folder = path.parent().expect("the file lies in a folder");
    std::fs::create_dir_all(folder).expect("a folder can be made");
    std::fs::write(path, text).expect("a file can be written");
}

fn run_of(scratch: &Path, source: &Path, root: &str, content: &str) -> Run {
    let name = root.replace('/', "-");
    let tenant = format!("e2e-member-{}", std::process::id());
    Run {
        app: Expectation {
            path: "/".into(),
            content: content.into(),
            file: String::new(),
            from: String::new(),
            to: String::new(),
            second_content: String::new(),
            name: name.clone(),
        },
        devopser: Devopser::new(&scratch.join(name), &tenant),
        source: source.display().to_string(),
        client: web::client(),
    }
}
