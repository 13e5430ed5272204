/**
 * The one reader of the controller's files while tasks are computed. `tasks` functions are pure but for this: they may
 * read files of the project, by `template()` and `copy()`. Tasks are computed for every host, and more than once a run,
 * so a file is read once:
 *
 * - A template is kept for the whole run. Someone who edits it meanwhile does not get half of the hosts with each
 *   version.
 * - A file to be copied is read again only where its size or time is another: an earlier task may have made it on this
 *   machine.
 *
 * A run begins with {@link clearProjectFiles}.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';

/** Files up to so many bytes are kept whole. Of a larger one, its size and hash are kept. */
export const KEPT_WHOLE = 256 * 1024;

/** Bytes that are read at once. */
const CHUNK = 256 * 1024;

/** A file of the controller. */
export interface ProjectFile {
  readonly size: number;
  /** In hex. */
  readonly sha256: string;
  /** Its bytes, of a file of up to {@link KEPT_WHOLE} bytes. */
  readonly content: Buffer | undefined;
}

const files = new Map<string, { readonly version: string; readonly file: ProjectFile }>();
const texts = new Map<string, string>();

/** Forgets every file: the next run reads them again. */
export function clearProjectFiles(): void {
  files.clear();
  texts.clear();
}

/** A file's size, hash and content. @throws Error of `node:fs` when it cannot be read. */
export function projectFile(path: string): ProjectFile {
  const key = resolve(path);
  const { size, mtimeMs, ino } = statSync(key);
  const version = `${size} ${mtimeMs} ${ino}`;
  const known = files.get(key);
  if (known?.version === version) return known.file;
  const file = readFile(key, size);
  files.set(key, { version, file });
  return file;
}

function readFile(path: string, size: number): ProjectFile {
  if (size > KEPT_WHOLE) return { size, sha256: hashOf(path, size).digest('hex'), content: undefined };
  const content = readFileSync(path);
  return { size: content.length, sha256: createHash('sha256').update(content).digest('hex'), content };
}

/** A file as UTF-8 text. @throws Error of `node:fs` when it cannot be read. */
export function projectText(path: string): string {
  const key = resolve(path);
  const text = texts.get(key) ?? readFileSync(key, 'utf8');
  texts.set(key, text);
  return text;
}

/** A file's bytes from `start` up to `end`, read while they are consumed. Not kept: for uploads. */
export function streamProjectFile(path: string, start: number, end: number): Readable {
  return createReadStream(path, { start, end: end - 1, highWaterMark: CHUNK });
}

/** The sha256 of a file's first `length` bytes, in hex. Not kept. */
export function sha256OfStart(path: string, length: number): string {
  return hashOf(path, length).digest('hex');
}

/**
 * Pieces of `length` bytes from the beginning, the middle and the end of a file that has at least so many. Not kept.
 */
export function samplesOf(path: string, size: number, length: number): readonly Buffer[] {
  const fd = openSync(path, 'r');
  try {
    return [0, (size - length) / 2, size - length].map((at) => {
      const sample = Buffer.alloc(length);
      return sample.subarray(0, readSync(fd, sample, 0, length, Math.floor(at)));
    });
  } finally {
    closeSync(fd);
  }
}

function hashOf(path: string, length: number): Hash {
  const hash = createHash('sha256');
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(CHUNK);
    for (let left = length; left > 0; ) {
      const read = readSync(fd, buffer, 0, Math.min(CHUNK, left), null);
      if (read === 0) break;
      hash.update(buffer.subarray(0, read));
      left -= read;
    }
  } finally {
    closeSync(fd);
  }
  return hash;
}
