//! [`StackPlanner`]: detection and generation behind the core's [`Planner`].

mod compose;
mod dockerfile;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use devopser_core::id::{DataFolder, EnvName};
use devopser_core::model::container::{ContainerOptions, VolumeMount};
use devopser_core::model::plan::{BuildPlan, DeploySpec, ImageOptions, Plan};
use devopser_core::model::report::{Database, Detection, Finding, Report};
use devopser_core::model::source::Source;
use devopser_core::provider::Planner;
use devopser_core::{Error, Result};
use devopser_detect::{
    Commands, FOLDER_COMPOSE, GenerateOptions, database_names, database_servers, detect_folder_at,
    generate, has_no_password, is_single_page, keeps_a_file, kept_in_image, split_command,
    started_by, tell_port, with_commands,
};

use crate::deployment_files;

/// Where apps listen when nothing says otherwise.
const DEFAULT_PORT: u16 = 8080;

/// Plans with `devopser-detect`: an image for a Docker host, commands for this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct StackPlanner;

impl Planner for StackPlanner {
    fn plan(&self, source: &Path, spec: &DeploySpec) -> Result<Plan> {
        if let Source::Image { reference } = &spec.source {
            // A build of one line pins the image by its content and gives it our mark.
            let text = started_by(&format!("FROM {reference}\n"), &commands(spec));
            let mut plan = image_plan(spec, Report::default(), text, String::new(), true);
            with_data(&mut plan, &dockerfile::kept("", spec, &[])?);
            return Ok(plan);
        }
        refuse_steering(spec)?;
        refuse_twice(spec)?;
        let root = spec.root.as_deref().unwrap_or_default();
        let mut report = detect_folder_at(source, root)?;
        apply_overrides(&mut report, spec)?;
        if spec.provider.as_str() == "local" {
            local_plan(spec, report)
        } else {
            docker_plan(source, spec, report)
        }
    }
}

/// What the caller says wins over what was found.
fn apply_overrides(report: &mut Report, spec: &DeploySpec) -> Result<()> {
    with_commands(report, &commands(spec))?;
    if let (Some(stack), Some(port)) = (&mut report.stack, spec.app_port) {
        tell_port(stack, Some(port));
        stack.port = Some(devopser_core::model::report::Fact {
            value: port,
            confidence: 100,
            evidence: Vec::new(),
        });
    }
    Ok(())
}

fn commands(spec: &DeploySpec) -> Commands<'_> {
    Commands {
        build: spec.build_command.as_deref(),
        start: spec.start_command.as_deref(),
        release: spec.release_command.as_deref(),
    }
}

/// Refuses commands where a file of the source says what they say.
fn refuse_commands(given: &[(&str, &Option<String>)], file: &str, option: &str) -> Result<()> {
    let named = given
        .iter()
        .find(|(_, command)| command.as_ref().is_some_and(|text| !text.is_empty()));
    named.map_or(Ok(()), |(field, _)| {
        Err(
            Error::invalid(field, format!("{file} of the source says it")).with_remedy(format!(
                "Leave the command out, or leave the file aside: {option}."
            )),
        )
    })
}

fn docker_plan(source: &Path, spec: &DeploySpec, report: Report) -> Result<Plan> {
    let folder = &match &spec.root {
        Some(root) => source.join(root),
        None => source.to_owned(),
    };
    let edited = deployment_files::edited(folder)?;
    let of_folder = edited.compose.then_some(FOLDER_COMPOSE);
    if let Some(path) = of_folder.filter(|_| spec.own_compose) {
        return compose::edited(folder, spec, &report, path);
    }
    if let Some(text) = edited
        .dockerfile
        .filter(|_| spec.own_dockerfile && spec.service.is_none())
    {
        return dockerfile::edited(source, spec, report, &text, edited.dockerignore);
    }
    if let Some(plan) = compose::plan(folder, spec, &report)? {
        return Ok(plan);
    }
    if let Some(path) = report.dockerfile.clone().filter(|_| spec.own_dockerfile) {
        return dockerfile::own(source, folder, spec, report, &path);
    }
    let stack = recognised(&report)?;
    refuse_hiding(spec, stack)?;
    let databases = databases(spec, stack);
    let file_chosen = chosen_file(stack);
    let options = GenerateOptions {
        name: spec.target.app.to_string(),
        // One tenant's build must never see what another's left in a cache.
        cache_scope: format!("{}-{}", spec.target.tenant, spec.target.app),
        port: spec.app_port,
        health_path: spec.health.path.clone(),
        build_env: build_names(spec)?,
        build_secrets: spec.build_secrets.keys().cloned().collect(),
        use_own_dockerfile: spec.own_dockerfile,
        data_folders: spec.data_folders.clone(),
        ..GenerateOptions::default()
    };
    let context = workspace(stack);
    let generated = generate(&report, &options)?;
    let mut plan = image_plan(
        spec,
        report,
        generated.dockerfile,
        generated.dockerignore,
        false,
    );
    plan.app_port = generated.port;
    if let Some(context) = context {
        builds_in(&mut plan, context);
    }
    plan.compose = generated.compose;
    plan.run_env = generated.env;
    // Every provider tells the port by itself.
    plan.run_env.remove("PORT");
    plan.warnings.extend(file_chosen);
    with_databases(&mut plan, databases);
    with_data(&mut plan, &generated.data_folders);
    Ok(plan)
}

/// Keeps folders of the container beyond its release, and warns where a file of data would go with it.
fn with_data(plan: &mut Plan, folders: &[String]) {
    for folder in folders {
        plan.container.volumes.push(VolumeMount::kept(folder));
        plan.makes
            .push(format!("a volume for {folder}, which outlives releases"));
    }
    let has_file = plan.report.stack.as_ref().is_some_and(keeps_a_file);
    if has_file && plan.container.volumes.is_empty() {
        plan.warnings.push(
            "Its data is a file (SQLite) in its container, and each release begins with a new one. Name the file's folder with --data to keep it, or hand over the address of a server.".into(),
        );
    }
}

/// Refuses a folder for data that holds the program: the next release would find the old one there.
fn refuse_hiding(spec: &DeploySpec, stack: &Detection) -> Result<()> {
    let bare = Detection {
        data_folders: None,
        ..stack.clone()
    };
    let hides = |folder: &&DataFolder| kept_in_image(&bare, &[(*folder).clone()]).is_empty();
    match spec.data_folders.iter().find(hides) {
        Some(folder) => Err(Error::invalid(
            "data_folders",
            format!("{folder} holds the program, which changes with each release"),
        )
        .with_remedy("Name the folder inside of it that has nothing but data.")),
        None => Ok(()),
    }
}

/// Refuses folders for data where nothing can keep them.
fn refuse_data(spec: &DeploySpec, why: &str, remedy: &str) -> Result<()> {
    match spec.data_folders.is_empty() {
        true => Ok(()),
        false => Err(Error::invalid("data_folders", why).with_remedy(remedy)),
    }
}

/// Says which databases are made beside the app.
fn with_databases(plan: &mut Plan, databases: Vec<Database>) {
    plan.without_password = without_password(&plan.report, &databases);
    plan.database_env = own_names(&plan.report, &databases);
    plan.makes.extend(databases.iter().map(|database| {
        let password = match plan.without_password.contains(database) {
            true => "no password, as the app hands none over",
            false => "a generated password",
        };
        format!("a database {database:?} with a volume and {password}")
    }));
    plan.databases = databases;
}

/// The folder of the workspace that the app is a member of, as a build context.
fn workspace(stack: &Detection) -> Option<String> {
    let context = stack.hints.get("context")?;
    Some(if context == "." { "" } else { context }.to_owned())
}

/// Sets the folder that the image is built in.
fn builds_in(plan: &mut Plan, context: String) {
    if let BuildPlan::Image { options, .. } = &mut plan.build {
        options.context = context;
    }
}

/// The text of a file of the source, if it is there; never through a link, as that could lead out of the source.
pub(crate) fn read(folder: &Path, name: &str) -> Result<Option<String>> {
    let path = folder.join(name);
    match std::fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() && meta.len() <= 1 << 20 => {}
        Ok(_) => {
            return Err(Error::invalid(
                "source",
                format!("{name} must be a plain file of at most 1 MiB"),
            ));
        }
        Err(_) => return Ok(None),
    }
    std::fs::read_to_string(&path).map(Some).map_err(|source| {
        Error::invalid("source", format!("{name} is not UTF-8 text")).with_source(source)
    })
}

fn image_plan(
    spec: &DeploySpec,
    report: Report,
    dockerfile: String,
    dockerignore: String,
    own: bool,
) -> Plan {
    let databases = match &report.stack {
        Some(stack) if own => databases(spec, stack),
        _ => Vec::new(),
    };
    let (app, environment) = (&spec.target.app, &spec.target.environment);
    Plan {
        app_port: spec.app_port.unwrap_or(DEFAULT_PORT),
        without_password: without_password(&report, &databases),
        database_env: own_names(&report, &databases),
        databases,
        container: ContainerOptions::default(),
        limits: None,
        companions: Vec::new(),
        health_path: health_path(&report),
        run_env: BTreeMap::new(),
        compose: String::new(),
        makes: vec![
            format!("an image of {app}"),
            format!("a container of {app} in {environment}, on a network of its own"),
            "an address on a free port from 20000 to 40000".into(),
        ],
        warnings: report.warnings.clone(),
        build: BuildPlan::Image {
            dockerfile,
            dockerignore,
            own_dockerfile: own,
            options: ImageOptions {
                context: spec.root.clone().unwrap_or_default(),
                ..ImageOptions::default()
            },
        },
        report,
    }
}

fn local_plan(spec: &DeploySpec, report: Report) -> Result<Plan> {
    refuse_data(
        spec,
        "the provider \"local\" keeps no folders beyond a release",
        "Deploy it with the provider \"docker\", or let it write to a folder outside of its own.",
    )?;
    let mut stack = recognised(&report)?.clone();
    // The port changes from start to start.
    tell_port(&mut stack, None);
    let mut warnings = report.warnings.clone();
    warnings.push(
        "The provider \"local\" runs the source's own commands as you, without a sandbox.".into(),
    );
    if workspace(&stack).is_some() {
        warnings.push("It is a member of a workspace above it; the provider \"local\" builds its folder alone. What it needs from there is missing: deploy it with the provider \"docker\".".into());
    }
    let databases = databases(spec, &stack);
    if let Some(database) = databases.first() {
        warnings.push(format!("It wants a database ({database:?}); the provider \"local\" makes none. Hand its URL over with --env."));
    }
    let install = command(stack.install_command.as_ref())?;
    let build = command(stack.build_command.as_ref())?;
    let build = match stack.is_static.as_ref().is_some_and(|fact| fact.value) {
        true => BuildPlan::Static {
            // A folder of plain files needs neither.
            install: build.as_ref().and(install),
            build,
            output_dir: stack
                .output_dir
                .as_ref()
                .map_or_else(|| ".".into(), |fact| fact.value.clone()),
            single_page_app: is_single_page(&stack),
        },
        false => {
            let start = command(stack.start_command.as_ref())?.ok_or_else(|| {
                Error::invalid("start_command", "none was found")
                    .with_remedy("Name it: `--start \"node server.js\"`.")
            })?;
            BuildPlan::Process {
                install,
                build,
                start,
                release: release(&stack, &mut warnings),
            }
        }
    };
    Ok(Plan {
        app_port: 0,
        databases: Vec::new(),
        without_password: Vec::new(),
        database_env: BTreeMap::new(),
        container: ContainerOptions::default(),
        limits: None,
        companions: Vec::new(),
        health_path: health_path(&report),
        run_env: stack.run_env.clone(),
        compose: String::new(),
        makes: vec![format!("a process of {} on this machine", spec.target.app)],
        warnings,
        build,
        report,
    })
}

/// The path that the app's authors ask whether it is well.
fn health_path(report: &Report) -> Option<String> {
    let found = report.stack.as_ref()?.health_path.as_ref()?;
    Some(found.value.clone())
}

/// The release command, if it can be run here: no shell is used on this machine.
fn release(stack: &Detection, warnings: &mut Vec<String>) -> Option<Vec<String>> {
    command(stack.release_command.as_ref()).unwrap_or_else(|_| {
        let found = stack.release_command.as_ref();
        let found = found.map_or("", |fact| fact.value.as_str());
        warnings.push(format!(
            "Before the start \"{found}\" should run, which needs a shell; run it yourself, or name a plain command: --release-command."
        ));
        None
    })
}

fn command(
    fact: Option<&devopser_core::model::report::Fact<String>>,
) -> Result<Option<Vec<String>>> {
    // The port is filled in when the process is started: it changes from release to release.
    let env = BTreeMap::from([("PORT".to_owned(), "$PORT".to_owned())]);
    fact.map(|fact| split_command(&fact.value, &env))
        .transpose()
}

fn databases(spec: &DeploySpec, stack: &Detection) -> Vec<Database> {
    // A URL that the caller hands over is used as it is.
    let given = |name: &str| spec.env.keys().any(|key| key.as_str() == name);
    database_servers(stack)
        .into_iter()
        .filter(|_| spec.databases)
        .filter(|database| match database {
            Database::Redis => !given("REDIS_URL"),
            Database::Mongodb => !given("MONGODB_URI") && !given("MONGO_URL"),
            _ => !given("DATABASE_URL"),
        })
        .collect()
}

/// How the app's framework calls what reaches the databases that are made; those of others are the caller's to name.
fn own_names(report: &Report, made: &[Database]) -> BTreeMap<String, String> {
    let stack = report.stack.as_ref();
    stack.map_or_else(BTreeMap::new, |stack| database_names(stack, made))
}

/// The databases that the app hands no password to.
fn without_password(report: &Report, made: &[Database]) -> Vec<Database> {
    let made = made.iter().copied();
    let is_open = |database: &Database| {
        let stack = report.stack.as_ref();
        stack.is_some_and(|stack| has_no_password(stack, *database))
    };
    made.filter(is_open).collect()
}

/// What a person should know of an app that may keep its data in a file or in a server.
fn chosen_file(stack: &Detection) -> Option<String> {
    let made = database_servers(stack);
    let found = &stack.databases.as_ref()?.value;
    let is_choice = found.contains(&Database::Sqlite);
    let servers = found
        .iter()
        .filter(|one| one.is_server() && !made.contains(one));
    let names: Vec<&str> = servers.map(|one| one.name()).collect();
    (is_choice && !names.is_empty()).then(|| {
        format!(
            "It can keep its data in a file (SQLite) or in {}, and nothing says which: no server is made. Hand over the address of one with --env where it should be used.",
            names.join(" or ")
        )
    })
}

fn recognised(report: &Report) -> Result<&Detection> {
    report.stack.as_ref().ok_or_else(|| {
        if !report.services.is_empty() {
            let roots = report.services.iter().map(|service| service.root.as_str());
            let roots = roots.collect::<Vec<_>>().join(", ");
            return Error::invalid("source", "its root starts nothing; its services do")
                .with_remedy(format!(
                    "Name the folder of one of them with `--root`: {roots}."
                ));
        }
        Error::invalid("source", "no stack was recognised in it").with_remedy(
            "Add a Dockerfile, or a file that says what it is (package.json, requirements.txt, go.mod, index.html, …). \
             If the app lies in a folder of it, name the folder with `--root`.",
        )
    })
}

/// What a file of the source asks of the host is refused before anything starts.
fn refuse_forbidden(findings: &[Finding], path: &str) -> Result<()> {
    let found: Vec<Finding> = findings
        .iter()
        .filter(|finding| finding.path == path)
        .cloned()
        .collect();
    match refused(&found) {
        None => Ok(()),
        Some(error) => {
            Err(error.with_remedy("Take out what the lines below name, and deploy again."))
        }
    }
}

/// The error of findings: the first with its place, all of them below.
fn refused(findings: &[Finding]) -> Option<Error> {
    let first = findings.first()?;
    Some(
        Error::invalid("source", format!("{first} (rule {})", first.rule))
            .with_context("file", &first.path)
            .with_context("line", first.line)
            .with_context("rule", &first.rule)
            .with_log(findings.iter().map(ToString::to_string).collect()),
    )
}

/// Arguments that the builder itself obeys, such as `BUILDKIT_SYNTAX`, would undo what is checked in a Dockerfile.
fn refuse_steering(spec: &DeploySpec) -> Result<()> {
    match spec
        .build_env
        .keys()
        .find(|name| name.to_ascii_uppercase().starts_with("BUILDKIT_"))
    {
        None => Ok(()),
        Some(name) => Err(Error::invalid(
            "build_env",
            format!("{name} steers the builder, and is not the source's to set"),
        )
        .with_remedy("Leave it out.")),
    }
}

/// The names of the build's variables.
fn build_names(spec: &DeploySpec) -> Result<BTreeSet<EnvName>> {
    let names = spec.build_env.keys().map(|name| {
        EnvName::new(name.as_str()).map_err(|error| {
            Error::invalid("build_env", format!("{name:?} is no variable's name"))
                .with_source(error)
        })
    });
    names.collect()
}

/// A secret that is a plain value as well would end up in the image after all.
fn refuse_twice(spec: &DeploySpec) -> Result<()> {
    let names = build_names(spec)?;
    match spec.build_secrets.keys().find(|name| names.contains(name)) {
        None => Ok(()),
        Some(name) => Err(Error::invalid(
            "build_secrets",
            format!("{name} is a variable of the build as well, whose value stays in the image"),
        )
        .with_remedy("Hand it over as one of the two.")),
    }
}
