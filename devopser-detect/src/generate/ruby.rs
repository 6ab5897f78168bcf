//! Ruby images: gems in a stage of their own.

use devopser_core::Result;
use devopser_core::model::report::Detection;

use super::lines::{Lines, exec, exec_after, tag};
use super::{Plan, hint, no_start, release, site, system, value};

/// A server.
pub(crate) fn server(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) -> Result<()> {
    let start = value(stack.start_command.as_ref())
        .ok_or_else(|| no_start(stack, "add a config.ru, or a Procfile with a web process"))?;
    let port = plan.port.to_string();
    let rails = hint(stack, "rails").is_some();
    base(stack, plan, lines);
    build(stack, rails, lines);
    lines.stage(&image(stack, plan), None);
    lines.apt(&system(stack, "run:"));
    let mut env = vec![
        ("PORT", port.as_str()),
        ("BUNDLE_PATH", "/usr/local/bundle"),
        ("BUNDLE_WITHOUT", "development:test"),
        ("RACK_ENV", "production"),
    ];
    if rails {
        // https://guides.rubyonrails.org/configuring.html
        env.extend([
            ("RAILS_ENV", "production"),
            ("RAILS_LOG_TO_STDOUT", "1"),
            ("RAILS_SERVE_STATIC_FILES", "1"),
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
        .add("COPY --from=build /usr/local/bundle /usr/local/bundle")
        .add("COPY --from=build --chown=app:app /app ./");
    lines.runs_as("app").add(format!("EXPOSE {port}"));
    let script = format!(
        "require 'net/http';exit(Net::HTTP.get_response('127.0.0.1','{}',ENV['PORT'].to_i).code.to_i<500)",
        plan.health_path()
    );
    lines.health(&["ruby", "-e", &script]);
    let first = release(stack, plan);
    lines.command(&first.map_or_else(|| exec(start), |first| exec_after(first, start)));
    Ok(())
}

/// What is built with the sources in place.
fn build(stack: &Detection, rails: bool, lines: &mut Lines<'_>) {
    if rails {
        lines.run(
            "",
            "bundle exec bootsnap precompile app/ lib/ 2>/dev/null || true",
        );
    }
    if let Some(build) = value(stack.build_command.as_ref()) {
        if hint(stack, "node").is_some() {
            lines.apt(&["nodejs", "npm"]);
            lines.run("", "npm install --no-audit --no-fund");
        }
        let dummies = lines.assigned(
            [
                ("SECRET_KEY_BASE_DUMMY", "1"),
                ("SECRET_KEY_BASE", "build"),
                ("RAILS_ENV", "production"),
            ],
            " ",
        );
        lines.run("", &format!("{dummies}{build}"));
    }
}

/// A site that Ruby builds and nginx serves.
pub(crate) fn site(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) {
    base(stack, plan, lines);
    lines.run(
        "",
        value(stack.build_command.as_ref()).unwrap_or("bundle exec jekyll build"),
    );
    let output = value(stack.output_dir.as_ref()).unwrap_or("_site");
    site::serve(stack, plan, lines, &format!("/app/{output}"), Some("build"));
}

fn image(stack: &Detection, plan: &Plan<'_>) -> String {
    let version =
        value(stack.version.as_ref()).unwrap_or_else(|| crate::version::default_line("ruby"));
    plan.image(&format!("ruby:{}-slim", tag(version)))
}

/// The stage with the gems and the sources.
fn base(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) {
    lines.stage(&image(stack, plan), Some("build"));
    let mut packages = vec!["build-essential", "git", "libyaml-dev", "pkg-config"];
    packages.extend(system(stack, "build:"));
    lines.apt(&packages);
    lines.env([
        ("BUNDLE_PATH", "/usr/local/bundle"),
        ("BUNDLE_WITHOUT", "development:test"),
    ]);
    lines.add("WORKDIR /app");
    let has_gems = value(stack.package_manager.as_ref()) == Some("bundler");
    let needs_sources = hint(stack, "install-needs-source").is_some();
    if has_gems && !needs_sources {
        // A glob may match nothing; .ruby-version is read by Gemfiles that say `ruby file:`.
        lines
            .add("COPY Gemfile Gemfile.loc[k] .ruby-versio[n] ./")
            .run("", "bundle install");
    }
    lines.add("COPY . .");
    if has_gems && needs_sources {
        lines.run("", "bundle install");
    }
}
