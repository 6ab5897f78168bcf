//! What brings the tables of a database up to date: it runs before each start, so that the app finds what its sources expect.

mod node;
mod python;

use devopser_core::model::report::{Detection, Evidence, Fact};

use crate::scan::ruby::Gemfile;
use crate::scan::{Scan, platform, procfile};

/// Finds it for the stack that was chosen: what the authors tell their platform, else what the framework or the tool
/// that keeps the migrations documents.
pub(crate) fn settle(scan: &Scan<'_>, stack: &mut Detection) {
    if stack.is_static.as_ref().is_some_and(|fact| fact.value) {
        return;
    }
    let runtime = stack
        .runtime
        .as_ref()
        .map_or("", |fact| fact.value.as_str());
    // The image of a compiled program holds neither the sources nor their tools.
    let has_sources = ["node", "bun", "python", "ruby", "php"].contains(&runtime);
    let told = || procfile::process(scan, "release").or_else(|| platform::release(scan));
    let found = has_sources.then(told).flatten().or_else(|| match runtime {
        "node" | "bun" => node::of(scan, stack),
        "python" => python::of(scan, stack),
        "ruby" => of_ruby(scan, stack),
        "php" => of_php(scan, stack),
        "elixir" => of_elixir(scan, stack),
        _ => None,
    });
    stack.release_command = found.filter(|found| !starts_with_it(stack, &found.value));
    if runtime == "node" || runtime == "bun" {
        node::keep_tools(scan, stack);
    }
}

fn is(stack: &Detection, framework: &str) -> bool {
    let found = stack.framework.as_ref();
    found.is_some_and(|fact| fact.value == framework)
}

/// Whether the start command itself does it.
fn starts_with_it(stack: &Detection, release: &str) -> bool {
    let lines = [
        stack.start_command.as_ref().map(|fact| fact.value.as_str()),
        stack.hints.get("start").map(String::as_str),
    ];
    lines.into_iter().flatten().any(|start| {
        start.contains(release)
            || ["migrat", "db:prepare", "upgrade head", "db upgrade"]
                .iter()
                .any(|sign| start.contains(sign))
    })
}

fn documented(command: impl Into<String>, evidence: Evidence) -> Option<Fact<String>> {
    super::fact(command, 80, evidence)
}

/// Rails (<https://guides.rubyonrails.org/active_record_migrations.html#preparing-the-database>), Hanami
/// (<https://guides.hanamirb.org/v2.2/database/migrations/>) and Active Record beside Sinatra
/// (<https://github.com/sinatra-activerecord/sinatra-activerecord#usage>).
fn of_ruby(scan: &Scan<'_>, stack: &Detection) -> Option<Fact<String>> {
    if is(stack, "rails") {
        // Without Active Record there is no such task.
        let kept = ["config/database.yml", "db/schema.rb", "db/structure.sql"];
        let path = scan.first(&kept)?;
        let evidence = Evidence::file(path, "Active Record keeps the tables");
        return documented("bundle exec rails db:prepare", evidence);
    }
    if is(stack, "hanami") && scan.has_folder("config/db/migrate") {
        let evidence = Evidence::file("config/db/migrate", "migrations of Hanami");
        return documented("bundle exec hanami db migrate", evidence);
    }
    let gem = Gemfile::read(scan)?.gem("sinatra-activerecord")?;
    (scan.has_folder("db/migrate") && scan.has("Rakefile"))
        .then(|| documented("bundle exec rake db:migrate", gem))
        .flatten()
}

/// Laravel (<https://laravel.com/docs/deployment>) and Doctrine's bundle for Symfony
/// (<https://symfony.com/bundles/DoctrineMigrationsBundle/current/index.html>).
fn of_php(scan: &Scan<'_>, stack: &Detection) -> Option<Fact<String>> {
    if is(stack, "laravel") {
        let evidence = Evidence::file("artisan", "Laravel keeps the tables");
        return documented("php artisan migrate --force", evidence);
    }
    let bundle = "doctrine/doctrine-migrations-bundle";
    let composer = scan.json("composer.json")?;
    composer.pointer("/require")?.get(bundle)?;
    (scan.has("bin/console") && scan.has_folder("migrations"))
        .then(|| {
            documented(
                "php bin/console doctrine:migrations:migrate --no-interaction --allow-no-migration",
                scan.evidence("composer.json", bundle, "migrations of Doctrine"),
            )
        })
        .flatten()
}

/// A release's own script or module (<https://hexdocs.pm/phoenix/releases.html#ecto-migrations-and-custom-commands>).
fn of_elixir(scan: &Scan<'_>, stack: &Detection) -> Option<Fact<String>> {
    let script = "rel/overlays/bin/migrate";
    if scan.has(script) {
        let evidence = Evidence::file(script, "the release's own script");
        return documented("./bin/migrate", evidence);
    }
    let name = stack.hints.get("release-name")?;
    let path = format!("lib/{name}/release.ex");
    let text = scan.text(&path)?;
    let module = text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("defmodule ")?;
        Some(rest.split_whitespace().next()?.to_owned())
    })?;
    let sound = |char: char| char.is_ascii_alphanumeric() || char == '.' || char == '_';
    let takes_nothing = text.lines().map(str::trim).any(|line| {
        line.strip_prefix("def migrate")
            .is_some_and(|rest| [" do", "() do", "(), do:", ", do:"].contains(&rest.trim_end()))
    });
    (takes_nothing && module.chars().all(sound))
        .then(|| {
            documented(
                format!("./bin/{name} eval {module}.migrate"),
                scan.evidence(&path, "def migrate", "what migrates the release's tables"),
            )
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    /// What a tree's release command is, and whether its development tools stay.
    pub(super) fn of(files: &[(&str, &str)]) -> (Option<String>, bool) {
        let tree = MemoryTree::new(files.iter().copied());
        let stack = crate::report_of(&Scan::new(&tree)).stack.unwrap();
        (
            stack.release_command.map(|fact| fact.value),
            stack.hints.contains_key("keep-dev"),
        )
    }

    fn command(files: &[(&str, &str)]) -> Option<String> {
        of(files).0
    }

    const GEMFILE: (&str, &str) = ("Gemfile", "gem 'rails'\n");

    #[test]
    fn rails_prepares_the_tables_that_active_record_keeps() {
        assert_eq!(command(&[GEMFILE]), None);
        let found = command(&[GEMFILE, ("config/database.yml", "")]);
        assert_eq!(found.as_deref(), Some("bundle exec rails db:prepare"));
    }

    #[test]
    fn what_the_authors_tell_their_platform_goes_before_what_is_documented() {
        let rails = [GEMFILE, ("config/database.yml", "")];
        for file in [
            ("Procfile", "web: puma\nrelease: rake db:load\n"),
            ("fly.toml", "[deploy]\nrelease_command = 'rake db:load'\n"),
            (
                "railway.json",
                r#"{"deploy": {"preDeployCommand": ["rake db:load"]}}"#,
            ),
            (
                "render.yaml",
                "services:\n  - type: web\n    preDeployCommand: rake db:load\n",
            ),
            (
                "heroku.yml",
                "release:\n  image: web\n  command:\n    - rake db:load\n",
            ),
        ] {
            let found = command(&[rails[0], rails[1], file]);
            assert_eq!(found.as_deref(), Some("rake db:load"), "{}", file.0);
        }
    }

    #[test]
    fn a_start_that_does_it_needs_no_other() {
        let web = ("Procfile", "web: rails db:prepare && puma\n");
        assert_eq!(command(&[GEMFILE, ("config/database.yml", ""), web]), None);
    }

    #[test]
    fn a_release_of_phoenix_has_a_script_or_a_module() {
        let mix = ("mix.exs", "[app: :shop, deps: [{:phoenix, \"~> 1.7\"}]]");
        assert_eq!(command(&[mix]), None);
        let script = command(&[mix, ("rel/overlays/bin/migrate", "")]);
        assert_eq!(script.as_deref(), Some("./bin/migrate"));
        let text = "defmodule Shop.Release do\n  def migrate do\n  end\nend\n";
        let module = command(&[mix, ("lib/shop/release.ex", text)]);
        assert_eq!(
            module.as_deref(),
            Some("./bin/shop eval Shop.Release.migrate")
        );
        let other = "defmodule Shop.Release do\n  def migrate(repo) do\n  end\nend\n";
        assert_eq!(command(&[mix, ("lib/shop/release.ex", other)]), None);
    }

    #[test]
    fn the_bundle_of_doctrine_is_asked_where_migrations_lie() {
        let composer = (
            "composer.json",
            r#"{"require": {"symfony/framework-bundle": "7", "doctrine/doctrine-migrations-bundle": "3"}}"#,
        );
        let console = ("bin/console", "");
        assert_eq!(command(&[composer, console]), None);
        let found = command(&[composer, console, ("migrations/Version1.php", "")]);
        assert_eq!(
            found.as_deref(),
            Some(
                "php bin/console doctrine:migrations:migrate --no-interaction --allow-no-migration"
            )
        );
    }
}
