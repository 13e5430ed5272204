/**
 * Pending handlers: a mark on the host, written before the change that notifies and removed after the handler ran. A
 * run that is cut between the two leaves the mark, and the next run runs the handler.
 *
 * The mark lies on the host that the handler runs on. Where the task runs on another host, the mark is a step of its
 * own.
 */
import { UNCHANGED } from '../../resource.ts';
import { type Script, sh, shellFunction } from '../../script.ts';

/** A handler that is to run on a host. */
export interface PendingHandler {
  /** The name of its mark. */
  readonly name: string;
  /** The host that it runs on. */
  readonly target: string;
}

/**
 * Root's marks lie below `/var/lib/heartwood`, another user's in its state directory (XDG base directory spec). A
 * session may set `hw_state_dir` to keep them elsewhere.
 */
const hwPendingDir = shellFunction(
  'hw_pending_dir',
  `
if [ -n "$hw_state_dir" ]; then echo "$hw_state_dir/pending-handlers"; return; fi
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

/** `hw_mark_pending NAME...`: `hw_new` has those that were not marked before. */
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

/** Lists the marks of a host, one a line. */
export const listPending: Script = sh`ls "$(${hwPendingDir})" 2>/dev/null || :`;

/**
 * A change that notifies: it marks handlers as pending first. A change that reports {@link UNCHANGED} removes the marks
 * that it made, not those that were there before.
 */
export const withPendingMark = (names: readonly string[], change: Script): Script => sh`
${hwMarkPending} ${names} || exit
( ${change}
)
hw_rc=$?
[ $hw_rc != ${UNCHANGED} ] || hw_clear_pending $hw_new
exit $hw_rc`;

/**
 * Marks handlers as pending for a task that runs on another host. Prints those that were not marked before, one a line.
 */
export const markPending = (names: readonly string[]): Script => sh`
${hwMarkPending} ${names} || exit
for hw_name in $hw_new; do echo "$hw_name"; done`;

/** Condition: is a handler pending? */
export const isPending = (name: string): Script => sh`${hwIsPending} ${name}`;

/** A handler's change that removes its mark as soon as it succeeds, even where the run is stopped right after it. */
export const clearOnSuccess = (name: string, change: Script): Script => sh`
( ${change}
)
hw_rc=$?
case $hw_rc in 0|${UNCHANGED}) ${hwClearPending} ${name} || exit ;; esac
exit $hw_rc`;

/** Removes marks. */
export const clearPending = (...names: readonly string[]): Script => sh`${hwClearPending} ${names}`;
