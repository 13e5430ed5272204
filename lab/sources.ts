/** Hashes of source files: what was built or tested from the same sources need not be built or tested again. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './names.ts';

/**
 * The hash of all files at these paths of the repository, folders with everything below them, by name and content.
 *
 * @param counts Which files count, by path from the repository's root. Default: all.
 */
export function hashOfSources(paths: readonly string[], counts: (path: string) => boolean = () => true): string {
  const hash = createHash('sha256');
  const files = paths.flatMap(filesBelow).filter(counts).sort();
  for (const file of new Set(files)) {
    const content = createHash('sha256').update(readFileSync(join(repository, file)));
    hash.update(`${content.digest('hex')}  ${file}\n`);
  }
  return hash.digest('hex');
}

/** The files at and below a path, by path from the repository's root. */
function filesBelow(path: string): string[] {
  if (!statSync(join(repository, path)).isDirectory()) return [path];
  return readdirSync(join(repository, path)).flatMap((name) => filesBelow(`${path}/${name}`));
}
