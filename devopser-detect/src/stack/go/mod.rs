//! Go: modules, `cmd/` layouts, and programs without a module.

mod commands;
mod listen;

use devopser_core::model::report::{Detection, Evidence, Fact};

use super::{Stack, databases, fact, found, pages, version};
use crate::rank::{Found, Strength};
use crate::scan::go::GoMod;
use crate::scan::{Scan, code, folder_of, is_plain, versions};

/// The Go detector.
#[derive(Debug)]
pub(crate) struct Go;

/// Web frameworks: module and id (each framework's own documentation starts with this import).
const FRAMEWORKS: &[(&str, &str)] = &[
    ("github.com/gin-gonic/gin", "gin"),
    ("github.com/labstack/echo", "echo"),
    ("github.com/gofiber/fiber", "fiber"),
    ("github.com/go-chi/chi", "chi"),
    ("github.com/beego/beego", "beego"),
    ("github.com/gobuffalo/buffalo", "buffalo"),
    ("github.com/kataras/iris", "iris"),
    ("github.com/gorilla/mux", "gorilla"),
    ("github.com/go-macaron/macaron", "macaron"),
    ("github.com/pocketbase/pocketbase", "pocketbase"),
    ("github.com/julienschmidt/httprouter", "httprouter"),
    ("gopkg.in/macaron.v1", "macaron"),
];

/// Pages that `go:embed` takes into the program (<https://pkg.go.dev/embed>).
const PAGES: pages::Language = pages::Language {
    ending: ".go",
    names: &[
        "assets.go",
        "embed.go",
        "frontend.go",
        "fs_embed.go",
        "router.go",
        "serve.go",
        "static.go",
        "ui.go",
        "web.go",
    ],
    embedded: pages::in_go,
};

impl Stack for Go {
    fn id(&self) -> &'static str {
        "go"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "go.mod",
            "go.work",
            ".go-version",
            ".tool-versions",
            "mise.toml",
            "main.go",
            "Procfile",
            ".env.example",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        FRAMEWORKS.iter().map(|(_, id)| *id).collect()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let module = GoMod::read(scan, "go.mod");
        let module = module.or_else(|| above(scan));
        let evidence = match &module {
            Some(module) => Evidence::file(module.path.clone(), "the module file of Go"),
            None => Evidence::file(
                scan.first(&["go.work"])
                    .or_else(|| scan.first(&["main.go"]))
                    .or_else(|| scan.root_with(".go").next())?,
                "Go sources",
            ),
        };
        let mut detection = super::detection("go", "go", evidence.clone());
        detection.version = pinned(scan, module.as_ref());
        if module.is_some() {
            detection.package_manager = fact("gomod", 95, evidence.clone());
            detection.install_command = fact("go mod download", 90, evidence.clone());
        }
        // Without a module's file, what the sources import says what they need.
        let imported = module.is_none().then(|| imports(scan));
        let known = module.as_ref().or(imported.as_ref());
        let framework = known.and_then(framework);
        if let Some((id, evidence)) = framework.clone() {
            detection.framework = fact(id, 85, evidence);
        }
        detection.is_static = Some(Fact::new(false, 85, evidence.clone()));
        detection.databases = Some(databases::of_go(scan, known));
        let id = framework.as_ref().map(|(id, _)| *id);
        detection.port = Some(listen::listens_on(scan, id));
        if let Some((package, evidence)) = main_package(scan, module.as_ref()) {
            built(scan, module.as_ref(), &package, evidence, &mut detection);
            detection.start_command = started(scan, id, &package, &detection);
        }
        // What has its pages in itself serves them.
        let serves = framework.is_some() || detection.pages.is_some();
        let strength = match (&module, &detection.build_command) {
            (None, _) => Strength::Source,
            (Some(_), None) => Strength::Trace,
            (Some(_), Some(_)) if serves => Strength::Framework,
            (Some(_), Some(_)) => Strength::Manifest,
        };
        found(detection, strength)
    }
}

/// How the program is built, and what the build needs.
fn built(
    scan: &Scan<'_>,
    module: Option<&GoMod>,
    package: &str,
    evidence: Evidence,
    into: &mut Detection,
) {
    let target = if package.is_empty() {
        ".".to_owned()
    } else {
        format!("./{package}")
    };
    into.build_command = fact(format!("go build -o app {target}"), 85, evidence);
    into.hints.insert("main".to_owned(), target);
    into.pages = pages::of(scan, &PAGES);
    copied(scan, module, into);
    if needs_cgo(module) {
        into.hints.insert("cgo".to_owned(), "true".to_owned());
    }
}

/// The module that a command below its `cmd/` belongs to, with the requirements that the command's own sources import.
fn above(scan: &Scan<'_>) -> Option<GoMod> {
    let top = scan.above()?;
    code::each(scan, &[".go"], 1).next()?;
    let paths = scan.ancestors_of("go.mod").into_iter();
    let mut module = paths
        .filter(|path| top.has(path))
        .find_map(|path| GoMod::read(top, &path))?;
    let sources = code::each(scan, &[".go"], 2).filter_map(|path| scan.text(path));
    let sources: Vec<_> = sources.collect();
    module.requires.retain(|(name, _)| {
        let import = format!("\"{name}");
        sources.iter().any(|text| text.contains(import.as_str()))
    });
    Some(module)
}

/// What sources import, as a module would require it.
fn imports(scan: &Scan<'_>) -> GoMod {
    let mut found = GoMod::default();
    for path in code::each(scan, &[".go"], 2) {
        let text = scan.text(path).unwrap_or_default();
        for (line, number) in text.lines().zip(1..).take(100) {
            let Some((_, import)) = line.split_once('"') else {
                continue;
            };
            let import = import.split('"').next().unwrap_or_default();
            let is_module = import
                .split('/')
                .next()
                .is_some_and(|host| host.contains('.'));
            if !is_module || found.requires.len() > 400 {
                continue;
            }
            found.path = path.to_owned();
            // A package of a module is named below it.
            let ends = import.match_indices('/').map(|(at, _)| at).skip(1);
            let above = ends.map(|end| (import[..end].to_owned(), number));
            found.requires.extend(above);
            found.requires.push((import.to_owned(), number));
        }
    }
    found
}

fn framework(module: &GoMod) -> Option<(&'static str, Evidence)> {
    let mut rows = FRAMEWORKS.iter();
    rows.find_map(|(name, id)| Some((*id, module.requires(name)?)))
}

/// A program with commands serves only when it is told to; PocketBase brings such commands
/// (<https://pocketbase.io/docs/going-to-production/>).
fn started(
    scan: &Scan<'_>,
    id: Option<&str>,
    package: &str,
    built: &Detection,
) -> Option<Fact<String>> {
    if id == Some("pocketbase") {
        let evidence = built.build_command.as_ref()?.evidence.first()?;
        return fact("./app serve --http=0.0.0.0:$PORT", 80, evidence.clone());
    }
    if let Some((name, evidence)) = commands::serving(scan, package) {
        return fact(format!("./app {name}"), 80, evidence);
    }
    let evidence = built.build_command.as_ref()?.evidence.first()?;
    fact("./app", 80, evidence.clone())
}

/// What the build copies first, and the folders without Go code that a running program may read.
fn copied(scan: &Scan<'_>, module: Option<&GoMod>, into: &mut Detection) {
    let mut files: Vec<&str> = ["go.mod", "go.sum"]
        .into_iter()
        .filter(|path| scan.has(path))
        .collect();
    // The module's file lies above: it is there with all the rest.
    if files.is_empty() && module.is_some() {
        files.push("go.mod");
    }
    into.hints.insert("files".to_owned(), files.join(" "));
    if scan.has("go.work")
        || module.is_some_and(|module| {
            scan.line_of(&module.path, "=> ./")
                .or_else(|| scan.line_of(&module.path, "=> ../"))
                .is_some()
        })
    {
        into.hints
            .insert("install-needs-source".to_owned(), "true".to_owned());
    }
    const ASSETS: &[&str] = &[
        "assets",
        "conf",
        "config",
        "configs",
        "content",
        "data",
        "etc",
        "locales",
        "migrations",
        "public",
        "resources",
        "sql",
        "static",
        "template",
        "templates",
        "ui",
        "views",
        "web",
        "www",
    ];
    let front = into.pages.as_ref().map(|pages| pages.folder.as_str());
    let folders = ASSETS.iter().copied().filter(|folder| {
        front != Some(folder)
            && scan.has_folder(folder)
            && !scan.under(folder).any(|path| path.ends_with(".go"))
    });
    let assets: Vec<&str> = folders.chain(files_read(scan)).collect();
    into.hints.insert("assets".to_owned(), assets.join(" "));
}

/// Files of the root that a source there names, such as a template or settings.
fn files_read<'t>(scan: &'t Scan<'_>) -> impl Iterator<Item = &'t str> {
    const ENDINGS: &[&str] = &[
        ".html", ".gohtml", ".tmpl", ".tpl", ".json", ".yaml", ".yml", ".toml", ".ini", ".conf",
        ".csv",
    ];
    let sources = scan.root_with(".go").filter(|path| code::is_own(path));
    let sources: Vec<_> = sources.filter_map(|path| scan.text(path)).collect();
    let is_named = move |path: &str| {
        let quoted = [format!("\"{path}\""), format!("\"./{path}\"")];
        let mut named = sources.iter();
        named.any(|text| quoted.iter().any(|quoted| text.contains(quoted.as_str())))
    };
    let files = ENDINGS.iter().flat_map(|ending| scan.root_with(ending));
    files
        .filter(move |path| is_plain(path) && is_named(path))
        .take(20)
}

/// Drivers that are C below (<https://github.com/mattn/go-sqlite3#installation>).
fn needs_cgo(module: Option<&GoMod>) -> bool {
    module.is_some_and(|module| {
        [
            "github.com/mattn/go-sqlite3",
            "gorm.io/driver/sqlite",
            "github.com/confluentinc/confluent-kafka-go",
        ]
        .iter()
        .any(|name| module.requires(name).is_some())
    })
}

/// `toolchain` is the one that the module's authors use; the `go` line is the least version that it needs
/// (<https://go.dev/doc/toolchain#config>).
fn pinned(scan: &Scan<'_>, module: Option<&GoMod>) -> Option<Fact<String>> {
    let line = |found: Option<&(String, u32)>, why: &str| {
        let path = module.map_or("go.mod", |module| &module.path);
        found.map(|(version, line)| (version.clone(), Evidence::line(path, Some(*line), why)))
    };
    let work = scan.text("go.work").and_then(|text| {
        let (index, version) = text
            .lines()
            .enumerate()
            .find_map(|(index, line)| Some((index, line.strip_prefix("go ")?)))?;
        Some((
            version.trim().to_owned(),
            Evidence::line(
                "go.work",
                u32::try_from(index + 1).ok(),
                "the go line of the workspace",
            ),
        ))
    });
    let toolchain = module.and_then(|module| module.toolchain.as_ref());
    let exact = version(
        "go",
        [
            versions::pinned(scan, &[".go-version"], &["golang", "go"]),
            line(toolchain, "the toolchain line of the module"),
        ],
    );
    let least = module.and_then(|module| module.go.as_ref());
    exact.or_else(|| {
        let least = version("go", [line(least, "the go line of the module"), work]);
        match super::built_with(scan, "go", "go-version") {
            None => least.map(still_fixed),
            Some(_) => super::at_least(scan, "go", "go-version", least),
        }
    })
}

/// The oldest line that still gets fixes, where the go line is an older one that nobody chose.
///
/// Since Go 1.21 the go line is the least version that will do; before, it was advice on how to read the sources
/// (<https://go.dev/ref/mod#go-mod-file-go>). The first release of a line stands there where a dependency asked for the line,
/// and since Go 1.26 in new modules, which name the line before the one they are made with (<https://go.dev/doc/go1.26#go-command>);
/// any other is the one that the authors had. The newest two lines get fixes (<https://go.dev/doc/devel/release#policy>).
fn still_fixed(least: Fact<String>) -> Fact<String> {
    let minor = |version: &str| -> Option<u32> {
        let mut parts = version.split('.');
        parts.next().filter(|major| *major == "1")?;
        parts.next()?.parse().ok()
    };
    let oldest = crate::version::runtime("go").and_then(|go| go.lines.get(1));
    let Some((oldest, asked)) = oldest.zip(minor(&least.value)) else {
        return least;
    };
    let is_chosen = !(least.value.ends_with(".0") && least.value.matches('.').count() == 2);
    if is_chosen || asked < 21 || minor(oldest.version).is_none_or(|fixed| asked >= fixed) {
        return least;
    }
    let mut raised = Fact {
        value: oldest.version.to_owned(),
        ..least
    };
    for evidence in &mut raised.evidence {
        evidence.why = format!(
            "{}: at least {}, and no line before {} still gets fixes",
            evidence.why, least.value, oldest.version
        );
    }
    raised
}

/// The folder of the main package: the root, the only or best-named one below `cmd/`, else any.
///
/// `cmd/` is the layout that <https://go.dev/doc/modules/layout> names.
fn main_package(scan: &Scan<'_>, module: Option<&GoMod>) -> Option<(String, Evidence)> {
    let in_root = code::each(scan, &[".go"], 0).map(str::to_owned);
    let mut mains = main_packages(scan, in_root);
    if mains.is_empty() {
        let is_source = |path: &String| path.ends_with(".go") && !code::is_test(path);
        let commands = scan.under("cmd").filter(is_source);
        mains = main_packages(scan, commands.take(MAX_COMMANDS));
    }
    if mains.is_empty() {
        let anywhere = code::each(scan, &[".go"], 4).map(str::to_owned);
        mains = main_packages(scan, anywhere);
    }
    if mains.is_empty() {
        // Only a listing: a `main.go` is the usual name of it.
        let path = scan.named("main.go", 3).into_iter().next()?;
        return Some((
            folder_of(path).to_owned(),
            Evidence::file(path, "the main package by its name"),
        ));
    }
    let name = module.map(|module| {
        module
            .module
            .rsplit('/')
            .find(|part| !part.starts_with('v') || part.len() > 3)
            .unwrap_or_default()
            .to_owned()
    });
    let rank = |folder: &str| {
        let last = folder.rsplit('/').next().unwrap_or_default();
        let named = name.as_deref() == Some(last);
        let usual = ["server", "api", "web", "app", "main", "http"].contains(&last);
        match (named, usual) {
            (true, _) => 0,
            (_, true) => 1,
            _ => 2,
        }
    };
    let best = |(folder, _): &(String, Evidence)| (rank(folder), folder.len(), folder.clone());
    mains.into_iter().min_by_key(best)
}

/// How many sources below `cmd/` are looked into.
const MAX_COMMANDS: usize = 60;

/// The folders with a main package, and where it is.
fn main_packages(
    scan: &Scan<'_>,
    sources: impl Iterator<Item = String>,
) -> Vec<(String, Evidence)> {
    let mut mains: Vec<(String, Evidence)> = Vec::new();
    for path in sources {
        let folder = folder_of(&path);
        if mains.iter().any(|(known, _)| known == folder) {
            continue;
        }
        let Some(text) = scan.text(&path) else {
            continue;
        };
        let is_main = |line: &str| line.trim_end() == "package main";
        if text.contains("func main()") && text.lines().any(is_main) {
            let evidence = scan.evidence(&path, "func main()", "the main package");
            mains.push((folder.to_owned(), evidence));
        }
    }
    mains
}
