//! Runs a command to its end.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use devopser_core::{Context, Error, ErrorKind, Result};
use tokio::process::Child;
use tokio::sync::mpsc::{Receiver, channel};

use super::LocalConfig;
use super::end::end;
use super::error::error;
use super::output::{Output, read_lines};
use super::proc::Identity;
use super::spawn::Start;

/// How long a command that must end may take to do so.
const GRACE: Duration = Duration::from_secs(2);
/// How long the last lines may take when all processes ended.
const LAST_LINES_TIME: Duration = Duration::from_secs(1);

/// How a command came to its end.
enum Ended {
    Exited(std::io::Result<ExitStatus>),
    TimedOut,
    Cancelled,
}

/// Runs a command with its output in `ctx.progress`. When it returns, nothing that the command started is left.
pub(super) async fn run(
    ctx: &Context,
    config: &LocalConfig,
    start: Start<'_>,
    timeout: Duration,
) -> Result<()> {
    ctx.check_cancelled()?;
    let command = start.command.join(" ");
    let (mark, failure) = (start.mark.to_owned(), start.failure);
    ctx.progress.log(&format!("$ {command}"));
    let mut child = start.spawn(config, || Ok((Stdio::piped(), Stdio::piped())))?;
    let leader = child
        .id()
        .and_then(|pid| Identity::of(i32::try_from(pid).ok()?));
    let (send, mut lines) = channel(256);
    tokio::spawn(read_lines(child.stdout.take(), send.clone()));
    tokio::spawn(read_lines(child.stderr.take(), send));
    let mut output = Output::default();
    let ended = until_end(ctx, &mut child, &mut lines, &mut output, timeout).await;
    end(&mark, leader.as_ref(), GRACE).await?;
    if !matches!(ended, Ended::Exited(_)) {
        // It is ended, so this only takes its exit code from the system.
        let _ = tokio::time::timeout(GRACE, child.wait()).await;
    }
    while let Ok(Some(line)) = tokio::time::timeout(LAST_LINES_TIME, lines.recv()).await {
        output.add(ctx, line);
    }
    outcome(ended, &command, failure, timeout, output)
}

async fn until_end(
    ctx: &Context,
    child: &mut Child,
    lines: &mut Receiver<String>,
    output: &mut Output,
    timeout: Duration,
) -> Ended {
    let too_late = tokio::time::sleep(timeout);
    tokio::pin!(too_late);
    loop {
        tokio::select! {
            Some(line) = lines.recv() => output.add(ctx, line),
            status = child.wait() => return Ended::Exited(status),
            () = &mut too_late => return Ended::TimedOut,
            () = ctx.cancel.cancelled() => return Ended::Cancelled,
        }
    }
}

fn outcome(
    ended: Ended,
    command: &str,
    failure: ErrorKind,
    timeout: Duration,
    output: Output,
) -> Result<()> {
    let failed = |kind, text: String, output: Output| {
        let error = error(kind, text).with_context("command", command);
        Err(error.with_log(output.into_last()))
    };
    match ended {
        Ended::Exited(Ok(status)) if status.success() => Ok(()),
        Ended::Exited(Ok(status)) => {
            let text = match status.code() {
                Some(code) => format!("\"{command}\" exited with code {code}"),
                None => format!("\"{command}\" was ended: {status}"),
            };
            failed(failure, text, output)
        }
        Ended::Exited(Err(source)) => {
            let text = format!("it is not known how \"{command}\" ended: {source}");
            failed(ErrorKind::Unexpected, text, output)
        }
        Ended::TimedOut => {
            let seconds = timeout.as_secs();
            let text = format!("\"{command}\" was ended: it took longer than {seconds} s");
            failed(ErrorKind::Timeout, text, output)
                .map_err(|error: Error| error.with_retry(devopser_core::Retry::Never))
        }
        Ended::Cancelled => Err(Error::cancelled()),
    }
}
