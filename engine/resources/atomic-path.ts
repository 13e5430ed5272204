/**
 * How things get to their place on a host: looked at without following links, written beside their place with their final
 * mode and owner, renamed over it. Shared by every resource that is a path.
 */
import { createHash } from 'node:crypto';
import { InvalidValue } from '../errors.ts';
import type { SharedProbe } from '../resource.ts';
import { type Script, type ShellFunction, sh, shellFunction } from '../script.ts';
import type { Names } from '../validate-options.ts';

/** Who may do what with a path. */
export interface Ownership {
  /** Octal, three or four digits: `0644`. */
  readonly mode: string;
  /** A user's name, or its number. */
  readonly owner: string;
  /** A group's name, or its number. */
  readonly group: string;
}

/** The options that say so. */
export const OWNERSHIP: Names<Partial<Ownership>> = { mode: true, owner: true, group: true };

/** Defaults filled in and mode in four digits. @throws WrongValue when the mode is no octal number. */
export function ownership(path: string, given: Partial<Ownership>, mode: string): Ownership {
  // From YAML without quotes it is a number, and 0644 another one than it looks like.
  const wanted: unknown = given.mode ?? mode;
  if (typeof wanted !== 'string' || !/^[0-7]{3,4}$/.test(wanted)) {
    const said =
      typeof wanted === 'number' ? `the number ${wanted} (octal ${wanted.toString(8)})` : JSON.stringify(wanted);
    throw new InvalidValue({
      what: `mode ${said} of ${path} is no file mode`,
      expected: 'three or four octal digits in quotes: "0644"',
    });
  }
  const who = (what: 'owner' | 'group'): string => {
    const name: unknown = given[what] ?? 'root';
    if (typeof name === 'string' && name !== '') return name;
    throw new InvalidValue({
      what: `${what} of ${path} is ${JSON.stringify(name)}`,
      expected: 'a name or a number, in quotes: "root", "1000"',
    });
  };
  return { mode: wanted.padStart(4, '0'), owner: who('owner'), group: who('group') };
}

/** The path, checked. @throws WrongValue when it is relative, the root, or not in its shortest form. */
export function absolutePath(path: string): string {
  const parts = typeof path === 'string' ? path.split('/') : [];
  if (
    parts[0] !== '' ||
    parts.length < 2 ||
    parts.slice(1).some((part) => part === '' || part === '.' || part === '..')
  ) {
    throw new InvalidValue({
      what: `${JSON.stringify(path)} is no path that Heartwood writes to`,
      expected: 'an absolute path without "..", "//" or a slash at its end: /etc/motd',
    });
  }
  return path;
}

/** Where the next content of `path` is written: a hidden name in the same directory, ignored by every `*.d` reader. */
export function temporaryBeside(path: string): string {
  const slash = path.lastIndexOf('/') + 1;
  return `${path.slice(0, slash)}.${path.slice(slash)}.hw-new`;
}

/** What the shell variables that tell of a path (or a unit) end in. */
export function probeKey(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 12);
}

/** A {@link SharedProbe} at a path. */
export function sharedPathProbe(path: string): SharedProbe {
  return { fn: hwProbePaths, args: [probeKey(path), path] };
}

/**
 * `hw_probe_paths KEY PATH KEY PATH...`: prints `hw_at_KEY='MODE USER UID GROUP GID'` for each path that is there and no link, and
 * `hw_sum_KEY=SHA256` for each that is a plain file; empty ones for the others, and for what has a name that is odd. `hw_paths`
 * are the keys.
 */
const hwProbePaths: ShellFunction = shellFunction(
  'hw_probe_paths',
  `
hw_count=$# hw_keys= hw_files= hw_paths=
while [ $hw_count -gt 0 ]; do
  hw_count=$((hw_count - 2)) hw_paths="$hw_paths $1"
  printf 'hw_at_%s= hw_sum_%s=\\n' "$1" "$1"
  if [ -e "$2" ] && [ ! -L "$2" ]; then
    hw_keys="$hw_keys$1 "
    set -- "$@" "$2"
  fi
  shift 2
done
printf "hw_paths='%s'\\n" "$hw_paths"
[ $# -gt 0 ] || return 0
stat -c '%04a %U %u %G %g %n' -- "$@" 2>/dev/null | {
  hw_left=$hw_keys
  for hw_path do
    read -r hw_mode hw_user hw_uid hw_group hw_gid hw_name || break
    [ "$hw_name" = "$hw_path" ] || break
    case $hw_user$hw_group in *[!A-Za-z0-9._-]*) ;; *)
      printf "hw_at_%s='%s %s %s %s %s'\\n" "\${hw_left%% *}" "$hw_mode" "$hw_user" "$hw_uid" "$hw_group" "$hw_gid" ;;
    esac
    hw_left=\${hw_left#* }
  done
}
hw_count=$#
while [ $hw_count -gt 0 ]; do
  hw_count=$((hw_count - 1))
  if [ -f "$1" ]; then
    hw_files="$hw_files\${hw_keys%% *} "
    set -- "$@" "$1"
  fi
  hw_keys=\${hw_keys#* }
  shift
done
[ $# -gt 0 ] || return 0
sha256sum -- "$@" 2>/dev/null | {
  for hw_path do
    read -r hw_sum hw_name || break
    [ "$hw_name" = "$hw_path" ] || break
    printf 'hw_sum_%s=%s\\n' "\${hw_files%% *}" "$hw_sum"
    hw_files=\${hw_files#* }
  done
}`,
);

/** `hw_owner PATH FORMAT [KEY]`: prints mode and owner as `stat -c FORMAT` does, see {@link statFormat}. */
export const hwOwner: ShellFunction = shellFunction(
  'hw_owner',
  `
hw_found=
case "$hw_probed$hw_paths " in *hw_probe_paths*" $3 "*) eval "hw_found=\\$hw_at_$3" ;; esac
if [ -z "$hw_found" ]; then stat -c "$2" -- "$1"; return; fi
hw_format=$2
set -- $hw_found
echo "mode=$1"
case $hw_format in *%U*) echo "owner=$2" ;; *) echo "owner=$3" ;; esac
case $hw_format in *%G*) echo "group=$4" ;; *) echo "group=$5" ;; esac`,
);

/** The format for `stat -c` that prints mode, owner and group the way `wanted` has them. */
export function statFormat(wanted: Ownership): string {
  const isNumber = /^\d+$/;
  return `mode=%04a\nowner=%${isNumber.test(wanted.owner) ? 'u' : 'U'}\ngroup=%${isNumber.test(wanted.group) ? 'g' : 'G'}`;
}

/** `hw_type PATH`: prints the type of PATH itself, links not followed; false when nothing is there. */
export const hwType: ShellFunction = shellFunction(
  'hw_type',
  `
if [ -L "$1" ]; then echo type=link
elif [ -f "$1" ]; then echo type=file
elif [ -d "$1" ]; then echo type=directory
elif [ -e "$1" ]; then echo type=special
else echo type=absent; return 1
fi`,
);

/** `hw_sha256 FILE [KEY]`: sets `hw_sum`. */
export const hwSha256: ShellFunction = shellFunction(
  'hw_sha256',
  `
hw_sum=
case "$hw_probed$hw_paths " in *hw_probe_paths*" $2 "*) eval "hw_sum=\\$hw_sum_$2" ;; esac
[ -n "$hw_sum" ] || { hw_sum=$(sha256sum < "$1") && hw_sum=\${hw_sum%% *}; }`,
);

/** `hw_clear NEXT`: nothing is there any more, if anything was. */
export const hwClear: ShellFunction = shellFunction('hw_clear', '{ [ ! -e "$1" ] && [ ! -L "$1" ]; } || rm -f -- "$1"');

/**
 * `hw_stage PATH NEXT`: makes NEXT an empty file that only we can read, whatever was there (the remains of a cut run, or a
 * trap laid in a directory others can write to). Refuses where PATH cannot be replaced by a file.
 */
export const hwStage: ShellFunction = shellFunction(
  'hw_stage',
  `
if [ -d "$1" ] && [ ! -L "$1" ]; then printf 'heartwood: %s is a directory\\n' "$1" >&2; return 1; fi
if [ ! -d "\${1%/*}/" ]; then printf 'heartwood: %s is no directory\\n' "\${1%/*}" >&2; return 1; fi
hw_clear "$2" || return
umask 077; set -C
# Without "command", a POSIX shell ends where it cannot write.
command : > "$2"; hw_rc=$?
set +C; umask 022
return $hw_rc`,
  [hwClear],
);

/**
 * `hw_mine PATH OWNER:GROUP`: is it root's, and to be? Asked without starting a program, as root's own files are what is
 * written most. `-O` is no POSIX; where a shell has it not, the answer is no.
 */
export const hwMine: ShellFunction = shellFunction(
  'hw_mine',
  '[ "$2" = root:root ] && [ -O / ] && [ -G / ] && [ -O "$1" ] && [ -G "$1" ]',
);

/** `hw_own MODE OWNER:GROUP PATH...`: owner first, since a change of owner clears the set-user-id bit. */
export const hwOwn: ShellFunction = shellFunction(
  'hw_own',
  `
hw_mode=$1 hw_owner=$2 hw_others=
shift 2
for hw_path do hw_mine "$hw_path" "$hw_owner" 2>/dev/null || hw_others=1; done
{ [ -z "$hw_others" ] || chown -- "$hw_owner" "$@"; } && chmod -- "$hw_mode" "$@"`,
  [hwMine],
);

/**
 * `hw_rename NEXT PATH`: NEXT becomes PATH in one step. Where PATH is a link to a directory, a plain `mv` would put NEXT into
 * that directory.
 */
export const hwRename: ShellFunction = shellFunction(
  'hw_rename',
  `
if [ -L "$2" ] && [ -d "$2" ]; then
  mv -fT -- "$1" "$2" 2>/dev/null || { rm -f -- "$2" && mv -f -- "$1" "$2"; }
else
  mv -f -- "$1" "$2"
fi`,
);

/** `hw_sync FILE...`: puts them on disk, where the host can do that for single files. */
export const hwSync: ShellFunction = shellFunction('hw_sync', 'sync "$@" 2>/dev/null || :');

/** `hw_swap NEXT PATH`: NEXT becomes PATH in one step, on disk before it has the name. */
export const hwSwap: ShellFunction = shellFunction('hw_swap', '[ -L "$1" ] || hw_sync "$1"\nhw_rename "$1" "$2"', [
  hwSync,
  hwRename,
]);

/** `hw_drop NEXT`: after a failed command, removes what it leaves and ends the script with its exit code. */
export const hwDrop: ShellFunction = shellFunction('hw_drop', 'hw_rc=$?; rm -f -- "$1"; exit $hw_rc');

/** Ends a probe that looks at `path`: `leftover=yes` where a cut run left something beside it. */
export function leftover(path: string): Script {
  const next = temporaryBeside(path);
  return sh`if [ -e ${next} ] || [ -L ${next} ]; then echo leftover=yes; else echo leftover=no; fi`;
}

/** What the shared functions say when a path cannot be written, in people's words. */
export function explainPath(path: string, stderr: string): { what: string; hint?: string } | undefined {
  const parent = path.slice(0, path.lastIndexOf('/')) || '/';
  if (stderr.includes('is a directory')) {
    return {
      what: `${path} is a directory, and would have to be replaced`,
      hint: `look into it; remove it if it is not needed: absent({ path: '${path}', recursive: true })`,
    };
  }
  if (
    stderr.includes('is no directory') ||
    /cannot create .*(Directory nonexistent|nonexistent directory|No such file)/.test(stderr)
  ) {
    return {
      what: `the directory ${parent} is not there`,
      hint: `a task before this one: directory({ path: '${parent}' })`,
    };
  }
  if (/No space left on device|I\/O error/.test(stderr)) {
    return { what: `the disk that holds ${parent} is full`, hint: `df -h ${parent}; df -i ${parent}` };
  }
  if (/Disk quota exceeded/.test(stderr)) return { what: `the disk quota for ${parent} is used up` };
  if (/Read-only file system/.test(stderr)) {
    return {
      what: `${parent} is on a read-only file system`,
      hint: 'dmesg | tail: a disk that fails is mounted read-only',
    };
  }
  const [, name] = /invalid (?:user|group|spec)[^‘'":]*[:‘'"\s]+([\w.:-]+)/.exec(stderr) ?? [];
  if (name) return { what: `user or group ${name} does not exist on the host` };
  if (/Operation not permitted/.test(stderr)) {
    return { what: `${path} may not be changed, even by root`, hint: `lsattr -d ${path} (an immutable flag?)` };
  }
  if (/Permission denied/.test(stderr)) return { what: `no permission to write ${path}`, hint: 'become root: -b' };
  return undefined;
}
