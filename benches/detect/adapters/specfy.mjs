// @specfy/stack-analyser: every technology of a tree. It ranks none above the others, so the runtime is the language that most files
// are written in, and the framework the first of that language that it names, in the order of FRAMEWORKS.

export async function load() {
  const { analyser, FSProvider } = await import('@specfy/stack-analyser');
  await import('@specfy/stack-analyser/dist/autoload.js');
  return async (path) => (await analyser({ provider: new FSProvider({ path, ignorePaths: [] }) })).toJson(path);
}

const LANGUAGES = {
  JavaScript: 'node', TypeScript: 'node', JSX: 'node', TSX: 'node', Vue: 'node', Svelte: 'node', Astro: 'node', Python: 'python',
  Go: 'go', Ruby: 'ruby', PHP: 'php', Rust: 'rust', Java: 'java', Kotlin: 'java', Scala: 'java', Clojure: 'java', 'C#': 'dotnet',
  'F#': 'dotnet', Elixir: 'elixir', Dart: 'dart', Swift: 'swift', Haskell: 'haskell', Crystal: 'crystal', Zig: 'zig',
};
// The same as technologies, for trees without a source file that counts.
const TECHS = {
  rust: 'rust', golang: 'go', python: 'python', ruby: 'ruby', php: 'php', java: 'java', kotlin: 'java', scala: 'java',
  clojure: 'java', csharp: 'dotnet', elixir: 'elixir', dart: 'dart', swift: 'swift', haskell: 'haskell', zig: 'zig', nodejs: 'node',
};
// By runtime, so that a bundler for assets is not taken for the framework of a Python app; full-stack frameworks before the libraries
// that they are built on.
const NODE = [
  'nextjs', 'nuxtjs', 'sveltekit', 'remixrun', 'tanstackstart', 'blitzjs', 'redwoodjs', 'strapi', 'payloadcms', 'astro', 'gatsby',
  'docusaurus', 'angular', 'nestjs', 'eleventy', 'vitepress', 'vuepress', 'hexojs', 'express', 'fastify', 'koa', 'honojs',
  'elysiajs', 'vite',
];
const FRAMEWORKS = {
  node: NODE, bun: NODE, deno: NODE, static: ['hugo', 'jekyll'], python: ['django', 'gradio'], php: ['laravel', 'symfony'],
  ruby: ['rails', 'jekyll'], dotnet: ['aspnet'], go: ['hugo'],
};
const JAVASCRIPT = ['pnpm', 'yarn', 'bunsh', 'npm'];
const PACKAGE_MANAGERS = {
  node: JAVASCRIPT, bun: JAVASCRIPT, python: ['poetry', 'pipenv'], php: ['phpcomposer'], ruby: ['bundler'], rust: ['cargo'],
  dotnet: ['nuget'],
};
const DATABASES = { postgresql: 'postgres', mysql: 'mysql', mariadb: 'mysql', redis: 'redis', mongodb: 'mongo' };

export function normalise(root) {
  const techs = new Set();
  const files = {};
  collect(root, techs, files);
  const language = runtime(techs, files);
  const first = (table) => (table[language] ?? []).find((name) => techs.has(name)) ?? null;
  return {
    runtime: language,
    framework: first(FRAMEWORKS),
    package_manager: first(PACKAGE_MANAGERS),
    databases: [...new Set([...techs].map((tech) => DATABASES[tech]).filter(Boolean))].sort(),
  };
}

function collect(node, techs, files) {
  for (const tech of node.techs ?? []) techs.add(tech);
  if (node.tech) techs.add(node.tech);
  for (const [language, count] of Object.entries(node.languages ?? {})) files[language] = (files[language] ?? 0) + count;
  for (const child of node.childs ?? []) collect(child, techs, files);
}

function runtime(techs, files) {
  if (techs.has('deno')) return 'deno';
  if (techs.has('bunsh') && !techs.has('nodejs')) return 'bun';
  const counts = {};
  for (const [language, count] of Object.entries(files)) {
    const name = LANGUAGES[language];
    if (name) counts[name] = (counts[name] ?? 0) + count;
  }
  const ranked = Object.entries(counts).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  const tech = Object.keys(TECHS).find((name) => techs.has(name));
  return ranked[0]?.[0] ?? TECHS[tech] ?? (files.HTML ? 'static' : null);
}
