//! Who runs what in this process.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, mpsc, watch};

use super::replay::{Message, Signal, TERMINATE};
use super::timer::{Busy, locked};
use crate::{Error, ErrorKind, Result};

/// Knows the drivers of this process and passes messages to them.
#[derive(Debug)]
pub(super) struct Hub {
    active: Mutex<BTreeMap<String, mpsc::UnboundedSender<Message>>>,
    worker: AtomicBool,
    /// Woken when there may be something to take.
    pub(super) work: Notify,
    ended: watch::Sender<u64>,
    emptied: Notify,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            active: Mutex::default(),
            worker: AtomicBool::new(false),
            work: Notify::new(),
            ended: watch::Sender::new(0),
            emptied: Notify::new(),
        }
    }
}

/// Both ends of the way to a driver.
pub(super) type Inbox = (
    mpsc::UnboundedSender<Message>,
    mpsc::UnboundedReceiver<Message>,
);

impl Hub {
    /// Takes the place of the only worker.
    pub(super) fn take_worker(&self) -> Result<WorkerPlace<'_>> {
        if self.worker.swap(true, Ordering::SeqCst) {
            let text = "this runtime runs a worker already";
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        Ok(WorkerPlace(self))
    }

    /// Whether a worker runs.
    pub(super) fn has_worker(&self) -> bool {
        self.worker.load(Ordering::SeqCst)
    }

    /// Makes the run known here; `None` when it is known already.
    pub(super) fn enter(&self, run: &str) -> Option<(Entry<'_>, Inbox)> {
        let mut active = locked(&self.active);
        if active.contains_key(run) {
            return None;
        }
        let inbox = mpsc::unbounded_channel();
        active.insert(run.to_owned(), inbox.0.clone());
        let run = run.to_owned();
        Some((Entry { hub: self, run }, inbox))
    }

    /// Passes a message to the driver of the run; `false` when there is none here.
    pub(super) fn send(&self, run: &str, message: Message) -> bool {
        let active = locked(&self.active);
        active
            .get(run)
            .is_some_and(|sender| sender.send(message).is_ok())
    }

    /// Passes a signal to the driver of the run, if it is here.
    pub(super) fn pass(&self, run: &str, signal: Signal, busy: Busy) {
        let message = if signal.name == TERMINATE {
            Message::Terminate
        } else {
            Message::Signal(signal, busy)
        };
        self.send(run, message);
    }

    /// Tells those who wait for an end to look again.
    pub(super) fn tell_end(&self) {
        self.ended.send_modify(|count| *count += 1);
    }

    /// Changes whenever a run ended here.
    pub(super) fn ends(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    /// Waits until no driver is left.
    pub(super) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if locked(&self.active).is_empty() {
                return;
            }
            emptied.await;
        }
    }
}

/// The place of the only worker, given back when dropped.
#[derive(Debug)]
pub(super) struct WorkerPlace<'a>(&'a Hub);

impl Drop for WorkerPlace<'_> {
    fn drop(&mut self) {
        self.0.worker.store(false, Ordering::SeqCst);
    }
}

/// A run that is known, until dropped.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    hub: &'a Hub,
    run: String,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut active = locked(&self.hub.active);
        active.remove(&self.run);
        if active.is_empty() {
            self.hub.emptied.notify_waiters();
        }
    }
}
