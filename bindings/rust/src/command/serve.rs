//! `devopser serve`: the long-lived worker.

use std::time::Duration;

use devopser::{Embedded, Error, ErrorKind, Result, Worker};

use super::args::ServeArguments;
use super::follow::Interrupt;
use super::output::Output;
use super::{DONE, FAILED};

/// How often a worker that was left behind looks whether it is still needed.
const IDLE_TIME: Duration = Duration::from_secs(2);

/// Works until Ctrl-C or a request to end. Apps that run in containers or as processes go on without it; their addresses
/// answer again when the next worker begins.
pub(crate) async fn serve(
    mut embedded: Embedded,
    options: &ServeArguments,
    output: &Output,
) -> Result<u8> {
    log_to_stderr();
    let mut interrupt = Interrupt::new()?;
    let Some(worker) = begin(&mut embedded).await? else {
        return Err(Error::new(
            ErrorKind::Conflict,
            "another worker holds this state folder",
        )
        .with_remedy("Leave it to that one, or name another folder with --state."));
    };
    output.progress("devopser works; Ctrl-C ends it");
    let code = tokio::select! {
        () = interrupt.wait() => DONE,
        () = worker.ended() => FAILED,
        () = idle(&embedded, options.until_idle) => DONE,
    };
    worker.stop().await;
    embedded.release();
    Ok(code)
}

/// Takes the lock; a command that looks whether it is held has it for a moment, so it is tried for a second.
async fn begin(embedded: &mut Embedded) -> Result<Option<Worker>> {
    for _ in 0..20 {
        if let Some(worker) = embedded.try_work().await? {
            return Ok(Some(worker));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(None)
}

/// Ends once there is no app and nothing to do, if that is asked for.
async fn idle(embedded: &Embedded, until_idle: bool) {
    let mut quiet = 0;
    loop {
        tokio::time::sleep(IDLE_TIME).await;
        match embedded.engine().is_idle().await {
            Ok(true) if until_idle => quiet += 1,
            _ => quiet = 0,
        }
        if quiet == 5 {
            return;
        }
    }
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("DEVOPSER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // A second subscriber is refused; the first one then does.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}
