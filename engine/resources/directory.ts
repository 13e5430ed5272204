/** A directory. */

import type { Resource } from '../resource.ts';
import { type ShellFunction, sh, shellFunction } from '../script.ts';
import { type Names, validateOptions } from '../validate-options.ts';
import {
  absolutePath,
  explainPath,
  hwMine,
  hwOwn,
  hwOwner,
  hwType,
  OWNERSHIP,
  type Ownership,
  ownership,
  probeKey,
  sharedPathProbe,
  statFormat,
} from './atomic-path.ts';

/** What {@link directory} takes. Mode defaults to `0755`, owner and group to `root`. */
export interface DirectoryOptions extends Partial<Ownership> {
  readonly path: string;
}

const OPTIONS: Names<DirectoryOptions> = { path: 'needed', ...OWNERSHIP };

/** `hw_directory PATH FORMAT KEY`: the state of a directory, or of the directory a link leads to. */
const hwDirectory: ShellFunction = shellFunction(
  'hw_directory',
  `
if [ ! -d "$1" ]; then hw_type "$1" || :
elif [ -L "$1" ]; then echo type=directory; stat -L -c "$2" -- "$1"
else echo type=directory; hw_owner "$1" "$2" "$3"
fi`,
  [hwType, hwOwner],
);

/** `hw_make PATH MODE OWNER:GROUP`: has its mode at once where it is root's at once; else nobody's before it is its owner's. */
const hwMake: ShellFunction = shellFunction(
  'hw_make',
  `
umask 022
if [ -d "$1" ]; then hw_own "$2" "$3" "$1"; return; fi
case $3 in root:root) hw_mode=$2 ;; *) hw_mode=0700 ;; esac
mkdir -p -m "$hw_mode" -- "$1" || return
hw_mine "$1" "$3" 2>/dev/null || hw_own "$2" "$3" "$1"`,
  [hwMine, hwOwn],
);

/**
 * A directory with this mode and owner. Missing parents are made too, as `mkdir -p` makes them. A link that leads to a
 * directory will do (data on another disk); a file in its place is an error.
 */
export function directory(options: DirectoryOptions): Resource {
  validateOptions('directory', options, OPTIONS);
  const path = absolutePath(options.path);
  const own = ownership(path, options, '0755');
  return {
    kind: 'directory',
    id: path,
    probe: sh`${hwDirectory} ${path} ${statFormat(own)} ${probeKey(path)}`,
    sharedProbe: sharedPathProbe(path),
    wanted: { type: 'directory', ...own },
    change: () => sh`${hwMake} ${path} ${own.mode} ${`${own.owner}:${own.group}`}`,
    undo: { kind: 'restore' },
    explain: ({ stderr }) =>
      /File exists|Not a directory/.test(stderr)
        ? { what: `${path} cannot be a directory: a file or a broken link is in the way`, hint: `ls -ld ${path}` }
        : explainPath(path, stderr),
  };
}
