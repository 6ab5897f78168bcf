//! Pages that a program has in itself or serves from a folder, where a front end has to build them before the program.

use std::rc::Rc;

use devopser_core::model::report::{Detection, Evidence, Pages, PagesOutput};

use super::{Stack, context, node};
use crate::compose::inside;
use crate::scan::{Scan, base_name, code, folder_of, is_plain, join};
use crate::tree::SubTree;

/// How the sources of a language name folders that are compiled into the program.
pub(crate) struct Language {
    /// How the names of its sources end.
    pub(crate) ending: &'static str,
    /// Names of the sources that have it mostly, however deep they lie.
    pub(crate) names: &'static [&'static str],
    /// What a source names, relative to the root.
    pub(crate) embedded: fn(&Scan<'_>, &str, &str) -> Vec<String>,
}

/// Where front ends lie in the repositories of programs that have them.
const FOLDERS: &[&str] = &[
    "admin",
    "app",
    "client",
    "console",
    "dashboard",
    "front",
    "front-end",
    "frontend",
    "ui",
    "web",
    "web-app",
    "web-ui",
    "webapp",
    "webui",
];

/// Folders that searches do not enter, as they mostly hold what pages show.
const ASSETS: &[&str] = &["assets", "internal/assets", "pkg/assets"];

/// How many sources are looked into.
const MAX_SOURCES: usize = 100;

/// A front end that may build them.
struct Front {
    folder: String,
    detection: Detection,
    /// Where its built files are, where its settings say that they are files.
    output: Option<String>,
}

/// The front end that builds what the program embeds or serves and the repository does not hold.
pub(crate) fn of(scan: &Scan<'_>, language: &Language) -> Option<Pages> {
    let folders = folders(scan);
    if folders.is_empty() {
        return None;
    }
    let sources = sources(scan, language, &folders);
    let missing = missing(scan, language, &sources);
    let fronts = folders.iter().filter_map(|folder| front(scan, folder));
    let mut fronts: Vec<Front> = fronts.collect();
    for front in &mut fronts {
        let outputs = outputs(scan, front, &missing, &sources);
        if !outputs.is_empty() {
            return pages(front, outputs);
        }
    }
    // What its own file for images would copy from the one folder to the other.
    let (Ok([front]), [(to, evidence)]) = (<[Front; 1]>::try_from(fronts), missing.as_slice())
    else {
        return None;
    };
    let from = front.output.clone()?;
    let output = (output(from, to.clone(), false), evidence.clone());
    pages(&front, vec![output])
}

/// What a front end in the root builds beside a program that is served as the build leaves the folder.
pub(crate) fn beside(scan: &Scan<'_>) -> Option<Pages> {
    scan.package()?.script("build")?;
    Some(Pages {
        folder: String::new(),
        outputs: Vec::new(),
        evidence: vec![scan.in_package("build", "the build script of the assets")],
        detection: Box::new(node::Node.detect(scan)?.detection),
    })
}

/// The folders of front ends that have a script that builds them, the root among them.
fn folders(scan: &Scan<'_>) -> Vec<String> {
    let builds = |folder: &String| {
        let package = scan.package_at(&join(folder, "package.json"));
        package.is_some_and(|package| package.script("build").is_some())
    };
    let mut found = vec![String::new()];
    for folder in FOLDERS {
        if !scan.list("").folders.iter().any(|known| known == folder) {
            continue;
        }
        if scan.has(&join(folder, "package.json")) {
            found.push((*folder).to_owned());
            continue;
        }
        let below = scan.list(folder);
        let below = below.folders.iter();
        found.extend(
            below
                .filter(|path| FOLDERS.contains(&base_name(path)))
                .cloned(),
        );
    }
    found.retain(builds);
    found
}

/// The sources that may name built pages: those of the root, beside a front end, and with a usual name.
fn sources(scan: &Scan<'_>, language: &Language, folders: &[String]) -> Vec<(String, Rc<str>)> {
    let mut paths: Vec<String> = scan.root_with(language.ending).map(str::to_owned).collect();
    for folder in folders.iter().filter(|folder| !folder.is_empty()) {
        paths.extend(scan.list(folder).files.iter().cloned());
    }
    paths.extend(code::named(scan, language.names, 5).map(str::to_owned));
    for folder in ASSETS {
        let names = language.names.iter();
        let named = names.map(|name| join(folder, name));
        paths.extend(named.filter(|path| scan.has(path)));
    }
    paths.retain(|path| path.ends_with(language.ending) && code::is_own(path));
    paths.sort();
    paths.dedup();
    paths.truncate(MAX_SOURCES);
    let texts = paths.into_iter().filter_map(|path| {
        let text = scan.text(&path)?;
        Some((path, text))
    });
    texts.collect()
}

/// The folders that go into the program and are not there, or hold no more than a placeholder.
fn missing(
    scan: &Scan<'_>,
    language: &Language,
    sources: &[(String, Rc<str>)],
) -> Vec<(String, Evidence)> {
    let mut found: Vec<(String, Evidence)> = Vec::new();
    for (path, text) in sources {
        for folder in (language.embedded)(scan, path, text) {
            if is_plain(&folder) && !is_there(scan, &folder) {
                let name = base_name(&folder).to_owned();
                let why = format!("{folder} goes into the program and is built before");
                found.push((folder, scan.evidence(path, &name, why)));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut kept: Vec<(String, Evidence)> = Vec::new();
    for (folder, evidence) in found {
        if !kept.iter().any(|(above, _)| is_below(&folder, above)) {
            kept.push((folder, evidence));
        }
    }
    kept
}

/// Whether the repository holds files of the folder, other than those that only keep its place.
fn is_there(scan: &Scan<'_>, folder: &str) -> bool {
    let keeps_place = |path: &str| {
        let name = base_name(path);
        name.starts_with('.') || ["index.html", "README.md"].contains(&name)
    };
    scan.has(folder) || scan.under(folder).any(|path| !keeps_place(&path))
}

/// What lies in a folder of the front end.
fn front(scan: &Scan<'_>, folder: &str) -> Option<Front> {
    let detection = if folder.is_empty() {
        node::Node.detect(scan)?.detection
    } else {
        let tree = SubTree::new(scan.tree(), folder);
        let sub = Scan::below(&tree, scan, folder);
        let mut detection = node::Node.detect(&sub)?.detection;
        context::settle(&sub, &mut detection);
        context::complete(&sub, &mut detection);
        detection
    };
    let is_static = detection.is_static.as_ref().is_some_and(|fact| fact.value);
    let output = detection.output_dir.as_ref().filter(|_| is_static);
    Some(Front {
        output: output.and_then(|output| below(folder, &output.value)),
        folder: folder.to_owned(),
        detection,
    })
}

/// What of the missing folders, and of those that are served, the front end builds.
fn outputs(
    scan: &Scan<'_>,
    front: &mut Front,
    missing: &[(String, Evidence)],
    sources: &[(String, Rc<str>)],
) -> Vec<(PagesOutput, Evidence)> {
    let mut found = Vec::new();
    for (to, evidence) in missing {
        let is_told = tells_folder(scan, front, to);
        let is_its_own = front
            .output
            .as_ref()
            .is_some_and(|own| is_below(own, to) || is_below(to, own));
        if is_told || is_its_own || is_below(to, &front.folder) {
            found.push((output(to.clone(), to.clone(), false), evidence.clone()));
        }
    }
    let Some(own) = front.output.as_ref().filter(|_| found.is_empty()) else {
        return found;
    };
    let quoted = ["\"", "\"./", "'", "'./"].map(|start| format!("{start}{own}"));
    let names = |text: &str| {
        let mut at = quoted.iter().filter_map(|quoted| {
            let rest = text.split_once(quoted.as_str())?.1;
            rest.starts_with(['"', '\'', '/']).then_some(())
        });
        at.next().is_some()
    };
    let source = sources.iter().find(|(_, text)| names(text));
    if let Some((path, _)) = source.filter(|_| !is_there(scan, own)) {
        let evidence = scan.evidence(path, own, format!("{own} is served and is built before"));
        found.push((output(own.clone(), own.clone(), true), evidence));
    }
    found
}

/// Whether a script tells the builder to leave its files in this folder; that script is the one that builds then.
fn tells_folder(scan: &Scan<'_>, front: &mut Front, wanted: &str) -> bool {
    let path = join(&front.folder, "package.json");
    let Some(package) = scan.package_at(&path) else {
        return false;
    };
    let told = package.scripts.iter().find(|(_, script)| {
        let mut words = script.split_whitespace();
        let out = words.find_map(|word| match word.strip_prefix("--outDir") {
            Some("") => Some(None),
            Some(rest) => rest.strip_prefix('=').map(Some),
            None => None,
        });
        let out = out.and_then(|given| given.or_else(|| words.next()));
        out.and_then(|out| below(&front.folder, out)).as_deref() == Some(wanted)
    });
    let Some((name, _)) = told else { return false };
    let manager = front.detection.package_manager.as_ref();
    let manager = manager.map_or("npm", |fact| fact.value.as_str());
    let command = node::manager::run(manager, name);
    let why = "the script that builds what goes into the program";
    front.detection.build_command = super::fact(
        command,
        80,
        scan.evidence(&path, &format!("\"{name}\""), why),
    );
    true
}

fn pages(front: &Front, outputs: Vec<(PagesOutput, Evidence)>) -> Option<Pages> {
    let sound = |output: &PagesOutput| is_plain(&output.from) && is_plain(&output.to);
    let is_sound = (front.folder.is_empty() || is_plain(&front.folder))
        && outputs.iter().all(|(output, _)| sound(output));
    let (outputs, evidence) = outputs.into_iter().unzip();
    is_sound.then(|| Pages {
        folder: front.folder.clone(),
        outputs,
        evidence,
        detection: Box::new(front.detection.clone()),
    })
}

const fn output(from: String, to: String, is_read: bool) -> PagesOutput {
    PagesOutput { from, to, is_read }
}

/// Whether a folder lies in another, or is it.
fn is_below(folder: &str, above: &str) -> bool {
    above.is_empty()
        || folder
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The folder that a path below another one names, `..` in it resolved; nothing where it leaves the tree.
fn below(folder: &str, path: &str) -> Option<String> {
    inside(folder, path).filter(|path| !path.is_empty())
}

/// `//go:embed` and its patterns (<https://pkg.go.dev/embed>): the folder before the first part with a wildcard or an ending.
pub(crate) fn in_go(_: &Scan<'_>, path: &str, text: &str) -> Vec<String> {
    // What only a build with tags compiles is not compiled here.
    let is_tagged =
        |line: &str| line.starts_with("//go:build ") && !line.starts_with("//go:build !");
    if text.lines().take(20).any(is_tagged) {
        return Vec::new();
    }
    let lines = text.lines().map(str::trim_start);
    let lines = lines.filter_map(|line| line.strip_prefix("//go:embed "));
    let patterns = lines.flat_map(str::split_whitespace);
    let folders = patterns.filter_map(|pattern| {
        let pattern = pattern.trim_matches(['"', '`']);
        let pattern = pattern.strip_prefix("all:").unwrap_or(pattern);
        let is_folder = |part: &&str| !part.contains(['*', '?', '[', '.']);
        let parts: Vec<&str> = pattern.split('/').take_while(is_folder).collect();
        (!parts.is_empty()).then(|| join(folder_of(path), &parts.join("/")))
    });
    folders.collect()
}

/// `#[folder = "…"]` of rust-embed (<https://docs.rs/rust-embed>) and `include_dir!` (<https://docs.rs/include_dir>), relative to
/// the package.
pub(crate) fn in_rust(scan: &Scan<'_>, path: &str, text: &str) -> Vec<String> {
    let mut package = folder_of(path);
    while !package.is_empty() && !scan.has(&join(package, "Cargo.toml")) {
        package = folder_of(package);
    }
    let starts = ["#[folder = \"", "include_dir!(\""];
    let folders = starts.iter().flat_map(|start| {
        text.split(start).skip(1).filter_map(|rest| {
            let folder = rest.split('"').next()?;
            let folder = folder.trim_start_matches("$CARGO_MANIFEST_DIR/");
            below(package, folder)
        })
    });
    folders.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn patterns_name_their_folder() {
        let tree = MemoryTree::new([("go.mod", "")]);
        let text = "//go:embed dist/index.html\n//go:embed all:build/*.js \"res\"\n//go:embed *.html\n// go:embed no\n";
        let found = in_go(&Scan::new(&tree), "ui/serve.go", text);
        assert_eq!(found, ["ui/dist", "ui/build", "ui/res"]);
        let tagged = in_go(
            &Scan::new(&tree),
            "ui/serve.go",
            "//go:build prod\n//go:embed dist\n",
        );
        assert!(tagged.is_empty());
    }

    #[test]
    fn folders_of_rust_belong_to_the_package() {
        let tree = MemoryTree::new([("crates/web/Cargo.toml", ""), ("Cargo.toml", "")]);
        let text = "#[folder = \"../../ui/dist/\"]\nstatic DIR: Dir = include_dir!(\"$CARGO_MANIFEST_DIR/pages\");\n#[folder = \"../../../../etc\"]";
        let found = in_rust(&Scan::new(&tree), "crates/web/src/lib.rs", text);
        assert_eq!(found, ["ui/dist", "crates/web/pages"]);
    }
}
