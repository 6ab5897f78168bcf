//! Node.js images (<https://github.com/nodejs/docker-node/blob/main/docs/BestPractices.md>).

use devopser_core::Result;
use devopser_core::model::report::Detection;

use super::lines::{Lines, exec, exec_after, tag};
use super::{Plan, hint, no_start, release, site, value};

/// A site that Node.js builds and nginx serves.
pub(crate) fn site(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) {
    base(stack, plan, lines);
    lines.stage("base", Some("build"));
    install(stack, plan, lines, "", false);
    lines.add("COPY . .");
    before_member(stack, lines);
    build(stack, "/app", lines);
    let output = value(stack.output_dir.as_ref()).unwrap_or("dist");
    let built = format!("{}/{output}", folder(stack));
    site::serve(stack, plan, lines, &built, Some("build"));
}

/// The app's folder in the image: of a member of a workspace, below the workspace's.
pub(super) fn folder(stack: &Detection) -> String {
    hint(stack, "folder").map_or_else(|| "/app".to_owned(), |folder| format!("/app/{folder}"))
}

/// Where the programs of the dependencies lie.
pub(super) fn programs(stack: &Detection) -> String {
    match hint(stack, "folder") {
        Some(folder) => format!("/app/{folder}/node_modules/.bin:/app/node_modules/.bin:$PATH"),
        None => "/app/node_modules/.bin:$PATH".to_owned(),
    }
}

/// What the workspace builds before its member; from here on the member's folder is the one that commands run in.
pub(super) fn before_member(stack: &Detection, lines: &mut Lines<'_>) {
    if hint(stack, "folder").is_none() {
        return;
    }
    for command in hint(stack, "builds-first").unwrap_or_default().lines() {
        lines.run("", command);
    }
    lines.add(format!("WORKDIR {}", folder(stack)));
}

/// The stage `pages`: the sources in `/src` with the pages that a front end builds for a program of another language.
pub(super) fn pages(program: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) {
    let Some(pages) = &program.pages else { return };
    let front = &pages.detection;
    let root = hint(program, "folder").unwrap_or_default();
    // A member of a workspace is installed with the others.
    let context = match hint(front, "context") {
        Some(".") => "",
        Some(context) => context,
        None => &pages.folder,
    };
    let [context, folder] = [context, &pages.folder].map(|path| {
        let mut path = crate::scan::join(root, path);
        path.truncate(path.trim_end_matches('/').len());
        path
    });
    let place = |path: &str| {
        crate::scan::join("/src", path)
            .trim_end_matches('/')
            .to_owned()
    };
    let prefix = match context.as_str() {
        "" => String::new(),
        context => format!("{context}/"),
    };
    base(front, plan, lines);
    lines.stage("base", Some("pages"));
    lines.add(format!("WORKDIR {}", place(&context)));
    install(front, plan, lines, &prefix, false);
    lines.add("COPY . /src");
    if hint(front, "folder").is_some() {
        for command in hint(front, "builds-first").unwrap_or_default().lines() {
            lines.run("", command);
        }
    }
    if folder != context {
        lines.add(format!("WORKDIR {}", place(&folder)));
    }
    prisma(front, lines);
    build(front, &place(&context), lines);
}

/// Brings the pages to where the program's build looks for them, below its own folder `top`.
pub(super) fn take_pages(program: &Detection, top: &str, lines: &mut Lines<'_>) {
    let outputs = program.pages.iter().flat_map(|pages| &pages.outputs);
    for output in outputs {
        lines.add(format!(
            "COPY --from=pages {top}/{} {top}/{}",
            output.from, output.to
        ));
    }
}

/// A server.
pub(crate) fn server(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) -> Result<()> {
    let start = value(stack.start_command.as_ref()).ok_or_else(|| {
        no_start(
            stack,
            "add a \"start\" script to package.json, or a Procfile with a web process",
        )
    })?;
    base(stack, plan, lines);
    lines.stage("base", Some("build"));
    let standalone = Standalone::of(stack, plan);
    sources(stack, plan, standalone.is_none(), lines);
    match standalone {
        Some(Standalone::Alone) => lines.add("RUN mkdir -p public"),
        // https://nextjs.org/docs/app/api-reference/config/next-config-js/output
        Some(Standalone::Within) => lines.add(format!(
            "RUN mkdir -p public && cp -r public .next/standalone/{0} && cp -r .next/static .next/standalone/{0}.next/",
            below(stack)
        )),
        None => lines,
    };
    let first = release(stack, plan).unwrap_or_default();
    let managed =
        needs_manager(stack, hint(stack, "start").unwrap_or(start)) || needs_manager(stack, first);
    lines.stage(if managed { "base" } else { "runtime" }, None);
    let mut env = vec![("NODE_ENV", "production")];
    let port = plan.port.to_string();
    env.push(("PORT", &port));
    env.extend(
        stack
            .run_env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let path = programs(stack);
    env.push(("PATH", &path));
    lines.env(env);
    copy(stack, standalone, lines);
    lines
        .add("RUN chown node:node /app")
        .runs_as("node")
        .add(format!("EXPOSE {}", plan.port));
    health(plan, lines);
    let line = match standalone {
        Some(Standalone::Alone) => "node server.js".to_owned(),
        Some(Standalone::Within) => format!("node .next/standalone/{}server.js", below(stack)),
        None => hint(stack, "start").unwrap_or(start).to_owned(),
    };
    command(stack, plan, &line, lines);
    Ok(())
}

/// What Next.js makes of an app when it is told to leave out all that its server does not need.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standalone {
    /// Nothing else goes into the image.
    Alone,
    /// It lies in the build's folder, beside what the release command needs.
    Within,
}

impl Standalone {
    fn of(stack: &Detection, plan: &Plan<'_>) -> Option<Self> {
        hint(stack, "standalone")?;
        Some(match release(stack, plan) {
            Some(_) => Self::Within,
            None => Self::Alone,
        })
    }
}

/// The app's folder below the workspace's, with a trailing `/`; empty for the workspace itself.
fn below(stack: &Detection) -> String {
    hint(stack, "folder").map_or_else(String::new, |folder| format!("{folder}/"))
}

/// Dependencies, sources and what the build makes of them; `prunes` where what remains is what runs.
pub(super) fn sources(stack: &Detection, plan: &Plan<'_>, prunes: bool, lines: &mut Lines<'_>) {
    let builds = stack.build_command.is_some();
    install(stack, plan, lines, "", !builds && !keeps_dev(stack));
    lines.add("COPY . .");
    before_member(stack, lines);
    prisma(stack, lines);
    if builds {
        build(stack, "/app", lines);
        if prunes && !keeps_dev(stack) {
            prune(stack, lines);
        }
    }
}

/// The stages that the others stand on: the runtime, and with it the package manager.
fn base(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) {
    let version =
        value(stack.version.as_ref()).unwrap_or_else(|| crate::version::default_line("node"));
    lines.stage(
        &plan.image(&format!("node:{}-slim", tag(version))),
        Some("runtime"),
    );
    lines.add("WORKDIR /app");
    system(stack, lines);
    lines.stage("runtime", Some("base"));
    build_system(stack, lines);
    match (manager(stack), hint(stack, "packageManager")) {
        ("pnpm", Some(pinned)) => lines.add(format!("RUN npm install --global {}", plain(pinned))),
        ("pnpm", None) => lines.add(format!(
            "RUN npm install --global pnpm@{}",
            hint(stack, "pnpm").unwrap_or("10")
        )),
        ("bun", Some(pinned)) if pinned.starts_with("bun@") => {
            lines.add(format!("RUN npm install --global {}", plain(pinned)))
        }
        ("bun", _) => lines.add("RUN npm install --global bun@1"),
        // A lock file that another npm wrote may be refused (https://docs.npmjs.com/cli/commands/npm-ci).
        ("npm", Some(pinned)) if pinned.starts_with("npm@") => {
            lines.add(format!("RUN npm install --global {}", plain(pinned)))
        }
        // Corepack knows which yarn only where packageManager says it; the modern one always does, or brings itself.
        ("yarn", Some(_)) => lines
            .env([
                ("COREPACK_HOME", "/opt/corepack"),
                ("COREPACK_ENABLE_DOWNLOAD_PROMPT", "0"),
            ])
            .add("RUN corepack enable yarn"),
        ("yarn", None) => lines.add(
            "RUN yarn --version 2>/dev/null | grep -q '^1\\.' || npm install --global yarn@1.22.22",
        ),
        _ => lines,
    };
}

/// What dependencies need of the system where they run.
pub(super) fn system(stack: &Detection, lines: &mut Lines<'_>) {
    let mut packages = super::system(stack, "run:");
    if hint(stack, "prisma").is_some() {
        // https://www.prisma.io/docs/orm/reference/system-requirements
        packages.extend(["ca-certificates", "openssl"]);
    }
    let browser = hint(stack, "browser");
    packages.extend(browser);
    lines.apt(&packages);
    if let Some(browser) = browser {
        // https://pptr.dev/guides/configuration
        let path = format!("/usr/bin/{browser}");
        lines.env([("PUPPETEER_EXECUTABLE_PATH", path.as_str())]);
    }
}

/// What dependencies need of the system where they are built.
pub(super) fn build_system(stack: &Detection, lines: &mut Lines<'_>) {
    lines.apt(&super::system(stack, "build:"));
}

/// `pnpm@9.1.0` without the hash that may follow.
fn plain(pinned: &str) -> String {
    pinned
        .split('+')
        .next()
        .unwrap_or(pinned)
        .chars()
        .filter(|char| char.is_ascii_alphanumeric() || "@.-_".contains(*char))
        .collect()
}

/// What installs and runs scripts: Bun does both for itself.
fn manager(stack: &Detection) -> &str {
    match on_bun(stack) {
        true => "bun",
        false => value(stack.package_manager.as_ref()).unwrap_or("npm"),
    }
}

fn on_bun(stack: &Detection) -> bool {
    value(stack.runtime.as_ref()) == Some("bun")
}

/// The layer of the dependencies: rebuilt when the manifests change, not with every source file.
///
/// `prefix` is the folder of the manifests in the build's context, with a trailing `/`; empty for the context itself.
fn install(
    stack: &Detection,
    plan: &Plan<'_>,
    lines: &mut Lines<'_>,
    prefix: &str,
    production: bool,
) {
    // A server without a package.json depends on nothing.
    let files = hint(stack, "files").unwrap_or_default();
    if stack.package_manager.is_none() || files.is_empty() {
        return;
    }
    if hint(stack, "install-needs-source").is_some() {
        lines.add(format!(
            "COPY {} .",
            if prefix.is_empty() { "." } else { prefix }
        ));
    } else {
        let files = files.split(' ').map(|file| format!("{prefix}{file}"));
        lines.add(format!("COPY {} ./", files.collect::<Vec<_>>().join(" ")));
        // What Yarn runs as itself; a folder that is copied with files loses its name.
        for folder in hint(stack, "folders").unwrap_or_default().split(' ') {
            if !folder.is_empty() {
                lines.add(format!("COPY {prefix}{folder} ./{folder}"));
            }
        }
        if let Some(schema) = hint(stack, "prisma") {
            let folder = schema.rsplit_once('/').map_or(".", |(folder, _)| folder);
            lines.add(format!("COPY {prefix}{folder} ./{folder}"));
        }
    }
    let base = value(stack.install_command.as_ref())
        .filter(|command| !on_bun(stack) || command.starts_with("bun "))
        .unwrap_or(if on_bun(stack) {
            "bun install"
        } else {
            "npm install"
        });
    let (cache, command) = match (manager(stack), production) {
        ("pnpm", true) => ("/root/.local/share/pnpm/store", format!("{base} --prod")),
        ("pnpm", false) => ("/root/.local/share/pnpm/store", base.to_owned()),
        ("yarn", _) if !base.contains("immutable") => {
            let only = if production { " --production" } else { "" };
            (
                "/usr/local/share/.cache/yarn",
                format!("{base}{only}{}", ANY_ENGINE),
            )
        }
        ("yarn", _) => ("/usr/local/share/.cache/yarn", base.to_owned()),
        ("bun", true) => ("/root/.bun/install/cache", format!("{base} --production")),
        ("bun", false) => ("/root/.bun/install/cache", base.to_owned()),
        (_, true) => (
            "/root/.npm",
            format!("{base} --omit=dev --no-audit --no-fund"),
        ),
        (_, false) => ("/root/.npm", format!("{base} --no-audit --no-fund")),
    };
    // Else an install script downloads a browser that only tests use.
    let skips = hint(stack, "skips").unwrap_or_default().split(' ');
    let env = lines.assigned(skips.filter_map(|pair| pair.split_once('=')), " ");
    lines.run(
        &plan.cache(manager(stack), cache),
        &format!("{env}{command}"),
    );
}

fn prisma(stack: &Detection, lines: &mut Lines<'_>) {
    let generated =
        value(stack.build_command.as_ref()).is_some_and(|build| build.contains("prisma"));
    if hint(stack, "prisma").is_some() && !generated {
        let call = if on_bun(stack) { "bunx" } else { "npx" };
        lines.run("", &format!("{call} prisma generate"));
    }
}

/// `top` is the folder in the image from which a workspace is built.
fn build(stack: &Detection, top: &str, lines: &mut Lines<'_>) {
    let found: Vec<(&str, &str)> = stack
        .build_env
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| !lines.is_given(name))
        .collect();
    lines.env(found);
    if let Some(command) = hint(stack, "builds-above") {
        lines.run("", &format!("cd {top} && {command}"));
    } else if let Some(command) = value(stack.build_command.as_ref()) {
        let own = on_bun(stack).then(|| command.replacen("npm run ", "bun run ", 1));
        lines.run("", own.as_deref().unwrap_or(command));
    }
}

/// Whether the start command needs what only `devDependencies` give.
fn keeps_dev(stack: &Detection) -> bool {
    hint(stack, "keep-dev").is_some() || hint(stack, "workspaces").is_some()
}

/// Yarn 1 alone refuses dependencies for what they say of Node.js, where npm and pnpm warn
/// (<https://classic.yarnpkg.com/en/docs/cli/install#toc-yarn-install-ignore-engines>): a range that a repository asks for is
/// seldom as narrow as those of all its dependencies.
const ANY_ENGINE: &str = " --ignore-engines";

/// Leaves the dependencies of production only.
fn prune(stack: &Detection, lines: &mut Lines<'_>) {
    match manager(stack) {
        "pnpm" => {
            let ci = lines.assigned([("CI", "true")], " ");
            lines.run("", &format!("{ci}pnpm prune --prod --ignore-scripts"))
        }
        "yarn"
            if !value(stack.install_command.as_ref())
                .is_some_and(|command| command.contains("immutable")) =>
        {
            lines.run(
                "",
                &format!(
                    "yarn install --production --ignore-scripts --prefer-offline --frozen-lockfile{}",
                    ANY_ENGINE
                ),
            )
        }
        "yarn" => lines,
        "bun" => lines.run(
            "",
            "rm -rf node_modules && bun install --production --ignore-scripts",
        ),
        _ => lines.run("", "npm prune --omit=dev --no-audit --no-fund"),
    };
}

fn copy(stack: &Detection, standalone: Option<Standalone>, lines: &mut Lines<'_>) {
    let from = folder(stack);
    let to = below(stack);
    if standalone == Some(Standalone::Alone) {
        // https://nextjs.org/docs/app/api-reference/config/next-config-js/output; a member's folder is kept below it.
        lines
            .add(format!(
                "COPY --from=build --chown=node:node {from}/.next/standalone ./"
            ))
            .add(format!(
                "COPY --from=build --chown=node:node {from}/.next/static ./{to}.next/static"
            ))
            .add(format!(
                "COPY --from=build --chown=node:node {from}/public ./{to}public"
            ));
    } else {
        lines.add("COPY --from=build --chown=node:node /app ./");
    }
    if !to.is_empty() {
        lines.add(format!("WORKDIR {from}"));
    }
}

fn health(plan: &Plan<'_>, lines: &mut Lines<'_>) {
    let script = format!(
        "require('http').get({{host:'127.0.0.1',port:process.env.PORT,path:'{}',timeout:4000}},r=>process.exit(r.statusCode<500?0:1)).on('error',()=>process.exit(1))",
        plan.health_path()
    );
    lines.health(&["node", "-e", &script]);
}

/// Whether a command calls a package manager that the runtime image lacks.
fn needs_manager(stack: &Detection, line: &str) -> bool {
    line.split(|char: char| !(char.is_ascii_alphanumeric() || char == '-'))
        .any(|word| word == manager(stack))
        && manager(stack) != "npm"
}

/// The program itself, not a package manager around it, so that signals reach it.
pub(super) fn command(stack: &Detection, plan: &Plan<'_>, line: &str, lines: &mut Lines<'_>) {
    let words = match release(stack, plan) {
        Some(first) => exec_after(first, line),
        None => exec(line),
    };
    lines.command(&words);
}
