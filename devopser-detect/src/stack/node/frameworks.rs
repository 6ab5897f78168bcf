//! The table of Node.js frameworks: one row each, the more specific first.

use devopser_core::model::report::Evidence;

use super::commands;
use crate::scan::Scan;
use crate::scan::node::Package;

/// One framework.
#[derive(Debug)]
pub(crate) struct Framework {
    /// The id that reports use.
    pub(crate) id: &'static str,
    /// Any of these dependencies is the signal.
    pub(crate) deps: &'static [&'static str],
    /// The port that its server listens on by default; `None` for what only builds files.
    pub(crate) port: Option<u16>,
    /// How its server is started in production where the repository does not say.
    pub(crate) start: Option<&'static str>,
    /// How it is built where the repository does not say.
    pub(crate) build: Option<&'static str>,
    /// Where the built files are.
    pub(crate) output: Option<&'static str>,
    /// Commands with which a `start` script runs its development server, which is no production start.
    pub(crate) dev: &'static [&'static str],
    /// Environment that its server wants.
    pub(crate) run_env: &'static [(&'static str, &'static str)],
}

const fn site(
    id: &'static str,
    deps: &'static [&'static str],
    build: &'static str,
    output: &'static str,
    dev: &'static [&'static str],
) -> Framework {
    Framework {
        id,
        deps,
        port: None,
        start: None,
        build: Some(build),
        output: Some(output),
        dev,
        run_env: &[],
    }
}

const fn server(id: &'static str, deps: &'static [&'static str], port: u16) -> Framework {
    Framework {
        id,
        deps,
        port: Some(port),
        start: None,
        build: None,
        output: None,
        dev: &[],
        run_env: &[],
    }
}

const fn full(
    id: &'static str,
    deps: &'static [&'static str],
    port: u16,
    build: &'static str,
    start: &'static str,
) -> Framework {
    Framework {
        start: Some(start),
        build: Some(build),
        ..server(id, deps, port)
    }
}

const HOST: &[(&str, &str)] = &[("HOST", "0.0.0.0")];

/// The frameworks. The documentation that each row follows is named above it.
#[rustfmt::skip]
pub(crate) const FRAMEWORKS: &[Framework] = &[
    // https://docs.redwoodjs.com/docs/deploy/baremetal
    full("redwood", &["@redwoodjs/core", "@redwoodjs/api"], 8910, "rw build", "rw serve"),
    // https://blitzjs.com/docs/cli-start
    full("blitz", &["blitz"], 3000, "blitz build", "blitz start"),
    // https://payloadcms.com/docs/production/deployment
    Framework { dev: &["next dev"], output: Some("out"), run_env: &[("HOSTNAME", "0.0.0.0")], ..full("payload", &["payload"], 3000, "next build", "next start") },
    // https://nextjs.org/docs/app/getting-started/deploying
    Framework { dev: &["next dev"], output: Some("out"), run_env: &[("HOSTNAME", "0.0.0.0")], ..full("next", &["next"], 3000, "next build", "next start") },
    // https://nuxt.com/docs/getting-started/deployment
    Framework { dev: &["nuxt dev", "nuxi dev"], output: Some(".output/public"), run_env: HOST, ..full("nuxt", &["nuxt", "nuxt3", "nuxt-edge"], 3000, "nuxt build", "node .output/server/index.mjs") },
    // https://shopify.dev/docs/storefronts/headless/hydrogen/deployments
    full("hydrogen", &["@shopify/hydrogen"], 3000, "shopify hydrogen build", "shopify hydrogen preview"),
    // https://remix.run/docs/en/main/guides/deployment
    Framework { dev: &["remix dev", "remix vite:dev"], output: Some("build/client"), ..full("remix", &["@remix-run/dev", "@remix-run/node", "@remix-run/serve", "@remix-run/react", "@remix-run/cloudflare", "@remix-run/netlify-edge"], 3000, "remix vite:build", "remix-serve ./build/server/index.js") },
    // https://reactrouter.com/start/framework/deploying
    Framework { dev: &["react-router dev"], output: Some("build/client"), ..full("react-router", &["@react-router/dev", "@react-router/serve"], 3000, "react-router build", "react-router-serve ./build/server/index.js") },
    // https://waku.gg/#deploy
    Framework { dev: &["waku dev"], ..full("waku", &["waku"], 8080, "waku build", "waku start") },
    // https://mastra.ai/docs/deployment/mastra-server
    Framework { dev: &["mastra dev"], ..full("mastra", &["mastra"], 4111, "mastra build", "mastra start") },
    // https://tanstack.com/start/latest/docs/framework/react/hosting
    Framework { dev: &["vite dev", "vinxi dev", "vite"], run_env: HOST, ..full("tanstack-start", &["@tanstack/react-start", "@tanstack/solid-start", "@tanstack/start"], 3000, "vite build", "node .output/server/index.mjs") },
    // https://docs.solidjs.com/solid-start/building-your-application/deployment
    Framework { dev: &["vinxi dev", "solid-start dev", "vite"], run_env: HOST, ..full("solid-start", &["@solidjs/start", "solid-start"], 3000, "vinxi build", "node .output/server/index.mjs") },
    // https://sapper.svelte.dev/docs#Building
    Framework { dev: &["sapper dev"], output: Some("__sapper__/export"), ..full("sapper", &["sapper"], 3000, "sapper build", "node __sapper__/build") },
    // https://xmcp.dev/docs/configuration/transports
    Framework { dev: &["xmcp dev"], run_env: HOST, ..full("xmcp", &["xmcp"], 3001, "xmcp build", "node dist/http.js") },
    // https://svelte.dev/docs/kit/adapter-node
    Framework { dev: &["vite dev", "vite"], output: Some("build"), ..full("sveltekit", &["@sveltejs/kit"], 3000, "vite build", "node build") },
    // https://qwik.dev/docs/deployments/node/
    Framework { dev: &["vite"], output: Some("dist"), ..full("qwik", &["@builder.io/qwik-city", "@builder.io/qwik", "@qwik.dev/router"], 3000, "qwik build", "node server/entry.express") },
    // https://docs.astro.build/en/guides/integrations-guide/node/
    Framework { dev: &["astro dev"], output: Some("dist"), run_env: HOST, ..full("astro", &["astro"], 4321, "astro build", "node ./dist/server/entry.mjs") },
    // https://analogjs.org/docs/features/deployment/overview
    Framework { dev: &["vite", "vite dev", "ng serve"], ..full("analog", &["@analogjs/platform"], 3000, "vite build", "node dist/analog/server/index.mjs") },
    // https://vike.dev/deploy
    site("vike", &["vike", "vite-plugin-ssr"], "vite build", "dist/client", &["vike dev", "vite", "vite dev"]),
    // https://quasar.dev/quasar-cli-vite/developing-spa/deploying
    site("quasar", &["@quasar/app-vite", "@quasar/app-webpack", "@quasar/app"], "quasar build", "dist/spa", &["quasar dev"]),
    // https://observablehq.com/framework/deploying
    site("observable", &["@observablehq/framework"], "observable build", "dist", &["observable preview"]),
    // https://github.com/react-static/react-static/blob/master/docs/cli.md
    site("react-static", &["react-static"], "react-static build", "dist", &["react-static start"]),
    // https://brunch.io/docs/commands
    site("brunch", &["brunch"], "brunch build --production", "public", &["brunch watch", "brunch w"]),
    // https://www.gatsbyjs.com/docs/quick-start/
    site("gatsby", &["gatsby"], "gatsby build", "public", &["gatsby develop", "npm run develop", "yarn develop"]),
    // https://docusaurus.io/docs/deployment
    site("docusaurus", &["@docusaurus/core", "docusaurus"], "docusaurus build", "build", &["docusaurus start", "docusaurus-start"]),
    // https://vitepress.dev/guide/deploy
    site("vitepress", &["vitepress"], "vitepress build", ".vitepress/dist", &["vitepress dev"]),
    // https://vuepress.vuejs.org/guide/deployment.html
    site("vuepress", &["vuepress", "@vuepress/cli"], "vuepress build", ".vuepress/dist", &["vuepress dev"]),
    // https://www.11ty.dev/docs/deployment/
    site("eleventy", &["@11ty/eleventy"], "eleventy", "_site", &["eleventy --serve", "--serve"]),
    // https://hexo.io/docs/one-command-deployment
    site("hexo", &["hexo"], "hexo generate", "public", &["hexo server", "hexo s"]),
    // https://gridsome.org/docs/deployment/
    site("gridsome", &["gridsome"], "gridsome build", "dist", &["gridsome develop"]),
    // https://docs.strapi.io/cms/deployment
    Framework { run_env: HOST, dev: &["strapi develop"], ..full("strapi", &["@strapi/strapi", "strapi"], 1337, "strapi build", "strapi start") },
    // https://docs.medusajs.com/learn/deployment/general
    Framework { dev: &["medusa develop"], ..full("medusa", &["@medusajs/medusa"], 9000, "medusa build", "medusa start") },
    // https://keystonejs.com/docs/guides/cli
    full("keystone", &["@keystone-6/core"], 3000, "keystone build", "keystone start"),
    // https://docs.directus.io/self-hosted/
    full("directus", &["directus"], 8055, "", "directus start"),
    // https://docs.adonisjs.com/guides/deployment
    Framework { run_env: HOST, dev: &["ace serve", "adonis serve"], ..full("adonis", &["@adonisjs/core"], 3333, "node ace build", "node build/bin/server.js") },
    // https://docs.nestjs.com/deployment
    Framework { dev: &["nest start"], ..full("nest", &["@nestjs/core"], 3000, "nest build", "node dist/main.js") },
    // https://angular.dev/tools/cli/deployment
    site("angular", &["@angular/core"], "ng build", "dist", &["ng serve", "ng s", "ng start"]),
    // https://cli.emberjs.com/release/basic-use/deploying/
    site("ember", &["ember-cli", "ember-source"], "ember build --environment=production", "dist", &["ember serve", "ember s", "ember server", "vite"]),
    // https://create-react-app.dev/docs/deployment/
    site("cra", &["react-scripts", "@craco/craco", "react-app-rewired"], "react-scripts build", "build", &["react-scripts start", "craco start", "react-app-rewired start"]),
    // https://cli.vuejs.org/guide/deployment.html
    site("vue-cli", &["@vue/cli-service"], "vue-cli-service build", "dist", &["vue-cli-service serve"]),
    // https://docs.expo.dev/distribution/publishing-websites/
    site("expo", &["expo"], "expo export --platform web", "dist", &["expo start", "expo run"]),
    // https://polymer-library.polymer-project.org/3.0/docs/apps/build-for-production
    site("polymer", &["polymer-cli"], "polymer build", "build/default", &["polymer serve"]),
    // https://umijs.org/docs/guides/build
    site("umi", &["umi", "@umijs/max"], "umi build", "dist", &["umi dev", "max dev"]),
    // https://github.com/preactjs/preact-cli
    site("preact", &["preact-cli"], "preact build", "build", &["preact watch", "per-env"]),
    // https://stenciljs.com/docs/cli
    site("stencil", &["@stencil/core"], "stencil build", "www", &["stencil build --dev", "stencil build --docs --watch"]),
    // https://www.sanity.io/docs/studio/deployment
    site("sanity", &["sanity", "@sanity/cli", "@sanity/base"], "sanity build", "dist", &["sanity start", "sanity dev"]),
    // https://expressjs.com, https://fastify.dev, … servers are looked for before bundlers only where one is started: see `choose`.
    site("parcel", &["parcel", "parcel-bundler"], "parcel build src/index.html", "dist", &["parcel src", "parcel ", "parcel serve", "parcel index.html"]),
    // https://rsbuild.rs/guide/basic/output-files
    site("rsbuild", &["@rsbuild/core"], "rsbuild build", "dist", &["rsbuild dev", "rsbuild"]),
    site("vite", &["vite", "@vitejs/plugin-react", "rolldown-vite"], "vite build", "dist", &["vite", "vite dev", "vite serve", "vite --"]),
];

/// Server frameworks: what answers requests, whatever builds the pages.
#[rustfmt::skip]
pub(crate) const SERVERS: &[Framework] = &[
    server("elysia", &["elysia"], 3000),        // https://elysiajs.com
    server("hono", &["hono"], 3000),            // https://hono.dev/docs/getting-started/nodejs
    // https://nitro.build/deploy/runtimes/node
    full("nitro", &["nitropack", "nitro"], 3000, "nitropack build", "node .output/server/index.mjs"),
    server("h3", &["h3"], 3000),                // https://h3.dev
    server("fastify", &["fastify"], 3000),      // https://fastify.dev/docs/latest/Guides/Getting-Started/
    server("koa", &["koa"], 3000),              // https://koajs.com
    server("hapi", &["@hapi/hapi", "hapi"], 3000),
    server("sails", &["sails"], 1337),
    server("feathers", &["@feathersjs/feathers"], 3030),
    server("restify", &["restify"], 8080),
    server("polka", &["polka"], 3000),
    server("apollo", &["@apollo/server", "apollo-server"], 4000),
    server("express", &["express"], 3000),      // https://expressjs.com/en/starter/hello-world.html
];

/// The framework and what proves it.
///
/// A bundler (Vite, Parcel) beside a server framework among the run-time dependencies yields to it where the start
/// script runs a program of the repository's own: the bundler then only makes the server's pages.
pub(crate) fn choose(scan: &Scan<'_>, package: &Package) -> Option<(&'static Framework, Evidence)> {
    let mut sites = FRAMEWORKS
        .iter()
        .filter_map(|row| signal(scan, package, row));
    let mut site = sites.next();
    // Left over from before it was built with another tool: no script runs it.
    let is_left = site
        .as_ref()
        .is_some_and(|(row, _)| ["cra", "vue-cli"].contains(&row.id) && !is_run(package, row));
    if is_left && let Some(other) = sites.find(|(row, _)| is_run(package, row)) {
        site = Some(other);
    }
    // What writes the documentation of a program stands among its tools.
    let is_tool = site.as_ref().is_some_and(|(row, _)| {
        ["vitepress", "vuepress", "docusaurus"].contains(&row.id) && !is_runtime(package, row)
    });
    let program = is_tool
        .then(|| sites.find(|(row, _)| row.port.is_some() && is_runtime(package, row)))
        .flatten();
    let is_idle = is_tool && !package.workspaces().is_empty();
    let site = program.or(site.filter(|(row, _)| !is_idle || is_run(package, row)));
    let server = SERVERS.iter().find_map(|row| signal(scan, package, row));
    match (site, server) {
        (Some((site, _)), Some((server, why)))
            if is_bundler(site.id)
                && commands::runs_own_program(scan, package)
                && is_runtime(package, server) =>
        {
            Some((server, why))
        }
        (Some(site), _) => Some(site),
        (None, server) => server,
    }
}

/// Whether it bundles pages and says nothing of what they are made with.
pub(crate) fn is_bundler(id: &str) -> bool {
    ["vite", "parcel", "rsbuild"].contains(&id)
}

/// Whether a script builds with it.
fn is_run(package: &Package, row: &Framework) -> bool {
    let build = row.build.filter(|build| !build.is_empty());
    let mut scripts = package.scripts.values();
    build.is_some_and(|build| scripts.any(|script| script.contains(build)))
}

/// Whether it is there when the app runs. A program that was bundled with all that it needs has no dependencies left.
fn is_runtime(package: &Package, row: &Framework) -> bool {
    package.dependencies.is_empty()
        || row
            .deps
            .iter()
            .any(|dep| package.dependencies.contains_key(*dep))
}

fn signal(
    scan: &Scan<'_>,
    package: &Package,
    row: &'static Framework,
) -> Option<(&'static Framework, Evidence)> {
    let Some(dep) = row.deps.iter().find(|dep| package.has(dep)) else {
        return hoisted(scan, package, row);
    };
    // Without it an Expo app is one for phones (https://docs.expo.dev/workflow/web/).
    if row.id == "expo" && !package.has("react-native-web") {
        return None;
    }
    if is_bundler(row.id) && !package.workspaces().is_empty() && !has_page(scan) {
        return None;
    }
    Some((row, scan.in_package(dep, format!("depends on {dep}"))))
}

/// A tool that the workspace's root depends on and the member's build script runs: installed once for all members
/// (<https://docs.npmjs.com/cli/using-npm/workspaces>).
fn hoisted(
    scan: &Scan<'_>,
    package: &Package,
    row: &'static Framework,
) -> Option<(&'static Framework, Evidence)> {
    let above = scan.above()?.package()?;
    let dep = row.deps.iter().find(|dep| above.has(dep))?;
    let build = row.build.filter(|build| !build.is_empty())?;
    let runs = |script: &str| script.split(['&', ';']).any(|part| part.contains(build));
    let (name, _) = package.scripts.iter().find(|(_, script)| runs(script))?;
    let why = format!("the {name} script runs {build}, and the root depends on {dep}");
    Some((row, scan.in_package(name, why)))
}

/// A bundler at the root of a workspace builds something there only where a page or its settings lie there
/// (<https://vite.dev/guide/#index-html-and-project-root>); else it is there for the members.
fn has_page(scan: &Scan<'_>) -> bool {
    scan.first(&[
        "index.html",
        "src/index.html",
        "vite.config.ts",
        "vite.config.js",
        "vite.config.mjs",
        "vite.config.mts",
    ])
    .is_some()
}
