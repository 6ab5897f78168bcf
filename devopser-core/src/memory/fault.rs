//! Faults that a test injects into the memory cloud: [`Fault`].

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use super::cloud::MemoryCloud;
use super::services::lock;
use crate::context::Context;
use crate::{Error, ErrorKind, Result};

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The call fails before anything happened.
    Before(ErrorKind),
    /// The effect happens, and the answer is lost: the call fails afterwards.
    After(ErrorKind),
    /// The call takes this long, and then goes on as usual. A cancelled context ends the wait.
    Delay(Duration),
    /// Nothing happens, and the call never returns: as if the worker died before the request was sent.
    HangBefore,
    /// The effect happens, and the call never returns: as if the worker died before it could note the answer.
    HangAfter,
}

#[derive(Debug)]
struct Rule {
    operation: String,
    /// The fault strikes when this reaches zero.
    calls_left: u32,
    fault: Fault,
}

/// The faults that wait for their call, and how often each operation was called.
#[derive(Debug)]
pub(super) struct Faults {
    rules: Vec<Rule>,
    pub(super) calls: BTreeMap<String, u32>,
    hung: watch::Sender<u32>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            calls: BTreeMap::new(),
            hung: watch::Sender::new(0),
        }
    }
}

impl Faults {
    fn next(&mut self, operation: &str) -> Option<Fault> {
        *self.calls.entry(operation.to_owned()).or_default() += 1;
        let mut struck = None;
        for (index, rule) in self.rules.iter_mut().enumerate() {
            if rule.operation == operation {
                rule.calls_left = rule.calls_left.saturating_sub(1);
                if rule.calls_left == 0 && struck.is_none() {
                    struck = Some(index);
                }
            }
        }
        struck.map(|index| self.rules.remove(index).fault)
    }
}

/// One call under way: what still has to go wrong once its effect happened.
#[derive(Debug)]
#[must_use]
pub(super) struct Call<'a> {
    cloud: &'a MemoryCloud,
    operation: &'static str,
    after: Option<Fault>,
}

impl Call<'_> {
    /// The effect happened. Fails, or never returns, when a fault says so.
    pub(super) async fn happened(self) -> Result<()> {
        match self.after {
            Some(Fault::After(kind)) => Err(injected(kind, self.operation, "after it took effect")),
            Some(Fault::HangAfter) => self.cloud.hang().await,
            _ => Ok(()),
        }
    }
}

fn injected(kind: ErrorKind, operation: &str, when: &str) -> Error {
    Error::new(kind, format!("a fault was injected {when}"))
        .with_provider("memory")
        .with_operation(operation)
}

impl MemoryCloud {
    /// Lets the `nth` call of `operation` from now on (counted from 1) go wrong. Operations are named as in the traits,
    /// such as `Deployer::deploy`.
    pub fn inject(&self, operation: &str, nth: u32, fault: Fault) {
        lock(&self.shared.faults).rules.push(Rule {
            operation: operation.to_owned(),
            calls_left: nth.max(1),
            fault,
        });
    }

    /// Takes back every fault that did not strike yet.
    pub fn heal(&self) {
        lock(&self.shared.faults).rules.clear();
    }

    /// Returns once `count` calls hang because of [`Fault::HangBefore`] or [`Fault::HangAfter`].
    pub async fn until_hung(&self, count: u32) {
        let mut hung = lock(&self.shared.faults).hung.subscribe();
        // The sender lives as long as the cloud, so this ends only when the count is reached.
        let _ = hung.wait_for(|now| *now >= count).await;
    }

    /// A call begins that only looks.
    pub(super) async fn look(&self, ctx: &Context, operation: &'static str) -> Result<Call<'_>> {
        ctx.check_cancelled()?;
        let fault = lock(&self.shared.faults).next(operation);
        match fault {
            Some(Fault::Before(kind)) => {
                return Err(injected(kind, operation, "before anything happened"));
            }
            Some(Fault::Delay(duration)) => ctx.sleep(duration).await?,
            Some(Fault::HangBefore) => self.hang().await?,
            _ => {}
        }
        Ok(Call {
            cloud: self,
            operation,
            after: fault,
        })
    }

    /// A call begins that changes something.
    pub(super) async fn change(&self, ctx: &Context, operation: &'static str) -> Result<Call<'_>> {
        let call = self.look(ctx, operation).await?;
        ctx.before_mutation(Duration::from_secs(1))?;
        Ok(call)
    }

    async fn hang(&self) -> Result<()> {
        lock(&self.shared.faults).hung.send_modify(|now| *now += 1);
        std::future::pending().await
    }
}
