//! [`HttpTransport`]: sends one request, once.

use std::error::Error as StdError;
use std::fmt;

use async_trait::async_trait;

use super::request::HttpRequest;
use super::response::HttpResponse;
use crate::{Error, ErrorKind, Retry};

/// Sends one request, once. It never repeats and never follows a redirect unless it was built to; [`Plane`](super::Plane)
/// does what goes beyond one attempt.
#[async_trait]
pub trait HttpTransport: fmt::Debug + Send + Sync + 'static {
    /// Sends `request` and returns the answer as soon as its headers are there; the body streams.
    ///
    /// # Behavior
    /// - Any status is an `Ok`, also 404 and 500.
    /// - An error of the kind [`Refused`](TransportErrorKind::Refused) means that not a byte of the request was sent.
    async fn send(&self, request: &HttpRequest) -> TransportResult<HttpResponse>;
}

/// The result of one attempt.
pub type TransportResult<T> = Result<T, TransportError>;

/// What went wrong below HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection came about (name, route, refusal, connect timeout): nothing was sent. Always safe to repeat.
    Refused,
    /// The time was up after the request may have been sent.
    Timeout,
    /// The connection broke after the request may have been sent.
    Interrupted,
    /// The other side's certificate was not accepted. Never repeated.
    Tls,
    /// The policy for outgoing requests forbids the address. Never repeated.
    Blocked,
    /// The request cannot be sent as it is. Never repeated.
    Invalid,
    /// The answer is larger than allowed. Never repeated.
    TooLarge,
}

/// An attempt that brought no answer.
pub struct TransportError {
    kind: TransportErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl TransportError {
    /// An error. The message must not hold the URL's query or a header's value.
    #[must_use]
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// The error as the callers of the plane get it.
    #[must_use]
    pub(super) fn into_error(self, retry: Retry) -> Error {
        let kind = match self.kind {
            TransportErrorKind::Refused
            | TransportErrorKind::Interrupted
            | TransportErrorKind::Tls => ErrorKind::Unavailable,
            TransportErrorKind::Timeout => ErrorKind::Timeout,
            TransportErrorKind::Blocked | TransportErrorKind::Invalid => ErrorKind::InvalidInput,
            TransportErrorKind::TooLarge => ErrorKind::Unexpected,
        };
        let mut error = Error::new(kind, self.message).with_retry(retry);
        if self.kind == TransportErrorKind::Tls {
            error = error.with_remedy(
                "Check the address and the system's root certificates (the package ca-certificates).",
            );
        }
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn StdError + 'static))
    }
}
