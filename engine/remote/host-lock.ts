/**
 * One run at a time per host.
 *
 * - The lock is a symbolic link whose target text says who holds it: made atomically with its content, readable without
 *   a program's help.
 * - It holds as long as the session's shell lives. The text has the shell's pid and start time, so that a recycled pid
 *   does not keep it. The lock of a shell that died is taken over.
 * - A run may have several sessions on one machine, by two names of the inventory. They share the lock: each further
 *   one lays a link of its own beside it, and gets the lock when the holder goes.
 * - A shell outlives a controller that was killed, or whose link broke: until its running step ends, or for hours,
 *   where the host never hears that the link is lost. Such a lock is taken over too, by ending what is left of that
 *   session, when it is certain that nobody is behind it: the host sees that the process that started the session is
 *   gone (`orphan`), or this machine sees that the process that held the lock is (controller-process-id.ts).
 */
import { hostname } from 'node:os';
import type { Problem } from '../errors.ts';
import { quote } from '../script.ts';
import { userName } from '../user-name.ts';
import { controllerProcessId, hasEnded } from './controller-process-id.ts';
import type { HostProcess } from './kill-process-tree.ts';
import { LockError, type LockRequest } from './session.ts';

/** Seconds a held lock is waited for. An abandoned session has that long to end its step by itself. */
export const LOCK_WAIT = 10;

/**
 * `hw_lock WHO` takes the lock or skips all steps, and prints `L ok`, `L held PID START KEEPER RUN CONTROLLER SINCE
 * HOLDER`, `L orphan` and the same, or `L error ...`. KEEPER is the process that started the holder's session (sshd):
 * the parent of the session's leader. When it ends, the leader gets another parent.
 *
 * Root's lock is in /run. Another user's is in a directory of that user's own: in the home that the system knows,
 * whatever the login says in HOME or XDG_STATE_HOME, so that all logins agree; without a home that can be written, in
 * /tmp, where a directory of another user's is refused. Its name has the machine, because a home may be shared by
 * several. Root's lock is respected too, where another run holds it.
 *
 * A dead lock is removed under a lock of its own (`.takeover`), so that of two that find it dead neither removes the
 * other's new one. What was found dead is kept (`$3`) while `.takeover` is waited for: the lock that is there
 * afterwards, or none, is looked at once more.
 */
export const LOCK_FUNCTIONS = `
hw_lock_alive() {
  { read -r hw_stat <"/proc/\${1%% *}/stat"; } 2>/dev/null || return 1
  set -- "$1" \${hw_stat##*) }
  case $2 in Z | X) return 1 ;; esac
  case $1 in "\${1%% *} \${21} "*) return 0 ;; esac
  return 1
}
hw_lock_keeper() {
  { read -r hw_stat <"/proc/$1/stat"; } 2>/dev/null || return
  set -- \${hw_stat##*) }
  { read -r hw_stat <"/proc/$4/stat"; } 2>/dev/null || return
  set -- \${hw_stat##*) }
  echo "$2"
}
hw_lock_is_orphan() {
  set -- $1
  [ "$3" != - ] && [ "$(hw_lock_keeper "$1")" != "$3" ] && hw_lock_alive "$hw_lock_found"
}
hw_lock_hand_over() {
  for hw_lock_link in "$1".shared-*; do
    hw_lock_sharer=$(readlink "$hw_lock_link") || continue
    if hw_lock_alive "$hw_lock_sharer"; then
      mv -f "$hw_lock_link" "$1" && return
    else
      rm -f "$hw_lock_link"
    fi
  done
  return 1
}
hw_lock_take() {
  while :; do
    hw_lock_error=$(ln -sn "$2" "$1" 2>&1) && return 0
    if ! hw_lock_found=$(readlink "$1"); then
      [ -e "$1" ] || case $hw_lock_error in *xists*) continue ;; esac
      return 2
    fi
    hw_lock_alive "$hw_lock_found" && return 1
    set -- "$1" "$2" "$hw_lock_found"
    hw_lock_take "$1.takeover" "$2" || return
    if [ "$(readlink "$1")" = "$3" ] && ! hw_lock_hand_over "$1" && ! hw_lock_error=$(rm -f "$1" 2>&1); then
      rm -f "$1.takeover"
      return 2
    fi
    rm -f "$1.takeover"
  done
}
hw_lock_share() {
  hw_lock_error=$(ln -sfn "$hw_lock_text" "$hw_lock_path.shared-$$" 2>&1) || return
  hw_lock_found=$(readlink "$hw_lock_path") && hw_lock_alive "$hw_lock_found" &&
    case $hw_lock_found in *" $1 "*) return 0 ;; esac
  hw_lock_error="$hw_lock_path changes hands"
  rm -f "$hw_lock_path.shared-$$"
  return 1
}
hw_lock_own_directory() {
  hw_lock_user=$(id -un)
  case $hw_lock_user in
    '' | *[!A-Za-z0-9._@-]*) hw_lock_home=$HOME ;;
    *) eval "hw_lock_home=~$hw_lock_user" ;;
  esac
  case $hw_lock_home in /*) ;; *) hw_lock_home=$HOME ;; esac
  for hw_lock_path in "$hw_lock_home/.local/state/heartwood" "/tmp/heartwood-$(id -u)"; do
    case $hw_lock_path in //* | [!/]*) continue ;; esac
    (umask 077; mkdir -p "$hw_lock_path") 2>/dev/null
    if [ -L "$hw_lock_path" ] || ! [ -d "$hw_lock_path" ] || ! [ -O "$hw_lock_path" ]; then
      hw_lock_error="$hw_lock_path is not a directory of $hw_lock_user's own"
    elif hw_lock_error=$(chmod 700 "$hw_lock_path" 2>&1) && [ -w "$hw_lock_path" ]; then
      return 0
    fi
  done
  return 1
}
hw_lock_try() {
  if [ -w /run ]; then
    hw_lock_path=/run/heartwood.lock
  else
    hw_lock_own_directory || return 2
    hw_lock_path=$hw_lock_path/lock-$hw_machine
    if hw_lock_found=$(readlink /run/heartwood.lock) && hw_lock_alive "$hw_lock_found"; then
      case $hw_lock_found in *" $1 "*) ;; *) return 1 ;; esac
    fi
  fi
  hw_lock_take "$hw_lock_path" "$hw_lock_text"
}
hw_lock() {
  [ -z "$hw_lock_text" ] || return 0
  read -r hw_stat <"/proc/$$/stat"
  set -- "$1" \${hw_stat##*) }
  hw_lock_keeper=$(hw_lock_keeper $$)
  hw_lock_text="$$ \${21} \${hw_lock_keeper:--} $1"
  hw_lock_tries=0
  while :; do
    hw_lock_try "\${1%% *}"
    case $? in
      0) printf '\\036%s L ok\\n' "$hw_mark"; return ;;
      1)
        case $hw_lock_found in
          *" \${1%% *} "*)
            hw_lock_share "\${1%% *}" && { printf '\\036%s L ok\\n' "$hw_mark"; return; }
            hw_lock_answer="error $hw_lock_error"
            ;;
          *)
            hw_lock_answer="held $hw_lock_found"
            hw_lock_is_orphan "$hw_lock_found" && hw_lock_answer="orphan $hw_lock_found"
            ;;
        esac
        ;;
      *) hw_lock_tries=${LOCK_WAIT} hw_lock_answer="error $hw_lock_error" ;;
    esac
    [ "$hw_lock_tries" -lt ${LOCK_WAIT} ] && [ -z "$hw_stop" ] || break
    hw_lock_tries=$((hw_lock_tries + 1))
    sleep 1
  done
  hw_lock_text= hw_stop=1
  printf '\\036%s L %s\\n' "$hw_mark" "\${hw_lock_answer%%
*}"
}
hw_unlock() {
  [ -n "$hw_lock_text" ] || return 0
  rm -f "$hw_lock_path.shared-$$"
  [ "$(readlink "$hw_lock_path")" != "$hw_lock_text" ] || hw_lock_hand_over "$hw_lock_path" || rm -f "$hw_lock_path"
}
`;

/** What a run of this process writes into locks. */
export function lockRequest(runId: string): LockRequest {
  return { runId, holder: `${userName()}@${hostname()}`, controller: controllerProcessId() };
}

/** The line that takes the lock. */
export function lockCommand({ runId, holder, controller }: LockRequest, now = new Date()): string {
  return `hw_lock ${quote(`${runId} ${controller} ${now.toISOString()} ${holder.replace(/\s+/g, ' ')}`)}\n`;
}

/** What an `L` record says where the lock was not taken. */
export interface LockRefusal {
  /** The holder's shell, when it is certain that nobody is behind it: it may be ended. */
  readonly abandoned: HostProcess | undefined;
  readonly error: LockError;
}

/** What the words of an `L` record mean; undefined: the lock is taken. */
export function lockRefusal(host: string, [answer, ...rest]: readonly string[]): LockRefusal | undefined {
  if (answer === 'ok') return undefined;
  if (answer !== 'held' && answer !== 'orphan') {
    const error = new LockError({
      what: `the lock that keeps two runs apart could not be taken: ${rest.join(' ')}`,
      host,
      hint:
        'see that the host can write there and its disk is not full: root to /run, ' +
        'any other user to ~/.local/state/heartwood',
    });
    return { abandoned: undefined, error };
  }
  const [pid = '', start = '', , run = '', controller = '', since = '', ...holder] = rest;
  return {
    abandoned: answer === 'orphan' || hasEnded(controller) ? { pid: Number(pid), start: Number(start) } : undefined,
    error: new LockError(heldProblem(host, { pid, run, since, holder: holder.join(' ') })),
  };
}

function heldProblem(host: string, by: { pid: string; run: string; since: string; holder: string }): Problem {
  return {
    what: `another run holds this host: run ${by.run} of ${by.holder}, since ${by.since}; waited ${LOCK_WAIT} s for it`,
    host,
    hint:
      `wait until it is done; if you know that it is over (its machine was cut off), end its shell on the host: ` +
      `sudo kill -9 ${by.pid}`,
  };
}

/**
 * The error where an abandoned session was ended and some of its processes are still there: `PID NAME`, a line each.
 */
export function survivorsError(host: string, survivors: string): LockError {
  const list = survivors.trim().split('\n');
  return new LockError({
    what: `a run that was broken off left processes that cannot be ended: ${list.join(', ')}`,
    host,
    hint: `see what they wait for on the host: ps -fp ${list.map((line) => line.split(' ')[0]).join(',')}`,
  });
}
