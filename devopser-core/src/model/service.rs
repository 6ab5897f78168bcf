//! The long-lived thing at a provider and its versions: services, releases, their health and limits.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::context::Vault;
use crate::id::{EnvName, ProviderId, ReleaseId, Target};
use crate::{Result, Secret};

/// A value of the environment: plain, or a name in the vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvValue {
    /// The value itself; it may be shown.
    Plain(String),
    /// The name of a secret in the tenant's vault.
    Secret(SecretRef),
    /// A text with secrets in it, such as the URL of a database.
    Template(Vec<EnvPart>),
}

/// A part of a text with secrets in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvPart {
    /// Text as it is.
    Plain(String),
    /// The name of a secret in the tenant's vault.
    Secret(SecretRef),
}

impl EnvValue {
    /// A text in which `${NAME}` stands for values of an environment; `None` where one of them is not there.
    #[must_use]
    pub fn filled(text: &str, env: &Environment) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, end) = after.split_once('}')?;
            if !before.is_empty() {
                parts.push(EnvPart::Plain(before.to_owned()));
            }
            match env.get(&EnvName::new(name).ok()?)? {
                Self::Plain(plain) => parts.push(EnvPart::Plain(plain.clone())),
                Self::Secret(secret) => parts.push(EnvPart::Secret(secret.clone())),
                Self::Template(inner) => parts.extend(inner.iter().cloned()),
            }
            rest = end;
        }
        if !rest.is_empty() {
            parts.push(EnvPart::Plain(rest.to_owned()));
        }
        let is_plain = |part: &EnvPart| matches!(part, EnvPart::Plain(_));
        if parts.iter().all(is_plain) {
            let texts = parts.iter().map(|part| match part {
                EnvPart::Plain(plain) => plain.as_str(),
                EnvPart::Secret(_) => "",
            });
            return Some(Self::Plain(texts.collect()));
        }
        Some(match parts.as_slice() {
            [EnvPart::Secret(secret)] => Self::Secret(secret.clone()),
            _ => Self::Template(parts),
        })
    }

    /// The value with its secrets filled in.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for a secret that the vault does not have.
    pub async fn resolve(&self, vault: &dyn Vault) -> Result<Secret> {
        let parts = match self {
            Self::Plain(text) => return Ok(Secret::new(text.as_str())),
            Self::Secret(name) => return vault.get(name).await,
            Self::Template(parts) => parts,
        };
        let mut text = String::new();
        for part in parts {
            match part {
                EnvPart::Plain(plain) => text.push_str(plain),
                EnvPart::Secret(name) => text.push_str(vault.get(name).await?.expose()),
            }
        }
        Ok(Secret::new(text))
    }
}

/// The name of a secret in a tenant's vault; never the secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretRef(pub String);

/// The environment of a process.
pub type Environment = BTreeMap<EnvName, EnvValue>;

/// The most that one release may use. `None` is the provider's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory in bytes. Default: 1 GiB.
    pub memory_bytes: Option<u64>,
    /// Thousandths of a processor. Default: 2000.
    pub cpu_millis: Option<u32>,
    /// Processes and threads. Default: 512.
    pub pids: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: Some(1 << 30),
            cpu_millis: Some(2000),
            pids: Some(512),
        }
    }
}

/// What a health check asks for. In JSON a field that is left out, `null`, or the path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<String>", into = "Option<String>")]
pub enum HealthPath {
    /// The path that the app's authors tell their platform or container, else `/`.
    #[default]
    Detected,
    /// Nothing: a TCP connection is enough.
    Connection,
    /// This path. Any answer below 500 is healthy.
    Path(String),
}

impl HealthPath {
    /// The path that is fetched where detection has no say; `None`: a connection is enough.
    #[must_use]
    pub fn fetched(&self) -> Option<&str> {
        match self {
            Self::Detected => Some("/"),
            Self::Connection => None,
            Self::Path(path) => Some(path),
        }
    }

    /// Whether detection says it.
    #[must_use]
    pub fn is_detected(&self) -> bool {
        *self == Self::Detected
    }
}

impl From<Option<String>> for HealthPath {
    fn from(path: Option<String>) -> Self {
        path.map_or(Self::Connection, Self::Path)
    }
}

impl From<HealthPath> for Option<String> {
    fn from(path: HealthPath) -> Self {
        path.fetched().map(str::to_owned)
    }
}

/// How it is decided that a release can take requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheck {
    /// What is asked for. Default: what detection found.
    #[serde(skip_serializing_if = "HealthPath::is_detected")]
    pub path: HealthPath,
    /// The longest time until the first healthy answer. Default: 2 minutes.
    pub start_timeout: Duration,
    /// The longest time of one check. Default: 5 seconds.
    pub timeout: Duration,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            path: HealthPath::Detected,
            start_timeout: Duration::from_secs(120),
            timeout: Duration::from_secs(5),
        }
    }
}

/// A service at a provider: enough to find it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRef {
    /// The provider.
    pub provider: ProviderId,
    /// What it is for.
    pub target: Target,
    /// What the provider calls it. Empty when that is not known: the provider then goes by the target.
    pub name: String,
}

/// A release at a provider: enough to find it again. A cache of identifiers, no proof that it exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRef {
    /// The service.
    pub service: ServiceRef,
    /// Our id of the release.
    pub release: ReleaseId,
    /// What the provider calls it.
    pub name: String,
}

/// Where requests for a release go.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Upstream {
    /// An HTTP server.
    Address {
        /// Its address.
        address: SocketAddr,
    },
    /// A folder that the router serves itself.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Whether an unknown path without a file extension answers with `index.html`.
        single_page_app: bool,
    },
}

/// The phase of a release, as the provider tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReleasePhase {
    /// It exists, but is not started yet or not ready.
    Starting,
    /// It takes requests.
    Running,
    /// It runs but fails its health check.
    Unhealthy,
    /// It was stopped by us and can be started.
    Stopped,
    /// It ended by itself.
    Exited,
    /// The provider does not know it.
    Absent,
}

/// How a release is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseStatus {
    /// Its phase.
    pub phase: ReleasePhase,
    /// Where its requests go, when it runs.
    pub upstream: Option<Upstream>,
    /// The exit code, when it ended.
    pub exit_code: Option<i64>,
    /// Whether the system ended it for its memory.
    pub out_of_memory: bool,
    /// How often it was started again.
    pub restarts: u32,
    /// When it was started, in milliseconds since 1970.
    pub started_at: Option<u64>,
    /// What the provider says, in a line.
    pub detail: Option<String>,
}

impl ReleaseStatus {
    /// A status of `phase` and nothing else.
    #[must_use]
    pub fn of(phase: ReleasePhase) -> Self {
        Self {
            phase,
            upstream: None,
            exit_code: None,
            out_of_memory: false,
            restarts: 0,
            started_at: None,
            detail: None,
        }
    }
}

/// What a release uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Share of one processor, in per cent; two busy processors are 200.
    pub cpu_percent: f64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// The limit of the memory in bytes.
    pub memory_limit_bytes: Option<u64>,
    /// Bytes received since the start.
    pub network_received_bytes: u64,
    /// Bytes sent since the start.
    pub network_sent_bytes: u64,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Seconds since the start.
    pub uptime_seconds: u64,
}

/// Which stream a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line that an app wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, in milliseconds since 1970, when the provider knows.
    pub at: Option<u64>,
    /// Where from.
    pub stream: LogStream,
    /// The line without its end.
    pub line: String,
}

/// How a companion of a release is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanionStatus {
    /// Its name in the app.
    pub name: String,
    /// What its log and its numbers are asked for with.
    pub reference: ReleaseRef,
    /// How it is.
    pub status: ReleaseStatus,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_into_texts() {
        let secret = || SecretRef("password".to_owned());
        let env = Environment::from([
            (
                EnvName::new("HOST").unwrap(),
                EnvValue::Plain("postgres".into()),
            ),
            (
                EnvName::new("PASSWORD").unwrap(),
                EnvValue::Secret(secret()),
            ),
        ]);
        let filled = |text: &str| EnvValue::filled(text, &env);
        assert_eq!(
            filled("a://${HOST}/b"),
            Some(EnvValue::Plain("a://postgres/b".into()))
        );
        assert_eq!(filled("${PASSWORD}"), Some(EnvValue::Secret(secret())));
        let parts = vec![
            EnvPart::Plain("x:".into()),
            EnvPart::Secret(secret()),
            EnvPart::Plain("@".into()),
            EnvPart::Plain("postgres".into()),
        ];
        assert_eq!(
            filled("x:${PASSWORD}@${HOST}"),
            Some(EnvValue::Template(parts))
        );
        assert_eq!(filled("pgsql"), Some(EnvValue::Plain("pgsql".into())));
        for text in ["${OTHER}", "${HOST", "${a b}"] {
            assert_eq!(filled(text), None, "{text}");
        }
    }

    #[test]
    fn a_health_check_that_names_no_path_is_not_one_that_wants_a_connection() {
        for (text, path) in [
            ("{}", HealthPath::Detected),
            (r#"{"path":null}"#, HealthPath::Connection),
            (r#"{"path":"/"}"#, HealthPath::Path("/".into())),
        ] {
            let check: HealthCheck = serde_json::from_str(text).unwrap();
            assert_eq!(check.path, path, "{text}");
            let kept = serde_json::to_string(&check).unwrap();
            assert_eq!(serde_json::from_str::<HealthCheck>(&kept).unwrap(), check);
        }
    }
}
