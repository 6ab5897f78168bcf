//! [`FaultTransport`]: lets the Nth request go wrong.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::request::HttpRequest;
use super::response::HttpResponse;
use super::transport::{HttpTransport, TransportError, TransportErrorKind, TransportResult};

/// What goes wrong with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpFault {
    /// The other side answers with this status and has done nothing.
    Status(u16),
    /// The same, with a `Retry-After`.
    StatusRetryAfter(u16, String),
    /// The other side does what it was asked, and then answers with this status.
    StatusAfter(u16),
    /// No connection comes about.
    Refuse,
    /// The request never gets there, and nobody says so.
    Timeout,
    /// The connection breaks while the request is sent: nothing happened.
    ResetBefore,
    /// The other side does what it was asked, and the connection breaks before the answer.
    ResetAfter,
    /// The answer breaks off after this many bytes of its body.
    Truncate(usize),
}

#[derive(Debug)]
struct Rule {
    operation: Option<String>,
    calls_left: u32,
    fault: HttpFault,
}

/// Passes requests on to another transport, except for those that are told to go wrong.
#[derive(Debug)]
pub struct FaultTransport {
    inner: Arc<dyn HttpTransport>,
    rules: Mutex<Vec<Rule>>,
}

impl FaultTransport {
    /// Without any fault yet.
    #[must_use]
    pub fn new(inner: Arc<dyn HttpTransport>) -> Self {
        Self {
            inner,
            rules: Mutex::default(),
        }
    }

    /// Lets the `nth` request from now on (counted from 1) go wrong.
    pub fn inject(&self, nth: u32, fault: HttpFault) {
        self.push(None, nth, fault);
    }

    /// Lets the `nth` request of `operation` from now on go wrong.
    pub fn inject_into(&self, operation: &str, nth: u32, fault: HttpFault) {
        self.push(Some(operation.to_owned()), nth, fault);
    }

    fn push(&self, operation: Option<String>, nth: u32, fault: HttpFault) {
        self.lock().push(Rule {
            operation,
            calls_left: nth.max(1),
            fault,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, operation: &str) -> Option<HttpFault> {
        let mut rules = self.lock();
        let mut struck = None;
        for (index, rule) in rules.iter_mut().enumerate() {
            if rule
                .operation
                .as_deref()
                .is_none_or(|name| name == operation)
            {
                rule.calls_left = rule.calls_left.saturating_sub(1);
                if rule.calls_left == 0 && struck.is_none() {
                    struck = Some(index);
                }
            }
        }
        struck.map(|index| rules.remove(index).fault)
    }
}

fn failure(kind: TransportErrorKind, message: &str) -> TransportError {
    TransportError::new(kind, format!("injected: {message}"))
}

fn canned(status: u16, retry_after: Option<&str>) -> TransportResult<HttpResponse> {
    let status = StatusCode::from_u16(status)
        .map_err(|_| failure(TransportErrorKind::Invalid, "that is no status"))?;
    let mut headers = HeaderMap::new();
    if let Some(value) = retry_after.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(HeaderName::from_static("retry-after"), value);
    }
    Ok(HttpResponse::new(status, headers, "injected"))
}

#[async_trait]
impl HttpTransport for FaultTransport {
    async fn send(&self, request: &HttpRequest) -> TransportResult<HttpResponse> {
        use TransportErrorKind as Kind;
        let Some(fault) = self.next(request.operation_name()) else {
            return self.inner.send(request).await;
        };
        match fault {
            HttpFault::Status(status) => canned(status, None),
            HttpFault::StatusRetryAfter(status, value) => canned(status, Some(&value)),
            HttpFault::StatusAfter(status) => {
                self.inner.send(request).await?;
                canned(status, None)
            }
            HttpFault::Refuse => Err(failure(Kind::Refused, "connection refused")),
            HttpFault::Timeout => Err(failure(Kind::Timeout, "no answer")),
            HttpFault::ResetBefore => Err(failure(Kind::Interrupted, "connection reset")),
            HttpFault::ResetAfter => {
                self.inner.send(request).await?;
                Err(failure(Kind::Interrupted, "connection reset"))
            }
            HttpFault::Truncate(bytes) => {
                let fetched = self.inner.send(request).await?.collect(64 << 20).await?;
                let part: Bytes = fetched.body.slice(..bytes.min(fetched.body.len()));
                let end = failure(Kind::Interrupted, "the answer broke off");
                let mut response = HttpResponse::new(fetched.status, fetched.headers, part.clone());
                response.body = stream::iter([Ok(part), Err(end)]).boxed();
                Ok(response)
            }
        }
    }
}
