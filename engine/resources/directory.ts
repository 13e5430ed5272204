/** A directory. */

import type { Resource } from '../resource.ts';
import { type Script, type ShellFunction, sh, shellFunction } from '../script.ts';
import { hwKv, type State } from '../state.ts';
import { type OptionsOf, required, validateOptions } from '../validate-options.ts';
import {
  explainPath,
  hwMine,
  hwOwn,
  hwOwner,
  hwType,
  OWNERSHIP,
  ownership,
  PATH,
  probeKey,
  sharedPathProbe,
  statFormat,
} from './atomic-path.ts';

const OPTIONS = {
  /** Where it is: absolute. */
  path: required(PATH),
  ...OWNERSHIP,
};

/** What {@link directory} takes. The mode defaults to `0755`. */
export type DirectoryOptions = OptionsOf<typeof OPTIONS>;

/**
 * `hw_directory PATH FORMAT KEY`: the state of a directory, or of the directory a link leads to. Where nothing is
 * there, `parent=` is the nearest parent that is: undo removes what the change makes below it.
 */
const hwDirectory: ShellFunction = shellFunction(
  'hw_directory',
  `
if [ ! -d "$1" ]; then
  hw_type "$1" && return
  hw_path=\${1%/*}
  while [ -n "$hw_path" ] && [ ! -d "$hw_path" ]; do hw_path=\${hw_path%/*}; done
  hw_kv parent "\${hw_path:-/}"
elif [ -L "$1" ]; then echo type=directory; stat -L -c "$2" -- "$1"
else echo type=directory; hw_owner "$1" "$2" "$3"
fi`,
  [hwType, hwOwner, hwKv],
);

/**
 * `hw_make PATH MODE OWNER:GROUP`: makes a directory. One that is to be root's has its mode at once; another one is
 * closed to everybody until it has its owner.
 */
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

/** `hw_remove_below PARENT PATH`: removes the directory PATH and its parents below PARENT. They must be empty. */
const hwRemoveBelow: ShellFunction = shellFunction(
  'hw_remove_below',
  `
hw_path=$2
while [ "\${hw_path:-/}" != "$1" ]; do
  [ ! -d "$hw_path" ] || rmdir -- "$hw_path" || return
  hw_path=\${hw_path%/*}
done`,
);

/**
 * A directory with this mode and owner. Missing parents are made too, as by `mkdir -p`. A link to a directory counts as
 * a directory (data on another disk). A file in its place is an error.
 */
export function directory(options: DirectoryOptions): Resource {
  validateOptions('directory', options, OPTIONS);
  const { path } = options;
  const own = ownership(options, '0755');
  return {
    kind: 'directory',
    id: path,
    probe: sh`${hwDirectory} ${path} ${statFormat(own)} ${probeKey(path)}`,
    sharedProbe: sharedPathProbe(path),
    wanted: { type: 'directory', ...own },
    change: () => sh`${hwMake} ${path} ${own.mode} ${`${own.owner}:${own.group}`}`,
    undo: (found) => undoDirectory(path, found),
    explain: ({ stderr }) =>
      /File exists|Not a directory/.test(stderr)
        ? { what: `${path} cannot be a directory: a file or a broken link is in the way`, hint: `ls -ld ${path}` }
        : explainPath(path, stderr),
  };
}

/**
 * Gives a directory its old mode and owner back, or removes one that was not there. Where something else was found, the
 * change failed, and there is nothing to undo.
 */
function undoDirectory(path: string, { type, mode, owner, group, parent }: State): Script {
  if (type === 'directory' && mode && owner && group) return sh`${hwOwn} ${mode} ${`${owner}:${group}`} ${path}`;
  return parent === undefined ? sh`:` : sh`${hwRemoveBelow} ${parent} ${path}`;
}
