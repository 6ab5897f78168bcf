//! [`Plane`]: everything that goes beyond one attempt.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tracing::Instrument as _;

use super::limit::{NoLimit, RateLimiter};
use super::request::HttpRequest;
use super::response::{Fetched, HttpResponse};
use super::retry::{Attempt, Decision, Outcome, RetryPolicy, parse_retry_after, retry_decision};
use super::sleep::{Jitter, RandomJitter, Sleeper, TokioSleeper};
use super::transport::{HttpTransport, TransportError, TransportErrorKind, TransportResult};
use crate::clock::{Clock, SystemClock};
use crate::context::{CancellationToken, Context};
use crate::{Error, Result, Retry};

type Attempted = TransportResult<HttpResponse>;

/// Sends requests: retry, timeouts, rate limit, lease, cancellation and tracing over an [`HttpTransport`]. Cheap to clone.
#[derive(Clone)]
pub struct Plane {
    transport: Arc<dyn HttpTransport>,
    policy: Arc<RetryPolicy>,
    clock: Arc<dyn Clock>,
    sleeper: Arc<dyn Sleeper>,
    jitter: Arc<dyn Jitter>,
    limiter: Arc<dyn RateLimiter>,
    body_limit: u64,
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane")
            .field("transport", &self.transport)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Plane {
    /// A plane with the default policy, the system's clock and no rate limit.
    #[must_use]
    pub fn new(transport: Arc<dyn HttpTransport>) -> Self {
        Self {
            transport,
            policy: Arc::new(RetryPolicy::default()),
            clock: Arc::new(SystemClock),
            sleeper: Arc::new(TokioSleeper),
            jitter: Arc::new(RandomJitter),
            limiter: Arc::new(NoLimit),
            body_limit: 16 << 20,
        }
    }

    /// Sets how often and how long is tried.
    #[must_use]
    pub fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Sets what holds requests back.
    #[must_use]
    pub fn with_limiter(mut self, limiter: Arc<dyn RateLimiter>) -> Self {
        self.limiter = limiter;
        self
    }

    /// Sets the clock, what waits, and chance: a test's own take no time.
    #[must_use]
    pub fn with_time(
        mut self,
        clock: Arc<dyn Clock>,
        sleeper: Arc<dyn Sleeper>,
        jitter: Arc<dyn Jitter>,
    ) -> Self {
        self.clock = clock;
        self.sleeper = sleeper;
        self.jitter = jitter;
        self
    }

    /// The largest body that [`fetch`](Self::fetch) reads. Default: 16 MiB.
    #[must_use]
    pub fn with_body_limit(mut self, bytes: u64) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sends a request and reads the whole answer. A body that breaks off counts as a broken connection: an idempotent
    /// request is then sent again.
    ///
    /// Any status is an `Ok`; [`Fetched::retry`] says whether a later call may help.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Timeout`](crate::ErrorKind::Timeout),
    /// [`Cancelled`](crate::ErrorKind::Cancelled), [`Conflict`](crate::ErrorKind::Conflict) when the lease is lost,
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a request that cannot or must not be sent. Where the request
    /// may have been carried out all the same, the context says `may_have_happened`.
    pub async fn fetch(&self, ctx: &Context, request: HttpRequest) -> Result<Fetched> {
        let response = self.run(ctx, &request, Some(self.body_limit)).await?;
        let operation = request.operation_name().to_owned();
        // The body is in memory by now.
        response
            .collect(self.body_limit)
            .await
            .map_err(|error| error.into_error(Retry::Never).with_operation(operation))
    }

    /// Sends a request and returns the answer with a streaming body, each part of which must come within the time of one
    /// attempt. Once the headers are there, nothing is repeated.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub async fn send(&self, ctx: &Context, request: HttpRequest) -> Result<HttpResponse> {
        self.run(ctx, &request, None).await
    }

    async fn run(
        &self,
        ctx: &Context,
        request: &HttpRequest,
        whole: Option<u64>,
    ) -> Result<HttpResponse> {
        let span = tracing::info_span!(
            "http",
            operation = request.operation_name(),
            method = request.method.as_str(),
            url = request.shown_url(),
        );
        self.attempts(ctx, request, whole)
            .instrument(span)
            .await
            .map_err(|error| error.with_operation(request.operation_name().to_owned()))
    }

    async fn attempts(
        &self,
        ctx: &Context,
        request: &HttpRequest,
        whole: Option<u64>,
    ) -> Result<HttpResponse> {
        let started = self.clock.now_ms();
        let total = request.total_timeout.unwrap_or(self.policy.total_timeout);
        let mut number = 1;
        loop {
            self.wait_for_turn(ctx, request, started, total).await?;
            let left = total.saturating_sub(self.since(started));
            let timeout = request
                .attempt_timeout
                .unwrap_or(self.policy.attempt_timeout)
                .min(left);
            if request.is_read_only() {
                ctx.check_cancelled()?;
            } else {
                ctx.before_mutation(timeout)?;
            }
            let attempted = self.attempt(ctx, request, timeout, whole).await?;
            let facts = Attempt {
                elapsed: self.since(started),
                total,
                retry_after: self.retry_after(&attempted),
                jitter: self.jitter.next(),
                ..Attempt::of(request, number)
            };
            self.note_limit(request, &attempted, &facts);
            match retry_decision(&facts, outcome(&attempted), &self.policy) {
                Decision::Stop { retry } => return finish(attempted, retry, request, number),
                Decision::Repeat { after } => {
                    tracing::debug!(number, wait_ms = as_millis(after), "again");
                    self.wait(ctx, after).await?;
                    number += 1;
                }
            }
        }
    }

    /// One attempt; the outer error is a cancellation.
    async fn attempt(
        &self,
        ctx: &Context,
        request: &HttpRequest,
        timeout: Duration,
        whole: Option<u64>,
    ) -> Result<Attempted> {
        let sent = async {
            let mut once = request.clone();
            once.attempt_timeout = Some(timeout);
            let response = self.transport.send(&once).await?;
            let Some(limit) = whole else {
                return Ok(response);
            };
            let fetched = response.collect(limit).await?;
            Ok(HttpResponse::new(
                fetched.status,
                fetched.headers,
                fetched.body,
            ))
        };
        let attempted = tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => return Err(cancelled(request)),
            result = tokio::time::timeout(timeout, sent) => result.unwrap_or_else(|_| Err(timed_out(timeout))),
        };
        Ok(attempted.map(|mut response| {
            if whole.is_none() {
                response.body = watched(response.body, timeout, ctx.cancel.clone());
            }
            response
        }))
    }

    async fn wait_for_turn(
        &self,
        ctx: &Context,
        request: &HttpRequest,
        started: u64,
        total: Duration,
    ) -> Result<()> {
        let Some(scope) = &request.scope else {
            return Ok(());
        };
        let wait = self.limiter.reserve(scope, self.clock.now_ms());
        if wait.is_zero() {
            return Ok(());
        }
        if self.since(started).saturating_add(wait) >= total {
            return Err(Error::new(
                crate::ErrorKind::RateLimited,
                format!("{} requests are waiting for their turn", scope.provider),
            )
            .with_retry(Retry::Later { after: Some(wait) }));
        }
        self.wait(ctx, wait).await
    }

    async fn wait(&self, ctx: &Context, duration: Duration) -> Result<()> {
        tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => Err(Error::cancelled()),
            () = self.sleeper.sleep(duration) => Ok(()),
        }
    }

    fn since(&self, started: u64) -> Duration {
        Duration::from_millis(self.clock.now_ms().saturating_sub(started))
    }

    fn retry_after(&self, attempted: &Attempted) -> Option<Duration> {
        let value = attempted.as_ref().ok()?.header("retry-after")?;
        parse_retry_after(value, self.clock.now_ms())
    }

    fn note_limit(&self, request: &HttpRequest, attempted: &Attempted, facts: &Attempt) {
        if let (Some(scope), Outcome::Status(429), Some(pause)) =
            (&request.scope, outcome(attempted), facts.retry_after)
        {
            self.limiter.pause(scope, self.clock.now_ms(), pause);
        }
    }
}

fn outcome(attempted: &Attempted) -> Outcome {
    match attempted {
        Ok(response) => Outcome::Status(response.status.as_u16()),
        Err(error) => Outcome::Transport(error.kind()),
    }
}

fn finish(
    attempted: Attempted,
    retry: Retry,
    request: &HttpRequest,
    number: u32,
) -> Result<HttpResponse> {
    match attempted {
        Ok(mut response) => {
            tracing::debug!(status = response.status.as_u16(), number, "answered");
            response.retry = retry;
            Ok(response)
        }
        Err(error) => {
            let kind = error.kind();
            let maybe = !request.is_read_only()
                && matches!(
                    kind,
                    TransportErrorKind::Timeout | TransportErrorKind::Interrupted
                );
            let mut error = error
                .into_error(retry)
                .with_context("url", request.shown_url())
                .with_context("attempts", number);
            if maybe {
                error = error.with_context("may_have_happened", true);
            }
            tracing::debug!(error = %error, number, "failed");
            Err(error)
        }
    }
}

fn cancelled(request: &HttpRequest) -> Error {
    let error = Error::cancelled();
    if request.is_read_only() {
        error
    } else {
        error.with_context("may_have_happened", true)
    }
}

fn timed_out(timeout: Duration) -> TransportError {
    TransportError::new(
        TransportErrorKind::Timeout,
        format!("no answer within {} ms", as_millis(timeout)),
    )
}

fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

type Body = BoxStream<'static, TransportResult<bytes::Bytes>>;

/// The body, ended by a cancellation and by a part that takes too long.
fn watched(body: Body, timeout: Duration, cancel: CancellationToken) -> Body {
    stream::unfold(Some(body), move |body| {
        let cancel = cancel.clone();
        async move {
            let mut body = body?;
            let next = tokio::select! {
                biased;
                () = cancel.cancelled() => Some(Err(TransportError::new(
                    TransportErrorKind::Interrupted,
                    "cancelled",
                ))),
                next = tokio::time::timeout(timeout, body.next()) => {
                    next.unwrap_or_else(|_| Some(Err(timed_out(timeout))))
                }
            };
            match next? {
                Ok(bytes) => Some((Ok(bytes), Some(body))),
                Err(error) => Some((Err(error), None)),
            }
        }
    })
    .boxed()
}
