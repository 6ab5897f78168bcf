//! The pipelines and steps that a worker knows.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::{StepError, StepErrorKind};
use super::port::{BoxFut, DurableContext, StepContext, StepResult};
use crate::{Error, ErrorKind, Result};

/// A pipeline with its types erased.
pub type ErasedPipeline =
    Arc<dyn for<'a> Fn(&'a dyn DurableContext, Value) -> BoxFut<'a, StepResult> + Send + Sync>;

/// The body of a step with its types erased.
pub type ErasedStep =
    Arc<dyn for<'a> Fn(&'a dyn StepContext, Value) -> BoxFut<'a, StepResult> + Send + Sync>;

/// The name of a pipeline with its version, written `name@N`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PipelineName {
    name: String,
    version: u32,
}

impl PipelineName {
    /// Version `version` of the pipeline `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, version: u32) -> Self {
        Self {
            name: name.into(),
            version,
        }
    }

    /// The name without the version.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }
}

impl fmt::Display for PipelineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl FromStr for PipelineName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text
            .rsplit_once('@')
            .filter(|(name, _)| !name.is_empty())
            .and_then(|(name, version)| Some(Self::new(name, version.parse().ok()?)));
        parsed.ok_or_else(|| Error::invalid("pipeline", "must be written name@N"))
    }
}

impl TryFrom<String> for PipelineName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<PipelineName> for String {
    fn from(name: PipelineName) -> Self {
        name.to_string()
    }
}

/// An async function over a borrowed context, so that plain `async fn` items can be registered. Never implemented by
/// hand: every matching function has it.
pub trait AsyncBody<'a, C: ?Sized + 'a, I, O, E> {
    /// What the function returns.
    type Fut: Future<Output = std::result::Result<O, E>> + Send + 'a;

    /// Calls it.
    fn call(&self, cx: &'a C, input: I) -> Self::Fut;
}

impl<'a, C, I, O, E, F, Fut> AsyncBody<'a, C, I, O, E> for F
where
    C: ?Sized + 'a,
    F: Fn(&'a C, I) -> Fut,
    Fut: Future<Output = std::result::Result<O, E>> + Send + 'a,
{
    type Fut = Fut;

    fn call(&self, cx: &'a C, input: I) -> Fut {
        self(cx, input)
    }
}

/// Like [`AsyncBody`], with a state of its own as first argument: what a step needs beside its input.
pub trait AsyncBodyWith<'a, S, C: ?Sized + 'a, I, O, E> {
    /// What the function returns.
    type Fut: Future<Output = std::result::Result<O, E>> + Send + 'a;

    /// Calls it.
    fn call(&self, state: S, cx: &'a C, input: I) -> Self::Fut;
}

impl<'a, S, C, I, O, E, F, Fut> AsyncBodyWith<'a, S, C, I, O, E> for F
where
    C: ?Sized + 'a,
    F: Fn(S, &'a C, I) -> Fut,
    Fut: Future<Output = std::result::Result<O, E>> + Send + 'a,
{
    type Fut = Fut;

    fn call(&self, state: S, cx: &'a C, input: I) -> Fut {
        self(state, cx, input)
    }
}

/// The pipelines and steps that a worker knows. Cheap to clone when built.
#[derive(Clone, Default)]
pub struct Registry {
    pipelines: BTreeMap<PipelineName, ErasedPipeline>,
    steps: BTreeMap<String, ErasedStep>,
}

impl Registry {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers version `version` of the pipeline `name`: an
    /// `async fn(&dyn DurableContext, Input) -> Result<Output, impl Into<StepError>>`.
    #[must_use]
    pub fn pipeline<I, O, E, F>(self, name: &str, version: u32, body: F) -> Self
    where
        F: for<'a> AsyncBody<'a, dyn DurableContext + 'a, I, O, E> + Send + Sync + 'static,
        I: DeserializeOwned + 'static,
        O: Serialize + 'static,
        E: Into<StepError> + 'static,
    {
        let name = PipelineName::new(name, version);
        let label: Arc<str> = name.to_string().into();
        self.erased_pipeline(
            name,
            Arc::new(move |cx, input| {
                let running = from_json(&label, input).map(|input| body.call(cx, input));
                let label = Arc::clone(&label);
                Box::pin(async move { to_json(&label, &running?.await.map_err(Into::into)?) })
            }),
        )
    }

    /// Registers the step `name`: an `async fn(&dyn StepContext, Input) -> Result<Output, impl Into<StepError>>`.
    #[must_use]
    pub fn step<I, O, E, F>(self, name: &str, body: F) -> Self
    where
        F: for<'a> AsyncBody<'a, dyn StepContext + 'a, I, O, E> + Send + Sync + 'static,
        I: DeserializeOwned + 'static,
        O: Serialize + 'static,
        E: Into<StepError> + 'static,
    {
        let label: Arc<str> = name.into();
        self.erased_step(
            name,
            Arc::new(move |cx, input| {
                let running = from_json(&label, input).map(|input| body.call(cx, input));
                let label = Arc::clone(&label);
                Box::pin(async move { to_json(&label, &running?.await.map_err(Into::into)?) })
            }),
        )
    }

    /// Registers the step `name` with a state that every call gets a clone of: an
    /// `async fn(State, &dyn StepContext, Input) -> Result<Output, impl Into<StepError>>`.
    #[must_use]
    pub fn step_with<S, I, O, E, F>(self, name: &str, state: &S, body: F) -> Self
    where
        F: for<'a> AsyncBodyWith<'a, S, dyn StepContext + 'a, I, O, E> + Send + Sync + 'static,
        S: Clone + Send + Sync + 'static,
        I: DeserializeOwned + 'static,
        O: Serialize + 'static,
        E: Into<StepError> + 'static,
    {
        let label: Arc<str> = name.into();
        let state = state.clone();
        self.erased_step(
            name,
            Arc::new(move |cx, input| {
                let running =
                    from_json(&label, input).map(|input| body.call(state.clone(), cx, input));
                let label = Arc::clone(&label);
                Box::pin(async move { to_json(&label, &running?.await.map_err(Into::into)?) })
            }),
        )
    }

    /// Registers a pipeline whose types are erased already. The last one of a name holds.
    #[must_use]
    pub fn erased_pipeline(mut self, name: PipelineName, body: ErasedPipeline) -> Self {
        self.pipelines.insert(name, body);
        self
    }

    /// Registers a step whose types are erased already. The last one of a name holds.
    #[must_use]
    pub fn erased_step(mut self, name: &str, body: ErasedStep) -> Self {
        self.steps.insert(name.to_owned(), body);
        self
    }

    /// The pipelines that are known.
    pub fn pipelines(&self) -> impl Iterator<Item = &PipelineName> {
        self.pipelines.keys()
    }

    /// A pipeline.
    #[must_use]
    pub fn find_pipeline(&self, name: &PipelineName) -> Option<&ErasedPipeline> {
        self.pipelines.get(name)
    }

    /// A step.
    #[must_use]
    pub fn find_step(&self, name: &str) -> Option<&ErasedStep> {
        self.steps.get(name)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("pipelines", &self.pipelines.keys().collect::<Vec<_>>())
            .field("steps", &self.steps.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Reads a payload; `what` names it in the error.
///
/// # Errors
/// [`Runtime`](StepErrorKind::Runtime) with the field that does not fit.
pub fn from_json<T: DeserializeOwned>(
    what: &str,
    value: Value,
) -> std::result::Result<T, StepError> {
    serde_json::from_value(value).map_err(|e| misfit(what, "does not fit", &e))
}

/// Writes a payload; `what` names it in the error.
///
/// # Errors
/// [`Runtime`](StepErrorKind::Runtime) for what is no JSON.
pub fn to_json<T: Serialize>(what: &str, value: &T) -> StepResult {
    serde_json::to_value(value).map_err(|e| misfit(what, "is no JSON", &e))
}

fn misfit(what: &str, how: &str, cause: &serde_json::Error) -> StepError {
    let error = Error::new(
        ErrorKind::Unexpected,
        format!("a payload of {what} {how}: {cause}"),
    );
    StepError::of(StepErrorKind::Runtime, &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Sum {
        a: i64,
        b: i64,
    }

    async fn plain(cx: &dyn DurableContext, input: Value) -> StepResult {
        cx.step("sum", input).await
    }

    async fn typed(cx: &dyn StepContext, input: Sum) -> Result<i64> {
        let _ = cx.run_id();
        Ok(input.a + input.b)
    }

    async fn with_state(state: Arc<i64>, _: &dyn StepContext, input: Sum) -> Result<i64> {
        Ok(*state * input.a)
    }

    #[test]
    fn plain_functions_register_with_their_own_types() {
        let registry = Registry::new()
            .pipeline("p", 1, plain)
            .step("sum", typed)
            .step_with("times", &Arc::new(3_i64), with_state);
        assert!(
            registry
                .find_pipeline(&"p@1".parse().expect("a name"))
                .is_some()
        );
        assert!(registry.find_step("times").is_some());
        assert!(registry.find_step("other").is_none());
    }

    #[test]
    fn a_name_is_written_with_its_version() {
        let name: PipelineName = "deploy_repo@12".parse().expect("a name");
        assert_eq!((name.name(), name.version()), ("deploy_repo", 12));
        assert!("deploy_repo".parse::<PipelineName>().is_err());
        assert!("@1".parse::<PipelineName>().is_err());
        assert!("x@".parse::<PipelineName>().is_err());
    }
}
