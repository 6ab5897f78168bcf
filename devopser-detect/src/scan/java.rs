//! Maven's `pom.xml` and Gradle's build scripts, read as text, never run.

use std::collections::BTreeMap;
use std::rc::Rc;

use devopser_core::model::report::Evidence;

use super::{Scan, line_at, xml};

/// What a `pom.xml` says (<https://maven.apache.org/pom.html>).
#[derive(Debug, Default)]
pub(crate) struct Pom {
    pub(crate) path: String,
    pub(crate) artifact: String,
    pub(crate) version: String,
    pub(crate) packaging: String,
    pub(crate) final_name: Option<String>,
    /// The folder beside the jar that its manifest's class path names
    /// (<https://maven.apache.org/shared/maven-archiver/examples/classpath.html>).
    pub(crate) libraries: Option<String>,
    pub(crate) modules: Vec<String>,
    pub(crate) properties: BTreeMap<String, (String, u32)>,
    /// The plugins of its own build, which its modules inherit
    /// (<https://maven.apache.org/pom.html#Inheritance>).
    pub(crate) plugins: Vec<String>,
    /// `group:artifact` of dependencies, plugins and the parent, with their lines.
    pub(crate) uses: Vec<(String, u32)>,
}

impl Pom {
    /// A pom, parsed once.
    pub(crate) fn read(scan: &Scan<'_>, path: &str) -> Option<Rc<Self>> {
        if let Some(known) = scan.poms.borrow().get(path) {
            return known.clone();
        }
        let found = Self::parse(scan, path).map(Rc::new);
        scan.poms
            .borrow_mut()
            .insert(path.to_owned(), found.clone());
        found
    }

    fn parse(scan: &Scan<'_>, path: &str) -> Option<Self> {
        let text = scan.text(path)?;
        let mut found = Self {
            path: path.to_owned(),
            packaging: "jar".to_owned(),
            ..Self::default()
        };
        let mut group = String::new();
        for element in xml::elements(&text) {
            let line = || line_at(&text, element.at).unwrap_or(1);
            match element.path.as_str() {
                "project/artifactId" => element.text.clone_into(&mut found.artifact),
                "project/version" => element.text.clone_into(&mut found.version),
                // Both become part of a path: what is no name of a file is as good as not said.
                "project/packaging" if is_name(element.text) => {
                    element.text.clone_into(&mut found.packaging);
                }
                "project/build/finalName" if is_name(element.text) => {
                    found.final_name = Some(element.text.to_owned());
                }
                "project/modules/module" => found.modules.push(element.text.to_owned()),
                path => {
                    if let Some(name) = path
                        .strip_prefix("project/properties/")
                        .filter(|name| !name.contains('/'))
                    {
                        found
                            .properties
                            .insert(name.to_owned(), (element.text.to_owned(), line()));
                    } else if is_use(path, "groupId") {
                        element.text.clone_into(&mut group);
                    } else if is_use(path, "artifactId") {
                        if path == "project/build/plugins/plugin/artifactId" {
                            found.plugins.push(element.text.to_owned());
                        }
                        found
                            .uses
                            .push((format!("{group}:{}", element.text), line()));
                        group.clear();
                    } else if path.ends_with("manifest/classpathPrefix") {
                        found.libraries = Some(element.text.trim_matches(['.', '/']).to_owned())
                            .filter(|folder| crate::scan::is_plain(folder));
                    } else if path.ends_with("plugin/configuration/release")
                        || path.ends_with("plugin/configuration/source")
                    {
                        found
                            .properties
                            .entry("plugin.release".to_owned())
                            .or_insert((element.text.to_owned(), line()));
                    }
                }
            }
        }
        Some(found)
    }

    /// Evidence that something whose coordinates contain `what` is used.
    pub(crate) fn uses(&self, what: &str) -> Option<Evidence> {
        let (_, line) = self.uses.iter().find(|(known, _)| known.contains(what))?;
        Some(Evidence::line(
            self.path.clone(),
            Some(*line),
            format!("uses {what}"),
        ))
    }

    /// The Java release that the build targets, with its line.
    pub(crate) fn java(&self) -> Option<(String, u32)> {
        const KEYS: &[&str] = &[
            "java.version",
            "maven.compiler.release",
            "maven.compiler.source",
            "maven.compiler.target",
            "plugin.release",
            "jdk.version",
            "release.version",
            "javaVersion",
            "java.release",
        ];
        let (value, line) = KEYS.iter().find_map(|key| self.properties.get(*key))?;
        let name = value
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) => self.properties.get(name).cloned(),
            None => Some((value.clone(), *line)),
        }
    }
}

/// Whether a text is the name of a file, and nothing that a shell or a Dockerfile takes for more.
pub(crate) fn is_name(text: &str) -> bool {
    crate::scan::is_plain(text) && !text.contains('/')
}

fn is_use(path: &str, leaf: &str) -> bool {
    ["dependency", "plugin", "project/parent"]
        .iter()
        .any(|kind| {
            path.strip_suffix(leaf)
                .and_then(|path| path.strip_suffix('/'))
                .is_some_and(|path| path.ends_with(kind))
        })
}

/// A Gradle build script (`build.gradle` or `build.gradle.kts`).
#[derive(Debug)]
pub(crate) struct Gradle {
    pub(crate) path: &'static str,
    pub(crate) text: Rc<str>,
}

impl Gradle {
    /// Reads the root's build script.
    pub(crate) fn read(scan: &Scan<'_>) -> Option<Self> {
        let path = scan.first(&["build.gradle.kts", "build.gradle"])?;
        Some(Self {
            path,
            text: scan.text(path)?,
        })
    }

    /// Evidence that the script names `what`.
    pub(crate) fn uses(&self, what: &str) -> Option<Evidence> {
        let line = super::line_of(&self.text, what)?;
        Some(Evidence::line(
            self.path,
            Some(line),
            format!("uses {what}"),
        ))
    }
}

/// The folders of the modules of Maven (<https://maven.apache.org/guides/mini/guide-multiple-modules.html>) and of the
/// projects of Gradle (<https://docs.gradle.org/current/userguide/multi_project_builds.html>).
pub(crate) fn modules(scan: &Scan<'_>) -> Vec<String> {
    let clean = |path: &str| path.trim_start_matches("./").trim_matches('/').to_owned();
    let mut found: Vec<String> = Pom::read(scan, "pom.xml")
        .map(|pom| pom.modules.iter().map(|module| clean(module)).collect())
        .unwrap_or_default();
    let settings = scan.first(&["settings.gradle.kts", "settings.gradle"]);
    let text = settings.and_then(|path| scan.text(path));
    for line in text.unwrap_or_default().lines() {
        let line = line.trim();
        if !line.starts_with("include") || line.starts_with("includeBuild") {
            continue;
        }
        let names = line.split(['"', '\'']).skip(1).step_by(2);
        found.extend(names.map(|name| clean(&name.replace(':', "/"))));
    }
    found.retain(|folder| !folder.is_empty() && !folder.contains(".."));
    found.truncate(MAX_MODULES);
    found
}

/// How many modules of a build are looked into.
const MAX_MODULES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn modules_of_both_tools_are_named() {
        let of = |path: &str, text: &str| modules(&Scan::new(&MemoryTree::new([(path, text)])));
        let pom =
            "<project><modules><module>web</module><module>../up</module></modules></project>";
        assert_eq!(of("pom.xml", pom), ["web"]);
        let settings =
            "rootProject.name = 'shop'\nincludeBuild('tools')\ninclude(\":api\", \":libs:db\")\n";
        assert_eq!(of("settings.gradle.kts", settings), ["api", "libs/db"]);
    }

    #[test]
    fn reads_a_pom() {
        let text = "<project>\n<parent><groupId>org.springframework.boot</groupId>\n<artifactId>spring-boot-starter-parent</artifactId></parent>\n<artifactId>shop</artifactId><version>1.0</version>\n<properties><java.version>17</java.version></properties>\n<dependencies><dependency><groupId>org.postgresql</groupId><artifactId>postgresql</artifactId></dependency></dependencies></project>";
        let tree = MemoryTree::new([("pom.xml", text)]);
        let pom = Pom::read(&Scan::new(&tree), "pom.xml").unwrap();
        assert_eq!(
            (pom.artifact.as_str(), pom.version.as_str()),
            ("shop", "1.0")
        );
        assert_eq!(pom.java(), Some(("17".to_owned(), 5)));
        assert_eq!(pom.uses("org.postgresql:postgresql").unwrap().line, Some(6));
        assert!(pom.uses("spring-boot").is_some());
    }
}
