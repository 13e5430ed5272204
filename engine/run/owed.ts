/**
 * Handlers owed: a note on the host, written before the change that notifies and removed after the handler ran. So a run that
 * is cut between the two leaves the note, and the next run runs the handler.
 */
import { UNCHANGED } from '../resource.ts';
import { type Script, sh, shellFunction } from '../script.ts';

/** Root's notes live in `/var/lib/heartwood/owed`, another user's in its state directory (XDG base directory spec). */
const hwOwedDir = shellFunction(
  'hw_owed_dir',
  `
case $(id -u) in
  0) echo /var/lib/heartwood/owed ;;
  *) echo "\${XDG_STATE_HOME:-$HOME/.local/state}/heartwood/owed" ;;
esac`,
);

const hwPaid = shellFunction(
  'hw_paid',
  `
hw_owed=$(hw_owed_dir) || return
for hw_name; do rm -f "$hw_owed/$hw_name" || return; done`,
  [hwOwedDir],
);

const hwOwe = shellFunction(
  'hw_owe',
  `
hw_owed=$(hw_owed_dir) && mkdir -p "$hw_owed" || return
hw_new=
for hw_name; do
  [ -e "$hw_owed/$hw_name" ] || hw_new="$hw_new $hw_name"
  : >"$hw_owed/$hw_name" || return
done`,
  [hwOwedDir, hwPaid],
);

const hwIsOwed = shellFunction('hw_is_owed', `[ -e "$(hw_owed_dir)/$1" ]`, [hwOwedDir]);

/** Lists what is owed, a name a line. */
export const listOwed: Script = sh`ls "$(${hwOwedDir})" 2>/dev/null || :`;

/**
 * A change that notifies: handlers are noted as owed before it. One that then says it changed nothing takes back the notes
 * it made, not those that stood there before.
 */
export const owing = (names: readonly string[], change: Script): Script => sh`
${hwOwe} ${names} || exit
( ${change}
)
hw_rc=$?
[ $hw_rc != ${UNCHANGED} ] || hw_paid $hw_new
exit $hw_rc`;

/** Condition: is a handler owed? */
export const isOwed = (name: string): Script => sh`${hwIsOwed} ${name}`;

/** A handler's change that removes its note as soon as it has succeeded, though the run be stopped right behind it. */
export const paying = (name: string, change: Script): Script => sh`
( ${change}
)
hw_rc=$?
case $hw_rc in 0|${UNCHANGED}) ${hwPaid} ${name} || exit ;; esac
exit $hw_rc`;

/** Removes the note. */
export const paid = (name: string): Script => sh`${hwPaid} ${name}`;
