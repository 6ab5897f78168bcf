//! Ends processes with everything that they started.

use std::time::{Duration, Instant};

use devopser_core::{ErrorKind, Result};
use nix::sys::signal::Signal;

use super::error::{blocking, error};
use super::proc::{self, Identity};

/// How often it is looked whether processes ended.
const LOOK: Duration = Duration::from_millis(40);

/// How long ended processes may take to go away once they have no choice.
const KILL_TIME: Duration = Duration::from_secs(10);

/// Asks everything that belongs to `mark` to end, and ends it after `grace`. When it returns well, nothing of it is left.
pub(super) async fn end(mark: &str, leader: Option<&Identity>, grace: Duration) -> Result<()> {
    if !send(mark, leader, Signal::SIGTERM).await? || gone_within(mark, leader, grace).await? {
        return Ok(());
    }
    let begin = Instant::now();
    // Again and again: a process may start another one just before it ends.
    while send(mark, leader, Signal::SIGKILL).await? {
        if begin.elapsed() > KILL_TIME {
            return Err(error(
                ErrorKind::Unavailable,
                format!("processes of {mark} cannot be ended: the system holds them"),
            )
            .with_remedy("Look at what they wait for, such as a disk that hangs."));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

async fn send(mark: &str, leader: Option<&Identity>, signal: Signal) -> Result<bool> {
    let (mark, leader) = (mark.to_owned(), leader.cloned());
    blocking(move || Ok(proc::signal(&mark, leader.as_ref(), signal))).await
}

async fn gone_within(mark: &str, leader: Option<&Identity>, grace: Duration) -> Result<bool> {
    let begin = Instant::now();
    loop {
        let (name, first) = (mark.to_owned(), leader.cloned());
        let left = blocking(move || Ok(proc::members(&name, first.as_ref()).len())).await?;
        if left == 0 {
            return Ok(true);
        }
        if begin.elapsed() >= grace {
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
    }
}
