//! The file in which a Python app begins, and the name of the application object in it.

use std::sync::LazyLock;

use super::frameworks::is_asgi;
use crate::scan::pattern::Patterns;
use crate::scan::python::Requirements;
use crate::scan::{Scan, base_name, code, folder_of, join, line_of};

/// An entry point.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The file.
    pub(crate) path: String,
    /// The application object, or a factory with `()`.
    pub(crate) object: Option<String>,
    /// The framework that makes the object.
    pub(crate) framework: Option<&'static str>,
    /// The line that says so.
    pub(crate) line: Option<u32>,
    /// The file that makes the application, where the entry point only hands it to a server.
    pub(crate) made_in: Option<String>,
}

impl Entry {
    /// The module's dotted name: `app.main` of `app/main.py`, `app` of `app/__init__.py`.
    pub(crate) fn module(&self) -> String {
        let path = self.path.strip_suffix(".py").unwrap_or(&self.path);
        let path = path.strip_suffix("/__init__").unwrap_or(path);
        path.replace('/', ".")
    }
}

/// What makes an application object, and whose it is.
const MAKERS: &[(&str, &str)] = &[
    ("FastAPI(", "fastapi"),
    ("fast_app(", "fasthtml"),
    ("FastHTML(", "fasthtml"),
    ("Flask(", "flask"),
    ("APIFlask(", "flask"),
    ("connexion.App(", "flask"),
    ("Litestar(", "litestar"),
    ("Starlite(", "litestar"),
    ("Sanic(", "sanic"),
    ("Quart(", "quart"),
    // Before what it ends like.
    ("tornado.web.Application(", "tornado"),
    ("web.Application(", "aiohttp"),
    ("Bottle(", "bottle"),
    ("falcon.App(", "falcon"),
    ("falcon.API(", "falcon"),
    ("falcon.asgi.App(", "falcon"),
    ("Starlette(", "starlette"),
    ("dash.Dash(", "dash"),
    ("Dash(", "dash"),
    ("BlackSheep", "blacksheep"),
    ("Robyn(", "robyn"),
];

/// The assignment of an application object: its indent and its name.
static OBJECT: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    Patterns::new(&[
        r"(?m)^([ \t]*)(\w+)(?:\s*,\s*\w+)?\s*(?::\s*[\w.\[\]]+)?\s*=\s*(?:\w+\.)*(?:FastAPI|FastHTML|fast_app|Flask|APIFlask|App|Litestar|Starlite|Sanic|Quart|Application|Bottle|API|Starlette|Dash|Robyn|create_app|make_app|get_app|build_app|init_app|create_application|get_application|get_wsgi_application|get_asgi_application)\(",
    ])
});

/// Any of [`MAKERS`]: one pass instead of one for each.
static MAKER: LazyLock<Option<Patterns>> =
    LazyLock::new(|| Patterns::literals(MAKERS.iter().map(|(maker, _)| *maker)));

/// Where entry points usually are, best first; `manage.py` is looked at before.
const NAMES: &[&str] = &[
    "main.py",
    "app.py",
    "server.py",
    "wsgi.py",
    "asgi.py",
    "run.py",
    "application.py",
    "api.py",
    "index.py",
    "web.py",
    "streamlit_app.py",
    "__init__.py",
];

/// Finds the entry point.
pub(crate) fn find(scan: &Scan<'_>, requirements: &Requirements) -> Option<Entry> {
    if let Some(path) = manage(scan) {
        return Some(Entry {
            line: scan.line_of(path, "DJANGO_SETTINGS_MODULE"),
            path: path.to_owned(),
            object: None,
            framework: Some("django"),
            made_in: None,
        });
    }
    if let Some(object) = usual(scan) {
        return Some(for_servers(scan, &object).unwrap_or(object));
    }
    let mut sources = code::sources(scan, &[".py"], 3);
    // Where the root needs nothing, a folder with needs of its own is another app.
    if requirements.all.is_empty() {
        sources.retain(|path| {
            let top = path.split_once('/').map(|(top, _)| top);
            let own = |top: &str| {
                let manifests = ["requirements.txt", "pyproject.toml"];
                manifests
                    .iter()
                    .any(|name| scan.has(&format!("{top}/{name}")))
            };
            !top.is_some_and(own)
        });
    }
    sources.sort_by_key(|path| {
        let name = NAMES
            .iter()
            .position(|name| *name == base_name(path))
            .unwrap_or(NAMES.len());
        (
            path.matches('/').count().saturating_sub(usize::from(
                name < 4 && (path.starts_with("app/") || path.starts_with("src/")),
            )),
            name,
            *path,
        )
    });
    let object = sources.iter().find_map(|path| with_object(scan, path));
    object
        .map(|object| {
            for_servers(scan, &object)
                .or_else(|| own_program(scan, requirements, &object))
                .unwrap_or(object)
        })
        .or_else(|| library_entry(scan, &sources, requirements))
        .or_else(|| server_module(scan, &sources))
        .or_else(|| plain(scan, &sources))
}

/// A module that exists for servers, whatever makes the application that it gives
/// (<https://peps.python.org/pep-3333/#the-application-framework-side>).
fn server_module(scan: &Scan<'_>, sources: &[&str]) -> Option<Entry> {
    let mut modules = sources.iter().filter(|path| base_name(path) == "wsgi.py");
    modules.find_map(|path| {
        let names = ["application", "app"];
        let given = |line: &str| names.into_iter().find(|name| gives(line, name));
        let (line, object) = line_with(scan, path, |line| given(line).map(str::to_owned))?;
        Some(Entry {
            path: (*path).to_owned(),
            object: Some(object),
            framework: None,
            line: Some(line),
            made_in: None,
        })
    })
}

/// An application object in a source of the root, or in a file with the best names in `app` or `src`: those go before
/// whatever lies deeper.
fn usual(scan: &Scan<'_>) -> Option<Entry> {
    let below = ["app", "src"].iter();
    let below = below.flat_map(|folder| {
        NAMES[..4]
            .iter()
            .map(move |name| format!("{folder}/{name}"))
    });
    let root = scan.root_with(".py").filter(|path| code::is_own(path));
    let mut sources: Vec<String> = below
        .filter(|path| scan.has(path))
        .chain(root.map(str::to_owned))
        .collect();
    sources.sort_by_key(|path| {
        let name = NAMES.iter().position(|name| *name == base_name(path));
        (name.unwrap_or(NAMES.len()), path.clone())
    });
    sources.iter().find_map(|path| with_object(scan, path))
}

/// The module that exists for servers, beside the file that makes the application: `wsgi.py` where that calls the factory
/// (<https://flask.palletsprojects.com/en/stable/deploying/gunicorn/>), and `asgi.py` where that wraps it into another one.
fn for_servers(scan: &Scan<'_>, found: &Entry) -> Option<Entry> {
    let folder = folder_of(&found.path);
    let beside = |name: &str| join(folder, name);
    let path = beside("asgi.py");
    if let Some(wrapped) = with_object(scan, &path).filter(|entry| entry.path != found.path)
        && wrapped.object.is_some()
        && is_asgi(wrapped.framework)
    {
        return Some(Entry {
            made_in: Some(found.path.clone()),
            ..wrapped
        });
    }
    let factory = found.object.as_deref()?.strip_suffix("()")?;
    if is_asgi(found.framework) {
        return None;
    }
    let path = beside("wsgi.py");
    let names = ["application", "app", "server"];
    let made = (path != found.path)
        .then(|| {
            let given = |line: &str| names.into_iter().find(|name| gives(line, name));
            line_with(scan, &path, |line| given(line).map(str::to_owned))
                .map(|(line, object)| (path, line, object))
        })
        .flatten();
    let (path, line, object) = made.or_else(|| made_by(scan, factory))?;
    Some(Entry {
        path,
        object: Some(object),
        framework: found.framework,
        line: Some(line),
        made_in: Some(found.path.clone()),
    })
}

/// The only source of the root that calls the factory when it is imported, and the name that it gives what comes out.
fn made_by(scan: &Scan<'_>, factory: &str) -> Option<(String, u32, String)> {
    let sources = scan.root_with(".py").filter(|path| code::is_own(path));
    let mut made = sources.take(40).filter_map(|path| {
        let (line, object) = line_with(scan, path, |line| {
            let (name, value) = line.split_once('=')?;
            let called = value.trim_start().split('(').next()?;
            let is_call = called.rsplit('.').next() == Some(factory) && value.contains('(');
            let name = name.split(':').next()?.trim_end();
            let is_name = |name: &str| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            };
            (is_call && is_name(name)).then(|| name.to_owned())
        })?;
        Some((path.to_owned(), line, object))
    });
    let (only, more) = (made.next()?, made.next());
    more.is_none().then_some(only)
}

/// The first line of a file in which `find` sees a name, with that name.
fn line_with(
    scan: &Scan<'_>,
    path: &str,
    find: impl Fn(&str) -> Option<String>,
) -> Option<(u32, String)> {
    let text = scan.text(path)?;
    text.lines()
        .zip(1..)
        .find_map(|(line, number)| Some((number, find(line)?)))
}

/// Whether a line of a module assigns or imports the name.
fn gives(line: &str, name: &str) -> bool {
    let assigned = line.strip_prefix(name).map(str::trim_start);
    let imported = line.starts_with("from ")
        && [" import ", " as "].iter().any(|word| {
            line.trim_end()
                .strip_suffix(name)
                .is_some_and(|line| line.ends_with(word))
        });
    imported || assigned.is_some_and(|rest| rest.starts_with('=') && !rest.starts_with("=="))
}

/// The only program of the root, where it runs the package that makes the application and nothing asks for a server:
/// it may do more than serve.
fn own_program(scan: &Scan<'_>, requirements: &Requirements, found: &Entry) -> Option<Entry> {
    let (package, _) = found.path.split_once('/')?;
    let servers = [
        "gunicorn",
        "uvicorn",
        "uwsgi",
        "waitress",
        "hypercorn",
        "daphne",
    ];
    if is_asgi(found.framework) || servers.iter().any(|server| requirements.has(server)) {
        return None;
    }
    let mut programs = scan
        .root_with(".py")
        .filter(|path| code::is_own(path) && !["fabfile.py", "manage.py"].contains(path));
    let mut programs = programs.by_ref().filter(|path| {
        scan.text(path).is_some_and(|text| {
            let imports = [format!("import {package}"), format!("from {package}")];
            let imports = |line: &str| imports.iter().any(|import| line.starts_with(import));
            text.contains("__main__") && text.lines().any(imports)
        })
    });
    let (only, more) = (programs.next()?, programs.next());
    more.is_none().then(|| Entry {
        path: only.to_owned(),
        object: None,
        framework: found.framework,
        line: scan.line_of(only, "__main__"),
        made_in: None,
    })
}

/// A `manage.py` of Django; others have files of that name as well.
pub(crate) fn manage(scan: &Scan<'_>) -> Option<&'static str> {
    [
        "manage.py",
        "src/manage.py",
        "backend/manage.py",
        "app/manage.py",
        "server/manage.py",
    ]
    .into_iter()
    .find(|path| {
        scan.text(path)
            .is_some_and(|text| text.contains("django") || text.contains("DJANGO"))
    })
}

fn with_object(scan: &Scan<'_>, path: &str) -> Option<Entry> {
    let text = scan.text(path)?;
    if !MAKER.as_ref()?.is_in(&text) {
        return None;
    }
    let (maker, framework) = MAKERS.iter().find(|(maker, _)| calls(&text, maker))?;
    let line = line_of(&text, maker);
    let mut object = None;
    for found in OBJECT.as_ref()?.all(&text) {
        let name = text.get(found.group(1)?)?;
        if found.group(0).is_none_or(|indent| indent.is_empty()) {
            object = Some(name.to_owned());
            break;
        }
    }
    let factory = || {
        ["create_app", "make_app", "create_application", "get_app"]
            .into_iter()
            .find(|name| text.contains(&format!("def {name}(")))
    };
    let object = object.or_else(|| factory().map(|name| format!("{name}()")));
    let object = match *framework {
        "dash" => object.and_then(|app| server_of(&text, &app)),
        _ => object,
    };
    if object.is_none() && !text.contains("__main__") {
        return None;
    }
    Some(Entry {
        path: path.to_owned(),
        object,
        framework: Some(framework),
        line,
        made_in: None,
    })
}

/// The WSGI application inside a Dash app, which a server can only be told by a name of its own
/// (<https://dash.plotly.com/deployment>).
fn server_of(text: &str, app: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let is_server = value.trim() == format!("{app}.server");
        is_server.then(|| name.trim().to_owned())
    })
}

/// Whether `maker` is called and no longer name only ends like it.
fn calls(text: &str, maker: &str) -> bool {
    text.match_indices(maker).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let line = text[..at].rfind('\n').map_or(0, |start| start + 1);
        !before.is_some_and(|char| char.is_alphanumeric() || char == '_')
            && !text[line..at].trim_start().starts_with(['#', '"', '\''])
    })
}

/// Streamlit, Gradio and the like: the program that imports them.
fn library_entry(scan: &Scan<'_>, sources: &[&str], requirements: &Requirements) -> Option<Entry> {
    for (name, import, framework) in [
        ("streamlit", "import streamlit", "streamlit"),
        ("gradio", "import gradio", "gradio"),
        ("chainlit", "import chainlit", "chainlit"),
        ("nicegui", "nicegui import", "nicegui"),
        ("panel", "import panel", "panel"),
    ] {
        if !requirements.has(name) && !requirements.all.is_empty() {
            continue;
        }
        let preferred = [
            "streamlit_app.py",
            "app.py",
            "main.py",
            "Home.py",
            "Hello.py",
            "home.py",
        ];
        let mut files = sources.to_vec();
        files.sort_by_key(|path| {
            (
                path.matches('/').count(),
                preferred
                    .iter()
                    .position(|name| *name == base_name(path))
                    .unwrap_or(preferred.len()),
            )
        });
        for path in files {
            if let Some(line) = scan.text(path).and_then(|text| line_of(&text, import)) {
                return Some(Entry {
                    path: path.to_owned(),
                    object: None,
                    framework: Some(framework),
                    line: Some(line),
                    made_in: None,
                });
            }
        }
    }
    None
}

/// A program of the root: one with a usual name, or the only one that has a main part.
fn plain(scan: &Scan<'_>, sources: &[&str]) -> Option<Entry> {
    let root: Vec<&str> = sources
        .iter()
        .copied()
        .filter(|path| {
            !path.contains('/')
                && ![
                    "setup.py",
                    "conftest.py",
                    "tasks.py",
                    "noxfile.py",
                    "fabfile.py",
                ]
                .contains(path)
        })
        .collect();
    let entry = |path: &str, line| Entry {
        path: path.to_owned(),
        object: None,
        framework: None,
        line,
        made_in: None,
    };
    let main = |path: &str| scan.text(path).and_then(|text| line_of(&text, "__main__"));
    let usual = root.iter().find(|path| NAMES[..8].contains(path));
    let server = root
        .iter()
        .filter(|path| main(path).is_some())
        .find(|path| path.contains("server") || path.contains("app") || path.contains("main"));
    let with_main: Vec<&&str> = root.iter().filter(|path| main(path).is_some()).collect();
    let only = if with_main.len() == 1 {
        with_main.first().copied()
    } else {
        None
    };
    let single = if root.len() == 1 { root.first() } else { None };
    let path = usual.or(server).or(only).or(single)?;
    Some(entry(path, main(path)))
}
