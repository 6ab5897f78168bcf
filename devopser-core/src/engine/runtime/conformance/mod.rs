//! What every [`DurableRuntime`] must do, as tests: one function for each line under "Behavior" in the port.
//!
//! [`conformance_tests!`](crate::conformance_tests) makes a test of each for a runtime. They run in real time.

mod kit;
mod runs;
mod steps;
mod stops;

pub use runs::*;
pub use steps::*;
pub use stops::*;

/// Makes a `#[tokio::test]` of every conformance function. The argument is an async function without arguments that
/// answers what keeps the runtime's files (or nothing) and the runtime as `Arc<dyn DurableRuntime>`.
#[macro_export]
macro_rules! conformance_tests {
    ($make:path) => {
        $crate::conformance_tests! { $make;
            a_completed_step_is_never_run_again
            attempts_are_counted_over_returned_errors
            a_crash_costs_no_attempt
            a_cancel_is_answered_by_every_call
            a_cancelled_run_starts_no_step
            a_shielded_step_runs_in_spite_of_a_cancel
            a_cancel_replays_at_the_same_place
            a_panic_becomes_a_failure
            a_payload_too_big_is_refused
            concurrent_branches_replay_in_the_same_order
            the_loser_of_a_race_is_cancelled
            time_and_ids_are_the_same_in_a_replay
            a_change_is_taken_by_new_runs_only
            changed_code_is_noticed
            a_foreign_wait_is_noticed
            the_idempotency_key_is_stable
            progress_survives_an_attempt
            an_attempt_has_a_deadline
            a_missing_heartbeat_ends_an_attempt
            a_running_step_is_told_of_a_cancel
            a_shutdown_is_told_and_the_run_goes_on_later
            a_start_can_be_repeated
            a_signal_waits_for_its_taker
            a_timer_goes_on_over_a_restart
            a_run_is_taken_by_one_worker_only
            an_unknown_version_is_left_alone
            a_terminated_run_stops_at_once
            an_unknown_run_is_not_found
            only_ended_runs_are_forgotten
            ended_runs_take_no_signals
            what_is_published_can_be_read
            runs_are_listed_by_the_beginning_of_their_id
        }
    };
    ($make:path; $($name:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (_files, runtime) = $make().await;
                if let Err(error) = $crate::engine::runtime::conformance::$name(runtime).await {
                    panic!("{error:?}");
                }
            }
        )+
    };
}
