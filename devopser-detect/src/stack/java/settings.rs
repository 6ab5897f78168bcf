//! What the settings of a JVM app say: its port and its databases.

use devopser_core::model::report::{Database, Evidence, Fact};

use crate::scan::{Scan, code, java};
use crate::stack::{databases, port};

/// The port: settings of the frameworks, then sources, then the usual one.
pub(crate) fn listens_on(
    scan: &Scan<'_>,
    row: Option<(&str, &str, u16)>,
    uses: impl Fn(&str) -> Option<Evidence>,
) -> Fact<u16> {
    let is_spring = row.is_some_and(|row| row.0 == "spring-boot");
    if let Some(found) = in_properties(scan).or_else(|| in_yaml(scan, is_spring)) {
        return found;
    }
    if reads_sources(row.map(|row| row.0)) {
        let files = code::each(scan, SOURCES, 9);
        if let Some(found) = port::nearest(scan, files, |_| true) {
            return found;
        }
    }
    // What a configuration server says goes before what is usual
    // (https://docs.spring.io/spring-cloud-config/reference/client.html).
    let asks_a_server = || {
        ["spring-cloud-starter-config", "spring-cloud-config-client"]
            .iter()
            .any(|client| uses(client).is_some())
    };
    match row {
        Some(row) if row.0 == "spring-boot" && asks_a_server() => port::guess(
            row.2,
            "apps whose settings come from a configuration server",
        ),
        // These listen nowhere before the program says a port.
        Some(row) if !["ktor", "vertx"].contains(&row.0) => port::default(row.2, row.0),
        row => port::guess(
            row.map_or(8080, |row| row.2),
            row.map_or("servers on the JVM", |row| row.0),
        ),
    }
}

/// Where settings lie: on the class path, and in the folder that the program is started in
/// (<https://docs.spring.io/spring-boot/reference/features/external-config.html#features.external-config.files>). The
/// resources of a build without the usual layout lie in `resources`
/// (<https://github.com/JetBrains/amper/blob/main/docs/Documentation.md#project-layout>).
const FOLDERS: &[&str] = &[
    "src/main/resources/",
    "src/main/resources/config/",
    "resources/",
    "config/",
    "",
];

/// Settings of the app itself, not of its tests, and of the modules of its build.
fn settings(scan: &Scan<'_>, names: &[&str]) -> Vec<String> {
    let modules = java::modules(scan);
    let places = std::iter::once(String::new()).chain(modules.iter().map(|of| format!("{of}/")));
    let places: Vec<String> = places
        .flat_map(|module| {
            FOLDERS
                .iter()
                .map(move |folder| format!("{module}{folder}"))
        })
        .collect();
    let found = names.iter().flat_map(|name| {
        let paths = places.iter().map(move |place| format!("{place}{name}"));
        paths.filter(|path| scan.has(path))
    });
    found.collect()
}

fn in_properties(scan: &Scan<'_>) -> Option<Fact<u16>> {
    const KEYS: &[&str] = &["server.port", "quarkus.http.port", "micronaut.server.port"];
    for path in settings(
        scan,
        &["application.properties", "application-prod.properties"],
    ) {
        let text = scan.text(&path).unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            if let Some(port) = number(value).filter(|_| KEYS.contains(&key.trim())) {
                let line = u32::try_from(index + 1).ok();
                return Some(Fact::new(
                    port,
                    88,
                    Evidence::line(path, line, "the server's port"),
                ));
            }
        }
    }
    None
}

/// Settings that are called otherwise, those of profiles left out: an app may give its own name
/// (<https://docs.spring.io/spring-boot/reference/features/external-config.html#features.external-config.files>).
fn renamed(scan: &Scan<'_>) -> Vec<String> {
    let modules = java::modules(scan);
    let places = std::iter::once("").chain(modules.iter().map(String::as_str));
    let folders = places.map(|module| match module {
        "" => "src/main/resources".to_owned(),
        module => format!("{module}/src/main/resources"),
    });
    let mut found = Vec::new();
    for folder in folders.filter(|folder| scan.has_folder(folder)) {
        let listing = scan.list(&folder);
        let is_settings = |path: &&String| {
            let is_profile = ["application-", "bootstrap-"]
                .iter()
                .any(|start| crate::scan::base_name(path).starts_with(start));
            !is_profile && (path.ends_with(".yml") || path.ends_with(".yaml"))
        };
        found.extend(listing.files.iter().filter(is_settings).take(8).cloned());
    }
    found
}

fn in_yaml(scan: &Scan<'_>, is_spring: bool) -> Option<Fact<u16>> {
    const POINTERS: &[&str] = &[
        "/server/port",
        "/quarkus/http/port",
        "/micronaut/server/port",
        "/ktor/deployment/port",
    ];
    let names = [
        "application.yml",
        "application.yaml",
        "bootstrap.yml",
        "bootstrap.yaml",
    ];
    let usual = settings(scan, &names).into_iter();
    let others = is_spring.then(|| renamed(scan)).into_iter().flatten();
    usual.chain(others).find_map(|path| {
        let value = scan.yaml_of_gradle(&path)?;
        let found = POINTERS.iter().find_map(|pointer| value.pointer(pointer))?;
        let port = match found.as_u64() {
            Some(port) => u16::try_from(port).ok(),
            None => number(found.as_str()?),
        };
        let port = port.filter(|port| *port > 0)?;
        // Other servers' ports may stand before it.
        let said = format!("port: {port}");
        let line = scan.line_of(&path, &said);
        let line = line.or_else(|| scan.line_of(&path, "port:"));
        let evidence = Evidence::line(path, line, "the server's port");
        Some(Fact::new(port, 88, evidence))
    })
}

/// `8080` of `${PORT:8080}` and of `8080`.
fn number(value: &str) -> Option<u16> {
    let value = value.trim().trim_end_matches('}');
    value
        .rsplit(':')
        .next()?
        .trim()
        .parse()
        .ok()
        .filter(|port| *port > 0)
}

/// `temurin-21.0.2` → `21.0.2`.
pub(crate) fn numbers(version: &str) -> String {
    version
        .trim_start_matches(|char: char| !char.is_ascii_digit())
        .split(['+', '_'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// `1.8` is Java 8; of `17.0.2` only the release counts, since that is how the images are named.
pub(crate) fn one_eight(version: &str) -> String {
    let version = version.strip_prefix("1.").unwrap_or(version);
    version.split('.').next().unwrap_or(version).to_owned()
}

const DRIVERS: &[(&str, Database)] = &[
    ("org.postgresql", Database::Postgres),
    ("quarkus-jdbc-postgresql", Database::Postgres),
    ("r2dbc-postgresql", Database::Postgres),
    ("reactive-pg-client", Database::Postgres),
    ("mysql-connector", Database::Mysql),
    ("com.mysql", Database::Mysql),
    ("quarkus-jdbc-mysql", Database::Mysql),
    ("quarkus-reactive-mysql", Database::Mysql),
    ("mariadb-java-client", Database::Mysql),
    ("quarkus-jdbc-mariadb", Database::Mysql),
    ("quarkus-mongodb", Database::Mongodb),
    ("micronaut-mongo", Database::Mongodb),
    ("org.litote.kmongo", Database::Mongodb),
    ("org.mariadb", Database::Mysql),
    ("data-mongodb", Database::Mongodb),
    ("mongodb-driver", Database::Mongodb),
    ("data-redis", Database::Redis),
    ("jedis", Database::Redis),
    ("lettuce", Database::Redis),
    ("quarkus-redis", Database::Redis),
    ("redisson", Database::Redis),
];

/// The databases whose drivers the build uses.
pub(crate) fn needs(
    uses: impl Fn(&str) -> Option<Evidence>,
    scan: &Scan<'_>,
    reads_sources: bool,
) -> Fact<Vec<Database>> {
    let mut needs = databases::Needs::default();
    for (name, database) in DRIVERS {
        if let Some(evidence) = uses(name) {
            needs.add(*database, evidence);
        }
    }
    // A driver may come through a name of the build's own; the address in the code says it all the same.
    if needs.is_empty() && reads_sources {
        for path in code::each(scan, SOURCES, 9) {
            needs.add_words(scan, path, ADDRESSES);
        }
    }
    needs.confirm_by_env(scan);
    let fact = needs.into_fact();
    // With drivers of several servers, one that is part of the program is what it begins with
    // (https://docs.spring.io/spring-boot/reference/data/sql.html#data.sql.datasource.embedded).
    match uses("com.h2database").or_else(|| uses("org.hsqldb")) {
        Some(evidence) if fact.confidence <= crate::summary::GUESS => {
            Fact::new(Vec::new(), crate::summary::GUESS, evidence)
        }
        _ => fact,
    }
}

/// What [`listens_on`] looks into.
const SOURCES: &[&str] = &[".java", ".kt", ".scala", "application.conf"];

/// Addresses of JDBC (<https://docs.oracle.com/javase/tutorial/jdbc/basics/connecting.html>).
const ADDRESSES: &[(&str, Database)] = &[
    ("jdbc:postgresql:", Database::Postgres),
    ("jdbc:mysql:", Database::Mysql),
    ("jdbc:mariadb:", Database::Mariadb),
];

/// Whether sources are looked into: those frameworks have settings for what is looked for there.
pub(crate) fn reads_sources(id: Option<&str>) -> bool {
    id.is_none_or(|id| !["spring-boot", "quarkus", "micronaut"].contains(&id))
}
