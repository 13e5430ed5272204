/** Paths of what the bench writes: `.bench/` in the repository, ignored by git. It can be removed at any time. */
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root. */
export const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** A path below `.bench/`. Its folder exists afterwards. */
export function benchPath(...words: readonly string[]): string {
  const path = join(REPOSITORY, '.bench', ...words);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}

/** A folder below `.bench/`, created where it is missing. */
export function benchFolder(...words: readonly string[]): string {
  const path = benchPath(...words);
  mkdirSync(path, { recursive: true });
  return path;
}
