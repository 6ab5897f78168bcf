//! Following a deployment: steps with their time, the build's output folded to one line on a terminal.

use std::time::{Duration, Instant};

use devopser::id::DeploymentId;
use devopser::{Deployment, EventKind, Result, StoredEvent, id::TenantId};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::Output;
use super::session::Session;

/// How many of the last output lines are shown when a step fails and nothing better is known.
const LAST_LINES: usize = 20;

/// After this long without an event it is asked whether somebody still works.
const QUIET_TIME: Duration = Duration::from_secs(2);

/// Ctrl-C and the request to end, as one.
#[derive(Debug)]
pub(crate) struct Interrupt {
    ctrl_c: Signal,
    terminate: Signal,
}

impl Interrupt {
    /// Catches both from now on.
    pub(crate) fn new() -> Result<Self> {
        let caught = |kind| {
            signal(kind).map_err(|source| {
                devopser::Error::unexpected("a signal cannot be caught").with_source(source)
            })
        };
        Ok(Self {
            ctrl_c: caught(SignalKind::interrupt())?,
            terminate: caught(SignalKind::terminate())?,
        })
    }

    /// Ends at the next one.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Prints what happens in a deployment until it has ended. Ctrl-C cancels it, and its end is waited for. When nothing is
/// heard for a while, it is made sure that somebody still works.
pub(crate) async fn follow(
    session: &mut Session<'_>,
    tenant: &TenantId,
    id: &DeploymentId,
    interrupt: &mut Interrupt,
    verbose: bool,
    output: &Output,
) -> Result<Deployment> {
    let engine = session.engine().clone();
    let mut printer = Printer::new(verbose, output);
    let mut following = engine.follow(tenant, id, 0);
    let mut asked = false;
    loop {
        let events = tokio::select! {
            events = following.next() => events?,
            () = interrupt.wait(), if !asked => {
                asked = true;
                output.progress("cancelling; what was made is removed …");
                engine.cancel(tenant, id).await?;
                continue;
            }
            () = tokio::time::sleep(QUIET_TIME) => {
                session.ensure_worker().await?;
                continue;
            }
        };
        if events.is_empty() {
            break;
        }
        for event in &events {
            printer.event(event);
        }
    }
    printer.end();
    engine.deployment(tenant, id).await
}

/// Turns events into lines.
#[derive(Debug)]
struct Printer<'a> {
    verbose: bool,
    output: &'a Output,
    began: Instant,
    recent: Vec<String>,
}

impl<'a> Printer<'a> {
    fn new(verbose: bool, output: &'a Output) -> Self {
        Self {
            verbose,
            output,
            began: Instant::now(),
            recent: Vec::new(),
        }
    }

    fn event(&mut self, event: &StoredEvent) {
        let output = self.output;
        match &event.kind {
            EventKind::StepStarted { step } => {
                self.recent.clear();
                self.fold(&format!("{step} …"));
            }
            EventKind::StepFinished {
                step,
                elapsed_ms,
                detail,
            } => {
                output.redrawn("");
                let detail = detail.as_deref().unwrap_or_default();
                let time = output.colour("2", &seconds(*elapsed_ms));
                output.progress(&format!(
                    "{} {step:<9}{time:>8}  {detail}",
                    output.colour("32", "✓")
                ));
            }
            EventKind::StepFailed { step, error } => {
                output.redrawn("");
                output.progress(&format!(
                    "{} {step:<9} {}",
                    output.colour("31", "✗"),
                    error.message
                ));
                if error.log.is_empty() && !self.verbose {
                    let from = self.recent.len().saturating_sub(LAST_LINES);
                    for line in &self.recent[from..] {
                        output.progress(&format!("  {} {line}", output.colour("2", "|")));
                    }
                }
            }
            EventKind::Log { line, .. } if self.verbose => {
                output.progress(&format!("  {} {line}", output.colour("2", "|")))
            }
            EventKind::Log { step, line } => {
                self.recent.push(line.clone());
                self.fold(&format!("{step} {}", line.trim()));
            }
            EventKind::Note { text } => {
                output.redrawn("");
                output.progress(&format!("  {text}"));
            }
            _ => {}
        }
    }

    /// The one line that changes: what goes on, cut to the width of a usual terminal.
    fn fold(&self, text: &str) {
        let clean: String = text.chars().filter(|c| !c.is_control()).take(90).collect();
        let time = seconds(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.output.redrawn(&format!(
            "{} {time:>7}  {clean}",
            self.output.colour("36", "…")
        ));
    }

    fn end(&self) {
        self.output.redrawn("");
    }
}

/// A duration for people.
pub(crate) fn seconds(ms: u64) -> String {
    if ms < 1000 {
        format!("{ms} ms")
    } else {
        format!("{}.{} s", ms / 1000, ms % 1000 / 100)
    }
}
