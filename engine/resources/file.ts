/** A file with given content. */

import type { MergeableChange, Resource } from '../resource.ts';
import { Script, type ShellFunction, sh, shellFunction } from '../script.ts';
import { Secret } from '../secret.ts';
import { functionType, type OptionsOf, required, validateOptions, valueType } from '../validate-options.ts';
import {
  explainPath,
  hwClear,
  hwDrop,
  hwOwn,
  hwOwner,
  hwRename,
  hwSha256,
  hwStage,
  hwSwap,
  hwSync,
  hwType,
  leftover,
  OWNERSHIP,
  ownership,
  PATH,
  probeKey,
  sharedPathProbe,
  statFormat,
  temporaryBeside,
} from './atomic-path.ts';
import { type Content, isSecret, sha256, write } from './content.ts';
import { fileDiff } from './file-diff.ts';

/** The options of whatever puts a file at a path. */
export const PLACED_FILE = {
  /** Where it is: absolute. */
  path: required(PATH),
  /**
   * A script that fails when the content is not valid, given the path of the candidate as an argument:
   * `(candidate) => sh`sshd -t -f ${candidate}``. The file is replaced only when it succeeds.
   */
  validate: functionType<(candidate: Script) => Script>(
    'a function of the candidate: (candidate) => sh`visudo -c -f ${candidate}`',
  ),
  ...OWNERSHIP,
};

const OPTIONS = {
  ...PLACED_FILE,
  /** What the file holds: text, a `Buffer`, a `Secret`, or what a template renders. */
  content: required(
    valueType<Content>(
      'text, a Buffer, a Secret, or what a template renders',
      (value) => typeof value === 'string' || Buffer.isBuffer(value) || isSecret(value as Content),
    ),
  ),
};

/** What {@link file} takes. The mode defaults to `0644`. */
export type FileOptions = OptionsOf<typeof OPTIONS>;

/**
 * `hw_file PATH FORMAT SHA256 [KEY]`: the state of a file. With SHA256 it prints only whether the content has that
 * hash.
 */
export const hwFile: ShellFunction = shellFunction(
  'hw_file',
  `
hw_type "$1" || return 0
hw_owner "$1" "$2" "$4"
{ [ -f "$1" ] && [ ! -L "$1" ] && hw_sha256 "$1" "$4"; } || return 0
if [ -z "$3" ]; then echo "sha256=$hw_sum"
elif [ "$hw_sum" = "$3" ]; then echo content=wanted
else echo content=other
fi`,
  [hwType, hwOwner, hwSha256],
);

/** `hw_same PATH SHA256`: succeeds when PATH is a plain file with this hash. */
export const hwSame: ShellFunction = shellFunction(
  'hw_same',
  '[ ! -L "$1" ] && [ -f "$1" ] && hw_sha256 "$1" && [ "$hw_sum" = "$2" ]',
  [hwSha256],
);

/**
 * A file with this content, mode and owner.
 *
 * - It is written beside its place, checked by `validate`, and renamed: at every moment the old file is there or the
 *   new one.
 * - A link in its place is replaced, not followed. A directory in its place is an error. Its own directory must exist.
 * - The hash of a secret content is not shown, since a short secret could be guessed from it.
 */
export function file(options: FileOptions): Resource {
  validateOptions('file', options, OPTIONS);
  const { path, content, validate } = options;
  const next = temporaryBeside(path);
  const own = ownership(options, '0644');
  const owner = `${own.owner}:${own.group}`;
  const sum = isSecret(content) ? new Secret(sha256(content)) : sha256(content);
  const part: Part = { path, next, mode: own.mode, owner, content };
  return {
    kind: 'file',
    id: path,
    probe: sh`${hwFile} ${path} ${statFormat(own)} ${isSecret(content) ? sum : ''} ${probeKey(path)}\n${leftover(path)}`,
    sharedProbe: sharedPathProbe(path),
    wanted: {
      type: 'file',
      ...own,
      ...(typeof sum === 'string' ? { sha256: sum } : { content: 'wanted' }),
      leftover: 'no',
    },
    change: () => sh`
if ${hwSame} ${path} ${sum}; then
  ${hwClear} ${next} && ${hwOwn} ${own.mode} ${owner} ${path}; exit
fi
${hwStage} ${path} ${next} || exit
${write(content, next)} || ${hwDrop} ${next}
${hwOwn} ${own.mode} ${owner} ${next} || ${hwDrop} ${next}
${validated(validate, next)}
${hwSwap} ${next} ${path} || ${hwDrop} ${next}`,
    mergeable: (found) =>
      validate || found['sha256'] === sum || found['content'] === 'wanted' ? undefined : writtenTogether(part),
    keeps: [path],
    detail: fileDiff(path, content),
    explain: ({ stderr }) => explainFile(path, stderr),
  };
}

/** A file among others that are written together. */
interface Part {
  readonly path: string;
  readonly next: string;
  readonly mode: string;
  readonly owner: string;
  readonly content: Content;
}

/** All are written beside their places and to disk before the first one is renamed: one wait for an SD card. */
function writtenTogether(part: Part): MergeableChange<Part> {
  return {
    key: 'file',
    part,
    change: (parts) => {
      const all = parts.map(({ next }) => next);
      const owners = new Set(parts.map(({ mode, owner }) => `${mode} ${owner}`));
      const steps = [
        ...parts.map(({ path, next, content }) => sh`${hwStage} ${path} ${next} && ${write(content, next)}`),
        ...[...owners].map((of) => {
          const theirs = parts.filter(({ mode, owner }) => `${mode} ${owner}` === of).map(({ next }) => next);
          return sh`${hwOwn} ${of.split(' ')} ${theirs}`;
        }),
        sh`${hwSync} ${all}`,
        ...parts.map(({ path, next }) => sh`${hwRename} ${next} ${path}`),
      ];
      return sh`{ ${Script.join(steps, ' &&\n')}; } || { rm -f -- ${all}; exit 1; }`;
    },
  };
}

/** The part of a change that stops it where `next` is not valid. */
export function validated(validate: FileOptions['validate'], next: string): Script {
  if (!validate) return sh``;
  return sh`( ${validate(sh`${next}`)}\n) || { echo 'heartwood: not valid' >&2; false; } || ${hwDrop} ${next}`;
}

/** Why a file could not be written. */
export function explainFile(path: string, stderr: string): ReturnType<typeof explainPath> {
  if (!stderr.includes('heartwood: not valid')) return explainPath(path, stderr);
  return {
    what: `the new ${path} did not pass its check; the old one is still in place`,
    hint: stderr.replace(/\s*heartwood: not valid\s*/, '').trim(),
  };
}
