//! Trees that were made to hurt: detection ends soon, with an answer or a clear error, never with a panic.

use std::fs;
use std::time::{Duration, Instant};

use devopser_core::ErrorKind;
use devopser_detect::{
    FileTree, FolderTree, Limits, ListingTree, MemoryTree, detect, detect_folder, generate, summary,
};

#[cfg(unix)]
#[test]
fn links_are_not_followed_out_or_around() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(
        outside.path().join("package.json"),
        r#"{"dependencies":{"next":"1"}}"#,
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    std::os::unix::fs::symlink("self", folder.path().join("self")).unwrap();
    std::os::unix::fs::symlink(
        outside.path().join("package.json"),
        folder.path().join("package.json"),
    )
    .unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
    fs::write(folder.path().join("index.html"), "<p>").unwrap();
    let tree = FolderTree::open(folder.path()).unwrap();
    assert_eq!(tree.paths(), ["index.html"]);
    assert_eq!(summary(&detect(&tree)).runtime.as_deref(), Some("static"));
}

#[cfg(unix)]
#[test]
fn names_and_text_that_are_no_utf8_are_survived() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join(std::ffi::OsStr::from_bytes(b"a\xff.js")),
        "x",
    )
    .unwrap();
    fs::write(
        folder.path().join("requirements.txt"),
        b"flask\xff\nredis\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("app.py"),
        b"# \xfe\napp = Flask(__name__)\n",
    )
    .unwrap();
    let report = detect_folder(folder.path()).unwrap();
    assert_eq!(summary(&report).framework.as_deref(), Some("flask"));
    assert_eq!(report.warnings.len(), 1);
}

#[test]
fn a_huge_file_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::File::create(folder.path().join("package.json")).unwrap();
    file.set_len(1 << 33).unwrap();
    let report = detect_folder(folder.path()).unwrap();
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("too large")),
        "{:?}",
        report.warnings
    );
}

#[test]
fn too_many_files_are_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..60 {
        fs::write(folder.path().join(format!("{index}.txt")), "").unwrap();
    }
    let limits = Limits {
        max_files: 50,
        ..Limits::default()
    };
    let error = FolderTree::open_with(folder.path(), limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("more than 50 files"));
    let tree = FolderTree::open_with(
        folder.path(),
        Limits {
            strict: false,
            ..limits
        },
    )
    .unwrap();
    assert!(tree.truncated() && tree.paths().len() == 50);
}

#[test]
fn deep_folders_end_somewhere() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/".repeat(200));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("package.json"), "{}").unwrap();
    let tree = FolderTree::open(folder.path()).unwrap();
    assert!(tree.truncated() && tree.paths().is_empty());
}

#[test]
fn not_a_folder_and_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let report = detect_folder(folder.path()).unwrap();
    assert!(report.stack.is_none());
    assert!(generate(&report, &devopser_detect::GenerateOptions::default()).is_err());
    assert_eq!(
        detect_folder(&folder.path().join("none"))
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidInput
    );
    fs::write(folder.path().join("file"), "").unwrap();
    assert_eq!(
        detect_folder(&folder.path().join("file"))
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn a_hundred_thousand_paths_are_detected_in_time() {
    let mut paths: Vec<(String, &str)> = (0..100_000)
        .map(|index| (format!("src/{}/{index}.js", index % 1000), "x"))
        .collect();
    paths.push((
        "package.json".to_owned(),
        r#"{"scripts":{"start":"node src/1/1.js"}}"#,
    ));
    let tree = MemoryTree::new(paths);
    let start = Instant::now();
    assert_eq!(summary(&detect(&tree)).runtime.as_deref(), Some("node"));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn broken_and_nested_manifests_never_panic() {
    let texts = [
        String::new(), "{".repeat(3_000), "[".repeat(3_000), "<a>".repeat(1_000), "\u{0}\u{1}é\u{ffff}".to_owned(), "a: &a [*a, *a]\n".repeat(50), "- ".repeat(1_000), "x = \"\"\"".to_owned(),
        "{\"scripts\":{\"start\":\"é\"},\"dependencies\":{\"next\":\"é\"},\"workspaces\":[\"../*\",\"**\",\"/\"]}".to_owned(), "FROM é\nRUN <<é".to_owned(), "web: é\n".to_owned(), "port = 99999999999\n".to_owned(),
    ];
    let names = devopser_detect::reads();
    for text in &texts {
        for name in names.iter().chain(&[
            "pyproject.toml",
            "a.csproj",
            "src/main.rs",
            "go.mod",
            "x/y.py",
            "package.json",
        ]) {
            let tree = MemoryTree::new([(*name, text.as_str())]);
            let report = detect(&tree);
            let _ = (
                generate(&report, &devopser_detect::GenerateOptions::default()),
                devopser_detect::explain(&report),
            );
        }
        let all = MemoryTree::new(names.iter().map(|name| (*name, text.as_str())));
        let _ = summary(&detect(&all));
    }
}

#[test]
fn hostile_values_do_not_reach_the_dockerfile() {
    let package = r#"{"packageManager":"pnpm@9\nRUN evil","scripts":{"start":"node a.js\nRUN evil","build":"x\nRUN evil"},"dependencies":{"express":"1"}}"#;
    let node = MemoryTree::new([
        ("package.json", package),
        (".nvmrc", "20\nRUN evil"),
        ("a.js", "listen("),
    ]);
    let script = "plugins { application }\ndependencies { implementation(\"io.ktor:x\") }\n";
    let gradle = MemoryTree::new([
        (
            "settings.gradle.kts",
            "rootProject.name = \"shop\nRUN evil\n\"",
        ),
        ("build.gradle.kts", script),
    ]);
    for tree in [node, gradle] {
        let files = generate(&detect(&tree), &devopser_detect::GenerateOptions::default()).unwrap();
        let mut lines = files.dockerfile.lines();
        assert!(
            !lines.any(|line| line.trim_start().starts_with("RUN evil")),
            "{}",
            files.dockerfile
        );
    }
}

#[test]
fn a_listing_with_a_few_files_is_detected() {
    let mut tree = ListingTree::new([
        "package.json",
        "next.config.js",
        "app/page.tsx",
        "pnpm-lock.yaml",
    ]);
    assert_eq!(summary(&detect(&tree)).runtime, None);
    for path in tree.wanted(10) {
        let content = if path == "package.json" {
            r#"{"dependencies":{"next":"15"}}"#
        } else {
            ""
        };
        tree.add(&path, content);
    }
    let answer = summary(&detect(&tree));
    assert_eq!(
        (
            answer.framework.as_deref(),
            answer.package_manager.as_deref()
        ),
        (Some("next"), Some("pnpm"))
    );
}
