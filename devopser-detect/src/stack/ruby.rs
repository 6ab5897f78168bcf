//! Ruby: Bundler, its frameworks, site generators.

use devopser_core::model::report::{Database, Detection, Evidence, Fact};

use super::{Stack, databases, fact, found, port, version};
use crate::rank::{Found, Strength};
use crate::scan::ruby::Gemfile;
use crate::scan::{Scan, procfile, versions};

/// The Ruby detector.
#[derive(Debug)]
pub(crate) struct Ruby;

/// Servers: id, gem, usual port.
const SERVERS: &[(&str, &str, u16)] = &[
    ("rails", "rails", 3000), // https://guides.rubyonrails.org/command_line.html
    ("hanami", "hanami", 2300), // https://guides.hanamirb.org
    ("sinatra", "sinatra", 4567), // https://sinatrarb.com/intro.html
    ("roda", "roda", 9292),
    ("grape", "grape", 9292),
    ("padrino", "padrino", 3000),
    ("rack", "rack", 9292), // https://github.com/rack/rack
];

/// Site generators: id, gem, settings file, build command, folder of the built files.
const SITES: &[(&str, &str, &str, &str, &str)] = &[
    ("jekyll", "jekyll", "_config.yml", "jekyll build", "_site"), // https://jekyllrb.com/docs/deployment/
    (
        "jekyll",
        "github-pages",
        "_config.yml",
        "jekyll build",
        "_site",
    ),
    (
        "middleman",
        "middleman",
        "config.rb",
        "middleman build",
        "build",
    ), // https://middlemanapp.com/basics/build-and-deploy/
    (
        "bridgetown",
        "bridgetown",
        "bridgetown.config.yml",
        "bridgetown deploy",
        "output",
    ), // https://www.bridgetownrb.com/docs/deployment
    ("nanoc", "nanoc", "nanoc.yaml", "nanoc compile", "output"),
];

impl Stack for Ruby {
    fn id(&self) -> &'static str {
        "ruby"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "Gemfile",
            "Gemfile.lock",
            ".ruby-version",
            ".tool-versions",
            "config.ru",
            "Procfile",
            "database.yml",
            "mongoid.yml",
            "_config.yml",
            ".env.example",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        // Rack stands below the others and gives no answer.
        let servers = SERVERS.iter().map(|(id, ..)| *id);
        let servers = servers.filter(|id| *id != "rack");
        servers.chain(SITES.iter().map(|(id, ..)| *id)).collect()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let gemfile = Gemfile::read(scan);
        let evidence = match &gemfile {
            Some(_) => Evidence::file("Gemfile", "the manifest of Bundler"),
            None => Evidence::file(
                scan.first(&["config.ru"])
                    .or_else(|| scan.root_with(".rb").next())?,
                "a program of Ruby",
            ),
        };
        let mut detection = super::detection("ruby", "ruby", evidence.clone());
        detection.version = pinned(scan, gemfile.as_ref());
        if gemfile.is_some() {
            detection.package_manager = fact("bundler", 95, evidence.clone());
            detection.install_command = fact("bundle install", 90, evidence.clone());
        }
        let gem = |name: &str| gemfile.as_ref().and_then(|gemfile| gemfile.gem(name));
        let site = SITES.iter().find_map(|row| Some((row, gem(row.1)?)));
        let server = SERVERS.iter().find_map(|row| Some((row, gem(row.1)?)));
        if let (Some((row, why)), true) =
            (site, server.as_ref().is_none_or(|(row, _)| row.0 == "rack"))
        {
            return site_of(scan, detection, row, why);
        }
        if let Some((row, why)) = &server
            && row.0 != "rack"
        {
            detection.framework = fact(row.0, 92, why.clone());
        }
        let id = server.as_ref().map(|(row, _)| row.0);
        detection.is_static = Some(Fact::new(false, 90, evidence));
        detection.databases = Some(needs(scan, gemfile.as_ref()));
        detection.start_command = start(scan, id);
        detection.port = Some(listens_on(
            scan,
            id,
            server.as_ref().map_or(4567, |(row, _)| row.2),
            detection.start_command.as_ref(),
        ));
        if let Some(why) = gem("thruster") {
            behind_thruster(why, &mut detection);
        }
        rails(scan, id, gemfile.as_ref(), &mut detection);
        let strength = match (id, &detection.start_command, gemfile.is_some()) {
            (Some(_), Some(_), _) => Strength::Entry,
            (Some(_), None, _) => Strength::Framework,
            (None, Some(_), true) => Strength::Manifest,
            (None, Some(_), false) => Strength::Source,
            (None, None, _) => Strength::Trace,
        };
        found(detection, strength)
    }
}

fn site_of(
    scan: &Scan<'_>,
    mut detection: Detection,
    row: &(&str, &str, &str, &str, &str),
    why: Evidence,
) -> Option<Found> {
    detection.framework = fact(row.0, 92, why.clone());
    detection.is_static = Some(Fact::new(true, 90, why.clone()));
    detection.build_command = fact(format!("bundle exec {}", row.3), 85, why.clone());
    let configured = (row.0 == "jekyll")
        .then(|| scan.yaml("_config.yml"))
        .flatten()
        .and_then(|value| {
            Some(
                value
                    .get("destination")?
                    .as_str()?
                    .trim_start_matches("./")
                    .to_owned(),
            )
        });
    detection.output_dir = fact(configured.unwrap_or_else(|| row.4.to_owned()), 85, why);
    detection.databases = Some(databases::none());
    found(detection, Strength::Site)
}

fn pinned(scan: &Scan<'_>, gemfile: Option<&Gemfile>) -> Option<Fact<String>> {
    let line = gemfile
        .and_then(|gemfile| gemfile.ruby.clone())
        .map(|(version, line)| {
            (
                version,
                Evidence::line("Gemfile", Some(line), "the ruby line of the Gemfile"),
            )
        });
    let lock = scan.text("Gemfile.lock").and_then(|text| {
        let at = text.find("RUBY VERSION")?;
        let wanted = text[at..]
            .lines()
            .nth(1)?
            .trim()
            .strip_prefix("ruby ")?
            .split('p')
            .next()?
            .to_owned();
        Some((
            wanted,
            scan.evidence(
                "Gemfile.lock",
                "RUBY VERSION",
                "the version in the lock file",
            ),
        ))
    });
    version(
        "ruby",
        [
            versions::pinned(scan, &[".ruby-version"], &["ruby"]),
            // Of the range of the Gemfile it names the one (https://devcenter.heroku.com/articles/ruby-versions).
            lock,
            line,
        ],
    )
    .or_else(|| super::built_with(scan, "ruby", "ruby-version"))
}

const ENTRIES: &[&str] = &[
    "app.rb",
    "server.rb",
    "main.rb",
    "web.rb",
    "application.rb",
    "index.rb",
];

/// Rails and Hanami bring their commands; everything on Rack has a `config.ru`.
fn start(scan: &Scan<'_>, id: Option<&str>) -> Option<Fact<String>> {
    if let Some(web) = procfile::process(scan, "web") {
        return Some(web);
    }
    match id {
        Some("rails") => {
            return fact(
                "bundle exec rails server -b 0.0.0.0 -p $PORT",
                85,
                Evidence::file(
                    scan.first(&["bin/rails", "config.ru", "config/application.rb"])
                        .unwrap_or("Gemfile"),
                    "a Rails app",
                ),
            );
        }
        Some("hanami") => {
            return fact(
                "bundle exec hanami server --host=0.0.0.0 --port=$PORT",
                80,
                Evidence::file("Gemfile", "a Hanami app"),
            );
        }
        _ => {}
    }
    if scan.has("config.ru") {
        return fact(
            "bundle exec rackup --host 0.0.0.0 --port $PORT",
            85,
            Evidence::file("config.ru", "a Rack app"),
        );
    }
    let usual = ENTRIES.iter().copied().find(|path| scan.has(path));
    let named = || {
        scan.root_with(".rb").find(|path| {
            scan.text(path).is_some_and(|text| {
                ["sinatra", "WEBrick", "TCPServer", "Rack"]
                    .iter()
                    .any(|sign| text.contains(sign))
            })
        })
    };
    let path = usual.or_else(named)?;
    let prefix = if scan.has("Gemfile") {
        "bundle exec "
    } else {
        ""
    };
    fact(
        format!("{prefix}ruby {path}"),
        75,
        Evidence::file(path, "the entry file"),
    )
}

/// Thruster listens on 80 and hands on to the app's own port (<https://github.com/basecamp/thruster#usage>). Where it
/// is among the gems and the start command does not say whether it stands in front, neither port is sure.
fn behind_thruster(why: Evidence, into: &mut Detection) {
    let started = into.start_command.as_ref();
    if started.is_some_and(|start| start.value.contains("thrust ")) {
        into.port = Some(Fact::new(80, 80, why));
    } else if let Some(port) = &mut into.port {
        port.confidence = crate::summary::GUESS;
        port.evidence.push(why);
    }
}

fn listens_on(
    scan: &Scan<'_>,
    id: Option<&str>,
    usual: u16,
    start: Option<&Fact<String>>,
) -> Fact<u16> {
    if let Some(found) = start.and_then(|start| {
        Some(Fact {
            value: port::in_command(&start.value)?,
            confidence: 85,
            evidence: start.evidence.clone(),
        })
    }) {
        return found;
    }
    let files: Vec<&str> = [
        "config/puma.rb",
        "puma.rb",
        "app.rb",
        "server.rb",
        "config.ru",
    ]
    .into_iter()
    .chain(scan.root_with(".rb"))
    .filter(|path| scan.has(path))
    .collect();
    port::in_env_example(scan)
        .or_else(|| port::in_sources(scan, &files))
        .unwrap_or_else(|| match id {
            Some(id @ ("rails" | "hanami" | "padrino")) => port::default(usual, id),
            // Rackup, Puma and the frameworks' own servers differ.
            id => port::guess(usual, id.unwrap_or("Ruby servers")),
        })
}

fn rails(scan: &Scan<'_>, id: Option<&str>, gemfile: Option<&Gemfile>, into: &mut Detection) {
    if id == Some("rails") {
        into.hints.insert("rails".to_owned(), "true".to_owned());
        let assets = ["app/assets", "app/javascript"]
            .into_iter()
            .find(|folder| scan.has_folder(folder));
        if let Some(folder) = assets {
            into.build_command = fact(
                "bundle exec rails assets:precompile",
                80,
                Evidence::file(folder, "assets of a Rails app"),
            );
        }
        if scan.package().is_some() {
            into.hints.insert("node".to_owned(), "true".to_owned());
        }
    }
    if scan.has("Gemfile.lock") {
        into.hints
            .insert("lock".to_owned(), "Gemfile.lock".to_owned());
    }
    if gemfile.is_some_and(|gemfile| gemfile.needs_sources) {
        into.hints
            .insert("install-needs-source".to_owned(), "true".to_owned());
    }
    let packages: Vec<&str> = [
        ("pg", "build:libpq-dev run:libpq5"),
        ("mysql2", "build:default-libmysqlclient-dev run:libmariadb3"),
        ("sqlite3", "build:libsqlite3-dev run:libsqlite3-0"),
        ("image_processing", "run:libvips42"),
        ("mini_magick", "run:imagemagick"),
    ]
    .into_iter()
    .filter(|(gem, _)| gemfile.is_some_and(|gemfile| gemfile.gem(gem).is_some()))
    .map(|(_, packages)| packages)
    .collect();
    into.hints.insert("system".to_owned(), packages.join(" "));
}

const GEMS: &[(&str, Database)] = &[
    ("pg", Database::Postgres),
    ("sequel_pg", Database::Postgres),
    ("activerecord-postgis-adapter", Database::Postgres),
    ("mysql2", Database::Mysql),
    ("trilogy", Database::Mysql),
    ("mongoid", Database::Mongodb),
    ("mongo", Database::Mongodb),
    ("redis", Database::Redis),
    ("sidekiq", Database::Redis),
    ("resque", Database::Redis),
    ("hiredis", Database::Redis),
    ("redis-rails", Database::Redis),
    ("sqlite3", Database::Sqlite),
];

fn needs(scan: &Scan<'_>, gemfile: Option<&Gemfile>) -> Fact<Vec<Database>> {
    let mut needs = databases::Needs::default();
    for (name, database) in GEMS {
        if let Some(evidence) = gemfile.and_then(|gemfile| gemfile.gem(name)) {
            needs.add(*database, evidence);
        }
    }
    needs.confirm_by_env(scan);
    const ADAPTERS: &[(&str, Database)] = &[
        ("adapter: postgresql", Database::Postgres),
        ("adapter: mysql2", Database::Mysql),
        ("adapter: trilogy", Database::Mysql),
    ];
    // The adapter decides between drivers (https://guides.rubyonrails.org/configuring.html#configuring-a-database).
    let mut adapters = databases::Needs::default();
    adapters.add_words(scan, "config/database.yml", ADAPTERS);
    needs.settle_by(adapters);
    needs.into_fact()
}
