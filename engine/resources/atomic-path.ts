/**
 * How files, directories and links are written: looked at without following links, written beside their place with
 * their final mode and owner, then renamed over it. Shared by every resource that is a path.
 */
import { createHash } from 'node:crypto';
import type { SharedProbe } from '../resource.ts';
import { type Script, type ShellFunction, sh, shellFunction } from '../script.ts';
import { type OptionsOf, type ValueType, valueType } from '../validate-options.ts';

/** A path on a host: absolute, not the root, and in its shortest form. */
export const PATH: ValueType<string> = valueType(
  'an absolute path without "..", "//" or a slash at its end: /etc/motd',
  (value) => typeof value === 'string' && /^(\/(?!\.{1,2}(\/|$))[^/]+)+$/s.test(value),
);

const MODE: ValueType<string> = {
  ...valueType<string>(
    'three or four octal digits in quotes: "0644"',
    (value) => typeof value === 'string' && /^[0-7]{3,4}$/.test(value),
  ),
  // From YAML without quotes it is a number, and 0644 is another number than it looks like.
  shown: (value) =>
    typeof value === 'number' ? `the number ${value} (octal ${value.toString(8)})` : JSON.stringify(value),
};

const NAME_OR_NUMBER: ValueType<string> = valueType(
  'a name or a number, in quotes: "root", "1000"',
  (value) => typeof value === 'string' && value !== '',
);

/** The options that say who may do what with a path. */
export const OWNERSHIP = {
  /** Octal, three or four digits in quotes: `"0644"`. */
  mode: MODE,
  /** A user's name, or its number in quotes. Default: `root`. */
  owner: NAME_OR_NUMBER,
  /** A group's name, or its number in quotes. Default: `root`. */
  group: NAME_OR_NUMBER,
};

/** Mode, owner and group as they are to be. */
export type Ownership = Required<OptionsOf<typeof OWNERSHIP>>;

/** Mode (in four digits), owner and group, with defaults where the options do not say. */
export function ownership(options: Partial<Ownership>, mode: string): Ownership {
  const { mode: wanted = mode, owner = 'root', group = 'root' } = options;
  return { mode: wanted.padStart(4, '0'), owner, group };
}

/** Where the next content of `path` is written: a hidden name in the same directory, ignored by every `*.d` reader. */
export function temporaryBeside(path: string): string {
  const slash = path.lastIndexOf('/') + 1;
  return `${path.slice(0, slash)}.${path.slice(slash)}.hw-new`;
}

/** The end of the names of shell variables that hold what a shared probe found at a path (or of a unit). */
export function probeKey(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 12);
}

/** The {@link SharedProbe} of a path: mode, owner and hash. */
export function sharedPathProbe(path: string): SharedProbe {
  return { fn: hwProbePaths, args: [probeKey(path), path] };
}

/**
 * `hw_probe_paths KEY PATH KEY PATH...`: prints `hw_at_KEY='MODE USER UID GROUP GID'` for each path that exists and is
 * no link, and `hw_sum_KEY=SHA256` for each plain file. Both are empty for other paths, and for owners with unusual
 * names. `hw_paths` lists the keys.
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

/** `hw_type PATH`: prints the type of PATH itself, links not followed. Fails when nothing is there. */
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

/** `hw_sha256 FILE [KEY]`: sets `hw_sum` to the hash of FILE. */
export const hwSha256: ShellFunction = shellFunction(
  'hw_sha256',
  `
hw_sum=
case "$hw_probed$hw_paths " in *hw_probe_paths*" $2 "*) eval "hw_sum=\\$hw_sum_$2" ;; esac
[ -n "$hw_sum" ] || { hw_sum=$(sha256sum < "$1") && hw_sum=\${hw_sum%% *}; }`,
);

/** `hw_clear NEXT`: removes NEXT, if it is there. */
export const hwClear: ShellFunction = shellFunction('hw_clear', '{ [ ! -e "$1" ] && [ ! -L "$1" ]; } || rm -f -- "$1"');

/**
 * `hw_stage PATH NEXT`: makes NEXT an empty file that only its owner can read, whatever was there (the remains of a cut
 * run, or a link that another user planted). Refuses where PATH cannot be replaced by a file.
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
 * `hw_mine PATH OWNER:GROUP`: succeeds when OWNER:GROUP is root's and PATH has it already. Most files are root's, and
 * this starts no program for them. `-O` is not POSIX; in a shell without it, this fails and chown runs.
 */
export const hwMine: ShellFunction = shellFunction(
  'hw_mine',
  '[ "$2" = root:root ] && [ -O / ] && [ -G / ] && [ -O "$1" ] && [ -G "$1" ]',
);

/** `hw_own MODE OWNER:GROUP PATH...`: sets owner, then mode: a change of owner clears the set-user-id bit. */
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
 * `hw_keep_owner PATH NEXT MODE OWNER:GROUP`: gives NEXT the mode and owner of PATH, or MODE and OWNER:GROUP where PATH
 * is not there. For a resource that changes part of a file that may be somebody else's. Access lists are not kept.
 */
export const hwKeepOwner: ShellFunction = shellFunction(
  'hw_keep_owner',
  `
if [ -e "$1" ]; then
  hw_found=$(stat -L -c '%a %u:%g' -- "$1") || return
  case $hw_found in *' 0:0') hw_found="\${hw_found% *} root:root" ;; esac
  hw_own "\${hw_found% *}" "\${hw_found#* }" "$2"
else
  hw_own "$3" "$4" "$2"
fi`,
  [hwOwn],
);

/**
 * `hw_rename NEXT PATH`: NEXT becomes PATH in one step. Where PATH is a link to a directory, a plain `mv` would put
 * NEXT into that directory.
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

/** `hw_sync FILE...`: writes them to disk, where the host can do that for single files. */
export const hwSync: ShellFunction = shellFunction('hw_sync', 'sync "$@" 2>/dev/null || :');

/** `hw_swap NEXT PATH`: writes NEXT to disk, then renames it to PATH in one step. */
export const hwSwap: ShellFunction = shellFunction('hw_swap', '[ -L "$1" ] || hw_sync "$1"\nhw_rename "$1" "$2"', [
  hwSync,
  hwRename,
]);

/** `COMMAND || hw_drop NEXT`: removes NEXT and ends the script with COMMAND's exit code. */
export const hwDrop: ShellFunction = shellFunction('hw_drop', 'hw_rc=$?; rm -f -- "$1"; exit $hw_rc');

/** A line for the end of a probe of `path`: `leftover=yes` where a cut run left its temporary file. */
export function leftover(path: string): Script {
  const next = temporaryBeside(path);
  return sh`if [ -e ${next} ] || [ -L ${next} ]; then echo leftover=yes; else echo leftover=no; fi`;
}

/** Why a path cannot be written, from what the shared functions print on stderr. */
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
