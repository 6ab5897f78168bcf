//! This machine as the target: no account, no Docker. A static site is a folder that the router serves; an app is its start
//! command, run as a process.
//!
//! **It runs the repository's own code with the rights of the user who runs the worker**, while it is built and while it
//! serves. Nothing confines it: limits on memory, processors and processes are not enforced. Take it for sources that the
//! user trusts, and a container for all others.
//!
//! What it promises of a process:
//! - It is started by argument array, never through a shell, in a process group of its own, with an environment that holds
//!   what [`LocalConfig`] says, what the request says, `PORT` and the mark, and nothing of the worker's. Files and sockets that the worker opened are
//!   closed in it; what the worker's own parent left open for its children to inherit is not.
//! - It goes on when the worker ends, however that happens; the next worker adopts it by process id and start time, or by
//!   the mark in its environment where the worker ended before it could note the id.
//! - Before its release is activated it is started once. Afterwards it is started again when it ends by itself, at most
//!   five times in ten minutes, each time later.
//! - When it is stopped, everything that it started is ended with it. A process that takes the mark out of its environment
//!   and leaves its group escapes that.
//!
//! Processes need Linux: `/proc` says which process is which. On another Unix only static sites are offered.

mod builder;
mod deployer;
mod end;
mod error;
mod folder;
mod inventory;
mod log;
mod output;
mod port;
mod proc;
mod run;
mod runner;
mod service;
mod spawn;
mod state;
mod supervisor;
mod things;

use std::path::PathBuf;
use std::sync::Arc;

use devopser_core::id::ProviderId;
use devopser_core::provider::{Provider, ProviderInfo};
use devopser_core::{Context, Error, Result};
use tokio_util::sync::{CancellationToken, DropGuard};

use runner::{Runner, Slots};
use things::Things;

/// Where things lie, and the few variables of the environment that programs cannot do without. The library reads no
/// environment: who embeds it says what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalConfig {
    /// A folder of the provider's own, absolute; it is made when needed.
    pub state_folder: PathBuf,
    /// Where programs are looked for, as in `PATH`. Default: `/usr/local/bin:/usr/bin:/bin`.
    pub search_path: String,
    /// The home folder of programs, where package managers keep their caches; it is made when needed. Default: `home` in
    /// the state folder.
    pub home: PathBuf,
    /// The language of programs. Default: `C.UTF-8`.
    pub lang: String,
    /// The folder for temporary files. Default: `None`, the system's.
    pub temporary: Option<PathBuf>,
}

impl LocalConfig {
    /// A config with defaults.
    #[must_use]
    pub fn new(state_folder: impl Into<PathBuf>) -> Self {
        let state_folder = state_folder.into();
        Self {
            home: state_folder.join("home"),
            state_folder,
            search_path: "/usr/local/bin:/usr/bin:/bin".into(),
            lang: "C.UTF-8".into(),
            temporary: None,
        }
    }
}

/// The provider `local`: deployer, service control, inventory and source builder.
///
/// # Errors
/// [`InvalidInput`](devopser_core::ErrorKind::InvalidInput) when the state folder is not absolute.
pub fn provider(config: LocalConfig) -> Result<Provider> {
    if !config.state_folder.is_absolute() {
        return Err(Error::invalid("state_folder", "must be an absolute path"));
    }
    let info = ProviderInfo::new(
        ProviderId::new(error::ID)?,
        "This machine (runs the code as this user)",
    );
    let closing = CancellationToken::new();
    let local = Arc::new(Local {
        things: Things::new(info.id.clone(), &config.state_folder),
        info: info.clone(),
        slots: Slots::default(),
        runner: Arc::new(Runner {
            config,
            ports: port::Ports::default(),
            closing: closing.clone(),
        }),
        _closing: closing.drop_guard(),
    });
    let mut provider = Provider::new(info);
    provider.deployer = Some(Arc::<Local>::clone(&local) as _);
    provider.service_control = Some(Arc::<Local>::clone(&local) as _);
    provider.inventory = Some(Arc::<Local>::clone(&local) as _);
    provider.source_builder = Some(local as _);
    Ok(provider)
}

/// What the traits share.
#[derive(Debug)]
struct Local {
    info: ProviderInfo,
    things: Things,
    slots: Slots,
    runner: Arc<Runner>,
    /// Ends the watching of processes; they go on.
    _closing: DropGuard,
}

/// The name of a thing of the call's target.
fn name(ctx: &Context, rest: &str) -> String {
    format!("{}/{rest}", ctx.owner.mark())
}
