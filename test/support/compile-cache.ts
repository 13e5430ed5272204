/** The compile cache, for tests that fill it. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE_DIRECTORY, cacheName } from '../../engine/compile-cache/cache-record.ts';

/** Removes all that the cache has of a playbook. */
export function clear(playbook: string): void {
  if (!existsSync(CACHE_DIRECTORY)) return;
  for (const name of readdirSync(CACHE_DIRECTORY)) {
    if (name.startsWith(cacheName(playbook))) rmSync(join(CACHE_DIRECTORY, name));
  }
}
