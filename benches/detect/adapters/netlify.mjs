// @netlify/build-info: what Netlify's build system asks about a site. Its ports are those of development servers, so no port is taken.

export async function load() {
  const { getBuildInfo } = await import('@netlify/build-info/node');
  return (projectDir) => getBuildInfo({ projectDir, featureFlags: {} });
}

// Site generators that are no Node program although Netlify lists them among the frameworks.
const GENERATORS = { hugo: 'static', zola: 'static', cecil: 'php', jekyll: 'ruby', middleman: 'ruby' };

export function normalise(info) {
  const framework = info.frameworks?.[0];
  const languages = (info.langRuntimes ?? []).map((runtime) => runtime.id);
  const packageManager = info.packageManager?.name ?? null;
  const packages = info.jsWorkspaces?.packages ?? [];
  return {
    runtime: runtime(framework?.id, languages, packageManager),
    framework: framework?.id ?? null,
    package_manager: packageManager,
    output_dir: framework?.build?.directory ?? null,
    services: packages.length ? packages.map((entry) => entry.path ?? entry) : null,
  };
}

function runtime(framework, languages, packageManager) {
  if (GENERATORS[framework]) return GENERATORS[framework];
  if (packageManager === 'bun' && languages.includes('bun')) return 'bun';
  if (framework && (packageManager || languages.includes('node'))) return 'node';
  return languages[0] ?? null;
}
