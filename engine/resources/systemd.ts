/** Systemd units. */

import type { ChangeFailure, Explanation, MergeableChange, Resource } from '../resource.ts';
import { type Script, type ShellFunction, sh, shellFunction } from '../script.ts';
import { type Names, validateOptions } from '../validate-options.ts';
import { probeKey } from './atomic-path.ts';

/** What {@link unit} takes besides the unit's name. What is left out is left as it is. */
export interface UnitOptions {
  /** Started at boot. */
  readonly enabled?: boolean;
  /** Running now. */
  readonly active?: boolean;
  /** Start it without waiting until it is up; `activating` will do then. For units that wait for other hosts. */
  readonly noBlock?: boolean;
}

const OPTIONS: Names<UnitOptions> = { enabled: true, active: true, noBlock: true };

/** What is asked of systemd about a unit. */
const PROPERTIES = 'LoadState,UnitFileState,ActiveState,SubState,NeedDaemonReload';

/** `hw_probe_units KEY NAME KEY NAME...`: `hw_unit_KEY`, what systemd shows of each, and `hw_units`, the keys; nothing where its answers are fewer. */
const hwProbeUnits: ShellFunction = shellFunction(
  'hw_probe_units',
  `
hw_count=$# hw_keys=
while [ $hw_count -gt 0 ]; do
  hw_count=$((hw_count - 2)) hw_keys="$hw_keys$1 "
  set -- "$@" "$2"
  shift 2
done
hw_all=$hw_keys
hw_list=$(systemctl show -p ${PROPERTIES} -- "$@" 2>/dev/null) || return
# A block of lines for each, in the order asked for, an empty line behind each: of the last, the one before EOF.
hw_block= hw_text=
while IFS= read -r hw_line; do
  case $hw_line in
    *"'"*) return 1 ;;
    ?*) hw_block="$hw_block$hw_line
" ;;
    *)
      hw_count=$((hw_count + 1)) hw_text="\${hw_text}hw_unit_\${hw_keys%% *}='$hw_block'
"
      hw_block= hw_keys=\${hw_keys#* } ;;
  esac
done <<EOF
$hw_list

EOF
[ $hw_count = $# ] && printf "hw_units=' %s'\\n%s" "$hw_all" "$hw_text"`,
);

/**
 * `hw_unit NAME ENABLED ACTIVATING KEY`: `enabled=yes|no|...`, `active=yes|no|...`, `stale=yes|no` (its file changed since
 * systemd read it) and systemd's own words. A unit without an [Install] section counts as ENABLED, whichever that is.
 */
const hwUnit: ShellFunction = shellFunction(
  'hw_unit',
  `
LoadState=not-found UnitFileState= ActiveState=inactive SubState= NeedDaemonReload=no
hw_list=
case $hw_probed$hw_units in *hw_probe_units*" $4 "*) eval "hw_list=\\$hw_unit_$4" ;; esac
[ -n "$hw_list" ] || hw_list=$(systemctl show -p ${PROPERTIES} -- "$1" 2>/dev/null)
while IFS='=' read -r hw_key hw_value; do
  case $hw_key in LoadState|UnitFileState|ActiveState|SubState|NeedDaemonReload) eval "$hw_key=\\$hw_value" ;; esac
done <<EOF
$hw_list
EOF
echo "load=$LoadState"
case $UnitFileState in
  enabled) echo enabled=yes ;;
  static|indirect|generated|transient|alias) echo "enabled=$2" ;;
  *) echo enabled=no ;;
esac
case $ActiveState in
  active|reloading|refreshing) echo active=yes ;;
  activating) echo "active=$3" ;;
  *) echo active=no ;;
esac
echo "stale=$NeedDaemonReload"
echo "state=$ActiveState $SubState"`,
);

/** `hw_reread NAME`: has systemd read unit files again where this one changed or is not known yet. */
const hwReread: ShellFunction = shellFunction(
  'hw_reread',
  `
case $(systemctl show -p LoadState,NeedDaemonReload -- "$1") in
  *=yes*|*=not-found*) systemctl daemon-reload ;;
esac`,
);

/**
 * `hw_systemctl ARGS... NAME`: on failure, adds what the unit last said. A simple service counts as started before its program
 * runs; so a moment later it is looked at again.
 */
const hwSystemctl: ShellFunction = shellFunction(
  'hw_systemctl',
  `
for hw_name do :; done
systemctl "$@" && hw_rc=0 || hw_rc=$?
if [ $hw_rc = 0 ]; then
  case " $* " in *' --no-block '*) return 0 ;; ' start '* | ' restart '* | ' reload-or-restart '*) ;; *) return 0 ;; esac
  case $(systemctl show -p Type --value -- "$hw_name") in simple | exec | idle) ;; *) return 0 ;; esac
  sleep 0.5 2>/dev/null || sleep 1
  case $(systemctl show -p ActiveState,SubState -- "$hw_name") in *=failed* | *=auto-restart*) hw_rc=1 ;; *) return 0 ;; esac
fi
systemctl show -p LoadState,ActiveState,SubState,Result,ExecMainStatus -- "$hw_name" >&2
journalctl -u "$hw_name" -n 15 --no-pager -o cat >&2 2>/dev/null
return $hw_rc`,
);

/**
 * A unit that is enabled or not, active or not. Where its file changed since systemd read it, systemd reads it again; to
 * have a running unit take a change up, notify a handler made with {@link unitRestarted} or {@link unitReloaded}.
 */
export function unit(name: string, options: UnitOptions): Resource {
  validateOptions('unit', options, OPTIONS);
  const { enabled, active, noBlock = false } = options;
  const word = (value: boolean | undefined): string => (value === false ? 'no' : 'yes');
  const now = noBlock ? ['--no-block'] : [];
  return {
    kind: 'systemd',
    id: name,
    probe: sh`${hwUnit} ${name} ${word(enabled)} ${noBlock && active ? 'yes' : 'activating'} ${probeKey(name)}`,
    sharedProbe: { fn: hwProbeUnits, args: [probeKey(name), name] },
    wanted: {
      ...(enabled === undefined ? {} : { enabled: word(enabled) }),
      ...(active === undefined ? {} : { active: word(active) }),
      stale: 'no',
    },
    // Enabling and disabling look at files, and end with a daemon-reload.
    change: () => sh`
${enabled === undefined ? sh`:` : sh`${hwSystemctl} -q ${enabled ? 'enable' : 'disable'} -- ${name}`} || exit
${active === undefined && enabled !== undefined ? sh`:` : sh`${hwReread} ${name}`} || exit
${active === undefined ? sh`:` : sh`${hwSystemctl} ${active ? 'start' : 'stop'} ${now} -- ${name}`}`,
    // Each time, systemd reads all its units again.
    mergeable: () => (enabled && active === undefined ? enabling(name) : undefined),
    undo: { kind: 'restore' },
    explain: (failure) => explainUnit(name, failure),
  };
}

const enabling = (name: string): MergeableChange<string> => ({
  key: 'systemd enable',
  part: name,
  change: (names) => sh`${hwSystemctl} -q enable -- ${names}`,
});

/** For handlers: restarts a unit, running or not. With `noBlock`, without waiting until it is up. */
export function unitRestarted(name: string, options: Pick<UnitOptions, 'noBlock'> = {}): Resource {
  validateOptions('restarted', options, { noBlock: true });
  const now = options.noBlock ? ['--no-block'] : [];
  return action('restart', name, sh`${hwReread} ${name} || exit\n${hwSystemctl} restart ${now} -- ${name}`);
}

/** For handlers: has a unit read its configuration again; one that cannot is restarted, one that is down is started. */
export function unitReloaded(name: string): Resource {
  return action('reload', name, sh`${hwReread} ${name} || exit\n${hwSystemctl} reload-or-restart -- ${name}`);
}

/** For handlers: has systemd read all unit files again. */
export function daemonReload(): Resource {
  return action('daemon-reload', '', sh`systemctl daemon-reload`);
}

function action(verb: string, name: string, change: Script): Resource {
  return {
    kind: 'systemd',
    id: `${verb} ${name}`.trim(),
    probe: sh`echo done=no`,
    wanted: { done: 'yes' },
    change: () => change,
    undo: { kind: 'none', why: 'a restart leaves nothing to take back' },
    verify: 'exit code',
    explain: (failure) => explainUnit(name, failure),
  };
}

/** What systemctl's messages mean. */
function explainUnit(name: string, { exitCode, stderr }: ChangeFailure): Explanation | undefined {
  const look = `systemctl status ${name}; journalctl -u ${name} -e`;
  if (exitCode === 127 && /systemctl/.test(stderr)) return { what: 'this host has no systemd' };
  if (/not been booted with systemd|Failed to connect to bus/.test(stderr))
    return { what: 'this host was not booted with systemd' };
  if (/is masked|LoadState=masked/.test(stderr)) {
    return {
      what: `unit ${name} is masked: somebody forbade to start it`,
      hint: `systemctl unmask ${name}, if that is no longer meant`,
    };
  }
  if (/not found|does not exist|No such file|LoadState=not-found/.test(stderr) && !/LoadState=loaded/.test(stderr)) {
    return {
      what: `there is no unit ${name}`,
      hint: 'the task that installs its package or writes its file comes before this one',
    };
  }
  if (/LoadState=(?:bad-setting|error)/.test(stderr)) {
    return { what: `the file of unit ${name} is not valid`, hint: `systemd-analyze verify ${name}` };
  }
  if (/dependency job .* failed|Result=dependency|Dependency failed/i.test(stderr)) {
    return { what: `a unit that ${name} needs did not start`, hint: `systemctl list-dependencies --failed ${name}` };
  }
  const [, result] = /^Result=(?!success)(.+)$/m.exec(stderr) ?? [];
  const [, status] = /^ExecMainStatus=(?!0$)(.+)$/m.exec(stderr) ?? [];
  if (result)
    return {
      what: `${name} did not start: ${result}${status ? `, exit code ${status}` : ''}; its last words are below`,
      hint: look,
    };
  return undefined;
}
