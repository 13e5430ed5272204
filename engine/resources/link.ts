/** A symbolic link. */

import type { Resource } from '../resource.ts';
import { type ShellFunction, sh, shellFunction } from '../script.ts';
import { hwKv } from '../state.ts';
import { type Names, validateOptions } from '../validate-options.ts';
import {
  absolutePath,
  explainPath,
  hwClear,
  hwDrop,
  hwSwap,
  hwType,
  leftover,
  temporaryBeside,
} from './atomic-path.ts';

/** What {@link link} takes. */
export interface LinkOptions {
  readonly path: string;
  /** Where it leads, as it will be written: absolute, or relative to the link's directory. It need not be there. */
  readonly target: string;
}

const OPTIONS: Names<LinkOptions> = { path: 'needed', target: 'needed' };

/** `hw_link PATH`: the state of a link. */
const hwLink: ShellFunction = shellFunction(
  'hw_link',
  `
hw_type "$1" || return 0
[ ! -L "$1" ] || hw_kv target "$(readlink -- "$1")"`,
  [hwType, hwKv],
);

/**
 * A symbolic link. One that leads elsewhere is replaced in one step; a file or directory in its place is an error, since
 * its content would be lost.
 */
export function link(options: LinkOptions): Resource {
  validateOptions('link', options, OPTIONS);
  const { target } = options;
  const path = absolutePath(options.path);
  const next = temporaryBeside(path);
  return {
    kind: 'link',
    id: path,
    probe: sh`${hwLink} ${path}\n${leftover(path)}`,
    wanted: { type: 'link', target, leftover: 'no' },
    change: () => sh`
if [ -e ${path} ] && [ ! -L ${path} ]; then echo 'heartwood: in the way' >&2; exit 1; fi
${hwClear} ${next} && ln -s -- ${target} ${next} || exit
${hwSwap} ${next} ${path} || ${hwDrop} ${next}`,
    undo: { kind: 'restore' },
    explain: ({ stderr }) => {
      if (stderr.includes('heartwood: in the way')) {
        return {
          what: `${path} is there and is no link; Heartwood does not throw it away`,
          hint: `look at it; then absent({ path: '${path}' }) before this task`,
        };
      }
      return explainPath(path, stderr);
    },
  };
}
