//! Rust images: one binary on a small Debian of the same release as the compiler's image.

use devopser_core::Result;
use devopser_core::model::report::Detection;

use super::lines::{Lines, exec, tag};
use super::{Plan, hint, no_start, system, value};

/// A server.
pub(crate) fn server(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines) -> Result<()> {
    let binary = hint(stack, "binary").ok_or_else(|| {
        no_start(
            stack,
            "no package with a program was found; add a [[bin]] section",
        )
    })?;
    let build = value(stack.build_command.as_ref()).unwrap_or("cargo build --release");
    // A rust-version is the least that compiles; a toolchain file is exact.
    let pinned = hint(stack, "toolchain").map_or_else(|| "1".to_owned(), tag);
    lines.stage(&plan.image(&format!("rust:{pinned}-slim")), Some("build"));
    lines.apt(&system(stack, "build:"));
    lines.add("WORKDIR /src").add("COPY . .");
    // Cargo decides by file times, which a build context does not keep; so every source is new, what was built
    // from dependencies is not.
    let enter = hint(stack, "folder").map_or_else(String::new, |folder| format!("cd {folder} && "));
    lines.add(format!(
        "RUN {} {} \\\n    find . -path ./target -prune -o -type f -exec touch {{}} + && {enter}{build} && mkdir -p /out && cp /src/target/release/{binary} /out/app",
        plan.cache("cargo", "/usr/local/cargo/registry"),
        plan.cache("target", "/src/target"),
    ));
    lines.stage(&plan.image("debian:trixie-slim"), None);
    lines.apt(&system(stack, "run:"));
    let port = plan.port.to_string();
    let mut env = vec![("PORT", port.as_str())];
    if value(stack.framework.as_ref()) == Some("rocket") {
        // https://rocket.rs/guide/v0.5/configuration/
        env.extend([
            ("ROCKET_ADDRESS", "0.0.0.0"),
            ("ROCKET_PORT", port.as_str()),
        ]);
    }
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
        .add("COPY --from=build /out/app ./app");
    for asset in hint(stack, "assets")
        .unwrap_or_default()
        .split(' ')
        .filter(|asset| !asset.is_empty())
    {
        let from = hint(stack, "folder").map_or_else(String::new, |folder| format!("{folder}/"));
        lines.add(format!("COPY --chown=app:app {from}{asset} ./{asset}"));
    }
    lines.add("USER app").add(format!("EXPOSE {port}"));
    lines.bash_health(&plan.health_path());
    lines.command(&exec("./app"));
    Ok(())
}
