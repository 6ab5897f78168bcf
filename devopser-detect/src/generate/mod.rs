//! From a [`Report`] to the files that build and run it: Dockerfile, compose file, `.dockerignore`. Deterministic
//! byte for byte; nothing is looked up.

mod bun;
mod compose;
mod databases;
mod deno;
mod go;
mod ignore;
mod inputs;
mod java;
mod kept;
pub(crate) mod lines;
mod node;
mod others;
mod php;
mod python;
mod ruby;
mod rust;
mod site;
pub use kept::{
    FOLDER, FOLDER_COMPOSE, FOLDER_DOCKERFILE, FOLDER_DOCKERIGNORE, is_edited, stamped,
};
pub use site::is_single_page;

use std::collections::{BTreeMap, BTreeSet};

use devopser_core::id::{DataFolder, EnvName};
use devopser_core::model::report::{Detection, Report};
use devopser_core::model::service::HealthPath;
use devopser_core::{Error, ErrorKind, Result};

pub use databases::{DatabaseService, database_names, database_servers, has_no_password};
use lines::{Lines, exec, exec_after};

use crate::said::{TOLD_BUILD, TOLD_START};
use crate::stack::data;
use crate::stack::port::told::tell_port;

/// What the caller wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateOptions {
    /// The name of the app's service in the compose file. Default: `app`.
    pub name: String,
    /// The port that the app listens on in its container. Default: what the report says.
    pub port: Option<u16>,
    /// Whether a Dockerfile of the repository's own is used as it is. Default: `true`.
    pub use_own_dockerfile: bool,
    /// Whether the release command of the report runs before each start. Default: `true`.
    pub migrate: bool,
    /// Base images to take instead: `node:22-slim` → `mirror.example/node:22-slim`. Default: none.
    pub images: BTreeMap<String, String>,
    /// What the health check asks for. Default: what the report says, else `/`. For a connection none is written.
    pub health_path: HealthPath,
    /// What the ids of BuildKit's cache mounts begin with. The caches of one engine are shared by id, so a host with
    /// several tenants gives each tenant and app its own. Default: `app`.
    pub cache_scope: String,
    /// Whether the files go to `.deployment/` and not to the root: the compose file's paths start there. Default: `false`.
    pub in_folder: bool,
    /// More folders that outlive a release, absolute or relative to the app's. Default: none.
    pub data_folders: Vec<DataFolder>,
    /// The names of the variables that the repository's own commands see while it is built, each declared with `ARG`.
    /// Their values can end up in the image. Default: none.
    pub build_env: BTreeSet<EnvName>,
    /// The names of the secrets that those commands see, mounted for each command. Default: none.
    pub build_secrets: BTreeSet<EnvName>,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            name: "app".to_owned(),
            port: None,
            use_own_dockerfile: true,
            migrate: true,
            images: BTreeMap::new(),
            health_path: HealthPath::Detected,
            cache_scope: "app".to_owned(),
            in_folder: false,
            data_folders: Vec::new(),
            build_env: BTreeSet::new(),
            build_secrets: BTreeSet::new(),
        }
    }
}

/// The generated files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Generated {
    /// The Dockerfile; empty when the repository's own is used.
    pub dockerfile: String,
    /// The path of the repository's own Dockerfile, when that is used.
    pub own_dockerfile: Option<String>,
    /// What the build context leaves out; with the repository's own Dockerfile it is empty, so that nothing that
    /// it copies is missing.
    pub dockerignore: String,
    /// The compose file: the app and its databases.
    pub compose: String,
    /// The port that the app listens on in its container; pass it as `PORT` as well.
    pub port: u16,
    /// The databases as containers, for hosts that start them themselves.
    pub databases: Vec<DatabaseService>,
    /// Environment of the app without what the databases give, `PORT` included.
    pub env: BTreeMap<String, String>,
    /// The folders that outlive a release, absolute in the container.
    pub data_folders: Vec<String>,
}

/// Generates the files.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] when nothing was recognised, nothing in the repository says how to start it, or a name in
/// [`build_env`](GenerateOptions::build_env) or [`build_secrets`](GenerateOptions::build_secrets) would break the build;
/// the message says which.
pub fn generate(report: &Report, options: &GenerateOptions) -> Result<Generated> {
    let own = report
        .dockerfile
        .clone()
        .filter(|_| options.use_own_dockerfile);
    let none = Detection::default();
    let stack = match (&report.stack, &own) {
        (Some(stack), _) => stack,
        (None, Some(_)) => &none,
        (None, None) => return Err(unknown()),
    };
    let port = port(report, stack, own.is_some(), options);
    let mut stack = stack.clone();
    tell_port(&mut stack, Some(port));
    let home = home(&stack);
    let named: Vec<_> = data::names_in_image(&stack, &home).collect();
    stack.run_env.extend(named);
    let data_folders = data_folders(&stack, &home, own.is_some(), options);
    let stack = &stack;
    let databases = databases::of(stack);
    let (dockerfile, dockerignore) = match own {
        Some(_) => (String::new(), String::new()),
        None => {
            inputs::check(options)?;
            let plan = Plan {
                port,
                health: health(stack, options),
                data: &data_folders,
                options,
            };
            (dockerfile(stack, &plan)?, ignore::of(stack))
        }
    };
    let mut env = stack.run_env.clone();
    env.insert("PORT".to_owned(), port.to_string());
    // A Dockerfile of the app's own is built in the app's folder.
    let folder = hint(stack, "folder").filter(|_| own.is_none());
    let place = compose::Place::of(folder, options);
    let app = compose::App {
        options,
        own: own.as_deref(),
        port,
        env: &env,
        data_folders: &data_folders,
    };
    let compose = compose::of(&app, &place, &databases);
    Ok(Generated {
        dockerfile,
        own_dockerfile: own,
        dockerignore,
        compose,
        port,
        databases,
        env,
        data_folders,
    })
}

/// What every stack's generator needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'o> {
    pub(crate) port: u16,
    /// The path of the health check.
    pub(crate) health: &'o str,
    /// The folders for data, absolute.
    pub(crate) data: &'o [String],
    pub(crate) options: &'o GenerateOptions,
}

impl Plan<'_> {
    /// The image reference, or what the caller wants instead.
    pub(crate) fn image(&self, reference: &str) -> String {
        self.options
            .images
            .get(reference)
            .cloned()
            .unwrap_or_else(|| reference.to_owned())
    }

    /// A cache mount of the app's own.
    pub(crate) fn cache(&self, name: &str, target: &str) -> String {
        let scope: String = self
            .options
            .cache_scope
            .chars()
            .filter(|char| char.is_ascii_alphanumeric() || "-_.".contains(*char))
            .collect();
        format!("--mount=type=cache,id={scope}-{name},target={target}")
    }

    /// The path of the health check as it may stand in a quoted text.
    pub(crate) fn health_path(&self) -> String {
        let path: String = self
            .health
            .chars()
            .filter(|char| char.is_ascii_alphanumeric() || "/-_.~%?=&".contains(*char))
            .collect();
        if path.starts_with('/') {
            path
        } else {
            format!("/{path}")
        }
    }
}

/// The path of the health check: the caller's, or what was found.
fn health<'o>(stack: &'o Detection, options: &'o GenerateOptions) -> &'o str {
    let found = stack.health_path.as_ref();
    let found = found.filter(|_| options.health_path.is_detected());
    let asked = found.map(|fact| fact.value.as_str());
    asked.or(options.health_path.fetched()).unwrap_or("/")
}

/// The folders that outlive a release; what an own Dockerfile declares is not known here.
fn data_folders(
    stack: &Detection,
    home: &str,
    own: bool,
    options: &GenerateOptions,
) -> Vec<String> {
    let named = &options.data_folders;
    match own {
        true => named.iter().map(ToString::to_string).collect(),
        false => data::in_image(stack, home, named),
    }
}

/// Where the program lies in the image.
pub(crate) fn home(stack: &Detection) -> String {
    match value(stack.runtime.as_ref()) {
        Some("php") => "/var/www/html".to_owned(),
        Some("node" | "bun") => node::folder(stack),
        _ => "/app".to_owned(),
    }
}

fn unknown() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "nothing in the repository was recognised, so no Dockerfile can be generated",
    )
    .with_remedy("add a Dockerfile to the repository, or name the folder that holds the app")
}

/// The port in the container.
fn port(report: &Report, stack: &Detection, own: bool, options: &GenerateOptions) -> u16 {
    let is_static = stack.is_static.as_ref().is_some_and(|fact| fact.value);
    let detected = stack.port.as_ref().map(|fact| fact.value);
    let usual = if is_static {
        8080
    } else {
        detected.unwrap_or(8080)
    };
    // Apache obeys PORT as we set it up, so it need not take 80. A program that has 80 in its source gets it: engines
    // let every user of a container listen there (https://docs.docker.com/engine/release-notes/20.10/).
    let apache = value(stack.runtime.as_ref()) == Some("php");
    let usual = if usual < 1024 && !own && apache {
        8080
    } else {
        usual
    };
    let exposed = report.dockerfile_port.filter(|_| own);
    options.port.or(exposed).unwrap_or(usual)
}

fn dockerfile(stack: &Detection, plan: &Plan<'_>) -> Result<String> {
    let runtime = stack
        .runtime
        .as_ref()
        .map_or("", |fact| fact.value.as_str());
    let is_static = stack.is_static.as_ref().is_some_and(|fact| fact.value);
    let mut lines = Lines::new(plan.options);
    lines.keeps(plan.data);
    lines.comment("Generated by devopser from what the repository holds. Edit it freely: an edited file is kept.");
    if hint(stack, TOLD_BUILD).is_some() && ["go", "php", "dotnet"].contains(&runtime) {
        return Err(built_otherwise(runtime));
    }
    if let (Some(_), Some(start)) = (hint(stack, TOLD_START), value(stack.start_command.as_ref())) {
        let first = release(stack, plan);
        lines.started_by(first.map_or_else(|| exec(start), |first| exec_after(first, start)));
    }
    match (runtime, stack.detector.as_str()) {
        (_, "sitegen") => others::site_generator(stack, plan, &mut lines),
        ("node", _) if is_static => node::site(stack, plan, &mut lines),
        ("node", _) => node::server(stack, plan, &mut lines)?,
        ("bun", _) => bun::server(stack, plan, &mut lines)?,
        ("deno", _) if is_static => deno::lume(stack, plan, &mut lines),
        ("deno", _) => deno::deno(stack, plan, &mut lines)?,
        ("python", _) => python::server(stack, plan, &mut lines)?,
        ("go", _) => go::server(stack, plan, &mut lines)?,
        ("rust", _) => rust::server(stack, plan, &mut lines)?,
        ("php", _) => php::server(stack, plan, &mut lines),
        ("ruby", _) if is_static => ruby::site(stack, plan, &mut lines),
        ("ruby", _) => ruby::server(stack, plan, &mut lines)?,
        ("java", _) => java::server(stack, plan, &mut lines)?,
        ("dotnet", _) => others::dotnet(stack, plan, &mut lines)?,
        ("elixir", _) => others::elixir(stack, plan, &mut lines),
        ("static", _) => site::plain(stack, plan, &mut lines),
        _ => return Err(not_generated(runtime)),
    }
    lines.finish()
}

/// What runs before each start.
fn release<'d>(stack: &'d Detection, plan: &Plan<'_>) -> Option<&'d str> {
    value(stack.release_command.as_ref()).filter(|_| plan.options.migrate)
}

fn not_generated(runtime: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("no Dockerfile is generated for {runtime:?} yet"),
    )
    .with_remedy("add a Dockerfile to the repository")
}

fn built_otherwise(runtime: &str) -> Error {
    Error::invalid(
        "build_command",
        format!("the image of an app of {runtime} is built by what was found, not by a command"),
    )
    .with_remedy("Leave it out, or edit the Dockerfile that `devopser generate` writes.")
}

/// The error of an app that nothing starts.
pub(crate) fn no_start(stack: &Detection, hint: &str) -> Error {
    let runtime = stack
        .runtime
        .as_ref()
        .map_or("", |fact| fact.value.as_str());
    Error::new(
        ErrorKind::InvalidInput,
        format!("nothing in the repository says how to start this {runtime} app"),
    )
    .with_remedy(hint.to_owned())
}

/// The files and folders that the program reads when it runs: those of the repository, and built pages that do not lie in one.
pub(crate) fn read(stack: &Detection) -> Vec<&str> {
    let mut found: Vec<&str> = hint(stack, "assets")
        .unwrap_or_default()
        .split(' ')
        .filter(|asset| !asset.is_empty())
        .collect();
    let outputs = stack.pages.iter().flat_map(|pages| &pages.outputs);
    for output in outputs.filter(|output| output.is_read) {
        let is_there = found.iter().any(|asset| {
            let rest = output.to.strip_prefix(asset);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if !is_there {
            found.push(&output.to);
        }
    }
    found
}

/// The value of a text fact.
pub(crate) fn value(fact: Option<&devopser_core::model::report::Fact<String>>) -> Option<&str> {
    fact.map(|fact| fact.value.as_str())
}

/// A hint of the detection.
pub(crate) fn hint<'d>(stack: &'d Detection, name: &str) -> Option<&'d str> {
    stack
        .hints
        .get(name)
        .map(String::as_str)
        .filter(|text| !text.is_empty())
}

/// The Debian packages of a kind (`build:` or `run:`) that the detection asks for.
pub(crate) fn system<'d>(stack: &'d Detection, kind: &str) -> Vec<&'d str> {
    hint(stack, "system")
        .unwrap_or_default()
        .split(' ')
        .filter_map(|package| package.strip_prefix(kind))
        .collect()
}
