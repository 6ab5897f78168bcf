//! What detection found, and why: [`Report`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a fact stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The file, relative to the root.
    pub path: String,
    /// The line, counted from 1; `None` where the file's presence is the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Why it speaks for the fact, in a few words.
    pub why: String,
}

impl Evidence {
    /// Evidence that a file's presence gives.
    #[must_use]
    pub fn file(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line: None,
            why: why.into(),
        }
    }

    /// Evidence that a line of a file gives; `None` where the line is not known.
    #[must_use]
    pub fn line(path: impl Into<String>, line: Option<u32>, why: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line,
            why: why.into(),
        }
    }
}

/// Something in a file of the source that is refused: it reaches for the host, or is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The file, relative to the root.
    pub path: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The rule, such as `privileged` or `host-mount`; `unsupported` where it is merely not carried out.
    pub rule: String,
    /// What is refused, and why.
    pub reason: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.reason)
    }
}

/// A value with how sure we are (0 to 100) and what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact<T> {
    /// The value.
    pub value: T,
    /// 0 to 100.
    pub confidence: u8,
    /// What proves it.
    pub evidence: Vec<Evidence>,
}

impl<T> Fact<T> {
    /// A fact with one piece of evidence.
    #[must_use]
    pub fn new(value: T, confidence: u8, evidence: Evidence) -> Self {
        Self {
            value,
            confidence,
            evidence: vec![evidence],
        }
    }

    /// A fact with several pieces of evidence.
    #[must_use]
    pub const fn with_all(value: T, confidence: u8, evidence: Vec<Evidence>) -> Self {
        Self {
            value,
            confidence,
            evidence,
        }
    }
}

/// A database or cache that the app needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Database {
    /// PostgreSQL.
    Postgres,
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// Redis or Valkey.
    Redis,
    /// MongoDB.
    #[serde(rename = "mongo", alias = "mongodb")]
    Mongodb,
    /// A file in the app's own folder; no container is made for it.
    Sqlite,
}

impl Database {
    /// The name that answers, files and environment use: `postgres`, `mysql`, `mariadb`, `redis`, `mongo`, `sqlite`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Redis => "redis",
            Self::Mongodb => "mongo",
            Self::Sqlite => "sqlite",
        }
    }

    /// Whether it is a server of its own, not a file in the app's folder.
    #[must_use]
    pub const fn is_server(self) -> bool {
        !matches!(self, Self::Sqlite)
    }
}

/// Pages that a program has in itself or serves, built by a front end in the same source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pages {
    /// The front end's folder, relative to the root; empty for the root itself.
    pub folder: String,
    /// What the program takes of the built files; empty where it takes the whole folder as the build leaves it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<PagesOutput>,
    /// What proves it.
    pub evidence: Vec<Evidence>,
    /// The front end.
    pub detection: Box<Detection>,
}

/// A folder of built files, and where a program has it. Both are relative to the root, and mostly the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PagesOutput {
    /// Where the front end's build leaves it.
    pub from: String,
    /// Where the program looks for it.
    pub to: String,
    /// Whether the program reads it when it runs; otherwise it is compiled into it.
    pub is_read: bool,
}

/// One stack that a detector recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detection {
    /// The detector's id.
    pub detector: String,
    /// How sure the detector is that this is the stack of the app, 0 to 100.
    pub confidence: u8,
    /// `node`, `python`, `go`, `php`, `ruby`, `java`, `rust`, `deno`, `static`, …
    pub runtime: Option<Fact<String>>,
    /// The version of the runtime, such as `22` or `3.13`.
    pub version: Option<Fact<String>>,
    /// `next`, `django`, …
    pub framework: Option<Fact<String>>,
    /// `npm`, `pnpm`, `yarn`, `bun`, `pip`, `uv`, `poetry`, …
    pub package_manager: Option<Fact<String>>,
    /// The command that installs the dependencies.
    pub install_command: Option<Fact<String>>,
    /// The command that builds.
    pub build_command: Option<Fact<String>>,
    /// The command that starts the app.
    pub start_command: Option<Fact<String>>,
    /// The command that brings the tables of its database up to date: it runs before each start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_command: Option<Fact<String>>,
    /// The path that says whether the app is well, as its authors tell a platform or a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_path: Option<Fact<String>>,
    /// The port that the app listens on where `PORT` is not obeyed or not set.
    pub port: Option<Fact<u16>>,
    /// Databases and caches that it needs.
    pub databases: Option<Fact<Vec<Database>>>,
    /// The folders that it keeps its data in, relative to its root or absolute in its image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_folders: Option<Fact<Vec<String>>>,
    /// Whether the outcome is a folder of files, without a server of its own.
    pub is_static: Option<Fact<bool>>,
    /// The folder that holds the built files, relative to the root.
    pub output_dir: Option<Fact<String>>,
    /// The pages that a front end beside the program builds for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<Pages>,
    /// Environment that the stack wants when it runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub run_env: BTreeMap<String, String>,
    /// Environment that the stack wants while it is built.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub build_env: BTreeMap<String, String>,
    /// What the generator needs beyond the facts; its meaning is the stack's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hints: BTreeMap<String, String>,
    /// Why another stack was chosen before this one; `None` on the chosen one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// What could not be read or looks wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A service of a monorepo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceFound {
    /// The service's name: its folder's last part.
    pub name: String,
    /// Its folder, relative to the root; `.` for the root itself.
    pub root: String,
    /// The folder that its build reads, relative to the root: its own, or the workspace that it belongs to.
    #[serde(default)]
    pub context: String,
    /// What proves it.
    pub evidence: Vec<Evidence>,
    /// What was found in its folder.
    pub detection: Option<Detection>,
}

/// Everything that detection found in a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The stack that won; `None` when nothing was recognised.
    pub stack: Option<Detection>,
    /// The others, best first.
    #[serde(default)]
    pub runners_up: Vec<Detection>,
    /// The Dockerfile at the root, when there is one.
    pub dockerfile: Option<String>,
    /// The port that the Dockerfile exposes, when it says one.
    pub dockerfile_port: Option<u16>,
    /// What the Dockerfile starts: its last `CMD`, after its last `ENTRYPOINT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile_start: Option<String>,
    /// The compose file at the root, when there is one.
    pub compose: Option<String>,
    /// The services of a monorepo.
    #[serde(default)]
    pub services: Vec<ServiceFound>,
    /// What the repository's own Dockerfile and compose file ask for that is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What could not be read or looks wrong.
    #[serde(default)]
    pub warnings: Vec<String>,
}
