//! Site generators, .NET and Elixir.

use devopser_core::Result;
use devopser_core::model::report::Detection;

use super::lines::{Lines, exec, exec_after, tag};
use super::{Plan, hint, no_start, release, site, value};

/// A site generator that is a program of its own, and nginx.
pub(crate) fn site_generator(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) {
    let framework = value(stack.framework.as_ref()).unwrap_or_default();
    match framework {
        "mkdocs" | "pelican" => {
            lines.stage(&plan.image("python:3.13-slim"), Some("build"));
            let with = if framework == "mkdocs" {
                "mkdocs mkdocs-material"
            } else {
                "pelican markdown"
            };
            lines.add("WORKDIR /app").add("COPY . .").run(
                &plan.cache("pip", "/root/.cache/pip"),
                &format!("if [ -f requirements.txt ]; then pip install -r requirements.txt; fi; pip install {with}"),
            );
        }
        "jekyll" => {
            lines.stage(&plan.image("ruby:3.3-slim"), Some("build"));
            lines
                .apt(&["build-essential"])
                .add("WORKDIR /app")
                .add("RUN gem install jekyll webrick")
                .add("COPY . .");
        }
        // Debian packages the generator itself; the extended edition, as themes want it.
        "hugo" => {
            lines.stage(&plan.image("debian:trixie-slim"), Some("build"));
            lines
                .apt(&["ca-certificates", "git", "hugo"])
                .add("WORKDIR /app")
                .add("COPY . .");
        }
        _ => {
            lines.stage(&plan.image("rust:1-slim"), Some("build"));
            lines.add(format!(
                "RUN {} cargo install {}",
                plan.cache("cargo", "/usr/local/cargo/registry"),
                // It is not in the registry of crates (https://www.getzola.org/documentation/getting-started/installation/).
                if framework == "zola" {
                    "--locked --git https://github.com/getzola/zola --tag v0.20.0"
                } else {
                    "mdbook"
                }
            ));
            lines.add("WORKDIR /app").add("COPY . .");
        }
    }
    lines.run("", value(stack.build_command.as_ref()).unwrap_or("true"));
    let output = value(stack.output_dir.as_ref()).unwrap_or("public");
    site::serve(stack, plan, lines, &format!("/app/{output}"), Some("build"));
}

/// .NET (<https://learn.microsoft.com/dotnet/core/docker/build-container>).
pub(crate) fn dotnet(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) -> Result<()> {
    let project =
        hint(stack, "project").ok_or_else(|| no_start(stack, "no project file was found"))?;
    let assembly = hint(stack, "assembly").unwrap_or("app");
    let version = tag(
        value(stack.version.as_ref()).unwrap_or_else(|| crate::version::default_line("dotnet"))
    );
    lines.stage(
        &plan.image(&format!("mcr.microsoft.com/dotnet/sdk:{version}")),
        Some("build"),
    );
    lines.add("WORKDIR /src").add("COPY . .");
    if let Some(folder) = hint(stack, "folder") {
        lines.add(format!("WORKDIR /src/{folder}"));
    }
    lines.run(
        &plan.cache("nuget", "/root/.nuget/packages"),
        &format!("dotnet publish \"{project}\" -c Release -o /out"),
    );
    if stack.is_static.as_ref().is_some_and(|fact| fact.value) {
        site::serve(stack, plan, lines, "/out/wwwroot", Some("build"));
        return Ok(());
    }
    lines.stage(
        &plan.image(&format!("mcr.microsoft.com/dotnet/aspnet:{version}")),
        None,
    );
    let port = plan.port.to_string();
    // Before .NET 8 there were neither ports alone nor a user of the image's own
    // (https://learn.microsoft.com/dotnet/core/compatibility/containers/8.0/aspnet-port).
    let is_old = crate::scan::node::major(&version).is_some_and(|major| major < 8);
    let url = format!("http://+:{port}");
    let (listens, user) = if is_old {
        (("ASPNETCORE_URLS", url.as_str()), "1654")
    } else {
        (("ASPNETCORE_HTTP_PORTS", port.as_str()), "$APP_UID")
    };
    lines.env([("PORT", port.as_str()), listens]);
    lines
        .add("WORKDIR /app")
        .add("COPY --from=build /out ./")
        .runs_as(user)
        .add(format!("EXPOSE {port}"));
    lines.bash_health(&plan.health_path());
    lines.command(&exec(&format!("dotnet {assembly}.dll")));
    Ok(())
}

/// Elixir as a release (<https://hexdocs.pm/phoenix/releases.html>).
pub(crate) fn elixir(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) {
    let version = tag(
        value(stack.version.as_ref()).unwrap_or_else(|| crate::version::default_line("elixir"))
    );
    let name = hint(stack, "release-name").unwrap_or("app");
    lines.stage(
        &plan.image(&format!("elixir:{version}-slim")),
        Some("build"),
    );
    lines
        .apt(&["build-essential", "git"])
        .env([("MIX_ENV", "prod")])
        .add("WORKDIR /app");
    lines
        .add("RUN mix local.hex --force && mix local.rebar --force")
        .add("COPY . .")
        .run("", "mix deps.get --only prod && mix deps.compile")
        .run(
            "",
            value(stack.build_command.as_ref()).unwrap_or("mix release"),
        );
    lines.stage(&plan.image(&format!("elixir:{version}-slim")), None);
    let port = plan.port.to_string();
    lines
        .env([
            ("PORT", port.as_str()),
            ("MIX_ENV", "prod"),
            ("PHX_SERVER", "true"),
            ("LANG", "C.UTF-8"),
        ])
        .user();
    lines
        .add("WORKDIR /app")
        .add(format!(
            "COPY --from=build --chown=app:app /app/_build/prod/rel/{name} ./"
        ))
        .runs_as("app")
        .add(format!("EXPOSE {port}"));
    lines.bash_health(&plan.health_path());
    let start = format!("./bin/{name} start");
    let first = release(stack, plan);
    lines.command(&first.map_or_else(|| exec(&start), |first| exec_after(first, &start)));
}
