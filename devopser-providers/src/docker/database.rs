//! The databases beside an app: one container and one volume each, on the app's network alone.

use std::time::Duration;

use devopser_core::context::Context;
use devopser_core::id::EnvName;
use devopser_core::model::report::Database;
use devopser_core::model::service::{EnvValue, Environment, SecretRef};
use devopser_core::{Error, ErrorKind, Result, Secret};

use super::model::{ContainerHealth, ContainerPhase, ContainerSpec, HealthSpec, MountSpec};
use super::spec::DATABASE_CAPABILITIES;
use super::{Docker, ID, names};

/// The name of the user and of the database.
const APP: &str = "app";
const MEMORY_BYTES: u64 = 1 << 30;
const REDIS_CONFIG: &str = "/etc/devopser-redis.conf";

/// What is known of a kind of database.
struct Kind {
    image: &'static str,
    data: &'static str,
    port: u16,
    scheme: &'static str,
    health: &'static [&'static str],
}

const fn kind(database: Database) -> Option<Kind> {
    Some(match database {
        Database::Postgres => Kind {
            image: "postgres:17",
            data: "/var/lib/postgresql/data",
            port: 5432,
            scheme: "postgresql",
            // Over TCP: while the image sets itself up, it listens on its own socket only.
            health: &["pg_isready", "-h", "127.0.0.1", "-U", APP, "-d", APP],
        },
        Database::Mysql => Kind {
            image: "mysql:8.4",
            data: "/var/lib/mysql",
            port: 3306,
            scheme: "mysql",
            health: &["mysqladmin", "ping", "-h", "127.0.0.1", "--silent"],
        },
        Database::Mariadb => Kind {
            image: "mariadb:11",
            data: "/var/lib/mysql",
            port: 3306,
            scheme: "mysql",
            health: &["mariadb-admin", "ping", "-h", "127.0.0.1", "--silent"],
        },
        Database::Redis => Kind {
            image: "redis:8",
            data: "/data",
            port: 6379,
            scheme: "redis",
            health: &["redis-cli", "-h", "127.0.0.1", "ping"],
        },
        Database::Mongodb => Kind {
            image: "mongo:8",
            data: "/data/db",
            port: 27017,
            scheme: "mongodb",
            health: &["mongosh", "--quiet", "--eval", "db.adminCommand('ping').ok"],
        },
        _ => return None,
    })
}

/// The names of the secrets of a database.
pub(crate) fn secret_names(service: &str, database: Database) -> [SecretRef; 2] {
    let word = names::database_word(database);
    [
        SecretRef(format!("docker/{service}/{word}-password")),
        SecretRef(format!("docker/{service}/{word}-url")),
    ]
}

/// Every database that gets a container.
pub(crate) const ALL: [Database; 5] = [
    Database::Postgres,
    Database::Mysql,
    Database::Mariadb,
    Database::Redis,
    Database::Mongodb,
];

impl Docker {
    /// Makes the databases exist and answer, and returns what the app needs to reach them.
    pub(crate) async fn ensure_databases(
        &self,
        ctx: &Context,
        service: &str,
        mark: &str,
        databases: &[Database],
        without_password: &[Database],
    ) -> Result<Environment> {
        let mut env = Environment::new();
        let mut wanted: Vec<Database> = databases.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|database| kind(*database).is_some());
        for database in &wanted {
            let is_open = without_password.contains(database);
            self.ensure_database(ctx, service, mark, *database, is_open)
                .await?;
        }
        for database in &wanted {
            self.wait_until_healthy(ctx, service, *database).await?;
            add_env(&mut env, service, *database)?;
        }
        Ok(env)
    }

    async fn ensure_database(
        &self,
        ctx: &Context,
        service: &str,
        mark: &str,
        database: Database,
        is_open: bool,
    ) -> Result<()> {
        let Some(kind) = kind(database) else {
            return Ok(());
        };
        let name = names::database(service, database);
        let has_data = self.engine.volume(ctx, &name).await?.is_some();
        let password = self
            .password(ctx, service, database, &kind, has_data)
            .await?;
        self.ensure_volume(ctx, &name, mark).await?;
        self.engine.ensure_image(ctx, kind.image).await?;
        let mut spec = container(&name, service, mark, database, &kind, &password);
        if is_open && database == Database::Redis {
            spec.files = vec![(REDIS_CONFIG.to_owned(), open_redis_config())];
        }
        self.ensure_container(ctx, spec, mark).await?;
        Ok(())
    }

    /// The password of a database: made once, kept in the vault before the data that it opens exists.
    async fn password(
        &self,
        ctx: &Context,
        service: &str,
        database: Database,
        kind: &Kind,
        has_data: bool,
    ) -> Result<Secret> {
        let [password_name, url_name] = secret_names(service, database);
        match ctx.vault.get(&password_name).await {
            Ok(password) => Ok(password),
            Err(error) if error.kind() == ErrorKind::NotFound && !has_data => {
                let password = Secret::generate(32);
                ctx.vault
                    .put(&url_name, &url(database, kind, &password))
                    .await?;
                ctx.vault.put(&password_name, &password).await?;
                Ok(password)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the data of {} exist, but their password is not in the vault",
                    names::database_word(database)
                ),
            )
            .with_provider(ID)
            .with_context("volume", names::database(service, database))
            .with_remedy("Restore the vault, or remove the app with its data and deploy again.")),
            Err(error) => Err(error),
        }
    }

    async fn wait_until_healthy(
        &self,
        ctx: &Context,
        service: &str,
        database: Database,
    ) -> Result<()> {
        let name = names::database(service, database);
        let word = names::database_word(database);
        let deadline = tokio::time::Instant::now() + self.config.database_timeout;
        let mut is_told = false;
        loop {
            let facts = self.engine.container(ctx, &name).await?;
            let state = facts.as_ref().map(|facts| (facts.phase, facts.health));
            match state {
                Some((ContainerPhase::Running, ContainerHealth::Healthy)) => return Ok(()),
                Some((ContainerPhase::Running, _)) if tokio::time::Instant::now() < deadline => {}
                Some((ContainerPhase::Restarting, _))
                    if facts.as_ref().is_some_and(|facts| facts.restarts < 3)
                        && tokio::time::Instant::now() < deadline => {}
                _ => {
                    return Err(self
                        .database_failed(ctx, &name, word, facts.is_some())
                        .await);
                }
            }
            if !is_told {
                ctx.progress.note(&format!("Waiting for {word}"));
                is_told = true;
            }
            ctx.sleep(Duration::from_millis(300)).await?;
        }
    }

    async fn database_failed(&self, ctx: &Context, name: &str, word: &str, exists: bool) -> Error {
        let lines = if exists {
            self.last_lines(ctx, name, 30).await
        } else {
            Vec::new()
        };
        Error::new(
            ErrorKind::Unhealthy,
            format!("the database {word} did not become ready"),
        )
        .with_provider(ID)
        .with_context("container", name)
        .with_log(lines)
        .with_remedy("Read its last lines; more memory or a look at its container may help.")
    }
}

fn container(
    name: &str,
    service: &str,
    mark: &str,
    database: Database,
    kind: &Kind,
    password: &Secret,
) -> ContainerSpec {
    let word = names::database_word(database);
    let mut labels = names::labels(mark);
    labels.insert(names::ROLE_LABEL.into(), word.into());
    let plain = |name: &str, value: &str| (name.to_owned(), Secret::new(value));
    let secret = |name: &str| (name.to_owned(), password.clone());
    let env = match database {
        Database::Postgres => vec![
            plain("POSTGRES_USER", APP),
            plain("POSTGRES_DB", APP),
            secret("POSTGRES_PASSWORD"),
        ],
        Database::Mysql => vec![
            plain("MYSQL_USER", APP),
            plain("MYSQL_DATABASE", APP),
            secret("MYSQL_PASSWORD"),
            secret("MYSQL_ROOT_PASSWORD"),
        ],
        Database::Mariadb => vec![
            plain("MARIADB_USER", APP),
            plain("MARIADB_DATABASE", APP),
            secret("MARIADB_PASSWORD"),
            secret("MARIADB_ROOT_PASSWORD"),
        ],
        Database::Mongodb => vec![
            plain("MONGO_INITDB_ROOT_USERNAME", APP),
            plain("MONGO_INITDB_DATABASE", APP),
            secret("MONGO_INITDB_ROOT_PASSWORD"),
        ],
        _ => Vec::new(),
    };
    let is_redis = database == Database::Redis;
    ContainerSpec {
        name: name.to_owned(),
        image: kind.image.to_owned(),
        labels,
        env,
        // Redis takes no password from the environment, and an argument could be seen in the list of processes.
        command: is_redis.then(|| vec!["redis-server".into(), REDIS_CONFIG.into()]),
        files: is_redis
            .then(|| (REDIS_CONFIG.to_owned(), redis_config(password)))
            .into_iter()
            .collect(),
        memory_bytes: Some(MEMORY_BYTES),
        cpu_millis: Some(2000),
        pids: Some(512),
        capabilities: super::spec::names_of(DATABASE_CAPABILITIES),
        init: false,
        network: service.to_owned(),
        aliases: vec![word.to_owned()],
        mounts: vec![MountSpec {
            volume: Some(name.to_owned()),
            path: kind.data.to_owned(),
            read_only: false,
        }],
        health: Some(health(kind)),
        publish: None,
        ..ContainerSpec::default()
    }
}

fn health(kind: &Kind) -> HealthSpec {
    HealthSpec {
        test: std::iter::once("CMD")
            .chain(kind.health.iter().copied())
            .map(str::to_owned)
            .collect(),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
        start_period: Duration::from_secs(60),
        retries: 3,
    }
}

fn redis_config(password: &Secret) -> Secret {
    Secret::new(format!(
        "bind 0.0.0.0\ndir /data\nappendonly yes\nrequirepass {}\n",
        password.expose()
    ))
}

/// Who hands over a password is let in with any; the network of the app is all that reaches it
/// (<https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/>).
fn open_redis_config() -> Secret {
    Secret::new(
        "bind 0.0.0.0\nprotected-mode no\ndir /data\nappendonly yes\nuser default on nopass ~* &* +@all\n",
    )
}

fn url(database: Database, kind: &Kind, password: &Secret) -> Secret {
    let (scheme, port, password) = (kind.scheme, kind.port, password.expose());
    let host = names::database_word(database);
    Secret::new(match database {
        // Named: an empty user is taken literally by some clients.
        Database::Redis => format!("{scheme}://default:{password}@{host}:{port}/0"),
        Database::Mongodb => {
            format!("{scheme}://{APP}:{password}@{host}:{port}/{APP}?authSource=admin")
        }
        _ => format!("{scheme}://{APP}:{password}@{host}:{port}/{APP}"),
    })
}

/// What apps of the different communities look for. The first relational database gets the general names.
fn add_env(env: &mut Environment, service: &str, database: Database) -> Result<()> {
    let Some(kind) = kind(database) else {
        return Ok(());
    };
    let [password, url] = secret_names(service, database).map(EnvValue::Secret);
    let host = EnvValue::Plain(names::database_word(database).into());
    let port = EnvValue::Plain(kind.port.to_string());
    let app = EnvValue::Plain(APP.into());
    let mut add = |names: &[&str], value: &EnvValue| -> Result<()> {
        for name in names {
            env.entry(EnvName::new(*name)?)
                .or_insert_with(|| value.clone());
        }
        Ok(())
    };
    match database {
        Database::Postgres => {
            add(&["DATABASE_URL", "POSTGRES_URL"], &url)?;
            add(&["PGHOST", "POSTGRES_HOST", "DB_HOST"], &host)?;
            add(&["PGPORT", "POSTGRES_PORT", "DB_PORT"], &port)?;
            add(&["PGUSER", "POSTGRES_USER", "DB_USER", "DB_USERNAME"], &app)?;
            add(
                &["PGDATABASE", "POSTGRES_DB", "DB_NAME", "DB_DATABASE"],
                &app,
            )?;
            add(
                &["PGPASSWORD", "POSTGRES_PASSWORD", "DB_PASSWORD"],
                &password,
            )?;
        }
        Database::Mysql | Database::Mariadb => {
            add(&["DATABASE_URL", "MYSQL_URL"], &url)?;
            add(&["MYSQL_HOST", "DB_HOST"], &host)?;
            add(&["MYSQL_PORT", "DB_PORT"], &port)?;
            add(&["MYSQL_USER", "DB_USER", "DB_USERNAME"], &app)?;
            add(&["MYSQL_DATABASE", "DB_NAME", "DB_DATABASE"], &app)?;
            add(&["MYSQL_PASSWORD", "DB_PASSWORD"], &password)?;
        }
        Database::Redis => {
            add(&["REDIS_URL"], &url)?;
            add(&["REDIS_HOST"], &host)?;
            add(&["REDIS_PORT"], &port)?;
            add(&["REDIS_PASSWORD"], &password)?;
        }
        Database::Mongodb => {
            add(
                &["MONGODB_URI", "MONGODB_URL", "MONGO_URI", "MONGO_URL"],
                &url,
            )?;
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_relational_database_gets_the_general_names() {
        let mut env = Environment::new();
        for database in [
            Database::Postgres,
            Database::Mysql,
            Database::Redis,
            Database::Sqlite,
        ] {
            add_env(&mut env, "s", database).unwrap();
        }
        let value = |name: &str| env.get(&EnvName::new(name).unwrap()).cloned();
        let secret = |name: &str| Some(EnvValue::Secret(SecretRef(name.into())));
        assert_eq!(value("DATABASE_URL"), secret("docker/s/postgres-url"));
        assert_eq!(value("MYSQL_URL"), secret("docker/s/mysql-url"));
        assert_eq!(value("REDIS_URL"), secret("docker/s/redis-url"));
        assert_eq!(value("DB_HOST"), Some(EnvValue::Plain("postgres".into())));
    }

    #[test]
    fn a_url_holds_what_its_clients_expect() {
        let password = Secret::new("pw");
        for (database, expected) in [
            (Database::Postgres, "postgresql://app:pw@postgres:5432/app"),
            (Database::Mariadb, "mysql://app:pw@mariadb:3306/app"),
            (Database::Redis, "redis://default:pw@redis:6379/0"),
            (
                Database::Mongodb,
                "mongodb://app:pw@mongodb:27017/app?authSource=admin",
            ),
        ] {
            let made = url(database, &kind(database).unwrap(), &password);
            assert_eq!(made.expose(), expected);
        }
    }
}
