//! .NET: projects and solutions, the project below the root included.

use devopser_core::model::report::{Database, Evidence, Fact};

use super::{Stack, databases, fact, found, port, version};
use crate::compose::inside;
use crate::rank::{Found, Strength};
use crate::scan::{Scan, base_name, code, folder_of, join, solution, xml};

/// The .NET detector.
#[derive(Debug)]
pub(crate) struct DotNet;

/// A project.
struct Project {
    path: String,
    sdk: String,
    framework: Option<(String, u32)>,
    is_program: bool,
    packages: Vec<(String, u32)>,
    /// Paths of projects that it is built with, from its own folder.
    references: Vec<(String, u32)>,
}

const ENDINGS: &[&str] = &[".csproj", ".fsproj", ".vbproj"];

impl Stack for DotNet {
    fn id(&self) -> &'static str {
        "dotnet"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "global.json",
            "appsettings.json",
            "launchSettings.json",
            "Directory.Build.props",
            "Directory.Packages.props",
            "Program.cs",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        vec!["aspnetcore", "blazor"]
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let projects = projects(scan);
        let Some(project) = projects.first() else {
            return single_file(scan);
        };
        let evidence = Evidence::file(project.path.clone(), "a project of .NET");
        let mut detection = super::detection("dotnet", "dotnet", evidence.clone());
        detection.package_manager = fact("nuget", 92, evidence.clone());
        detection.install_command = fact(
            format!("dotnet restore {}", project.path),
            85,
            evidence.clone(),
        );
        detection.version = pinned(scan, project);
        let is_web = project.sdk.contains("Web")
            || project
                .packages
                .iter()
                .any(|(name, _)| name.starts_with("Microsoft.AspNetCore"));
        let is_wasm = project.sdk.contains("BlazorWebAssembly");
        detection.framework = framework(scan, project, is_wasm, is_web);
        detection.is_static = Some(Fact::new(is_wasm, 85, evidence.clone()));
        let name = base_name(&project.path)
            .rsplit_once('.')
            .map_or("app", |(name, _)| name);
        let name = assembly(scan, &project.path).unwrap_or_else(|| name.to_owned());
        detection.build_command = fact(
            format!("dotnet publish {} -c Release -o out", project.path),
            88,
            evidence.clone(),
        );
        if is_wasm {
            // https://learn.microsoft.com/aspnet/core/blazor/host-and-deploy/webassembly/
            detection.output_dir = fact("out/wwwroot", 85, evidence);
        } else if !is_library(scan, project) {
            detection.start_command = fact(format!("dotnet out/{name}.dll"), 85, evidence);
        }
        if !is_wasm {
            detection.port = Some(port_of(scan, project, is_web, detection.version.as_ref()));
        }
        detection.databases = Some(needs(scan, &projects));
        detection
            .hints
            .insert("project".to_owned(), project.path.clone());
        detection.hints.insert("assembly".to_owned(), name);
        found(
            detection,
            if is_web {
                Strength::Entry
            } else {
                Strength::Manifest
            },
        )
    }
}

fn framework(
    scan: &Scan<'_>,
    project: &Project,
    is_wasm: bool,
    is_web: bool,
) -> Option<Fact<String>> {
    let (id, why) = match (is_wasm, is_web) {
        (true, _) => ("blazor", "the SDK of Blazor WebAssembly"),
        (_, true) => ("aspnetcore", "the SDK of ASP.NET Core"),
        _ => return None,
    };
    let sign = if is_wasm { "Sdk=" } else { "Sdk" };
    fact(id, 90, scan.evidence(&project.path, sign, why))
}

/// Every project, the one that is most likely the app first.
fn projects(scan: &Scan<'_>) -> Vec<Project> {
    let mut paths = solution::projects(scan, ENDINGS);
    if paths.is_empty() {
        let found = code::each(scan, ENDINGS, depth(scan));
        paths = found.map(str::to_owned).collect();
    }
    let paths = paths.into_iter();
    let mut projects: Vec<Project> = paths.filter_map(|path| read(scan, path)).collect();
    projects.sort_by_cached_key(|project| {
        (
            rank(project),
            project.path.matches('/').count(),
            project.path.len(),
        )
    });
    projects
}

/// How deep projects are looked for where no solution names them: a root that has the manifest of another stack and
/// nothing of .NET holds none that would be the app.
fn depth(scan: &Scan<'_>) -> usize {
    let signs = [
        "global.json",
        "nuget.config",
        "NuGet.Config",
        "NuGet.config",
    ];
    let is_sign = |path: &&str| {
        [".sln", ".slnx", ".slnf", ".props", ".csproj", ".fsproj"]
            .iter()
            .any(|ending| path.ends_with(ending))
    };
    let of_net = scan.first(&signs).is_some() || scan.root_with("").any(|path| is_sign(&path));
    match (of_net, scan.has_manifest()) {
        (true, _) => 4,
        (false, false) => 2,
        (false, true) => 0,
    }
}

/// Programs of one file (<https://learn.microsoft.com/dotnet/core/sdk/file-based-apps>).
fn single_file(scan: &Scan<'_>) -> Option<Found> {
    let path = scan
        .root_with(".cs")
        .find(|path| {
            scan.text(path).is_some_and(|text| {
                text.contains("#:sdk") || text.contains("#:package") || text.starts_with("#!")
            })
        })?
        .to_owned();
    let evidence = Evidence::file(path.clone(), "a .NET program of one file");
    let mut detection = super::detection("dotnet", "dotnet", evidence.clone());
    detection.start_command = fact(format!("dotnet run {path}"), 70, evidence.clone());
    detection.package_manager = fact("nuget", 80, evidence.clone());
    detection.is_static = Some(Fact::new(false, 80, evidence));
    detection.databases = Some(databases::none());
    found(detection, Strength::Source)
}

fn read(scan: &Scan<'_>, path: String) -> Option<Project> {
    let text = scan.text(&path)?;
    let mut project = Project {
        path,
        sdk: String::new(),
        framework: None,
        is_program: false,
        packages: Vec::new(),
        references: Vec::new(),
    };
    for element in xml::elements(&text) {
        let line = crate::scan::line_at(&text, element.at).unwrap_or(1);
        match element.path.as_str() {
            "Project" => {
                project.sdk = xml::attribute(&element, "Sdk")
                    .unwrap_or_default()
                    .to_owned()
            }
            "Project/PropertyGroup/TargetFramework" | "Project/PropertyGroup/TargetFrameworks" => {
                project.framework = element
                    .text
                    .split(';')
                    .next()
                    .map(|name| (name.to_owned(), line));
            }
            "Project/PropertyGroup/OutputType" => {
                project.is_program = element.text.eq_ignore_ascii_case("exe")
            }
            "Project/ItemGroup/PackageReference" => project
                .packages
                .extend(xml::attribute(&element, "Include").map(|name| (name.to_owned(), line))),
            "Project/ItemGroup/ProjectReference" => project.references.extend(
                xml::attribute(&element, "Include").map(|path| (path.replace('\\', "/"), line)),
            ),
            _ => {}
        }
    }
    project.is_program |= project.sdk.contains("Web") || project.sdk.contains("Worker");
    Some(project)
}

/// Web programs first, then other programs, then libraries; tests and app hosts of development last.
fn rank(project: &Project) -> u8 {
    let name = base_name(&project.path).to_ascii_lowercase();
    let is_test = name.contains("test")
        || project
            .packages
            .iter()
            .any(|(name, _)| name.contains("Test.Sdk") || name == "xunit");
    let is_main = ["web.", "api.", "server.", ".web", ".api", "webapi"]
        .iter()
        .any(|part| name.contains(part));
    match (is_test, project.sdk.contains("Web"), project.is_program) {
        (true, ..) => 9,
        _ if name.contains("apphost") || name.contains("migrat") => 8,
        (_, true, _) if is_main => 0,
        (_, true, _) => 1,
        (_, _, true) => 2,
        _ => 5,
    }
}

fn assembly(scan: &Scan<'_>, path: &str) -> Option<String> {
    let text = scan.text(path)?;
    let element = xml::elements(&text)
        .into_iter()
        .find(|element| element.path == "Project/PropertyGroup/AssemblyName")?;
    Some(element.text.to_owned()).filter(|name| !name.is_empty() && !name.contains('$'))
}

fn pinned(scan: &Scan<'_>, project: &Project) -> Option<Fact<String>> {
    let own = project.framework.clone().and_then(|(name, line)| {
        let wanted = name
            .strip_prefix("netcoreapp")
            .or_else(|| name.strip_prefix("net"))?
            .split('-')
            .next()?
            .to_owned();
        Some((
            wanted,
            Evidence::line(project.path.clone(), Some(line), "the target framework"),
        ))
    });
    let shared = std::iter::once("Directory.Build.props".to_owned()).chain(imports(scan, project));
    let mut shared = shared.filter_map(|path| {
        let text = scan.text(&path)?;
        let all = xml::elements(&text);
        let mut targets = all
            .iter()
            .filter(|element| element.path.ends_with("TargetFramework"));
        let wanted = targets.next()?.text.strip_prefix("net")?.to_owned();
        let why = "the target framework of every project";
        Some((wanted, scan.evidence(&path, "TargetFramework", why)))
    });
    let props = shared.next();
    let sdk = scan.json("global.json").and_then(|value| {
        let version = value.pointer("/sdk/version")?.as_str()?.to_owned();
        let line: Vec<&str> = version.split('.').take(2).collect();
        Some((
            line.join("."),
            scan.evidence("global.json", "version", "the SDK of global.json"),
        ))
    });
    version(
        "dotnet",
        [
            own.filter(|(wanted, _)| wanted.starts_with(|char: char| char.is_ascii_digit())),
            props,
            sdk,
        ],
    )
}

/// What a project takes in from files of the repository
/// (<https://learn.microsoft.com/visualstudio/msbuild/import-element-msbuild>).
fn imports(scan: &Scan<'_>, project: &Project) -> Vec<String> {
    let text = scan.text(&project.path).unwrap_or_default();
    let folder = folder_of(&project.path);
    let all = xml::elements(&text);
    let imported = all
        .iter()
        .filter(|element| element.path == "Project/Import")
        .filter_map(|element| xml::attribute(element, "Project"));
    let paths = imported.filter_map(|path| inside(folder, &path.replace('\\', "/")));
    paths.filter(|path| scan.has(path)).take(10).collect()
}

/// A file in the project's folder.
fn beside(project: &Project, name: &str) -> String {
    join(folder_of(&project.path), name)
}

/// Whether it makes no program: a library is what comes out where nothing else is said
/// (<https://learn.microsoft.com/dotnet/core/project-sdk/msbuild-props#outputtype>).
fn is_library(scan: &Scan<'_>, project: &Project) -> bool {
    let has_main = ["Program.cs", "Program.fs", "Program.vb"]
        .iter()
        .any(|name| scan.has(&beside(project, name)));
    !project.is_program
        && !has_main
        && scan
            .line_of("Directory.Build.props", "<OutputType>")
            .is_none()
}

/// <https://learn.microsoft.com/dotnet/core/compatibility/containers/8.0/aspnet-port>: 8080 since .NET 8, 80 before.
///
/// Settings lie in the project's folder (<https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/endpoints>).
fn port_of(
    scan: &Scan<'_>,
    project: &Project,
    is_web: bool,
    version: Option<&Fact<String>>,
) -> Fact<u16> {
    let path = beside(project, "appsettings.json");
    if let Some(value) = scan.json(&path) {
        let url = endpoint(&value).or_else(|| key(&value, "urls")?.as_str());
        let port = url.and_then(|url| url.rsplit(':').next()?.trim_end_matches('/').parse().ok());
        if let Some(port) = port {
            return Fact::new(
                port,
                85,
                scan.evidence(&path, "Url", "the endpoint in the settings"),
            );
        }
    }
    if let Some(found) = in_program(scan, project) {
        return found;
    }
    if !is_web {
        return port::guess(8080, ".NET programs");
    }
    match version.and_then(|fact| crate::scan::node::major(&fact.value)) {
        Some(major) if major < 8 => port::default(80, "ASP.NET Core in a container"),
        Some(_) => port::default(8080, "ASP.NET Core in a container"),
        None => port::guess(8080, "ASP.NET Core apps of an unknown version"),
    }
}

/// The first endpoint of Kestrel that speaks plain HTTP: Kestrel leaves HTTPS to what stands before it here.
fn endpoint(settings: &serde_json::Value) -> Option<&str> {
    let endpoints = key(key(settings, "kestrel")?, "endpoints")?.as_object()?;
    let mut urls = endpoints
        .values()
        .filter_map(|one| key(one, "url")?.as_str());
    urls.find(|url| url.starts_with("http://"))
}

/// A key of the settings, in which case does not count
/// (<https://learn.microsoft.com/aspnet/core/fundamentals/configuration/>).
fn key<'v>(value: &'v serde_json::Value, name: &str) -> Option<&'v serde_json::Value> {
    let mut keys = value.as_object()?.iter();
    keys.find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// What the program itself tells Kestrel, which goes before the environment's `ASPNETCORE_HTTP_PORTS`
/// (<https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/endpoints>).
fn in_program(scan: &Scan<'_>, project: &Project) -> Option<Fact<u16>> {
    const SIGNS: &[&str] = &[
        "ListenAnyIP(",
        "static int Port = ",
        "UseUrls(\"http://*:",
        "UseUrls(\"http://0.0.0.0:",
        "UseUrls(\"http://+:",
    ];
    let own = [".UseKestrel(", ".ConfigureKestrel("];
    ["Program.cs", "Startup.cs"].iter().find_map(|name| {
        let path = beside(project, name);
        let text = scan.text(&path)?;
        let said = SIGNS.iter().find_map(|sign| {
            let at = text.find(sign)? + sign.len();
            let mut digits = text[at..].split(|char: char| !char.is_ascii_digit());
            let port = digits.next()?.parse().ok()?;
            let why = format!("listens on {port}");
            Some(Fact::new(port, 85, scan.evidence(&path, sign, why)))
        });
        // Without a number the port comes from options of its own.
        let guess = || port::guess(8080, "programs that configure Kestrel themselves");
        said.or_else(|| own.iter().any(|call| text.contains(call)).then(guess))
    })
}

fn needs(scan: &Scan<'_>, projects: &[Project]) -> Fact<Vec<Database>> {
    const PACKAGES: &[(&str, Database)] = &[
        ("Npgsql", Database::Postgres),
        ("MySql", Database::Mysql),
        ("Pomelo.EntityFrameworkCore.MySql", Database::Mysql),
        ("MySqlConnector", Database::Mysql),
        ("MongoDB.Driver", Database::Mongodb),
        ("Marten", Database::Postgres),
        ("Hangfire.PostgreSql", Database::Postgres),
        ("Aspire.Npgsql", Database::Postgres),
        ("Aspire.MongoDB", Database::Mongodb),
        ("StackExchange.Redis", Database::Redis),
        ("Aspire.StackExchange.Redis", Database::Redis),
        ("Foundatio.Redis", Database::Redis),
        ("ServiceStack.Redis", Database::Redis),
        ("CSRedisCore", Database::Redis),
        ("FreeRedis", Database::Redis),
        (
            "Microsoft.Extensions.Caching.StackExchangeRedis",
            Database::Redis,
        ),
    ];
    let mut needs = databases::Needs::default();
    let mut has_sqlite = false;
    let own = projects.iter().filter(|project| rank(project) < 8);
    let (above, unseen) = built_with(scan, own.clone());
    for project in own.chain(&above) {
        for (name, line) in &project.packages {
            has_sqlite |= name.starts_with("Microsoft.EntityFrameworkCore.Sqlite");
            if let Some((_, database)) = PACKAGES.iter().find(|(known, _)| name.starts_with(known))
            {
                needs.add(
                    *database,
                    Evidence::line(
                        project.path.clone(),
                        Some(*line),
                        format!("references {name}"),
                    ),
                );
            }
        }
    }
    needs.confirm_by_env(scan);
    databases::unless_unseen(needs.into_fact_beside(has_sqlite), || unseen)
}

/// How many projects above the tree are looked into.
const MAX_ABOVE: usize = 60;

/// The projects above the tree that its own are built with, and the first that is not to be seen.
fn built_with<'p>(
    scan: &Scan<'_>,
    own: impl Iterator<Item = &'p Project>,
) -> (Vec<Project>, Option<Evidence>) {
    let folder = scan.folder();
    let full = |project: &Project| join(folder, &project.path);
    let mut left = Vec::new();
    for project in own {
        let depth = project.path.matches('/').count();
        let is_above =
            |path: &str| path.split('/').take_while(|part| *part == "..").count() > depth;
        let references = project.references.iter();
        for (path, line) in references.filter(|(path, _)| is_above(path)) {
            let why = format!("{path} lies elsewhere");
            let evidence = Evidence::line(project.path.clone(), Some(*line), why);
            left.push((inside(folder_of(&full(project)), path), evidence));
        }
    }
    let mut found: Vec<Project> = Vec::new();
    let mut unseen = None;
    while let Some((path, evidence)) = left.pop() {
        let known = path.as_ref();
        if known.is_some_and(|path| found.iter().any(|found| found.path == *path)) {
            continue;
        }
        let top = scan.above().filter(|_| found.len() < MAX_ABOVE);
        let Some(project) = top.zip(path).and_then(|(top, path)| read(top, path)) else {
            unseen = Some(evidence);
            continue;
        };
        for (path, line) in &project.references {
            let why = format!("{path} lies elsewhere");
            let evidence = Evidence::line(project.path.clone(), Some(*line), why);
            left.push((inside(folder_of(&project.path), path), evidence));
        }
        found.push(project);
    }
    (found, unseen)
}
