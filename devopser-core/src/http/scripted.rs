//! [`ScriptedTransport`]: canned answers in a fixed order.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::recording::Exchange;
use super::request::{HttpRequest, RequestBody};
use super::response::HttpResponse;
use super::transport::{HttpTransport, TransportError, TransportErrorKind, TransportResult};

/// A canned answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// An answer of the other side.
    Response {
        /// The status.
        status: u16,
        /// The headers.
        headers: HeaderMap,
        /// The body.
        body: Bytes,
    },
    /// No answer.
    Failure(TransportErrorKind),
    /// It never answers.
    Hang,
}

impl Answer {
    /// An answer without body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::text(status, "")
    }

    /// An answer with a text.
    #[must_use]
    pub fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Response {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    /// An answer with JSON.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, body.to_string()).with_header(CONTENT_TYPE, "application/json")
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        if let Self::Response { headers, .. } = &mut self {
            headers.insert(name, HeaderValue::from_static(value));
        }
        self
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct SentRequest {
    /// The operation.
    pub operation: String,
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty for a stream.
    pub body: Bytes,
}

impl SentRequest {
    /// The body as JSON; `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Debug)]
struct Step {
    /// Method and the URL's end, where only a certain request is expected.
    expected: Option<(Method, String)>,
    answer: Answer,
}

#[derive(Debug, Default)]
struct State {
    steps: VecDeque<Step>,
    sent: Vec<SentRequest>,
    unexpected: Vec<String>,
}

/// Answers from a queue. A request that is not the expected one, or for which nothing is left, fails with an error that
/// names it, and is kept for [`unexpected`](Self::unexpected).
#[derive(Debug, Default)]
pub struct ScriptedTransport(Mutex<State>);

impl ScriptedTransport {
    /// Without any answer yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers the next request, whatever it is.
    #[must_use]
    pub fn answer(self, answer: Answer) -> Self {
        self.push(None, answer)
    }

    /// Answers the next request, which must have this method and a URL that ends in `url_end`.
    #[must_use]
    pub fn expect(self, method: Method, url_end: &str, answer: Answer) -> Self {
        self.push(Some((method, url_end.to_owned())), answer)
    }

    /// Replays recorded exchanges in their order.
    #[must_use]
    pub fn replay(exchanges: Vec<Exchange>) -> Self {
        exchanges.into_iter().fold(Self::new(), |script, exchange| {
            let (expected, answer) = exchange.into_step();
            script.push(expected, answer)
        })
    }

    fn push(self, expected: Option<(Method, String)>, answer: Answer) -> Self {
        self.lock().steps.push_back(Step { expected, answer });
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every request so far.
    #[must_use]
    pub fn sent(&self) -> Vec<SentRequest> {
        self.lock().sent.clone()
    }

    /// How many answers were not asked for.
    #[must_use]
    pub fn left(&self) -> usize {
        self.lock().steps.len()
    }

    /// The requests that were not expected, one text each.
    #[must_use]
    pub fn unexpected(&self) -> Vec<String> {
        self.lock().unexpected.clone()
    }

    fn next(&self, request: &HttpRequest) -> TransportResult<Answer> {
        let mut state = self.lock();
        state.sent.push(SentRequest {
            operation: request.operation_name().to_owned(),
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: match &request.body {
                RequestBody::Bytes(bytes) => bytes.clone(),
                _ => Bytes::new(),
            },
        });
        let wanted = match state.steps.front() {
            None => "nothing more".to_owned(),
            Some(Step {
                expected: Some((method, end)),
                ..
            }) if *method != request.method || !request.url.ends_with(end.as_str()) => {
                format!("{method} …{end}")
            }
            Some(_) => match state.steps.pop_front() {
                Some(step) => return Ok(step.answer),
                None => "nothing more".to_owned(),
            },
        };
        let text = format!(
            "{} {} ({}) was not expected; {wanted} was",
            request.method,
            request.shown_url(),
            request.operation_name()
        );
        state.unexpected.push(text.clone());
        Err(TransportError::new(TransportErrorKind::Invalid, text))
    }
}

#[async_trait]
impl HttpTransport for ScriptedTransport {
    async fn send(&self, request: &HttpRequest) -> TransportResult<HttpResponse> {
        match self.next(request)? {
            Answer::Response {
                status,
                headers,
                body,
            } => {
                let status = StatusCode::from_u16(status).map_err(|source| {
                    TransportError::new(TransportErrorKind::Invalid, "the script's status is none")
                        .with_source(source)
                })?;
                Ok(HttpResponse::new(status, headers, body))
            }
            Answer::Failure(kind) => Err(TransportError::new(kind, "the script lets this fail")),
            Answer::Hang => std::future::pending().await,
        }
    }
}
