//! The signals of a run that no call has taken yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{CANCEL, Signal};

/// Keeps signals by name in the order they were sent. A signal that comes twice is kept once.
#[derive(Debug, Default)]
pub(super) struct Signals {
    seen: BTreeSet<i64>,
    waiting: BTreeMap<String, VecDeque<Signal>>,
    cancel: bool,
}

impl Signals {
    /// Takes note of a signal that the journal says was taken.
    pub(super) fn taken(&mut self, id: i64) {
        self.seen.insert(id);
        for queue in self.waiting.values_mut() {
            queue.retain(|signal| signal.id != id);
        }
    }

    /// Adds a signal that came.
    pub(super) fn add(&mut self, signal: Signal) {
        if !self.seen.insert(signal.id) {
            return;
        }
        if signal.name == CANCEL {
            self.cancel = true;
            return;
        }
        let queue = self.waiting.entry(signal.name.clone()).or_default();
        let place = queue.partition_point(|other| other.id < signal.id);
        queue.insert(place, signal);
    }

    /// Whether a cancel came.
    pub(super) fn cancel_came(&self) -> bool {
        self.cancel
    }

    /// The first signal of that name; it stays until [`taken`](Self::taken).
    pub(super) fn first(&self, name: &str) -> Option<&Signal> {
        self.waiting.get(name)?.front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn signal(id: i64, name: &str) -> Signal {
        Signal {
            id,
            name: name.to_owned(),
            payload: Value::Null,
        }
    }

    #[test]
    fn signals_keep_their_order_and_come_once() {
        let mut signals = Signals::default();
        for id in [3, 1, 3, 2] {
            signals.add(signal(id, "go"));
        }
        let mut order = Vec::new();
        while let Some(id) = signals.first("go").map(|signal| signal.id) {
            order.push(id);
            signals.taken(id);
            signals.add(signal(id, "go"));
        }
        assert_eq!(order, [1, 2, 3]);
        assert!(!signals.cancel_came());
        signals.add(signal(4, CANCEL));
        assert!(signals.cancel_came());
    }
}
