//! What a package's dependencies need of the system.

use crate::scan::node::{Package, major};

/// Packages that are compiled by node-gyp where they have no binary for the Node.js that installs them, each with the first major
/// that has one for every Node.js, as it is built on Node-API (<https://nodejs.org/api/n-api.html#implications-of-abi-stability>).
const COMPILED: &[(&str, Option<u32>)] = &[
    ("bcrypt", Some(5)),
    ("better-sqlite3", None),
    ("deasync", None),
    ("libpq", None),
    ("microtime", Some(3)),
    ("node-expat", None),
    ("node-pty", None),
    ("node-sass", None),
    ("pg-native", None),
    ("re2", None),
    ("sqlite3", Some(5)),
    ("unix-dgram", None),
];

/// Debian's packages, each with the stage that needs it (`build:`, `run:`).
pub(super) fn packages(package: &Package, above: Option<&Package>) -> Vec<&'static str> {
    let all = || [Some(package), above].into_iter().flatten();
    let compiled = |(name, since): &(&str, Option<u32>)| {
        all()
            .filter_map(|package| package.any(name))
            .any(|range| match (since, major(range)) {
                (Some(since), Some(found)) => found < *since,
                (Some(_), None) => false,
                (None, _) => true,
            })
    };
    let mut found = Vec::new();
    if COMPILED.iter().any(compiled) {
        // https://github.com/nodejs/node-gyp#on-unix
        found.extend(["build:g++", "build:make", "build:python3"]);
    }
    if all().any(|package| package.has("pg-native") || package.has("libpq")) {
        // https://github.com/brianc/node-libpq#install
        found.extend(["build:libpq-dev", "run:libpq5"]);
    }
    if all().any(|package| ranges(package).any(is_git)) {
        // https://docs.npmjs.com/cli/configuring-npm/package-json#git-urls-as-dependencies
        found.extend(["build:ca-certificates", "build:git"]);
    }
    found
}

fn ranges(package: &Package) -> impl Iterator<Item = &str> {
    let all = package.dependencies.values();
    all.chain(package.dev_dependencies.values())
        .map(String::as_str)
}

/// Whether a dependency is a repository: an address of Git, or `owner/name` on GitHub.
fn is_git(range: &str) -> bool {
    const STARTS: &[&str] = &[
        "git+",
        "git:",
        "git@",
        "github:",
        "gitlab:",
        "bitbucket:",
        "gist:",
    ];
    let plain = |text: &str| {
        let mut all = text.chars();
        let first = all.next().is_some_and(|char| char.is_ascii_alphanumeric());
        first && all.all(|char| char.is_ascii_alphanumeric() || "._-".contains(char))
    };
    let name = range.split('#').next().unwrap_or(range);
    let short = name
        .split_once('/')
        .is_some_and(|(owner, name)| plain(owner) && plain(name));
    short || STARTS.iter().any(|start| range.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(dependencies: &str) -> Vec<&'static str> {
        let text = format!(r#"{{"dependencies": {{{dependencies}}}}}"#);
        packages(
            &Package::new(std::rc::Rc::new(serde_json::from_str(&text).unwrap())),
            None,
        )
    }

    #[test]
    fn a_compiler_is_there_for_what_may_have_no_binary() {
        let tools = ["build:g++", "build:make", "build:python3"];
        assert_eq!(of(r#""better-sqlite3": "^9.0.0""#), tools);
        assert_eq!(of(r#""bcrypt": "^3.0.6""#), tools);
        assert!(of(r#""bcrypt": "^5.1.1", "express": "4", "sqlite3": "latest""#).is_empty());
    }

    #[test]
    fn a_client_of_postgresql_is_built_with_its_library_and_runs_with_it() {
        let found = of(r#""pg-native": "3""#);
        assert!(found.contains(&"build:libpq-dev") && found.contains(&"run:libpq5"));
    }

    #[test]
    fn git_is_there_for_dependencies_that_are_repositories() {
        let git = ["build:ca-certificates", "build:git"];
        for range in [
            "github:owner/name",
            "owner/name#main",
            "git+https://example.com/name.git",
        ] {
            assert_eq!(of(&format!(r#""name": "{range}""#)), git, "{range}");
        }
        for range in [
            "^1.2.3",
            "npm:other@1",
            "file:../other",
            "workspace:*",
            "./other/name",
            "https://example.com/name.tgz",
        ] {
            assert!(of(&format!(r#""name": "{range}""#)).is_empty(), "{range}");
        }
    }
}
