//! Frameworks whose adapter decides what a build gives: a Node.js server, or what one platform alone can run.

use devopser_core::model::report::Detection;

use crate::scan::Scan;
use crate::scan::node::Package;
use crate::scan::settings::Settings;

/// How a build without the Node.js adapter is started all the same; warns of what comes of it.
///
/// SvelteKit's own preview serves a build of any adapter (<https://svelte.dev/docs/kit/building-your-app#Preview-your-app>);
/// Astro has no server but its adapter's (<https://docs.astro.build/en/guides/on-demand-rendering/>).
pub(crate) fn without_server(
    scan: &Scan<'_>,
    package: &Package,
    framework: &str,
) -> Option<&'static str> {
    let (wanted, prefix, start) = match framework {
        "sveltekit" => (
            "@sveltejs/adapter-node",
            "@sveltejs/adapter-",
            Some("vite preview --host 0.0.0.0 --port $PORT"),
        ),
        "astro" => ("@astrojs/node", "@astrojs/", None),
        _ => return None,
    };
    if package.has(wanted) {
        return None;
    }
    let used = ["auto", "vercel", "netlify", "cloudflare"]
        .into_iter()
        .map(|platform| format!("{prefix}{platform}"))
        .find(|adapter| package.has(adapter))?;
    let outcome = match start {
        Some(_) => "the app is started with the framework's preview server",
        None => "nothing here can start the app",
    };
    scan.warn(format!(
        "{used} builds for a platform of its own, so {outcome}; use {wanted} for a server of your own"
    ));
    start
}

/// Lets what is made with Nitro be built for a server of its own where its settings name a platform: the environment goes
/// before them (<https://nitro.build/deploy#changing-the-deployment-preset>).
pub(crate) fn built_for_a_server(scan: &Scan<'_>, framework: &str, into: &mut Detection) {
    let files: &[&str] = match framework {
        "nuxt" => &["nuxt.config"],
        "nitro" => &["nitro.config"],
        "solid-start" | "tanstack-start" => &["app.config", "vite.config"],
        "analog" => &["vite.config"],
        _ => return,
    };
    let is_static = into.is_static.as_ref().is_some_and(|fact| fact.value);
    let named = files.iter().find_map(|stem| {
        let settings = Settings::of(scan, stem)?;
        let preset = settings.text("preset")?.to_owned();
        Some((settings.path, preset))
    });
    // These end in a server or in files of one's own.
    let own = ["node", "bun", "deno", "static"];
    let Some((path, preset)) = named.filter(|(_, preset)| {
        let first = preset.split(['-', '_']).next().unwrap_or_default();
        !is_static && !own.contains(&first)
    }) else {
        return;
    };
    scan.warn(format!(
        "{path} builds for {preset}; it is built for a server of its own here (NITRO_PRESET=node-server)"
    ));
    into.build_env
        .insert("NITRO_PRESET".to_owned(), "node-server".to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    fn build_env(framework: &str, file: &str, text: &str) -> Vec<String> {
        let tree = MemoryTree::new([(file, text)]);
        let mut stack = Detection::default();
        built_for_a_server(&Scan::new(&tree), framework, &mut stack);
        stack.build_env.into_keys().collect()
    }

    #[test]
    fn a_preset_for_a_platform_is_replaced_and_others_are_kept() {
        let start = "export default defineConfig({ server: { preset: \"vercel\" } })";
        assert_eq!(
            build_env("solid-start", "app.config.ts", start),
            ["NITRO_PRESET"]
        );
        for kept in ["node-server", "static", "bun"] {
            let text = format!("export default {{ nitro: {{ preset: '{kept}' }} }}");
            assert!(build_env("nuxt", "nuxt.config.ts", &text).is_empty());
        }
        assert!(build_env("express", "app.config.ts", start).is_empty());
    }
}
