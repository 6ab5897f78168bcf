// What the adapters of the npm peers make of their peers' answers. The peers themselves need not be installed.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { normalise as netlify } from '../adapters/netlify.mjs';
import { normalise as specfy } from '../adapters/specfy.mjs';
import { normalise as vercel } from '../adapters/vercel.mjs';

test('netlify: a framework with its package manager is a Node program, its development port no answer', () => {
  const info = {
    frameworks: [{ id: 'eleventy', dev: { port: 8080 }, build: { directory: '_site' } }],
    langRuntimes: [{ id: 'node' }],
    packageManager: { name: 'npm' },
    jsWorkspaces: null,
  };
  assert.deepEqual(netlify(info), {
    runtime: 'node', framework: 'eleventy', package_manager: 'npm', output_dir: '_site', services: null,
  });
});

test('netlify: generators, other languages, workspaces and nothing', () => {
  assert.equal(netlify({ frameworks: [{ id: 'hugo' }], langRuntimes: [{ id: 'node' }] }).runtime, 'static');
  assert.equal(netlify({ frameworks: [], langRuntimes: [{ id: 'go' }] }).runtime, 'go');
  assert.equal(netlify({ langRuntimes: [{ id: 'node' }, { id: 'bun' }], packageManager: { name: 'bun' } }).runtime, 'bun');
  assert.deepEqual(netlify({ jsWorkspaces: { packages: [{ path: 'apps/web' }, 'apps/api'] } }).services, ['apps/web', 'apps/api']);
  assert.deepEqual(Object.values(netlify({})), [null, null, null, null, null]);
});

test('vercel: a framework, a language that is listed as one, and a builder', () => {
  const found = { framework: 'nextjs', use: '@vercel/next', output: null, packageManager: 'pnpm', hasManifest: true, services: null };
  assert.deepEqual(vercel(found), { runtime: 'node', framework: 'nextjs', package_manager: 'pnpm', output_dir: null, services: null });
  const fastapi = vercel({ framework: 'fastapi', use: '@vercel/python', output: 'N/A', packageManager: null, hasManifest: false });
  assert.deepEqual([fastapi.runtime, fastapi.framework, fastapi.output_dir], ['python', 'fastapi', null]);
  const python = vercel({ framework: 'python', use: '@vercel/python', output: null, packageManager: null, hasManifest: false });
  assert.deepEqual([python.runtime, python.framework], ['python', null]);
  assert.equal(vercel({ framework: null, use: '@vercel/go@latest', hasManifest: false }).runtime, 'go');
  assert.equal(vercel({ framework: null, use: '@vercel/static', hasManifest: false }).runtime, 'static');
  assert.equal(vercel({ framework: null, use: '@vercel/static', hasManifest: true }).runtime, 'node');
  assert.equal(vercel({ framework: null, use: null, hasManifest: false, servesFiles: true }).runtime, 'static');
  assert.equal(vercel({ framework: null, use: null, hasManifest: false, servesFiles: false }).runtime, null);
});

test('vercel: the roots of inferred services', () => {
  const services = { web: { root: 'frontend' }, api: { root: 'backend' } };
  assert.deepEqual(vercel({ framework: null, use: null, hasManifest: false, services }).services, ['frontend', 'backend']);
});

test('specfy: the language of most files wins, and only its own frameworks and package managers count', () => {
  const tree = {
    techs: ['docker'], languages: { Python: 1, Markdown: 40 }, childs: [
      { techs: ['django', 'poetry', 'vite', 'npm'], languages: { Python: 9, TypeScript: 3 } },
      { tech: 'postgresql', techs: [], languages: {} },
    ],
  };
  assert.deepEqual(specfy(tree), { runtime: 'python', framework: 'django', package_manager: 'poetry', databases: ['postgres'] });
});

test('specfy: trees without sources, and Bun and Deno', () => {
  assert.equal(specfy({ techs: ['rust'], languages: { TOML: 1 } }).runtime, 'rust');
  assert.equal(specfy({ techs: [], languages: { HTML: 2 } }).runtime, 'static');
  assert.equal(specfy({ techs: ['deno'], languages: { TypeScript: 2 } }).runtime, 'deno');
  assert.equal(specfy({ techs: ['bunsh'], languages: { TypeScript: 2 } }).runtime, 'bun');
  assert.deepEqual(specfy({}), { runtime: null, framework: null, package_manager: null, databases: [] });
});
