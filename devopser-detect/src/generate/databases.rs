//! The databases of an app as containers.

use std::collections::BTreeMap;

use devopser_core::model::report::{Database, Detection, Fact};

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
        _ if has_no_password(stack, database) => open_redis(),
        _ => redis(),
    };
    // The names and the port that its own container has.
    let port = service.port.to_string();
    let url = service.app_env.get("MONGODB_URI").cloned();
    for (name, text) in own_names(database, stack) {
        let text = text.replace("{port}", &port).replace("{user}", "app");
        let text = text.replace("{name}", "app");
        let text = text.replace("{url}", url.as_deref().unwrap_or_default());
        service.app_env.insert(name, text);
    }
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

/// Whether a database lets the app in without a password as well, because the app hands none over. It is reached on the
/// network of the app alone.
#[must_use]
pub fn has_no_password(stack: &Detection, database: Database) -> bool {
    database == Database::Redis && super::hint(stack, "redis-without-password").is_some()
}

fn open_redis() -> DatabaseService {
    DatabaseService {
        command: list(&["redis-server", "--appendonly", "yes"]),
        health: list(&["redis-cli", "ping"]),
        app_env: map(&[
            ("REDIS_URL", "redis://{host}:6379/0"),
            ("REDIS_HOST", "{host}"),
            ("REDIS_PORT", "6379"),
        ]),
        ..redis()
    }
}

/// How the framework of an app calls what reaches its databases, beside the names that every app gets: texts in which `${NAME}` stands
/// for one of those (`POSTGRES_HOST`, `MYSQL_PASSWORD`, `REDIS_PORT`, `MONGODB_URI` and so on). Only for the databases that are `made`,
/// and nothing for those that are only a guess.
#[must_use]
pub fn database_names(stack: &Detection, made: &[Database]) -> BTreeMap<String, String> {
    let is_sure = |fact: &&Fact<Vec<Database>>| fact.confidence > crate::summary::GUESS;
    let found = stack.databases.as_ref().filter(is_sure);
    let mut names = BTreeMap::new();
    let found = found.into_iter().flat_map(|fact| &fact.value);
    for database in found.filter(|database| made.contains(database)) {
        let (prefix, name) = match database {
            Database::Postgres => ("POSTGRES", "DB"),
            Database::Redis => ("REDIS", ""),
            _ => ("MYSQL", "DATABASE"),
        };
        for (own, text) in own_names(*database, stack) {
            let mut text = text.replace("{name}", &format!("${{{prefix}_{name}}}"));
            for part in ["host", "port", "user", "password"] {
                let variable = format!("${{{prefix}_{}}}", part.to_ascii_uppercase());
                text = text.replace(&format!("{{{part}}}"), &variable);
            }
            names
                .entry(own)
                .or_insert(text.replace("{url}", "${MONGODB_URI}"));
        }
    }
    names
}

fn framework(stack: &Detection) -> &str {
    let framework = stack.framework.as_ref();
    framework.map_or("", |fact| fact.value.as_str())
}

/// The names of one database that a framework reads by its own documentation, and those of the app's own example of the environment.
fn own_names(database: Database, stack: &Detection) -> BTreeMap<String, String> {
    let mut names = of_framework(database, framework(stack));
    let lines = super::hint(stack, &crate::stack::names::hint(database)).unwrap_or_default();
    let lines = lines.lines().filter_map(|line| line.split_once('='));
    names.extend(lines.map(|(name, text)| (name.to_owned(), text.to_owned())));
    names
}

fn of_framework(database: Database, framework: &str) -> BTreeMap<String, String> {
    match database {
        Database::Postgres => tables(framework, "postgresql", ["pgsql", "postgres", "pg"]),
        Database::Mysql => tables(framework, "mysql", ["mysql", "mysql", "mysql"]),
        Database::Mariadb => tables(framework, "mariadb", ["mariadb", "mysql", "mysql"]),
        Database::Redis => redis_names(framework),
        Database::Mongodb => mongo_names(framework),
        _ => BTreeMap::new(),
    }
}

/// The names of a server for tables: its scheme in JDBC, and what PHP, Strapi and Directus call it.
fn tables(
    framework: &str,
    scheme: &str,
    [php, strapi, knex]: [&str; 3],
) -> BTreeMap<String, String> {
    let jdbc = format!("jdbc:{scheme}://{{host}}:{{port}}/{{name}}");
    match framework {
        // https://docs.spring.io/spring-boot/reference/data/sql.html
        "spring-boot" => map(&[
            ("SPRING_DATASOURCE_URL", &jdbc),
            ("SPRING_DATASOURCE_USERNAME", "{user}"),
            ("SPRING_DATASOURCE_PASSWORD", "{password}"),
        ]),
        // https://quarkus.io/guides/datasource
        "quarkus" => map(&[
            ("QUARKUS_DATASOURCE_JDBC_URL", &jdbc),
            ("QUARKUS_DATASOURCE_USERNAME", "{user}"),
            ("QUARKUS_DATASOURCE_PASSWORD", "{password}"),
        ]),
        // https://micronaut-projects.github.io/micronaut-sql/latest/guide/#jdbc
        "micronaut" => map(&[
            ("DATASOURCES_DEFAULT_URL", &jdbc),
            ("DATASOURCES_DEFAULT_USERNAME", "{user}"),
            ("DATASOURCES_DEFAULT_PASSWORD", "{password}"),
        ]),
        // https://laravel.com/docs/database#configuration
        "laravel" | "lumen" | "statamic" => {
            let mut names = general();
            names.insert("DB_CONNECTION".to_owned(), php.to_owned());
            names.extend(map(&[("DB_DATABASE", "{name}"), ("DB_USERNAME", "{user}")]));
            names
        }
        // https://craftcms.com/docs/5.x/reference/config/db.html
        "craft" => map(&[
            ("CRAFT_DB_DRIVER", php),
            ("CRAFT_DB_SERVER", "{host}"),
            ("CRAFT_DB_PORT", "{port}"),
            ("CRAFT_DB_DATABASE", "{name}"),
            ("CRAFT_DB_USER", "{user}"),
            ("CRAFT_DB_PASSWORD", "{password}"),
        ]),
        // https://docs.strapi.io/cms/configurations/database
        "strapi" => map(&[
            ("DATABASE_CLIENT", strapi),
            ("DATABASE_HOST", "{host}"),
            ("DATABASE_PORT", "{port}"),
            ("DATABASE_NAME", "{name}"),
            ("DATABASE_USERNAME", "{user}"),
            ("DATABASE_PASSWORD", "{password}"),
        ]),
        // https://directus.io/docs/configuration/database
        "directus" => {
            let mut names = general();
            names.insert("DB_CLIENT".to_owned(), knex.to_owned());
            names.insert("DB_DATABASE".to_owned(), "{name}".to_owned());
            names
        }
        // https://hub.docker.com/_/wordpress
        "wordpress" => map(&[
            ("WORDPRESS_DB_HOST", "{host}"),
            ("WORDPRESS_DB_USER", "{user}"),
            ("WORDPRESS_DB_PASSWORD", "{password}"),
            ("WORDPRESS_DB_NAME", "{name}"),
        ]),
        _ => general(),
    }
}

/// What apps without names of their own mostly read.
fn general() -> BTreeMap<String, String> {
    map(&[
        ("DB_HOST", "{host}"),
        ("DB_PORT", "{port}"),
        ("DB_USER", "{user}"),
        ("DB_PASSWORD", "{password}"),
        ("DB_NAME", "{name}"),
    ])
}

fn redis_names(framework: &str) -> BTreeMap<String, String> {
    match framework {
        // https://docs.spring.io/spring-boot/reference/data/nosql.html#data.nosql.redis; without `data` before Spring Boot 3.
        "spring-boot" => map(&[
            ("SPRING_DATA_REDIS_HOST", "{host}"),
            ("SPRING_DATA_REDIS_PORT", "{port}"),
            ("SPRING_DATA_REDIS_PASSWORD", "{password}"),
            ("SPRING_REDIS_HOST", "{host}"),
            ("SPRING_REDIS_PORT", "{port}"),
            ("SPRING_REDIS_PASSWORD", "{password}"),
        ]),
        // https://quarkus.io/guides/redis-reference
        "quarkus" => map(&[
            ("QUARKUS_REDIS_HOSTS", "redis://{host}:{port}"),
            ("QUARKUS_REDIS_PASSWORD", "{password}"),
        ]),
        _ => BTreeMap::new(),
    }
}

fn mongo_names(framework: &str) -> BTreeMap<String, String> {
    match framework {
        // https://docs.spring.io/spring-boot/reference/data/nosql.html#data.nosql.mongodb
        "spring-boot" => map(&[("SPRING_DATA_MONGODB_URI", "{url}")]),
        // https://quarkus.io/guides/mongodb
        "quarkus" => map(&[("QUARKUS_MONGODB_CONNECTION_STRING", "{url}")]),
        // https://payloadcms.com/docs/database/overview
        "payload" => map(&[("DATABASE_URI", "{url}"), ("DATABASE_URL", "{url}")]),
        _ => BTreeMap::new(),
    }
}
