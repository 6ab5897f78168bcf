//! Frameworks whose adapter decides what a build gives: a Node.js server, or what one platform alone can run.

use crate::scan::Scan;
use crate::scan::node::Package;

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
