//! Time for the runtimes that replay a journal: the system's, or one that a test moves.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::port::BoxFut;
use crate::clock::{Clock, SystemClock};

/// Locks, also what a panic left behind: what is guarded here is whole at every moment.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clock that one can sleep by.
pub(super) trait RunTimer: Clock {
    /// Ends when the clock shows `at_ms`. It counts from the call, not from the first poll. What comes back keeps a
    /// virtual clock standing until it is dropped.
    fn sleep_until(&self, at_ms: u64) -> BoxFut<'static, Busy>;

    /// Keeps a virtual clock standing until it is dropped: something is being done.
    fn busy(&self) -> Busy;
}

/// Keeps a virtual clock standing as long as it lives.
#[derive(Debug)]
pub(super) struct Busy(Option<Arc<VirtualClock>>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(clock) = self.0.take() {
            clock.release();
        }
    }
}

impl RunTimer for SystemClock {
    fn sleep_until(&self, at_ms: u64) -> BoxFut<'static, Busy> {
        let wait = Duration::from_millis(at_ms.saturating_sub(self.now_ms()));
        Box::pin(async move {
            tokio::time::sleep(wait).await;
            Busy(None)
        })
    }

    fn busy(&self) -> Busy {
        Busy(None)
    }
}

/// A clock that tests own. It never moves by itself while a step or a pipeline is at work.
///
/// An automatic one jumps to the next timer as soon as everything waits for timers; a manual one stands until
/// [`advance`](Self::advance).
pub struct VirtualClock {
    inner: Mutex<Inner>,
    automatic: AtomicBool,
}

struct Inner {
    now_ms: u64,
    busy: usize,
    next_id: u64,
    sleepers: BTreeMap<(u64, u64), oneshot::Sender<Busy>>,
}

impl VirtualClock {
    /// A clock that jumps to the next timer when nothing else is to be done.
    #[must_use]
    pub fn automatic(now_ms: u64) -> Arc<Self> {
        Self::new(now_ms, true)
    }

    /// A clock that stands until it is moved.
    #[must_use]
    pub fn manual(now_ms: u64) -> Arc<Self> {
        Self::new(now_ms, false)
    }

    fn new(now_ms: u64, automatic: bool) -> Arc<Self> {
        let inner = Inner {
            now_ms,
            busy: 0,
            next_id: 0,
            sleepers: BTreeMap::new(),
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            automatic: AtomicBool::new(automatic),
        })
    }

    /// Moves the clock forward, from timer to timer. What a timer starts is waited for, but not longer than 50 real
    /// milliseconds: a body may hang.
    pub async fn advance(self: &Arc<Self>, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let target = locked(&self.inner).now_ms.saturating_add(by);
        loop {
            self.settle().await;
            if !self.fire_next(target) {
                break;
            }
        }
        let mut inner = locked(&self.inner);
        inner.now_ms = inner.now_ms.max(target);
    }

    /// Waits until nothing is being done, but not longer than 50 real milliseconds.
    async fn settle(&self) {
        let mut idle = 0;
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            idle = if locked(&self.inner).busy == 0 {
                idle + 1
            } else {
                0
            };
            if idle == 2 {
                return;
            }
        }
    }

    /// Wakes the next sleeper that is due at `limit`; says whether there was one.
    fn fire_next(self: &Arc<Self>, limit: u64) -> bool {
        let sender = {
            let mut inner = locked(&self.inner);
            let Some(entry) = inner.sleepers.first_entry() else {
                return false;
            };
            let at = entry.key().0;
            if at > limit {
                return false;
            }
            let sender = entry.remove();
            inner.now_ms = inner.now_ms.max(at);
            inner.busy += 1;
            sender
        };
        // When nobody sleeps there any more, what comes back is dropped here, outside the lock.
        drop(sender.send(Busy(Some(Arc::clone(self)))));
        true
    }

    fn release(self: &Arc<Self>) {
        let idle = {
            let mut inner = locked(&self.inner);
            inner.busy = inner.busy.saturating_sub(1);
            inner.busy == 0
        };
        if idle && self.automatic.load(Ordering::SeqCst) {
            self.fire_next(u64::MAX);
        }
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> u64 {
        locked(&self.inner).now_ms
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = locked(&self.inner);
        f.debug_struct("VirtualClock")
            .field("now_ms", &inner.now_ms)
            .field("busy", &inner.busy)
            .field("sleepers", &inner.sleepers.len())
            .finish()
    }
}

impl Clock for Arc<VirtualClock> {
    fn now_ms(&self) -> u64 {
        (**self).now_ms()
    }
}

impl RunTimer for Arc<VirtualClock> {
    fn sleep_until(&self, at_ms: u64) -> BoxFut<'static, Busy> {
        let (sender, receiver) = oneshot::channel();
        let key = {
            let mut inner = locked(&self.inner);
            inner.next_id += 1;
            let key = (at_ms, inner.next_id);
            inner.sleepers.insert(key, sender);
            key
        };
        let sleeper = Sleeper {
            clock: Self::clone(self),
            key,
        };
        Box::pin(async move {
            let woken = receiver.await;
            drop(sleeper);
            woken.unwrap_or(Busy(None))
        })
    }

    fn busy(&self) -> Busy {
        locked(&self.inner).busy += 1;
        Busy(Some(Self::clone(self)))
    }
}

/// Takes a sleeper that is no longer wanted out of the clock.
struct Sleeper {
    clock: Arc<VirtualClock>,
    key: (u64, u64),
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let gone = locked(&self.clock.inner).sleepers.remove(&self.key);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_automatic_clock_jumps_when_nothing_is_done() {
        let clock = VirtualClock::automatic(1_000);
        let busy = clock.busy();
        let first = clock.sleep_until(61_000);
        let second = clock.sleep_until(31_000);
        assert_eq!(clock.now_ms(), 1_000);
        drop(busy);
        let woken = second.await;
        assert_eq!(clock.now_ms(), 31_000);
        drop(woken);
        drop(first.await);
        assert_eq!(clock.now_ms(), 61_000);
    }

    #[tokio::test]
    async fn a_manual_clock_stands() {
        let clock = VirtualClock::manual(0);
        let sleep = tokio::spawn(clock.sleep_until(5_000));
        clock.advance(Duration::from_secs(4)).await;
        assert!(!sleep.is_finished());
        clock.advance(Duration::from_secs(2)).await;
        drop(sleep.await.expect("the sleeper"));
        assert_eq!(clock.now_ms(), 6_000);
    }
}
