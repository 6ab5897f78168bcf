//! [`Planner`]: from a file tree and a spec to a plan.

use std::fmt::Debug;
use std::path::Path;

use crate::Result;
use crate::model::plan::{DeploySpec, Plan};

/// Looks at a source and says what will be built and how. It never calls the network and never runs the source's code.
pub trait Planner: Debug + Send + Sync + 'static {
    /// Plans a deployment of the source that lies in `source`; the app is in its folder `spec.root`, which is there.
    ///
    /// # Behavior
    /// - The same source and spec give the same plan, byte for byte.
    ///
    /// # Errors
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput) when no stack is recognised, a Dockerfile does not parse, the
    ///   tree is too large, or the provider cannot run such a stack; the text says what to do.
    fn plan(&self, source: &Path, spec: &DeploySpec) -> Result<Plan>;
}
