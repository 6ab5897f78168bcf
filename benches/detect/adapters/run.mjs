// Runs one npm peer over folders.
//   node run.mjs PEER FOLDER...                  one JSON line a folder: {"folder", "answer"} or {"folder", "error"}
//   node run.mjs PEER --bench PASSES FOLDER...   one warm pass, then PASSES timed ones; one JSON line: {"n", "mean_ms"}
// A peer is the file PEER.mjs beside this one: `load()` gives its `detect(folder)`, `normalise(raw)` names its answer's fields.

// Peers log as they like: only the lines below may reach stdout.
for (const level of ['log', 'info', 'debug', 'warn']) console[level] = () => {};

const [name, ...rest] = process.argv.slice(2);
if (!/^[a-z]+$/.test(name ?? '')) {
  process.stderr.write('usage: node run.mjs PEER [--bench PASSES] FOLDER...\n');
  process.exit(2);
}
const peer = await import(`./${name}.mjs`);
const detect = await peer.load();
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

if (rest[0] === '--bench') print(await bench(Number(rest[1]), rest.slice(2)));
else for (const folder of rest) print(await answer(folder));

async function answer(folder) {
  try {
    return { folder, answer: peer.normalise(await detect(folder)) };
  } catch (error) {
    return { folder, error: String(error?.message ?? error) };
  }
}

/** The mean over the folders of each one's fastest pass. A folder that the peer fails on counts with the time until it failed. */
async function bench(passes, folders) {
  const fastest = folders.map(() => Infinity);
  for (let pass = 0; pass <= passes; pass++) {
    for (const [at, folder] of folders.entries()) {
      const start = performance.now();
      await detect(folder).catch(() => null);
      if (pass > 0) fastest[at] = Math.min(fastest[at], performance.now() - start);
    }
  }
  const total = fastest.reduce((sum, time) => sum + time, 0);
  return { n: folders.length, mean_ms: total / folders.length };
}
