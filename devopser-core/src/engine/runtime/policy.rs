//! How a step is tried, and how it fails.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ErrorReport;
use crate::{Error, ErrorKind, Retry};

/// How a step is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct StepPolicy {
    /// How long one attempt may take. When it is over, the body is told, has [`grace`](Self::grace), and is dropped.
    pub attempt_timeout: Duration,
    /// How long the body may stay without a [`heartbeat`](super::StepContext::heartbeat). `None`: no heartbeat is asked.
    pub heartbeat_timeout: Option<Duration>,
    /// How often the body is tried at most, the first time included. Crashes and shutdowns do not count.
    pub max_attempts: u32,
    /// The wait before the second attempt. What a provider asked for ([`Retry::Later`]) is waited at least.
    pub backoff: Duration,
    /// What the wait is multiplied with from attempt to attempt.
    pub backoff_factor: f64,
    /// The longest wait between two attempts, unless a provider asked for more.
    pub max_backoff: Duration,
    /// How long a body may go on after it was told to stop. A result that comes in time still counts.
    pub grace: Duration,
    /// Whether the step runs in spite of a cancel: for compensation.
    pub shielded: bool,
}

impl Default for StepPolicy {
    /// Ten minutes an attempt, three attempts, 1 s between them and growing, 5 s of grace.
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(600),
            heartbeat_timeout: None,
            max_attempts: 3,
            backoff: Duration::from_secs(1),
            backoff_factor: 2.0,
            max_backoff: Duration::from_secs(60),
            grace: Duration::from_secs(5),
            shielded: false,
        }
    }
}

impl StepPolicy {
    /// The default, tried once only.
    #[must_use]
    pub fn once() -> Self {
        Self::default().attempts(1)
    }

    /// The default, shielded from a cancel: for compensation.
    #[must_use]
    pub fn compensation() -> Self {
        Self {
            shielded: true,
            ..Self::default()
        }
    }

    /// Sets [`max_attempts`](Self::max_attempts).
    #[must_use]
    pub fn attempts(mut self, max: u32) -> Self {
        self.max_attempts = max;
        self
    }

    /// Sets [`attempt_timeout`](Self::attempt_timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets [`heartbeat_timeout`](Self::heartbeat_timeout).
    #[must_use]
    pub fn heartbeat(mut self, timeout: Duration) -> Self {
        self.heartbeat_timeout = Some(timeout);
        self
    }

    /// Sets [`backoff`](Self::backoff).
    #[must_use]
    pub fn backoff(mut self, first: Duration) -> Self {
        self.backoff = first;
        self
    }

    /// Sets [`grace`](Self::grace).
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The wait after attempt number `attempt` (from 1) failed with `error`.
    #[must_use]
    pub fn wait_after(&self, attempt: u32, error: &StepError) -> Duration {
        let power = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.backoff.as_secs_f64() * self.backoff_factor.powi(power);
        let grown = Duration::try_from_secs_f64(seconds).unwrap_or(self.max_backoff);
        let asked = match error.error.retry {
            Retry::Later { after: Some(after) } => after,
            _ => Duration::ZERO,
        };
        grown.min(self.max_backoff).max(asked)
    }
}

/// Why a step, or a run, did not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepErrorKind {
    /// The body returned an error, or panicked.
    Failed,
    /// An attempt or its heartbeat took too long.
    TimedOut,
    /// The run was cancelled.
    Cancelled,
    /// The runtime refused or could not go on: an unknown step, a payload too big, changed code, no storage.
    Runtime,
}

/// The error of a step or of a run, as plain data. Converts to and from [`Error`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepError {
    /// What happened.
    pub kind: StepErrorKind,
    /// The error in full.
    pub error: Box<ErrorReport>,
}

impl StepError {
    /// An error of the runtime itself.
    #[must_use]
    pub fn runtime(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::of(StepErrorKind::Runtime, &Error::new(kind, message))
    }

    /// The run was cancelled.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::of(StepErrorKind::Cancelled, &Error::cancelled())
    }

    /// The run was ended by force.
    #[must_use]
    pub fn terminated() -> Self {
        Self::runtime(ErrorKind::Cancelled, "the run was ended by force")
    }

    /// Something took too long.
    #[must_use]
    pub fn timed_out(message: impl Into<String>) -> Self {
        let error = Error::new(ErrorKind::Timeout, message);
        Self::of(StepErrorKind::TimedOut, &error)
    }

    /// A body or a pipeline panicked with `text`. A panic is a bug: it is not tried again.
    #[must_use]
    pub fn panicked(what: &str, text: &str) -> Self {
        let error = Error::unexpected(format!("{what} panicked: {text}"));
        Self::of(StepErrorKind::Failed, &error)
    }

    /// An error with its kind given.
    #[must_use]
    pub fn of(kind: StepErrorKind, error: &Error) -> Self {
        Self {
            kind,
            error: Box::new(error.to_report()),
        }
    }

    /// The same error, short enough for a journal: without its log, and with the beginning of its texts.
    #[must_use]
    pub(super) fn shortened(mut self) -> Self {
        const LONGEST: usize = 4096;
        let short = |text: &mut String| {
            let cut = text.char_indices().nth(LONGEST).map(|(at, _)| at);
            if let Some(at) = cut {
                text.truncate(at);
                text.push_str(" …");
            }
        };
        short(&mut self.error.message);
        self.error.remedy.as_mut().map(short);
        self.error.log.clear();
        self.error.context.truncate(16);
        for (_, fact) in &mut self.error.context {
            short(fact);
        }
        self
    }

    /// Whether another attempt may help.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self.error.retry, Retry::Later { .. })
    }

    /// Whether the run was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.kind == StepErrorKind::Cancelled
    }
}

impl From<Error> for StepError {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Cancelled => StepErrorKind::Cancelled,
            _ => StepErrorKind::Failed,
        };
        Self::of(kind, &error)
    }
}

impl From<StepError> for Error {
    fn from(error: StepError) -> Self {
        (*error.error).into()
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error.kind, self.error.message)
    }
}

impl std::error::Error for StepError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_and_ends_at_its_ceiling() {
        let policy = StepPolicy::default();
        let error = StepError::timed_out("x");
        let waits: Vec<u64> = (1..=8)
            .map(|n| policy.wait_after(n, &error).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn what_a_provider_asks_for_is_waited() {
        let after = Some(Duration::from_secs(90));
        let error =
            Error::new(ErrorKind::RateLimited, "slow down").with_retry(Retry::Later { after });
        let wait = StepPolicy::default().wait_after(1, &error.into());
        assert_eq!(wait, Duration::from_secs(90));
    }

    #[test]
    fn an_error_survives_the_way_through_a_step() {
        let error = Error::new(ErrorKind::BuildFailed, "no")
            .with_provider("docker")
            .with_remedy("look");
        let step = StepError::from(error);
        assert_eq!(step.kind, StepErrorKind::Failed);
        assert!(!step.retryable());
        let back = Error::from(step);
        assert_eq!(back.kind(), ErrorKind::BuildFailed);
        assert_eq!(back.remedy(), Some("look"));
    }
}
