//! End to end on a real Docker engine: each application that its own generator made goes online with the `devopser`
//! command, answers with its own content, is redeployed with a change, rolled back and removed, and nothing is left.
//!
//! `DEVOPSER_E2E_APPS=express,flask` runs just these. Without a Docker engine the tests say loudly that they were
//! skipped; where `CI` is set that is a failure.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test tells by panicking what is wrong, and prints how long things took"
)]

mod apps;
mod command;
mod docker;
mod scenario;
mod web;

/// One test for each application.
macro_rules! applications {
    ($($test:ident: $name:literal,)+) => {
        const NAMES: &[&str] = &[$($name),+];
        $(
            #[tokio::test]
            async fn $test() {
                scenario::deploys_redeploys_rolls_back_and_leaves_nothing($name).await;
            }
        )+
    };
}

applications! {
    static_site: "static",
    express: "express",
    flask: "flask",
    fastapi: "fastapi",
    php: "php",
    dockerfile: "dockerfile",
    go: "go",
    django: "django",
    postgres: "postgres",
    vite_react: "vite-react",
    nestjs: "nestjs",
    nextjs: "nextjs",
    rust: "rust",
}

#[test]
fn every_application_has_a_test() {
    let mut expected: Vec<String> = apps::expectations()
        .into_iter()
        .map(|app| app.name)
        .collect();
    let mut tested: Vec<&str> = NAMES.to_vec();
    expected.sort();
    tested.sort_unstable();
    assert_eq!(tested, expected);
}
