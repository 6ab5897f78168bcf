//! Deno images.

use devopser_core::Result;
use devopser_core::model::report::Detection;

use super::lines::{Lines, exec, tag};
use super::{Plan, hint, no_start, site, value};

/// A server on Deno (<https://docs.deno.com/runtime/reference/docker/>).
pub(crate) fn deno(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) -> Result<()> {
    let start = value(stack.start_command.as_ref())
        .ok_or_else(|| no_start(stack, "add a \"start\" task to deno.json, or a main.ts"))?;
    let version =
        value(stack.version.as_ref()).unwrap_or_else(|| crate::version::default_line("deno"));
    lines.stage(
        &plan.image(&format!("denoland/deno:{}", tag(version))),
        None,
    );
    let port = plan.port.to_string();
    let mut env = vec![("PORT", port.as_str())];
    env.extend(
        stack
            .run_env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    lines
        .env(env)
        .add("WORKDIR /app")
        .add("RUN chown deno:deno /app")
        .runs_as("deno")
        .add("COPY --chown=deno:deno . .");
    if let Some(entry) = hint(stack, "entry") {
        lines.run("", &format!("deno cache {entry}"));
    }
    if let Some(build) = value(stack.build_command.as_ref()) {
        lines.run("", build);
    }
    lines.add(format!("EXPOSE {port}"));
    let script = format!(
        "fetch('http://127.0.0.1:'+Deno.env.get('PORT')+'{}',{{redirect:'manual'}}).then(r=>Deno.exit(r.status<500?0:1),()=>Deno.exit(1))",
        plan.health_path()
    );
    lines.health(&["deno", "eval", &script]);
    lines.add("ENTRYPOINT []");
    lines.command(&exec(start));
    Ok(())
}

/// A site that Deno builds (<https://lume.land/docs/overview/command-line/>), and nginx.
pub(crate) fn lume(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) {
    let version =
        value(stack.version.as_ref()).unwrap_or_else(|| crate::version::default_line("deno"));
    let image = plan.image(&format!("denoland/deno:{}", tag(version)));
    lines.stage(&image, Some("build"));
    lines.add("WORKDIR /app").add("COPY . .");
    let build = value(stack.build_command.as_ref()).unwrap_or("deno task lume");
    lines.run("", build);
    let output = value(stack.output_dir.as_ref()).unwrap_or("_site");
    site::serve(stack, plan, lines, &format!("/app/{output}"), Some("build"));
}
