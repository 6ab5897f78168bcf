//! Whether a Node.js app ends as a folder of files or as a server, and where its files are.

use devopser_core::model::report::Evidence;

use super::commands;
use super::frameworks::Framework;
use crate::scan::node::Package;
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
        "react-router" => spa_mode(
            scan,
            &["react-router.config.ts", "react-router.config.js"],
            row,
            evidence,
        ),
        "remix" => spa_mode(
            scan,
            &["vite.config.ts", "vite.config.js", "vite.config.mjs"],
            row,
            evidence,
        ),
        "angular" => angular(scan, package, evidence),
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
    if serves
        && package.dependencies.keys().any(|dep| {
            super::frameworks::SERVERS
                .iter()
                .any(|server| server.deps.contains(&dep.as_str()))
        })
    {
        return Outcome::Server {
            evidence: scan.in_package("start", "the start script runs a server of its own"),
        };
    }
    Outcome::Static {
        output: output(scan, package, row),
        evidence,
    }
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
        "parcel" => flag(&["--dist-dir ", "-d ", "--out-dir "]).unwrap_or(usual),
        "eleventy" => flag(&["--output="])
            .or_else(|| eleventy(scan))
            .unwrap_or(usual),
        "vitepress" | "vuepress" => documentation(scan, package, row, usual),
        "cra" => flag(&["BUILD_PATH="]).unwrap_or(usual),
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

/// A literal setting in a configuration file; its code is never run.
fn configured(scan: &Scan<'_>, stem: &str, key: &str) -> Option<String> {
    clean(&setting(scan, stem, key)?)
}

/// The quoted text behind `key:` in a configuration file.
pub(super) fn setting(scan: &Scan<'_>, stem: &str, key: &str) -> Option<String> {
    let path = [".ts", ".js", ".mjs", ".mts", ".cjs"]
        .iter()
        .map(|ending| format!("{stem}{ending}"))
        .find(|path| scan.has(path))?;
    let text = scan.text(&path)?;
    let sign = format!("{key}:");
    let in_name = |char: char| char.is_alphanumeric() || "_$.-".contains(char);
    let at = text
        .match_indices(&sign)
        .map(|(at, _)| at)
        .find(|at| !text[..*at].ends_with(in_name))?;
    let rest = text[at + sign.len()..].trim_start();
    let quote = rest
        .chars()
        .next()
        .filter(|char| ['"', '\''].contains(char))?;
    Some(rest[1..].split(quote).next()?.to_owned())
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
    let path = scan.first(&[
        ".eleventy.js",
        "eleventy.config.js",
        "eleventy.config.mjs",
        "eleventy.config.cjs",
        "eleventy.config.ts",
    ])?;
    let text = scan.text(path)?;
    let at = text.find("output:")?;
    let quoted = text[at..].split(['"', '\'']).nth(1)?;
    clean(quoted)
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
    let Some(path) = scan.first(&["next.config.ts", "next.config.mjs", "next.config.js"]) else {
        return Outcome::Server { evidence };
    };
    let export = [
        "output: 'export'",
        "output: \"export\"",
        "output:'export'",
        "output:\"export\"",
    ];
    let text = scan.text(path).unwrap_or_default();
    match export.iter().find(|sign| text.contains(**sign)) {
        Some(sign) => Outcome::Static {
            output: configured(scan, "next.config", "distDir").unwrap_or_else(|| "out".to_owned()),
            evidence: scan.evidence(path, sign, "Next.js exports files"),
        },
        None => Outcome::Server { evidence },
    }
}

/// <https://nuxt.com/docs/getting-started/deployment#static-hosting>
fn nuxt(scan: &Scan<'_>, package: &Package, evidence: Evidence) -> Outcome {
    let generates = package
        .script("build")
        .is_some_and(|script| script.contains("nuxt generate") || script.contains("nuxi generate"));
    if generates {
        return Outcome::Static {
            output: ".output/public".to_owned(),
            evidence: scan.in_package("build", "nuxt generate makes files"),
        };
    }
    Outcome::Server { evidence }
}

/// <https://docs.astro.build/en/guides/on-demand-rendering/>: files, unless an adapter makes a server.
fn astro(scan: &Scan<'_>, package: &Package, row: &Framework, evidence: Evidence) -> Outcome {
    let path = scan.first(&[
        "astro.config.mjs",
        "astro.config.ts",
        "astro.config.js",
        "astro.config.cjs",
        "astro.config.mts",
    ]);
    let text = path.and_then(|path| scan.text(path)).unwrap_or_default();
    let code = crate::scan::code::without_comments(&text, "//");
    let sign = [
        "output: 'server'",
        "output: \"server\"",
        "output: 'hybrid'",
        "adapter:",
    ]
    .into_iter()
    .find(|sign| code.contains(sign));
    match (path, sign) {
        (Some(path), Some(sign)) => Outcome::Server {
            evidence: scan.evidence(path, sign, "Astro renders on demand"),
        },
        _ if commands::start_script(package, Some(row))
            .is_some_and(|(_, script)| script.contains("server")) =>
        {
            Outcome::Server {
                evidence: scan.in_package("start", "the start script runs its server"),
            }
        }
        _ => Outcome::Static {
            output: configured(scan, "astro.config", "outDir").unwrap_or_else(|| "dist".to_owned()),
            evidence,
        },
    }
}

/// <https://svelte.dev/docs/kit/adapters>
fn sveltekit(scan: &Scan<'_>, package: &Package, evidence: Evidence) -> Outcome {
    let config = scan
        .first(&["svelte.config.js", "svelte.config.ts"])
        .and_then(|path| scan.text(path))
        .unwrap_or_default();
    let in_use = config.contains("adapter-static")
        || (config.is_empty() && package.has("@sveltejs/adapter-static"));
    let others = [
        "adapter-node",
        "adapter-auto",
        "adapter-vercel",
        "adapter-netlify",
        "adapter-cloudflare",
    ];
    let serves = others
        .iter()
        .any(|adapter| config.contains(&format!("@sveltejs/{adapter}")));
    if package.has("@sveltejs/adapter-static") && in_use && !serves {
        return Outcome::Static {
            output: "build".to_owned(),
            evidence: scan.in_package("@sveltejs/adapter-static", "SvelteKit's static adapter"),
        };
    }
    Outcome::Server { evidence }
}

/// `ssr: false` (<https://reactrouter.com/how-to/spa>): files only.
fn spa_mode(scan: &Scan<'_>, configs: &[&str], row: &Framework, evidence: Evidence) -> Outcome {
    let found = configs.iter().find(|path| {
        scan.text(path)
            .is_some_and(|text| text.contains("ssr: false"))
    });
    match found {
        Some(path) => Outcome::Static {
            output: row.output.unwrap_or("build/client").to_owned(),
            evidence: scan.evidence(path, "ssr: false", "server rendering is off"),
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
