//! Python images (<https://hub.docker.com/_/python>): dependencies in a virtual environment that a last stage takes over.

use std::collections::BTreeMap;

use devopser_core::Result;
use devopser_core::model::report::Detection;

use super::lines::{Lines, exec, exec_after, tag};
use super::{Plan, databases, hint, no_start, node, release, system, value};

/// A server.
pub(crate) fn server(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) -> Result<()> {
    let start = value(stack.start_command.as_ref()).ok_or_else(|| {
        no_start(
            stack,
            "add a Procfile with a web process, or name the entry file main.py or app.py",
        )
    })?;
    let version = value(stack.version.as_ref())
        .or_else(|| hint(stack, "newest-line"))
        .unwrap_or_else(|| crate::version::default_line("python"));
    let image = plan.image(&format!("python:{}-slim", tag(version)));
    node::pages(stack, plan, lines);
    lines.stage(&image, Some("build"));
    lines.apt(&system(stack, "build:"));
    lines.env([
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("PIP_ROOT_USER_ACTION", "ignore"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("VIRTUAL_ENV", "/opt/venv"),
        ("PATH", "/opt/venv/bin:$PATH"),
    ]);
    lines.add("WORKDIR /app");
    install(stack, plan, lines);
    lines.stage(&image, None);
    lines.apt(&system(stack, "run:"));
    let port = plan.port.to_string();
    let mut env = vec![
        ("VIRTUAL_ENV", "/opt/venv"),
        ("PATH", "/opt/venv/bin:$PATH"),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PORT", port.as_str()),
    ];
    env.extend(own_env(stack, &port));
    env.extend(
        stack
            .run_env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    lines.env(env);
    lines.user();
    lines
        .add("WORKDIR /app")
        .add("COPY --from=build /opt/venv /opt/venv")
        .add("COPY --chown=app:app . .");
    for output in stack.pages.iter().flat_map(|pages| &pages.outputs) {
        lines.add(format!(
            "COPY --from=pages --chown=app:app /src/{} ./{}",
            output.from, output.to
        ));
    }
    lines.runs_as("app");
    build(stack, lines);
    lines.add(format!("EXPOSE {port}"));
    health(plan, lines);
    lines.command(&words(stack, plan, start));
    Ok(())
}

fn health(plan: &Plan<'_>, lines: &mut Lines<'_>) {
    let script = format!(
        "import http.client,os,sys;c=http.client.HTTPConnection('127.0.0.1',int(os.environ['PORT']),timeout=4);c.request('GET','{}');sys.exit(c.getresponse().status>=500)",
        plan.health_path()
    );
    lines.health(&["python", "-c", &script]);
}

/// The start command behind what must run before it.
fn words(stack: &Detection, plan: &Plan<'_>, start: &str) -> Vec<String> {
    let first: Vec<String> = [
        collect_again(stack),
        release(stack, plan).map(str::to_owned),
    ]
    .into_iter()
    .flatten()
    .collect();
    if first.is_empty() {
        exec(start)
    } else {
        exec_after(&first.join(" && "), start)
    }
}

/// What is built with the sources in place, as the user that runs them.
fn build(stack: &Detection, lines: &mut Lines<'_>) {
    let Some(build) = value(stack.build_command.as_ref()) else {
        return;
    };
    if !build.contains(COLLECT) {
        lines.run("", build);
        return;
    }
    lines.comment("Settings may read what only the running app has: placeholders stand for it here. Where that does not do, it runs at the start.");
    let placeholders = placeholders(stack);
    let placeholders = placeholders
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let placeholders = lines.assigned(placeholders, " \\\n    ");
    lines.run("", &format!(
        "{placeholders}{build} || {{ echo \"collectstatic failed in the build; it runs again at the start\"; touch {COLLECT_LATER}; }}"
    ));
}

/// The command of Django's static files (<https://docs.djangoproject.com/en/stable/ref/contrib/staticfiles/#collectstatic>).
const COLLECT: &str = "collectstatic";
/// Marks that the build could not run it.
const COLLECT_LATER: &str = "/app/.collectstatic-later";

/// The names that settings read, with values of their shape.
fn placeholders(stack: &Detection) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = databases::of(stack)
        .into_iter()
        .flat_map(|database| {
            let host = database.name;
            database.app_env.into_iter().map(move |(name, value)| {
                let value = value
                    .replace("{password}", "build")
                    .replace("{host}", &host);
                (name, value)
            })
        })
        .collect();
    env.insert("SECRET_KEY".to_owned(), "build".to_owned());
    env.insert("DJANGO_SECRET_KEY".to_owned(), "build".to_owned());
    env
}

/// `collectstatic` at the start where it failed in the build; the app starts all the same.
fn collect_again(stack: &Detection) -> Option<String> {
    let build = value(stack.build_command.as_ref()).filter(|build| build.contains(COLLECT))?;
    Some(format!(
        "{{ [ ! -e {COLLECT_LATER} ] || {build} || echo 'collectstatic failed: the pages come without their static files'; }}"
    ))
}

/// What the frameworks' own servers read instead of `PORT`.
///
/// The port as it is: within one `ENV` instruction Docker fills in the values from before that instruction.
fn own_env<'p>(stack: &Detection, port: &'p str) -> Vec<(&'static str, &'p str)> {
    match value(stack.framework.as_ref()) {
        Some("gradio") => vec![
            ("GRADIO_SERVER_NAME", "0.0.0.0"),
            ("GRADIO_SERVER_PORT", port),
        ],
        Some("flask") => vec![("FLASK_RUN_HOST", "0.0.0.0"), ("FLASK_RUN_PORT", port)],
        _ => Vec::new(),
    }
}

fn install(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) {
    let extra = hint(stack, "extra");
    let pip = plan.cache("pip", "/root/.cache/pip");
    let files = hint(stack, "files").unwrap_or("requirements.txt");
    let with_extra = |lines: &mut Lines<'_>, command: &str| {
        if let Some(extra) = extra {
            lines.run(&pip, &format!("{command} {extra}"));
        }
    };
    let manager = value(stack.package_manager.as_ref());
    if manager.is_some() && manager != Some("pip") {
        lines.add(format!(
            "RUN {pip} pip install {}",
            manager.unwrap_or_default()
        ));
    }
    lines.add("RUN python -m venv /opt/venv");
    if hint(stack, "install-needs-source").is_some() {
        lines.add("COPY . .");
    } else if manager.is_some() {
        lines.add(format!("COPY {files} ./"));
    }
    match manager {
        Some("uv") => {
            uv(stack, plan, lines);
            with_extra(lines, "uv pip install");
        }
        Some("poetry") => {
            lines.run(
                &plan.cache("poetry", "/root/.cache/pypoetry"),
                "poetry install --only main --no-root --no-interaction",
            );
            with_extra(lines, "/opt/venv/bin/pip install");
        }
        Some("pdm") => {
            lines.run(&pip, format!("pdm export --prod --without-hashes -o /tmp/requirements.txt && /opt/venv/bin/pip install -r /tmp/requirements.txt {}", extra.unwrap_or_default()).trim_end());
        }
        Some("pipenv") => {
            let command = value(stack.install_command.as_ref()).unwrap_or("pipenv install");
            lines.run(&pip, command);
            with_extra(lines, "/opt/venv/bin/pip install");
        }
        Some(_) => {
            let command =
                value(stack.install_command.as_ref()).unwrap_or("pip install -r requirements.txt");
            lines.run(
                &pip,
                format!("{command} {}", extra.unwrap_or_default()).trim_end(),
            );
        }
        None => with_extra(lines, "pip install"),
    }
}

fn uv(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) {
    let locked = if value(stack.install_command.as_ref())
        .is_some_and(|command| command.contains("--locked"))
    {
        "--locked "
    } else {
        ""
    };
    let link = lines.assigned([("UV_LINK_MODE", "copy")], " ");
    lines.run(
        &plan.cache("uv", "/root/.cache/uv"),
        &format!(
            "{link}uv sync {locked}--active --no-dev --no-install-project --no-python-downloads"
        ),
    );
}
