//! The journal of a run as checkpoints of a durare workflow: one checkpoint a record, in order.

use async_trait::async_trait;
use durare::{DurableContext, StateProvider};
use serde_json::Value;

use super::super::replay::{Halt, Journal, Record};
use super::Embedded;

pub(super) struct DurareJournal<'a> {
    embedded: &'a Embedded,
    cx: DurableContext,
    failure: Option<durare::Error>,
}

impl<'a> DurareJournal<'a> {
    pub(super) fn new(embedded: &'a Embedded, cx: DurableContext) -> Self {
        Self {
            embedded,
            cx,
            failure: None,
        }
    }

    /// What durare said when the journal failed: it decides what becomes of the run.
    pub(super) fn into_failure(self) -> Option<durare::Error> {
        self.failure
    }

    fn failed(&mut self, error: durare::Error) -> Halt {
        let halt = Halt(error.to_string());
        self.failure = Some(error);
        halt
    }
}

#[async_trait]
impl Journal for DurareJournal<'_> {
    async fn load(&mut self) -> Result<Vec<Record>, Halt> {
        let run = self.cx.workflow_id().to_owned();
        let known = self.embedded.provider.get_workflow_steps(&run).await;
        let known = known.map_err(|error| self.failed(recovery(&error)))?;
        let mut records = Vec::with_capacity(known.len());
        for step in known {
            // Durare counts the checkpoints as they are asked for. The body never runs: this one is there.
            let served = self
                .cx
                .step(&step.name, || async {
                    Err::<Value, _>(durare::Error::app("the journal has a hole"))
                })
                .await;
            let value = served.map_err(|error| self.failed(error))?;
            let record = serde_json::from_value(value).map_err(|error| {
                let text = format!("the journal of run {run} cannot be read: {error}");
                self.failed(durare::Error::app(text))
            })?;
            records.push(record);
        }
        Ok(records)
    }

    async fn append(&mut self, record: &Record) -> Result<(), Halt> {
        let value = serde_json::to_value(record)
            .map_err(|error| self.failed(durare::Error::app(error.to_string())))?;
        let name = record.event.label();
        let kept = self.cx.step(&name, || async move { Ok(value) }).await;
        kept.map(|_| ()).map_err(|error| self.failed(error))
    }
}

/// Leaves the run as it is; whoever may take it goes on from the journal.
pub(super) fn recovery(why: &dyn std::fmt::Display) -> durare::Error {
    durare::Error::RecoveryRequired(std::sync::Arc::new(durare::Error::app(why.to_string())))
}
