//! [`MemoryCiRunner`]: runs that go on by being looked at.

use std::collections::{BTreeMap, VecDeque};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::cloud::MemoryCloud;
use super::repository_host::DEFAULT_BRANCH;
use super::services::lock;
use super::snapshot::Verb;
use crate::context::Context;
use crate::id::{CodeRepository, IdempotencyKey};
use crate::model::service::{LogLine, LogStream};
use crate::provider::{
    CiCapability, CiConclusion, CiPhase, CiRun, CiRunRef, CiRunner, DispatchRequest, ProviderInfo,
};
use crate::{Error, ErrorKind, Result};

#[derive(Debug)]
struct Run {
    looks: u32,
    conclusion: CiConclusion,
    lines: Vec<String>,
}

/// The runs by id, which key started which, and how the next ones end.
#[derive(Debug, Default)]
pub(super) struct Runs {
    by_id: BTreeMap<String, Run>,
    by_key: BTreeMap<(CodeRepository, IdempotencyKey), String>,
    script: VecDeque<CiConclusion>,
}

impl MemoryCloud {
    /// How the next runs end, one for each. Without any, a run ends well.
    pub fn script_runs(&self, conclusions: impl IntoIterator<Item = CiConclusion>) {
        lock(&self.shared.state).runs.script.extend(conclusions);
    }
}

/// Runs that are queued at the first look, go on at the second and ended at the third. A workflow is a file in
/// `.github/workflows/` of a repository of the same cloud, on its default branch.
#[derive(Clone, Debug)]
pub struct MemoryCiRunner {
    cloud: MemoryCloud,
}

impl MemoryCiRunner {
    /// The one of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }

    fn check_workflow(&self, request: &DispatchRequest) -> Result<()> {
        let state = lock(&self.cloud.shared.state);
        let wanted = format!(".github/workflows/{}", request.workflow);
        let known = state
            .code
            .0
            .get(&request.repository)
            .is_some_and(|repository| {
                repository
                    .branches
                    .get(DEFAULT_BRANCH)
                    .and_then(|head| repository.commits.get(head))
                    .is_some_and(|files| files.keys().any(|path| path.as_str() == wanted))
            });
        if known {
            Ok(())
        } else {
            Err(missing(&format!(
                "{} in {}",
                request.workflow, request.repository
            )))
        }
    }

    fn start(&self, request: &DispatchRequest) -> String {
        let mut state = lock(&self.cloud.shared.state);
        let key = (request.repository.clone(), request.key.clone());
        if let Some(id) = state.runs.by_key.get(&key) {
            return id.clone();
        }
        let id = format!("run-{}", state.next_number());
        let conclusion = state
            .runs
            .script
            .pop_front()
            .unwrap_or(CiConclusion::Success);
        let lines = request
            .inputs
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let lines = std::iter::once(format!("run {}", request.workflow))
            .chain(lines)
            .collect();
        let run = Run {
            looks: 0,
            conclusion,
            lines,
        };
        state.runs.by_id.insert(id.clone(), run);
        state.runs.by_key.insert(key, id.clone());
        state.effect(Verb::Made, "run", &id);
        id
    }
}

fn missing(what: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {what}")).with_provider("memory")
}

fn look_at(run: &mut Run) -> CiRun {
    run.looks = run.looks.saturating_add(1);
    match run.looks {
        1 => CiRun::of(CiPhase::Queued),
        2 => CiRun::of(CiPhase::Running),
        _ => {
            let ended = CiRun::of(CiPhase::Finished {
                conclusion: run.conclusion,
            });
            match run.conclusion {
                CiConclusion::Failure => ended.with_failed_step("build / Build the image"),
                _ => ended,
            }
        }
    }
}

#[async_trait]
impl CiRunner for MemoryCiRunner {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    fn capability(&self) -> CiCapability {
        CiCapability {
            max_inputs: 25,
            live_logs: true,
        }
    }

    async fn dispatch(&self, ctx: &Context, request: DispatchRequest) -> Result<CiRunRef> {
        request.validate(self.capability())?;
        let call = self.cloud.change(ctx, "CiRunner::dispatch").await?;
        self.check_workflow(&request)?;
        let id = self.start(&request);
        call.happened().await?;
        Ok(CiRunRef {
            provider: MemoryCloud::id(),
            repository: request.repository,
            id,
            url: None,
        })
    }

    async fn follow(&self, ctx: &Context, run: &CiRunRef) -> Result<CiRun> {
        let call = self.cloud.look(ctx, "CiRunner::follow").await?;
        let found = lock(&self.cloud.shared.state)
            .runs
            .by_id
            .get_mut(&run.id)
            .map(look_at)
            .ok_or_else(|| missing(&run.id))?;
        call.happened().await?;
        Ok(found)
    }

    async fn cancel(&self, ctx: &Context, run: &CiRunRef) -> Result<()> {
        let call = self.cloud.change(ctx, "CiRunner::cancel").await?;
        if let Some(run) = lock(&self.cloud.shared.state).runs.by_id.get_mut(&run.id)
            && run.looks < 3
        {
            run.conclusion = CiConclusion::Cancelled;
            run.looks = 3;
        }
        call.happened().await
    }

    fn logs(&self, _ctx: &Context, run: &CiRunRef) -> BoxStream<'static, Result<LogLine>> {
        let lines = match lock(&self.cloud.shared.state).runs.by_id.get(&run.id) {
            Some(run) => run.lines.clone(),
            None => return stream::iter([Err(missing(&run.id))]).boxed(),
        };
        stream::iter(lines)
            .map(|line| {
                Ok(LogLine {
                    at: None,
                    stream: LogStream::Stdout,
                    line,
                })
            })
            .boxed()
    }
}
