//! Go images: a static binary on a small Debian.

use devopser_core::Result;
use devopser_core::model::report::Detection;

use super::lines::{Lines, exec};
use super::{Plan, hint, no_start, node, read, value};

/// A server.
pub(crate) fn server(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) -> Result<()> {
    let target = hint(stack, "main").ok_or_else(|| {
        no_start(
            stack,
            "no package main was found; name the folder that holds it",
        )
    })?;
    node::pages(stack, plan, lines);
    // The newest release of Go builds every older module (https://go.dev/doc/go1compat); the go line is a minimum.
    lines.stage(&plan.image("golang:1"), Some("build"));
    let top = sources(stack, plan, lines);
    node::take_pages(stack, &top, lines);
    let modules = plan.cache("gomod", "/go/pkg/mod");
    let builds = plan.cache("gobuild", "/root/.cache/go-build");
    let cgo = if hint(stack, "cgo").is_some() {
        "1"
    } else {
        "0"
    };
    let cgo = lines.assigned([("CGO_ENABLED", cgo)], " ");
    lines.run(
        &format!("{modules} {builds}"),
        &format!("{cgo}go build -trimpath -ldflags=\"-s -w\" -o /out/app {target}"),
    );
    lines.stage(&plan.image("debian:trixie-slim"), None);
    let port = plan.port.to_string();
    let mut env = vec![("PORT", port.as_str())];
    env.extend(
        stack
            .run_env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    if value(stack.framework.as_ref()) == Some("gin") {
        env.push(("GIN_MODE", "release"));
    }
    lines.env(env).user();
    lines
        .add("WORKDIR /app")
        .add("COPY --from=build /etc/ssl/certs /etc/ssl/certs")
        .add("COPY --from=build /out/app ./app");
    for asset in read(stack) {
        lines.add(format!(
            "COPY --from=build --chown=app:app {top}/{asset} ./{asset}"
        ));
    }
    lines.runs_as("app").add(format!("EXPOSE {port}"));
    lines.bash_health(&plan.health_path());
    lines.command(&exec(
        value(stack.start_command.as_ref()).unwrap_or("./app"),
    ));
    Ok(())
}

/// The sources with what they need, and the folder that the program lies in.
fn sources(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) -> String {
    lines.add("WORKDIR /src");
    let files = hint(stack, "files").unwrap_or_default();
    let modules = plan.cache("gomod", "/go/pkg/mod");
    if files.is_empty() {
        lines
            .add("COPY . .")
            .run(&modules, "go mod init app && go mod tidy");
    } else if hint(stack, "install-needs-source").is_some() {
        lines.add("COPY . .");
    } else {
        lines
            .add(format!("COPY {files} ./"))
            .run(&modules, "go mod download")
            .add("COPY . .");
    }
    let mut top = "/src".to_owned();
    if let Some(folder) = hint(stack, "folder") {
        top = format!("{top}/{folder}");
        lines.add(format!("WORKDIR {top}"));
    }
    top
}
