/**
 * One run at a time per host. The lock is a symbolic link whose target text says who holds it: made atomically with its
 * content, readable without a shell's help, gone with a reboot. It holds as long as the session's shell lives (pid and start
 * time, so that a recycled pid does not keep it); a lock whose shell died is taken over.
 *
 * A shell outlives a controller that was killed, or whose link broke, until its running step ends; or for hours, where the
 * host never hears that the link is gone. Such a lock is taken over too, by ending what is left of that session, when it is
 * certain that nobody is there any more: the host sees that what started the session has left it (`orphan`), or this machine
 * sees that the process that held it is gone (controller.ts).
 */
import type { Problem } from '../errors.ts';
import { quote } from '../script.ts';
import { isGone } from './controller-process-id.ts';
import type { RunningStep } from './kill-process-tree.ts';
import { LockError, type LockRequest } from './session.ts';

/** Seconds a held lock is waited for. A session that nobody listens to any more has so long to end its step by itself. */
export const LOCK_WAIT = 10;

/**
 * `hw_lock WHO [share]` takes the lock or stops the batch, and prints `L ok`, `L held PID START KEEPER RUN CONTROLLER SINCE HOLDER`,
 * `L orphan` and the same, or `L error ...`. KEEPER is the process that started the holder's session (sshd), as its leader's
 * parent; when it goes, the leader gets another parent. A dead lock is removed under a lock of its own (`.over`), so that of
 * two that find it dead neither removes the other's new one. What was found dead is kept (`$3`) while `.over` is waited for:
 * the lock that is there afterwards, or none, is another's turn. Without a writable /run (not root) it is the user's own lock
 * in /tmp, and root's is respected where another run holds it.
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
hw_lock_orphan() {
  set -- $1
  [ "$3" != - ] && [ "$(hw_lock_keeper "$1")" != "$3" ] && hw_lock_alive "$hw_lock_found"
}
hw_lock_take() {
  while :; do
    hw_lock_said=$(ln -sn "$2" "$1" 2>&1) && return 0
    if ! hw_lock_found=$(readlink "$1"); then
      [ -e "$1" ] || case $hw_lock_said in *xists*) continue ;; esac
      return 2
    fi
    hw_lock_alive "$hw_lock_found" && return 1
    set -- "$1" "$2" "$hw_lock_found"
    hw_lock_take "$1.over" "$2" || return
    if [ "$(readlink "$1")" = "$3" ] && ! hw_lock_said=$(rm -f "$1" 2>&1); then
      rm -f "$1.over"
      return 2
    fi
    rm -f "$1.over"
  done
}
hw_lock_try() {
  if [ -w /run ]; then
    hw_lock_path=/run/heartwood.lock
  else
    hw_lock_path=/tmp/heartwood-$(id -u).lock
    if hw_lock_found=$(readlink /run/heartwood.lock) && hw_lock_alive "$hw_lock_found"; then
      case $hw_lock_found in *" $1 "*) ;; *) return 1 ;; esac
    fi
  fi
  hw_lock_take "$hw_lock_path" "$hw_lock_text"
}
hw_lock() {
  [ -z "$hw_lock_text" ] || return 0
  hw_lock_share=$2
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
        case $hw_lock_share/$hw_lock_found in share/*" \${1%% *} "*) hw_lock_text=; printf '\\036%s L ok\\n' "$hw_mark"; return ;; esac
        hw_lock_answer="held $hw_lock_found"; hw_lock_orphan "$hw_lock_found" && hw_lock_answer="orphan $hw_lock_found" ;;
      *) hw_lock_tries=${LOCK_WAIT} hw_lock_answer="error $hw_lock_said" ;;
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
  [ -z "$hw_lock_text" ] || [ "$(readlink "$hw_lock_path")" != "$hw_lock_text" ] || rm -f "$hw_lock_path"
}
`;

/**
 * The line that takes the lock.
 * @param shared Content with a lock that this very run holds: for sessions on this machine, where a node may well be
 *   `localhost` too. Elsewhere two names of one machine are a mistake.
 */
export function lockCommand({ runId, holder, controller }: LockRequest, shared: boolean, now = new Date()): string {
  const who = `${runId} ${controller} ${now.toISOString()} ${holder.replace(/\s+/g, ' ')}`;
  return `hw_lock ${quote(who)}${shared ? ' share' : ''}\n`;
}

/** What an `L` record says, where the lock was not had. */
export interface LockRefusal {
  /** The holder's shell, when it is certain that nobody is behind it any more: it may be ended. */
  readonly abandoned: RunningStep | undefined;
  readonly error: LockError;
}

/** What the words of an `L` record mean, to the run that asked for the lock; undefined: it has it. */
export function refusalOf(host: string, [answer, ...rest]: readonly string[], runId: string): LockRefusal | undefined {
  if (answer === 'ok') return undefined;
  if (answer !== 'held' && answer !== 'orphan') {
    const error = new LockError({
      what: `the lock that keeps two runs apart could not be taken: ${rest.join(' ')}`,
      host,
      hint: 'see whether /run (or /tmp, when not root) is writable on the host and not full',
    });
    return { abandoned: undefined, error };
  }
  const [pid = '', start = '', , run = '', controller = '', since = '', ...holder] = rest;
  if (run === runId) {
    const error = new LockError({
      what: 'this run holds the host already, under another name: two names of the inventory are one machine',
      host,
      hint: 'take one of them out of the inventory, or leave it out with --limit',
    });
    return { abandoned: undefined, error };
  }
  const abandoned = answer === 'orphan' || isGone(controller);
  return {
    abandoned: abandoned ? { pid: Number(pid), start: Number(start) } : undefined,
    error: new LockError(heldProblem(host, { pid, run, since, holder: holder.join(' ') })),
  };
}

function heldProblem(host: string, by: { pid: string; run: string; since: string; holder: string }): Problem {
  return {
    what: `another run holds this host: run ${by.run} of ${by.holder}, since ${by.since}; waited ${LOCK_WAIT} s for it`,
    host,
    hint:
      `wait until it is done; if you know that it is gone (its machine was cut off), end its shell on the host: ` +
      `sudo kill -9 ${by.pid}`,
  };
}
