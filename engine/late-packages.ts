/**
 * Packages that are loaded with their first use, for pure functions that can't await an import. Together they take longer
 * than all the rest of `--help`, which needs neither.
 */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** The package `yaml`. */
export const yaml = (): typeof import('yaml') => require('yaml') as typeof import('yaml');

/** The package `diff`. */
export const diff = (): typeof import('diff') => require('diff') as typeof import('diff');
