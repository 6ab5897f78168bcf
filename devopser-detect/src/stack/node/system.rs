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

/// What tells an installation to leave out browsers: those that only tests use, and one that the image has already
/// (<https://docs.cypress.io/app/references/advanced-installation#Skipping-installation>, <https://pptr.dev/guides/configuration>).
pub(super) fn skips(package: &Package, above: Option<&Package>) -> Vec<&'static str> {
    const RUNNERS: &[&str] = &[
        "jest",
        "jest-puppeteer",
        "mocha",
        "vitest",
        "@playwright/test",
    ];
    // Tools of tests that depend on Puppeteer themselves.
    const TESTS: &[&str] = &[
        "@netlify/plugin-lighthouse",
        "backstopjs",
        "netlify-plugin-cypress",
        "pa11y",
        "pa11y-ci",
    ];
    let all = || [Some(package), above].into_iter().flatten();
    let mut found = Vec::new();
    if all().any(|package| package.has("cypress")) {
        found.push("CYPRESS_INSTALL_BINARY=0");
    }
    // A build may need it as well: to make pages out of an application.
    let tests_with = |package: &Package| {
        package.dev_dependencies.contains_key("puppeteer")
            && RUNNERS.iter().any(|runner| package.has(runner))
    };
    let brings =
        |package: &Package| !package.has("puppeteer") && TESTS.iter().any(|test| package.has(test));
    let above_runs_it = above.is_some_and(|above| above.dependencies.contains_key("puppeteer"));
    if !browser(package).is_empty()
        || !above_runs_it && all().any(|package| tests_with(package) || brings(package))
    {
        found.push("PUPPETEER_SKIP_DOWNLOAD=true");
    }
    found
}

/// The browser that a program drives, as a package of Debian's: what Puppeteer downloads has none of the libraries that it needs
/// (<https://pptr.dev/troubleshooting#running-puppeteer-in-docker>).
pub(super) fn browser(package: &Package) -> Vec<&'static str> {
    let drives = package.dependencies.contains_key("puppeteer");
    drives.then_some("chromium").into_iter().collect()
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
    fn a_browser_is_there_for_what_drives_one_and_not_downloaded_for_tests() {
        let of = |text: &str| {
            let package = Package::new(std::rc::Rc::new(serde_json::from_str(text).unwrap()));
            (browser(&package).join(" "), skips(&package, None).join(" "))
        };
        let skipped = "PUPPETEER_SKIP_DOWNLOAD=true".to_owned();
        let drives = of(r#"{"dependencies": {"puppeteer": "24", "express": "5"}}"#);
        assert_eq!(drives, ("chromium".to_owned(), skipped.clone()));
        for tests in [
            r#"{"devDependencies": {"puppeteer": "24", "jest": "30"}}"#,
            r#"{"devDependencies": {"netlify-plugin-cypress": "2"}}"#,
        ] {
            assert_eq!(of(tests), (String::new(), skipped.clone()), "{tests}");
        }
        let renders = of(r#"{"devDependencies": {"puppeteer": "24", "vite": "7"}}"#);
        assert_eq!(renders, Default::default());
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
