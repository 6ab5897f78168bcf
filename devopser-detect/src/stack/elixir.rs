//! Elixir: Mix and Phoenix.

use devopser_core::model::report::{Database, Evidence, Fact};

use super::{Stack, databases, fact, found, port, version};
use crate::rank::{Found, Strength};
use crate::scan::{Scan, procfile, versions};

/// The Elixir detector.
#[derive(Debug)]
pub(crate) struct Elixir;

impl Stack for Elixir {
    fn id(&self) -> &'static str {
        "elixir"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "mix.exs",
            "mix.lock",
            ".tool-versions",
            ".elixir-version",
            "elixir_buildpack.config",
            "runtime.exs",
            "config.exs",
            "application.ex",
            "prod.exs",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        vec!["phoenix"]
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let text = scan.text("mix.exs")?;
        let evidence = Evidence::file("mix.exs", "the project file of Mix");
        let mut detection = super::detection("elixir", "elixir", evidence.clone());
        detection.package_manager = fact("mix", 95, evidence.clone());
        detection.install_command = fact("mix deps.get --only prod", 88, evidence.clone());
        detection.version = pinned(scan, &text);
        detection.is_static = Some(Fact::new(false, 88, evidence.clone()));
        let phoenix = text
            .contains("{:phoenix,")
            .then(|| scan.evidence("mix.exs", "{:phoenix,", "depends on phoenix"));
        if let Some(evidence) = &phoenix {
            detection.framework = fact("phoenix", 95, evidence.clone());
        }
        let name = text
            .find("app: :")
            .and_then(|at| {
                text[at + 6..]
                    .split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
                    .next()
            })
            .unwrap_or("app")
            .to_owned();
        let assets = text.contains("assets.deploy");
        detection.build_command = fact(
            if assets {
                "mix do assets.deploy, release"
            } else {
                "mix release"
            },
            75,
            evidence.clone(),
        );
        // https://hexdocs.pm/phoenix/releases.html
        let start = if phoenix.is_some() {
            "mix phx.server".to_owned()
        } else {
            "mix run --no-halt".to_owned()
        };
        detection.start_command =
            procfile::process(scan, "web").or_else(|| fact(start, 75, evidence));
        detection.hints.insert("release-name".to_owned(), name);
        detection.port = Some(port_of(scan));
        detection.databases = Some(needs(scan));
        found(
            detection,
            if phoenix.is_some() {
                Strength::Entry
            } else {
                Strength::Manifest
            },
        )
    }
}

fn pinned(scan: &Scan<'_>, mix: &str) -> Option<Fact<String>> {
    let build = scan.text("elixir_buildpack.config").and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("elixir_version="))?;
        Some((
            line.trim().to_owned(),
            scan.evidence(
                "elixir_buildpack.config",
                "elixir_version",
                "the buildpack's settings",
            ),
        ))
    });
    let own = mix.find("elixir: \"").and_then(|at| {
        let wanted = mix[at + 9..]
            .split('"')
            .next()?
            .split(" or ")
            .next()?
            .to_owned();
        Some((
            wanted,
            scan.evidence("mix.exs", "elixir: \"", "the version that mix.exs asks for"),
        ))
    });
    let tool =
        versions::pinned(scan, &[".elixir-version"], &["elixir"]).map(|(version, evidence)| {
            (
                version.split("-otp").next().unwrap_or_default().to_owned(),
                evidence,
            )
        });
    version("elixir", [tool, build, own])
}

fn port_of(scan: &Scan<'_>) -> Fact<u16> {
    for path in [
        "config/runtime.exs",
        "config/prod.exs",
        "config/releases.exs",
        "config/config.exs",
    ] {
        let Some(text) = scan.text(path) else {
            continue;
        };
        for sign in [
            "\"PORT\", :integer) || ",
            "\"PORT\") || \"",
            "\"PORT\", \"",
            "\"PORT\", ",
            "port: ",
        ] {
            let own = text
                .match_indices(sign)
                .filter(|(at, _)| sign != "port: " || is_of_http(&text, *at));
            let mut found = own.filter_map(|(at, _)| {
                let rest = &text[at + sign.len()..];
                let end = rest.find(|char: char| !char.is_ascii_digit());
                Some((at, rest[..end.unwrap_or(rest.len())].parse().ok()?))
            });
            if let Some((at, port)) = found.next() {
                let line = crate::scan::line_at(&text, at);
                return Fact::new(port, 80, Evidence::line(path, line, "the endpoint's port"));
            }
        }
    }
    if scan.line_of("mix.exs", "{:phoenix,").is_some() {
        return port::default(4000, "Phoenix");
    }
    // Where the processes of an app are started (https://hexdocs.pm/elixir/Application.html).
    if let Some(found) = port::in_settings(scan, &["application.ex"], 3) {
        return found;
    }
    port::guess(4000, "Elixir servers")
}

/// Whether a setting belongs to `http: […]`, which says where the server listens: `url: […]` says how links are written,
/// and others have ports of their own (<https://hexdocs.pm/phoenix/Phoenix.Endpoint.html#module-runtime-configuration>).
fn is_of_http(text: &str, at: usize) -> bool {
    let open = text[..at].rfind('[');
    let is_http = open.is_some_and(|open| text[..open].trim_end().ends_with("http:"));
    let start = text[..at].rfind("config :").unwrap_or_default();
    let endpoint = text[start..at].lines().next().unwrap_or_default();
    is_http && !endpoint.contains("Metrics")
}

const WORDS: &[(&str, Database)] = &[
    ("{:postgrex,", Database::Postgres),
    ("{:myxql,", Database::Mysql),
    ("{:mongodb_driver,", Database::Mongodb),
    ("{:mongodb,", Database::Mongodb),
    ("{:redix,", Database::Redis),
];

fn needs(scan: &Scan<'_>) -> Fact<Vec<Database>> {
    databases::by_words(scan, WORDS, &["mix.exs", "apps/core/mix.exs"])
}
