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
mod bad_input;
mod command;
mod compose;
mod data;
mod docker;
mod edited;
mod kill;
mod load;
mod member;
mod scenario;
mod secrets;
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

#[tokio::test]
async fn a_compose_file_of_its_own_is_carried_out() {
    compose::its_own_compose_file_is_carried_out().await;
}

#[tokio::test]
async fn a_compose_file_that_reaches_for_the_host_is_refused() {
    compose::what_reaches_for_the_host_is_refused().await;
}

#[tokio::test]
async fn a_service_is_built_with_what_lies_above_it() {
    member::is_built_with_what_lies_above_it().await;
}

#[tokio::test]
async fn build_variables_and_secrets_are_seen_by_the_build_only() {
    secrets::are_seen_by_the_build_only().await;
}

#[tokio::test]
async fn an_edited_dockerfile_is_kept_and_built() {
    edited::what_was_edited_is_kept_and_built().await;
}

#[tokio::test]
async fn a_folder_for_data_outlives_a_release() {
    data::outlives_a_release_and_goes_with_the_app().await;
}

#[tokio::test]
async fn a_kill_at_every_step_ends_live() {
    kill::ends_live_whenever_it_is_killed().await;
}

#[tokio::test]
async fn a_redeploy_under_load_loses_nothing() {
    load::no_request_is_lost_in_a_redeploy().await;
}

#[tokio::test]
async fn bad_input_has_a_clear_error_and_leaves_nothing() {
    bad_input::is_told_clearly().await;
}

#[tokio::test]
async fn an_engine_that_stops_in_a_build_is_told_and_cleaned_up_after() {
    bad_input::an_engine_that_stops().await;
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
