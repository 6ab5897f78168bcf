//! The JVM: Maven and Gradle.

mod assembly;
mod release;
mod settings;

use std::rc::Rc;

use devopser_core::model::report::{Detection, Evidence, Fact};

use super::{Stack, fact, found};
use crate::rank::{Found, Strength};
use crate::scan::java::{Gradle, Pom, is_name};
use crate::scan::{Scan, is_plain, procfile};

/// The detector of Java, Kotlin and Scala.
#[derive(Debug)]
pub(crate) struct Java;

/// Frameworks: id, what the build names, usual port.
const FRAMEWORKS: &[(&str, &str, u16)] = &[
    ("quarkus", "io.quarkus", 8080), // https://quarkus.io/guides/maven-tooling
    ("micronaut", "io.micronaut", 8080), // https://docs.micronaut.io
    ("spring-boot", "org.springframework.boot", 8080), // https://docs.spring.io/spring-boot/how-to/deployment/
    ("spring-boot", "spring-boot", 8080),
    ("ktor", "io.ktor", 8080), // https://ktor.io/docs/server-deployment.html
    ("helidon", "io.helidon", 8080),
    ("dropwizard", "io.dropwizard", 8080),
    ("vertx", "io.vertx", 8080),
    ("javalin", "io.javalin", 7070),
    ("spark", "com.sparkjava", 4567),
    ("play", "org.playframework", 9000), // https://www.playframework.com/documentation/latest/Deploying
    ("play", "com.typesafe.play", 9000),
];

/// Those of them that stand below other frameworks as well, and therefore give a port and no answer.
const LIBRARIES: &[&str] = &["spark", "vertx"];

/// How the app is built.
enum Build {
    Maven(Rc<Pom>),
    Gradle(Gradle),
    Sbt,
    Clojure,
}

impl Stack for Java {
    fn id(&self) -> &'static str {
        "java"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "pom.xml",
            "build.gradle",
            "build.gradle.kts",
            "settings.gradle",
            "settings.gradle.kts",
            "libs.versions.toml",
            "gradle.properties",
            "application.properties",
            "application.yml",
            "application.yaml",
            "system.properties",
            ".java-version",
            ".sdkmanrc",
            "build.sbt",
            "project.clj",
            "Procfile",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        let ids = FRAMEWORKS.iter().map(|(id, ..)| *id);
        ids.filter(|id| !LIBRARIES.contains(id)).collect()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let build = build(scan)?;
        let (path, manager) = match &build {
            Build::Maven(pom) => (pom.path.clone(), "maven"),
            Build::Gradle(gradle) => (gradle.path.to_owned(), "gradle"),
            Build::Sbt => ("build.sbt".to_owned(), "sbt"),
            Build::Clojure => ("project.clj".to_owned(), "lein"),
        };
        let evidence = Evidence::file(path, format!("the build file of {manager}"));
        let mut detection = super::detection("java", "java", evidence.clone());
        detection.package_manager = fact(manager, 95, evidence.clone());
        detection.version = release::pinned(scan, &build);
        let framework = framework(scan, &build);
        if let Some((row, evidence)) = &framework
            && !LIBRARIES.contains(&row.0)
        {
            detection.framework = fact(row.0, 90, evidence.clone());
        }
        detection.is_static = Some(Fact::new(false, 88, evidence.clone()));
        detection.databases = Some(settings::needs(
            |what| uses(scan, &build, what),
            scan,
            settings::reads_sources(framework.as_ref().map(|(row, _)| row.0)),
        ));
        detection.port = Some(settings::listens_on(
            scan,
            framework.as_ref().map(|(row, _)| **row),
            |what| uses(scan, &build, what),
        ));
        commands(
            scan,
            &build,
            framework.as_ref().map(|(row, _)| row.0),
            &evidence,
            &mut detection,
        );
        let strength = match (
            &framework,
            scan.has_folder("src/main") || scan.files(5).any(|path| path.contains("src/main/")),
        ) {
            (Some(_), true) => Strength::Entry,
            (Some(_), false) => Strength::Framework,
            (None, _) => Strength::Manifest,
        };
        found(detection, strength)
    }
}

fn build(scan: &Scan<'_>) -> Option<Build> {
    let pom = Pom::read(scan, "pom.xml");
    let gradle = Gradle::read(scan);
    match (pom, gradle) {
        (Some(pom), None) => Some(Build::Maven(pom)),
        (Some(pom), Some(_)) if !scan.has("gradlew") || scan.has("mvnw") => Some(Build::Maven(pom)),
        (_, Some(gradle)) => Some(Build::Gradle(gradle)),
        (None, None) => {
            if let Some(path) = scan.first(&["settings.gradle.kts", "settings.gradle"]) {
                let path: &'static str = if path.ends_with(".kts") {
                    "settings.gradle.kts"
                } else {
                    "settings.gradle"
                };
                return Some(Build::Gradle(Gradle {
                    path,
                    text: scan.text(path)?,
                }));
            }
            if scan.has("build.sbt") {
                return Some(Build::Sbt);
            }
            scan.has("project.clj").then_some(Build::Clojure)
        }
    }
}

/// The other poms of a build with modules, the build's own included.
fn poms(scan: &Scan<'_>, pom: &Pom) -> Vec<Rc<Pom>> {
    pom.modules
        .iter()
        .take(30)
        .filter_map(|module| Pom::read(scan, &format!("{}/pom.xml", module.trim_matches('/'))))
        .collect()
}

fn uses(scan: &Scan<'_>, build: &Build, what: &str) -> Option<Evidence> {
    match build {
        Build::Maven(pom) => pom
            .uses(what)
            .or_else(|| poms(scan, pom).iter().find_map(|pom| pom.uses(what))),
        Build::Gradle(gradle) => gradle.uses(what).or_else(|| {
            // Version catalogues (https://docs.gradle.org/current/userguide/version_catalogs.html) and modules.
            let mut files = vec!["gradle/libs.versions.toml", "gradle.properties"];
            let modules = scan.ending("build.gradle", 2);
            let kotlin = scan.ending("build.gradle.kts", 2);
            files.extend(modules.into_iter().chain(kotlin).take(30));
            files.into_iter().find_map(|path| {
                let line = scan.line_of(path, what)?;
                Some(Evidence::line(path, Some(line), format!("uses {what}")))
            })
        }),
        // Play is a plugin of the build (https://www.playframework.com/documentation/latest/BuildOverview).
        Build::Sbt => ["build.sbt", "project/plugins.sbt"]
            .into_iter()
            .find_map(|path| {
                let line = scan.line_of(path, what)?;
                Some(Evidence::line(path, Some(line), format!("uses {what}")))
            }),
        Build::Clojure => scan
            .line_of("project.clj", what)
            .map(|line| Evidence::line("project.clj", Some(line), format!("uses {what}"))),
    }
}

fn framework(
    scan: &Scan<'_>,
    build: &Build,
) -> Option<(&'static (&'static str, &'static str, u16), Evidence)> {
    FRAMEWORKS
        .iter()
        .find_map(|row| Some((row, uses(scan, build, row.1)?)))
}

fn commands(
    scan: &Scan<'_>,
    build: &Build,
    framework: Option<&str>,
    evidence: &Evidence,
    into: &mut Detection,
) {
    let (command, jar) = match build {
        Build::Maven(pom) => maven(scan, pom, framework, into),
        Build::Gradle(gradle) => self::gradle(scan, gradle, framework, into),
        Build::Sbt => (
            "sbt stage".to_owned(),
            format!("target/universal/stage/bin/{}", sbt_name(scan)),
        ),
        Build::Clojure => (
            "lein uberjar".to_owned(),
            "target/uberjar/*-standalone.jar".to_owned(),
        ),
    };
    into.build_command = fact(command, 82, evidence.clone());
    into.install_command = match build {
        Build::Maven(_) => fact(
            format!("{} -B dependency:go-offline", program(scan, "mvnw", "mvn")),
            70,
            evidence.clone(),
        ),
        Build::Gradle(_) => fact(
            format!("{} dependencies", program(scan, "gradlew", "gradle")),
            60,
            evidence.clone(),
        ),
        _ => None,
    };
    // A parent whose modules are several programs, or none, makes nothing itself.
    let is_parent = jar.ends_with(".pom");
    into.start_command = procfile::process(scan, "web").or_else(|| {
        if is_parent {
            return None;
        }
        let start = if jar.contains("bin/") && !jar.ends_with(".jar") {
            jar.clone()
        } else {
            format!("java -jar {jar}")
        };
        let arguments = framework.and_then(|id| arguments(scan, id));
        let Some(arguments) = arguments else {
            return fact(start, 75, evidence.clone());
        };
        into.hints.insert("arguments".to_owned(), arguments.clone());
        fact(format!("{start} {arguments}"), 75, evidence.clone())
    });
    if !is_parent {
        into.hints.insert("jar".to_owned(), jar);
    }
    if let Some(release) = procfile::process(scan, "release") {
        into.hints.insert("release".to_owned(), release.value);
    }
}

/// What the program is told on its command line: Dropwizard takes a command and its settings
/// (<https://www.dropwizard.io/en/stable/getting-started.html#running-your-application>).
fn arguments(scan: &Scan<'_>, id: &str) -> Option<String> {
    let usual = ["config.yml", "config.yaml", "configuration.yml"];
    (id == "dropwizard").then(|| match scan.first(&usual) {
        Some(path) => format!("server {path}"),
        None => "server".to_owned(),
    })
}

/// The name of the program that sbt stages: the project's, in small letters
/// (<https://www.scala-sbt.org/sbt-native-packager/archetypes/java_app/index.html>).
fn sbt_name(scan: &Scan<'_>) -> String {
    let text = scan.text("build.sbt").unwrap_or_default();
    let at = text.find("name := \"").map(|at| at + "name := \"".len());
    let name = at.and_then(|at| text[at..].split('"').next());
    let name = name.unwrap_or("app").to_lowercase().replace(' ', "-");
    let is_sound = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    if name.is_empty() || !name.chars().all(is_sound) {
        return "app".to_owned();
    }
    name
}

/// The wrapper of the repository, or the program.
fn program(scan: &Scan<'_>, wrapper: &str, name: &str) -> String {
    program_in(scan, "", wrapper, name)
}

/// The same for a folder, named with a trailing `/`. A wrapper needs its archive, which many repositories ignore, or a
/// script that fetches it (<https://maven.apache.org/wrapper/#usage-without-binary-jar>).
pub(crate) fn program_in(scan: &Scan<'_>, prefix: &str, wrapper: &str, name: &str) -> String {
    let script = format!("{prefix}{wrapper}");
    let archive = match wrapper {
        "mvnw" => ".mvn/wrapper/maven-wrapper.jar",
        _ => "gradle/wrapper/gradle-wrapper.jar",
    };
    let fetches = || {
        let text = scan.text(&script).unwrap_or_default();
        text.contains("wget") || text.contains("curl")
    };
    if scan.has(&script) && (scan.has(&format!("{prefix}{archive}")) || fetches()) {
        format!("./{wrapper}")
    } else {
        name.to_owned()
    }
}

/// The module that makes a program: the one that uses the framework's plugin and is no library.
fn maven(
    scan: &Scan<'_>,
    pom: &Pom,
    framework: Option<&str>,
    into: &mut Detection,
) -> (String, String) {
    let wrapper = program(scan, "mvnw", "mvn");
    let modules = poms(scan, pom);
    let runs = |pom: &&Pom| {
        [
            "spring-boot-maven-plugin",
            "quarkus-maven-plugin",
            "micronaut-maven-plugin",
            "maven-shade-plugin",
            "maven-assembly-plugin",
        ]
        .iter()
        .any(|plugin| pom.uses(plugin).is_some())
    };
    let modules = || modules.iter().map(Rc::as_ref);
    let module = modules()
        .filter(|module| module.packaging != "pom")
        .find(runs)
        .or_else(|| modules().find(|module| module.packaging == "war"))
        .or_else(|| {
            let folder = |module: &Pom| crate::scan::folder_of(&module.path).to_owned();
            modules().find(|module| crate::services::main_class(scan, &folder(module)).is_some())
        });
    let own = if pom.modules.is_empty() {
        Some(pom)
    } else {
        module
    };
    let folder = own
        .map(|own| crate::scan::folder_of(&own.path).to_owned())
        .filter(|folder| is_plain(folder))
        .unwrap_or_default();
    if !folder.is_empty() {
        into.hints.insert("module".to_owned(), folder.clone());
    }
    let prefix = if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    };
    let select = if folder.is_empty() {
        String::new()
    } else {
        format!(" -pl {folder} -am")
    };
    let own = own.unwrap_or(pom);
    if let Some(libraries) = &own.libraries {
        into.hints.insert(
            "libraries".to_owned(),
            format!("{prefix}target/{libraries}"),
        );
    }
    let (goal, jar) = packaged(scan, own, framework);
    (
        format!("{wrapper} -B -DskipTests package{goal}{select}"),
        format!("{prefix}target/{jar}"),
    )
}

/// The goal beside `package` that makes the program, and its path below `target/`.
fn packaged(scan: &Scan<'_>, own: &Pom, framework: Option<&str>) -> (&'static str, String) {
    if framework == Some("quarkus") {
        return ("", "quarkus-app/quarkus-run.jar".to_owned());
    }
    let assembly = assembly::of(scan, own).filter(|_| framework != Some("spring-boot"));
    if let Some(assembly) = assembly {
        let goal = if assembly.is_bound {
            ""
        } else {
            " assembly:single"
        };
        return (goal, assembly.jar);
    }
    let packaging = &own.packaging;
    match &own.final_name {
        Some(name) => ("", format!("{name}.{packaging}")),
        None => ("", format!("*.{packaging}")),
    }
}

/// Plugins of Gradle that make a program.
const PROGRAM_PLUGINS: &[&str] = &[
    "application",
    "org.springframework.boot",
    "shadow",
    "io.quarkus",
];

/// `bootJar`, `shadowJar` or the application plugin's `installDist`
/// (<https://docs.gradle.org/current/userguide/application_plugin.html>).
fn gradle(
    scan: &Scan<'_>,
    gradle: &Gradle,
    framework: Option<&str>,
    into: &mut Detection,
) -> (String, String) {
    let wrapper = program(scan, "gradlew", "gradle");
    into.hints.insert("gradle".to_owned(), wrapper.clone());
    let modules: Vec<&str> = scan
        .ending("build.gradle", 2)
        .into_iter()
        .chain(scan.ending("build.gradle.kts", 2))
        .collect();
    let names = |text: &str| PROGRAM_PLUGINS.iter().any(|plugin| text.contains(plugin));
    let with = |is_wanted: &dyn Fn(&str) -> bool| {
        let mut modules = modules.iter().copied().filter(|path| path.contains('/'));
        modules.find(|path| scan.text(path).is_some_and(|text| is_wanted(&text)))
    };
    // Programs for the desktop stand beside servers: what uses the framework's own plugin goes before.
    let row = FRAMEWORKS.iter().find(|(id, ..)| Some(*id) == framework);
    let own_plugin = row.map(|(_, plugin, _)| *plugin);
    let module = own_plugin
        .filter(|plugin| PROGRAM_PLUGINS.contains(plugin))
        .and_then(|plugin| with(&|text| text.contains(plugin)))
        .or_else(|| with(&names));
    let own_text = names(&gradle.text);
    let folder = module
        .filter(|_| !own_text)
        .map(crate::scan::folder_of)
        .filter(|folder| is_plain(folder))
        .unwrap_or_default();
    let prefix = if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    };
    let task = |name: &str| {
        if folder.is_empty() {
            name.to_owned()
        } else {
            format!(":{}:{name}", folder.replace('/', ":"))
        }
    };
    let text = if folder.is_empty() {
        gradle.text.to_string()
    } else {
        module
            .and_then(|path| scan.text(path))
            .map(|text| text.to_string())
            .unwrap_or_default()
    };
    match framework {
        Some("spring-boot") => (
            format!("{wrapper} {} -x test", task("bootJar")),
            format!("{prefix}build/libs/*.jar"),
        ),
        Some("quarkus") => (
            format!("{wrapper} {} -x test", task("build")),
            format!("{prefix}build/quarkus-app/quarkus-run.jar"),
        ),
        _ if text.contains("shadow") => (
            format!("{wrapper} {}", task("shadowJar")),
            format!("{prefix}build/libs/*-all.jar"),
        ),
        _ if text.contains("application") => {
            let name = scan
                .text("settings.gradle")
                .or_else(|| scan.text("settings.gradle.kts"))
                .and_then(|text| {
                    let at = text.find("rootProject.name")?;
                    text[at..].split(['"', '\'']).nth(1).map(str::to_owned)
                });
            let name = if folder.is_empty() {
                name
            } else {
                Some(crate::scan::base_name(folder).to_owned())
            };
            let name = name
                .filter(|name| is_name(name))
                .unwrap_or_else(|| "app".to_owned());
            (
                format!("{wrapper} {}", task("installDist")),
                format!("{prefix}build/install/{name}/bin/{name}"),
            )
        }
        _ => (
            format!("{wrapper} {} -x test", task("build")),
            format!("{prefix}build/libs/*.jar"),
        ),
    }
}
