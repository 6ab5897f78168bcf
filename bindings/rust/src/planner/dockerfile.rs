//! Plans from a Dockerfile: the repository's own, or one that was generated and then edited.

use std::path::Path;

use devopser_core::model::plan::{DeploySpec, Plan};
use devopser_core::model::report::{Finding, Report};
use devopser_core::{Error, Result};
use devopser_detect::{
    FOLDER_DOCKERFILE, check_dockerfile, dockerfile_copies, dockerfile_policy, dockerfile_port,
    dockerfile_volumes, kept_in_image, started_by, without_frontend,
};

use super::{
    builds_in, commands, image_plan, read, refuse_commands, refuse_forbidden, with_data, workspace,
};

/// The plan for the Dockerfile of the repository's own in the app's `folder`.
pub(super) fn own(
    source: &Path,
    folder: &Path,
    spec: &DeploySpec,
    report: Report,
    path: &str,
) -> Result<Plan> {
    let text = read(folder, path)?.unwrap_or_default();
    refuse_broken(path, &text)?;
    refuse_forbidden(&report.findings, path)?;
    let text = started(&without_frontend(&text), spec, path)?;
    let port = spec.app_port.or(report.dockerfile_port);
    let context = own_context(source, spec, &text);
    let kept = kept(&text, spec, &mounted(&report))?;
    let ignore = read(&source.join(&context), ".dockerignore")?.unwrap_or_default();
    let mut plan = image_plan(spec, report, text, ignore, true);
    builds_in(&mut plan, context);
    plan.app_port = port.unwrap_or(plan.app_port);
    with_data(&mut plan, &kept);
    Ok(plan)
}

/// The folders that the file declares as volumes, those that were found, and the caller's.
pub(super) fn kept(text: &str, spec: &DeploySpec, more: &[String]) -> Result<Vec<String>> {
    let mut found = dockerfile_volumes(text, more);
    for folder in &spec.data_folders {
        if !folder.as_str().starts_with('/') {
            let why =
                format!("{folder} must begin with '/': where it lies is known to the image alone");
            return Err(Error::invalid("data_folders", why));
        }
        if !found.iter().any(|known| known == folder.as_str()) {
            found.push(folder.to_string());
        }
    }
    Ok(found)
}

/// The folders of the image that the authors' platform mounts a disk at.
fn mounted(report: &Report) -> Vec<String> {
    let found = report
        .stack
        .as_ref()
        .and_then(|stack| stack.data_folders.as_ref());
    let found = found.iter().flat_map(|fact| &fact.value);
    found
        .filter(|folder| folder.starts_with('/'))
        .cloned()
        .collect()
}

/// The plan for a Dockerfile that was generated and then edited: it is checked as one of the source's own is.
pub(super) fn edited(
    source: &Path,
    spec: &DeploySpec,
    report: Report,
    text: &str,
    dockerignore: Option<String>,
) -> Result<Plan> {
    refuse_broken(FOLDER_DOCKERFILE, text)?;
    let findings: Vec<Finding> = dockerfile_policy(text)
        .into_iter()
        .map(|problem| Finding {
            path: FOLDER_DOCKERFILE.to_owned(),
            line: problem.line,
            rule: "dockerfile".to_owned(),
            reason: problem.reason,
        })
        .collect();
    refuse_forbidden(&findings, FOLDER_DOCKERFILE)?;
    let text = &started(text, spec, FOLDER_DOCKERFILE)?;
    let stack = report.stack.clone().unwrap_or_default();
    let context = workspace(&stack).unwrap_or_else(|| own_context(source, spec, text));
    let kept = kept(text, spec, &kept_in_image(&stack, &[]))?;
    let text = without_frontend(text);
    let port = spec.app_port.or_else(|| dockerfile_port(&text));
    let mut plan = image_plan(spec, report, text, dockerignore.unwrap_or_default(), true);
    builds_in(&mut plan, context);
    plan.app_port = port.unwrap_or(plan.app_port);
    with_data(&mut plan, &kept);
    plan.run_env = stack.run_env;
    plan.makes.push(format!(
        "the image of {FOLDER_DOCKERFILE}, which was edited; --no-dockerfile leaves it aside"
    ));
    Ok(plan)
}

/// The Dockerfile with the caller's start command; how it builds is its own affair.
fn started(text: &str, spec: &DeploySpec, path: &str) -> Result<String> {
    let mut given = vec![("build_command", &spec.build_command)];
    if spec.start_command.is_none() {
        // What comes after it is known to the file alone.
        given.push(("release_command", &spec.release_command));
    }
    refuse_commands(&given, path, "--no-dockerfile")?;
    Ok(started_by(text, &commands(spec)))
}

/// The folder that a Dockerfile of the source's own is built in: the app's, unless the Dockerfile copies files that lie
/// only where the whole source is the context.
fn own_context(source: &Path, spec: &DeploySpec, text: &str) -> String {
    let Some(root) = &spec.root else {
        return String::new();
    };
    let copied = dockerfile_copies(text);
    let all_in = |folder: &Path| copied.iter().all(|path| folder.join(path).exists());
    if !all_in(&source.join(root)) && all_in(source) {
        return String::new();
    }
    root.clone()
}

fn refuse_broken(path: &str, text: &str) -> Result<()> {
    match check_dockerfile(text) {
        Ok(()) => Ok(()),
        Err(problems) => {
            let first = problems.first();
            let (line, reason) = first.map_or((0, String::new()), |problem| {
                (problem.line, problem.reason.clone())
            });
            let log = problems
                .iter()
                .map(|problem| format!("{path}:{}: {}", problem.line, problem.reason))
                .collect();
            Err(Error::invalid(
                "dockerfile",
                format!("{path} does not parse: line {line}: {reason}"),
            )
            .with_context("line", line)
            .with_remedy("Correct the line, or remove the file to have one generated.")
            .with_log(log))
        }
    }
}
