//! Rust: Cargo packages and workspaces.

use std::rc::Rc;

use devopser_core::model::report::{Database, Detection, Evidence, Fact};
use serde_json::Value;

use super::{Stack, databases, fact, found, pages, port, version};
use crate::rank::{Found, Strength};
use crate::scan::{Scan, code, folder_of, join, versions};
use crate::services;

/// The Rust detector.
#[derive(Debug)]
pub(crate) struct Rust;

/// Frameworks: id, crate, usual port; the one that its documentation's first example uses.
const FRAMEWORKS: &[(&str, &str, u16)] = &[
    ("leptos", "leptos_axum", 3000),
    ("leptos", "leptos_actix", 3000),
    ("dioxus", "dioxus-fullstack", 8080),
    ("dioxus", "dioxus", 8080),
    ("loco", "loco-rs", 5150),
    ("rocket", "rocket", 8000),
    ("actix", "actix-web", 8080),
    ("axum", "axum", 3000),
    ("poem", "poem", 3000),
    ("salvo", "salvo", 8698),
    ("warp", "warp", 3030),
    ("tide", "tide", 8080),
    ("gotham", "gotham", 7878),
    ("ntex", "ntex", 8080),
    ("thruster", "thruster", 4321),
    ("hyper", "hyper", 3000),
];

/// Stands below most of the others, and therefore gives a port and no answer.
const LIBRARY: &str = "hyper";

/// A package of the workspace with a program in it.
struct Member {
    path: String,
    manifest: Rc<Value>,
}

/// Pages that macros take into the program.
const PAGES: pages::Language = pages::Language {
    ending: ".rs",
    names: &[
        "assets.rs",
        "embed.rs",
        "frontend.rs",
        "lib.rs",
        "main.rs",
        "routes.rs",
        "static_files.rs",
        "web.rs",
    ],
    embedded: pages::in_rust,
};

impl Stack for Rust {
    fn id(&self) -> &'static str {
        "rust"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "Cargo.toml",
            "Cargo.lock",
            "rust-toolchain",
            "rust-toolchain.toml",
            "main.rs",
            "Rocket.toml",
            ".env.example",
            "Procfile",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        let ids = FRAMEWORKS.iter().map(|(id, ..)| *id);
        ids.filter(|id| *id != LIBRARY).collect()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let manifest = scan.toml("Cargo.toml")?;
        let evidence = Evidence::file("Cargo.toml", "the manifest of Cargo");
        let mut detection = super::detection("rust", "rust", evidence.clone());
        detection.package_manager = fact("cargo", 95, evidence.clone());
        detection.install_command = fact("cargo fetch", 80, evidence.clone());
        detection.version = pinned(scan, &manifest);
        let exact = detection.version.as_ref().filter(|fact| {
            fact.evidence
                .iter()
                .any(|evidence| evidence.path != "Cargo.toml")
        });
        if let Some(toolchain) = exact.map(|fact| fact.value.clone()) {
            detection.hints.insert("toolchain".to_owned(), toolchain);
        }
        detection.is_static = Some(Fact::new(false, 85, evidence));
        let members = members(scan, &manifest);
        let framework = framework(scan, &members);
        if let Some((row, evidence)) = &framework
            && row.0 != LIBRARY
        {
            detection.framework = fact(row.0, 88, evidence.clone());
        }
        detection.databases = Some(needs(scan, &members));
        let program = program(scan, &members, framework.as_ref().map(|(row, _)| row.1));
        // A library listens nowhere.
        if program.is_some() || !scan.has("src/lib.rs") {
            let folder = program.as_ref().map(|(.., place)| folder_of(&place.path));
            let row = framework.as_ref().map(|(row, _)| **row);
            detection.port = Some(listens_on(scan, row, folder.unwrap_or_default()));
        }
        let pages = program.as_ref().and_then(|_| pages::of(scan, &PAGES));
        let strength = match (&program, &framework) {
            (Some(_), Some(_)) => Strength::Framework,
            // What has its pages in itself serves them.
            (Some(_), None) if pages.is_some() => Strength::Framework,
            (Some(_), None) | (None, Some(_)) => Strength::Manifest,
            (None, None) => Strength::Trace,
        };
        if let Some((package, binary, evidence)) = program {
            commands(scan, &members, &package, &binary, &evidence, &mut detection);
            detection.pages = pages;
            if let Some((row, _)) = &framework {
                by_framework(scan, row.0, &binary, &evidence, &mut detection);
            }
        }
        found(detection, strength)
    }
}

/// What is built and started in another way than Cargo's own.
fn by_framework(
    scan: &Scan<'_>,
    id: &str,
    binary: &str,
    evidence: &Evidence,
    into: &mut Detection,
) {
    let is_leptos = || {
        scan.toml("Cargo.toml").is_some_and(|manifest| {
            ["/package/metadata/leptos", "/workspace/metadata/leptos"]
                .iter()
                .any(|table| manifest.pointer(table).is_some())
        })
    };
    match id {
        // Without the word it lists what it can do (https://loco.rs/docs/infrastructure/deployment/).
        "loco" => {
            into.start_command = fact(
                format!("./target/release/{binary} start"),
                85,
                evidence.clone(),
            );
        }
        // https://book.leptos.dev/deployment/ssr.html
        "leptos" if is_leptos() => {
            into.build_command = fact("cargo leptos build --release", 85, evidence.clone());
        }
        // https://dioxuslabs.com/learn/0.6/guides/deploy
        "dioxus" if scan.has("Dioxus.toml") => {
            into.build_command = fact("dx bundle --platform web", 85, evidence.clone());
            into.start_command = fact(
                format!("./target/dx/{binary}/release/web/server"),
                80,
                evidence.clone(),
            );
        }
        _ => {}
    }
}

fn commands(
    scan: &Scan<'_>,
    members: &[Member],
    package: &str,
    binary: &str,
    evidence: &Evidence,
    into: &mut Detection,
) {
    let single = members.len() == 1 && scan.has("Cargo.toml");
    let build = if single {
        "cargo build --release".to_owned()
    } else {
        format!("cargo build --release --package {package}")
    };
    into.build_command = fact(build, 85, evidence.clone());
    into.start_command = fact(format!("./target/release/{binary}"), 85, evidence.clone());
    into.hints.insert("binary".to_owned(), binary.to_owned());
    let assets: Vec<&str> = [
        "assets",
        "static",
        "templates",
        "public",
        "migrations",
        "config",
        "configuration",
        "Rocket.toml",
        "dist",
        "www",
    ]
    .into_iter()
    .filter(|path| scan.has(path) || scan.has_folder(path))
    .collect();
    into.hints.insert("assets".to_owned(), assets.join(" "));
    let links = |name: &str| {
        members
            .iter()
            .any(|member| dependency(&member.manifest, name).is_some())
            || scan
                .line_of("Cargo.lock", &format!("name = \"{name}\""))
                .is_some()
    };
    let mut system = Vec::new();
    for (name, packages) in [
        (
            "openssl-sys",
            "build:libssl-dev build:pkg-config run:libssl3",
        ),
        ("pq-sys", "build:libpq-dev run:libpq5"),
        (
            "mysqlclient-sys",
            "build:default-libmysqlclient-dev run:libmariadb3",
        ),
        (
            "libsqlite3-sys",
            "build:libsqlite3-dev build:pkg-config run:libsqlite3-0",
        ),
        ("prost-build", "build:protobuf-compiler"),
        ("bindgen", "build:libclang-dev"),
    ] {
        if links(name) {
            system.push(packages);
        }
    }
    system.extend(linkers(scan));
    into.hints.insert("system".to_owned(), system.join(" "));
}

/// The linkers that Cargo is told to use (<https://doc.rust-lang.org/cargo/reference/config.html#targettriplelinker>).
fn linkers(scan: &Scan<'_>) -> impl Iterator<Item = &'static str> {
    const LINKERS: &[(&str, &str)] = &[
        ("clang", "build:clang"),
        ("fuse-ld=lld", "build:lld"),
        ("fuse-ld=mold", "build:mold"),
    ];
    let path = scan.first(&[".cargo/config.toml", ".cargo/config"]);
    let text = path.and_then(|path| scan.text(path));
    // Other systems have settings of their own.
    let linux = text.map(|text| {
        let mut is_ours = true;
        let lines = text.lines().filter(|line| {
            let line = line.trim();
            if line.starts_with('[') {
                is_ours = !line.starts_with("[target.") || line.contains("linux");
            }
            is_ours && !line.starts_with('#')
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    let linux = linux.unwrap_or_default();
    LINKERS
        .iter()
        .filter(move |(sign, _)| linux.contains(sign))
        .map(|(_, package)| *package)
}

fn pinned(scan: &Scan<'_>, manifest: &Value) -> Option<Fact<String>> {
    let channel = |path: &str| {
        let channel = scan
            .toml(path)?
            .pointer("/toolchain/channel")?
            .as_str()?
            .to_owned();
        Some((
            channel,
            scan.evidence(path, "channel", "the toolchain file"),
        ))
    };
    let least = manifest
        .pointer("/package/rust-version")
        .or_else(|| manifest.pointer("/workspace/package/rust-version"))
        .and_then(Value::as_str);
    let least = least.map(|text| {
        (
            text.to_owned(),
            scan.evidence("Cargo.toml", "rust-version", "rust-version of Cargo.toml"),
        )
    });
    version(
        "rust",
        [
            channel("rust-toolchain.toml"),
            channel("rust-toolchain"),
            versions::one_line(scan, "rust-toolchain"),
            versions::tool(scan, &["rust"]),
            least,
        ],
    )
}

/// The package of the root and the members of the workspace (<https://doc.rust-lang.org/cargo/reference/workspaces.html>).
fn members(scan: &Scan<'_>, root: &Rc<Value>) -> Vec<Member> {
    let mut found = Vec::new();
    if root.get("package").is_some() {
        found.push(Member {
            path: "Cargo.toml".to_owned(),
            manifest: Rc::clone(root),
        });
    }
    if root.get("workspace").is_some() {
        let folders = services::members(scan, "Cargo.toml").into_iter();
        for folder in folders.filter(|folder| !code::is_test(folder)).take(60) {
            let path = format!("{folder}/Cargo.toml");
            if let Some(manifest) = scan.toml(&path) {
                found.push(Member { path, manifest });
            }
        }
    }
    found
}

fn dependency<'m>(manifest: &'m Value, name: &str) -> Option<&'m Value> {
    manifest
        .get("dependencies")
        .and_then(|table| table.get(name))
        .or_else(|| {
            manifest
                .pointer("/workspace/dependencies")
                .and_then(|table| table.get(name))
        })
}

/// Dioxus makes programs for desktops and telephones as well; a server it makes where a feature says so
/// (<https://dioxuslabs.com/learn/0.6/guides/fullstack>).
fn serves(name: &str, found: &Value) -> bool {
    let features = found.get("features").and_then(Value::as_array);
    let mut features = features.into_iter().flatten().filter_map(Value::as_str);
    name != "dioxus" || features.any(|feature| ["fullstack", "server"].contains(&feature))
}

fn framework(
    scan: &Scan<'_>,
    members: &[Member],
) -> Option<(&'static (&'static str, &'static str, u16), Evidence)> {
    let root = scan.toml("Cargo.toml");
    FRAMEWORKS.iter().find_map(|row| {
        let member = members
            .iter()
            .find(|member| {
                dependency(&member.manifest, row.1).is_some_and(|found| serves(row.1, found))
            })
            .map(|member| member.path.as_str());
        let path = member.or_else(|| {
            root.as_ref()
                .and_then(|root| dependency(root, row.1))
                .filter(|found| serves(row.1, found))
                .map(|_| "Cargo.toml")
        })?;
        Some((
            row,
            scan.evidence(path, row.1, format!("depends on {}", row.1)),
        ))
    })
}

/// Programs that Cargo finds by itself: `src/bin/NAME.rs` and `src/bin/NAME/main.rs`
/// (<https://doc.rust-lang.org/cargo/reference/cargo-targets.html#target-auto-discovery>).
fn found_bins(scan: &Scan<'_>, folder: &str, manifest: &Value) -> Vec<String> {
    let prefix = if folder.is_empty() {
        "src/bin".to_owned()
    } else {
        format!("{folder}/src/bin")
    };
    // A file that a `[[bin]]` names is that program and no second one.
    let bins = manifest.get("bin").and_then(Value::as_array);
    let named = |file: &str| {
        let mut bins = bins.into_iter().flatten();
        bins.any(|bin| bin.get("path").and_then(Value::as_str) == Some(file))
    };
    let files = scan.under(&prefix).filter_map(|path| {
        let rest = path.get(prefix.len() + 1..)?;
        rest.strip_suffix("/main.rs")
            .or_else(|| rest.strip_suffix(".rs"))
            .filter(|name| !name.contains('/') && !named(&format!("src/bin/{rest}")))
            .map(str::to_owned)
    });
    files.take(50).collect()
}

/// The package and the program that serve: `[[bin]]`, `default-run`, or `src/main.rs` under the package's name.
fn program(
    scan: &Scan<'_>,
    members: &[Member],
    framework: Option<&str>,
) -> Option<(String, String, Evidence)> {
    let mut programs: Vec<(u8, String, String, Evidence)> = Vec::new();
    for member in members {
        let Some(package) = member
            .manifest
            .pointer("/package/name")
            .and_then(Value::as_str)
        else {
            continue;
        };
        let folder = folder_of(&member.path);
        let main = format!("{folder}/src/main.rs");
        let main = main.trim_start_matches('/');
        let bins: Vec<&str> = member
            .manifest
            .get("bin")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|bin| bin.get("name")?.as_str())
            .collect();
        let mut bins = bins;
        let found = found_bins(scan, folder, &member.manifest);
        bins.extend(found.iter().map(String::as_str));
        let default = member
            .manifest
            .pointer("/package/default-run")
            .and_then(Value::as_str);
        if bins.is_empty() && !scan.has(main) {
            continue;
        }
        let binary = default
            .or_else(|| {
                bins.iter().copied().find(|bin| {
                    ["server", "web", "api", "main", "app"]
                        .iter()
                        .any(|name| bin.contains(name))
                })
            })
            .or_else(|| bins.first().copied())
            .unwrap_or(package);
        let uses =
            framework.is_some_and(|framework| dependency(&member.manifest, framework).is_some());
        let named = ["server", "web", "api", "app", "backend"]
            .iter()
            .any(|name| package.contains(name));
        let rank = u8::from(!uses) * 4 + u8::from(!folder.is_empty()) * 2 + u8::from(!named);
        programs.push((
            rank,
            package.to_owned(),
            binary.to_owned(),
            Evidence::file(member.path.clone(), "the package with the program"),
        ));
    }
    programs.sort_by_key(|(rank, ..)| *rank);
    programs
        .into_iter()
        .next()
        .map(|(_, package, binary, evidence)| (package, binary, evidence))
}

/// Names of the files in which settings have their defaults, however deep they lie.
const SETTINGS: &[&str] = &["option.rs", "options.rs", "args.rs", "cli.rs", "config.rs"];

/// The port of the program whose package lies in the folder.
fn listens_on(scan: &Scan<'_>, row: Option<(&str, &str, u16)>, folder: &str) -> Fact<u16> {
    if let Some(found) = port::in_env_example(scan) {
        return found;
    }
    let mut files: Vec<String> = [
        "Rocket.toml",
        "configuration/base.yaml",
        "config/default.toml",
        "config/default.yaml",
        "config/config.hjson",
        "config/defaults.hjson",
        "config.default.toml",
    ]
    .into_iter()
    .flat_map(|path| [path.to_owned(), join(folder, path)])
    .filter(|path| scan.has(path))
    .collect();
    files.dedup();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let is_usual = |path: &str| {
        ["main.rs", "config.rs", "server.rs", "settings.rs"].contains(&crate::scan::base_name(path))
    };
    let in_sources = || {
        let sources = || code::each(scan, &[".rs"], 4);
        let is_own = |path: &&str| is_of_package(scan, folder, path);
        let others = || sources().filter(|path| !is_own(path));
        port::nearest(scan, sources().filter(is_own), is_usual)
            .or_else(|| port::nearest(scan, others(), is_usual))
            .or_else(|| port::in_settings(scan, SETTINGS, 5))
    };
    let found = port::in_sources(scan, &files).or_else(in_sources);
    found.unwrap_or_else(|| match row {
        // These have a port of their own; the others listen where the program says.
        Some(row) if ["rocket", "leptos", "loco", "dioxus"].contains(&row.0) => {
            port::default(row.2, row.0)
        }
        row => port::guess(
            row.map_or(8080, |row| row.2),
            row.map_or("Rust servers", |row| row.0),
        ),
    })
}

/// Whether a source belongs to the package in the folder, and not to another one below it
/// (<https://doc.rust-lang.org/cargo/guide/project-layout.html>).
fn is_of_package(scan: &Scan<'_>, folder: &str, path: &str) -> bool {
    let prefix = join(folder, "");
    let Some(rest) = path.strip_prefix(&prefix) else {
        return false;
    };
    let mut below = rest.match_indices('/').map(|(at, _)| &rest[..at]);
    !below.any(|below| scan.has(&format!("{prefix}{below}/Cargo.toml")))
}

const CRATES: &[(&str, Database)] = &[
    ("tokio-postgres", Database::Postgres),
    ("postgres", Database::Postgres),
    ("deadpool-postgres", Database::Postgres),
    ("diesel-async", Database::Postgres),
    ("mysql", Database::Mysql),
    ("mysql_async", Database::Mysql),
    ("mysql_async_wasi", Database::Mysql),
    ("mongodb", Database::Mongodb),
    ("redis", Database::Redis),
    ("fred", Database::Redis),
    ("deadpool-redis", Database::Redis),
    ("bb8-redis", Database::Redis),
];

/// What the workspace says of a dependency that a member takes from it
/// (<https://doc.rust-lang.org/cargo/reference/workspaces.html#the-dependencies-table>).
fn inherited<'m>(root: Option<&'m Value>, name: &str, dependency: &Value) -> Option<&'m Value> {
    dependency.get("workspace")?.as_bool().filter(|is| *is)?;
    root?.get("workspace")?.get("dependencies")?.get(name)
}

fn needs(scan: &Scan<'_>, members: &[Member]) -> Fact<Vec<Database>> {
    let mut needs = databases::Needs::default();
    let mut has_sqlite = false;
    let root = scan.above().unwrap_or(scan).toml("Cargo.toml");
    for member in members {
        for (name, database) in CRATES {
            if dependency(&member.manifest, name).is_some() {
                needs.add(
                    *database,
                    scan.evidence(&member.path, name, format!("depends on {name}")),
                );
            }
        }
        // Clients of several databases say which one among their features.
        for name in ["sqlx", "diesel", "sea-orm"] {
            let Some(dependency) = dependency(&member.manifest, name) else {
                continue;
            };
            let shared = inherited(root.as_deref(), name, dependency);
            let features: Vec<&str> = [Some(dependency), shared]
                .into_iter()
                .flatten()
                .filter_map(|of| of.get("features")?.as_array())
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            has_sqlite |= features.iter().any(|known| known.contains("sqlite"));
            for (feature, database) in
                [("postgres", Database::Postgres), ("mysql", Database::Mysql)]
            {
                if features.iter().any(|known| known.contains(feature)) {
                    needs.add(
                        database,
                        scan.evidence(&member.path, name, format!("{name} with {feature}")),
                    );
                }
            }
        }
    }
    let is_named = needs.confirm_by_env(scan);
    let fact = needs.into_fact_beside(has_sqlite && !is_named);
    databases::unless_unseen(fact, || unseen(root.as_deref(), members))
}

/// A dependency that the root of a workspace describes, where that root is not there
/// (<https://doc.rust-lang.org/cargo/reference/specifying-dependencies.html#inheriting-a-dependency-from-a-workspace>).
fn unseen(root: Option<&Value>, members: &[Member]) -> Option<Evidence> {
    if root.is_some_and(|root| root.get("workspace").is_some()) {
        return None;
    }
    members.iter().find_map(|member| {
        let table = member.manifest.get("dependencies")?.as_object()?;
        let (name, _) = table
            .iter()
            .find(|(_, how)| how.get("workspace").is_some())?;
        let why = format!("the workspace says what {name} is, and lies elsewhere");
        Some(Evidence::file(member.path.clone(), why))
    })
}
