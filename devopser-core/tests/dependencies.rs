//! What may be in the dependency tree, and what may not.
#![expect(clippy::expect_used, reason = "helpers of a test may unwrap")]

use std::collections::BTreeSet;
use std::process::Command;

/// The names of the packages in a tree of normal dependencies.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--prefix",
            "none",
            "--edges",
            "normal",
        ])
        .args(["--format", "{p}"])
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo tree {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn without(tree: &BTreeSet<String>, unwanted: &[&str]) {
    let found: Vec<&&str> = unwanted
        .iter()
        .filter(|name| tree.contains(**name))
        .collect();
    assert!(found.is_empty(), "must not be in the tree: {found:?}");
}

#[test]
fn the_bare_core_has_no_client_no_database_and_no_tls() {
    let core = tree(&["--package", "devopser-core", "--no-default-features"]);
    assert!(core.contains("devopser-core") && core.contains("tokio"));
    without(
        &core,
        &[
            "reqwest",
            "hyper",
            "hyper-util",
            "bollard",
            "sqlx",
            "durare",
            "rustls",
            "ring",
            "octocrab",
            "devopser-providers",
            "devopser-detect",
            "axum",
        ],
    );
    assert!(
        !core.iter().any(|name| name.starts_with("aws-")),
        "{core:?}"
    );
}

#[test]
fn the_core_knows_no_provider_with_all_its_features_either() {
    let core = tree(&["--package", "devopser-core", "--all-features"]);
    without(
        &core,
        &[
            "bollard",
            "octocrab",
            "devopser-providers",
            "devopser-detect",
        ],
    );
}

#[test]
fn ring_is_the_one_tls_provider_of_the_workspace() {
    let all = tree(&["--workspace", "--all-features"]);
    assert!(all.contains("ring") && all.contains("rustls"));
    without(
        &all,
        &[
            "aws-lc-rs",
            "aws-lc-sys",
            "openssl",
            "openssl-sys",
            "native-tls",
            "tokio-native-tls",
            "hyper-tls",
            "boring",
            "rustls-openssl",
            "rustls-rustcrypto",
            "rustls-symcrypt",
        ],
    );
}
