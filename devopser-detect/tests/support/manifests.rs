//! What the fuzz target and the test with mutated manifests share: an input is a file, and what must hold of it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use devopser_detect::{
    GenerateOptions, MemoryTree, Variables, check_dockerfile, compose_policy, detect,
    dockerfile_policy, explain, generate, summary,
};

/// Files that are read by their ending or place, beside those that [`devopser_detect::reads`] names.
const MORE: &[&str] = &[
    "Dockerfile",
    "compose.yaml",
    "app.csproj",
    "src/main.rs",
    "src/main/resources/application.yml",
    "src/main/resources/application.properties",
    "shop/settings.py",
    "main.py",
    "server.js",
    "index.php",
    "config/database.yml",
    "config/runtime.exs",
    "prisma/schema.prisma",
    "k8s/deployment.yaml",
    "docker-entrypoint.sh",
    "README.md",
];

/// Small manifests that stand beside the file, so that what is only read next to another one is read.
const BESIDE: &[(&str, &str)] = &[
    (
        "package.json",
        r#"{"scripts":{"start":"node server.js"},"dependencies":{"express":"4","prisma":"5"}}"#,
    ),
    ("requirements.txt", "django\ngunicorn\n"),
    ("Gemfile", "gem 'rails'\ngem 'pg'\n"),
    ("composer.json", r#"{"require":{"laravel/framework":"11"}}"#),
    (
        "go.mod",
        "module x.y/z\ngo 1.22\nrequire github.com/gin-gonic/gin v1\n",
    ),
    (
        "Cargo.toml",
        "[package]\nname = \"x\"\n[dependencies]\naxum = \"0.8\"\n",
    ),
    ("mix.exs", "{:phoenix, \"~> 1.7\"}"),
    ("pom.xml", "<project><artifactId>x</artifactId></project>"),
    ("compose.yaml", "services:\n  web:\n    build: web\n"),
];

/// The files of which the first byte of an input picks one.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names = devopser_detect::reads();
    names.extend(MORE);
    names.sort_unstable();
    names.dedup();
    names.truncate(256);
    names
}

/// Whether detection and generation hold what they promise on an input; panics where they do not.
pub(crate) fn check(input: &[u8]) {
    let Some((first, content)) = input.split_first() else {
        return;
    };
    let names = names();
    let name = names[usize::from(*first) % names.len()];
    holds(&MemoryTree::new([(name, content)]));
    let beside = BESIDE.iter().filter(|(known, _)| *known != name);
    let beside: Vec<(&str, &[u8])> = beside
        .map(|(name, text)| (*name, text.as_bytes()))
        .collect();
    let below = format!("web/{name}");
    let mut all = beside.clone();
    all.extend([(name, content), (below.as_str(), content)]);
    let tree = MemoryTree::new(all);
    holds(&tree);
    let text = String::from_utf8_lossy(content);
    let _ = (check_dockerfile(&text), dockerfile_policy(&text));
    let _ = compose_policy(&tree, name, &Variables::default());
}

/// The same answer twice, and a Dockerfile that our own parser accepts.
fn holds(tree: &MemoryTree) {
    let report = detect(tree);
    let told = |report| serde_json::to_string(report).ok();
    assert!(told(&report).is_some());
    assert_eq!(told(&report), told(&detect(tree)), "two looks differ");
    assert!(!explain(&report).is_empty());
    let _ = summary(&report);
    let options = GenerateOptions::default();
    let Ok(files) = generate(&report, &options) else {
        return;
    };
    let again = generate(&report, &options).ok();
    assert_eq!(Some(&files), again.as_ref(), "two generations differ");
    if files.own_dockerfile.is_none() {
        let sound = check_dockerfile(&files.dockerfile);
        assert!(sound.is_ok(), "{sound:?} in\n{}", files.dockerfile);
        let refused = dockerfile_policy(&files.dockerfile);
        assert!(refused.is_empty(), "{refused:?} in\n{}", files.dockerfile);
    }
}

/// The manifests of the fixtures as inputs, in the order of their paths.
pub(crate) fn seeds(fixtures: &Path) -> io::Result<Vec<Vec<u8>>> {
    let (names, mut seeds) = (names(), Vec::new());
    let mut folders: Vec<PathBuf> = vec![fixtures.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
        let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = path.to_string_lossy().replace('\\', "/");
            let fits = |name: &str| text.ends_with(&format!("/{name}"));
            let place = names.iter().position(|name| fits(name));
            if let Some(Ok(place)) = place.map(u8::try_from) {
                let mut seed = vec![place];
                seed.extend(fs::read(&path)?);
                seeds.push(seed);
            }
        }
    }
    Ok(seeds)
}
