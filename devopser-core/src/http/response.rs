//! [`HttpResponse`] with a streaming body, and [`Fetched`] with the whole of it.

use std::fmt;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::transport::{TransportError, TransportErrorKind, TransportResult};
use crate::{Error, ErrorKind, Result, Retry};

/// An answer whose body streams.
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: BoxStream<'static, TransportResult<Bytes>>,
    /// Whether the same request may succeed later: [`Retry::Exhausted`] when the plane tried often enough.
    pub retry: Retry,
}

impl HttpResponse {
    /// An answer with a body that is there already.
    #[must_use]
    pub fn new(status: StatusCode, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self {
            status,
            headers,
            body: stream::iter([Ok(body)]).boxed(),
            retry: Retry::Never,
        }
    }

    /// The value of a header, when it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Reads the whole body, at most `limit` bytes of it.
    ///
    /// # Errors
    /// [`TooLarge`](TransportErrorKind::TooLarge), or what breaks the stream.
    pub async fn collect(mut self, limit: u64) -> TransportResult<Fetched> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.body.next().await {
            let chunk = chunk?;
            if (body.len() as u64).saturating_add(chunk.len() as u64) > limit {
                return Err(TransportError::new(
                    TransportErrorKind::TooLarge,
                    format!("the answer is larger than {limit} bytes"),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched {
            status: self.status,
            headers: self.headers,
            body: body.freeze(),
            retry: self.retry,
        })
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// An answer with its whole body. Its `Debug` does not show the body.
#[derive(Clone)]
pub struct Fetched {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Whether the same request may succeed later.
    pub retry: Retry,
}

impl Fetched {
    /// The value of a header, when it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// [`Unexpected`](ErrorKind::Unexpected) with the place where it went wrong; the body is not shown.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|source| {
            Error::unexpected(format!(
                "the answer ({}, {} bytes) is not the JSON that was expected",
                self.status,
                self.body.len()
            ))
            .with_source(source)
        })
    }

    /// The error that the status alone tells, for what a provider's own table does not name.
    #[must_use]
    pub fn to_error(&self, message: impl Into<String>) -> Error {
        status_error(self.status, self.retry, message)
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// The error that a status alone tells.
#[must_use]
pub fn status_error(status: StatusCode, retry: Retry, message: impl Into<String>) -> Error {
    let kind = match status.as_u16() {
        400 | 405 | 406 | 411 | 413..=415 | 422 => ErrorKind::InvalidInput,
        401 => ErrorKind::Unauthenticated,
        402 => ErrorKind::QuotaExceeded,
        403 | 451 => ErrorKind::PermissionDenied,
        404 | 410 => ErrorKind::NotFound,
        409 | 412 | 423 | 428 => ErrorKind::Conflict,
        408 | 504 => ErrorKind::Timeout,
        429 => ErrorKind::RateLimited,
        501 => ErrorKind::Unsupported,
        500 | 502 | 503 | 507 | 520..=529 => ErrorKind::Unavailable,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, message)
        .with_retry(retry)
        .with_context("status", status.as_u16())
}
