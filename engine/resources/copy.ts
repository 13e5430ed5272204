/** A file copied from the controller, of any size. */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { UserError } from '../errors.ts';
import type { Resource, Upload } from '../resource.ts';
import { type ShellFunction, sh, shellFunction } from '../script.ts';
import type { State } from '../state.ts';
import { type Names, validateOptions } from '../validate-options.ts';
import {
  absolutePath,
  hwClear,
  hwDrop,
  hwOwn,
  hwSha256,
  hwStage,
  hwSwap,
  OWNERSHIP,
  ownership,
  statFormat,
  temporaryBeside,
} from './atomic-path.ts';
import { explainFile, type FileOptions, file, hwFile, hwSame, validated, validateTypes } from './file.ts';

/** What {@link copy} takes: what {@link file} does, but for the content. */
export interface CopyOptions extends Omit<FileOptions, 'content'> {
  /** The file on the controller. */
  readonly from: string;
  /** In hex: what the file must be. Without it, whatever it is will do. */
  readonly sha256?: string;
}

const OPTIONS: Names<CopyOptions> = { path: 'needed', from: 'needed', sha256: true, validate: true, ...OWNERSHIP };

/** Up to this many bytes a file travels inside the change itself. */
const SMALL = 256 * 1024;
/** Bytes of a file that are read at once. */
const PIECE = 256 * 1024;
/** Bytes at its beginning, its middle and its end that are packed to see whether it pays. */
const SAMPLE = 64 * 1024;

/** `hw_received NEXT`: how much of a large file a cut run left, and which bytes these are; and can the host unpack? */
const hwReceived: ShellFunction = shellFunction(
  'hw_received',
  `
if command -v gzip >/dev/null; then echo unpacks=yes; else echo unpacks=no; fi
if [ -f "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]; then
  hw_sha256 "$1" && printf 'leftover=yes\\nreceived=%s\\nreceived.sha256=%s\\n' "$(stat -c %s -- "$1")" "$hw_sum"
elif [ -e "$1" ] || [ -L "$1" ]; then printf 'leftover=yes\\nreceived=0\\n'
else printf 'leftover=no\\nreceived=0\\n'
fi`,
  [hwSha256],
);

/** `hw_grown NEXT SIZE`: is NEXT ours, and just this long? */
const hwGrown: ShellFunction = shellFunction(
  'hw_grown',
  `
[ -f "$1" ] && [ ! -L "$1" ] && [ "$(stat -c %s -- "$1")" = "$2" ] && return 0
echo 'heartwood: another run wrote to the copy' >&2; return 1`,
);

/**
 * A copy of a file of the controller. A large one (a binary or images for hosts without internet) is uploaded, packed where that
 * halves it, and a copy that was cut is gone on with where it ended. As with {@link file}, it appears at its place complete or not at all.
 * @throws UserError when the file cannot be read or is not what `sha256` says.
 */
export function copy(options: CopyOptions): Resource {
  validateOptions('copy', options, OPTIONS);
  validateTypes(options);
  const { from, sha256, ...place } = options;
  const path = absolutePath(options.path);
  const { size, sum } = digest(from, path);
  if (sha256 !== undefined && sha256.toLowerCase() !== sum) {
    throw new UserError({
      what: `${from} is not the file that ${path} should be: its sha256 is ${sum}`,
      expected: sha256,
      hint: 'fetch it again',
    });
  }
  if (size <= SMALL) return file({ ...place, content: readFileSync(from) });
  const own = ownership(path, options, '0644');
  const owner = `${own.owner}:${own.group}`;
  const next = temporaryBeside(path);
  return {
    kind: 'copy',
    id: path,
    probe: sh`${hwFile} ${path} ${statFormat(own)} ''\n${hwReceived} ${next}`,
    wanted: { type: 'file', ...own, sha256: sum, leftover: 'no' },
    uploadSize: size,
    upload: (found) => (found['sha256'] === sum ? undefined : rest({ from, sum, size, path, next }, found)),
    change: () => sh`
if ${hwSame} ${path} ${sum}; then
  ${hwClear} ${next} && ${hwOwn} ${own.mode} ${owner} ${path}; exit
fi
${hwSame} ${next} ${sum} || { echo 'heartwood: the copy is not complete' >&2; false; } || ${hwDrop} ${next}
${hwOwn} ${own.mode} ${owner} ${next} || ${hwDrop} ${next}
${validated(options.validate, next)}
${hwSwap} ${next} ${path} || ${hwDrop} ${next}`,
    undo: { kind: 'keep', paths: [path] },
    explain: ({ stderr }) =>
      stderr.includes('heartwood: the copy is not complete') || stderr.includes('heartwood: another run wrote')
        ? {
            what: `${from} did not arrive whole at ${path}; the file that was there is untouched`,
            hint: 'run it again; see whether the file was being written to meanwhile',
          }
        : explainFile(path, stderr),
  };
}

interface Transfer {
  readonly from: string;
  readonly sum: string;
  readonly size: number;
  readonly path: string;
  readonly next: string;
}

/** What makes `next` complete: the bytes that are not there yet. */
function rest({ from, sum, size, path, next }: Transfer, found: State): Upload | undefined {
  const start = unlessUnreadable(() => resumeAt(from, found), 0);
  if (start === size) return undefined;
  const begin = start === 0 ? sh`${hwStage} ${path} ${next}` : sh`${hwGrown} ${next} ${start}`;
  return {
    script: sh`${begin} && cat >> ${next}`,
    content: () => createReadStream(from, { start, end: size - 1, highWaterMark: PIECE }),
    compressible: found['unpacks'] === 'yes' && unlessUnreadable(() => shrinks(from, sum, size), false),
  };
}

/** A look at a file that may be gone by now: who sends it then hears why. */
function unlessUnreadable<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

const shrinking = new Map<string, boolean>();

/**
 * Does packing a file halve it? Else it is not worth the time: what is large is mostly packed already, and a fast network is as
 * fast as packing. Asked for by every host, and looked at once.
 */
function shrinks(from: string, sum: string, size: number): boolean {
  const known = shrinking.get(sum);
  if (known !== undefined) return known;
  const fd = openSync(from, 'r');
  try {
    const samples = [0, (size - SAMPLE) / 2, size - SAMPLE].map((at) => {
      const sample = Buffer.alloc(SAMPLE);
      return sample.subarray(0, readSync(fd, sample, 0, SAMPLE, Math.floor(at)));
    });
    const found = samples.every((sample) => deflateRawSync(sample, { level: 1 }).length < sample.length / 2);
    shrinking.set(sum, found);
    return found;
  } finally {
    closeSync(fd);
  }
}

/** Where to go on: behind what the host has already, when that is the beginning of this very file. */
function resumeAt(from: string, found: State): number {
  const received = Number(found['received'] ?? 0);
  if (received === 0) return 0;
  return hashOf(from, received).digest('hex') === found['received.sha256'] ? received : 0;
}

const digests = new Map<string, { size: number; sum: string }>();

/** Size and hash of a local file, asked for by every host: kept until the file changes. */
function digest(from: string, path: string): { size: number; sum: string } {
  try {
    const { size, mtimeMs } = statSync(from);
    const key = `${from}\0${size}\0${mtimeMs}`;
    const known = digests.get(key) ?? { size, sum: hashOf(from, size).digest('hex') };
    digests.set(key, known);
    return known;
  } catch (error) {
    const why = error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'is not there' : String(error);
    throw new UserError({ what: `${from}, to be copied to ${path}, cannot be read: ${why}` });
  }
}

/** The hash of the first `length` bytes. */
function hashOf(from: string, length: number): Hash {
  const hash = createHash('sha256');
  const fd = openSync(from, 'r');
  try {
    const buffer = Buffer.allocUnsafe(PIECE);
    for (let left = length; left > 0; ) {
      const read = readSync(fd, buffer, 0, Math.min(PIECE, left), null);
      if (read === 0) break;
      hash.update(buffer.subarray(0, read));
      left -= read;
    }
  } finally {
    closeSync(fd);
  }
  return hash;
}
