/** A directory. */
import type { Resource } from '../resource.ts';
import { type ShellFunction, sh, shellFunction } from '../script.ts';
import {
  absolute,
  explainPath,
  hwMine,
  hwOwn,
  hwOwner,
  hwType,
  keyOf,
  lookAt,
  type Ownership,
  ownership,
  statFormat,
} from './place.ts';

/** What {@link directory} takes. Mode defaults to `0755`, owner and group to `root`. */
export interface DirectoryOptions extends Partial<Ownership> {
  readonly path: string;
}

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

/** `hw_make PATH MODE OWNER:GROUP`: with its mode at once only where it is its owner's at once. */
const hwMake: ShellFunction = shellFunction(
  'hw_make',
  `
umask 022
if [ ! -d "$1" ]; then
  if [ "$3" != root:root ]; then mkdir -p -m 0700 -- "$1" || return
  elif mkdir -p -m "$2" -- "$1"; then ! hw_mine "$1" "$3" 2>/dev/null || return 0
  else return
  fi
fi
hw_own "$1" "$2" "$3"`,
  [hwMine, hwOwn],
);

/**
 * A directory with this mode and owner. Missing parents are made too, as `mkdir -p` makes them. A link that leads to a
 * directory will do (data on another disk); a file in its place is an error.
 */
export function directory(options: DirectoryOptions): Resource {
  const path = absolute(options.path);
  const own = ownership(path, options, '0755');
  return {
    kind: 'directory',
    id: path,
    probe: sh`${hwDirectory} ${path} ${statFormat(own)} ${keyOf(path)}`,
    look: lookAt(path),
    wanted: { type: 'directory', ...own },
    change: () => sh`${hwMake} ${path} ${own.mode} ${`${own.owner}:${own.group}`}`,
    undo: { kind: 'restore' },
    explain: ({ stderr }) =>
      /File exists|Not a directory/.test(stderr)
        ? { what: `${path} cannot be a directory: a file or a broken link is in the way`, tryThis: `ls -ld ${path}` }
        : explainPath(path, stderr),
  };
}
