//! Waiting and chance as values that a test can own.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::ManualClock;

/// Waits.
#[async_trait]
pub trait Sleeper: Debug + Send + Sync + 'static {
    /// Returns after `duration`.
    async fn sleep(&self, duration: Duration);
}

/// Waits on tokio's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioSleeper;

#[async_trait]
impl Sleeper for TokioSleeper {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Waits by moving a [`ManualClock`], and keeps what it was asked for: a test takes no time.
#[derive(Debug)]
pub struct ManualSleeper {
    clock: Arc<ManualClock>,
    waits: Mutex<Vec<Duration>>,
}

impl ManualSleeper {
    /// A sleeper that moves `clock`.
    #[must_use]
    pub fn new(clock: Arc<ManualClock>) -> Self {
        Self {
            clock,
            waits: Mutex::default(),
        }
    }

    /// Every wait so far.
    #[must_use]
    pub fn waits(&self) -> Vec<Duration> {
        self.waits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl Sleeper for ManualSleeper {
    async fn sleep(&self, duration: Duration) {
        self.clock.advance(duration);
        self.waits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(duration);
    }
}

/// Chance, so that many workers do not come back at the same moment.
pub trait Jitter: Debug + Send + Sync + 'static {
    /// A number from 0 up to, but not including, 1.
    fn next(&self) -> f64;
}

/// The system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomJitter;

impl Jitter for RandomJitter {
    fn next(&self) -> f64 {
        rand::random_range(0.0..1.0)
    }
}

/// Always the same number.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedJitter(pub f64);

impl Jitter for FixedJitter {
    fn next(&self) -> f64 {
        self.0
    }
}
