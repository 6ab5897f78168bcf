import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { errorFrom } from './errors.js';

const native = createRequire(import.meta.url)('../devopser.node');

export { DevopserError } from './errors.js';
export const version = native.version();

const call = async (work, folder) => {
  const path = folder instanceof URL ? fileURLToPath(folder) : folder;
  if (typeof path !== 'string') {
    throw new TypeError('path must be a string or a file URL');
  }
  try {
    return await work(path);
  } catch (error) {
    throw errorFrom(error);
  }
};

// The names of the report are the engine's; JavaScript's are in camel case.
const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const stack = (report) => Object.fromEntries(Object.entries(report).map(([name, value]) => [camel(name), value]));

export const detect = async (path) => {
  const { evidence, confidences, pages, ...report } = JSON.parse(await call(native.detect, path));
  const answer = { ...stack(report), confidences: stack(confidences), evidence: stack(evidence) };
  return pages ? { ...answer, pages: stack(pages) } : answer;
};
export const explain = (path) => call(native.explain, path);
export const generate = async (path) => JSON.parse(await call(native.generate, path));
