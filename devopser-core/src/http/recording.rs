//! [`RecordingTransport`]: keeps what went over the wire, without what is secret.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};

use super::request::{HttpRequest, RequestBody};
use super::response::HttpResponse;
use super::scripted::Answer;
use super::transport::{HttpTransport, TransportResult};
use crate::secret::Redactor;

/// The most of an answer that is recorded.
const RECORDED_BODY: u64 = 8 << 20;

/// A request and its answer, as a fixture keeps them. Headers that carry credentials are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The operation.
    pub operation: String,
    /// The method.
    pub method: String,
    /// The URL from its path on, with the query; `REDACTED` for a sensitive request.
    pub path: String,
    /// The headers of the request.
    pub request_headers: BTreeMap<String, String>,
    /// The body of the request, as text.
    pub request_body: String,
    /// The status of the answer.
    pub status: u16,
    /// The headers of the answer.
    pub response_headers: BTreeMap<String, String>,
    /// The body of the answer, as text.
    pub response_body: String,
}

impl Exchange {
    pub(super) fn into_step(self) -> (Option<(Method, String)>, Answer) {
        let method = Method::from_bytes(self.method.as_bytes()).unwrap_or(Method::GET);
        let mut headers = HeaderMap::new();
        for (name, value) in &self.response_headers {
            if let (Ok(name), Ok(value)) = (
                http::HeaderName::try_from(name.as_str()),
                http::HeaderValue::try_from(value.as_str()),
            ) {
                headers.insert(name, value);
            }
        }
        let answer = Answer::Response {
            status: self.status,
            headers,
            body: self.response_body.into(),
        };
        let path = if self.path == REDACTED {
            String::new()
        } else {
            self.path
        };
        (Some((method, path)), answer)
    }
}

const REDACTED: &str = "REDACTED";

/// Passes every request on and keeps it with its answer. Answers are read whole, so this is for tests and for making
/// fixtures.
#[derive(Debug)]
pub struct RecordingTransport {
    inner: Arc<dyn HttpTransport>,
    redactor: Redactor,
    exchanges: Mutex<Vec<Exchange>>,
}

impl RecordingTransport {
    /// Records what goes through `inner`; secrets that `redactor` knows are replaced wherever they stand.
    #[must_use]
    pub fn new(inner: Arc<dyn HttpTransport>, redactor: Redactor) -> Self {
        Self {
            inner,
            redactor,
            exchanges: Mutex::default(),
        }
    }

    /// What was recorded.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.exchanges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self, bytes: &[u8], sensitive: bool) -> String {
        if sensitive && !bytes.is_empty() {
            REDACTED.to_owned()
        } else {
            self.redactor.redact(&String::from_utf8_lossy(bytes))
        }
    }

    fn headers(&self, headers: &HeaderMap) -> BTreeMap<String, String> {
        headers
            .iter()
            .filter(|(name, value)| !value.is_sensitive() && !carries_credentials(name.as_str()))
            .map(|(name, value)| (name.to_string(), self.text(value.as_bytes(), false)))
            .collect()
    }

    fn path(&self, request: &HttpRequest) -> String {
        if request.is_sensitive() {
            return REDACTED.to_owned();
        }
        let rest = request
            .url
            .split_once("://")
            .map_or(request.url.as_str(), |(_, rest)| rest);
        let path = rest.find('/').map_or("/", |start| &rest[start..]);
        self.redactor.redact(path)
    }
}

fn carries_credentials(header: &str) -> bool {
    matches!(
        header,
        "authorization"
            | "proxy-authorization"
            | "cookie"
            | "set-cookie"
            | "fly-machine-lease-nonce"
    ) || ["token", "secret", "key", "signature", "password"]
        .iter()
        .any(|part| header.contains(part))
}

#[async_trait]
impl HttpTransport for RecordingTransport {
    async fn send(&self, request: &HttpRequest) -> TransportResult<HttpResponse> {
        let fetched = self
            .inner
            .send(request)
            .await?
            .collect(RECORDED_BODY)
            .await?;
        let sensitive = request.is_sensitive();
        let body = match &request.body {
            RequestBody::Bytes(bytes) => self.text(bytes, sensitive),
            RequestBody::Stream { length, .. } => format!("({length} bytes)"),
            RequestBody::Empty => String::new(),
        };
        self.lock().push(Exchange {
            operation: request.operation_name().to_owned(),
            method: request.method.to_string(),
            path: self.path(request),
            request_headers: self.headers(&request.headers),
            request_body: body,
            status: fetched.status.as_u16(),
            response_headers: self.headers(&fetched.headers),
            response_body: self.text(&fetched.body, sensitive),
        });
        Ok(HttpResponse::new(
            fetched.status,
            fetched.headers,
            fetched.body,
        ))
    }
}
