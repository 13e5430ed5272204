/**
 * A dead man's switch: the host reverts a change that may have cut it off, unless a connection made after the change
 * disarms the revert. A timer on the host holds it, so it survives the end of the session and of the connection.
 */
import { type Script, type ShellFunction, sh, shellFunction } from '../script.ts';

/** `hw_arm ID SECONDS REVERT`: REVERT runs after SECONDS unless it is disarmed or armed again. */
const hwArm: ShellFunction = shellFunction(
  'hw_arm',
  `
mkdir -p -m 0700 /run/heartwood && read -r hw_now hw_rest < /proc/uptime || return
hw_mark=/run/heartwood/revert-$1
printf '%s\\n' "$$ $hw_now" > "$hw_mark" || return
hw_run="sleep $2; read -r m < $hw_mark && [ \\"\\$m\\" = '$$ $hw_now' ] && rm -- $hw_mark && { $3; }"
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
  systemctl stop "heartwood-revert-$1.service" 2>/dev/null
  # systemd expands variables in a command line, and reads $$ as a dollar sign.
  systemd-run -q --collect --unit="heartwood-revert-$1" /bin/sh -c "$(printf '%s\\n' "$hw_run" | sed 's/[$]/&&/g')"
else
  setsid sh -c "$hw_run" </dev/null >/dev/null 2>&1 &
fi`,
);

/**
 * `hw_disarm ID`: disarms the revert. Fails when it is not armed: it has run already. The timer removes the same mark
 * before it reverts. Removing a file is one step, so only one of the two succeeds.
 */
const hwDisarm: ShellFunction = shellFunction(
  'hw_disarm',
  `
rm -- "/run/heartwood/revert-$1" 2>/dev/null || return
systemctl stop "heartwood-revert-$1.service" 2>/dev/null || :`,
);

/**
 * `hw_unconfirmed ID`: `unconfirmed=yes` where an earlier run armed a revert and did not disarm it: its change will be
 * reverted. A revert of this session does not count. The mark holds the process id of the session's shell.
 */
const hwUnconfirmed: ShellFunction = shellFunction(
  'hw_unconfirmed',
  `
hw_by=; [ ! -f "/run/heartwood/revert-$1" ] || read -r hw_by hw_rest < "/run/heartwood/revert-$1"
case $hw_by in ''|"$$") echo unconfirmed=no ;; *) echo unconfirmed=yes ;; esac`,
);

const unitName = (id: string): string => id.replaceAll(/[^\w]+/g, '-');

/**
 * `change`, with a revert armed before it that runs after so many seconds. It is disarmed where the change fails.
 * @param revert What the host runs. It stands in a command line there, where everybody can read it.
 * @throws TypeError where `revert` holds a secret.
 */
export function armRevert(id: string, seconds: number, revert: Script, change: Script): Script {
  if (revert.holdsSecret) throw new TypeError(`the revert of ${id} holds a secret, which would show in ps on the host`);
  const name = unitName(id);
  return sh`
${hwArm} ${name} ${seconds} ${revert.standalone()} || exit
${change} || { hw_rc=$?; ${hwDisarm} ${name}; exit $hw_rc; }`;
}

/** Disarms what {@link armRevert} armed under this id. */
export function disarmRevert(id: string): Script {
  return sh`${hwDisarm} ${unitName(id)}`;
}

/**
 * For probes: `unconfirmed=yes` where a revert of an earlier run is still armed under this id. Wanted is
 * `unconfirmed=no`.
 */
export function probeUnconfirmed(id: string): Script {
  return sh`${hwUnconfirmed} ${unitName(id)}`;
}
