//! What an app calls what reaches its databases, by its own example of the environment. Texts in which `{host}`, `{port}`,
//! `{user}`, `{password}`, `{name}` and, for MongoDB, `{url}` stand for what is made.

use std::collections::BTreeMap;

use devopser_core::model::report::{Database, Detection};

use crate::scan::{Scan, env};

/// The hint that holds the names of a database: a line for each, `NAME=text`.
pub(crate) fn hint(database: Database) -> String {
    format!("names-{}", database.name())
}

/// Names of variables, each with its text.
type Names = BTreeMap<String, String>;

/// Finds the names of every database that the app is sure to need.
pub(crate) fn settle(scan: &Scan<'_>, stack: &mut Detection) {
    let sure = stack.databases.as_ref();
    let sure = sure.filter(|fact| fact.confidence > crate::summary::GUESS);
    let Some(databases) = sure.map(|fact| fact.value.clone()) else {
        return;
    };
    if !databases.iter().any(|database| database.is_server()) {
        return;
    }
    let settings: Vec<(String, String)> = env::settings(scan)
        .map(|(name, value, _)| (name, value))
        .filter(|(name, _)| is_name(name))
        .collect();
    let servers = databases
        .iter()
        .filter(|database| is_for_tables(**database));
    let is_only = servers.count() == 1;
    let has_password = !stack.hints.contains_key("redis-without-password");
    for database in databases {
        let mut names = super::python::address::of(scan, stack, database);
        let generic = is_only && is_for_tables(database);
        names.extend(addresses(&settings, database, generic, has_password));
        names.extend(parts(&settings, database, generic, has_password));
        if !names.is_empty() {
            let lines = names.iter().map(|(name, text)| format!("{name}={text}"));
            let lines: Vec<String> = lines.collect();
            stack.hints.insert(hint(database), lines.join("\n"));
        }
    }
}

fn is_for_tables(database: Database) -> bool {
    matches!(
        database,
        Database::Postgres | Database::Mysql | Database::Mariadb
    )
}

/// A plain name of a variable that is not for tests.
pub(crate) fn is_name(name: &str) -> bool {
    let sound = |char: char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_';
    name.starts_with(|char: char| char.is_ascii_uppercase())
        && name.chars().all(sound)
        && !name
            .split('_')
            .any(|word| word == "TEST" || word == "TESTING")
}

/// Whether a scheme, whatever driver it asks for, is one of the database; `generic` for the only server for tables.
fn named_by(scheme: &str, database: Database, generic: bool) -> bool {
    let base = scheme.split('+').next().unwrap_or(scheme);
    match base {
        "postgres" | "postgresql" | "pgsql" | "postgis" => database == Database::Postgres,
        "mysql" | "mysql2" | "mariadb" | "trilogy" => {
            matches!(database, Database::Mysql | Database::Mariadb)
        }
        "mongodb" => database == Database::Mongodb,
        "redis" => database == Database::Redis,
        // https://hexdocs.pm/ecto/Ecto.Repo.html#module-urls
        "ecto" => generic,
        _ => false,
    }
}

/// Variables whose example is an address.
fn addresses(
    settings: &[(String, String)],
    database: Database,
    generic: bool,
    has_password: bool,
) -> Names {
    let text = |value: &str| {
        let (scheme, rest) = value.split_once("://")?;
        let plain = scheme.strip_prefix("jdbc:").unwrap_or(scheme);
        let sound = |char: char| char.is_ascii_alphanumeric() || char == '+';
        if !plain.chars().all(sound) || !named_by(plain, database, generic) {
            return None;
        }
        Some(match database {
            Database::Mongodb => "{url}".to_owned(),
            Database::Redis => {
                let password = if has_password { ":{password}@" } else { "" };
                let path = rest.split('/').nth(1).unwrap_or_default();
                let number = path.chars().all(|char| char.is_ascii_digit());
                let number = if number { path } else { "" };
                let slash = if number.is_empty() { "" } else { "/" };
                format!("redis://{password}{{host}}:{{port}}{slash}{number}")
            }
            _ => {
                let user = match scheme == plain {
                    true => "{user}:{password}@",
                    false => "",
                };
                let query = rest.split_once('?').map_or("", |(_, query)| query);
                let query = options(query);
                format!("{scheme}://{user}{{host}}:{{port}}/{{name}}{query}")
            }
        })
    };
    settings
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
        .collect()
}

/// The options of an address that hold for another server as well: none that ask for encryption, which the servers that are made
/// do not offer, nor what is true of one server only.
fn options(query: &str) -> String {
    let kept = query.split('&').filter_map(|option| {
        let (key, value) = option.split_once('=')?;
        let plain = |text: &str| {
            text.chars()
                .all(|char| char.is_ascii_alphanumeric() || "_.-,".contains(char))
        };
        let lower = key.to_ascii_lowercase();
        let unencrypted = ["disable", "allow", "prefer", "false", "0"].contains(&value);
        match lower.as_str() {
            "user" => Some("user={user}".to_owned()),
            "password" => Some("password={password}".to_owned()),
            "serverversion" | "host" | "port" | "socket" | "unix_socket" => None,
            _ if lower.contains("ssl") && !unencrypted => None,
            _ => (plain(key) && plain(value)).then(|| option.to_owned()),
        }
    });
    let kept: Vec<String> = kept.collect();
    match kept.is_empty() {
        true => String::new(),
        false => format!("?{}", kept.join("&")),
    }
}

/// What names of variables end in, the longer first, and what it stands for.
const PARTS: &[(&str, &str)] = &[
    ("HOSTNAME", "{host}"),
    ("USERNAME", "{user}"),
    ("PASSWORD", "{password}"),
    ("DATABASE", "{name}"),
    ("SERVER", "{host}"),
    ("PASSWD", "{password}"),
    ("DBNAME", "{name}"),
    ("HOST", "{host}"),
    ("ADDR", "{host}"),
    ("PORT", "{port}"),
    ("USER", "{user}"),
    ("PASS", "{password}"),
    ("NAME", "{name}"),
    ("DB", "{name}"),
];

/// Variables that hold one part of what reaches a database, with the others of their prefix: `SHOP_DB_HOST`, `SHOP_DB_PORT`.
fn parts(
    settings: &[(String, String)],
    database: Database,
    generic: bool,
    has_password: bool,
) -> Names {
    if database == Database::Mongodb {
        return Names::new();
    }
    let mut groups: BTreeMap<&str, Vec<(&str, &str, &str)>> = BTreeMap::new();
    for (name, value) in settings {
        let part = PARTS
            .iter()
            .find_map(|(end, part)| Some((name.strip_suffix(end)?, *part)));
        if let Some((prefix, part)) = part {
            let group = groups.entry(prefix.trim_end_matches('_')).or_default();
            group.push((name, part, value));
        }
    }
    let mut names = Names::new();
    for (prefix, group) in groups {
        let has = |wanted: &str| group.iter().any(|(_, part, _)| *part == wanted);
        // A host alone may be a setting about one, such as `DB_SSL_VERIFY_SERVER`.
        let alone = group.iter().all(|(_, part, _)| *part == "{host}");
        if !has("{host}") || alone || !is_of(prefix, database, generic) {
            continue;
        }
        for (name, part, value) in group {
            // Redis numbers its databases, and knows no users unless it is told of them.
            let has_no = database == Database::Redis
                && (["{name}", "{user}"].contains(&part) || part == "{password}" && !has_password);
            let with_port = value
                .rsplit_once(':')
                .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            let text = match (part, with_port) {
                ("{host}", true) => "{host}:{port}",
                _ => part,
            };
            if !has_no {
                names.insert(name.to_owned(), text.to_owned());
            }
        }
    }
    names
}

/// Whether a prefix is one of a database: by its name, or as the only one for tables.
fn is_of(prefix: &str, database: Database, generic: bool) -> bool {
    const KNOWN: &[(Database, &[&str])] = &[
        (Database::Postgres, &["POSTGRES", "PG", "PSQL"]),
        (Database::Mysql, &["MYSQL"]),
        (Database::Mariadb, &["MARIA", "MYSQL"]),
        (Database::Redis, &["REDIS"]),
        (Database::Mongodb, &["MONGO"]),
    ];
    let says = |known: &[&str]| {
        let mut words = prefix.split('_');
        words.any(|word| known.iter().any(|start| word.starts_with(start)))
    };
    let named = KNOWN.iter().find(|(of, _)| *of == database);
    if named.is_some_and(|(_, known)| says(known)) {
        return true;
    }
    let others = KNOWN.iter().any(|(_, known)| says(known));
    let tables = ["DB", "DATABASE", "SQL", "DATASOURCE"];
    generic && !others && prefix.split('_').any(|word| tables.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    /// The names of a database by an example of the environment, for an app with these drivers.
    fn names(drivers: &str, example: &str, database: Database) -> Vec<String> {
        let package = format!(r#"{{"dependencies": {{{drivers}}}}}"#);
        let files = [
            ("package.json", package.as_str()),
            ("server.js", "require('http').createServer()"),
            (".env.example", example),
        ];
        let tree = MemoryTree::new(files);
        let stack = crate::report_of(&Scan::new(&tree)).stack.unwrap();
        let lines = stack.hints.get(&hint(database));
        lines.map_or_else(Vec::new, |lines| lines.lines().map(str::to_owned).collect())
    }

    const POSTGRES: &str = r#""pg": "8""#;

    #[test]
    fn an_address_keeps_its_name_its_scheme_and_what_holds_for_any_server() {
        for (example, made) in [
            (
                "CORE_DATABASE_URL=\"postgres://u:p@localhost/zip\"",
                "CORE_DATABASE_URL=postgres://{user}:{password}@{host}:{port}/{name}",
            ),
            (
                "DB_URI=postgresql+asyncpg://u:p@db:5432/app?sslmode=require&pool=5",
                "DB_URI=postgresql+asyncpg://{user}:{password}@{host}:{port}/{name}?pool=5",
            ),
            (
                "PG_URL=postgres://u@db/app?sslmode=disable&serverVersion=16",
                "PG_URL=postgres://{user}:{password}@{host}:{port}/{name}?sslmode=disable",
            ),
            (
                "JDBC_URL=jdbc:postgresql://localhost:5432/app?user=u&password=p",
                "JDBC_URL=jdbc:postgresql://{host}:{port}/{name}?user={user}&password={password}",
            ),
        ] {
            assert_eq!(names(POSTGRES, example, Database::Postgres), [made]);
        }
        for example in [
            "TEST_DATABASE_URL=postgres://u:p@localhost/test",
            "SITE_URL=https://example.com",
            "OTHER_URL=mysql://u:p@localhost/app",
            "lower=postgres://u:p@localhost/app",
        ] {
            let found = names(POSTGRES, example, Database::Postgres);
            assert!(found.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn parts_are_told_by_the_prefix_that_they_share() {
        let example = "SHOP_DB_SERVER=localhost\nSHOP_DB_PORT=5432\nSHOP_DB_USER=\nSHOP_DB_PASS=\nSHOP_DB_NAME=shop\nSMTP_HOST=mail\nSMTP_USER=m\nDB_SSL_VERIFY_SERVER=no\nDB_TEST_HOST=t\nSERVER_PORT=80\n";
        let made = [
            "SHOP_DB_NAME={name}",
            "SHOP_DB_PASS={password}",
            "SHOP_DB_PORT={port}",
            "SHOP_DB_SERVER={host}",
            "SHOP_DB_USER={user}",
        ];
        assert_eq!(names(POSTGRES, example, Database::Postgres), made);
        // Which of two a plain `DB` means is not known.
        let both = r#""mysql2": "3", "pg": "8""#;
        let told = format!("{example}PG_URL=postgres://a@b/c\nMYSQL_HOST=h\nMYSQL_USER=u\n");
        let of_both = names(both, &told, Database::Postgres);
        assert!(!of_both.iter().any(|line| line.starts_with("SHOP")));
    }

    #[test]
    fn redis_and_mongodb_have_addresses_of_their_own() {
        let example = "QUEUE_REDIS=redis://localhost:6379/2\nREDIS_HOST=127.0.0.1:6379\nREDIS_DB=0\nMONGO_DSN=mongodb://u:p@db/test\n";
        let drivers = r#""ioredis": "5", "mongodb": "6""#;
        assert_eq!(
            names(drivers, example, Database::Redis),
            [
                "QUEUE_REDIS=redis://:{password}@{host}:{port}/2",
                "REDIS_HOST={host}:{port}"
            ]
        );
        let mongo = names(drivers, example, Database::Mongodb);
        assert_eq!(mongo, ["MONGO_DSN={url}"]);
    }
}
