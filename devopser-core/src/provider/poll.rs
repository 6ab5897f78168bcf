//! [`Poll`]: waits that always end.

use std::time::Duration;

use crate::context::Context;
use crate::{Error, ErrorKind, Result, Retry};

/// How long is waited for something to come about, and how often it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    /// The wait before the second look; each one is half as long again.
    pub first: Duration,
    /// The longest wait between two looks.
    pub longest: Duration,
    /// The longest time in all.
    pub deadline: Duration,
}

impl Poll {
    /// Looks after one second at first and at least every ten, until `deadline`.
    #[must_use]
    pub fn until(deadline: Duration) -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(10),
            deadline,
        }
    }

    /// Sets how often it is looked at.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.first = interval;
        self.longest = interval;
        self
    }

    /// Looks until `look` finds something. It looks at least once.
    ///
    /// # Errors
    /// What `look` fails with, [`Cancelled`](ErrorKind::Cancelled), or [`Timeout`](ErrorKind::Timeout) that says what was
    /// waited for.
    pub async fn run<T, F, W>(self, ctx: &Context, what: &str, mut look: F) -> Result<T>
    where
        T: Send,
        F: FnMut() -> W + Send,
        W: Future<Output = Result<Option<T>>> + Send,
    {
        let started = ctx.clock.now_ms();
        let (mut wait, mut waited) = (self.first, Duration::ZERO);
        loop {
            ctx.check_cancelled()?;
            if let Some(found) = look().await? {
                return Ok(found);
            }
            // The clock counts what the looks take; the sum of the waits ends a wait whose clock stands still.
            let elapsed =
                Duration::from_millis(ctx.clock.now_ms().saturating_sub(started)).max(waited);
            let left = self.deadline.saturating_sub(elapsed);
            if left.is_zero() {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    format!("{what}: not within {} seconds", self.deadline.as_secs()),
                )
                .with_retry(Retry::Later { after: None }));
            }
            let pause = wait.min(left).max(Duration::from_millis(1));
            ctx.sleep(pause).await?;
            waited = waited.saturating_add(pause);
            wait = wait.saturating_mul(3).min(self.longest.saturating_mul(2)) / 2;
        }
    }
}
