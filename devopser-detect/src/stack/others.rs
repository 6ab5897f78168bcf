//! Languages that are recognised, so that nobody is told a wrong one, but for which little more is known yet.

use devopser_core::model::report::{Database, Evidence, Fact};

use super::{Stack, databases, fact, found, port};
use crate::rank::{Found, Strength};
use crate::scan::{Scan, code};

/// The detector of a language by its manifest.
#[derive(Debug)]
pub(crate) struct Others;

/// Language, manifests (a leading `.` means an ending), package manager, build, start.
const LANGUAGES: &[(&str, &[&str], &str, &str, &str)] = &[
    (
        "dart",
        &["pubspec.yaml"],
        "pub",
        "dart compile exe bin/server.dart -o server",
        "./server",
    ), // https://dart.dev/server
    (
        "haskell",
        &["stack.yaml", ".cabal", "package.yaml"],
        "stack",
        "stack install",
        "stack run",
    ), // https://docs.haskellstack.org
    (
        "crystal",
        &["shard.yml"],
        "shards",
        "shards build --release",
        "bin/app",
    ),
    (
        "gleam",
        &["gleam.toml"],
        "gleam",
        "gleam build",
        "gleam run",
    ),
    (
        "swift",
        &["Package.swift"],
        "swiftpm",
        "swift build -c release",
        "swift run -c release",
    ),
    ("zig", &["build.zig"], "zig", "zig build", "zig build run"),
];

/// Drivers by the names that the manifests of these languages give them.
const DRIVERS: &[(&str, Database)] = &[
    ("will/crystal-pg", Database::Postgres),
    ("crystal-mysql", Database::Mysql),
    ("crystal-redis", Database::Redis),
    ("jgaskins/redis", Database::Redis),
    (" postgres:", Database::Postgres),
    (" mysql1:", Database::Mysql),
    (" mysql_client:", Database::Mysql),
    (" mongo_dart:", Database::Mongodb),
    (" redis:", Database::Redis),
    ("postgresql-simple", Database::Postgres),
    ("persistent-postgresql", Database::Postgres),
    ("hasql", Database::Postgres),
    ("mysql-simple", Database::Mysql),
    ("persistent-mysql", Database::Mysql),
    ("hedis", Database::Redis),
    ("pog =", Database::Postgres),
    ("gleam_pgo", Database::Postgres),
    ("fluent-postgres-driver", Database::Postgres),
    ("postgres-nio", Database::Postgres),
    ("fluent-mysql-driver", Database::Mysql),
    ("fluent-mongo-driver", Database::Mongodb),
    ("vapor/redis", Database::Redis),
];

impl Stack for Others {
    fn id(&self) -> &'static str {
        "others"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "pubspec.yaml",
            "stack.yaml",
            "package.yaml",
            "shard.yml",
            "gleam.toml",
            "Package.swift",
            "build.zig",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        LANGUAGES.iter().map(|(id, ..)| *id).collect()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let (row, path) = LANGUAGES.iter().find_map(|row| {
            let path = row.1.iter().find_map(|name| match name.strip_prefix('.') {
                Some(_) => scan.root_with(name).next(),
                None => scan.first(&[*name]),
            })?;
            Some((row, path.to_owned()))
        })?;
        let evidence = Evidence::file(path.as_str(), format!("a manifest of {}", row.0));
        let mut detection = super::detection("others", row.0, evidence.clone());
        detection.package_manager = fact(row.2, 85, evidence.clone());
        detection.build_command = fact(row.3, 60, evidence.clone());
        let start = match row.0 {
            "crystal" => crystal(scan).unwrap_or_else(|| row.4.to_owned()),
            _ => row.4.to_owned(),
        };
        detection.start_command = fact(start, 60, evidence.clone());
        detection.is_static = Some(Fact::new(false, 70, evidence));
        let sources = code::sources(
            scan,
            &[".dart", ".hs", ".cr", ".gleam", ".swift", ".zig"],
            3,
        );
        detection.port =
            Some(port::in_sources(scan, &sources).unwrap_or_else(|| port::guess(8080, row.0)));
        let mut manifests: Vec<&str> = vec![&path];
        manifests.extend(scan.first(&["package.yaml"]).filter(|more| *more != path));
        manifests.extend(scan.root_with(".cabal").filter(|more| *more != path));
        detection.databases = Some(databases::by_words(scan, DRIVERS, &manifests));
        found(detection, Strength::Manifest)
    }
}

/// The first target, under whose name the program is built
/// (<https://github.com/crystal-lang/shards/blob/master/docs/shard.yml.adoc>).
fn crystal(scan: &Scan<'_>) -> Option<String> {
    let shard = scan.yaml("shard.yml")?;
    let targets = shard.get("targets")?.as_object()?;
    let (name, _) = targets.iter().next()?;
    let is_sound = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    name.chars().all(is_sound).then(|| format!("bin/{name}"))
}
