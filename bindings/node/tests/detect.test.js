import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { DevopserError, detect, explain, generate } from '../lib/index.js';

let folder;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devopser-'));
});
afterEach(() => rm(folder, { recursive: true }));

const express = {
  dependencies: { express: '^5.0.0', knex: '^3.0.0' },
  scripts: { start: 'node server.js', migrate: 'knex migrate:latest' },
};

test('an Express app is told with its evidence', async () => {
  await writeFile(join(folder, 'package.json'), JSON.stringify(express));
  const stack = await detect(folder);
  assert.equal(stack.framework, 'express');
  assert.equal(stack.packageManager, 'npm');
  assert.equal(stack.releaseCommand, 'knex migrate:latest');
  assert.equal(stack.evidence.framework[0].path, 'package.json');
  assert.match(await explain(pathToFileURL(folder)), /express/);
  const files = await generate(folder);
  assert.match(files.dockerfile, /^FROM node:/m);
});

test('the pages of a program are told with the front end that builds them', async () => {
  await writeFile(join(folder, 'go.mod'), 'module example.test/pages\n\ngo 1.26\n');
  await writeFile(join(folder, 'main.go'), 'package main\n\n//go:embed dist\nvar pages embed.FS\n\nfunc main() {}\n');
  const front = { scripts: { build: 'vite build' }, devDependencies: { vite: '7' } };
  await writeFile(join(folder, 'package.json'), JSON.stringify(front));
  const stack = await detect(folder);
  assert.equal(stack.runtime, 'go');
  assert.equal(typeof stack.confidences.packageManager, 'number');
  assert.deepEqual(stack.pages, {
    root: '.', framework: 'vite', packageManager: 'npm', buildCommand: 'npm run build', outputs: ['dist'],
  });
});

test('what is no folder is rejected with a code', async () => {
  await assert.rejects(detect(join(folder, 'missing')), (error) => {
    assert(error instanceof DevopserError);
    assert.match(error.message, /missing/);
    assert.notEqual(error.code, 'unexpected');
    return true;
  });
  await assert.rejects(detect(7), TypeError);
});

test('a folder without a stack cannot be generated for', async () => {
  await writeFile(join(folder, 'notes.txt'), 'hello');
  assert.equal((await detect(folder)).runtime, null);
  await assert.rejects(generate(folder), { code: 'invalid_input' });
});

test('it works in a worker thread', async () => {
  await writeFile(join(folder, 'index.html'), '<h1>hello</h1>');
  const code = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { detect } = await import(workerData.module);
    parentPort.postMessage((await detect(workerData.folder)).static);`;
  const module = new URL('../lib/index.js', import.meta.url).href;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData: { module, folder } });
  const answer = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  assert.equal(answer, true);
});
