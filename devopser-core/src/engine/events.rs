//! [`EventWriter`]: takes what a run tells, redacts it, and appends it to the event log in batches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::context::Progress;
use crate::id::{DeploymentId, TenantId};
use crate::model::event::EventKind;
use crate::secret::Redactor;
use crate::store::DeploymentStore;
use crate::{Error, Result, Secret};

/// A line of output longer than this is cut.
const LONGEST_LINE: usize = 4096;
/// Lines of output of one step beyond this are counted, not kept.
const MOST_LINES: u64 = 20_000;
/// How long output may wait for more before it is written.
const BATCH_TIME: Duration = Duration::from_millis(50);

enum Message {
    Event(EventKind),
    Flush(oneshot::Sender<()>),
}

/// Writes the events of one step.
#[derive(Debug)]
pub(crate) struct EventWriter {
    step: String,
    sender: mpsc::UnboundedSender<Message>,
    redactor: Mutex<Redactor>,
    lines: Mutex<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventWriter {
    /// A writer for a step, and its task: it ends when the writer is dropped.
    pub(crate) fn start(
        records: Arc<dyn DeploymentStore>,
        clock: Arc<dyn Clock>,
        tenant: TenantId,
        deployment: DeploymentId,
        step: &str,
    ) -> Arc<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(write(records, clock, tenant, deployment, receiver));
        Arc::new(Self {
            step: step.to_owned(),
            sender,
            redactor: Mutex::new(Redactor::default()),
            lines: Mutex::new(0),
        })
    }

    /// Hides a secret in all that follows.
    pub(crate) fn hide(&self, secret: &Secret) {
        lock(&self.redactor).add(secret);
    }

    /// A text without the secrets that are known.
    pub(crate) fn redacted(&self, text: &str) -> String {
        lock(&self.redactor).redact(text)
    }

    /// A line of output without the secrets that are known, cut last, as half a secret is not known as one. What collects
    /// the line must let far more of it through than is kept here.
    pub(crate) fn redacted_line(&self, line: &str) -> String {
        let mut line = self.redacted(line);
        if let Some((end, _)) = line.char_indices().nth(LONGEST_LINE) {
            line.truncate(end);
        }
        line
    }

    /// Takes an event whose text is known to hold no secret, or was redacted.
    pub(crate) fn event(&self, event: EventKind) {
        let _ = self.sender.send(Message::Event(event));
    }

    /// Waits until all that was taken is stored.
    pub(crate) async fn flush(&self) -> Result<()> {
        let (done, wait) = oneshot::channel();
        let _ = self.sender.send(Message::Flush(done));
        wait.await
            .map_err(|_| Error::unexpected("the events of the step could not be stored"))
    }
}

impl Progress for EventWriter {
    fn log(&self, line: &str) {
        let count = {
            let mut lines = lock(&self.lines);
            *lines += 1;
            *lines
        };
        let line = match count {
            ..MOST_LINES => self.redacted_line(line),
            MOST_LINES => format!("… more than {MOST_LINES} lines; the rest is not kept"),
            _ => return,
        };
        self.event(EventKind::Log {
            step: self.step.clone(),
            line,
        });
    }

    fn note(&self, text: &str) {
        self.event(EventKind::Note {
            text: self.redacted(text),
        });
    }
}

async fn write(
    records: Arc<dyn DeploymentStore>,
    clock: Arc<dyn Clock>,
    tenant: TenantId,
    deployment: DeploymentId,
    mut receiver: mpsc::UnboundedReceiver<Message>,
) {
    let mut open = true;
    while open {
        let mut batch = Vec::new();
        let mut flushed = Vec::new();
        match receiver.recv().await {
            Some(Message::Event(event)) => batch.push(event),
            Some(Message::Flush(done)) => flushed.push(done),
            None => return,
        }
        let full = tokio::time::sleep(BATCH_TIME);
        tokio::pin!(full);
        while flushed.is_empty() && batch.len() < 256 {
            tokio::select! {
                message = receiver.recv() => match message {
                    Some(Message::Event(event)) => batch.push(event),
                    Some(Message::Flush(done)) => flushed.push(done),
                    None => { open = false; break; }
                },
                () = &mut full => break,
            }
        }
        if !batch.is_empty()
            && append(&*records, &*clock, &tenant, &deployment, &batch)
                .await
                .is_err()
        {
            // The waiting step sees its flush fail: events are part of what a step does.
            return;
        }
        for done in flushed {
            let _ = done.send(());
        }
    }
}

async fn append(
    records: &dyn DeploymentStore,
    clock: &dyn Clock,
    tenant: &TenantId,
    deployment: &DeploymentId,
    batch: &[EventKind],
) -> Result<()> {
    let mut tries = 0;
    loop {
        match records
            .append(tenant, deployment, clock.now_ms(), batch)
            .await
        {
            Ok(_) => return Ok(()),
            Err(error) if tries == 5 => {
                tracing::error!(%error, %deployment, "events could not be stored");
                return Err(error);
            }
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(50 << tries)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn a_line_is_cut_after_its_secrets_are_hidden() {
        let writer = EventWriter::start(
            Arc::new(MemoryStore::new()),
            Arc::new(SystemClock),
            TenantId::new("t").expect("a name"),
            DeploymentId::new("dep_1").expect("an id"),
            "build",
        );
        writer.hide(&Secret::new("sentinel-1234"));
        // The secret lies across the place where the line is cut.
        let line = format!("{}sentinel-1234 and more", "x".repeat(LONGEST_LINE - 6));
        let kept = writer.redacted_line(&line);
        assert_eq!(kept.len(), LONGEST_LINE);
        assert!(kept.ends_with("x*** an"), "{}", &kept[LONGEST_LINE - 20..]);
    }
}
