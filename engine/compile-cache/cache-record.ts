/**
 * What the compile cache holds for a playbook, and where: a record, the compiled file, its source map and V8's code for
 * it.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What is known of a playbook's compiled file. */
export interface CacheRecord {
  /** The playbook's path. */
  readonly playbook: string;
  /** The hash of the compiled file; undefined where the playbook can't be compiled. */
  readonly sha256: string | undefined;
  /** Why it can't. */
  readonly refused?: string | undefined;
  /** The version of Node that it was compiled by and for. */
  readonly node: string;
  /** {@link stampOf} every file that the compiled file depends on, by path. */
  readonly stamps: Readonly<Record<string, string>>;
}

/** The folder of this project: its `node_modules` has the packages, and the cache. */
export const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

/** The folder of the cache. It can be removed at any time. */
export const CACHE_DIRECTORY = join(PROJECT, 'node_modules', '.cache', 'heartwood');

/** How the names of a playbook's files begin. */
export function cacheName(playbook: string): string {
  const readable = playbook.replaceAll(/[^\w.-]/g, '_').slice(-100);
  return `${readable}-${createHash('sha256').update(playbook).digest('hex').slice(0, 12)}`;
}

/** The path of a playbook's record. */
export function recordPath(playbook: string): string {
  return join(CACHE_DIRECTORY, `${cacheName(playbook)}.json`);
}

/**
 * The path of a playbook's compiled file; its source map (`.map`) and V8's code for it (`.code`) are beside it. Each
 * version of Node has its own: V8 takes code of another patch of itself for its own, and runs it wrongly.
 */
export function compiledFile({
  playbook,
  node,
  sha256 = '',
}: Pick<CacheRecord, 'playbook' | 'node' | 'sha256'>): string {
  return join(CACHE_DIRECTORY, `${cacheName(playbook)}-${node}-${sha256.slice(0, 16)}.cjs`);
}

/** Text that changes when a file does: its size, times and inode. `absent` where there is no file. */
export function stampOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  // The kernel sets ctime with every change; programs can set mtime to what they like.
  return found ? `${found.size} ${found.mtimeMs} ${found.ctimeMs} ${found.ino}` : 'absent';
}

/** The record of a playbook, where it was made by this version of Node and no file has changed since. */
export function currentRecord(playbook: string): CacheRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(recordPath(playbook), 'utf8')) as CacheRecord;
    if (record.playbook !== playbook || record.node !== process.version) return undefined;
    return Object.entries(record.stamps).every(([file, stamp]) => stampOf(file) === stamp) ? record : undefined;
  } catch {
    // There is none yet, or it can't be read.
    return undefined;
  }
}
