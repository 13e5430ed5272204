/** Where the bench keeps what it makes: `.bench/` in the repository, git-ignored. Remove it to have everything made anew. */
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root. */
export const repository = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** A path below `.bench/`; its folder exists afterwards. */
export function place(...words: readonly string[]): string {
  const path = join(repository, '.bench', ...words);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}

/** A folder below `.bench/`, made where it is missing. */
export function folder(...words: readonly string[]): string {
  const path = place(...words);
  mkdirSync(path, { recursive: true });
  return path;
}
