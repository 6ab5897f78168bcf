//! Bun images (<https://bun.com/docs/guides/ecosystem/docker>).

use devopser_core::Result;
use devopser_core::model::report::Detection;

use super::lines::{Lines, tag};
use super::{Plan, hint, no_start, node, value};

/// A server on Bun.
pub(crate) fn server(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) -> Result<()> {
    let start = value(stack.start_command.as_ref()).ok_or_else(|| {
        no_start(
            stack,
            "add a \"start\" script to package.json, or an index.ts",
        )
    })?;
    let version =
        value(stack.version.as_ref()).unwrap_or_else(|| crate::version::default_line("bun"));
    lines.stage(
        &plan.image(&format!("oven/bun:{}-slim", tag(version))),
        Some("runtime"),
    );
    lines.add("WORKDIR /app");
    node::system(stack, lines);
    lines.stage("runtime", Some("build"));
    node::build_system(stack, lines);
    node::sources(stack, plan, true, lines);
    lines.stage("runtime", None);
    let port = plan.port.to_string();
    let mut env = vec![("NODE_ENV", "production"), ("PORT", port.as_str())];
    env.extend(
        stack
            .run_env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let path = node::programs(stack);
    env.push(("PATH", &path));
    lines
        .env(env)
        .add("COPY --from=build --chown=bun:bun /app ./")
        .add("RUN chown bun:bun /app");
    if hint(stack, "folder").is_some() {
        lines.add(format!("WORKDIR {}", node::folder(stack)));
    }
    lines.runs_as("bun").add(format!("EXPOSE {port}"));
    let script = format!(
        "fetch('http://127.0.0.1:'+process.env.PORT+'{}',{{redirect:'manual'}}).then(r=>process.exit(r.status<500?0:1),()=>process.exit(1))",
        plan.health_path()
    );
    lines.health(&["bun", "-e", &script]);
    lines.add("ENTRYPOINT []");
    node::command(stack, plan, start, lines);
    Ok(())
}
