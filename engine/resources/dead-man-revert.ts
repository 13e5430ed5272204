/**
 * A way back that the host keeps in its own hand: armed before a change that could cut us off, disarmed over a connection made
 * after it. It survives the end of our session and of our link.
 */
import { type Script, type ShellFunction, sh, shellFunction } from '../script.ts';

/** `hw_arm ID SECONDS REVERT`: REVERT runs after SECONDS unless it is disarmed or armed anew. */
const hwArm: ShellFunction = shellFunction(
  'hw_arm',
  `
mkdir -p -m 0700 /run/heartwood && read -r hw_now hw_rest < /proc/uptime || return
hw_mark=/run/heartwood/revert-$1
printf '%s\\n' "$$ $hw_now" > "$hw_mark" || return
hw_run="sleep $2; read -r m < $hw_mark && [ \\"\\$m\\" = '$$ $hw_now' ] && rm -- $hw_mark && { $3; }"
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
  systemctl stop "heartwood-revert-$1.service" 2>/dev/null
  systemd-run -q --collect --unit="heartwood-revert-$1" /bin/sh -c "$hw_run"
else
  setsid sh -c "$hw_run" </dev/null >/dev/null 2>&1 &
fi`,
);

/**
 * `hw_disarm ID`: takes the way back away. False when it is not there: the host has gone it already. The mark is removed
 * first, so that from then on nothing is reverted; removing it is one step, so that only one of the two can win.
 */
const hwDisarm: ShellFunction = shellFunction(
  'hw_disarm',
  `
rm -- "/run/heartwood/revert-$1" 2>/dev/null || return
systemctl stop "heartwood-revert-$1.service" 2>/dev/null || :`,
);

/**
 * `hw_unconfirmed ID`: `unconfirmed=yes` where an earlier run armed a way back and never came to disarm it: what it changed
 * will be taken back. What our own session armed is told by its shell's process id.
 */
const hwUnconfirmed: ShellFunction = shellFunction(
  'hw_unconfirmed',
  `
hw_by=; [ ! -f "/run/heartwood/revert-$1" ] || read -r hw_by hw_rest < "/run/heartwood/revert-$1"
case $hw_by in ''|$$) echo unconfirmed=no ;; *) echo unconfirmed=yes ;; esac`,
);

const unitName = (id: string): string => id.replaceAll(/[^\w]+/g, '-');

/** `change` with `revert` armed first, to run `seconds` later. The revert holds no secrets: it is in an argv on the host. */
export function armRevert(id: string, seconds: number, revert: Script, change: Script): Script {
  return sh`${hwArm} ${unitName(id)} ${seconds} ${revert.reveal()} || exit\n${change} || { hw_rc=$?; ${hwDisarm} ${unitName(id)}; exit $hw_rc; }`;
}

/** Disarms what {@link armRevert} armed under this id. */
export function disarmRevert(id: string): Script {
  return sh`${hwDisarm} ${unitName(id)}`;
}

/** For probes: is there an older way back under this id, still armed? `unconfirmed=no` is what is wanted. */
export function probeUnconfirmed(id: string): Script {
  return sh`${hwUnconfirmed} ${unitName(id)}`;
}
