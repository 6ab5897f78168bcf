//! The npm packages on the native module.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of a test"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The native module, built now: Cargo does not build a library that it cannot link to a test.
fn built() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let build = Command::new(env!("CARGO"))
        .args([
            "build",
            "--locked",
            "--package",
            "devopser-node",
            "--target-dir",
        ])
        .arg(target)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&build.stderr);
    assert!(build.status.success(), "{text}");
    let (start, end) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    target.join(format!("debug/{start}devopser_node{end}"))
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

fn has_node() -> bool {
    let found = Command::new("node").arg("--version").output().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "CI has no node");
        eprintln!("SKIPPED: the tests of the npm packages, node is not installed");
    }
    found
}

/// Runs the tests of a package and says what they printed.
fn run(folder: &Path, test: &str, passed: &str) {
    let run = Command::new("node")
        .args(["--test", "--test-reporter=tap", test])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{text}");
    assert!(text.contains(passed), "{text}");
}

#[test]
fn the_package_passes_its_own_tests() {
    if !has_node() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy_files(package, scratch.path());
    for folder in ["lib", "tests"] {
        copy_files(&package.join(folder), &scratch.path().join(folder));
    }
    std::fs::copy(built(), scratch.path().join("devopser.node")).unwrap();
    run(scratch.path(), "tests/detect.test.js", "# pass 5");
}

#[test]
fn the_web_components_pass_their_own_tests() {
    if has_node() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web");
        run(&package, "tests/detection-panel.test.js", "# pass 1");
    }
}
