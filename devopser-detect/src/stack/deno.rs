//! Deno and Bun.

use devopser_core::model::report::{Detection, Evidence, Fact};
use serde_json::Value;

use super::{Stack, databases, fact, found, port, version};
use crate::rank::{Found, Strength};
use crate::scan::{Scan, code, procfile, versions};

/// The Deno detector.
#[derive(Debug)]
pub(crate) struct Deno;

const ENTRIES: &[&str] = &[
    "main.ts",
    "main.tsx",
    "mod.ts",
    "server.ts",
    "app.ts",
    "index.ts",
    "src/main.ts",
    "src/server.ts",
    "src/index.ts",
    "src/app.ts",
    "main.js",
    "server.js",
];
const FRAMEWORKS: &[(&str, &str)] = &[
    ("fresh", "fresh"),
    ("hono", "hono"),
    ("oak", "@oak/oak"),
    ("oak", "x/oak"),
    ("lume", "lume/"),
    ("aleph", "aleph"),
];

impl Stack for Deno {
    fn id(&self) -> &'static str {
        "deno"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "deno.json",
            "deno.jsonc",
            "deno.lock",
            "main.ts",
            "server.ts",
            "mod.ts",
            "deps.ts",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        FRAMEWORKS.iter().map(|(id, _)| *id).collect()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let config = scan.first(&["deno.json", "deno.jsonc"]);
        let lock = scan.first(&["deno.lock"]);
        let script = entry(scan, config);
        let path = config.or(lock).or(script)?;
        // A folder of edge functions or tools in another repository has these files as well (supabase/functions).
        if script.is_none() && config.is_none() {
            return None;
        }
        let mut detection =
            super::detection("deno", "deno", Evidence::file(path, "a file of Deno"));
        let evidence = Evidence::file(path, "a file of Deno");
        let settings = config.and_then(|config| scan.json(config));
        detection.version = version(
            "deno",
            [versions::pinned(
                scan,
                &[".deno-version", ".dvmrc"],
                &["deno"],
            )],
        );
        detection.framework = framework(scan, config, script);
        detection.is_static = Some(Fact::new(false, 85, evidence));
        detection.start_command = start(scan, config, settings.as_deref(), script);
        detection.build_command = build(scan, config, settings.as_deref());
        detection.databases = Some(databases::by_words(
            scan,
            WORDS,
            &[
                config.unwrap_or("deno.json"),
                "deps.ts",
                script.unwrap_or("main.ts"),
                "import_map.json",
            ],
        ));
        let script_files: Vec<&str> = script.into_iter().collect();
        let sources = code::each(scan, &[".ts", ".tsx", ".js"], 2);
        detection.port = Some(
            port::in_env_example(scan)
                .or_else(|| port::in_sources(scan, &script_files))
                .or_else(|| port::nearest(scan, sources, |_| true))
                .or_else(|| port::in_settings(scan, &["config.ts", "env.ts", "settings.ts"], 4))
                .unwrap_or_else(|| port::default(8000, "Deno.serve")),
        );
        entry_hint(script, &mut detection);
        if site(&mut detection) {
            return found(detection, Strength::Site);
        }
        let strength = match (config, &detection.start_command) {
            (Some(_), Some(_)) if scan.package().is_none() => Strength::Entry,
            (Some(_), Some(_)) => Strength::Manifest,
            (None, Some(_)) => Strength::Source,
            (_, None) => Strength::Trace,
        };
        found(detection, strength)
    }
}

/// The file in which it begins.
fn entry<'t>(scan: &'t Scan<'_>, config: Option<&str>) -> Option<&'t str> {
    let usual = ENTRIES.iter().copied();
    let mut usual = usual.filter(|path| scan.has(path) && is_deno(scan, path));
    usual.next().or_else(|| {
        let bare = scan.package().is_none() && config.is_none();
        bare.then(|| scan.root_with(".ts").find(|path| is_deno(scan, path)))
            .flatten()
    })
}

/// Whether it is a site. Lume builds files; what serves them is for development (<https://lume.land/docs/overview/command-line/>).
fn site(into: &mut Detection) -> bool {
    let framework = into.framework.as_ref().filter(|id| id.value == "lume");
    let evidence = framework.and_then(|id| id.evidence.first().cloned());
    let Some(evidence) = evidence else {
        return false;
    };
    into.start_command = None;
    into.port = None;
    into.is_static = Some(Fact::new(true, 85, evidence.clone()));
    into.output_dir = fact("_site", 85, evidence);
    true
}

const WORDS: &[(&str, devopser_core::model::report::Database)] = &[
    ("mongo", devopser_core::model::report::Database::Mongodb),
    ("postgres", devopser_core::model::report::Database::Postgres),
    ("mysql", devopser_core::model::report::Database::Mysql),
    ("redis", devopser_core::model::report::Database::Redis),
];

fn entry_hint(script: Option<&str>, into: &mut Detection) {
    if let Some(script) = script {
        into.hints.insert("entry".to_owned(), script.to_owned());
    }
}

fn is_deno(scan: &Scan<'_>, path: &str) -> bool {
    scan.text(path).is_some_and(|text| {
        // Deno runs CommonJS in .cjs alone (https://docs.deno.com/runtime/fundamentals/node/#commonjs-support).
        let is_module = !text.contains("require(");
        is_module
            && [
                "Deno.",
                "from \"jsr:",
                "from \"npm:",
                "https://deno.land",
                "from 'jsr:",
                "@std/",
                "serve(",
                "listen(",
            ]
            .iter()
            .any(|sign| text.contains(sign))
    })
}

fn framework(scan: &Scan<'_>, config: Option<&str>, script: Option<&str>) -> Option<Fact<String>> {
    let files: Vec<&str> = config
        .into_iter()
        .chain(script)
        .chain(["deps.ts", "import_map.json", "src/server.ts"])
        .collect();
    FRAMEWORKS.iter().find_map(|(id, sign)| {
        let path = files.iter().find(|path| {
            scan.text(path).is_some_and(|text| {
                text.contains(&format!("{sign}@"))
                    || text.contains(&format!("\"{sign}"))
                    || text.contains(&format!("/{sign}"))
            })
        })?;
        fact(
            *id,
            80,
            scan.evidence(path, sign, format!("imports {sign}")),
        )
    })
}

/// The `build` task, of which the `start` task may need the result (<https://docs.deno.com/runtime/reference/cli/task/>).
fn build(scan: &Scan<'_>, config: Option<&str>, settings: Option<&Value>) -> Option<Fact<String>> {
    settings?.get("tasks")?.get("build")?;
    let evidence = scan.evidence(config?, "\"build\"", "the build task");
    fact("deno task build", 85, evidence)
}

/// The `start` task, or the entry file (<https://docs.deno.com/runtime/reference/cli/task/>).
fn start(
    scan: &Scan<'_>,
    config: Option<&str>,
    settings: Option<&Value>,
    script: Option<&str>,
) -> Option<Fact<String>> {
    if let Some(web) = procfile::process(scan, "web") {
        return Some(web);
    }
    let tasks = settings
        .and_then(|value| value.get("tasks"))
        .and_then(Value::as_object);
    let task = |name: &str| {
        tasks
            .and_then(|tasks| tasks.get(name))
            .and_then(|task| task.as_str().or_else(|| task.get("command")?.as_str()))
    };
    for name in ["start", "serve", "preview"] {
        if let Some(text) = task(name).filter(|text| !text.contains("--watch")) {
            let evidence = scan.evidence(
                config?,
                &format!("\"{name}\""),
                format!("the {name} task: {text}"),
            );
            return fact(format!("deno task {name}"), 90, evidence);
        }
    }
    let script = script?;
    fact(
        format!("deno run --allow-net --allow-env --allow-read {script}"),
        75,
        Evidence::file(script, "the entry file"),
    )
}

/// The Bun detector: Bun as the runtime, not only as a package manager.
#[derive(Debug)]
pub(crate) struct Bun;

impl Stack for Bun {
    fn id(&self) -> &'static str {
        "bun"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "package.json",
            "bun.lock",
            "bun.lockb",
            "bunfig.toml",
            ".bun-version",
            "index.ts",
            "src/index.ts",
            "server.ts",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        super::node::Node.frameworks()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let sign = sign_of_bun(scan)?;
        let mut found = super::node::Node.detect(scan).unwrap_or_else(|| Found {
            detection: Detection::default(),
            strength: Strength::Source,
        });
        let detection = &mut found.detection;
        let is_static = detection.is_static.as_ref().is_some_and(|fact| fact.value);
        if sign.script.is_none() && sign.entry.is_none() && is_static {
            return None;
        }
        detection.detector = "bun".to_owned();
        detection.runtime = Some(Fact::new("bun".to_owned(), 90, sign.evidence.clone()));
        detection.version = bun_version(scan);
        installs_with_bun(scan, detection);
        detection.is_static = Some(Fact::new(false, 85, sign.evidence.clone()));
        bun_start(sign.script, sign.entry, &sign.evidence, detection);
        if bundles_when_it_runs(scan, &sign) {
            let hint = "keep-dev".to_owned();
            detection.hints.insert(hint, "true".to_owned());
        }
        detection.databases.get_or_insert_with(databases::none);
        // https://bun.com/docs/runtime/http/server#changing-the-port-and-hostname
        let unnamed = detection
            .port
            .as_ref()
            .is_none_or(|port| port.confidence <= crate::summary::GUESS);
        let serves = |path: &&str| {
            scan.text(path)
                .is_some_and(|text| text.contains("serve(") || text.contains("export default"))
        };
        if let (true, Some(entry)) = (unnamed, sign.entry.filter(serves)) {
            detection.port = Some(
                port::in_sources(scan, &[entry])
                    .unwrap_or_else(|| port::default(3000, "Bun.serve")),
            );
        }
        detection
            .port
            .get_or_insert_with(|| port::guess(3000, "Bun servers"));
        found.strength = if found.detection.start_command.is_some() {
            Strength::Entry
        } else {
            Strength::Manifest
        };
        Some(found)
    }
}

/// What speaks for Bun as the runtime.
struct Sign {
    /// The script that starts it with bun.
    script: Option<&'static str>,
    /// The entry file that uses Bun's own API.
    entry: Option<&'static str>,
    evidence: Evidence,
}

fn sign_of_bun(scan: &Scan<'_>) -> Option<Sign> {
    let package = scan.package();
    let script_of = |name: &str| {
        package
            .as_ref()
            .and_then(|package| package.script(name))
            .unwrap_or_default()
            .to_owned()
    };
    let script = ["start", "start:prod", "serve"]
        .into_iter()
        .find(|name| runs_bun(&script_of(name)));
    let other_start = !script_of("start").is_empty() && !runs_bun(&script_of("start"));
    if script.is_none() && other_start {
        return None;
    }
    let entry = entries_of_bun().find(|path| scan.has(path) && uses_bun(scan, path));
    let dev = script_of("dev");
    // A file that `bun run` is given runs as it is; anything else is another script
    // (<https://hono.dev/docs/getting-started/bun>, <https://bun.com/docs/runtime>).
    let developed = entries_of_bun()
        .find(|path| runs_bun(&dev) && dev.split_whitespace().any(|word| word == *path))
        .filter(|path| scan.has(path));
    let develops = runs_bun(&dev)
        && !dev.contains("bunx")
        && (!dev.contains("bun run ") || developed.is_some());
    let elysia = package
        .as_ref()
        .is_some_and(|package| package.has("elysia"));
    let evidence = match (script, entry) {
        (Some(name), _) => scan.in_package(name, "the start script runs bun"),
        (None, Some(path)) => Evidence::file(path, "it uses Bun's own API"),
        _ if elysia => scan.in_package("elysia", "it is written for Bun"),
        _ if develops => scan.in_package("dev", "it is written for Bun"),
        _ => return module_of_bun(scan),
    };
    let module = || module_of_bun(scan)?.entry;
    Some(Sign {
        entry: entry.or_else(|| developed.or_else(module).filter(|_| script.is_none())),
        script,
        evidence,
    })
}

/// Whether the server bundles its pages while it runs, for which it needs what a build does
/// (<https://bun.com/docs/bundler/fullstack>).
fn bundles_when_it_runs(scan: &Scan<'_>, sign: &Sign) -> bool {
    let package = scan.package();
    let script = sign.script.and_then(|name| package.as_ref()?.script(name));
    let words = script.unwrap_or_default().split_whitespace();
    let mut files = words.chain(sign.entry).filter(|word| scan.has(word));
    files.any(|path| {
        let text = scan.text(path).unwrap_or_default();
        let mut imports = text.lines().filter(|line| line.contains("import"));
        imports.any(|line| line.contains(".html\"") || line.contains(".html'"))
    })
}

/// Entry files by convention; Bun runs TypeScript and JSX as they are.
fn entries_of_bun() -> impl Iterator<Item = &'static str> {
    const MORE: &[&str] = &[
        "index.tsx",
        "src/index.tsx",
        "api.ts",
        "index.js",
        "server.js",
        "src/index.js",
    ];
    let entries = super::node::commands::TYPESCRIPT_ENTRIES.iter();
    entries.chain(MORE).copied()
}

/// `bun init` writes a TypeScript file as `module` and starts that (<https://bun.com/docs/runtime/templating/init>).
fn module_of_bun(scan: &Scan<'_>) -> Option<Sign> {
    let lock = scan.first(&["bun.lock", "bun.lockb", "bunfig.toml"])?;
    let package = scan.package()?;
    let module = package.value.get("module")?.as_str()?;
    let module = module.trim_start_matches("./");
    let entry = entries_of_bun().find(|path| *path == module && scan.has(path))?;
    Some(Sign {
        script: None,
        entry: Some(entry),
        evidence: Evidence::file(lock, format!("installed by bun, whose module is {entry}")),
    })
}

fn bun_version(scan: &Scan<'_>) -> Option<Fact<String>> {
    let package = scan.package();
    let own = package
        .as_ref()
        .and_then(|package| package.package_manager.as_deref()?.strip_prefix("bun@"));
    let own = own.map(|version| {
        (
            version.to_owned(),
            scan.in_package("packageManager", "packageManager names it"),
        )
    });
    version(
        "bun",
        [versions::pinned(scan, &[".bun-version"], &["bun"]), own],
    )
}

/// Bun installs for itself, unless another package manager's lock file is there.
fn installs_with_bun(scan: &Scan<'_>, detection: &mut Detection) {
    let lock = scan.first(&["bun.lock", "bun.lockb", "bunfig.toml", ".bun-version"]);
    let other = detection
        .package_manager
        .as_ref()
        .is_some_and(|fact| fact.confidence > 60);
    if lock.is_none() && other {
        return;
    }
    let evidence = Evidence::file(lock.unwrap_or("package.json"), "bun installs for itself");
    let locked = scan.has("bun.lock") || scan.has("bun.lockb");
    let command = if locked {
        "bun install --frozen-lockfile"
    } else {
        "bun install"
    };
    detection.package_manager = fact("bun", 85, evidence.clone());
    detection.install_command = fact(command, 80, evidence);
}

fn bun_start(
    starts: Option<&str>,
    entry: Option<&str>,
    evidence: &Evidence,
    detection: &mut Detection,
) {
    match (starts, entry) {
        (Some(name), _) => {
            detection.start_command = fact(format!("bun run {name}"), 90, evidence.clone())
        }
        (None, Some(path)) => {
            detection.hints.remove("start");
            detection.start_command = fact(
                format!("bun run {path}"),
                80,
                Evidence::file(path, "the entry file"),
            );
        }
        _ => {
            if let Some(start) = detection.start_command.as_mut() {
                start.value = start
                    .value
                    .replace("node --experimental-strip-types ", "bun run ")
                    .replace("node ", "bun run ");
            }
        }
    }
}

fn runs_bun(script: &str) -> bool {
    script.split([' ', '&', ';', '=']).any(|word| word == "bun")
        && !script.contains("bun run build")
        && !["bun run next", "bun run vite", "bun --bun next"]
            .iter()
            .any(|other| script.contains(other))
}

fn uses_bun(scan: &Scan<'_>, path: &str) -> bool {
    scan.text(path).is_some_and(|text| {
        [
            "Bun.serve",
            "from \"bun\"",
            "from 'bun'",
            "Bun.env",
            "Bun.file",
        ]
        .iter()
        .any(|sign| text.contains(sign))
    })
}
