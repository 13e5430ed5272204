/**
 * Packages that are loaded when they are first used. `--help` needs none of them, and they would take most of its time.
 */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** The package `yaml`. */
export const yaml = (): typeof import('yaml') => require('yaml');

/** The package `diff`. */
export const diff = (): typeof import('diff') => require('diff');

/** The package `ajv`. */
export const ajv = (): typeof import('ajv') => require('ajv');

/** The package `ssh2`. */
export const ssh2 = (): typeof import('ssh2') => require('ssh2');

/** The package `ssh2-promise`. */
export const ssh2Promise = (): typeof import('ssh2-promise') => require('ssh2-promise');

/** The package `ipaddr.js`. */
export const ipaddr = (): typeof import('ipaddr.js') => require('ipaddr.js');

/** The parser of the package `handlebars`; the rest of it is not needed. */
export const handlebarsParser = (): Pick<typeof import('handlebars'), 'parse'> =>
  require('handlebars/dist/cjs/handlebars/compiler/base.js');
