//! The one error of devopser: a stable kind, where it happened, whether a retry helps, and what to do next.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The result of every fallible devopser call.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, as a stable name. The text of a kind ([`ErrorKind::as_str`]) is the same in Rust, Python and Node
/// and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The engine or a provider was configured wrongly. Host action: correct the named setting; do not retry.
    ConfigInvalid,
    /// A value of the caller breaks a rule. Host action: show the field and the rule to the user.
    InvalidInput,
    /// The credential is missing, expired or wrong. Host action: ask the user to connect the account again.
    Unauthenticated,
    /// The credential is valid but not allowed to do this. Host action: name the missing permission to the user.
    PermissionDenied,
    /// The named thing does not exist. Host action: refresh what the user sees.
    NotFound,
    /// A thing of that name exists already and is not ours. Host action: let the user choose another name or adopt it.
    AlreadyExists,
    /// Another writer was faster, or another deployment holds the target. Host action: read again, then decide.
    Conflict,
    /// A limit of the account or of the plan is reached. Host action: show the limit; do not retry at once.
    QuotaExceeded,
    /// Too many requests. Host action: wait as long as [`Retry::Later`] says.
    RateLimited,
    /// The provider cannot do this. Host action: check the capability before asking.
    Unsupported,
    /// The build of the source failed. Host action: show the failing step and its output to the user.
    BuildFailed,
    /// The app's process ended by itself. Host action: show its last lines to the user.
    Crashed,
    /// The app runs but does not answer as it should. Host action: show the health check and the last lines.
    Unhealthy,
    /// The app was ended for using more memory than its limit. Host action: offer a higher limit.
    OutOfMemory,
    /// No space is left where the work happens. Host action: free space or tell the operator.
    DiskFull,
    /// The port that was asked for is in use. Host action: let the user choose another, or none.
    PortTaken,
    /// A deadline passed. Host action: look at the step; a retry may help.
    Timeout,
    /// The caller cancelled. Host action: none.
    Cancelled,
    /// The other side is down or cannot be reached. Host action: retry later.
    Unavailable,
    /// A bug, or an answer nobody foresaw. Host action: report it with the context.
    Unexpected,
}

impl ErrorKind {
    /// The stable text of the kind, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigInvalid => "config_invalid",
            Self::InvalidInput => "invalid_input",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::QuotaExceeded => "quota_exceeded",
            Self::RateLimited => "rate_limited",
            Self::Unsupported => "unsupported",
            Self::BuildFailed => "build_failed",
            Self::Crashed => "crashed",
            Self::Unhealthy => "unhealthy",
            Self::OutOfMemory => "out_of_memory",
            Self::DiskFull => "disk_full",
            Self::PortTaken => "port_taken",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Unavailable => "unavailable",
            Self::Unexpected => "unexpected",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether trying the same call again may help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retry {
    /// The same call will fail again.
    #[default]
    Never,
    /// The same call may succeed later; `after` is what the other side asked for, when it did.
    Later {
        /// How long to wait at least. `None`: the caller's own backoff.
        after: Option<Duration>,
    },
    /// It was tried as often as allowed; an outer loop should stop too.
    Exhausted,
}

/// The one error type. It is one pointer wide; build it with [`Error::new`] and the `with_*` methods.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    retry: Retry,
    provider: Option<String>,
    operation: Option<String>,
    remedy: Option<String>,
    context: Vec<(String, String)>,
    log: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with a one-line `message` that says what happened.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let retry = match kind {
            ErrorKind::Unavailable | ErrorKind::RateLimited | ErrorKind::Timeout => {
                Retry::Later { after: None }
            }
            _ => Retry::Never,
        };
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            retry,
            provider: None,
            operation: None,
            remedy: None,
            context: Vec::new(),
            log: Vec::new(),
            source: None,
        }))
    }

    /// A value of the caller that breaks a rule: names the field and the rule.
    #[must_use]
    pub fn invalid(field: &str, rule: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidInput, format!("{field}: {rule}")).with_context("field", field)
    }

    /// A bug or an answer that nobody foresaw.
    #[must_use]
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unexpected, message)
    }

    /// The caller cancelled.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled")
    }

    /// Says whether a retry helps.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Names the provider (its id, such as `docker`).
    #[must_use]
    pub fn with_provider(mut self, provider: impl Into<String>) -> Self {
        self.0.provider = Some(provider.into());
        self
    }

    /// Names the operation. An operation that was named before moves into the context as `called`.
    #[must_use]
    pub fn with_operation(mut self, operation: impl Into<String>) -> Self {
        if let Some(inner) = self.0.operation.replace(operation.into()) {
            self.0.context.push(("called".into(), inner));
        }
        self
    }

    /// Says what the person who reads the error can do.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Adds one fact.
    #[must_use]
    pub fn with_context(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.0.context.push((key.into(), value.to_string()));
        self
    }

    /// Attaches the last lines of the log that belong to the failure.
    #[must_use]
    pub fn with_log(mut self, lines: Vec<String>) -> Self {
        self.0.log = lines;
        self
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened, in a line, without the context.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether a retry helps.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Whether a retry may help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.retry, Retry::Later { .. })
    }

    /// The provider, when one was involved.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// The operation, when one was named.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// What to do next, when that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }

    /// The facts, in the order they were added.
    #[must_use]
    pub fn context(&self) -> &[(String, String)] {
        &self.0.context
    }

    /// The last lines of the log that belong to the failure; often empty.
    #[must_use]
    pub fn log(&self) -> &[String] {
        &self.0.log
    }

    /// The error as plain data, for journals, events and bindings. The source's text becomes a fact `cause`.
    #[must_use]
    pub fn to_report(&self) -> ErrorReport {
        let mut context = self.0.context.clone();
        if let Some(source) = &self.0.source {
            context.push(("cause".into(), source.to_string()));
        }
        ErrorReport {
            kind: self.0.kind,
            message: self.0.message.clone(),
            retry: self.0.retry,
            provider: self.0.provider.clone(),
            operation: self.0.operation.clone(),
            remedy: self.0.remedy.clone(),
            context,
            log: self.0.log.clone(),
        }
    }
}

impl From<ErrorReport> for Error {
    fn from(report: ErrorReport) -> Self {
        Self(Box::new(Inner {
            kind: report.kind,
            message: report.message,
            retry: report.retry,
            provider: report.provider,
            operation: report.operation,
            remedy: report.remedy,
            context: report.context,
            log: report.log,
            source: None,
        }))
    }
}

/// An [`Error`] as plain data: what a journal stores and what another process or language reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// What went wrong.
    pub kind: ErrorKind,
    /// What happened, in a line.
    pub message: String,
    /// Whether a retry helps.
    #[serde(default)]
    pub retry: Retry,
    /// The provider's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The facts, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<(String, String)>,
    /// The last lines of the log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind, self.0.message)?;
        if let Some(provider) = &self.0.provider {
            write!(f, " (provider {provider}")?;
            if let Some(operation) = &self.0.operation {
                write!(f, ", {operation}")?;
            }
            f.write_str(")")?;
        }
        if let Some(remedy) = &self.0.remedy {
            write!(f, ". {remedy}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("retry", &self.0.retry)
            .field("provider", &self.0.provider)
            .field("operation", &self.0.operation)
            .field("remedy", &self.0.remedy)
            .field("context", &self.0.context)
            .field("log", &self.0.log)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn the_text_of_a_kind_is_its_json() {
        for kind in [
            ErrorKind::ConfigInvalid,
            ErrorKind::OutOfMemory,
            ErrorKind::PortTaken,
            ErrorKind::Unexpected,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn a_report_carries_everything_across() {
        let error = Error::new(ErrorKind::BuildFailed, "step 3 failed")
            .with_provider("docker")
            .with_operation("ImageBuilder::build")
            .with_context("step", "RUN npm ci")
            .with_log(vec!["npm ERR!".into()])
            .with_remedy("correct the step");
        let json = serde_json::to_string(&error.to_report()).unwrap();
        let back = Error::from(serde_json::from_str::<ErrorReport>(&json).unwrap());
        assert_eq!(back.to_report(), error.to_report());
        assert_eq!(
            back.to_string(),
            "build_failed: step 3 failed (provider docker, ImageBuilder::build). correct the step"
        );
    }
}
