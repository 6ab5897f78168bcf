//! When a request is sent again: one pure table.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::request::HttpRequest;
use super::transport::TransportErrorKind;
use crate::Retry;

/// How often and how long is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most attempts, the first one included. Default: 4.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles with each one. Default: 500 ms.
    pub base: Duration,
    /// The longest wait by our own backoff. Default: 20 s.
    pub longest_wait: Duration,
    /// The longest `Retry-After` that is waited for inside a call; a longer one goes to the caller. Default: 60 s.
    pub longest_retry_after: Duration,
    /// The longest time of one attempt, where the request says none. Default: 30 s.
    pub attempt_timeout: Duration,
    /// The longest time of all attempts with the waits, where the request says none. Default: 3 minutes.
    pub total_timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(500),
            longest_wait: Duration::from_secs(20),
            longest_retry_after: Duration::from_secs(60),
            attempt_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(180),
        }
    }
}

impl RetryPolicy {
    /// One attempt, no more.
    #[must_use]
    pub fn once() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }
}

/// What an attempt brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer with this status.
    Status(u16),
    /// No answer.
    Transport(TransportErrorKind),
}

/// What is known when it is decided whether to send a request again.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Whether the request may be sent twice.
    pub idempotent: bool,
    /// Whether the provider says that a 429 means that nothing was done.
    pub repeat_when_limited: bool,
    /// Which attempt it was, counted from 1.
    pub number: u32,
    /// The time since the first attempt began.
    pub elapsed: Duration,
    /// The longest time of all attempts with the waits.
    pub total: Duration,
    /// What the other side asked for.
    pub retry_after: Option<Duration>,
    /// Chance, from 0 up to 1.
    pub jitter: f64,
}

impl Attempt {
    /// The facts of a request's attempt.
    #[must_use]
    pub fn of(request: &HttpRequest, number: u32) -> Self {
        Self {
            idempotent: request.is_idempotent(),
            repeat_when_limited: request.repeat_when_limited,
            number,
            elapsed: Duration::ZERO,
            total: Duration::MAX,
            retry_after: None,
            jitter: 0.0,
        }
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is sent again after this wait.
    Repeat {
        /// The wait.
        after: Duration,
    },
    /// The outcome goes to the caller, who is told whether a later call may help.
    Stop {
        /// Whether it may.
        retry: Retry,
    },
}

/// Decides whether a request is sent again. Pure: the same facts, the same decision.
///
/// | outcome | idempotent | not idempotent |
/// |---|---|---|
/// | no connection came about (nothing was sent) | again | again |
/// | timeout, connection broke | again | stop: it may have happened |
/// | 408, 425, 500, 502, 503, 504, 520–524, 529 | again | stop: it may have happened |
/// | 429 | again | stop, unless the request says that the provider does nothing on a 429 |
/// | any other status, a bad certificate, a forbidden address, a request that cannot be sent | stop | stop |
///
/// `Retry-After` is honoured up to the policy's cap, never shortened; a longer one stops and goes to the caller. Nothing
/// is repeated whose wait would end after the total deadline.
#[must_use]
pub fn retry_decision(attempt: &Attempt, outcome: Outcome, policy: &RetryPolicy) -> Decision {
    let Some(may_repeat) = transient(attempt, outcome) else {
        return Decision::Stop {
            retry: Retry::Never,
        };
    };
    if !may_repeat {
        return Decision::Stop {
            retry: Retry::Later {
                after: attempt.retry_after,
            },
        };
    }
    if attempt.number >= policy.attempts {
        return Decision::Stop {
            retry: Retry::Exhausted,
        };
    }
    let after = match attempt.retry_after {
        Some(asked) if asked > policy.longest_retry_after => {
            return Decision::Stop {
                retry: Retry::Later { after: Some(asked) },
            };
        }
        Some(asked) => asked.saturating_add(policy.base.mul_f64(attempt.jitter.clamp(0.0, 1.0))),
        None => backoff(attempt, policy),
    };
    if attempt.elapsed.saturating_add(after) >= attempt.total {
        return Decision::Stop {
            retry: Retry::Exhausted,
        };
    }
    Decision::Repeat { after }
}

/// `None` for what fails again; else whether this request may be sent again.
fn transient(attempt: &Attempt, outcome: Outcome) -> Option<bool> {
    match outcome {
        Outcome::Transport(TransportErrorKind::Refused) => Some(true),
        Outcome::Transport(TransportErrorKind::Timeout | TransportErrorKind::Interrupted)
        | Outcome::Status(408 | 425 | 500 | 502 | 503 | 504 | 520..=524 | 529) => {
            Some(attempt.idempotent)
        }
        Outcome::Status(429) => Some(attempt.idempotent || attempt.repeat_when_limited),
        Outcome::Status(_) | Outcome::Transport(_) => None,
    }
}

/// Half of the doubled wait is fixed, the other half is chance.
fn backoff(attempt: &Attempt, policy: &RetryPolicy) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.number.saturating_sub(1).min(16));
    let full = policy.base.saturating_mul(doubled).min(policy.longest_wait);
    full.mul_f64(0.5 + 0.5 * attempt.jitter.clamp(0.0, 1.0))
}

/// Reads a `Retry-After`: seconds, or an HTTP date. A date that has passed is zero; nonsense is `None`.
#[must_use]
pub fn parse_retry_after(value: &str, now_ms: u64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date: SystemTime = httpdate::parse_http_date(value).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(since_epoch.saturating_sub(Duration::from_millis(now_ms)))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn attempt(idempotent: bool) -> Attempt {
        Attempt {
            idempotent,
            repeat_when_limited: false,
            number: 1,
            elapsed: Duration::ZERO,
            total: Duration::from_secs(180),
            retry_after: None,
            jitter: 0.0,
        }
    }

    fn repeats(attempt: &Attempt, outcome: Outcome) -> bool {
        matches!(
            retry_decision(attempt, outcome, &RetryPolicy::default()),
            Decision::Repeat { .. }
        )
    }

    #[test]
    fn method_times_status_times_mark() {
        const TRANSIENT: &[u16] = &[
            408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529,
        ];
        for method in [
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::DELETE,
            Method::POST,
            Method::PATCH,
        ] {
            for marked in [None, Some(true), Some(false)] {
                let request = HttpRequest::new(method.clone(), "https://a");
                let request = match marked {
                    Some(true) => request.idempotent(),
                    Some(false) => request.not_idempotent(),
                    None => request,
                };
                let by_default = !matches!(method, Method::POST | Method::PATCH);
                let allowed = marked.unwrap_or(by_default);
                for status in 100..=599 {
                    let expected = allowed && TRANSIENT.contains(&status);
                    let got = repeats(&Attempt::of(&request, 1), Outcome::Status(status));
                    assert_eq!(got, expected, "{method} {marked:?} {status}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_idempotent_is_repeated_only_when_nothing_was_sent() {
        use TransportErrorKind as Kind;
        for (kind, idempotent, not_idempotent) in [
            (Kind::Refused, true, true),
            (Kind::Timeout, true, false),
            (Kind::Interrupted, true, false),
            (Kind::Tls, false, false),
            (Kind::Blocked, false, false),
            (Kind::Invalid, false, false),
            (Kind::TooLarge, false, false),
        ] {
            let outcome = Outcome::Transport(kind);
            assert_eq!(repeats(&attempt(true), outcome), idempotent, "{kind:?}");
            assert_eq!(
                repeats(&attempt(false), outcome),
                not_idempotent,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_limited_request_is_repeated_only_where_the_provider_says_so() {
        let mut facts = attempt(false);
        facts.retry_after = Some(Duration::from_secs(7));
        let stop = Decision::Stop {
            retry: Retry::Later {
                after: Some(Duration::from_secs(7)),
            },
        };
        let decide = |facts: &Attempt, status| {
            retry_decision(facts, Outcome::Status(status), &RetryPolicy::default())
        };
        assert_eq!(decide(&facts, 429), stop);
        facts.repeat_when_limited = true;
        assert!(matches!(decide(&facts, 429), Decision::Repeat { .. }));
        assert_eq!(decide(&facts, 503), stop);
    }

    #[test]
    fn retry_after_is_never_shortened_and_a_long_one_goes_to_the_caller() {
        let mut facts = attempt(true);
        facts.jitter = 0.5;
        for (asked, decision) in [
            (
                10,
                Decision::Repeat {
                    after: Duration::from_millis(10_250),
                },
            ),
            (
                60,
                Decision::Repeat {
                    after: Duration::from_millis(60_250),
                },
            ),
            (
                61,
                Decision::Stop {
                    retry: Retry::Later {
                        after: Some(Duration::from_secs(61)),
                    },
                },
            ),
        ] {
            facts.retry_after = Some(Duration::from_secs(asked));
            let got = retry_decision(&facts, Outcome::Status(429), &RetryPolicy::default());
            assert_eq!(got, decision, "{asked}");
        }
    }

    #[test]
    fn the_wait_doubles_and_is_capped_and_the_attempts_end() {
        let policy = RetryPolicy {
            attempts: 9,
            ..RetryPolicy::default()
        };
        let waits: Vec<Option<u128>> = (1..=9)
            .map(|number| {
                let facts = Attempt {
                    number,
                    jitter: 0.999,
                    ..attempt(true)
                };
                match retry_decision(&facts, Outcome::Status(503), &policy) {
                    Decision::Repeat { after } => Some(after.as_millis() / 100),
                    Decision::Stop { .. } => None,
                }
            })
            .collect();
        let tenths = [4, 9, 19, 39, 79, 159, 199, 199].map(Some);
        assert_eq!(waits[..8], tenths);
        assert_eq!(waits[8], None);
    }

    #[test]
    fn nothing_is_repeated_past_the_deadline() {
        let facts = Attempt {
            elapsed: Duration::from_millis(179_800),
            ..attempt(true)
        };
        assert_eq!(
            retry_decision(&facts, Outcome::Status(503), &RetryPolicy::default()),
            Decision::Stop {
                retry: Retry::Exhausted
            }
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = 1_700_000_000_000;
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Tue, 14 Nov 2023 22:13:50 GMT", Some(30)),
            ("Tue, 14 Nov 2023 22:13:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
            ("", None),
        ] {
            assert_eq!(
                parse_retry_after(value, now),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}
