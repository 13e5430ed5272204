/**
 * `node --import loaded.mjs`: writes down every module that is loaded, an address a line, into the file that HEARTWOOD_TEST_LOADED
 * names. It is its own hook, in the thread that Node runs hooks in; what is required and not imported is seen at the end alone.
 */
import { appendFileSync } from 'node:fs';
import { createRequire, register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

const note = (...addresses) =>
  appendFileSync(process.env.HEARTWOOD_TEST_LOADED, addresses.map((address) => `${address}\n`).join(''));

if (isMainThread) {
  register(import.meta.url);
  process.on('exit', () => note(...Object.keys(createRequire(import.meta.url).cache)));
}

/** Node's hook: writes the address down, and leaves the loading to the next. */
export function load(url, context, next) {
  note(url);
  return next(url, context);
}
