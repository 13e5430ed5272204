/** A file copied from the controller, of any size. */
import { deflateRawSync } from 'node:zlib';
import { UserError } from '../errors.ts';
import { type ProjectFile, projectFile, samplesOf, sha256OfStart, streamProjectFile } from '../project-files.ts';
import type { Resource, Upload } from '../resource.ts';
import { type ShellFunction, sh, shellFunction } from '../script.ts';
import type { State } from '../state.ts';
import { type OptionsOf, required, TEXT, validateOptions, valueType } from '../validate-options.ts';
import {
  hwClear,
  hwDrop,
  hwOwn,
  hwSha256,
  hwStage,
  hwSwap,
  ownership,
  statFormat,
  temporaryBeside,
} from './atomic-path.ts';
import { explainFile, file, hwFile, hwSame, PLACED_FILE, validated } from './file.ts';

const OPTIONS = {
  ...PLACED_FILE,
  /** The file on the controller. A relative path starts at the folder that the command is run in. */
  from: required(
    valueType<string>('the path of a file of this machine', (value) => typeof value === 'string' && value !== ''),
  ),
  /** The hash that the file must have, in hex. Without it any content will do. */
  sha256: TEXT,
};

/** What {@link copy} takes. The mode defaults to `0644`. */
export type CopyOptions = OptionsOf<typeof OPTIONS>;

/** Bytes at its beginning, middle and end that are compressed to see whether that pays. */
const SAMPLE = 64 * 1024;

/** `hw_received NEXT`: how many bytes of a large file a cut run left, and their hash; and whether the host has gzip. */
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

/** `hw_grown NEXT SIZE`: succeeds when NEXT is a plain file of SIZE bytes. */
const hwGrown: ShellFunction = shellFunction(
  'hw_grown',
  `
[ -f "$1" ] && [ ! -L "$1" ] && [ "$(stat -c %s -- "$1")" = "$2" ] && return 0
echo 'heartwood: another run wrote to the copy' >&2; return 1`,
);

/**
 * A copy of a file of the controller. A large one (a program, or images for hosts without internet) is uploaded,
 * compressed where that halves it. An upload that was cut continues where it ended. As with {@link file}, the copy
 * appears complete or not at all.
 * @throws UserError when the file cannot be read or does not have the hash `sha256`.
 */
export function copy(options: CopyOptions): Resource {
  validateOptions('copy', options, OPTIONS);
  const { from, sha256, ...place } = options;
  const { path } = place;
  const { size, sha256: sum, content } = readable(from, path);
  if (sha256 !== undefined && sha256.toLowerCase() !== sum) {
    throw new UserError({
      what: `${from} is not the file that ${path} should be: its sha256 is ${sum}`,
      expected: sha256,
      hint: 'fetch it again',
    });
  }
  // Small enough for the change itself.
  if (content) return file({ ...place, content });
  const own = ownership(options, '0644');
  const owner = `${own.owner}:${own.group}`;
  const next = temporaryBeside(path);
  return {
    kind: 'copy',
    id: path,
    probe: sh`${hwFile} ${path} ${statFormat(own)} ''\n${hwReceived} ${next}`,
    wanted: { type: 'file', ...own, sha256: sum, leftover: 'no' },
    uploadSize: size,
    upload: (found) => (found['sha256'] === sum ? undefined : remainingUpload({ from, sum, size, path, next }, found)),
    change: () => sh`
if ${hwSame} ${path} ${sum}; then
  ${hwClear} ${next} && ${hwOwn} ${own.mode} ${owner} ${path}; exit
fi
${hwSame} ${next} ${sum} || { echo 'heartwood: the copy is not complete' >&2; false; } || ${hwDrop} ${next}
${hwOwn} ${own.mode} ${owner} ${next} || ${hwDrop} ${next}
${validated(options.validate, next)}
${hwSwap} ${next} ${path} || ${hwDrop} ${next}`,
    keeps: [path],
    explain: ({ stderr }) =>
      stderr.includes('heartwood: the copy is not complete') || stderr.includes('heartwood: another run wrote')
        ? {
            what: `${from} did not arrive complete at ${path}; the file that was there is untouched`,
            hint: 'run it again; check that nothing writes to the file meanwhile',
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

/** The upload of the bytes that `next` does not have yet. */
function remainingUpload({ from, sum, size, path, next }: Transfer, found: State): Upload | undefined {
  const start = unlessUnreadable(() => resumeAt(from, found), 0);
  if (start === size) return undefined;
  const begin = start === 0 ? sh`${hwStage} ${path} ${next}` : sh`${hwGrown} ${next} ${start}`;
  return {
    script: sh`${begin} && cat >> ${next}`,
    content: () => streamProjectFile(from, start, size),
    compressible: found['unpacks'] === 'yes' && unlessUnreadable(() => isCompressible(from, sum, size), false),
  };
}

/** Reads a file that may be gone by now. Where it is, the upload fails and says why. */
function unlessUnreadable<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

const halved = new Map<string, boolean>();

/**
 * Does compression halve a file? Otherwise it is not worth the time: most large files are compressed already, and a
 * fast network is as fast as compressing. Every host needs the answer; it is found once.
 */
function isCompressible(from: string, sum: string, size: number): boolean {
  const known = halved.get(sum);
  if (known !== undefined) return known;
  const samples = samplesOf(from, size, SAMPLE);
  const found = samples.every((sample) => deflateRawSync(sample, { level: 1 }).length < sample.length / 2);
  halved.set(sum, found);
  return found;
}

/** Where to continue: behind what the host has already, when that is the beginning of this very file. */
function resumeAt(from: string, found: State): number {
  const received = Number(found['received'] ?? 0);
  if (received === 0) return 0;
  return sha256OfStart(from, received) === found['received.sha256'] ? received : 0;
}

/** The file. @throws UserError when it cannot be read. */
function readable(from: string, path: string): ProjectFile {
  try {
    return projectFile(from);
  } catch (error) {
    const why = error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'is not there' : String(error);
    throw new UserError({ what: `${from}, to be copied to ${path}, cannot be read: ${why}` });
  }
}
