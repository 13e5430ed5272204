/** Debian packages. */

import { InvalidValue } from '../errors.ts';
import type { ChangeFailure, Explanation, MergeableChange, Resource } from '../resource.ts';
import { type ShellFunction, sh, shellFunction } from '../script.ts';
import type { State } from '../state.ts';
import { type OptionsOf, TEXT, validateOptions, valueType } from '../validate-options.ts';

const OPTIONS = {
  /** Default: `present`. Packages that are installed are not upgraded, but for a `version`. */
  state: valueType<'present' | 'absent'>(
    'present, absent; an installed package is not upgraded unless a version is given',
    (value) => value === 'present' || value === 'absent',
  ),
  /**
   * An exact version, as `apt-cache policy` shows it. It may be older than the installed one. Only with one package.
   */
  version: TEXT,
};

/** What {@link apt} takes besides names. */
export type AptOptions = OptionsOf<typeof OPTIONS>;

/** Seconds to wait for another apt or dpkg to finish: unattended upgrades take minutes on an SD card. */
const LOCK_TIMEOUT = 600;

/**
 * `hw_probe_packages NAME...`: prints `hw_dpkg`, a line `NAME=STATUS VERSION` for each package that dpkg knows, and
 * `hw_dpkg_of`, the names.
 */
const hwProbePackages: ShellFunction = shellFunction(
  'hw_probe_packages',
  `
hw_list=$(dpkg-query -W -f '\${Package}=\${db:Status-Status} \${Version}
' -- "$@" 2>/dev/null)
case $hw_list in *"'"*) return 1 ;; esac
printf "hw_dpkg='%s'\\nhw_dpkg_of='%s'\\n" "$hw_list" "$*"`,
);

/** `hw_packages NAME...`: `NAME=installed|absent` and `NAME.version=...`; dpkg's own words for states in between. */
const hwPackages: ShellFunction = shellFunction(
  'hw_packages',
  `
hw_list=$hw_dpkg
for hw_name do
  case "$hw_probed $hw_dpkg_of " in *hw_probe_packages*" $hw_name "*) ;; *) hw_list=ask; break ;; esac
done
[ "$hw_list" != ask ] || hw_list=$(dpkg-query -W -f '\${Package}=\${db:Status-Status} \${Version}
' -- "$@" 2>/dev/null)
for hw_name do
  hw_status=absent hw_version=
  while read -r hw_line; do
    case $hw_line in
      "$hw_name=not-installed"*|"$hw_name=config-files"*) ;;
      "$hw_name="*) hw_line=\${hw_line#*=} hw_status=\${hw_line%% *} hw_version=\${hw_line#* } ;;
    esac
  done <<EOF
$hw_list
EOF
  echo "$hw_name=$hw_status"
  [ -z "$hw_version" ] || echo "$hw_name.version=$hw_version"
done`,
);

/**
 * `hw_apt ARGS...`: apt-get, without questions, waiting for its lock. When it fails because dpkg was interrupted or
 * package lists are missing or out of date, this repairs that and tries once more.
 */
const hwApt: ShellFunction = shellFunction(
  'hw_apt',
  `
export DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_MODE=l LC_ALL=C
hw_apt_get() {
  { hw_err=$(apt-get -q -y -o DPkg::Lock::Timeout=${LOCK_TIMEOUT} -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" 2>&1 >&3); } 3>&1
  hw_rc=$?
  [ -z "$hw_err" ] || printf '%s\\n' "$hw_err" >&2
  return "$hw_rc"
}
hw_apt_get "$@" && return 0
case $hw_err in *'dpkg was interrupted'*) dpkg --configure -a --force-confdef --force-confold || return; hw_apt_get "$@" && return 0 ;; esac
case $hw_err in
  *'Unable to locate package'*|*'has no installation candidate'*|*'Version '*' was not found'*|*'Failed to fetch'*|*'Hash Sum mismatch'*|*'Unable to fetch'*)
    hw_apt_get update && hw_apt_get "$@" && return 0 ;;
esac
return "$hw_rc"`,
);

/**
 * Packages that are installed, or are not. Recommended packages are not installed: a host runs what a role names.
 * Changed configuration files are kept. Package lists are fetched only when apt needs them: they are missing, do not
 * know a package, or name one that is gone from the mirror.
 */
export function apt(packages: string | readonly string[], options: AptOptions = {}): Resource {
  validateOptions('apt', options, OPTIONS);
  const names = [packages].flat();
  const { state = 'present', version } = options;
  if (version !== undefined && (names.length !== 1 || state === 'absent')) {
    throw new InvalidValue({
      what: `apt: version "${version}" needs exactly one package, with state present`,
      expected: "apt('curl', { version: '7.88.1-10' })",
    });
  }
  const invalid = names.find((name) => !/^[a-z0-9][a-z0-9+.-]+$/.test(name));
  if (invalid !== undefined || names.length === 0) {
    throw new InvalidValue({
      what: `apt: "${invalid ?? ''}" is no package name`,
      expected: 'lower case letters, digits, + - .',
    });
  }
  const wanted: State = Object.fromEntries(names.map((name) => [name, state === 'present' ? 'installed' : 'absent']));
  return {
    kind: 'apt',
    id: names.join(' '),
    probe: sh`${hwPackages} ${names}`,
    sharedProbe: { fn: hwProbePackages, args: names },
    wanted: version === undefined ? wanted : { ...wanted, [`${names[0]}.version`]: version },
    change: () =>
      state === 'absent'
        ? sh`${hwApt} remove ${names}`
        : install(version === undefined ? names : [`${names[0]}=${version}`]),
    // Reading the lists and writing dpkg's database take longer than most packages.
    mergeable: () => (state === 'present' && version === undefined ? installation(names) : undefined),
    noUndo: 'removing a package can remove others and their data',
    timeout: LOCK_TIMEOUT + 1200,
    explain: (failure) => explainApt(names.join(' '), failure),
  };
}

const installation = (names: readonly string[]): MergeableChange<readonly string[]> => ({
  key: 'apt install',
  part: names,
  change: (all) => install(all.flat()),
});

const install = (words: readonly string[]) => sh`${hwApt} install --no-install-recommends --allow-downgrades ${words}`;

/** What apt's and dpkg's messages mean. */
function explainApt(names: string, { exitCode, stderr, stdout }: ChangeFailure): Explanation | undefined {
  const text = `${stderr}\n${stdout}`;
  const match = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1];
  if (exitCode === 127)
    return { what: 'this host has no apt-get', hint: 'Heartwood installs packages on Debian and its relatives' };
  if (/No space left on device|don't have enough free space/.test(text)) {
    return { what: 'the disk is full', hint: 'df -h / /var /boot; apt-get clean' };
  }
  if (/Could not get lock|Unable to acquire the dpkg/.test(text)) {
    const holder = match(/held by process (\d+ \([^)]*\))/);
    return {
      what: `another package manager holds the lock${holder ? ` (process ${holder})` : ''} for more than ${LOCK_TIMEOUT} s`,
      hint: 'ps -ef | grep -e apt -e dpkg',
    };
  }
  const notYetValid = match(/Release file for (\S+) is not valid yet/);
  if (notYetValid)
    return {
      what: `the clock of this host is behind: ${notYetValid} is from the future`,
      hint: 'timedatectl; date',
    };
  const expired = match(/Release file for (\S+) is expired/);
  if (expired)
    return {
      what: `the clock of this host is ahead, or its mirror is stale: ${expired} has expired`,
      hint: 'timedatectl; date',
    };
  const resolving = match(/(?:Temporary failure|Could not|Something wicked happened) resolv\w* '([^']*)'/);
  if (resolving)
    return { what: `the name ${resolving} cannot be resolved`, hint: 'resolvectl status; cat /etc/resolv.conf' };
  const unsigned = match(/repository '([^']*)' is not signed/) ?? match(/GPG error: (\S+)/);
  if (unsigned) return { what: `the repository ${unsigned} is not signed by a known key` };
  const unknown = match(/Unable to locate package (\S+)/) ?? match(/Package '?(\S+?)'? has no installation candidate/);
  if (unknown)
    return {
      what: `no repository of this host has the package ${unknown}`,
      hint: `apt-cache policy ${unknown}; look at /etc/apt/sources.list*`,
    };
  const version = match(/(Version '[^']*' for '[^']*' was not found)/);
  if (version) return { what: version, hint: `apt-cache policy ${names}` };
  const fetching = match(/Failed to fetch (\S+)/);
  if (fetching)
    return { what: `the mirror did not deliver ${fetching}`, hint: 'apt-get update on the host, and its network' };
  const unmet = match(/((?:\S+ : )?(?:Depends|PreDepends|Conflicts|Breaks): [^\n]*)/);
  if (unmet)
    return {
      what: `dependencies that cannot be met: ${unmet.trim()}`,
      hint: 'apt-get -f install; apt-mark showhold',
    };
  if (/held packages|Held packages were changed/.test(text))
    return { what: 'a package is held back', hint: 'apt-mark showhold' };
  const script = match(/installed (\S+ package \S+ script) subprocess returned error/);
  if (script) return { what: `${script} failed`, hint: 'the lines above it in the output say why' };
  return undefined;
}
