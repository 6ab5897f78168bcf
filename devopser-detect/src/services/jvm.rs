//! The programs of a build with modules, of Maven (<https://maven.apache.org/guides/mini/guide-multiple-modules.html>)
//! and of Gradle (<https://docs.gradle.org/current/userguide/multi_project_builds.html>).

use std::collections::{BTreeMap, VecDeque};

use devopser_core::model::report::Evidence;

use super::{MAX, clean};
use crate::scan::java::{self, Pom};
use crate::scan::{Scan, base_name, folder_of, join};

/// Plugins of Maven that make a program of what a module holds.
const PLUGINS: &[&str] = &["spring-boot-maven-plugin", "quarkus-maven-plugin"];

/// Where a module keeps its sources, by language
/// (<https://maven.apache.org/guides/introduction/introduction-to-the-standard-directory-layout.html>).
const SOURCES: &[&str] = &["java", "kotlin", "groovy", "scala"];

/// What the file of a main class is usually called.
const MAIN_NAMES: &[&str] = &[
    "Application",
    "App",
    "Main",
    "Server",
    "Launcher",
    "Bootstrap",
    "Starter",
    "Runner",
];

/// How many folders are looked into for a module's main class.
const MAX_FOLDERS: usize = 40;

/// The folders of modules that make programs, with what says so.
pub(super) type Programs = BTreeMap<String, Evidence>;

/// Adds the modules of the Maven build in a folder, those of its modules included.
pub(super) fn maven(scan: &Scan<'_>, folder: &str, into: &mut Programs) {
    let mut builds = vec![folder.to_owned()];
    let mut looked = 0;
    while let Some(folder) = builds.pop().filter(|_| looked < MAX) {
        looked += 1;
        let build = join(&folder, "pom.xml");
        let Some(pom) = Pom::read(scan, &build) else {
            continue;
        };
        for name in pom.modules.iter().filter_map(|module| clean(module)) {
            let module = join(&folder, &name);
            let Some(own) = Pom::read(scan, &format!("{module}/pom.xml")) else {
                continue;
            };
            let evidence = (own.packaging != "pom")
                .then(|| program_of_maven(scan, &pom, &own, &module))
                .flatten();
            if let Some(evidence) = evidence {
                into.entry(module.clone()).or_insert(evidence);
            }
            if !own.modules.is_empty() {
                builds.push(module);
            }
        }
    }
}

/// Adds the projects of the root's Gradle build.
pub(super) fn gradle(scan: &Scan<'_>, into: &mut Programs) {
    let settings = ["settings.gradle", "settings.gradle.kts"];
    if scan.first(&settings).is_none() {
        return;
    }
    for module in java::modules(scan) {
        let scripts = ["build.gradle", "build.gradle.kts"];
        let scripts = scripts.map(|name| format!("{module}/{name}"));
        let evidence = scripts.iter().find_map(|script| {
            // Quarkus brings the main class itself (https://quarkus.io/guides/gradle-tooling).
            let line = scan.line_of(script, "io.quarkus")?;
            let why = "a project that makes a program";
            Some(Evidence::line(script.clone(), Some(line), why))
        });
        let evidence = evidence.or_else(|| main_class(scan, &module));
        if let Some(evidence) = evidence {
            into.entry(module).or_insert(evidence);
        }
    }
}

/// Whether the build of a folder makes a program, as far as that can be told.
pub(super) fn makes_program(scan: &Scan<'_>, folder: &str) -> bool {
    let scripts = ["build.gradle", "build.gradle.kts"].map(|name| join(folder, name));
    let of_gradle = scripts.iter().any(|script| {
        let text = scan.text(script).unwrap_or_default();
        ["mainClass", "application", "bootJar", "io.quarkus"]
            .iter()
            .any(|sign| text.contains(sign))
    });
    let path = join(folder, "pom.xml");
    let of_maven = Pom::read(scan, &path).is_some_and(|pom| {
        let build = Pom::read(scan, &join(folder_of(folder), "pom.xml"));
        pom.packaging == "war"
            || scan.line_of(&path, "ainClass>").is_some()
            || PLUGINS.iter().any(|plugin| pom.uses(plugin).is_some())
            || build.is_some_and(|build| program_of_maven(scan, &build, &pom, folder).is_some())
    });
    let is_known = scripts.iter().any(|script| scan.has(script)) || scan.has(&path);
    !is_known || of_gradle || of_maven || main_class(scan, folder).is_some()
}

/// Why a module makes a program: it names a plugin that does, inherits one, or has a main class.
fn program_of_maven(scan: &Scan<'_>, build: &Pom, own: &Pom, module: &str) -> Option<Evidence> {
    let named = PLUGINS.iter().find_map(|plugin| own.uses(plugin));
    named.or_else(|| main_class(scan, module)).or_else(|| {
        let mut inherited = build.plugins.iter();
        let inherits = inherited.any(|plugin| PLUGINS.contains(&plugin.as_str()));
        (inherits && !is_used(scan, build, own)).then(|| {
            let name = base_name(module);
            scan.evidence(&build.path, name, "a module that makes a program")
        })
    })
}

/// Whether another module of the build depends on it.
fn is_used(scan: &Scan<'_>, build: &Pom, own: &Pom) -> bool {
    let folder = folder_of(&build.path);
    let artifact = format!(":{}", own.artifact);
    let others = build.modules.iter().filter_map(|module| clean(module));
    let mut others = others.filter_map(|name| {
        let pom = Pom::read(scan, &format!("{}/pom.xml", join(folder, &name)))?;
        (pom.path != own.path).then_some(pom)
    });
    others.any(|pom| pom.uses.iter().any(|(known, _)| known.ends_with(&artifact)))
}

/// The file that holds the main class of a module: one near the top of the packages
/// (<https://docs.spring.io/spring-boot/reference/using/structuring-your-code.html>). Where only names are known, the
/// name tells.
pub(crate) fn main_class(scan: &Scan<'_>, module: &str) -> Option<Evidence> {
    const MAINS: &[&str] = &[
        "void main(",
        "fun main(",
        "def main(",
        "@SpringBootApplication",
        "extends App",
    ];
    let sources = SOURCES
        .iter()
        .map(|language| format!("{module}/src/main/{language}"));
    let mut queue: VecDeque<String> = sources.filter(|folder| scan.has_folder(folder)).collect();
    let mut left = MAX_FOLDERS;
    while let Some(folder) = queue.pop_front().filter(|_| left > 0) {
        left -= 1;
        let listing = scan.list(&folder);
        for path in &listing.files {
            let name = base_name(path);
            if !MAIN_NAMES.iter().any(|usual| name.contains(usual)) {
                continue;
            }
            let main = match scan.text(path) {
                Some(text) => MAINS.iter().find(|main| text.contains(**main)).copied(),
                None => Some("").filter(|_| name.contains("Application")),
            };
            if let Some(main) = main {
                return Some(scan.evidence(path, main, "the main class of a module"));
            }
        }
        queue.extend(listing.folders.iter().cloned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn modules_with_a_main_class_are_programs_and_libraries_are_not() {
        let module = |packaging: &str| {
            format!(
                "<project><artifactId>a</artifactId><packaging>{packaging}</packaging></project>"
            )
        };
        let modules = ["shop", "shop-api", "shared"].map(|name| format!("<module>{name}</module>"));
        let tree = MemoryTree::new([
            (
                "pom.xml".to_owned(),
                format!("<project><modules>{}</modules></project>", modules.concat()),
            ),
            ("shop/pom.xml".to_owned(), module("jar")),
            (
                "shop/src/main/java/x/y/ShopApplication.java".to_owned(),
                "class ShopApplication { public static void main(String[] a) {} }".to_owned(),
            ),
            ("shop-api/pom.xml".to_owned(), module("jar")),
            (
                "shop-api/src/main/java/x/y/ApplicationEvent.java".to_owned(),
                "interface ApplicationEvent {}".to_owned(),
            ),
            ("shared/pom.xml".to_owned(), module("pom")),
        ]);
        let mut found = Programs::new();
        maven(&Scan::new(&tree), "", &mut found);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["shop"]);
        assert!(!makes_program(&Scan::new(&tree), "shop-api"));
    }

    #[test]
    fn projects_of_gradle_with_a_main_class_are_programs() {
        let tree = MemoryTree::new([
            ("settings.gradle", "include 'orders', 'orders-contracts'\n"),
            ("orders/build.gradle", "apply plugin: ServicePlugin"),
            ("orders/src/main/kotlin/OrdersMain.kt", "fun main() {}"),
            ("orders-contracts/build.gradle", ""),
        ]);
        let mut found = Programs::new();
        gradle(&Scan::new(&tree), &mut found);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["orders"]);
    }
}
