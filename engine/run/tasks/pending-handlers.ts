/**
 * Handlers owed: a note on the host, written before the change that notifies and removed after the handler ran. So a run that
 * is cut between the two leaves the note, and the next run runs the handler.
 */
import { UNCHANGED } from '../../resource.ts';
import { type Script, sh, shellFunction } from '../../script.ts';

/** Root's notes live in `/var/lib/heartwood/pending-handlers`, another user's in its state directory (XDG base directory spec). */
const hwPendingDir = shellFunction(
  'hw_pending_dir',
  `
case $(id -u) in
  0) echo /var/lib/heartwood/pending-handlers ;;
  *) echo "\${XDG_STATE_HOME:-$HOME/.local/state}/heartwood/pending-handlers" ;;
esac`,
);

const hwClearPending = shellFunction(
  'hw_clear_pending',
  `
hw_pending=$(hw_pending_dir) || return
for hw_name; do rm -f "$hw_pending/$hw_name" || return; done`,
  [hwPendingDir],
);

const hwMarkPending = shellFunction(
  'hw_mark_pending',
  `
hw_pending=$(hw_pending_dir) && mkdir -p "$hw_pending" || return
hw_new=
for hw_name; do
  [ -e "$hw_pending/$hw_name" ] || hw_new="$hw_new $hw_name"
  : >"$hw_pending/$hw_name" || return
done`,
  [hwPendingDir, hwClearPending],
);

const hwIsPending = shellFunction('hw_is_pending', `[ -e "$(hw_pending_dir)/$1" ]`, [hwPendingDir]);

/** Lists what is owed, a name a line. */
export const listPending: Script = sh`ls "$(${hwPendingDir})" 2>/dev/null || :`;

/**
 * A change that notifies: handlers are noted as owed before it. One that then says it changed nothing takes back the notes
 * it made, not those that stood there before.
 */
export const withPendingMark = (names: readonly string[], change: Script): Script => sh`
${hwMarkPending} ${names} || exit
( ${change}
)
hw_rc=$?
[ $hw_rc != ${UNCHANGED} ] || hw_clear_pending $hw_new
exit $hw_rc`;

/** Condition: is a handler owed? */
export const isPending = (name: string): Script => sh`${hwIsPending} ${name}`;

/** A handler's change that removes its note as soon as it has succeeded, though the run be stopped right behind it. */
export const clearOnSuccess = (name: string, change: Script): Script => sh`
( ${change}
)
hw_rc=$?
case $hw_rc in 0|${UNCHANGED}) ${hwClearPending} ${name} || exit ;; esac
exit $hw_rc`;

/** Removes the note. */
export const clearPending = (name: string): Script => sh`${hwClearPending} ${name}`;
