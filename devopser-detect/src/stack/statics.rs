//! Sites of files that need no build.

use devopser_core::model::report::{Evidence, Fact};

use super::{Stack, databases, fact, found};
use crate::rank::{Found, Strength};
use crate::scan::{Scan, folder_of, join};

/// The detector of plain HTML.
#[derive(Debug)]
pub(crate) struct StaticSite;

/// Folders in which a site's files are kept by habit, best first.
const FOLDERS: &[&str] = &[
    "",
    "public",
    "static",
    "www",
    "site",
    "html",
    "web",
    "src",
    "htdocs",
    "public_html",
    "dist",
    "build",
    "docs",
    "app",
];

impl Stack for StaticSite {
    fn id(&self) -> &'static str {
        "static"
    }

    fn reads(&self) -> &'static [&'static str] {
        &["index.html", "Staticfile"]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        // https://docs.cloudfoundry.org/buildpacks/staticfile/
        let declared = scan.yaml("Staticfile").and_then(|value| {
            Some(
                value
                    .get("root")?
                    .as_str()?
                    .trim_matches(['/', '.'])
                    .to_owned(),
            )
        });
        let is_there =
            |folder: &&&str| folder.is_empty() || scan.folders(1).any(|known| known == **folder);
        // Beside a program the pages there are about it.
        let is_about = |folder: &&&str| **folder == "docs" && scan.has_manifest();
        let usual = FOLDERS.iter().filter(is_there).find(|folder| {
            let mut pages = ["index.html", "index.htm"].into_iter();
            !is_about(folder) && pages.any(|page| scan.has(&join(folder, page)))
        });
        let folder = declared
            .or_else(|| usual.map(|folder| (*folder).to_owned()))
            .or_else(|| anywhere(scan))?;
        let path = [join(&folder, "index.html"), join(&folder, "index.htm")]
            .into_iter()
            .find(|path| scan.has(path))
            .unwrap_or_else(|| "Staticfile".to_owned());
        let evidence = Evidence::file(path, "a page that needs no build");
        let mut detection = super::detection("static", "static", evidence.clone());
        detection.is_static = Some(Fact::new(true, 90, evidence.clone()));
        detection.output_dir = fact(if folder.is_empty() { "." } else { &folder }, 90, evidence);
        detection.databases = Some(databases::none());
        let strength = match folder.as_str() {
            "" if scan.has("Staticfile") => Strength::Manifest,
            "" => Strength::Source,
            _ => Strength::Trace,
        };
        found(detection, strength)
    }
}

/// The only `index.html` of the tree's first two levels, where no manifest in the root says what the tree is.
fn anywhere(scan: &Scan<'_>) -> Option<String> {
    if scan.has_manifest() {
        return None;
    }
    let mut pages = scan.named("index.html", 2);
    // What a program fills in is no page.
    pages.retain(|page| !["templates", "views"].contains(&crate::scan::base_name(folder_of(page))));
    // What lies in the folder of a program is that program's.
    let is_program = |folder: &str| {
        let manifests = crate::services::MANIFESTS.iter();
        let mut manifests = manifests.filter(|name| **name != "index.html");
        manifests.any(|name| scan.has(&join(folder, name)))
    };
    pages.retain(|page| {
        let mut ends = page.match_indices('/').map(|(at, _)| at);
        !ends.any(|at| is_program(&page[..at]))
    });
    match pages.as_slice() {
        [only] => Some(folder_of(only).to_owned()),
        _ => None,
    }
}
