//! The build and start commands of a Node.js app.

use devopser_core::model::report::{Detection, Evidence, Fact};

use super::frameworks::Framework;
use super::manager;
use crate::scan::node::Package;
use crate::scan::{Scan, procfile};
use crate::stack::fact;

/// Entry files by convention, the built ones last: they exist only after a build.
const ENTRIES: &[&str] = &[
    "server.js",
    "index.js",
    "app.js",
    "main.js",
    "server.mjs",
    "index.mjs",
    "app.mjs",
    "server.cjs",
    "index.cjs",
    "src/server.js",
    "src/index.js",
    "src/app.js",
    "src/main.js",
    "src/index.mjs",
    "src/server.mjs",
    "bin/www",
    "api/index.js",
    "server/index.js",
    "server/server.js",
    "server/app.js",
];

/// TypeScript entries that a runtime with type stripping, or a loader among the dependencies, can run.
pub(crate) const TYPESCRIPT_ENTRIES: &[&str] = &[
    "server.ts",
    "index.ts",
    "app.ts",
    "main.ts",
    "src/server.ts",
    "src/index.ts",
    "src/app.ts",
    "src/main.ts",
];

/// The production scripts, best first.
pub(super) const START_SCRIPTS: &[&str] = &[
    "start:prod",
    "start:production",
    "start",
    "prod",
    "production",
    "start:server",
];

/// A static site of Nuxt: its `build` makes a server whatever the target is (<https://v2.nuxt.com/docs/get-started/commands>).
fn generate(scan: &Scan<'_>, package: &Package, manager: &str) -> Option<Fact<String>> {
    let script = package.scripts.iter().find(|(_, script)| {
        ["nuxt generate", "nuxi generate"]
            .iter()
            .any(|command| script.contains(command))
    });
    match script {
        Some((name, _)) => fact(
            manager::run(manager, name),
            92,
            scan.in_package(name, format!("the {name} script makes the files")),
        ),
        None => fact(
            execute(manager, "nuxt generate"),
            70,
            scan.in_package("nuxt", "how a static site of Nuxt is built"),
        ),
    }
}

/// What Heroku and Google build with where it is not called `build`
/// (<https://devcenter.heroku.com/articles/nodejs-support#customizing-the-build-process>,
/// <https://cloud.google.com/docs/buildpacks/nodejs#executing_custom_build_steps_during_deployment>).
fn postbuild(package: &Package) -> Option<&'static str> {
    let mut names = ["heroku-postbuild", "gcp-build"].into_iter();
    names.find(|name| {
        let script = package.script(name).unwrap_or_default();
        !script.is_empty() && !script.split_whitespace().any(|word| word == "make")
    })
}

/// The build command: the script, else the framework's own.
pub(crate) fn build(
    scan: &Scan<'_>,
    package: &Package,
    row: Option<&Framework>,
    detection: &Detection,
    is_static: bool,
) -> Option<Fact<String>> {
    let manager = detection.package_manager.as_ref()?.value.as_str();
    if is_static && row.is_some_and(|row| row.id == "nuxt") {
        return generate(scan, package, manager);
    }
    // `compile` is what Feathers and Apollo call it (https://feathersjs.com/guides/cli/package.html); others mean
    // other things by it than TypeScript.
    let compiles = |script: &str| {
        script != "compile"
            || package
                .script(script)
                .is_some_and(|text| text.contains("tsc"))
    };
    for script in [
        "build",
        "build:prod",
        "build:production",
        "generate",
        "compile",
    ] {
        if package.script(script).is_some() && compiles(script) {
            return fact(
                manager::run(manager, script),
                92,
                scan.in_package(script, format!("the {script} script")),
            );
        }
    }
    if let (false, Some(name)) = (is_static, postbuild(package)) {
        let why = format!("the {name} script, which platforms run after an installation");
        return fact(manager::run(manager, name), 80, scan.in_package(name, why));
    }
    let row = row?;
    let build = row.build.filter(|build| !build.is_empty())?;
    // Such as `docs:build`, which documentation beside other packages has.
    if let Some(name) = script_with(package, build) {
        let why = format!("the {name} script runs {build}");
        return fact(manager::run(manager, name), 85, scan.in_package(name, why));
    }
    let command = if build.starts_with("node ") {
        build.to_owned()
    } else {
        execute(manager, build)
    };
    let dep = row.deps.iter().find(|dep| package.has(dep))?;
    fact(
        command,
        70,
        scan.in_package(dep, format!("how {} is built", row.id)),
    )
}

/// The script that starts with a command.
fn script_with<'p>(package: &'p Package, command: &str) -> Option<&'p str> {
    let found = package.scripts.iter().find(|(_, script)| {
        without_env(script)
            .strip_prefix(command)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    });
    found.map(|(name, _)| name.as_str())
}

/// How the package manager runs a program of a dependency.
pub(crate) fn execute(manager: &str, program: &str) -> String {
    match manager {
        "pnpm" => format!("pnpm exec {program}"),
        "yarn" => format!("yarn {program}"),
        "bun" => format!("bunx {program}"),
        _ => format!("npx {program}"),
    }
}

/// The start command: the Procfile, the production script, the framework's own, `main`, an entry file.
pub(crate) fn start(
    scan: &Scan<'_>,
    package: &Package,
    row: Option<&Framework>,
    into: &mut Detection,
) -> Option<Fact<String>> {
    if let Some(web) = procfile::process(scan, "web") {
        return Some(web);
    }
    let manager = into
        .package_manager
        .as_ref()
        .map_or("npm", |manager| manager.value.as_str())
        .to_owned();
    if let Some((name, script)) = start_script(package, row) {
        let evidence = scan.in_package(name, format!("the {name} script: {script}"));
        let hooked = package.script(&format!("pre{name}")).is_some();
        let bare = bare_node(script)
            .filter(|_| !hooked)
            .map(|line| in_build(scan, row, with_ending(scan, &line)));
        if !hooked {
            into.hints.insert("start".to_owned(), script.to_owned());
        }
        return fact(
            bare.unwrap_or_else(|| manager::run(&manager, name)),
            92,
            evidence,
        );
    }
    if let Some(own) = row.and_then(|row| Some((row, row.start?))) {
        return framework_start(scan, package, own.0, own.1, &manager, into);
    }
    entry(scan, package)
}

/// The script that starts the app in production, with its text; one that runs a development server is none.
pub(crate) fn start_script<'p>(
    package: &'p Package,
    row: Option<&Framework>,
) -> Option<(&'static str, &'p str)> {
    START_SCRIPTS
        .iter()
        .filter_map(|name| Some((*name, package.called(name)?)))
        .find(|(_, script)| !is_development(script, row))
}

/// Programs that reload what they serve, and tasks by the names that such have.
const RELOADERS: &[&str] = &[
    "nodemon",
    "ts-node-dev",
    "tsx watch",
    "node --watch",
    "webpack serve",
    "webpack-dev-server",
    "live-server",
    "browser-sync",
    "grunt dev",
    "grunt serve",
    "gulp dev",
    "gulp serve",
    "gulp watch",
];

/// Whether a script runs a development server: the framework's own, or one of the reloaders.
pub(crate) fn is_development(script: &str, row: Option<&Framework>) -> bool {
    let begins = |body: &str, command: &str| {
        body == command
            || body
                .strip_prefix(command)
                .is_some_and(|rest| command.ends_with(' ') || rest.starts_with([' ', '&', ';']))
    };
    let body = without_env(script);
    let dev = row.map(|row| row.dev).unwrap_or_default();
    let mut parts = script.split("&&").map(without_env);
    dev.iter()
        .any(|command| begins(body, command) && !body.contains("preview"))
        || parts.any(|part| RELOADERS.iter().any(|command| begins(part, command)))
}

/// A script without leading assignments, `cross-env` and `npx`.
fn without_env(script: &str) -> &str {
    let mut rest = script.trim();
    loop {
        let word = rest.split_whitespace().next().unwrap_or_default();
        let is_assignment = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        if !(is_assignment || ["cross-env", "npx", "dotenv", "--", "env"].contains(&word))
            || word.is_empty()
        {
            return rest;
        }
        rest = rest[word.len()..].trim_start();
    }
}

/// `node x.js …` without anything that only a shell understands; it needs no package manager to be started.
fn bare_node(script: &str) -> Option<String> {
    let plain = script.starts_with("node ")
        && !script.contains(['&', '|', ';', '$', '>', '<', '`', '"', '\'', '*', '(', '%']);
    plain.then(|| script.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// `node server` runs `server.js`, `node dist/main` the built `dist/main.js`; a folder runs its `index.js`
/// (<https://nodejs.org/api/modules.html#all-together>).
fn with_ending(scan: &Scan<'_>, line: &str) -> String {
    let Some(file) = line
        .split(' ')
        .find(|word| !word.starts_with('-') && *word != "node")
    else {
        return line.to_owned();
    };
    let path = file.trim_start_matches("./");
    let name = crate::scan::base_name(path);
    let source = path
        .split_once('/')
        .map(|(_, rest)| format!("src/{}", rest.strip_prefix("src/").unwrap_or(rest)));
    let is_folder = scan.has_folder(path) || source.is_some_and(|source| scan.has_folder(&source));
    let built = path.contains('/')
        && ["dist/", "build/", "out/", "lib/"]
            .iter()
            .any(|folder| path.starts_with(folder));
    if name.contains('.')
        || name.is_empty()
        || is_folder
        || scan.has(path)
        || !(built || scan.has(&format!("{path}.js")))
    {
        return line.to_owned();
    }
    line.replacen(file, &format!("{path}.js"), 1)
}

/// The framework's own start where the script names a file that lies in the folder of the build: that folder is what
/// is deployed there (<https://docs.adonisjs.com/guides/getting-started/deployment>).
fn in_build(scan: &Scan<'_>, row: Option<&Framework>, line: String) -> String {
    let file = line.strip_prefix("node ").unwrap_or_default();
    let usual = row.and_then(|row| row.start).unwrap_or_default();
    let path = usual.trim_start_matches("node ").trim_start_matches("./");
    let is_built = !file.is_empty() && !scan.has(file) && path.ends_with(&format!("/{file}"));
    if is_built { usual.to_owned() } else { line }
}

fn framework_start(
    scan: &Scan<'_>,
    package: &Package,
    row: &Framework,
    start: &str,
    manager: &str,
    into: &mut Detection,
) -> Option<Fact<String>> {
    let dep = row.deps.iter().find(|dep| package.has(dep))?;
    let evidence = scan.in_package(dep, format!("how {} is started in production", row.id));
    let start = super::adapter::without_server(scan, package, row.id).unwrap_or(start);
    into.hints.insert("start".to_owned(), start.to_owned());
    let command = if start.starts_with("node ") {
        start.to_owned()
    } else {
        execute(manager, start)
    };
    fact(command, 80, evidence)
}

/// `main`, or a file that is an entry by convention.
fn entry(scan: &Scan<'_>, package: &Package) -> Option<Fact<String>> {
    if let Some(found) = of_main(scan, package) {
        return Some(found);
    }
    let path = ENTRIES
        .iter()
        .find(|path| scan.has(path) && is_program(scan, path));
    // What npm takes for `main` (https://docs.npmjs.com/cli/configuring-npm/package-json#main); a package that builds
    // and tests nothing is no library.
    let path = path.or_else(|| {
        let usual = ENTRIES.iter().find(|path| **path == "index.js")?;
        (package.scripts.is_empty() && scan.has(usual)).then_some(usual)
    });
    if let Some(path) = path {
        return fact(
            format!("node {path}"),
            65,
            Evidence::file(*path, "an entry file by convention"),
        );
    }
    let path = TYPESCRIPT_ENTRIES
        .iter()
        .find(|path| scan.has(path) && is_program(scan, path))?;
    let loader = ["tsx", "ts-node"]
        .into_iter()
        .find(|loader| package.has(loader));
    let command = loader.map_or_else(
        || format!("node --experimental-strip-types {path}"),
        |loader| format!("npx {loader} {path}"),
    );
    fact(
        command,
        50,
        Evidence::file(*path, "a TypeScript entry file by convention"),
    )
}

/// Whether a file listens on a port or is at least no library or configuration.
fn is_program(scan: &Scan<'_>, path: &str) -> bool {
    scan.text(path).is_none_or(|text| {
        [
            "listen(",
            "createServer",
            "serve(",
            "process.env",
            "process.argv",
            "startServer",
            "bootstrap(",
        ]
        .iter()
        .any(|sign| text.contains(sign))
    })
}

/// The program that `main` names.
fn of_main(scan: &Scan<'_>, package: &Package) -> Option<Fact<String>> {
    let main = package.main.as_deref()?.trim_start_matches("./");
    let with_ending = [
        main.to_owned(),
        format!("{main}.js"),
        format!("{main}/index.js"),
    ];
    let path = with_ending.iter().find(|path| scan.has(path))?;
    // An app for the desktop; the server beside it is the program that it installs.
    let text = scan.text(path).unwrap_or_default();
    if text.contains("'electron'") || text.contains("\"electron\"") {
        return installed(scan, package);
    }
    let is_reloaded = || {
        let mut scripts = package.scripts.values();
        scripts.any(|script| is_development(script, None) && script.contains(path))
    };
    if !is_program(scan, path) && !package.scripts.is_empty() && !is_reloaded() {
        return None;
    }
    let evidence = scan.in_package("main", format!("main is {path}"));
    fact(format!("node {path}"), 75, evidence)
}

/// The program that `bin` installs (<https://docs.npmjs.com/cli/configuring-npm/package-json#bin>).
fn installed(scan: &Scan<'_>, package: &Package) -> Option<Fact<String>> {
    let bin = package.value.get("bin")?;
    let named = bin
        .as_object()
        .and_then(|all| all.values().next())
        .unwrap_or(bin);
    let path = named.as_str()?.trim_start_matches("./");
    let command = || format!("node {path}");
    let is_sound = scan.has(path) && crate::scan::is_plain(path);
    is_sound.then(|| {
        fact(
            command(),
            70,
            scan.in_package("bin", format!("bin is {path}")),
        )
    })?
}

/// Whether starting the app runs a program of the repository's own.
pub(crate) fn runs_own_program(scan: &Scan<'_>, package: &Package) -> bool {
    let script = START_SCRIPTS.iter().find_map(|name| package.called(name));
    let web = procfile::process(scan, "web").map(|fact| fact.value);
    let runs = |script: &str| {
        let body = without_env(script);
        ["node ", "nodemon ", "tsx ", "ts-node ", "bun ", "pm2"]
            .iter()
            .any(|program| body.starts_with(program))
            && !body.contains("vite.js")
    };
    match script.map(str::to_owned).or(web) {
        Some(script) => runs(&script) || script.contains("&& node "),
        None => entry(scan, package).is_some(),
    }
}

/// Programs whose package has another name.
const PROGRAMS: &[(&str, &str)] = &[
    ("nest", "@nestjs/cli"),
    ("ng", "@angular/cli"),
    ("tsc", "typescript"),
    ("remix-serve", "@remix-run/serve"),
    ("react-router-serve", "@react-router/serve"),
    ("vue-cli-service", "@vue/cli-service"),
    ("babel-node", "@babel/node"),
    ("medusa", "@medusajs/cli"),
    ("strapi", "@strapi/strapi"),
    ("prisma", "prisma"),
    ("sequelize", "sequelize-cli"),
    ("dotenv", "dotenv-cli"),
    ("mikro-orm", "@mikro-orm/cli"),
];

/// Whether a command that runs in the image runs what only `devDependencies` bring, so that nothing may be pruned.
pub(crate) fn needs_dev(scan: &Scan<'_>, package: &Package, start: &str) -> bool {
    let is_dev = |name: &str| {
        package.dev_dependencies.contains_key(name) && !package.dependencies.contains_key(name)
    };
    // The program itself may ask for what stands among the tools.
    let file = start.split_whitespace().find(|word| word.ends_with("js"));
    let text = file.and_then(|path| scan.text(path.trim_start_matches("./")));
    let asks = |text: &str| {
        let mut tools = package.dev_dependencies.keys().filter(|name| is_dev(name));
        tools.any(|name| {
            ["require('", "require(\"", "from '", "from \""]
                .iter()
                .any(|call| text.contains(&format!("{call}{name}{}", &call[call.len() - 1..])))
        })
    };
    if text.is_some_and(|text| asks(&text)) {
        return true;
    }
    let nested: Vec<&str> = start
        .split_whitespace()
        .filter_map(|word| package.script(word))
        .chain(std::iter::once(start))
        .collect();
    nested
        .iter()
        .flat_map(|line| {
            line.split(|char: char| !(char.is_ascii_alphanumeric() || "-_/@.".contains(char)))
        })
        .any(|word| {
            let name = PROGRAMS
                .iter()
                .find(|(program, _)| *program == word)
                .map_or(word, |(_, name)| name);
            is_dev(name)
        })
}
