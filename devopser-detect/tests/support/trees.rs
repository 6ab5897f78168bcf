//! What the fuzz target and the test with broken trees share: how an input becomes a file tree, and what must hold of it.
//!
//! An input is any number of files: a byte that no text holds, the path, a line end, the content up to the next such byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use devopser_detect::{
    GenerateOptions, MemoryTree, Variables, check_dockerfile, compose_app, compose_builds,
    compose_policy, detect, dockerfile_policy, explain, generate, split_command, summary,
    without_frontend,
};

/// The byte that begins a file; UTF-8 has none such.
const MARK: u8 = 0xff;

/// More files than a mutation needs to find a rule that looks at several.
const MOST_FILES: usize = 48;

/// Files that are read by their ending or place, beside those that [`devopser_detect::reads`] names.
const MORE: &[&str] = &[
    ".github/workflows/ci.yml",
    ".gitlab-ci.yml",
    "app.csproj",
    "app.fsproj",
    "app.sln",
    "app/Dockerfile",
    "apps/web/package.json",
    "compose.yaml",
    "config/database.yml",
    "config/runtime.exs",
    "cmd/web/main.go",
    "docker-entrypoint.sh",
    "Dockerfile",
    "index.php",
    "k8s/deployment.yaml",
    "lib/shop/application.ex",
    "main.py",
    "prisma/schema.prisma",
    "server.js",
    "shop/settings.py",
    "src/main.rs",
    "src/main/java/App.java",
    "src/main/resources/application.properties",
    "src/main/resources/application.yml",
    "web/composer.json",
    "web/package.json",
];

/// Bytes that parsers give a meaning to.
const PIECES: &[&str] = &[
    "\n",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "=",
    "<",
    ">",
    "#",
    "$",
    "${",
    "\\",
    "/",
    "..",
    "*",
    "@",
    "\0",
    "é",
    "\u{feff}",
    "- ",
    "&a ",
    "*a",
    "<<: *a",
    "<<EOF",
    "<!--",
    "]]>",
    "\"\"\"",
    "99999999999999999999",
    "-1",
    "\t",
    "\r\n",
];

/// The paths that detection gives a meaning to, sorted.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names = devopser_detect::reads();
    names.extend(MORE);
    names.sort_unstable();
    names.dedup();
    names
}

/// What a mutation may put in: the beginning of each file that means something, and the signs of the parsers.
pub(crate) fn words() -> Vec<Vec<u8>> {
    let names = names();
    let begin = names.iter().map(|name| file(name, b""));
    let pieces = PIECES.iter().map(|piece| piece.as_bytes().to_vec());
    begin.chain(pieces).collect()
}

/// One file of an input.
pub(crate) fn file(path: &str, content: &[u8]) -> Vec<u8> {
    let mut input = vec![MARK];
    input.extend(path.bytes());
    input.push(b'\n');
    input.extend(content);
    input
}

/// The files of an input; of the same path the last.
fn files(input: &[u8]) -> BTreeMap<String, &[u8]> {
    let parts = input.split(|byte| *byte == MARK).skip(1).take(MOST_FILES);
    parts
        .map(|part| {
            let end = part.iter().position(|byte| *byte == b'\n');
            let (path, content) = part.split_at(end.unwrap_or(part.len()));
            let path = String::from_utf8_lossy(path).into_owned();
            (path, content.get(1..).unwrap_or_default())
        })
        .collect()
}

/// Whether detection, generation and the policies hold what they promise on an input; panics where they do not.
pub(crate) fn check(input: &[u8]) {
    let files = files(input);
    let tree = MemoryTree::new(files.iter().map(|(path, content)| (path.as_str(), content)));
    answers(&tree);
    for (path, content) in &files {
        let text = String::from_utf8_lossy(content);
        if path.contains("ockerfile") {
            dockerfile(&text);
        } else if path.ends_with("yml") || path.ends_with("yaml") {
            compose(&tree, path);
        } else if path.ends_with("Procfile") {
            for line in text.lines() {
                let _ = split_command(line, &BTreeMap::new());
            }
        }
    }
}

/// The same answer twice, and generated files that our own rules accept.
fn answers(tree: &MemoryTree) {
    let report = detect(tree);
    let told = |report| serde_json::to_string(report).ok();
    assert!(told(&report).is_some());
    assert_eq!(told(&report), told(&detect(tree)), "two looks differ");
    assert!(!explain(&report).is_empty());
    let _ = summary(&report);
    for use_own_dockerfile in [true, false] {
        let options = GenerateOptions {
            use_own_dockerfile,
            ..GenerateOptions::default()
        };
        let Ok(files) = generate(&report, &options) else {
            continue;
        };
        let again = generate(&report, &options).ok();
        assert_eq!(Some(&files), again.as_ref(), "two generations differ");
        if files.own_dockerfile.is_some() {
            continue;
        }
        let sound = check_dockerfile(&files.dockerfile);
        assert!(sound.is_ok(), "{sound:?} in\n{}", files.dockerfile);
        let refused = dockerfile_policy(&files.dockerfile);
        assert!(refused.is_empty(), "{refused:?} in\n{}", files.dockerfile);
    }
}

/// What is left of a Dockerfile without its frontend names none.
fn dockerfile(text: &str) {
    let _ = (check_dockerfile(text), dockerfile_policy(text));
    let left = without_frontend(text);
    assert_eq!(left, without_frontend(&left), "a frontend is left");
}

/// What the policy refuses is no app.
fn compose(tree: &MemoryTree, path: &str) {
    let none = Variables::default();
    let refused = compose_policy(tree, path, &none);
    let app = compose_app(tree, path, &none, None);
    assert!(refused.is_empty() || app.is_err(), "{refused:?}");
    let _ = compose_builds(tree, path, &none);
}

/// The trees of the fixtures as inputs with their names, in the order of their names.
pub(crate) fn seeds(fixtures: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut seeds = Vec::new();
    for folder in entries(fixtures)? {
        let root = folder.join("tree");
        let (mut input, mut open) = (Vec::new(), vec![root.clone()]);
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(entries(&path)?);
            } else {
                let name = path.strip_prefix(&root).map_err(io::Error::other)?;
                let name = name.to_string_lossy().replace('\\', "/");
                input.extend(file(&name, &fs::read(&path)?));
            }
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        seeds.push((name.into_owned(), input));
    }
    Ok(seeds)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    Ok(paths)
}
