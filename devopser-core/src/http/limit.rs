//! How many requests an account gets: [`RateLimiter`].

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::id::ProviderId;

/// What a provider counts requests by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RateScope {
    /// The provider.
    pub provider: ProviderId,
    /// The account, or what the provider counts by in its place; never a credential.
    pub account: String,
}

/// Holds requests back before the provider has to.
pub trait RateLimiter: Debug + Send + Sync + 'static {
    /// Reserves one request and says how long to wait before it is sent.
    fn reserve(&self, scope: &RateScope, now_ms: u64) -> Duration;

    /// The provider refused a request of the scope: nothing is sent for this long.
    fn pause(&self, scope: &RateScope, now_ms: u64, pause: Duration);
}

/// No limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLimit;

impl RateLimiter for NoLimit {
    fn reserve(&self, _scope: &RateScope, _now_ms: u64) -> Duration {
        Duration::ZERO
    }

    fn pause(&self, _scope: &RateScope, _now_ms: u64, _pause: Duration) {}
}

/// A bucket of tokens for each scope: `burst` requests at once, then one every `interval`.
#[derive(Debug)]
pub struct TokenBuckets {
    interval_ms: u64,
    burst: u64,
    /// When each scope's bucket would be full again, in milliseconds since 1970.
    full_at: Mutex<BTreeMap<RateScope, u64>>,
}

impl TokenBuckets {
    /// Buckets that give `burst` requests (at least one) at once, then one every `interval`.
    #[must_use]
    pub fn new(interval: Duration, burst: u32) -> Self {
        Self {
            interval_ms: millis(interval),
            burst: u64::from(burst.max(1)),
            full_at: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RateScope, u64>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl RateLimiter for TokenBuckets {
    fn reserve(&self, scope: &RateScope, now_ms: u64) -> Duration {
        let mut buckets = self.lock();
        let full_at = buckets.entry(scope.clone()).or_insert(now_ms);
        *full_at = (*full_at).max(now_ms).saturating_add(self.interval_ms);
        let tolerance = self.interval_ms.saturating_mul(self.burst);
        Duration::from_millis(full_at.saturating_sub(now_ms.saturating_add(tolerance)))
    }

    fn pause(&self, scope: &RateScope, now_ms: u64, pause: Duration) {
        let mut buckets = self.lock();
        let full_at = buckets.entry(scope.clone()).or_insert(now_ms);
        // Empty until the pause is over: the next request then waits for exactly that long.
        let spent = self
            .interval_ms
            .saturating_mul(self.burst.saturating_sub(1));
        *full_at = (*full_at).max(now_ms.saturating_add(millis(pause)).saturating_add(spent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(account: &str) -> RateScope {
        RateScope {
            provider: ProviderId::new("fly").unwrap(),
            account: account.into(),
        }
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_waits_its_turn() {
        let buckets = TokenBuckets::new(Duration::from_millis(100), 3);
        let waits: Vec<u128> = (0..6)
            .map(|_| buckets.reserve(&scope("a"), 1000).as_millis())
            .collect();
        assert_eq!(waits, [0, 0, 0, 100, 200, 300]);
        assert_eq!(buckets.reserve(&scope("b"), 1000), Duration::ZERO);
        assert_eq!(buckets.reserve(&scope("a"), 10_000), Duration::ZERO);
    }

    #[test]
    fn a_pause_holds_every_request_of_its_scope() {
        let buckets = TokenBuckets::new(Duration::from_millis(100), 3);
        buckets.pause(&scope("a"), 1000, Duration::from_secs(5));
        assert_eq!(buckets.reserve(&scope("a"), 1000), Duration::from_secs(5));
        assert_eq!(buckets.reserve(&scope("b"), 1000), Duration::ZERO);
    }
}
