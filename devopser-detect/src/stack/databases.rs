//! Which databases an app needs: the drivers that it depends on, examples of its environment, its settings.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use devopser_core::model::report::{Database, Evidence, Fact};
use serde_json::Value;

use crate::scan::go::GoMod;
use crate::scan::node::Package;
use crate::scan::python::Requirements;
use crate::scan::{Scan, code, env};

/// What speaks for each database, collected.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    found: BTreeMap<Database, Vec<Evidence>>,
    /// Whether a server for tables and one for documents are both named, so that neither replaces the other.
    are_all_named: bool,
}

impl Needs {
    pub(crate) fn add(&mut self, database: Database, evidence: Evidence) {
        self.found.entry(database).or_default().push(evidence);
    }

    /// What a file's own words say: connection URLs and settings.
    pub(crate) fn add_words(&mut self, scan: &Scan<'_>, path: &str, words: &[(&str, Database)]) {
        let Some(text) = scan.text(path) else { return };
        let words: Vec<_> = words
            .iter()
            .filter(|(word, _)| text.contains(word.split('=').next().unwrap_or(word)))
            .collect();
        if words.is_empty() {
            return;
        }
        for (index, line) in text.lines().enumerate() {
            let trimmed = line.trim_start();
            if trimmed.starts_with('#') || trimmed.starts_with("//") || trimmed.starts_with('*') {
                continue;
            }
            // `DB_CONNECTION="mysql"` is what `DB_CONNECTION=mysql` is.
            let plain = line.replace(['"', '\''], "");
            for (word, database) in &words {
                let is_named = line.contains(word) || word.contains('=') && plain.contains(word);
                if is_named && !self.found.contains_key(database) {
                    self.add(
                        *database,
                        Evidence::line(
                            path,
                            u32::try_from(index + 1).ok(),
                            format!("names {word}"),
                        ),
                    );
                }
            }
        }
    }

    /// What the examples of the environment say.
    pub(crate) fn add_env(&mut self, scan: &Scan<'_>, words: &[(&str, Database)]) {
        for path in env::FILES {
            self.add_words(scan, path, words);
        }
    }

    /// Takes the examples of the environment as more evidence for databases whose driver is there. A name without a
    /// driver proves nothing: the code cannot talk to that server.
    ///
    /// Of several servers whose drivers are there, the examples may name the one that is used. Whether they name any.
    pub(crate) fn confirm_by_env(&mut self, scan: &Scan<'_>) -> bool {
        let mut named = Self::default();
        named.add_env(scan, ENV_WORDS);
        let primary = |needs: &Self| needs.found.keys().filter(|one| is_primary(**one)).count();
        let both = named
            .found
            .keys()
            .any(|one| is_primary(*one) && self.found.contains_key(one));
        if primary(self) > 1 && primary(&named) == 1 && both {
            self.found
                .retain(|one, _| !is_primary(*one) || named.found.contains_key(one));
        }
        // Documents stand beside tables more often than instead of them.
        let mut servers = self.found.keys().filter(|one| is_primary(**one));
        self.are_all_named = self.found.contains_key(&Database::Mongodb)
            && primary(self) == 2
            && servers.all(|one| named.found.contains_key(one));
        let mut is_named = false;
        for (database, evidence) in named.found {
            if let Some(known) = self.found.get_mut(&database) {
                known.extend(evidence);
                is_named = true;
            }
        }
        if self.found.contains_key(&Database::Redis) && redis_is_off(scan) {
            self.found.remove(&Database::Redis);
        }
        is_named
    }

    /// Adds what the settings name; where that is one primary database, the drivers of others are not used.
    pub(crate) fn settle_by(&mut self, named: Self) {
        let mut only = named.found.keys().filter(|one| is_primary(**one));
        if let (Some(only), None) = (only.next().copied(), only.next()) {
            self.found
                .retain(|one, _| !is_primary(*one) || *one == only);
        }
        for (database, evidence) in named.found {
            self.found.entry(database).or_default().extend(evidence);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The same where a driver of SQLite may stand beside that of a server: a setting then chooses, and the server is a fact
    /// only where something names it. SQLite is one of the alternatives then.
    pub(crate) fn into_fact_beside(self, is_choice: bool) -> Fact<Vec<Database>> {
        let mut fact = self.into_fact();
        if is_choice && fact.value.iter().any(|one| is_primary(*one)) {
            fact.confidence = crate::summary::GUESS;
            if !fact.value.contains(&Database::Sqlite) {
                fact.value.push(Database::Sqlite);
            }
        }
        fact
    }

    /// The answer. SQLite is left out where a server is needed; an empty list is an answer as well. Drivers of several
    /// primary databases are alternatives mostly, so which of them is needed is only a guess.
    pub(crate) fn into_fact(mut self) -> Fact<Vec<Database>> {
        if self.found.contains_key(&Database::Mariadb) {
            let more = self.found.remove(&Database::Mysql).unwrap_or_default();
            self.found
                .entry(Database::Mariadb)
                .or_default()
                .extend(more);
        }
        if self.found.is_empty() {
            return none();
        }
        let databases: Vec<Database> = self.found.keys().copied().collect();
        let primary = databases.iter().filter(|one| is_primary(**one)).count();
        let confidence = if primary > 1 && !self.are_all_named {
            crate::summary::GUESS
        } else {
            85
        };
        let evidence = self.found.into_values().flatten().collect();
        Fact::with_all(databases, confidence, evidence)
    }
}

/// Whether the examples of the environment hold a switch for Redis, and it is off. Settings that stand there as comments
/// say nothing: some files hold what can be left out that way, others what the code has a default for.
fn redis_is_off(scan: &Scan<'_>) -> bool {
    let is_switch = |name: &str| {
        name.contains("REDIS") && ["ENABLE", "USE_"].iter().any(|word| name.contains(word))
    };
    let is_off = |value: &str| ["false", "0", "off", "no"].contains(&value);
    env::settings(scan).any(|(name, value, _)| is_switch(&name) && is_off(&value))
}

/// Whether it is a server that an app keeps its own data in; Redis stands beside one.
const fn is_primary(database: Database) -> bool {
    matches!(
        database,
        Database::Postgres | Database::Mysql | Database::Mariadb | Database::Mongodb
    )
}

/// That none is needed is only a guess where the app has code of its own that does not lie in the tree.
pub(crate) fn unless_unseen(
    mut fact: Fact<Vec<Database>>,
    unseen: impl FnOnce() -> Option<Evidence>,
) -> Fact<Vec<Database>> {
    if fact.value.is_empty()
        && let Some(evidence) = unseen()
    {
        fact.confidence = crate::summary::GUESS;
        fact.evidence = vec![evidence];
    }
    fact
}

/// No database is needed.
pub(crate) fn none() -> Fact<Vec<Database>> {
    Fact::new(
        Vec::new(),
        60,
        Evidence::file("", "no driver and no setting names a database"),
    )
}

const ENV_WORDS: &[(&str, Database)] = &[
    ("postgres://", Database::Postgres),
    ("postgresql://", Database::Postgres),
    ("DB_CONNECTION=pgsql", Database::Postgres),
    ("POSTGRES_", Database::Postgres),
    ("PGHOST", Database::Postgres),
    ("DB_PORT=5432", Database::Postgres),
    ("mysql://", Database::Mysql),
    ("DB_CONNECTION=mysql", Database::Mysql),
    ("MYSQL_", Database::Mysql),
    ("DB_PORT=3306", Database::Mysql),
    ("mongodb://", Database::Mongodb),
    ("mongodb+srv://", Database::Mongodb),
    ("MONGO_", Database::Mongodb),
    ("MONGODB_", Database::Mongodb),
    ("redis://", Database::Redis),
    ("CACHE_DRIVER=redis", Database::Redis),
    ("REDIS_URL", Database::Redis),
    ("REDIS_HOST", Database::Redis),
    ("CACHE_STORE=redis", Database::Redis),
    ("QUEUE_CONNECTION=redis", Database::Redis),
    ("SESSION_DRIVER=redis", Database::Redis),
];

const NODE: &[(&str, Database)] = &[
    ("pg", Database::Postgres),
    ("postgres", Database::Postgres),
    ("pg-promise", Database::Postgres),
    ("@neondatabase/serverless", Database::Postgres),
    ("@vercel/postgres", Database::Postgres),
    ("pg-native", Database::Postgres),
    ("slonik", Database::Postgres),
    ("pg-boss", Database::Postgres),
    ("@payloadcms/db-postgres", Database::Postgres),
    ("mysql", Database::Mysql),
    ("mysql2", Database::Mysql),
    ("mariadb", Database::Mariadb),
    ("mongodb", Database::Mongodb),
    ("mongoose", Database::Mongodb),
    ("@nestjs/mongoose", Database::Mongodb),
    ("mongojs", Database::Mongodb),
    ("@payloadcms/db-mongodb", Database::Mongodb),
    ("parse-server", Database::Mongodb),
    ("redis", Database::Redis),
    ("ioredis", Database::Redis),
    ("bull", Database::Redis),
    ("bullmq", Database::Redis),
    ("connect-redis", Database::Redis),
    ("@redis/client", Database::Redis),
    ("sqlite3", Database::Sqlite),
    ("better-sqlite3", Database::Sqlite),
    ("@libsql/client", Database::Sqlite),
];

/// What the settings of Drizzle's tools name (<https://orm.drizzle.team/docs/drizzle-config-file#dialect>).
const DRIZZLE: &[(&str, Database)] = &[
    ("dialect: \"postgresql\"", Database::Postgres),
    ("dialect: 'postgresql'", Database::Postgres),
    ("dialect: \"mysql\"", Database::Mysql),
    ("dialect: 'mysql'", Database::Mysql),
];

/// The databases of a Node.js app.
pub(crate) fn of_node(scan: &Scan<'_>, package: &Package) -> Fact<Vec<Database>> {
    let mut needs = Needs::default();
    for (dep, database) in NODE {
        if package.dependencies.contains_key(*dep) {
            needs.add(*database, scan.in_package(dep, format!("depends on {dep}")));
        }
    }
    for path in super::node::prisma::schemas(scan, package) {
        prisma(scan, &path, &mut needs);
    }
    let mut chosen = Needs::default();
    for path in ["drizzle.config.ts", "drizzle.config.js"] {
        chosen.add_words(scan, path, DRIZZLE);
    }
    needs.settle_by(chosen);
    of_members(scan, package, &mut needs);
    needs.confirm_by_env(scan);
    needs.into_fact()
}

/// What members of the workspace need: those that a member uses, and all of them where the root itself needs nothing
/// (<https://docs.npmjs.com/cli/using-npm/workspaces>, <https://pnpm.io/workspaces>).
fn of_members(scan: &Scan<'_>, package: &Package, needs: &mut Needs) {
    let top = scan.above().unwrap_or(scan);
    let is_root = scan.above().is_none();
    let is_local = |range: &String| {
        ["workspace:", "*", "file:", "link:"]
            .iter()
            .any(|start| range.starts_with(start))
    };
    // A root that starts nothing needs nothing; its members answer for themselves.
    let starts = || super::node::commands::start_script(package, None).is_some();
    if is_root && (!needs.is_empty() || !starts())
        || !is_root && !package.dependencies.values().any(is_local)
    {
        return;
    }
    let members = crate::services::members(top, "package.json").into_iter();
    let members: Vec<(String, Rc<Value>)> = members
        .take(64)
        .filter_map(|folder| {
            let manifest = top.json(&format!("{folder}/package.json"))?;
            Some((folder, manifest))
        })
        .collect();
    let mut left = vec![Rc::clone(&package.value)];
    let mut used = BTreeSet::new();
    while let Some(package) = left.pop() {
        let depends = |name: &str| {
            package
                .get("dependencies")
                .is_some_and(|on| on.get(name).is_some())
        };
        for (folder, member) in &members {
            let name = member.get("name").and_then(Value::as_str);
            if (is_root || name.is_some_and(depends)) && used.insert(folder) {
                left.push(Rc::clone(member));
                of_member(top, folder, member, needs);
            }
        }
    }
}

fn of_member(top: &Scan<'_>, folder: &str, member: &Value, needs: &mut Needs) {
    let path = format!("{folder}/package.json");
    let dependencies = member.get("dependencies");
    for (dep, database) in NODE {
        if dependencies.is_some_and(|on| on.get(dep).is_some()) {
            let why = format!("depends on {dep}");
            needs.add(*database, top.evidence(&path, &format!("\"{dep}\""), why));
        }
    }
    for schema in ["schema.prisma", "prisma/schema.prisma"] {
        prisma(top, &format!("{folder}/{schema}"), needs);
    }
}

/// The `provider` of a Prisma schema's datasource (<https://www.prisma.io/docs/orm/reference/prisma-schema-reference#datasource>).
fn prisma(scan: &Scan<'_>, path: &str, needs: &mut Needs) {
    let Some(text) = scan.text(path) else { return };
    let Some(at) = text.find("datasource ") else {
        return;
    };
    let block = text[at..].split('}').next().unwrap_or_default();
    let providers = [
        ("\"postgresql\"", Database::Postgres),
        ("\"postgres\"", Database::Postgres),
        ("\"mysql\"", Database::Mysql),
        ("\"mongodb\"", Database::Mongodb),
        ("\"sqlite\"", Database::Sqlite),
    ];
    if let Some((word, database)) = providers.into_iter().find(|(word, _)| block.contains(word)) {
        needs.add(
            database,
            scan.evidence(path, word, "the provider of the Prisma schema"),
        );
    }
}

const PYTHON: &[(&str, Database)] = &[
    ("psycopg2", Database::Postgres),
    ("psycopg2-binary", Database::Postgres),
    ("psycopg", Database::Postgres),
    ("psycopg-binary", Database::Postgres),
    ("asyncpg", Database::Postgres),
    ("aiopg", Database::Postgres),
    ("pg8000", Database::Postgres),
    ("mysqlclient", Database::Mysql),
    ("pymysql", Database::Mysql),
    ("mysql-connector-python", Database::Mysql),
    ("mysql-connector", Database::Mysql),
    ("aiomysql", Database::Mysql),
    ("asyncmy", Database::Mysql),
    ("mariadb", Database::Mariadb),
    ("flask-mysqldb", Database::Mysql),
    ("pymongo", Database::Mongodb),
    ("motor", Database::Mongodb),
    ("mongoengine", Database::Mongodb),
    ("flask-pymongo", Database::Mongodb),
    ("beanie", Database::Mongodb),
    ("djongo", Database::Mongodb),
    ("redis", Database::Redis),
    ("aioredis", Database::Redis),
    ("django-redis", Database::Redis),
    ("rq", Database::Redis),
    ("flask-redis", Database::Redis),
    ("channels-redis", Database::Redis),
    ("arq", Database::Redis),
];

/// Extras that bring a driver, as those of SQLAlchemy and of what is built on it are called
/// (<https://docs.sqlalchemy.org/en/20/intro.html#installing-optional-dependencies>).
const EXTRAS: &[(&str, Database)] = &[
    ("postgresql", Database::Postgres),
    ("postgres", Database::Postgres),
    ("asyncpg", Database::Postgres),
    ("psycopg2", Database::Postgres),
    ("mysql", Database::Mysql),
    ("pymysql", Database::Mysql),
    ("aiomysql", Database::Mysql),
    ("mongodb", Database::Mongodb),
    ("redis", Database::Redis),
];

/// The drivers that extras bring.
fn extras(requirements: &Requirements, needs: &mut Needs) {
    for requirement in &requirements.all {
        for extra in requirement.extras.split(',').map(str::trim) {
            let known = EXTRAS.iter().find(|(known, _)| *known == extra);
            if let Some((_, database)) = known {
                let why = format!("{} with {extra}", requirement.name);
                let path = requirement.path.clone();
                needs.add(*database, Evidence::line(path, requirement.line, why));
            }
        }
    }
}

/// The databases of a Python app.
pub(crate) fn of_python(scan: &Scan<'_>, requirements: &Requirements) -> Fact<Vec<Database>> {
    let mut needs = Needs::default();
    for (name, database) in PYTHON {
        if let Some(evidence) = requirements.evidence(name) {
            needs.add(*database, evidence);
        }
    }
    extras(requirements, &mut needs);
    needs.confirm_by_env(scan);
    let settings = [
        ("django.db.backends.postgresql", Database::Postgres),
        ("django.db.backends.mysql", Database::Mysql),
        ("postgresql+", Database::Postgres),
        ("postgresql://", Database::Postgres),
        ("postgres://", Database::Postgres),
        ("mysql+", Database::Mysql),
        ("mongodb://", Database::Mongodb),
        ("redis://", Database::Redis),
    ];
    let mut files = super::python::settings::files(scan);
    if files.is_empty() {
        let found = ["settings.py", "config.py"].into_iter();
        let found = found.flat_map(|name| scan.named(name, 2));
        files = found.map(str::to_owned).collect();
    }
    let mut file = requirements.evidence("aiosqlite");
    for path in files.iter().take(6) {
        // Settings that offer SQLite as well need a server only where its driver is there.
        let offers = scan
            .text(path)
            .is_some_and(|text| text.contains("django.db.backends.sqlite3"));
        let counts = |(word, database): &&(&str, Database)| {
            !offers || !word.starts_with("django.") || needs.found.contains_key(database)
        };
        let words: Vec<_> = settings.iter().filter(counts).copied().collect();
        needs.add_words(scan, path, &words);
        if offers {
            let why = "the engine of Django's settings";
            file.get_or_insert_with(|| scan.evidence(path, "django.db.backends.sqlite3", why));
        }
    }
    let mut fact = needs.into_fact();
    // Of several alternatives the file is one; without a server for tables it is what is used.
    let is_for_tables = |database: &Database| *database != Database::Redis;
    let has_server = fact.value.iter().any(is_for_tables);
    let file = match has_server {
        true => file.filter(|_| fact.confidence <= crate::summary::GUESS),
        false => file.or_else(|| opens_a_file(scan, &files)),
    };
    if let Some(evidence) = file {
        if fact.value.is_empty() {
            fact.evidence.clear();
        }
        fact.value.push(Database::Sqlite);
        fact.evidence.push(evidence);
    }
    fact
}

/// What says in the settings, or in a file that is called like what opens a database, that SQLite is used.
fn opens_a_file(scan: &Scan<'_>, settings: &[String]) -> Option<Evidence> {
    const NAMES: &[&str] = &["database.py", "db.py", "main.py", "app.py"];
    const SIGNS: &[&str] = &["sqlite://", "sqlite+aiosqlite://", "import sqlite3"];
    let settings = settings.iter().take(6).map(String::as_str);
    let named = NAMES.iter().flat_map(|name| scan.named(name, 2));
    settings.chain(named).take(10).find_map(|path| {
        let text = scan.text(path)?;
        let sign = SIGNS.iter().find(|sign| text.contains(**sign))?;
        Some(scan.evidence(path, sign, "it opens a SQLite file"))
    })
}

const GORM_1: &[(&str, Database)] = &[
    ("gorm/dialects/postgres", Database::Postgres),
    ("gorm/dialects/mysql", Database::Mysql),
    ("gorm/dialects/sqlite", Database::Sqlite),
];

const GO: &[(&str, Database)] = &[
    ("github.com/lib/pq", Database::Postgres),
    ("github.com/jackc/pgx", Database::Postgres),
    ("gorm.io/driver/postgres", Database::Postgres),
    ("github.com/go-pg/pg", Database::Postgres),
    ("github.com/uptrace/bun/driver/pgdriver", Database::Postgres),
    ("github.com/go-sql-driver/mysql", Database::Mysql),
    ("gorm.io/driver/mysql", Database::Mysql),
    ("go.mongodb.org/mongo-driver", Database::Mongodb),
    ("gopkg.in/mgo.v2", Database::Mongodb),
    ("github.com/redis/go-redis", Database::Redis),
    ("github.com/go-redis/redis", Database::Redis),
    ("github.com/gomodule/redigo", Database::Redis),
    ("github.com/redis/rueidis", Database::Redis),
    ("github.com/valkey-io/valkey-go", Database::Redis),
];

const GO_SQLITE: &[&str] = &[
    "github.com/mattn/go-sqlite3",
    "modernc.org/sqlite",
    "gorm.io/driver/sqlite",
    "github.com/glebarez/sqlite",
    "github.com/ncruces/go-sqlite3",
];

/// The databases of a Go app. With a driver of SQLite beside that of a server, a setting chooses between them: the server
/// is a fact only where the examples of the environment name it.
pub(crate) fn of_go(scan: &Scan<'_>, module: Option<&GoMod>) -> Fact<Vec<Database>> {
    let mut needs = Needs::default();
    let requires = |name: &&&str| module.is_some_and(|module| module.requires(name).is_some());
    let has_sqlite = GO_SQLITE.iter().find(requires).is_some();
    for (name, database) in GO {
        if let Some(evidence) = module.and_then(|module| module.requires(name)) {
            needs.add(*database, evidence);
        }
    }
    // Its first version has the drivers in one module: the sources say which (https://v1.gorm.io/docs/connecting_to_the_database.html).
    if module.is_some_and(|module| module.requires("github.com/jinzhu/gorm").is_some()) {
        for path in code::each(scan, &[".go"], 3) {
            needs.add_words(scan, path, GORM_1);
        }
    }
    let has_sqlite = has_sqlite || needs.found.contains_key(&Database::Sqlite);
    let is_named = needs.confirm_by_env(scan);
    needs.into_fact_beside(has_sqlite && !is_named)
}

/// The databases that words in the named files prove; for stacks without a driver table of their own.
pub(crate) fn by_words(
    scan: &Scan<'_>,
    words: &[(&str, Database)],
    files: &[&str],
) -> Fact<Vec<Database>> {
    let mut needs = Needs::default();
    for path in files {
        needs.add_words(scan, path, words);
    }
    needs.confirm_by_env(scan);
    needs.into_fact()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn finds_them_with_evidence() {
        let tree = MemoryTree::new([
            (
                "package.json",
                "{\"dependencies\":{\n\"pg\":\"8\",\"sqlite3\":\"5\"}}",
            ),
            (
                ".env.example",
                "# mysql://no\nREDIS_URL=redis://localhost\n",
            ),
        ]);
        let scan = Scan::new(&tree);
        let fact = of_node(&scan, &scan.package().unwrap());
        // Redis is named and no driver of it is there.
        assert_eq!(fact.value, [Database::Postgres, Database::Sqlite]);
        assert_eq!(fact.evidence[0].line, Some(2));
    }

    #[test]
    fn the_examples_of_the_environment_may_leave_redis_off() {
        let needed = |example: &str| {
            let tree = MemoryTree::new([
                ("package.json", "{\"dependencies\":{\"redis\":\"5\"}}"),
                (".env.example", example),
            ]);
            let scan = Scan::new(&tree);
            !of_node(&scan, &scan.package().unwrap()).value.is_empty()
        };
        for on in [
            "",
            "REDIS_URL=\n",
            "# REDIS_URL=a\n",
            "# REDIS_ENABLED=false\n",
            "REDIS_ENABLED=true\n",
        ] {
            assert!(needed(on), "{on}");
        }
        for off in [
            "export REDIS_ENABLED='false'\nREDIS_HOST=localhost\n",
            "USE_REDIS=0",
        ] {
            assert!(!needed(off), "{off}");
        }
    }
}
