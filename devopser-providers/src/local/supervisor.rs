//! Watches the process of a release and starts it again when it ends by itself, a few times.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use devopser_core::{Context, Result};
use tokio::process::Child;

use super::end::end;
use super::log;
use super::proc::Identity;
use super::runner::{Runner, Slot};
use super::state::{Exit, State};

/// How often a process is started again within [`WINDOW_MS`].
pub(super) const MOST_RESTARTS: usize = 5;
/// The time in which restarts are counted.
const WINDOW_MS: u64 = 10 * 60 * 1000;
/// How long the first restart waits; each further one waits twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How long the worker's lease must last before it starts a process.
pub(super) const LEASE_MARGIN: Duration = Duration::from_secs(2);
/// How often an adopted process is looked at: it is not our child, so the system does not tell.
const LOOK: Duration = Duration::from_millis(250);
/// How often the size of the log is looked at.
const LOG_LOOK: Duration = Duration::from_secs(5);
/// How long what a process left behind may take to end.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// A process that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) identity: Identity,
    /// `None` for one that an earlier worker started.
    pub(super) child: Option<Child>,
}

impl Watched {
    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> (Option<i64>, String) {
        if let Some(child) = &mut self.child {
            return match child.wait().await {
                Ok(status) => describe(status),
                Err(error) => (None, format!("ended, it is not known how: {error}")),
            };
        }
        while self.identity.is_alive() {
            tokio::time::sleep(LOOK).await;
        }
        let how = "ended; its exit code is not known, as an earlier worker had started it";
        (None, how.to_owned())
    }
}

fn describe(status: ExitStatus) -> (Option<i64>, String) {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => (Some(code.into()), format!("exited with code {code}")),
        (None, Some(9)) => (
            Some(137),
            "was killed by signal 9, perhaps for its memory".into(),
        ),
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            let how = format!("was ended by signal {signal}");
            (Some(128 + i64::from(signal)), how)
        }
    }
}

/// Watches a process until it is told to stop (then it hands the process back), or it ended and is not started again.
pub(super) async fn watch(
    runner: Arc<Runner>,
    slot: Arc<Slot>,
    ctx: Context,
    mut watched: Watched,
) -> Option<Watched> {
    loop {
        let (code, how) = loop {
            tokio::select! {
                () = ctx.cancel.cancelled() => return Some(watched),
                ended = watched.ended() => break ended,
                () = tokio::time::sleep(LOG_LOOK) => log::keep_small(&slot.folder).await,
            }
        };
        let exit = Exit {
            code,
            how,
            at: ctx.clock.now_ms(),
        };
        let next = tokio::select! {
            () = ctx.cancel.cancelled() => return Some(watched),
            next = again(&runner, &slot, &ctx, &watched.identity, exit) => next,
        };
        match next {
            Ok(Some(next)) => watched = next,
            Ok(None) => return None,
            Err(error) => {
                tracing::warn!(folder = %slot.folder.display(), %error, "a process could not be started again");
                return None;
            }
        }
    }
}

/// Notes how the process ended, and starts it again when that is due.
async fn again(
    runner: &Arc<Runner>,
    slot: &Arc<Slot>,
    ctx: &Context,
    identity: &Identity,
    exit: Exit,
) -> Result<Option<Watched>> {
    let Some(wait) = note_exit(slot, ctx, identity, exit).await? else {
        return Ok(None);
    };
    tokio::time::sleep(wait).await;
    // Another worker may have taken over; it starts the process, if it is not this one.
    while !ctx.lease.holds_for(LEASE_MARGIN) {
        tokio::time::sleep(LOOK).await;
    }
    let _lock = slot.lock.lock().await;
    let Some(mut state) = current(slot, identity)? else {
        return Ok(None);
    };
    state.restarts = state.restarts.saturating_add(1);
    state.recent.push(ctx.clock.now_ms());
    state.again_at = None;
    runner.launch(ctx, &slot.folder, &mut state).await.map(Some)
}

/// The state, if `identity` is still the process that it knows and it is meant to run.
fn current(slot: &Slot, identity: &Identity) -> Result<Option<State>> {
    let state = State::load(&slot.folder)?;
    Ok(state.filter(|state| state.wanted && state.process.as_ref() == Some(identity)))
}

/// How long to wait until it is started again; `None` when it is not.
async fn note_exit(
    slot: &Slot,
    ctx: &Context,
    identity: &Identity,
    exit: Exit,
) -> Result<Option<Duration>> {
    let _lock = slot.lock.lock().await;
    let Some(mut state) = current(slot, identity)? else {
        return Ok(None);
    };
    // What it left behind may be held by the system; the app itself is noted and started again all the same.
    if let Err(error) = end(&state.name, Some(identity), LEFTOVER_GRACE).await {
        tracing::warn!(folder = %slot.folder.display(), %error, "what a process left behind goes on");
    }
    let wait = until_restart(&mut state, exit.at);
    state.exit = Some(exit);
    state.again_at = wait.map(|wait| {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        ctx.clock.now_ms().saturating_add(wait)
    });
    state.save(&slot.folder).await?;
    Ok(wait)
}

/// Twice as long with each restart of the last ten minutes; `None` before the release was activated, and when there were too
/// many.
fn until_restart(state: &mut State, now: u64) -> Option<Duration> {
    state.recent.retain(|at| at + WINDOW_MS > now);
    let recent = state.recent.len();
    let doublings = u32::try_from(recent).unwrap_or(u32::MAX);
    (state.activated && recent < MOST_RESTARTS)
        .then(|| FIRST_WAIT.saturating_mul(2_u32.saturating_pow(doublings)))
}
