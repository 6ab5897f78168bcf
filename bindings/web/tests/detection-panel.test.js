import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detectionRows } from '../src/index.js';

test('a row for each field that has an answer, with the places that prove it', () => {
  const rows = detectionRows({
    runtime: 'node',
    version: null,
    release_command: 'prisma migrate deploy',
    port: 3000,
    health_path: '/healthz',
    databases: ['postgres', 'redis'],
    services: [],
    evidence: { runtime: [{ path: 'package.json' }], port: [{ path: 'src/server.js', line: 7 }, { path: 'src/server.js', line: 7 }] },
  });
  assert.deepEqual(rows, [
    { name: 'runtime', label: 'Runtime', text: 'node', places: ['package.json'] },
    { name: 'release_command', label: 'Before start', text: 'prisma migrate deploy', places: [] },
    { name: 'port', label: 'Port', text: '3000', places: ['src/server.js:7'] },
    { name: 'health_path', label: 'Health check', text: '/healthz', places: [] },
    { name: 'databases', label: 'Databases', text: 'postgres, redis', places: [] },
  ]);
});
