//! Maven's assembly plugin, as far as it makes the jar that runs (<https://maven.apache.org/plugins/maven-assembly-plugin/usage.html>).

use crate::scan::Scan;
use crate::scan::java::{Pom, is_name};

/// A jar with its dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assembly {
    /// Its name below `target/`; a pattern where the project's version is part of it.
    pub(crate) jar: String,
    /// Whether `package` makes it; else the goal has to be asked for.
    pub(crate) is_bound: bool,
}

/// Reads what the pom says of it; nothing when the plugin packs something else.
pub(crate) fn of(scan: &Scan<'_>, pom: &Pom) -> Option<Assembly> {
    let text = scan.text(&pom.path)?;
    let (_, rest) = text.split_once("<artifactId>maven-assembly-plugin</artifactId>")?;
    let section = rest.split("</plugin>").next()?;
    if !section.contains("jar-with-dependencies") {
        return None;
    }
    let name = element(section, "finalName")
        .filter(|name| is_name(name))
        .or(pom.final_name.as_deref())
        .unwrap_or("*");
    let ending = match element(section, "appendAssemblyId") {
        Some("false") => "",
        _ => "-jar-with-dependencies",
    };
    Some(Assembly {
        jar: format!("{name}{ending}.jar"),
        is_bound: section.contains("<goal>"),
    })
}

fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split('<').next()?.trim())
}
