//! The worker of the runtime in memory.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::port::BoxFut;
use super::super::registry::Registry;
use super::super::replay::{Driver, End, Halt, Host, Journal, Record};
use super::super::timer::locked;
use super::Memory;
use super::store::{Taken, step_of};
use crate::{Error, ErrorKind, Result};

pub(super) async fn run(
    memory: &Arc<Memory>,
    registry: Registry,
    stop: BoxFut<'static, ()>,
) -> Result<()> {
    let place = memory.hub.take_worker()?;
    // A worker before this one may have been dropped; what it drove ends soon.
    memory.hub.empty().await;
    let crash = CancellationToken::new();
    locked(&memory.faults).watch(crash.clone());
    let down = CancellationToken::new();
    let registry = Arc::new(registry);
    // Dropped in the opposite order: first the drivers, then what they hold.
    let freed = Freed(memory);
    let mut drivers = JoinSet::new();
    let mut stop = stop;
    let crashed = loop {
        for taken in locked(&memory.store).take(&registry) {
            let registry = Arc::clone(&registry);
            drivers.spawn(drive(Arc::clone(memory), registry, taken, down.clone()));
        }
        tokio::select! {
            biased;
            () = crash.cancelled() => break true,
            () = &mut stop => break false,
            _ = drivers.join_next(), if !drivers.is_empty() => {}
            () = memory.hub.work.notified() => {}
        }
    };
    if crashed {
        drivers.shutdown().await;
    } else {
        down.cancel();
        while drivers.join_next().await.is_some() {}
    }
    drop(freed);
    drop(place);
    if crashed || crash.is_cancelled() {
        return Err(Error::new(
            ErrorKind::Unavailable,
            "the worker crashed, as the test asked",
        ));
    }
    Ok(())
}

/// Frees the runs of a worker that is gone, however it went.
struct Freed<'a>(&'a Arc<Memory>);

impl Drop for Freed<'_> {
    fn drop(&mut self) {
        locked(&self.0.store).free_all();
    }
}

async fn drive(
    memory: Arc<Memory>,
    registry: Arc<Registry>,
    taken: Taken,
    down: CancellationToken,
) {
    let held = memory.timer.busy();
    let Taken { run, epoch, busy } = taken;
    drop(busy);
    let id = run.id.clone();
    let Some((entry, inbox)) = memory.hub.enter(&id) else {
        return;
    };
    let mut journal = MemoryJournal {
        memory: &memory,
        run: id.clone(),
        epoch,
    };
    let host: Arc<dyn Host> = Arc::<Memory>::clone(&memory);
    let driver = Driver::new(run, &registry, &mut journal, host, inbox, down);
    drop(held);
    let end = driver.drive().await;
    let busy = memory.timer.busy();
    match end {
        End::Ended(result) => {
            let now = memory.timer.now_ms();
            let mut store = locked(&memory.store);
            if let Ok(kept) = store.open(&id)
                && kept.is_held_by(epoch)
            {
                kept.end(now, result);
            }
        }
        End::Halted(halt) => tracing::debug!(run = id, why = %halt.0, "a run stopped where it was"),
        End::Terminated | End::LeftOff => {}
    }
    drop(entry);
    memory.hub.tell_end();
    drop(busy);
}

struct MemoryJournal<'a> {
    memory: &'a Memory,
    run: String,
    epoch: u64,
}

#[async_trait]
impl Journal for MemoryJournal<'_> {
    async fn load(&mut self) -> std::result::Result<Vec<Record>, Halt> {
        let mut store = locked(&self.memory.store);
        let kept = store
            .open(&self.run)
            .map_err(|error| Halt(error.to_string()))?;
        Ok(kept.journal.clone())
    }

    async fn append(&mut self, record: &Record) -> std::result::Result<(), Halt> {
        if let Some(step) = step_of(record) {
            locked(&self.memory.faults).hit_after(step)?;
        }
        let mut store = locked(&self.memory.store);
        match store.open(&self.run) {
            Ok(kept) if kept.is_held_by(self.epoch) => {
                kept.journal.push(record.clone());
                Ok(())
            }
            _ => Err(Halt("another worker has the run".to_owned())),
        }
    }
}
