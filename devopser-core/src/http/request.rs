//! [`HttpRequest`]: what is sent, and what may be done with it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use futures::stream::BoxStream;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;

use super::limit::RateScope;
use crate::{Error, Result, Secret};

/// A body as it streams.
pub type BodyStream = BoxStream<'static, std::io::Result<Bytes>>;

/// What a request carries. It can be opened again for another attempt.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum RequestBody {
    /// Nothing.
    #[default]
    Empty,
    /// Bytes.
    Bytes(Bytes),
    /// A stream that is opened afresh for each attempt.
    Stream {
        /// Its length; sent as `Content-Length`. Some servers refuse uploads without one.
        length: u64,
        /// Opens it.
        open: Arc<dyn Fn() -> BodyStream + Send + Sync>,
    },
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream { length, .. } => write!(f, "Stream({length})"),
        }
    }
}

/// A request: what is sent, and what may be done with it. Its `Debug` shows no header value, no body and no query.
#[derive(Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The absolute URL.
    pub url: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
    /// The longest time of one attempt. `None`: the policy's.
    pub attempt_timeout: Option<Duration>,
    /// The longest time of all attempts with the waits between. `None`: the policy's.
    pub total_timeout: Option<Duration>,
    pub(super) operation: Cow<'static, str>,
    pub(super) idempotent: Option<bool>,
    pub(super) read_only: Option<bool>,
    pub(super) repeat_when_limited: bool,
    pub(super) sensitive: bool,
    pub(super) scope: Option<RateScope>,
}

impl HttpRequest {
    /// A request without body.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            operation: Cow::Owned(method.to_string()),
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: RequestBody::Empty,
            attempt_timeout: None,
            total_timeout: None,
            idempotent: None,
            read_only: None,
            repeat_when_limited: false,
            sensitive: false,
            scope: None,
        }
    }

    /// A `GET`.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// A `POST`; not idempotent unless marked.
    #[must_use]
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::POST, url)
    }

    /// A `PUT`.
    #[must_use]
    pub fn put(url: impl Into<String>) -> Self {
        Self::new(Method::PUT, url)
    }

    /// A `PATCH`; not idempotent unless marked.
    #[must_use]
    pub fn patch(url: impl Into<String>) -> Self {
        Self::new(Method::PATCH, url)
    }

    /// A `DELETE`.
    #[must_use]
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// Names the operation as the provider's documentation does, such as `CreateApp`: for errors and traces.
    #[must_use]
    pub fn operation(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.operation = name.into();
        self
    }

    /// Sending it twice is as good as once.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = Some(true);
        self
    }

    /// It must not be sent twice, whatever its method.
    #[must_use]
    pub fn not_idempotent(mut self) -> Self {
        self.idempotent = Some(false);
        self
    }

    /// It changes nothing, whatever its method (APIs that read by `POST`): idempotent, and sent without asking the lease.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = Some(true);
        self.idempotent = Some(true);
        self
    }

    /// The provider says that a 429 means "nothing was done": it may be repeated then, even when it is not idempotent.
    /// Set it only where the provider's documentation says so.
    #[must_use]
    pub fn repeat_when_limited(mut self) -> Self {
        self.repeat_when_limited = true;
        self
    }

    /// The URL or a body holds a credential (a presigned URL, a token exchange): neither is logged or recorded.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// The longest time of one attempt.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// The longest time of all attempts with the waits between.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.total_timeout = Some(deadline);
        self
    }

    /// Counts it against the rate limit of an account.
    #[must_use]
    pub fn scope(mut self, scope: RateScope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Adds a parameter to the query, encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        self.url.push(separator);
        self.url.push_str(&encode_component(name));
        self.url.push('=');
        self.url.push_str(&encode_component(value));
        self
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets a header from texts.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when the name or the value cannot stand in a header; the value is
    /// not shown.
    pub fn text_header(self, name: &str, value: &str) -> Result<Self> {
        let name = HeaderName::try_from(name)
            .map_err(|_| Error::invalid("header", "the name is not a header's name"))?;
        let value = header_value(&name, value)?;
        Ok(self.header(name, value))
    }

    /// Sets `Authorization: Bearer …`.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when the token cannot stand in a header.
    pub fn bearer(self, token: &Secret) -> Result<Self> {
        self.authorization(&format!("Bearer {}", token.expose()))
    }

    /// Sets `Authorization: Basic …`.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) never happens with base64; the signature is that of its siblings.
    pub fn basic(self, user: &str, password: &Secret) -> Result<Self> {
        let pair = format!("{user}:{}", password.expose());
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        self.authorization(&format!("Basic {encoded}"))
    }

    /// Sets `Authorization` to a scheme of the provider's own. It is marked so that nothing prints it.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when it cannot stand in a header.
    pub fn authorization(self, value: &str) -> Result<Self> {
        let mut value = header_value(&AUTHORIZATION, value)?;
        value.set_sensitive(true);
        Ok(self.header(AUTHORIZATION, value))
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = RequestBody::Bytes(body.into());
        self
    }

    /// Sets a JSON body with its content type.
    ///
    /// # Errors
    /// [`Unexpected`](crate::ErrorKind::Unexpected) when the value cannot be written as JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|source| {
            Error::unexpected("a request cannot be written as JSON").with_source(source)
        })?;
        Ok(self
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body))
    }

    /// The name of the operation.
    #[must_use]
    pub fn operation_name(&self) -> &str {
        &self.operation
    }

    /// Whether it may be sent twice.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
            .unwrap_or_else(|| self.method.is_idempotent())
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only.unwrap_or_else(|| self.method.is_safe())
    }

    /// Whether neither URL nor body may be shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.sensitive
    }

    /// The URL as it may be shown: without credentials and query; only the host of a sensitive one.
    #[must_use]
    pub fn shown_url(&self) -> String {
        let without_query = self.url.split(['?', '#']).next().unwrap_or_default();
        let Some((scheme, rest)) = without_query.split_once("://") else {
            return "REDACTED".to_owned();
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        let path = if self.sensitive { "/REDACTED" } else { path };
        let query = if self.url.contains('?') { "?…" } else { "" };
        format!("{scheme}://{host}{path}{query}")
    }
}

fn header_value(name: &HeaderName, value: &str) -> Result<HeaderValue> {
    HeaderValue::try_from(value).map_err(|_| {
        Error::invalid(
            "header",
            format!("the value of {name} holds characters that no header may hold"),
        )
    })
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("HttpRequest")
            .field("operation", &self.operation)
            .field("method", &self.method)
            .field("url", &self.shown_url())
            .field("headers", &headers)
            .field("body", &self.body)
            .field("idempotent", &self.is_idempotent())
            .finish_non_exhaustive()
    }
}

/// `text` as it may stand in one part of a path or in a query: everything but letters, digits and `-._~` is encoded.
#[must_use]
pub fn encode_component(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_repeated_is_idempotent_by_default() {
        for (method, idempotent) in [
            (Method::GET, true),
            (Method::HEAD, true),
            (Method::PUT, true),
            (Method::DELETE, true),
            (Method::OPTIONS, true),
            (Method::POST, false),
            (Method::PATCH, false),
        ] {
            let request = HttpRequest::new(method.clone(), "https://a/b");
            assert_eq!(request.is_idempotent(), idempotent, "{method}");
            assert!(request.clone().idempotent().is_idempotent());
            assert!(!request.not_idempotent().is_idempotent());
        }
    }

    #[test]
    fn nothing_that_is_secret_is_shown() {
        let request =
            HttpRequest::put("https://user:sentinel@host:8443/sentinel/x?signature=sentinel")
                .sensitive()
                .bearer(&Secret::new("sentinel"))
                .unwrap()
                .body("sentinel");
        assert!(!format!("{request:?} {request:#?}").contains("sentinel"));
        assert_eq!(request.shown_url(), "https://host:8443/REDACTED?…");
    }

    #[test]
    fn a_query_is_encoded() {
        let request = HttpRequest::get("https://a/b")
            .query("na me", "x&y=/ü")
            .query("p", "1");
        assert_eq!(request.url, "https://a/b?na%20me=x%26y%3D%2F%C3%BC&p=1");
    }

    #[test]
    fn a_token_with_a_line_break_is_refused_without_being_shown() {
        let error = HttpRequest::get("https://a")
            .bearer(&Secret::new("sentinel\r\nX: y"))
            .unwrap_err();
        assert!(!format!("{error:?}").contains("sentinel"));
    }
}
