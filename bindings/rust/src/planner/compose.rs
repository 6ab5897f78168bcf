//! A plan from the repository's own compose file.

use std::path::Path;

use devopser_core::model::plan::{BuildPlan, DeploySpec, Plan};
use devopser_core::model::report::Report;
use devopser_core::model::service::{EnvValue, Limits};
use devopser_core::{Error, Result};
use devopser_detect::{ComposeApp, FolderTree, Variable, Variables, compose_app, compose_builds};

use super::{image_plan, refuse_commands, refuse_data, refused};

/// The plan, where the compose file is the app's: it lies at the root, the caller has not chosen otherwise, and it
/// builds from the source, or nothing else says what the app is.
pub(super) fn plan(folder: &Path, spec: &DeploySpec, report: &Report) -> Result<Option<Plan>> {
    let Some(path) = report.compose.as_ref().filter(|_| spec.own_compose) else {
        return match &spec.service {
            None => Ok(None),
            Some(name) => Err(Error::invalid(
                "service",
                format!("\"{name}\" is asked for, and there is no compose file that is used"),
            )),
        };
    };
    let tree = FolderTree::open(folder)?;
    let variables = variables(spec);
    // A file that only names databases says what the app needs while it is developed.
    let is_app = spec.service.is_some()
        || compose_builds(&tree, path, &variables)
        || report.stack.is_none() && report.dockerfile.is_none();
    if !is_app {
        return Ok(None);
    }
    carried_out(&tree, path, &variables, spec, report)
}

/// The plan for the compose file that was generated and then edited.
pub(super) fn edited(
    folder: &Path,
    spec: &DeploySpec,
    report: &Report,
    path: &str,
) -> Result<Plan> {
    let tree = FolderTree::open(folder)?;
    let plan = carried_out(&tree, path, &variables(spec), spec, report)?;
    let mut plan = plan.ok_or_else(|| {
        Error::invalid("source", format!("{path} cannot be carried out"))
            .with_remedy("Correct it, or deploy without it: --no-compose.")
    })?;
    plan.makes.push(format!(
        "the services of {path}, which was edited; --no-compose leaves it aside"
    ));
    Ok(plan)
}

fn carried_out(
    tree: &FolderTree,
    path: &str,
    variables: &Variables,
    spec: &DeploySpec,
    report: &Report,
) -> Result<Option<Plan>> {
    match compose_app(tree, path, variables, spec.service.as_deref()) {
        Ok(app) => {
            let given = [
                ("start_command", &spec.start_command),
                ("build_command", &spec.build_command),
                ("release_command", &spec.release_command),
            ];
            refuse_commands(&given, path, "--no-compose")?;
            refuse_data(
                spec,
                &format!("{path} of the source says it"),
                "Name a volume in the file, or leave the file aside: --no-compose.",
            )?;
            Ok(Some(of(spec, report, app)))
        }
        Err(findings) => {
            let remedy = "Take out what the lines below name (docs/compose.md lists what is carried out), or deploy without the compose file: --no-compose.";
            match refused(&findings) {
                Some(error) => Err(error.with_remedy(remedy)),
                None => Ok(None),
            }
        }
    }
}

/// The app's own environment fills in the file's variables.
fn variables(spec: &DeploySpec) -> Variables {
    spec.env
        .iter()
        .filter_map(|(name, value)| {
            let variable = match value {
                EnvValue::Plain(text) => Variable::Plain(text.clone()),
                EnvValue::Secret(reference) => Variable::Secret(reference.0.clone()),
                EnvValue::Template(_) => return None,
            };
            Some((name.to_string(), variable))
        })
        .collect()
}

fn of(spec: &DeploySpec, report: &Report, app: ComposeApp) -> Plan {
    let without = DeploySpec {
        databases: false,
        ..spec.clone()
    };
    let mut plan = image_plan(&without, report.clone(), String::new(), String::new(), true);
    plan.app_port = spec.app_port.or(app.port).unwrap_or(plan.app_port);
    let (evidence, line) = (&app.evidence, app.evidence.line.unwrap_or(1));
    plan.makes.push(format!(
        "the address goes to the service {} ({}:{line} {})",
        app.service, evidence.path, evidence.why
    ));
    for companion in &app.companions {
        plan.makes
            .push(format!("a container of the service {}", companion.name));
    }
    let containers = app.companions.iter().map(|companion| &companion.container);
    let volumes: std::collections::BTreeSet<&String> = std::iter::once(&app.container)
        .chain(containers)
        .flat_map(|container| &container.volumes)
        .filter_map(|volume| volume.name.as_ref())
        .collect();
    plan.makes
        .extend(volumes.iter().map(|name| format!("a volume {name}")));
    plan.warnings.extend(app.warnings);
    let root = spec.root.as_deref().unwrap_or_default();
    plan.build = from_top(app.build, root);
    plan.container = app.container;
    if let Some(limits) = app.limits.filter(|_| spec.limits == Limits::default()) {
        plan.limits = Some(limits);
    }
    plan.health_path = app.health_path;
    plan.companions = app.companions;
    for companion in &mut plan.companions {
        companion.build = from_top(companion.build.clone(), root);
    }
    plan
}

/// The file counts its folders from where it lies; a build counts them from the top of the source.
fn from_top(mut build: BuildPlan, root: &str) -> BuildPlan {
    if let BuildPlan::Image { options, .. } = &mut build {
        options.context = match (root, options.context.as_str()) {
            ("", context) => context.to_owned(),
            (root, "") => root.to_owned(),
            (root, context) => format!("{root}/{context}"),
        };
    }
    build
}
