//! The one HTTP plane. Every request to a provider goes through [`Plane`]: retry, timeout, rate limit, tracing and
//! redaction are here, once, over an [`HttpTransport`] that the host chooses.
//!
//! The rule that everything else follows from: **what is not marked idempotent is never sent twice.**

mod fault;
mod limit;
mod outbound;
mod plane;
mod recording;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest;
mod response;
mod retry;
mod scripted;
mod sleep;
mod transport;

pub use fault::{FaultTransport, HttpFault};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
pub use limit::{NoLimit, RateLimiter, RateScope, TokenBuckets};
pub use outbound::OutboundPolicy;
pub use plane::Plane;
pub use recording::{Exchange, RecordingTransport};
pub use request::{BodyStream, HttpRequest, RequestBody, encode_component};
#[cfg(feature = "reqwest")]
pub use reqwest::{ReqwestTransport, ReqwestTransportBuilder};
pub use response::{Fetched, HttpResponse, status_error};
pub use retry::{Attempt, Decision, Outcome, RetryPolicy, parse_retry_after, retry_decision};
pub use scripted::{Answer, ScriptedTransport, SentRequest};
pub use sleep::{FixedJitter, Jitter, ManualSleeper, RandomJitter, Sleeper, TokioSleeper};
pub use transport::{HttpTransport, TransportError, TransportErrorKind, TransportResult};
