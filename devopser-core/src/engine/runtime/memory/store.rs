//! The runs that are kept in memory.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::policy::StepError;
use super::super::port::{RunState, RunStatus, Started, StepResult};
use super::super::registry::{PipelineName, Registry};
use super::super::replay::{Event, Record, Run, RunInput, Signal};
use super::super::timer::Busy;
use crate::{Error, ErrorKind, Result};

/// Every run, in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Store {
    runs: BTreeMap<String, Kept>,
    started: u64,
}

/// One run.
#[derive(Debug)]
pub(super) struct Kept {
    run: Run,
    number: u64,
    state: RunState,
    end: Option<(u64, StepResult)>,
    taken: bool,
    /// Who took it: rises with every taking, so that who lost it cannot write any more.
    epoch: u64,
    busy: Option<Busy>,
    pub(super) journal: Vec<Record>,
    pub(super) signals: Vec<Signal>,
    pub(super) shown: BTreeMap<String, Value>,
    pub(super) beats: BTreeMap<u64, Value>,
}

/// A run that a worker took.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) run: Run,
    pub(super) epoch: u64,
    pub(super) busy: Option<Busy>,
}

impl Store {
    pub(super) fn insert(
        &mut self,
        id: &str,
        pipeline: &PipelineName,
        begin: RunInput,
        busy: Option<Busy>,
    ) -> Started {
        if self.runs.contains_key(id) {
            return Started::Attached;
        }
        self.started += 1;
        let run = Run {
            id: id.to_owned(),
            pipeline: pipeline.clone(),
            begin,
        };
        let kept = Kept {
            run,
            number: self.started,
            state: RunState::Pending,
            end: None,
            taken: false,
            epoch: 0,
            busy,
            journal: Vec::new(),
            signals: Vec::new(),
            shown: BTreeMap::new(),
            beats: BTreeMap::new(),
        };
        self.runs.insert(id.to_owned(), kept);
        Started::New
    }

    pub(super) fn open(&mut self, id: &str) -> Result<&mut Kept> {
        self.runs
            .get_mut(id)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no run {id}")))
    }

    pub(super) fn forget_ended(&mut self, before_ms: u64, limit: usize) -> usize {
        let is_old = |kept: &Kept| kept.end.as_ref().is_some_and(|(at, _)| *at < before_ms);
        let old = self.runs.iter().filter(|(_, kept)| is_old(kept));
        let ids: Vec<String> = old.map(|(id, _)| id.clone()).take(limit).collect();
        ids.iter().for_each(|id| drop(self.runs.remove(id)));
        ids.len()
    }

    pub(super) fn list(&self, prefix: &str, limit: usize) -> Vec<RunStatus> {
        let mut found: Vec<&Kept> = self
            .runs
            .values()
            .filter(|kept| kept.run.id.starts_with(prefix))
            .collect();
        found.sort_by_key(|kept| std::cmp::Reverse(kept.number));
        found.into_iter().take(limit).map(Kept::status).collect()
    }

    pub(super) fn journal(&self, id: &str) -> Vec<String> {
        let kept = self.runs.get(id);
        kept.into_iter()
            .flat_map(|kept| kept.journal.iter().map(|record| record.event.label()))
            .collect()
    }

    /// Takes every run that is free and known to `registry`.
    pub(super) fn take(&mut self, registry: &Registry) -> Vec<Taken> {
        let mut taken = Vec::new();
        let free = self.runs.values_mut().filter(|kept| {
            let known = registry.find_pipeline(&kept.run.pipeline).is_some();
            !kept.taken && !kept.state.is_final() && known
        });
        for kept in free {
            kept.taken = true;
            kept.epoch += 1;
            kept.state = RunState::Running;
            taken.push(Taken {
                run: kept.run.clone(),
                epoch: kept.epoch,
                busy: kept.busy.take(),
            });
        }
        taken
    }

    /// Frees every run: their worker is gone.
    pub(super) fn free_all(&mut self) {
        for kept in self.runs.values_mut() {
            kept.taken = false;
            kept.epoch += 1;
            kept.busy = None;
        }
    }
}

impl Kept {
    pub(super) fn is_final(&self) -> bool {
        self.state.is_final()
    }

    /// Whether `epoch` is still who has the run.
    pub(super) fn is_held_by(&self, epoch: u64) -> bool {
        self.taken && self.epoch == epoch && !self.is_final()
    }

    pub(super) fn signal(&mut self, name: &str, payload: Value) -> Result<Signal> {
        if self.is_final() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("run {} has ended", self.run.id),
            ));
        }
        let signal = Signal {
            id: i64::try_from(self.signals.len()).unwrap_or(i64::MAX) + 1,
            name: name.to_owned(),
            payload,
        };
        self.signals.push(signal.clone());
        Ok(signal)
    }

    pub(super) fn terminate(&mut self, now_ms: u64) {
        self.finish(RunState::Terminated, now_ms, Err(StepError::terminated()));
    }

    pub(super) fn end(&mut self, now_ms: u64, result: StepResult) {
        self.finish(RunState::of(&result), now_ms, result);
    }

    fn finish(&mut self, state: RunState, now_ms: u64, result: StepResult) {
        if !self.is_final() {
            self.state = state;
            self.end = Some((now_ms, result));
        }
    }

    pub(super) fn result(&self) -> Option<StepResult> {
        self.end.as_ref().map(|(_, result)| result.clone())
    }

    pub(super) fn status(&self) -> RunStatus {
        let result = self.end.as_ref().map(|(_, result)| result);
        RunStatus {
            id: self.run.id.clone(),
            pipeline: self.run.pipeline.to_string(),
            state: self.state,
            created_at_ms: self.run.begin.created_at_ms,
            ended_at_ms: self.end.as_ref().map(|(at_ms, _)| *at_ms),
            output: result.and_then(|result| result.as_ref().ok()).cloned(),
            error: result.and_then(|result| result.as_ref().err()).cloned(),
        }
    }
}

/// The step that the record tells the end of an attempt of.
pub(super) fn step_of(record: &Record) -> Option<&str> {
    match &record.event {
        Event::Step { step, .. } | Event::Retry { step, .. } => Some(step),
        _ => None,
    }
}
