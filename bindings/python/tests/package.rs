//! The Python package on the native module.
#![expect(clippy::unwrap_used, reason = "helpers of a test may unwrap")]

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
            "devopser-python",
            "--target-dir",
        ])
        .arg(target)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&build.stderr);
    assert!(build.status.success(), "{text}");
    let (start, end) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    target.join(format!("debug/{start}_devopser{end}"))
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

#[test]
fn the_package_passes_its_own_tests() {
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI has no python3");
        eprintln!("SKIPPED: the tests of the Python package, python3 is not installed");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy_files(&package.join("devopser"), &scratch.path().join("devopser"));
    copy_files(&package.join("tests"), &scratch.path().join("tests"));
    let module = scratch.path().join("devopser/_devopser.abi3.so");
    std::fs::copy(built(), module).unwrap();
    let run = Command::new("python3")
        .args(["-m", "unittest", "discover", "-s", "tests", "-t", "."])
        .current_dir(&scratch)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{text}");
    assert!(text.contains("Ran 5 tests"), "{text}");
}
