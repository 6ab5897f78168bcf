//! Rust images: one binary on a small Debian of the same release as the compiler's image.

use devopser_core::Result;
use devopser_core::model::report::Detection;

use super::lines::{Lines, exec, tag};
use super::{Plan, hint, no_start, node, read, system, value};

/// A server.
pub(crate) fn server(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) -> Result<()> {
    let binary = hint(stack, "binary").ok_or_else(|| {
        no_start(
            stack,
            "no package with a program was found; add a [[bin]] section",
        )
    })?;
    node::pages(stack, plan, lines);
    let build = value(stack.build_command.as_ref()).unwrap_or("cargo build --release");
    // A rust-version is the least that compiles; a toolchain file is exact.
    let pinned = hint(stack, "toolchain").map_or_else(|| "1".to_owned(), tag);
    lines.stage(&plan.image(&format!("rust:{pinned}-slim")), Some("build"));
    lines.apt(&system(stack, "build:"));
    let made = made(build, binary);
    if let Some(tool) = made.tool {
        lines.add(format!(
            "RUN rustup target add wasm32-unknown-unknown && cargo install --locked {tool}"
        ));
    }
    lines.add("WORKDIR /src").add("COPY . .");
    let top =
        hint(stack, "folder").map_or_else(|| "/src".to_owned(), |folder| format!("/src/{folder}"));
    node::take_pages(stack, &top, lines);
    // Cargo decides by file times, which a build context does not keep; so every source is new, what was built
    // from dependencies is not.
    let enter = hint(stack, "folder").map_or_else(String::new, |folder| format!("cd {folder} && "));
    let registry = plan.cache("cargo", "/usr/local/cargo/registry");
    let target = plan.cache("target", "/src/target");
    lines.run(
        &format!("{registry} {target}"),
        &format!(
            "\\\n    find . -path ./target -prune -o -type f -exec touch {{}} + && {enter}{build} && mkdir -p /out && {}",
            made.collect
        ),
    );
    lines.stage(&plan.image("debian:trixie-slim"), None);
    lines.apt(&system(stack, "run:"));
    let port = plan.port.to_string();
    let mut env = vec![("PORT", port.as_str())];
    let address = format!("0.0.0.0:{port}");
    env.extend(listens_by(stack, &port, &address));
    env.extend(
        stack
            .run_env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    lines.env(env).user();
    lines
        .add("WORKDIR /app")
        .add("COPY --from=build /etc/ssl/certs /etc/ssl/certs")
        .add("COPY --from=build /out ./");
    for asset in read(stack) {
        lines.add(format!(
            "COPY --from=build --chown=app:app {top}/{asset} ./{asset}"
        ));
    }
    lines.runs_as("app").add(format!("EXPOSE {port}"));
    lines.bash_health(&plan.health_path());
    lines.command(&exec(&told(stack, binary, made.program)));
    Ok(())
}

/// The names under which frameworks read where they listen.
fn listens_by<'p>(
    stack: &Detection,
    port: &'p str,
    address: &'p str,
) -> Vec<(&'static str, &'p str)> {
    match value(stack.framework.as_ref()) {
        // https://rocket.rs/guide/v0.5/configuration/
        Some("rocket") => vec![("ROCKET_ADDRESS", "0.0.0.0"), ("ROCKET_PORT", port)],
        // https://book.leptos.dev/deployment/ssr.html
        Some("leptos") => vec![("LEPTOS_SITE_ADDR", address), ("LEPTOS_SITE_ROOT", "site")],
        Some("dioxus") => vec![("IP", "0.0.0.0")],
        _ => Vec::new(),
    }
}

/// The program in the image, with what the start command tells it.
fn told(stack: &Detection, binary: &str, program: &str) -> String {
    let start = value(stack.start_command.as_ref()).unwrap_or_default();
    match start.strip_prefix(&format!("./target/release/{binary} ")) {
        Some(arguments) => format!("./{program} {arguments}"),
        None => format!("./{program}"),
    }
}

/// What a build needs beside Cargo, and what it leaves.
struct Made {
    tool: Option<&'static str>,
    collect: String,
    program: &'static str,
}

/// Leptos and Dioxus build pages beside the server (<https://book.leptos.dev/deployment/ssr.html>,
/// <https://dioxuslabs.com/learn/0.6/guides/deploy>).
fn made(build: &str, binary: &str) -> Made {
    let program = format!("cp /src/target/release/{binary} /out/app");
    if build.starts_with("cargo leptos ") {
        return Made {
            tool: Some("cargo-leptos"),
            collect: format!("{program} && cp -r /src/target/site /out/site"),
            program: "app",
        };
    }
    if build.starts_with("dx ") {
        return Made {
            tool: Some("dioxus-cli"),
            collect: format!("cp -r /src/target/dx/{binary}/release/web/. /out/"),
            program: "server",
        };
    }
    Made {
        tool: None,
        collect: program,
        program: "app",
    }
}
