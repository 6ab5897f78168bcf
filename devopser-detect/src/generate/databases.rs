//! The databases of an app as containers.

use std::collections::BTreeMap;

use devopser_core::model::report::{Database, Detection};

/// One database or cache as a container beside the app.
///
/// `{password}` in `env`, `app_env` and `health` stands for a password that the host generates; `{host}` for the
/// name under which the app reaches the container.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseService {
    /// Which one.
    pub database: Database,
    /// The service's name, and its host name on the app's network.
    pub name: String,
    /// The image.
    pub image: String,
    /// The port that it listens on.
    pub port: u16,
    /// The container's environment.
    pub env: BTreeMap<String, String>,
    /// Arguments after the image, when it needs some.
    pub command: Vec<String>,
    /// Where its data lie in the container; a volume belongs there.
    pub data: String,
    /// The command that succeeds when it is ready, as an argument array.
    pub health: Vec<String>,
    /// What the app gets to reach it.
    pub app_env: BTreeMap<String, String>,
}

/// The servers that are made for an app: those that the detection names. Where a file (SQLite) is one of several alternatives
/// none is, as a program that has the choice begins with the file; Redis beside it is no alternative.
#[must_use]
pub fn database_servers(stack: &Detection) -> Vec<Database> {
    let Some(fact) = &stack.databases else {
        return Vec::new();
    };
    let begins_with_file =
        fact.confidence <= crate::summary::GUESS && fact.value.contains(&Database::Sqlite);
    let is_made = |database: &Database| {
        database.is_server() && (!begins_with_file || *database == Database::Redis)
    };
    fact.value.iter().copied().filter(is_made).collect()
}

/// They as containers.
pub(crate) fn of(stack: &Detection) -> Vec<DatabaseService> {
    let servers = database_servers(stack).into_iter();
    servers.map(|database| service(database, stack)).collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn list(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn service(database: Database, stack: &Detection) -> DatabaseService {
    let mut service = match database {
        Database::Postgres => postgres(),
        Database::Mysql => mysql(
            "mysql:8",
            database,
            &[
                "mysqladmin",
                "ping",
                "-h",
                "127.0.0.1",
                "-uapp",
                "-p{password}",
            ],
        ),
        Database::Mariadb => mysql(
            "mariadb:11",
            database,
            &[
                "mariadb-admin",
                "ping",
                "-h",
                "127.0.0.1",
                "-uapp",
                "-p{password}",
            ],
        ),
        Database::Mongodb => mongo(),
        _ => redis(),
    };
    let framework = stack
        .framework
        .as_ref()
        .map_or("", |fact| fact.value.as_str());
    service.app_env.extend(own_names(database, framework));
    service
}

fn postgres() -> DatabaseService {
    DatabaseService {
        database: Database::Postgres,
        name: "postgres".to_owned(),
        image: "postgres:17".to_owned(),
        port: 5432,
        env: map(&[
            ("POSTGRES_USER", "app"),
            ("POSTGRES_PASSWORD", "{password}"),
            ("POSTGRES_DB", "app"),
        ]),
        command: Vec::new(),
        data: "/var/lib/postgresql/data".to_owned(),
        health: list(&["pg_isready", "-h", "127.0.0.1", "-U", "app", "-d", "app"]),
        app_env: map(&[
            ("DATABASE_URL", "postgres://app:{password}@{host}:5432/app"),
            ("PGHOST", "{host}"),
            ("PGPORT", "5432"),
            ("PGUSER", "app"),
            ("PGPASSWORD", "{password}"),
            ("PGDATABASE", "app"),
            ("POSTGRES_HOST", "{host}"),
            ("POSTGRES_PORT", "5432"),
            ("POSTGRES_USER", "app"),
            ("POSTGRES_PASSWORD", "{password}"),
            ("POSTGRES_DB", "app"),
        ]),
    }
}

fn mysql(image: &str, database: Database, health: &[&str]) -> DatabaseService {
    DatabaseService {
        database,
        name: database.name().to_owned(),
        image: image.to_owned(),
        port: 3306,
        env: map(&[
            ("MYSQL_USER", "app"),
            ("MYSQL_PASSWORD", "{password}"),
            ("MYSQL_DATABASE", "app"),
            ("MYSQL_ROOT_PASSWORD", "{password}"),
        ]),
        command: Vec::new(),
        data: "/var/lib/mysql".to_owned(),
        health: list(health),
        app_env: map(&[
            ("DATABASE_URL", "mysql://app:{password}@{host}:3306/app"),
            ("MYSQL_HOST", "{host}"),
            ("MYSQL_PORT", "3306"),
            ("MYSQL_USER", "app"),
            ("MYSQL_PASSWORD", "{password}"),
            ("MYSQL_DATABASE", "app"),
        ]),
    }
}

fn mongo() -> DatabaseService {
    let url = "mongodb://app:{password}@{host}:27017/app?authSource=admin";
    DatabaseService {
        database: Database::Mongodb,
        name: "mongo".to_owned(),
        image: "mongo:8".to_owned(),
        port: 27017,
        env: map(&[
            ("MONGO_INITDB_ROOT_USERNAME", "app"),
            ("MONGO_INITDB_ROOT_PASSWORD", "{password}"),
        ]),
        command: Vec::new(),
        data: "/data/db".to_owned(),
        health: list(&["mongosh", "--quiet", "--eval", "db.adminCommand('ping').ok"]),
        app_env: map(&[
            ("MONGODB_URI", url),
            ("MONGODB_URL", url),
            ("MONGO_URI", url),
            ("MONGO_URL", url),
        ]),
    }
}

fn redis() -> DatabaseService {
    DatabaseService {
        database: Database::Redis,
        name: "redis".to_owned(),
        image: "redis:8".to_owned(),
        port: 6379,
        env: BTreeMap::new(),
        command: list(&[
            "redis-server",
            "--requirepass",
            "{password}",
            "--appendonly",
            "yes",
        ]),
        data: "/data".to_owned(),
        health: list(&["redis-cli", "-a", "{password}", "ping"]),
        app_env: map(&[
            ("REDIS_URL", "redis://:{password}@{host}:6379/0"),
            ("REDIS_HOST", "{host}"),
            ("REDIS_PORT", "6379"),
            ("REDIS_PASSWORD", "{password}"),
        ]),
    }
}

/// The names that frameworks read by their own documentation.
fn own_names(database: Database, framework: &str) -> BTreeMap<String, String> {
    let (scheme, port, laravel) = match database {
        Database::Postgres => ("postgresql", "5432", "pgsql"),
        Database::Mysql => ("mysql", "3306", "mysql"),
        Database::Mariadb => ("mariadb", "3306", "mariadb"),
        _ => return BTreeMap::new(),
    };
    match framework {
        // https://docs.spring.io/spring-boot/reference/data/sql.html
        "spring-boot" => map(&[
            (
                "SPRING_DATASOURCE_URL",
                &format!("jdbc:{scheme}://{{host}}:{port}/app"),
            ),
            ("SPRING_DATASOURCE_USERNAME", "app"),
            ("SPRING_DATASOURCE_PASSWORD", "{password}"),
        ]),
        // https://quarkus.io/guides/datasource
        "quarkus" => map(&[
            (
                "QUARKUS_DATASOURCE_JDBC_URL",
                &format!("jdbc:{scheme}://{{host}}:{port}/app"),
            ),
            ("QUARKUS_DATASOURCE_USERNAME", "app"),
            ("QUARKUS_DATASOURCE_PASSWORD", "{password}"),
        ]),
        // https://laravel.com/docs/database#configuration
        "laravel" => map(&[
            ("DB_CONNECTION", laravel),
            ("DB_HOST", "{host}"),
            ("DB_PORT", port),
            ("DB_DATABASE", "app"),
            ("DB_USERNAME", "app"),
            ("DB_PASSWORD", "{password}"),
        ]),
        // https://hub.docker.com/_/wordpress
        "wordpress" => map(&[
            ("WORDPRESS_DB_HOST", "{host}"),
            ("WORDPRESS_DB_USER", "app"),
            ("WORDPRESS_DB_PASSWORD", "{password}"),
            ("WORDPRESS_DB_NAME", "app"),
        ]),
        _ => map(&[
            ("DB_HOST", "{host}"),
            ("DB_PORT", port),
            ("DB_USER", "app"),
            ("DB_PASSWORD", "{password}"),
            ("DB_NAME", "app"),
        ]),
    }
}
