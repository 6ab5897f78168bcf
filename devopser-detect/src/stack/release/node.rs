//! Migrations of Node.js apps: the package's own script, else what Prisma documents.

use devopser_core::model::report::{Detection, Fact};

use super::documented;
use crate::scan::node::Package;
use crate::scan::{Scan, folder_of, join};
use crate::stack::node::{commands, prisma};

/// Names that scripts for other purposes have.
const OTHERS: &[&str] = &[
    "build",
    "create",
    "dev",
    "down",
    "e2e",
    "generate",
    "install",
    "postbuild",
    "postinstall",
    "prebuild",
    "prepare",
    "reset",
    "rollback",
    "seed",
    "setup",
    "start",
    "test",
    "undo",
    "win",
];

pub(super) fn of(scan: &Scan<'_>, stack: &Detection) -> Option<Fact<String>> {
    let package = scan.package()?;
    let hook = package.script("prestart").unwrap_or_default();
    if starts_with_it(&package, stack) || migrates(&package, hook) {
        return None;
    }
    let manager = stack.package_manager.as_ref();
    let manager = manager.map_or("npm", |manager| manager.value.as_str());
    if let Some((name, text)) = script(&package) {
        let hooked = package.script(&format!("pre{name}")).is_some();
        let command = match hooked {
            true => crate::stack::node::manager::run(manager, name),
            false => text.to_owned(),
        };
        let why = format!("the {name} script: {text}");
        return documented(command, scan.in_package(name, why));
    }
    with_prisma(scan, &package)
}

/// Whether the script that the start command names does it, itself or by another.
fn starts_with_it(package: &Package, stack: &Detection) -> bool {
    let start = stack
        .start_command
        .as_ref()
        .map_or("", |fact| fact.value.as_str());
    let named = start
        .split_whitespace()
        .filter_map(|word| package.script(word));
    named.chain([start]).any(|line| migrates(package, line))
}

/// Whether a command migrates, itself or by the scripts that it names.
fn migrates(package: &Package, line: &str) -> bool {
    let words = line.split_whitespace();
    let nested = words.filter_map(|word| package.script(word));
    nested.chain([line]).any(is_migration)
}

/// The script that migrates in production, with its text; of several the one whose name says so.
fn script(package: &Package) -> Option<(&str, &str)> {
    let scripts = package.scripts.iter();
    let mut found: Vec<(&str, &str)> = scripts
        .map(|(name, text)| (name.as_str(), text.trim()))
        .filter(|(name, text)| is_for_production(name) && ends_with_migration(package, text))
        .collect();
    let rank = |name: &str| {
        let says = |word: &str| name.split([':', '-', '_']).any(|part| part == word);
        let production = ["deploy", "prod", "production"]
            .iter()
            .any(|word| says(word));
        (!production, name.len())
    };
    found.sort_by_key(|(name, _)| (rank(name), *name));
    found.into_iter().next()
}

fn is_for_production(name: &str) -> bool {
    name.split([':', '-', '_'])
        .all(|word| !OTHERS.contains(&word))
}

/// Whether a script does nothing after it, and reads no file that only its authors have.
fn ends_with_migration(package: &Package, text: &str) -> bool {
    let last = text.rsplit("&&").next().unwrap_or(text);
    let nested = text
        .split_whitespace()
        .filter_map(|word| package.script(word));
    let others = [
        "env-cmd",
        ".development",
        "=development",
        "=test",
        ".env.test",
    ];
    let theirs = |line: &str| others.iter().any(|sign| line.contains(sign));
    is_migration(last) && !nested.chain([text]).any(theirs)
}

/// Whether a command is the one that a tool documents for production: Prisma
/// (<https://www.prisma.io/docs/orm/prisma-client/deployment/deploy-database-changes-with-prisma-migrate>), Drizzle
/// (<https://orm.drizzle.team/docs/drizzle-kit-migrate>), Knex (<https://knexjs.org/guide/migrations.html#migration-cli>), Sequelize
/// (<https://sequelize.org/docs/v6/other-topics/migrations/>), TypeORM (<https://typeorm.io/docs/migrations/executing/>), MikroORM
/// (<https://mikro-orm.io/docs/migrations>), Adonis (<https://lucid.adonisjs.com/docs/migrations>), Payload
/// (<https://payloadcms.com/docs/database/migrations>).
fn is_migration(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let follows = |first: &str, then: &str| words.windows(2).any(|pair| pair == [first, then]);
    let has = |word: &str| words.contains(&word);
    follows("prisma", "migrate") && follows("migrate", "deploy")
        || follows("drizzle-kit", "migrate")
        || follows("payload", "migrate")
        || follows("sequelize", "db:migrate")
        || follows("sequelize-cli", "db:migrate")
        || has("migrate:latest")
        || has("migration:run")
        || has("migration:up")
}

/// Prisma without a script of the package's own, where it keeps migrations.
fn with_prisma(scan: &Scan<'_>, package: &Package) -> Option<Fact<String>> {
    if !package.has("prisma") {
        return None;
    }
    let schema = prisma::schemas(scan, package).into_iter().next()?;
    let beside = [folder_of(&schema), folder_of(folder_of(&schema))];
    let kept = beside
        .iter()
        .map(|folder| join(folder, "migrations"))
        .find(|folder| scan.has_folder(folder))?;
    let why = devopser_core::model::report::Evidence::file(kept, "migrations of Prisma");
    documented("prisma migrate deploy", why)
}

/// Keeps the development dependencies where the command runs one of them.
pub(super) fn keep_tools(scan: &Scan<'_>, stack: &mut Detection) {
    let (Some(release), Some(package)) = (&stack.release_command, scan.package()) else {
        return;
    };
    if commands::needs_dev(scan, &package, &release.value) {
        stack.hints.insert("keep-dev".to_owned(), "true".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;

    fn package(scripts: &str, rest: &str) -> String {
        format!(r#"{{"scripts": {{"start": "node server.js"{scripts}}}{rest}}}"#)
    }

    fn found(scripts: &str, rest: &str) -> (Option<String>, bool) {
        let text = package(scripts, rest);
        of(&[("package.json", &text), ("server.js", "")])
    }

    #[test]
    fn the_script_for_production_is_taken_and_its_tool_stays() {
        let (command, keeps) = found(
            r#", "db:migrate": "drizzle-kit migrate", "db:migrate:test": "drizzle-kit migrate", "setup": "drizzle-kit migrate""#,
            r#", "dependencies": {"pg": "8"}, "devDependencies": {"drizzle-kit": "1"}"#,
        );
        assert_eq!(command.as_deref(), Some("drizzle-kit migrate"));
        assert!(keeps);
        let (command, keeps) = found(
            r#", "migrate": "knex migrate:latest", "migrate:prod": "knex migrate:latest --env production""#,
            r#", "dependencies": {"pg": "8", "knex": "3"}"#,
        );
        assert_eq!(
            command.as_deref(),
            Some("knex migrate:latest --env production")
        );
        assert!(!keeps);
    }

    #[test]
    fn scripts_that_do_more_or_read_files_of_their_authors_are_passed_over() {
        for text in [
            "knex migrate:latest && node server.js",
            "env-cmd knex migrate:latest",
            "NODE_ENV=development knex migrate:latest",
            "node migrate.js",
        ] {
            let script = format!(r#", "migrate": "{text}""#);
            assert_eq!(found(&script, "").0, None, "{text}");
        }
    }

    #[test]
    fn a_start_that_migrates_by_itself_or_by_a_script_needs_no_other() {
        let rest = r#", "dependencies": {"knex": "3"}"#;
        let hook = r#", "migrate": "knex migrate:latest", "prestart": "npm run migrate""#;
        assert_eq!(found(hook, rest).0, None);
        let text = r#"{"scripts": {"start": "npm run migrate && node server.js", "migrate": "knex migrate:latest"}}"#;
        assert_eq!(of(&[("package.json", text), ("server.js", "")]).0, None);
    }

    #[test]
    fn prisma_is_asked_where_migrations_lie_beside_its_schema() {
        let text = package("", r#", "devDependencies": {"prisma": "6"}"#);
        let schema = (
            "prisma/schema.prisma",
            "datasource db {\n  provider = \"postgresql\"\n}\n",
        );
        let files = [("package.json", text.as_str()), ("server.js", ""), schema];
        assert_eq!(of(&files).0, None);
        let kept = [
            files[0],
            files[1],
            files[2],
            ("prisma/migrations/1/migration.sql", ""),
        ];
        assert_eq!(of(&kept), (Some("prisma migrate deploy".to_owned()), true));
    }
}
