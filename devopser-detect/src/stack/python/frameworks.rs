//! Python's frameworks: which one, its usual port, how its documentation starts it in production.

use devopser_core::model::report::{Detection, Evidence, Fact};

use super::entry::Entry;
use crate::scan::python::Requirements;
use crate::scan::{Scan, base_name, folder_of, join};
use crate::stack::fact;

/// How an application object is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serve {
    /// `gunicorn module:object`.
    Wsgi,
    /// `uvicorn module:object`.
    Asgi,
    /// A command of the framework's own; `{path}`, `{module}` and `{object}` are filled in.
    Own(&'static str),
}

/// A framework: id, requirement, usual port, how it is served.
struct Framework {
    id: &'static str,
    requirement: &'static str,
    port: u16,
    serve: Serve,
}

const fn row(id: &'static str, requirement: &'static str, port: u16, serve: Serve) -> Framework {
    Framework {
        id,
        requirement,
        port,
        serve,
    }
}

/// The table; the more specific first, since many stand on another one.
#[rustfmt::skip]
const FRAMEWORKS: &[Framework] = &[
    row("django", "django", 8000, Serve::Wsgi),             // https://docs.djangoproject.com/en/stable/howto/deployment/wsgi/gunicorn/
    row("fasthtml", "python-fasthtml", 5001, Serve::Asgi),  // https://docs.fastht.ml/tutorials/quickstart_for_web_devs.html
    row("streamlit", "streamlit", 8501, Serve::Own("streamlit run {path} --server.address=0.0.0.0 --server.port=$PORT --server.headless=true")), // https://docs.streamlit.io/deploy/tutorials/docker
    row("chainlit", "chainlit", 8000, Serve::Own("chainlit run {path} --host 0.0.0.0 --port $PORT --headless")),
    row("gradio", "gradio", 7860, Serve::Own("python {path}")), // https://www.gradio.app/guides/deploying-gradio-with-docker
    row("nicegui", "nicegui", 8080, Serve::Own("python {path}")),
    row("flask", "flask", 5000, Serve::Wsgi),               // https://flask.palletsprojects.com/en/stable/deploying/gunicorn/
    row("fastapi", "fastapi", 8000, Serve::Asgi),           // https://fastapi.tiangolo.com/deployment/docker/
    row("litestar", "litestar", 8000, Serve::Asgi),         // https://docs.litestar.dev/latest/topics/deployment/
    row("sanic", "sanic", 8000, Serve::Own("sanic {module}:{object} --host=0.0.0.0 --port=$PORT")), // https://sanic.dev/en/guide/running/running.html
    row("quart", "quart", 5000, Serve::Asgi),
    row("aiohttp", "aiohttp", 8080, Serve::Own("python {path}")), // https://docs.aiohttp.org/en/stable/deployment.html
    row("tornado", "tornado", 8888, Serve::Own("python {path}")),
    row("dash", "dash", 8050, Serve::Wsgi),                 // https://dash.plotly.com/deployment
    row("bottle", "bottle", 8080, Serve::Wsgi),
    row("falcon", "falcon", 8000, Serve::Wsgi),
    row("starlette", "starlette", 8000, Serve::Asgi),       // https://www.starlette.io/#example
];

/// The ids of the frameworks.
pub(super) fn ids() -> Vec<&'static str> {
    FRAMEWORKS.iter().map(|row| row.id).collect()
}

/// Whether a framework's applications are for ASGI servers.
pub(super) fn is_asgi(id: Option<&str>) -> bool {
    let row = FRAMEWORKS.iter().find(|row| Some(row.id) == id);
    row.is_some_and(|row| row.serve == Serve::Asgi)
}

/// The usual port of a framework, and whether its servers agree on it: gunicorn and uvicorn listen on 8000
/// (<https://docs.gunicorn.org/en/stable/settings.html#bind>), so a development server that listens elsewhere says
/// nothing about production.
pub(crate) fn usual_port(id: Option<&str>) -> (u16, bool) {
    let row = FRAMEWORKS.iter().find(|row| Some(row.id) == id);
    row.map_or((8000, false), |row| {
        let is_own = matches!(row.serve, Serve::Own(_)) && row.id != "tornado";
        (row.port, is_own || row.port == 8000)
    })
}

/// The framework and what proves it: what the entry file makes, else the requirements.
///
/// A dependency alone is weak for the libraries that other things pull in (aiohttp, tornado, starlette): they count
/// only where an entry file makes their application.
pub(crate) fn choose(
    scan: &Scan<'_>,
    requirements: &Requirements,
    entry: Option<&Entry>,
) -> Option<(&'static str, Evidence)> {
    if let Some(entry) = entry
        && let Some(framework) = entry.framework
    {
        let evidence = Evidence::line(
            entry.path.clone(),
            entry.line,
            format!("makes a {framework} application"),
        );
        return Some((framework, evidence));
    }
    let strong = |row: &&Framework| {
        ![
            "aiohttp",
            "tornado",
            "starlette",
            "gradio",
            "quart",
            "bottle",
        ]
        .contains(&row.id)
    };
    let found = FRAMEWORKS
        .iter()
        .filter(strong)
        .find(|row| requirements.has(row.requirement));
    if let Some(row) = found {
        return Some((row.id, requirements.evidence(row.requirement)?));
    }
    let _ = scan;
    None
}

/// The start command as the framework's documentation gives it.
pub(crate) fn start(
    scan: &Scan<'_>,
    requirements: &Requirements,
    id: Option<&str>,
    entry: Option<&Entry>,
    into: &mut Detection,
) -> Option<Fact<String>> {
    let row = FRAMEWORKS.iter().find(|row| Some(row.id) == id);
    if id == Some("django") {
        return django(scan, requirements, entry, into);
    }
    let entry = entry?;
    let evidence = Evidence::line(entry.path.clone(), entry.line, "the entry file");
    let Some(row) = row else {
        let object = entry
            .object
            .as_deref()
            .filter(|_| requirements.has("gunicorn"));
        let served = object.map(|object| gunicorn(None, &entry.module(), object));
        return fact(served.unwrap_or_else(|| program(entry)), 75, evidence);
    };
    let (module, object) = (entry.module(), entry.object.clone());
    let object = match row.serve {
        // A server that imported it would start a second one.
        Serve::Asgi => object.filter(|_| !runs_when_imported(scan, entry, "uvicorn")),
        _ => object,
    };
    if let (Serve::Wsgi, "flask", Some(object)) = (row.serve, row.id, &object)
        && runs_when_imported(scan, entry, object)
    {
        // Flask's own command imports apps as well, and tells them by this not to start
        // (https://github.com/pallets/flask/blob/3.1.0/src/flask/app.py#L611).
        let env = &mut into.run_env;
        env.insert("FLASK_RUN_FROM_CLI".to_owned(), "true".to_owned());
    }
    let (folder, module) = match module.strip_prefix("src.") {
        // With `src/` as a folder of sources and no package of its own, modules are named from inside it.
        Some(inner) if !scan.has("src/__init__.py") => (Some("src"), inner.to_owned()),
        _ => (None, module),
    };
    let command = match (row.serve, object) {
        (Serve::Own(command), object) => {
            let needs_object = command.contains("{object}");
            if needs_object && object.is_none() {
                program(entry)
            } else {
                command
                    .replace("{path}", &entry.path)
                    .replace("{module}", &module)
                    .replace("{object}", &object.unwrap_or_default())
            }
        }
        (_, None) => program(entry),
        (Serve::Wsgi, Some(object)) => gunicorn(folder, &module, &object),
        (Serve::Asgi, Some(object)) => asgi(requirements, row.id, folder, &module, &object, entry),
    };
    fact(command, 85, evidence)
}

/// The server for WSGI; modules are named from inside the folder.
fn gunicorn(folder: Option<&str>, module: &str, object: &str) -> String {
    let chdir = folder
        .map(|folder| format!("--chdir {folder} "))
        .unwrap_or_default();
    // A factory is called in the argument, which a shell must not read.
    let quote = if object.ends_with(')') { "'" } else { "" };
    format!("gunicorn {chdir}--bind 0.0.0.0:$PORT {quote}{module}:{object}{quote}")
}

/// Whether the entry file calls `{name}.run(…)` outside of any block, so that importing it starts a server.
fn runs_when_imported(scan: &Scan<'_>, entry: &Entry, name: &str) -> bool {
    let text = scan.text(&entry.path).unwrap_or_default();
    let call = format!("{name}.run(");
    text.lines().any(|line| line.starts_with(&call))
}

/// <https://fastapi.tiangolo.com/deployment/manually/>: `fastapi run` where its command is installed, else uvicorn.
fn asgi(
    requirements: &Requirements,
    id: &str,
    folder: Option<&str>,
    module: &str,
    object: &str,
    entry: &Entry,
) -> String {
    let standard = requirements
        .get("fastapi")
        .is_some_and(|found| found.extras.contains("standard") || found.extras.contains("all"))
        || requirements.has("fastapi-cli");
    if id == "fastapi" && standard && object == "app" {
        return format!("fastapi run {} --port $PORT", entry.path);
    }
    if let (Some(server), None) = (other_asgi(requirements), folder) {
        return server.replace("{app}", &format!("{module}:{object}"));
    }
    let (factory, object) = object
        .strip_suffix("()")
        .map_or(("", object), |object| ("--factory ", object));
    let folder = folder
        .map(|folder| format!("--app-dir {folder} "))
        .unwrap_or_default();
    format!("uvicorn {factory}{folder}{module}:{object} --host 0.0.0.0 --port $PORT")
}

/// The ASGI server that the project depends on in place of uvicorn
/// (<https://fastapi.tiangolo.com/deployment/manually/#asgi-servers>). Both find the module in the working folder.
fn other_asgi(requirements: &Requirements) -> Option<&'static str> {
    if requirements.has("uvicorn") {
        return None;
    }
    // Quart brings it (https://quart.palletsprojects.com/en/latest/tutorials/deployment.html).
    if requirements.has("hypercorn") || requirements.has("quart") {
        return Some("hypercorn {app} --bind 0.0.0.0:$PORT");
    }
    requirements
        .has("daphne")
        .then_some("daphne -b 0.0.0.0 -p $PORT {app}")
}

/// `gunicorn {project}.wsgi`, or uvicorn on `asgi` where only that exists.
fn django(
    scan: &Scan<'_>,
    requirements: &Requirements,
    entry: Option<&Entry>,
    into: &mut Detection,
) -> Option<Fact<String>> {
    let base = entry
        .filter(|entry| base_name(&entry.path) == "manage.py")
        .map(|entry| folder_of(&entry.path).to_owned())
        .unwrap_or_default();
    let chdir = if base.is_empty() {
        String::new()
    } else {
        format!("--chdir {base} ")
    };
    let prefers_asgi = ["daphne", "channels", "uvicorn", "hypercorn"]
        .iter()
        .any(|server| requirements.has(server))
        && !requirements.has("gunicorn");
    let other = other_asgi(requirements).filter(|_| base.is_empty());
    let serve = |folder: &str, module: &str| match other {
        Some(server) => server.replace("{app}", &format!("{module}:application")),
        None => format!("uvicorn {folder}{module}:application --host 0.0.0.0 --port $PORT"),
    };
    into.hints.insert("django".to_owned(), "true".to_owned());
    match modules(scan, &base, prefers_asgi) {
        (_, Some((path, module))) if prefers_asgi => {
            let folder = if base.is_empty() {
                String::new()
            } else {
                format!("--app-dir {base} ")
            };
            fact(
                serve(&folder, &module),
                85,
                Evidence::file(path, "the project's ASGI module"),
            )
        }
        (Some((path, module)), _) => fact(
            format!("gunicorn {chdir}--bind 0.0.0.0:$PORT {module}"),
            88,
            Evidence::file(path, "the project's WSGI module"),
        ),
        (None, Some((path, module))) => fact(
            serve("", &module),
            80,
            Evidence::file(path, "the project's ASGI module"),
        ),
        (None, None) => {
            let path = entry?.path.clone();
            fact(
                format!("python {path} runserver 0.0.0.0:$PORT"),
                50,
                Evidence::file(path, "no WSGI module was found"),
            )
        }
    }
}

/// A file and the module that it is.
type Module = (String, String);

/// The modules for WSGI and for ASGI: those that the settings name or that lie beside them, else any.
fn modules(scan: &Scan<'_>, base: &str, prefers_asgi: bool) -> (Option<Module>, Option<Module>) {
    let known = |key: &str, file: &str| {
        named_in_settings(scan, key).or_else(|| beside_settings(scan, base, file))
    };
    let wsgi = known("WSGI_APPLICATION", "wsgi.py");
    let wants_asgi = prefers_asgi || wsgi.is_none();
    let asgi = wants_asgi.then(|| known("ASGI_APPLICATION", "asgi.py"));
    match (wsgi, asgi.flatten()) {
        (None, None) => (
            anywhere(scan, base, "wsgi.py"),
            anywhere(scan, base, "asgi.py"),
        ),
        found => found,
    }
}

/// The module that the settings name
/// (<https://docs.djangoproject.com/en/stable/ref/settings/#wsgi-application>).
fn named_in_settings(scan: &Scan<'_>, key: &str) -> Option<Module> {
    let mut settings = super::settings::files(scan);
    if settings.is_empty() {
        let base = ["base.py", "common.py"].into_iter();
        let base = base.flat_map(|name| scan.named(name, 4));
        let found = scan.named("settings.py", 3).into_iter();
        let found = found.chain(base.filter(|path| path.contains("settings/")));
        settings = found.map(str::to_owned).collect();
    }
    settings.into_iter().find_map(|path| {
        let text = scan.text(&path)?;
        let line = text.lines().find(|line| line.starts_with(key))?;
        let module = line.split(['"', '\'']).nth(1)?.rsplit_once('.')?.0;
        let sound = module
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "._".contains(char));
        sound.then(|| (path, module.to_owned()))
    })
}

/// The module beside the settings that `manage.py` names.
fn beside_settings(scan: &Scan<'_>, base: &str, file: &str) -> Option<Module> {
    let package = package(scan)?;
    let places = [file, &package_file(file)].map(|file| join(base, &join(&package, file)));
    let path = places.into_iter().find(|path| scan.has(path))?;
    as_module(path, base)
}

/// The nearest module of that name, best one below the package of the settings.
fn anywhere(scan: &Scan<'_>, base: &str, file: &str) -> Option<Module> {
    let mut found = scan.named(file, 4);
    let packages = scan.ending("__init__.py", 4).into_iter();
    let package_file = format!("/{}", package_file(file));
    found.extend(packages.filter(|path| path.ends_with(&package_file)));
    let prefix = join(base, "");
    found.retain(|path| path.starts_with(&prefix));
    let preferred = package(scan).map(|package| join(base, &format!("{package}/")));
    let is_preferred = |path: &&&str| {
        let prefix = preferred.as_deref();
        prefix.is_some_and(|prefix| path.starts_with(prefix))
    };
    let best = found.iter().find(is_preferred).or_else(|| found.first())?;
    as_module((*best).to_owned(), base)
}

/// The package that the settings lie in.
fn package(scan: &Scan<'_>) -> Option<String> {
    let (_, module) = super::settings::module(scan)?;
    Some(module.split('.').next()?.to_owned())
}

/// A package of that name is the module as well (<https://docs.python.org/3/tutorial/modules.html#packages>).
fn package_file(file: &str) -> String {
    format!("{}/__init__.py", file.trim_end_matches(".py"))
}

/// A file's path with the module that it is, seen from the folder.
fn as_module(path: String, base: &str) -> Option<Module> {
    let module = path.strip_prefix(&join(base, ""))?.strip_suffix(".py")?;
    let module = module.trim_end_matches("/__init__").replace('/', ".");
    Some((path, module))
}

/// How a program is run: a package's `__main__.py` as the package (<https://docs.python.org/3/library/__main__.html>).
fn program(entry: &Entry) -> String {
    match entry.path.strip_suffix("/__main__.py") {
        Some(package) if !package.starts_with("src/") => {
            format!("python -m {}", package.replace('/', "."))
        }
        _ => format!("python {}", entry.path),
    }
}

/// Servers that the start command uses and that nothing installs.
pub(crate) fn missing_server(
    requirements: &Requirements,
    start: Option<&Fact<String>>,
) -> Vec<&'static str> {
    let program = start
        .and_then(|start| start.value.split_whitespace().next())
        .unwrap_or_default();
    let known = [
        ("gunicorn", "gunicorn"),
        ("uvicorn", "uvicorn"),
        ("hypercorn", "hypercorn"),
        ("daphne", "daphne"),
        ("waitress-serve", "waitress"),
        ("flask", "flask"),
        ("streamlit", "streamlit"),
    ];
    let satisfied = |package: &str| {
        requirements.has(package)
            || (package == "uvicorn"
                && requirements
                    .get("fastapi")
                    .is_some_and(|found| !found.extras.is_empty()))
    };
    known
        .iter()
        .filter(|(name, package)| *name == program && !satisfied(package))
        .map(|(_, package)| *package)
        .collect()
}
