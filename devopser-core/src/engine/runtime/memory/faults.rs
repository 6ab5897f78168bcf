//! Crashes that a test asked for.

use tokio_util::sync::CancellationToken;

use super::super::replay::Halt;

#[derive(Debug, PartialEq, Eq)]
enum When {
    Before,
    After,
}

#[derive(Debug)]
struct Fault {
    when: When,
    step: String,
    left: u32,
}

/// The crashes that are still to come, and the worker that they end.
#[derive(Debug, Default)]
pub(super) struct Faults {
    waiting: Vec<Fault>,
    worker: Option<CancellationToken>,
    crashes: u32,
}

impl Faults {
    pub(super) fn before(&mut self, step: &str, n: u32) {
        self.add(When::Before, step, n);
    }

    pub(super) fn after(&mut self, step: &str, n: u32) {
        self.add(When::After, step, n);
    }

    fn add(&mut self, when: When, step: &str, n: u32) {
        self.waiting.push(Fault {
            when,
            step: step.to_owned(),
            left: n.max(1),
        });
    }

    pub(super) fn crashes(&self) -> u32 {
        self.crashes
    }

    /// The worker that crashes from now on.
    pub(super) fn watch(&mut self, worker: CancellationToken) {
        self.worker = Some(worker);
    }

    pub(super) fn hit_before(&mut self, step: &str) -> Result<(), Halt> {
        self.hit(&When::Before, step)
    }

    pub(super) fn hit_after(&mut self, step: &str) -> Result<(), Halt> {
        self.hit(&When::After, step)
    }

    fn hit(&mut self, when: &When, step: &str) -> Result<(), Halt> {
        let mut crashes = false;
        for fault in &mut self.waiting {
            if fault.when == *when && fault.step == step {
                fault.left -= 1;
                crashes |= fault.left == 0;
            }
        }
        self.waiting.retain(|fault| fault.left > 0);
        if !crashes {
            return Ok(());
        }
        self.crashes += 1;
        if let Some(worker) = self.worker.take() {
            worker.cancel();
        }
        Err(Halt(format!("a crash at step {step}, as asked")))
    }
}
