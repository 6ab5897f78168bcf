//! Site generators that are programs of their own: Hugo, Zola, MkDocs and the like.

use devopser_core::model::report::{Evidence, Fact};

use super::{Stack, databases, fact, found};
use crate::rank::{Found, Strength};
use crate::scan::Scan;

/// The detector of site generators.
#[derive(Debug)]
pub(crate) struct SiteGenerator;

/// One generator.
struct Generator {
    id: &'static str,
    runtime: &'static str,
    /// Its settings; any one of them.
    settings: &'static [&'static str],
    /// Words of which one stands in the settings; none needed where the list is empty.
    words: &'static [&'static str],
    /// Folders of which one must be there; none needed where the list is empty.
    folders: &'static [&'static str],
    build: &'static str,
    output: &'static str,
}

#[rustfmt::skip]
const GENERATORS: &[Generator] = &[
    // https://gohugo.io/configuration/introduction/
    Generator { id: "hugo", runtime: "static", settings: &["hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "config/_default/hugo.toml", "config/_default/config.toml", "config/_default/hugo.yaml", "config/_default/config.yaml"], words: &[], folders: &[], build: "hugo --minify", output: "public" },
    // https://www.getzola.org/documentation/getting-started/configuration/
    Generator { id: "zola", runtime: "static", settings: &["config.toml", "zola.toml"], words: &["base_url"], folders: &["content", "templates", "sass"], build: "zola build", output: "public" },
    Generator { id: "hugo", runtime: "static", settings: &["config.toml", "config.yaml", "config.yml", "config.json"], words: &["baseURL", "baseurl", "baseUrl", "languageCode", "theme"], folders: &["content", "archetypes", "themes", "layouts"], build: "hugo --minify", output: "public" },
    Generator { id: "hugo", runtime: "static", settings: &["site/config.toml", "site/hugo.toml", "site/config.yaml"], words: &["baseURL", "baseurl", "title"], folders: &["site/content"], build: "hugo --minify --source site --destination ../dist", output: "dist" },
    // https://www.mkdocs.org/user-guide/configuration/
    Generator { id: "mkdocs", runtime: "python", settings: &["mkdocs.yml", "mkdocs.yaml"], words: &["site_name"], folders: &[], build: "mkdocs build", output: "site" },
    // https://rust-lang.github.io/mdBook/format/configuration/
    Generator { id: "mdbook", runtime: "static", settings: &["book.toml"], words: &["[book]"], folders: &[], build: "mdbook build", output: "book" },
    // https://docs.getpelican.com/en/latest/settings.html
    Generator { id: "pelican", runtime: "python", settings: &["pelicanconf.py"], words: &[], folders: &[], build: "pelican content", output: "output" },
    // https://jekyllrb.com/docs/structure/, without a Gemfile
    Generator { id: "jekyll", runtime: "ruby", settings: &["_config.yml"], words: &[], folders: &["_posts", "_layouts", "_includes"], build: "jekyll build", output: "_site" },
];

impl Stack for SiteGenerator {
    fn id(&self) -> &'static str {
        "sitegen"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "hugo.toml",
            "config.toml",
            "hugo.yaml",
            "config.yaml",
            "zola.toml",
            "mkdocs.yml",
            "book.toml",
            "pelicanconf.py",
            "_config.yml",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        GENERATORS.iter().map(|generator| generator.id).collect()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let (generator, path, evidence) = GENERATORS
            .iter()
            .find_map(|generator| settings(scan, generator))?;
        let mut detection = super::detection("sitegen", generator.runtime, evidence.clone());
        detection.framework = fact(generator.id, 90, evidence.clone());
        detection.is_static = Some(Fact::new(true, 92, evidence.clone()));
        detection.build_command = fact(generator.build, 85, evidence.clone());
        let configured = (generator.id == "hugo")
            .then(|| value_of(scan, path, "publishDir"))
            .flatten();
        detection.output_dir = fact(
            configured.unwrap_or_else(|| generator.output.to_owned()),
            85,
            evidence,
        );
        detection.databases = Some(databases::none());
        let documents = ["mkdocs", "mdbook", "jekyll"].contains(&generator.id);
        // Beside a program, they are what is written about it.
        let starts = || {
            let package = scan.package();
            package.is_some_and(|package| package.script("start").is_some())
        };
        let strength = match documents {
            true if starts() => Strength::Source,
            true => Strength::Manifest,
            false => Strength::Site,
        };
        found(detection, strength)
    }
}

fn settings(
    scan: &Scan<'_>,
    generator: &'static Generator,
) -> Option<(&'static Generator, &'static str, Evidence)> {
    let path = scan.first(generator.settings)?;
    if !generator.folders.is_empty()
        && !generator
            .folders
            .iter()
            .any(|folder| scan.has_folder(folder))
    {
        return None;
    }
    let why = format!("the settings of {}", generator.id);
    if generator.words.is_empty() {
        return Some((generator, path, Evidence::file(path, why)));
    }
    let text = scan.text(path)?;
    let word = generator.words.iter().find(|word| text.contains(**word))?;
    Some((generator, path, scan.evidence(path, word, why)))
}

/// `key = "value"` or `key: value`.
fn value_of(scan: &Scan<'_>, path: &str, key: &str) -> Option<String> {
    let text = scan.text(path)?;
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(key))?;
    let value = line
        .split_once(['=', ':'])?
        .1
        .trim()
        .trim_matches(['"', '\'']);
    let sound = !value.is_empty()
        && value
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "._-/".contains(char));
    sound.then(|| value.trim_end_matches('/').to_owned())
}
