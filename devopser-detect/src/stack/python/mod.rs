//! Python: its manifests, its frameworks, its entry points.

pub(crate) mod address;
pub(crate) mod compat;
pub(crate) mod entry;
pub(crate) mod frameworks;
pub(crate) mod manager;
pub(crate) mod settings;
mod system;

use devopser_core::model::report::{Detection, Evidence, Fact};

use super::{Stack, databases, fact, found, pages, port, version};
use crate::rank::{Found, Strength};
use crate::scan::python::Requirements;
use crate::scan::{Scan, code, procfile, versions};
use entry::Entry;

/// The Python detector.
#[derive(Debug)]
pub(crate) struct Python;

const MANIFESTS: &[&str] = &[
    "requirements.txt",
    "pyproject.toml",
    "Pipfile",
    "setup.py",
    "setup.cfg",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "environment.yml",
];

impl Stack for Python {
    fn id(&self) -> &'static str {
        "python"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "requirements.txt",
            "pyproject.toml",
            "Pipfile",
            "setup.py",
            "setup.cfg",
            ".python-version",
            "runtime.txt",
            ".tool-versions",
            "mise.toml",
            "manage.py",
            "app.py",
            "main.py",
            "wsgi.py",
            "asgi.py",
            "settings.py",
            "server.py",
            "Procfile",
            ".env.example",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        frameworks::ids()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let requirements = scan.python();
        let manifest = requirements
            .file
            .as_deref()
            .or_else(|| scan.first(MANIFESTS));
        let script = scan.first(&[
            "main.py",
            "app.py",
            "server.py",
            "manage.py",
            "run.py",
            "wsgi.py",
            "index.py",
        ]);
        let any = script.or_else(|| scan.root_with(".py").next());
        let evidence = match (manifest, any) {
            (Some(path), _) => Evidence::file(path, "a manifest of Python"),
            (None, Some(path)) => Evidence::file(path, "a Python program"),
            (None, None) => return None,
        };
        let mut detection = super::detection("python", "python", evidence);
        detection.version = pinned(scan);
        detection.package_manager = manager::choose(scan, &requirements);
        detection.install_command =
            manager::install(scan, &requirements, detection.package_manager.as_ref());
        detection.databases = Some(databases::of_python(scan, &requirements));
        detection.is_static = Some(Fact::new(
            false,
            85,
            detection.runtime.as_ref()?.evidence.first()?.clone(),
        ));
        let entry = entry::find(scan, &requirements);
        let strength = fill(scan, &requirements, entry, &mut detection);
        let strength = match (manifest, strength) {
            (None, Strength::Manifest) => Strength::Source,
            (_, strength) => strength,
        };
        found(detection, strength)
    }
}

/// Pages that a program serves from the folder of a front end.
const PAGES: pages::Language = pages::Language {
    ending: ".py",
    names: &[
        "app.py",
        "asgi.py",
        "config.py",
        "main.py",
        "routes.py",
        "server.py",
        "settings.py",
        "web.py",
    ],
    embedded: |_, _, _| Vec::new(),
};

fn fill(
    scan: &Scan<'_>,
    requirements: &Requirements,
    entry: Option<Entry>,
    into: &mut Detection,
) -> Strength {
    let framework = frameworks::choose(scan, requirements, entry.as_ref());
    if let Some((id, evidence)) = &framework {
        into.framework = fact(*id, 90, evidence.clone());
    }
    let id = framework.as_ref().map(|(id, _)| *id);
    let web = procfile::process(scan, "web");
    into.start_command = web
        .clone()
        .or_else(|| frameworks::start(scan, requirements, id, entry.as_ref(), into));
    into.port = Some(listens_on(scan, id, web.as_ref(), entry.as_ref()));
    if let Some(entry) = &entry {
        into.hints.insert("entry".to_owned(), entry.path.clone());
    }
    let has_maps = id == Some("django") && has_maps(scan);
    into.hints.insert(
        "system".to_owned(),
        system::packages(requirements, has_maps),
    );
    copied(scan, requirements, into);
    into.pages = pages::of(scan, &PAGES);
    let mut extra = frameworks::missing_server(requirements, into.start_command.as_ref());
    // Without any manifest, what a program imports is still needed.
    if let Some(id) = id.filter(|id| into.package_manager.is_none() && !extra.contains(id)) {
        extra.insert(0, id);
    }
    let mut extra: Vec<String> = extra.into_iter().map(str::to_owned).collect();
    // A shell takes `<` for something else.
    let bounds = compat::added(scan, requirements);
    extra.extend(bounds.iter().map(|bound| format!("\"{bound}\"")));
    if !extra.is_empty() {
        into.hints.insert("extra".to_owned(), extra.join(" "));
    }
    if into.version.is_none()
        && let Some(line) = compat::newest(scan, requirements)
    {
        into.hints.insert("newest-line".to_owned(), line);
    }
    if id == Some("django") {
        django_build(scan, into);
    }
    match (id, entry.is_some() || web.is_some()) {
        (Some(_), true) => Strength::Entry,
        (Some(_), false) => Strength::Framework,
        (None, true) => Strength::Manifest,
        (None, false) if web.is_some() => Strength::Manifest,
        (None, false) => Strength::Trace,
    }
}

/// The settings that `manage.py` names, else every source that is called so.
fn settings_of(scan: &Scan<'_>) -> Vec<String> {
    let named = settings::files(scan);
    if !named.is_empty() {
        return named;
    }
    let found = code::each(scan, &[".py"], 3).filter(|path| path.contains("settings"));
    found.map(str::to_owned).collect()
}

fn has_maps(scan: &Scan<'_>) -> bool {
    let mut texts = settings_of(scan)
        .into_iter()
        .filter_map(|path| scan.text(&path));
    texts.any(|text| text.contains("django.contrib.gis"))
}

/// `collectstatic` where the settings name a folder for it (<https://docs.djangoproject.com/en/stable/howto/static-files/deployment/>).
fn django_build(scan: &Scan<'_>, into: &mut Detection) {
    for path in settings_of(scan) {
        let Some(text) = scan.text(&path) else {
            continue;
        };
        if let Some(line) = text
            .lines()
            .position(|line| line.trim_start().starts_with("STATIC_ROOT"))
        {
            let manage = scan.first(&["manage.py"]).unwrap_or("manage.py");
            let line = u32::try_from(line + 1).ok();
            into.build_command = fact(
                format!("python {manage} collectstatic --noinput"),
                80,
                Evidence::line(path, line, "STATIC_ROOT is set"),
            );
            return;
        }
    }
}

/// Whether the settings name no database: `migrate` then fails (<https://docs.djangoproject.com/en/stable/ref/settings/#databases>).
pub(crate) fn has_no_database(scan: &Scan<'_>) -> bool {
    let files = settings_of(scan).into_iter();
    let texts: Vec<_> = files.filter_map(|path| scan.text(&path)).collect();
    let names = |line: &str| {
        let line: String = line.chars().filter(|char| *char != ' ').collect();
        line.contains("DATABASES") && line != "DATABASES={}" && !line.starts_with('#')
    };
    !texts.is_empty()
        && !texts
            .iter()
            .any(|text| text.lines().any(names) || text.contains("import *"))
}

fn pinned(scan: &Scan<'_>) -> Option<Fact<String>> {
    let runtime =
        versions::one_line(scan, "runtime.txt").filter(|(text, _)| text.starts_with("python"));
    let project = scan.toml("pyproject.toml");
    let at = |pointer: &str, key: &str| {
        let text = project.as_ref()?.pointer(pointer)?.as_str()?.to_owned();
        Some((
            text,
            scan.evidence("pyproject.toml", key, format!("{key} of pyproject.toml")),
        ))
    };
    let pipfile = scan.toml("Pipfile").and_then(|value| {
        let requires = value.get("requires")?;
        let text = requires
            .get("python_full_version")
            .or_else(|| requires.get("python_version"))?
            .as_str()?
            .to_owned();
        Some((
            text,
            scan.evidence("Pipfile", "python_", "the Pipfile requires it"),
        ))
    });
    version(
        "python",
        [
            versions::pinned(scan, &[".python-version"], &["python"]),
            runtime,
            pipfile,
            at("/project/requires-python", "requires-python"),
            at("/tool/poetry/dependencies/python", "python =").map(least_of_caret),
            setup_requires(scan),
        ],
    )
    .or_else(|| super::built_with(scan, "python", "python-version"))
}

/// `^3.10` as `3.10`: Poetry writes the version that a project is begun with behind the caret
/// (<https://python-poetry.org/docs/cli/#init>), and what it locks goes with the least one
/// (<https://python-poetry.org/docs/libraries/#lock-file>), while newer ones may lack what is built for them.
fn least_of_caret((wanted, evidence): (String, Evidence)) -> (String, Evidence) {
    let least = wanted.strip_prefix('^').map(str::to_owned);
    (least.unwrap_or(wanted), evidence)
}

fn setup_requires(scan: &Scan<'_>) -> Option<(String, Evidence)> {
    let path = scan.first(&["setup.cfg", "setup.py"])?;
    let text = scan.text(path)?;
    let at = text.find("python_requires")?;
    let line = text[at..].lines().next()?;
    let range = line
        .split_once('=')?
        .1
        .trim()
        .trim_matches(['"', '\'', ',', ' ']);
    Some((
        range.to_owned(),
        scan.evidence(path, "python_requires", "python_requires"),
    ))
}

/// Names of the files in which settings have their defaults, however deep they lie.
const SETTINGS: &[&str] = &[
    "settings.py",
    "config.py",
    "conf.py",
    "constants.py",
    "env.py",
];

fn listens_on(
    scan: &Scan<'_>,
    id: Option<&str>,
    web: Option<&Fact<String>>,
    entry: Option<&Entry>,
) -> Fact<u16> {
    if let Some(web) = web
        && let Some(port) = port::in_command(&web.value)
    {
        return Fact {
            value: port,
            confidence: 90,
            evidence: web.evidence.clone(),
        };
    }
    if let Some(found) = port::in_env_example(scan) {
        return found;
    }
    let made_in = entry.and_then(|entry| entry.made_in.as_deref());
    let mut files: Vec<&str> = entry.iter().map(|entry| entry.path.as_str()).collect();
    files.extend(made_in);
    let others = code::sources(scan, &[".py"], 1);
    files.extend(
        others
            .into_iter()
            .filter(|path| !path.contains("settings"))
            .take(20),
    );
    if id != Some("django")
        && let Some(found) = port::in_sources(scan, &files)
    {
        return found;
    }
    if id != Some("django")
        && let Some(found) = port::in_settings(scan, SETTINGS, 4)
    {
        return found;
    }
    let (port, is_default) = frameworks::usual_port(id);
    let name = id.unwrap_or("Python servers");
    if is_default {
        port::default(port, name)
    } else {
        port::guess(port, name)
    }
}

/// What an installation reads. Requirement files that include others, or install the project itself, need the sources.
fn copied(scan: &Scan<'_>, requirements: &Requirements, into: &mut Detection) {
    let manager = into
        .package_manager
        .as_ref()
        .map_or("", |fact| fact.value.as_str());
    let files: Vec<&str> = match manager {
        "" => Vec::new(),
        "pip" if requirements.file.is_none() && manager::is_no_package(scan) => {
            vec!["pyproject.toml"]
        }
        "pip" => requirements.file.as_deref().into_iter().collect(),
        _ => [
            "pyproject.toml",
            "uv.lock",
            "poetry.lock",
            "pdm.lock",
            "Pipfile",
            "Pipfile.lock",
            "poetry.toml",
            ".python-version",
        ]
        .into_iter()
        .filter(|path| scan.has(path))
        .collect(),
    };
    let text = requirements
        .file
        .as_deref()
        .and_then(|path| scan.text(path))
        .unwrap_or_default();
    let includes = text.lines().map(str::trim).any(|line| {
        [
            "-r",
            "-c",
            "-e",
            "--requirement",
            "--constraint",
            "--editable",
            ".",
            "file:",
        ]
        .iter()
        .any(|sign| line.starts_with(sign))
    });
    let whole = manager == "pip"
        && (requirements.file.is_none() && !manager::is_no_package(scan)
            || includes
            || files.iter().any(|path| path.contains('/')));
    if whole {
        into.hints
            .insert("install-needs-source".to_owned(), "true".to_owned());
    }
    into.hints.insert("files".to_owned(), files.join(" "));
}
