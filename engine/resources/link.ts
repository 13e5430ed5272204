/** A symbolic link. */

import type { Resource } from '../resource.ts';
import { type Script, type ShellFunction, sh, shellFunction } from '../script.ts';
import { hwKv } from '../state.ts';
import { type OptionsOf, required, TEXT, validateOptions } from '../validate-options.ts';
import { explainPath, hwClear, hwDrop, hwSwap, hwType, leftover, PATH, temporaryBeside } from './atomic-path.ts';

const OPTIONS = {
  /** Where it is: absolute. */
  path: required(PATH),
  /** What it points to, as it will be written: absolute, or relative to the link's directory. It need not exist. */
  target: required(TEXT),
};

/** What {@link link} takes. */
export type LinkOptions = OptionsOf<typeof OPTIONS>;

/** `hw_link PATH`: the state of a link. */
const hwLink: ShellFunction = shellFunction(
  'hw_link',
  `
hw_type "$1" || return 0
[ ! -L "$1" ] || hw_kv target "$(readlink -- "$1")"`,
  [hwType, hwKv],
);

/**
 * A symbolic link. One with another target is replaced in one step. A file or directory in its place is an error, since
 * its content would be lost.
 */
export function link(options: LinkOptions): Resource {
  validateOptions('link', options, OPTIONS);
  const { path, target } = options;
  return {
    kind: 'link',
    id: path,
    probe: sh`${hwLink} ${path}\n${leftover(path)}`,
    wanted: { type: 'link', target, leftover: 'no' },
    change: () => writeLink(path, target),
    undo: (found) =>
      found['type'] === 'link' ? writeLink(path, found['target'] ?? '') : sh`[ ! -L ${path} ] || rm -f -- ${path}`,
    explain: ({ stderr }) => {
      if (stderr.includes('heartwood: in the way')) {
        return {
          what: `${path} is there and is no link; Heartwood does not replace it`,
          hint: `look at it; then absent({ path: '${path}' }) before this task`,
        };
      }
      return explainPath(path, stderr);
    },
  };
}

/** Makes the link. */
function writeLink(path: string, target: string): Script {
  const next = temporaryBeside(path);
  return sh`
if [ -e ${path} ] && [ ! -L ${path} ]; then echo 'heartwood: in the way' >&2; exit 1; fi
${hwClear} ${next} && ln -s -- ${target} ${next} || exit
${hwSwap} ${next} ${path} || ${hwDrop} ${next}`;
}
