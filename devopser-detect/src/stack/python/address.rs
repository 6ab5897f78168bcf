//! How SQLAlchemy writes the address of a database: the scheme names the driver.

use std::collections::BTreeMap;

use devopser_core::model::report::{Database, Detection};

use crate::scan::{Scan, code};

/// Drivers, the first that is there goes first, each with the scheme that asks for it
/// (<https://docs.sqlalchemy.org/en/20/core/engines.html#database-urls>).
const POSTGRES: &[(&str, &str)] = &[
    ("psycopg2", "postgresql"),
    ("psycopg2-binary", "postgresql"),
    ("psycopg", "postgresql+psycopg"),
    ("psycopg-binary", "postgresql+psycopg"),
    ("asyncpg", "postgresql+asyncpg"),
    ("pg8000", "postgresql+pg8000"),
];
const MYSQL: &[(&str, &str)] = &[
    ("mysqlclient", "mysql"),
    ("flask-mysqldb", "mysql"),
    ("pymysql", "mysql+pymysql"),
    ("aiomysql", "mysql+aiomysql"),
    ("asyncmy", "mysql+asyncmy"),
];

/// Names of files that make the connection.
const FILES: &[&str] = &[
    "__init__.py",
    "app.py",
    "config.py",
    "database.py",
    "db.py",
    "env.py",
    "main.py",
    "session.py",
    "settings.py",
];

/// What SQLAlchemy is mostly given its address by (<https://flask-sqlalchemy.readthedocs.io/en/stable/config/>).
const NAMES: &[&str] = &["DATABASE_URI", "DATABASE_URL", "SQLALCHEMY_DATABASE_URI"];

/// Names of the address with the scheme of the driver that is there, unless the sources write the scheme themselves; and the fields
/// of settings that are addresses.
pub(crate) fn of(
    scan: &Scan<'_>,
    stack: &Detection,
    database: Database,
) -> BTreeMap<String, String> {
    let runtime = stack.runtime.as_ref();
    if runtime.is_none_or(|fact| fact.value != "python") {
        return BTreeMap::new();
    }
    let scheme = scheme(scan, database);
    let has_fields = ["pydantic", "pydantic-settings"]
        .iter()
        .any(|name| scan.python().has(name));
    if scheme.is_none() && !has_fields {
        return BTreeMap::new();
    }
    let texts: Vec<_> = code::named(scan, FILES, 4)
        .filter_map(|path| scan.text(path))
        .collect();
    let scheme = scheme.filter(|_| !texts.iter().any(|text| changes_scheme(text, database)));
    let usual = usual(database);
    let address = |scheme: &str| match database {
        Database::Mongodb => "{url}".to_owned(),
        Database::Redis => "redis://:{password}@{host}:{port}".to_owned(),
        _ => format!("{scheme}://{{user}}:{{password}}@{{host}}:{{port}}/{{name}}"),
    };
    let named = NAMES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), address(scheme?))));
    let fields = texts.iter().flat_map(|text| fields(text, database));
    let fields = fields.filter_map(|(name, own)| {
        let scheme = own.or(scheme.map(str::to_owned));
        let scheme = scheme.or(usual.map(str::to_owned))?;
        Some((name, address(&scheme)))
    });
    named.chain(fields).collect()
}

fn usual(database: Database) -> Option<&'static str> {
    match database {
        Database::Postgres => Some("postgresql"),
        Database::Mysql | Database::Mariadb => Some("mysql"),
        Database::Redis | Database::Mongodb => Some(""),
        _ => None,
    }
}

/// The scheme by which SQLAlchemy takes the driver that is there.
fn scheme(scan: &Scan<'_>, database: Database) -> Option<&'static str> {
    let drivers = match database {
        Database::Postgres => POSTGRES,
        Database::Mysql | Database::Mariadb => MYSQL,
        _ => return None,
    };
    let requirements = scan.python();
    let mut all = ["sqlalchemy", "flask-sqlalchemy", "sqlmodel"].iter();
    let is_used = all.any(|name| requirements.has(name));
    let found = drivers.iter().find(|(name, _)| requirements.has(name));
    found.filter(|_| is_used).map(|(_, scheme)| *scheme)
}

/// Fields of settings that are addresses, as the variables that fill them
/// (<https://docs.pydantic.dev/latest/api/networks/>, <https://docs.pydantic.dev/latest/concepts/pydantic_settings/#usage>), each with
/// the scheme of its default.
fn fields(text: &str, database: Database) -> Vec<(String, Option<String>)> {
    let kind = match database {
        Database::Postgres => "PostgresDsn",
        Database::Mysql => "MySQLDsn",
        Database::Mariadb => "MariaDBDsn",
        Database::Redis => "RedisDsn",
        Database::Mongodb => "MongoDsn",
        _ => return Vec::new(),
    };
    let of_line = |line: &str| {
        let (name, rest) = line.trim().split_once(':')?;
        let sound = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let is_field = !name.is_empty() && name.chars().all(sound);
        let of_kind = is_field && rest.trim_start().starts_with(kind);
        let scheme = rest.split_once("://").and_then(|(before, _)| {
            let sound = |char: char| char.is_ascii_alphanumeric() || char == '+';
            let scheme = before.rsplit(|char| !sound(char)).next()?;
            (!scheme.is_empty()).then(|| scheme.to_owned())
        });
        of_kind.then(|| (name.to_ascii_uppercase(), scheme))
    };
    match text.contains("BaseSettings") {
        true => text.lines().filter_map(of_line).collect(),
        false => Vec::new(),
    }
}

/// Whether a source puts another scheme in the place of the one that platforms hand over.
fn changes_scheme(text: &str, database: Database) -> bool {
    let word = match database {
        Database::Postgres => "postgres",
        _ => "mysql",
    };
    ["replace(", "sub(", "startswith(", ".drivername"]
        .iter()
        .any(|call| {
            text.match_indices(call).any(|(at, _)| {
                let rest = text.get(at..).unwrap_or_default();
                let line = rest.lines().next().unwrap_or_default();
                line.contains(word)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    fn address(requirements: &str, source: &str) -> Option<String> {
        let tree = MemoryTree::new([("requirements.txt", requirements), ("config.py", source)]);
        let scan = Scan::new(&tree);
        let stack = crate::stack::detection(
            "python",
            "python",
            devopser_core::model::report::Evidence::file("requirements.txt", ""),
        );
        of(&scan, &stack, Database::Postgres).remove("DATABASE_URL")
    }

    #[test]
    fn the_driver_that_is_there_is_asked_for() {
        let asked = |requirements: &str| {
            let text = address(requirements, "")?;
            Some(text.split_once("://")?.0.to_owned())
        };
        let found = asked("sqlalchemy\nasyncpg\n");
        assert_eq!(found.as_deref(), Some("postgresql+asyncpg"));
        let found = asked("flask-sqlalchemy\npsycopg2-binary\n");
        assert_eq!(found.as_deref(), Some("postgresql"));
        assert_eq!(asked("django\npsycopg2-binary\n"), None);
    }

    #[test]
    fn a_field_of_settings_is_a_variable() {
        let text = "class Settings(BaseSettings):\n    pg_dsn: PostgresDsn = PostgresDsn('postgresql://a')\n    cache: RedisDsn\n    name: str = 'a'\n";
        let own = Some("postgresql".to_owned());
        assert_eq!(
            fields(text, Database::Postgres),
            [("PG_DSN".to_owned(), own)]
        );
        assert_eq!(fields(text, Database::Redis), [("CACHE".to_owned(), None)]);
        assert!(fields("pg_dsn: PostgresDsn\n", Database::Postgres).is_empty());
    }

    #[test]
    fn an_app_that_writes_the_scheme_itself_gets_the_usual_one() {
        let source =
            "URL = os.environ['DATABASE_URL'].replace('postgres://', 'postgresql+asyncpg://')\n";
        assert_eq!(address("sqlalchemy\nasyncpg\n", source), None);
        // A URL that is put together from parts is no change of one that is handed over.
        let parts = "URL(drivername='postgresql+asyncpg', host=os.environ['HOST'])\n";
        assert!(address("sqlalchemy\nasyncpg\n", parts).is_some());
    }
}
