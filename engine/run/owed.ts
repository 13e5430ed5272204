/**
 * Handlers owed: a note on the host, written before the change that notifies and removed after the handler ran. So a run that
 * is cut between the two leaves the note, and the next run runs the handler.
 */
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

const hwOwe = shellFunction(
  'hw_owe',
  `
hw_owed=$(hw_owed_dir) || return
mkdir -p "$hw_owed" && for hw_name; do : >"$hw_owed/$hw_name" || return; done`,
  [hwOwedDir],
);

const hwIsOwed = shellFunction('hw_is_owed', `[ -e "$(hw_owed_dir)/$1" ]`, [hwOwedDir]);

const hwPaid = shellFunction('hw_paid', `rm -f "$(hw_owed_dir)/$1"`, [hwOwedDir]);

/** Lists what is owed, a name a line. */
export const listOwed: Script = sh`ls "$(${hwOwedDir})" 2>/dev/null || :`;

/** Notes that handlers are owed. */
export const owe = (names: readonly string[]): Script => sh`${hwOwe} ${names}`;

/** Condition: is a handler owed? */
export const isOwed = (name: string): Script => sh`${hwIsOwed} ${name}`;

/** Removes the note. */
export const paid = (name: string): Script => sh`${hwPaid} ${name}`;
