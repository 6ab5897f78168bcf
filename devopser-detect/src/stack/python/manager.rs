//! Which of Python's package managers: lock files first, then the sections of `pyproject.toml`, then pip.

use devopser_core::model::report::{Evidence, Fact};

use crate::scan::Scan;
use crate::scan::python::Requirements;

const LOCKS: &[(&str, &str)] = &[
    ("uv.lock", "uv"),
    ("poetry.lock", "poetry"),
    ("pdm.lock", "pdm"),
    ("Pipfile.lock", "pipenv"),
    ("Pipfile", "pipenv"),
];

/// Chooses the package manager.
pub(crate) fn choose(scan: &Scan<'_>, requirements: &Requirements) -> Option<Fact<String>> {
    if let Some((path, name)) = LOCKS.iter().find(|(path, _)| scan.has(path)) {
        return Some(Fact::new(
            (*name).to_owned(),
            95,
            Evidence::file(*path, format!("a file of {name}")),
        ));
    }
    let project = scan.toml("pyproject.toml");
    let section = |pointer: &str| {
        project
            .as_ref()
            .is_some_and(|value| value.pointer(pointer).is_some())
    };
    for (pointer, key, name) in [
        ("/tool/poetry", "tool.poetry", "poetry"),
        ("/tool/pdm", "tool.pdm", "pdm"),
        ("/tool/uv", "tool.uv", "uv"),
    ] {
        // A requirements file beside a project file that locks nothing is what its authors install from.
        if section(pointer) && requirements.file.is_none() {
            return Some(Fact::new(
                name.to_owned(),
                85,
                scan.evidence("pyproject.toml", key, format!("a section of {name}")),
            ));
        }
    }
    if let Some((path, name)) =
        locked_above(scan).filter(|_| requirements.file.is_none() && project.is_some())
    {
        let why = format!("a file of {name} above");
        return Some(Fact::new(name.to_owned(), 85, Evidence::file(path, why)));
    }
    let path = requirements
        .file
        .as_deref()
        .or_else(|| scan.first(&["pyproject.toml", "setup.py", "setup.cfg"]))?;
    Some(Fact::new(
        "pip".to_owned(),
        85,
        Evidence::file(path, "what pip installs from"),
    ))
}

/// The nearest lock file above (<https://docs.astral.sh/uv/concepts/projects/workspaces/>).
fn locked_above(scan: &Scan<'_>) -> Option<(String, &'static str)> {
    let above = scan.above()?;
    scan.ancestors_of("").iter().find_map(|folder| {
        LOCKS
            .iter()
            .map(|(path, name)| (format!("{folder}{path}"), *name))
            .find(|(path, _)| above.has(path))
    })
}

/// The command that installs what the app needs when it runs.
pub(crate) fn install(
    scan: &Scan<'_>,
    requirements: &Requirements,
    manager: Option<&Fact<String>>,
) -> Option<Fact<String>> {
    let manager = manager?;
    let command = match manager.value.as_str() {
        "uv" if scan.has("uv.lock") => "uv sync --locked --no-dev".to_owned(),
        "uv" => "uv sync --no-dev".to_owned(),
        "poetry" => "poetry install --only main --no-root".to_owned(),
        "pdm" => "pdm sync --prod --no-self".to_owned(),
        "pipenv" if scan.has("Pipfile.lock") => "pipenv install --deploy".to_owned(),
        "pipenv" => "pipenv install --skip-lock".to_owned(),
        _ => match &requirements.file {
            Some(file) => format!("pip install -r {file}"),
            None if is_no_package(scan) => {
                "pip install uv && uv pip install -r pyproject.toml".to_owned()
            }
            None => "pip install .".to_owned(),
        },
    };
    Some(Fact {
        value: command,
        confidence: manager.confidence,
        evidence: manager.evidence.clone(),
    })
}

/// Whether `pyproject.toml` lists dependencies and no build system: there is nothing to build then, and setuptools
/// refuses several folders side by side (<https://docs.astral.sh/uv/concepts/projects/config/#project-packaging>).
pub(crate) fn is_no_package(scan: &Scan<'_>) -> bool {
    scan.toml("pyproject.toml").is_some_and(|project| {
        project.pointer("/project/dependencies").is_some()
            && project.pointer("/build-system").is_none()
    })
}
