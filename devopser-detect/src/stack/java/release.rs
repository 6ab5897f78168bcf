//! The release of Java that a build wants.

use std::rc::Rc;

use devopser_core::model::report::{Evidence, Fact};

use super::{Build, poms, settings};
use crate::scan::java::{Gradle, Pom};
use crate::scan::{Scan, versions};
use crate::stack::version;

/// Version files and toolchains, then the release that the build compiles for.
pub(super) fn pinned(scan: &Scan<'_>, build: &Build) -> Option<Fact<String>> {
    let system = scan.text("system.properties").and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("java.runtime.version"))?;
        Some((
            line.trim_start_matches([' ', '=']).to_owned(),
            scan.evidence(
                "system.properties",
                "java.runtime.version",
                "java.runtime.version",
            ),
        ))
    });
    let sdkman = scan.text(".sdkmanrc").and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("java="))?;
        Some((
            line.split('-').next()?.to_owned(),
            scan.evidence(".sdkmanrc", "java=", "the version of SDKMAN"),
        ))
    });
    let own = match build {
        Build::Maven(pom) => pom
            .java()
            .or_else(|| poms(scan, pom).iter().find_map(|pom| pom.java()))
            .map(|(version, line)| {
                (
                    version,
                    Evidence::line("pom.xml", Some(line), "the Java release of the build"),
                )
            })
            .or_else(|| above(scan)),
        Build::Gradle(gradle) => in_gradle(scan, gradle),
        _ => None,
    };
    let files = versions::pinned(scan, &[".java-version"], &["java"])
        .map(|(version, evidence)| (settings::numbers(&version), evidence));
    let major = |found: Option<(String, Evidence)>| {
        found.map(|(version, evidence)| (settings::one_eight(&version), evidence))
    };
    let exact = version("java", [major(system), major(files), major(sdkman)]);
    let is_toolchain = own
        .as_ref()
        .is_some_and(|(_, evidence)| evidence.why.contains("toolchain"));
    let own = version("java", [major(own)]);
    if is_toolchain {
        return exact.or(own);
    }
    // The release that the build compiles for is the least that it needs
    // (https://maven.apache.org/plugins/maven-compiler-plugin/examples/set-compiler-release.html).
    exact.or_else(|| crate::stack::at_least(scan, "java", "java-version", own))
}

/// What the poms above a module say: a module inherits the properties of its parent
/// (<https://maven.apache.org/pom.html#inheritance>).
fn above(scan: &Scan<'_>) -> Option<(String, Evidence)> {
    let top = scan.above()?;
    scan.ancestors_of("pom.xml").into_iter().find_map(|path| {
        let pom = top.has(&path).then(|| Pom::read(top, &path)).flatten()?;
        let (version, line) = pom.java()?;
        let evidence = Evidence::line(path, Some(line), "the Java release of the build above");
        Some((version, evidence))
    })
}

fn in_gradle(scan: &Scan<'_>, gradle: &Gradle) -> Option<(String, Evidence)> {
    const KEYS: &[&str] = &[
        "JavaLanguageVersion.of(",
        "jvmToolchain(",
        "JavaVersion.VERSION_",
        "JavaVersion.toVersion(",
        "sourceCompatibility = ",
        "sourceCompatibility=",
        "jvmTarget = ",
        "sourceCompatibility ",
    ];
    let modules = scan
        .ending("build.gradle", 2)
        .into_iter()
        .chain(scan.ending("build.gradle.kts", 2));
    let texts = std::iter::once((gradle.path.to_owned(), Rc::clone(&gradle.text)))
        .chain(modules.filter_map(|path| Some((path.to_owned(), scan.text(path)?))));
    for (path, text) in texts.take(20) {
        for key in KEYS {
            let Some(at) = text.find(key) else { continue };
            let rest = text[at + key.len()..].trim_start_matches(['"', '\'', ' ', '=']);
            let rest = rest
                .strip_prefix("JavaVersion.VERSION_")
                .unwrap_or(rest)
                .replace('_', ".");
            let number: String = rest
                .chars()
                .take_while(|char| char.is_ascii_digit() || *char == '.')
                .collect();
            if !number.is_empty() {
                // https://docs.gradle.org/current/userguide/toolchains.html
                let why = if ["JavaLanguageVersion.of(", "jvmToolchain("].contains(key) {
                    "the toolchain of the build"
                } else {
                    "the Java release of the build"
                };
                let line = crate::scan::line_at(&text, at);
                return Some((number, Evidence::line(path, line, why)));
            }
        }
    }
    None
}
