//! Whether this machine has what the provider needs, and how to get it.

use std::path::Path;
use std::sync::Arc;

use devopser_core::context::Context;
use devopser_core::id::{AppName, EnvironmentName, Target, TenantId};
use devopser_core::model::resource::Owner;
use devopser_core::{Error, Result};

use super::client::Engine;
use super::model::EngineFacts;
use super::{DockerConfig, ID};

/// The oldest engine API that the provider speaks (Docker 20.10).
const OLDEST_API: (u32, u32) = (1, 41);
/// Less space than this is told.
const LOW_SPACE_BYTES: u64 = 5 << 30;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// What was looked at, such as `engine`.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found, in a line.
    pub detail: String,
    /// What to do when it is not.
    pub remedy: Option<String>,
}

impl Check {
    fn new(name: &str, ok: bool, detail: impl Into<String>, remedy: &str) -> Self {
        Self {
            name: name.into(),
            ok,
            detail: detail.into(),
            remedy: (!ok && !remedy.is_empty()).then(|| remedy.into()),
        }
    }
}

/// Looks whether the engine is there and can do what the provider needs. It changes nothing.
pub async fn check(config: &DockerConfig) -> Vec<Check> {
    let engine = Arc::new(Engine::new(config.socket.clone(), config.request_timeout));
    let facts = match ask(&engine).await {
        Ok(facts) => facts,
        Err(error) => {
            let remedy = error.remedy().unwrap_or_default().to_owned();
            return vec![Check::new(
                "engine",
                false,
                error.message(),
                &format!("{remedy} On Debian: `apt-get install docker.io`."),
            )];
        }
    };
    let mut checks = vec![
        Check::new(
            "engine",
            facts.is_linux,
            format!("Docker {} at {}", facts.version, config.socket.display()),
            "The engine must run Linux containers.",
        ),
        api(&facts),
    ];
    checks.extend(
        facts
            .root
            .as_deref()
            .and_then(|root| space(Path::new(root))),
    );
    checks
}

async fn ask(engine: &Engine) -> Result<EngineFacts> {
    let owner = Owner {
        installation: "check".into(),
        target: Target {
            tenant: TenantId::new("check")?,
            app: AppName::new("check")?,
            environment: EnvironmentName::production(),
        },
    };
    let ctx = Context::detached(owner, "/");
    engine.facts(&ctx).await
}

fn api(facts: &EngineFacts) -> Check {
    let is_new_enough = parse_version(&facts.api_version).is_some_and(|found| found >= OLDEST_API);
    Check::new(
        "buildkit",
        is_new_enough && facts.is_linux,
        format!("engine API {}", facts.api_version),
        "BuildKit is used through engine API 1.41: install Docker 20.10 or newer.",
    )
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The free space where the engine keeps images; `None` when it is not on this machine or may not be seen.
fn space(root: &Path) -> Option<Check> {
    let free = free_bytes(root).ok()?;
    Some(Check::new(
        "disk",
        free >= LOW_SPACE_BYTES,
        format!("{:.1} GiB free in {}", gib(free), root.display()),
        "Free space, for example what `docker system df` shows as reclaimable.",
    ))
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

fn free_bytes(path: &Path) -> Result<u64> {
    let found = nix::sys::statvfs::statvfs(path).map_err(|e| {
        Error::unexpected("the file system cannot be asked")
            .with_provider(ID)
            .with_source(e)
    })?;
    Ok(found
        .blocks_available()
        .saturating_mul(found.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(parse_version("1.41") >= Some(OLDEST_API));
        assert!(parse_version("1.5") < Some(OLDEST_API));
        assert_eq!(parse_version("x"), None);
    }
}
