/** Systemd units. */

import type { ChangeFailure, Explanation, MergeableChange, Resource } from '../resource.ts';
import { type Script, type ShellFunction, sh, shellFunction } from '../script.ts';
import type { State } from '../state.ts';
import { BOOLEAN, type OptionsOf, validateOptions } from '../validate-options.ts';
import { probeKey } from './atomic-path.ts';

const START = {
  /**
   * Start it without waiting until it is up. `activating` then counts as active. For units that wait for other hosts.
   */
  noBlock: BOOLEAN,
};
const OPTIONS = {
  /** Started at boot. Default: stays as it is. */
  enabled: BOOLEAN,
  /** Running now. Default: stays as it is. */
  active: BOOLEAN,
  ...START,
};

/** What {@link unit} takes besides the unit's name. */
export type UnitOptions = OptionsOf<typeof OPTIONS>;

/** The properties of a unit that are read. */
const PROPERTIES = 'LoadState,UnitFileState,ActiveState,SubState,NeedDaemonReload';

/**
 * `hw_probe_units KEY NAME KEY NAME...`: prints `hw_unit_KEY='PROPERTIES'` for each unit, and `hw_units`, the keys.
 * Fails where systemd answers for fewer units.
 */
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
# A block of lines for each unit, in the order asked for. An empty line ends each; for the last, the one before EOF.
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
 * `hw_unit NAME ENABLED ACTIVATING KEY`: `enabled=yes|no`, `active=yes|no`, `stale=yes|no` (its file changed since
 * systemd read it), and systemd's own words. A unit without an [Install] section counts as ENABLED, one that is
 * starting as ACTIVATING.
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
echo "unit-file=$UnitFileState"
case $ActiveState in
  active|reloading|refreshing) echo active=yes ;;
  activating) echo "active=$3" ;;
  *) echo active=no ;;
esac
echo "stale=$NeedDaemonReload"
echo "state=$ActiveState $SubState"`,
);

/** `hw_daemon_reload NAME`: makes systemd read unit files again where this one changed or is not known yet. */
const hwDaemonReload: ShellFunction = shellFunction(
  'hw_daemon_reload',
  `
case $(systemctl show -p LoadState,NeedDaemonReload -- "$1") in
  *=yes*|*=not-found*) systemctl daemon-reload ;;
esac`,
);

/**
 * `hw_systemctl ARGS... NAME`: systemctl, which on failure also prints the unit's last log lines. A simple service
 * counts as started before its program runs, so its state is read again half a second later.
 */
const hwSystemctl: ShellFunction = shellFunction(
  'hw_systemctl',
  `
for hw_name do :; done
systemctl "$@" && hw_rc=0 || hw_rc=$?
if [ "$hw_rc" = 0 ]; then
  case " $* " in *' --no-block '*) return 0 ;; ' start '* | ' restart '* | ' reload-or-restart '*) ;; *) return 0 ;; esac
  case $(systemctl show -p Type --value -- "$hw_name") in simple | exec | idle) ;; *) return 0 ;; esac
  sleep 0.5 2>/dev/null || sleep 1
  case $(systemctl show -p ActiveState,SubState -- "$hw_name") in *=failed* | *=auto-restart*) hw_rc=1 ;; *) return 0 ;; esac
fi
systemctl show -p LoadState,ActiveState,SubState,Result,ExecMainStatus -- "$hw_name" >&2
journalctl -u "$hw_name" -n 15 --no-pager -o cat >&2 2>/dev/null
return "$hw_rc"`,
);

/**
 * A unit that is enabled or not, active or not. Where its file changed since systemd read it, systemd reads it again.
 * For a running unit to use the new file, notify a handler made with {@link unitRestarted} or {@link unitReloaded}.
 */
export function unit(name: string, options: UnitOptions): Resource {
  validateOptions('unit', options, OPTIONS);
  const { enabled, active, noBlock = false } = options;
  const word = (value: boolean | undefined): string => (value === false ? 'no' : 'yes');
  const set = { enable: enablement(name, enabled), activate: activation(name, active, noBlock) };
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
    // Enabling and disabling work on files, and end with a daemon-reload.
    change: () => sh`
${set.enable} || exit
${active === undefined && enabled !== undefined ? sh`:` : sh`${hwDaemonReload} ${name}`} || exit
${set.activate}`,
    undo: (found) => undoUnit(name, options, found),
    // One by one, systemd would read all its units again for each.
    mergeable: () => (enabled && active === undefined ? enabling(name) : undefined),
    explain: (failure) => explainUnit(name, failure),
  };
}

function enablement(name: string, enabled: boolean | undefined): Script {
  if (enabled === undefined) return sh`:`;
  return sh`${hwSystemctl} -q ${enabled ? 'enable' : 'disable'} -- ${name}`;
}

function activation(name: string, active: boolean | undefined, noBlock: boolean): Script {
  if (active === undefined) return sh`:`;
  return sh`${hwSystemctl} ${active ? 'start' : 'stop'} ${noBlock ? ['--no-block'] : []} -- ${name}`;
}

/** Puts back what the options changed. That systemd has read the unit's file again stays. */
function undoUnit(name: string, { enabled, active, noBlock = false }: UnitOptions, found: State): Script {
  const wasActive = found['active'] !== 'no';
  const stopOrStart =
    active === undefined || active === wasActive ? sh`:` : activation(name, wasActive, wasActive && noBlock);
  const wasEnabled = found['enabled'] === 'yes';
  if (enabled === undefined || enabled === wasEnabled) return stopOrStart;
  const file = found['unit-file'] ?? '';
  // `enabled-runtime`, `linked`, `masked`: neither enable nor disable leads back there.
  if (!['', 'enabled', 'disabled'].includes(file)) {
    return sh`echo ${`heartwood: unit ${name} was ${file}, which cannot be brought back`} >&2; exit 1`;
  }
  return sh`${stopOrStart} || exit\n${enablement(name, wasEnabled)}`;
}

const enabling = (name: string): MergeableChange<string> => ({
  key: 'systemd enable',
  part: name,
  change: (names) => sh`${hwSystemctl} -q enable -- ${names}`,
});

/** For handlers: restarts a unit, running or not. With `noBlock`, without waiting until it is up. */
export function unitRestarted(name: string, options: OptionsOf<typeof START> = {}): Resource {
  validateOptions('unitRestarted', options, START);
  const now = options.noBlock ? ['--no-block'] : [];
  return action('restart', name, sh`${hwDaemonReload} ${name} || exit\n${hwSystemctl} restart ${now} -- ${name}`);
}

/** For handlers: reloads a unit's configuration. A unit that cannot is restarted, and one that is down is started. */
export function unitReloaded(name: string): Resource {
  return action('reload', name, sh`${hwDaemonReload} ${name} || exit\n${hwSystemctl} reload-or-restart -- ${name}`);
}

/** For handlers: makes systemd read all unit files again. */
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
    noUndo: 'a restart leaves nothing to take back',
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
      what: `unit ${name} is masked: it may not be started`,
      hint: `systemctl unmask ${name}, if it may`,
    };
  }
  if (/not found|does not exist|No such file|LoadState=not-found/.test(stderr) && !/LoadState=loaded/.test(stderr)) {
    return {
      what: `there is no unit ${name}`,
      hint: 'put the task that installs its package or writes its file before this one',
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
      what: `${name} did not start: ${result}${status ? `, exit code ${status}` : ''}; its last log lines are below`,
      hint: look,
    };
  return undefined;
}
