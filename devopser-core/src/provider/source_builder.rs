//! [`SourceBuilder`]: makes an artifact of source code by running its own commands, without a container.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use super::ProviderInfo;
use crate::context::Context;
use crate::id::Digest;
use crate::model::artifact::Artifact;
use crate::model::plan::BuildPlan;
use crate::{Result, Secret};

/// What to build. Make one with [`SourceBuildRequest::new`] and set what differs.
#[derive(Clone, Debug)]
pub struct SourceBuildRequest {
    /// The folder of the source: the app's root. It is read, never written.
    pub source_folder: PathBuf,
    /// The digest of the source.
    pub digest: Digest,
    /// A plan of the kind [`Process`](BuildPlan::Process) or [`Static`](BuildPlan::Static).
    pub plan: BuildPlan,
    /// The environment of the commands.
    pub build_env: BTreeMap<String, String>,
    /// Secrets in the environment of the commands, by name: they are in no file, line or key that is kept, and not in
    /// the environment of what runs.
    pub build_secrets: BTreeMap<String, Secret>,
    /// The longest time of one command. Default: 30 minutes.
    pub timeout: Duration,
}

impl SourceBuildRequest {
    /// A request without environment and with the default timeout.
    #[must_use]
    pub fn new(source_folder: impl Into<PathBuf>, digest: Digest, plan: BuildPlan) -> Self {
        Self {
            source_folder: source_folder.into(),
            digest,
            plan,
            build_env: BTreeMap::new(),
            build_secrets: BTreeMap::new(),
            timeout: Duration::from_secs(30 * 60),
        }
    }
}

/// Makes an artifact of source code by running its own install and build commands, without a container. The commands are
/// the repository's own and run with the rights of the worker: for sources that the user trusts.
#[async_trait]
pub trait SourceBuilder: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// Copies the source, runs install and then build in the copy, and returns what a deployer takes: a
    /// [`ProcessArtifact`](crate::model::artifact::ProcessArtifact) or a
    /// [`StaticSite`](crate::model::artifact::StaticSite). Its digest is that of the source, the commands and their
    /// environment together, with the names of the secrets and without their values.
    ///
    /// # Behavior
    /// - Output goes to `ctx.progress` line by line while a command runs.
    /// - A cancelled `ctx` ends the running command with all the processes that it started.
    /// - The folder that the artifact lies in stands in the ledger before it is made.
    /// - The same request again returns the same artifact and runs nothing, unless the artifact was removed meanwhile.
    /// - A build that was cut off is begun afresh.
    ///
    /// # Errors
    /// - [`BuildFailed`](crate::ErrorKind::BuildFailed) with the command and its last 30 lines, or with the name of a
    ///   program that is not installed.
    /// - [`Timeout`](crate::ErrorKind::Timeout) when a command takes longer than the request allows.
    /// - [`DiskFull`](crate::ErrorKind::DiskFull) when the copy does not fit.
    /// - [`Unsupported`](crate::ErrorKind::Unsupported), before anything is made, for a plan of another kind.
    async fn build(&self, ctx: &Context, request: SourceBuildRequest) -> Result<Artifact>;
}
