//! Whether a Node.js app ends as a folder of files or as a server, and where its files are.

use devopser_core::model::report::Evidence;

use super::commands;
use super::frameworks::Framework;
use crate::scan::node::{Package, major};
use crate::scan::settings::Settings;
use crate::scan::{Scan, platform, procfile};

/// What comes out.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A folder of files.
    Static {
        /// The folder.
        output: String,
        /// Why.
        evidence: Evidence,
    },
    /// A process that answers requests.
    Server {
        /// Why.
        evidence: Evidence,
    },
}

/// Decides; what the repository says about its start goes before what the framework usually does.
pub(crate) fn of(scan: &Scan<'_>, package: &Package, row: Option<&Framework>) -> Outcome {
    match by_framework(scan, package, row) {
        Outcome::Static { output, evidence } => match platform::published(scan) {
            Some((output, evidence)) => Outcome::Static { output, evidence },
            None => Outcome::Static { output, evidence },
        },
        server => server,
    }
}

fn by_framework(scan: &Scan<'_>, package: &Package, row: Option<&Framework>) -> Outcome {
    let Some(row) = row else {
        return without_framework(scan, package);
    };
    let dep = row
        .deps
        .iter()
        .find(|dep| package.has(dep))
        .copied()
        .unwrap_or(row.id);
    let evidence = scan.in_package(
        dep,
        format!(
            "{} is a {}",
            row.id,
            if row.port.is_some() {
                "server"
            } else {
                "site builder"
            }
        ),
    );
    match row.id {
        "next" | "payload" => next(scan, evidence),
        "nuxt" => nuxt(scan, package, evidence),
        "astro" => astro(scan, package, row, evidence),
        "sveltekit" => sveltekit(scan, package, evidence),
        "react-router" => spa_mode(scan, "react-router.config", row, evidence),
        "remix" => spa_mode(scan, "vite.config", row, evidence),
        "angular" => angular(scan, package, evidence),
        // https://sapper.svelte.dev/docs#sapper_export
        "sapper"
            if package
                .script("build")
                .is_some_and(|script| script.contains("sapper export")) =>
        {
            site(scan, package, row, evidence)
        }
        _ if row.port.is_some() => Outcome::Server { evidence },
        _ => site(scan, package, row, evidence),
    }
}

fn without_framework(scan: &Scan<'_>, package: &Package) -> Outcome {
    let script = package.script("start").or_else(|| package.script("serve"));
    let evidence = match script {
        Some(_) => scan.in_package("scripts", "its scripts start it"),
        None => Evidence::file("package.json", "no site builder among the dependencies"),
    };
    let starts =
        procfile::process(scan, "web").is_some() || commands::start_script(package, None).is_some();
    let builders = [
        "webpack",
        "rollup",
        "gulp",
        "esbuild",
        "grunt",
        "@wordpress/scripts",
        "@swc/core",
        "brunch",
    ];
    let builder = builders.into_iter().find(|builder| package.has(builder));
    if let (false, Some(builder), Some(_)) = (starts, builder, package.script("build")) {
        let output = ["dist", "build", "public"].into_iter().find(|folder| {
            package
                .script("build")
                .is_some_and(|script| script.contains(folder))
        });
        let why = format!("{builder} builds it and nothing starts it");
        let is_page =
            scan.has("index.html") || scan.has("src/index.html") || scan.has("public/index.html");
        if is_page {
            return Outcome::Static {
                output: output.unwrap_or("dist").to_owned(),
                evidence: scan.in_package(builder, why),
            };
        }
    }
    Outcome::Server { evidence }
}

/// A site builder: static, unless a start script of its own runs a server over it.
fn site(scan: &Scan<'_>, package: &Package, row: &Framework, evidence: Evidence) -> Outcome {
    let own = procfile::process(scan, "web")
        .map(|fact| fact.value)
        .or_else(|| {
            commands::start_script(package, Some(row)).map(|(_, script)| script.to_owned())
        });
    let serves = own.is_some_and(|script| {
        (script.contains("node ") || script.contains("tsx ") || script.contains("ts-node "))
            && commands::runs_own_program(scan, package)
    });
    // A program that was bundled with all that it needs has no dependencies left.
    let bundled = package
        .dependencies
        .is_empty()
        .then_some(&package.dev_dependencies);
    if serves
        && bundled.unwrap_or(&package.dependencies).keys().any(|dep| {
            super::frameworks::SERVERS
                .iter()
                .any(|server| server.deps.contains(&dep.as_str()))
        })
    {
        return Outcome::Server {
            evidence: scan.in_package("start", "the start script runs a server of its own"),
        };
    }
    let output = output(scan, package, row);
    Outcome::Static {
        output: moved(package, &output).unwrap_or(output),
        evidence,
    }
}

/// Where the build script moves the built files in the end: `react-scripts build && mv build www`.
fn moved(package: &Package, output: &str) -> Option<String> {
    let mut parts = package.script("build")?.rsplit(['&', ';']);
    parts.find_map(|part| {
        let words: Vec<&str> = part.split_whitespace().collect();
        match words.as_slice() {
            ["mv", from, to] if clean(from).as_deref() == Some(output) => clean(to),
            _ => None,
        }
    })
}

/// The folder of the built files: what the build script or the builder's settings say, else the usual one.
fn output(scan: &Scan<'_>, package: &Package, row: &Framework) -> String {
    let usual = row.output.unwrap_or("dist").to_owned();
    let build = package.script("build").unwrap_or_default();
    let flag = |flags: &[&str]| flags.iter().find_map(|flag| after(build, flag));
    match row.id {
        "vite" => flag(&["--outDir ", "--outDir="])
            .or_else(|| configured(scan, "vite.config", "outDir"))
            .map_or(usual, |out| vite_root(scan, &out)),
        "rsbuild" => configured(scan, "rsbuild.config", "root")
            .or_else(|| configured(scan, "rsbuild.config", "distPath"))
            .unwrap_or(usual),
        "parcel" => flag(&["--dist-dir ", "-d ", "--out-dir "]).unwrap_or(usual),
        "eleventy" => flag(&["--output="])
            .or_else(|| eleventy(scan))
            .unwrap_or(usual),
        "vitepress" | "vuepress" => documentation(scan, package, row, usual),
        "cra" => flag(&["BUILD_PATH="]).unwrap_or(usual),
        // https://v1.docusaurus.io/docs/en/publishing
        "docusaurus" if package.has("docusaurus") => configured(scan, "siteConfig", "projectName")
            .map_or(usual, |name| format!("build/{name}")),
        "vue-cli" => configured(scan, "vue.config", "outputDir").unwrap_or(usual),
        _ => usual,
    }
}

/// The word after a flag.
fn after(script: &str, flag: &str) -> Option<String> {
    let at = script.find(flag)?;
    let word = script[at + flag.len()..].split_whitespace().next()?;
    clean(word)
}

/// A path that a configuration file sets.
fn configured(scan: &Scan<'_>, stem: &str, key: &str) -> Option<String> {
    clean(Settings::of(scan, stem)?.text(key)?)
}

fn vite_root(scan: &Scan<'_>, out: &str) -> String {
    let root = configured(scan, "vite.config", "root").unwrap_or_default();
    match (root.is_empty(), out.strip_prefix("../")) {
        (true, _) => out.to_owned(),
        (false, Some(rest)) => rest.to_owned(),
        (false, None) => format!("{root}/{out}"),
    }
}

fn clean(path: &str) -> Option<String> {
    let path = path.trim().trim_start_matches("./").trim_end_matches('/');
    let sound = !path.is_empty()
        && path.len() < 200
        && path
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "._-/".contains(char));
    sound.then(|| path.to_owned())
}

fn eleventy(scan: &Scan<'_>) -> Option<String> {
    let stems = [".eleventy", "eleventy.config"];
    let settings = stems.iter().find_map(|stem| Settings::of(scan, stem))?;
    clean(settings.text("output")?)
}

/// VitePress and VuePress build into their folder below the documentation's folder.
fn documentation(scan: &Scan<'_>, package: &Package, row: &Framework, usual: String) -> String {
    let command = format!("{} build ", row.id);
    let named = package
        .scripts
        .values()
        .find_map(|script| script.split(&command).nth(1))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(clean);
    let hidden = format!(".{}", row.id);
    let folder = named.or_else(|| {
        let config = scan
            .folders(3)
            .find(|path| crate::scan::base_name(path) == hidden)?;
        Some(crate::scan::folder_of(config).to_owned()).filter(|folder| !folder.is_empty())
    });
    folder.map_or(usual.clone(), |folder| format!("{folder}/{usual}"))
}

/// <https://nextjs.org/docs/app/guides/static-exports>
fn next(scan: &Scan<'_>, evidence: Evidence) -> Outcome {
    let export = Settings::of(scan, "next.config").and_then(|settings| {
        let evidence = settings.says("output", "export", "Next.js exports files")?;
        let output = settings.text("distDir").and_then(clean);
        Some((output.unwrap_or_else(|| "out".to_owned()), evidence))
    });
    match export {
        Some((output, evidence)) => Outcome::Static { output, evidence },
        None => Outcome::Server { evidence },
    }
}

/// <https://nuxt.com/docs/getting-started/deployment#static-hosting>
fn nuxt(scan: &Scan<'_>, package: &Package, evidence: Evidence) -> Outcome {
    let is_old = package
        .any("nuxt")
        .and_then(major)
        .is_some_and(|major| major < 3);
    let output = if is_old { "dist" } else { ".output/public" }.to_owned();
    let generates = package
        .script("build")
        .is_some_and(|script| script.contains("nuxt generate") || script.contains("nuxi generate"));
    if generates {
        return Outcome::Static {
            output,
            evidence: scan.in_package("build", "nuxt generate makes files"),
        };
    }
    // https://v2.nuxt.com/docs/configuration-glossary/configuration-target
    let target = Settings::of(scan, "nuxt.config")
        .filter(|_| is_old)
        .and_then(|settings| settings.says("target", "static", "Nuxt's target is a static site"));
    match target {
        Some(evidence) => Outcome::Static { output, evidence },
        None => Outcome::Server { evidence },
    }
}

/// <https://docs.astro.build/en/guides/on-demand-rendering/>: files, unless an adapter makes a server.
fn astro(scan: &Scan<'_>, package: &Package, row: &Framework, evidence: Evidence) -> Outcome {
    let settings = Settings::of(scan, "astro.config");
    let why = "Astro renders on demand";
    let on_demand = settings.as_ref().and_then(|settings| {
        ["server", "hybrid"]
            .iter()
            .find_map(|output| settings.says("output", output, why))
            .or_else(|| settings.has("adapter:", why))
    });
    if let Some(evidence) = on_demand {
        return Outcome::Server { evidence };
    }
    let starts = commands::start_script(package, Some(row));
    if starts.is_some_and(|(_, script)| script.contains("server")) {
        return Outcome::Server {
            evidence: scan.in_package("start", "the start script runs its server"),
        };
    }
    let output = settings
        .as_ref()
        .and_then(|settings| settings.text("outDir"));
    Outcome::Static {
        output: output.and_then(clean).unwrap_or_else(|| "dist".to_owned()),
        evidence,
    }
}

/// <https://svelte.dev/docs/kit/adapters>
fn sveltekit(scan: &Scan<'_>, package: &Package, evidence: Evidence) -> Outcome {
    let settings = Settings::of(scan, "svelte.config");
    let uses = |adapter: &str| match &settings {
        Some(settings) => settings.has(adapter, "").is_some(),
        None => false,
    };
    let in_use = settings.is_none() || uses("adapter-static");
    let serves = ["node", "auto", "vercel", "netlify", "cloudflare"]
        .iter()
        .any(|adapter| uses(&format!("@sveltejs/adapter-{adapter}")));
    if package.has("@sveltejs/adapter-static") && in_use && !serves {
        return Outcome::Static {
            output: "build".to_owned(),
            evidence: scan.in_package("@sveltejs/adapter-static", "SvelteKit's static adapter"),
        };
    }
    Outcome::Server { evidence }
}

/// `ssr: false` (<https://reactrouter.com/how-to/spa>): files only.
fn spa_mode(scan: &Scan<'_>, stem: &str, row: &Framework, evidence: Evidence) -> Outcome {
    let off = Settings::of(scan, stem)
        .and_then(|settings| settings.says("ssr", "false", "server rendering is off"));
    match off {
        Some(evidence) => Outcome::Static {
            output: row.output.unwrap_or("build/client").to_owned(),
            evidence,
        },
        None => Outcome::Server { evidence },
    }
}

/// <https://angular.dev/reference/configs/workspace-config>: `outputPath`, by default `dist/{project}`; the application
/// builder puts the pages into `browser/` below it.
fn angular(scan: &Scan<'_>, package: &Package, evidence: Evidence) -> Outcome {
    let workspace = scan.json("angular.json");
    let project = workspace.as_ref().and_then(|value| {
        let projects = value.get("projects")?.as_object()?;
        let named = value
            .get("defaultProject")
            .and_then(serde_json::Value::as_str);
        projects
            .get_key_value(named.unwrap_or_default())
            .or_else(|| projects.iter().next())
    });
    let options = project.and_then(|(_, project)| project.pointer("/architect/build"));
    let path = options.and_then(|build| build.pointer("/options/outputPath"));
    let base = path.and_then(|path| path.as_str().or_else(|| path.get("base")?.as_str()));
    let name = project.map_or("app", |(name, _)| name.as_str());
    let base = base
        .and_then(clean)
        .unwrap_or_else(|| format!("dist/{name}"));
    let builder = options
        .and_then(|build| build.get("builder")?.as_str())
        .unwrap_or_default();
    let renders = options.is_some_and(|build| {
        build
            .pointer("/options/ssr")
            .is_some_and(|ssr| !ssr.is_null() && ssr != false)
    });
    if renders && package.has("@angular/ssr") {
        return Outcome::Server {
            evidence: scan.evidence("angular.json", "\"ssr\"", "Angular renders on a server"),
        };
    }
    let browser = builder.ends_with(":application")
        && !path.is_some_and(|path| path.get("browser").is_some_and(|browser| browser == ""));
    Outcome::Static {
        output: if browser {
            format!("{base}/browser")
        } else {
            base
        },
        evidence,
    }
}
