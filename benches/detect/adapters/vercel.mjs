// @vercel/fs-detectors with the list of @vercel/frameworks: framework, package manager and services of a folder.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export async function load() {
  const vercel = (await import('@vercel/fs-detectors')).default;
  const frameworks = (await import('@vercel/frameworks')).default;
  return (folder) => detect(vercel, frameworks.frameworkList, folder);
}

async function detect(vercel, frameworkList, folder) {
  const fs = new vercel.LocalFileSystemDetector(folder);
  const record = await vercel.detectFrameworkRecord({ fs, frameworkList, useExperimentalFrameworks: true });
  const packageManager = await vercel.detectFramework({ fs, frameworkList: vercel.packageManagers });
  const services = await vercel.detectServices({ fs });
  const manifest = await readFile(join(folder, 'package.json'), 'utf8').catch(() => null);
  let builders = null;
  let servesFiles = false;
  // Without a framework the platform asks which builders fit the files; with none of them it serves the files as they are.
  if (!record) {
    const files = (await fs.readdir('/')).filter((entry) => entry.type === 'file').map((entry) => entry.path.replace(/^\//, ''));
    builders = (await vercel.detectBuilders(files, manifest ? JSON.parse(manifest) : null, {})).builders;
    servesFiles = !builders && files.includes('index.html');
  }
  return {
    framework: record?.slug ?? null,
    use: record?.useRuntime?.use ?? builders?.[0]?.use ?? null,
    output: record?.settings?.outputDirectory?.value ?? null,
    packageManager,
    hasManifest: manifest !== null,
    servesFiles,
    services: services.inferred?.config ?? null,
  };
}

// Entries of the list that name a language rather than a framework.
const LANGUAGES = { python: 'python', ruby: 'ruby', rust: 'rust', go: 'go', node: 'node', bun: 'bun' };
const NO_FRAMEWORK = ['container', 'services'];
const FRAMEWORKS = {
  hugo: 'static', zola: 'static', jekyll: 'ruby', middleman: 'ruby', axum: 'rust', 'actix-web': 'rust',
  fastapi: 'python', flask: 'python', fasthtml: 'python', django: 'python',
};
const BUILDERS = { python: 'python', go: 'go', ruby: 'ruby', rust: 'rust', static: 'static' };

export function normalise(found) {
  const named = found.framework;
  const isFramework = named && !LANGUAGES[named] && !NO_FRAMEWORK.includes(named);
  const roots = Object.values(found.services ?? {}).map((service) => service.root);
  return {
    runtime: LANGUAGES[named] ?? FRAMEWORKS[named] ?? builder(found),
    framework: isFramework ? named : null,
    package_manager: found.packageManager,
    output_dir: found.output && found.output !== 'N/A' ? found.output : null,
    services: roots.length ? roots : null,
  };
}

function builder({ framework, use, hasManifest, servesFiles }) {
  const language = BUILDERS[use?.split('/').pop()?.replace(/[@:].*$/, '')];
  if (language && !(language === 'static' && hasManifest)) return language;
  if (framework || hasManifest) return 'node';
  return servesFiles ? 'static' : null;
}
