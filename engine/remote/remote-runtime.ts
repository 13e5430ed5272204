/**
 * The host's side of a session: shell functions, defined once, that run steps and print records. Plain POSIX sh; known
 * to work under dash, busybox and bash. They start no process of their own, but two to decompress steps and some for
 * the lock.
 *
 * Records, each after the marker:
 * - on both streams `S STEP PID START UPTIME` when a step begins, and `E STEP CODE UPTIME` when it has ended;
 * - on stdout alone `K STEP` for a skipped step, `L ...` for the lock, `P` for steps that could not be decompressed.
 *
 * PID is the subshell a step runs in, START its start in clock ticks since boot as in /proc/PID/stat (under emulation
 * that of the whole shell), UPTIME seconds since boot.
 */
import { quote } from '../script.ts';
import { DECOMPRESS_FUNCTION } from './compressed-steps.ts';
import { LOCK_FUNCTIONS } from './host-lock.ts';

const FUNCTIONS = `
hw_start() {
  read -r hw_stat </proc/self/stat
  hw_pid=\${hw_stat%% *}
  set -- "$1" \${hw_stat##*) }
  read -r hw_time hw_idle </proc/uptime
  printf '\\036%s S %s %s %s %s\\n' "$hw_mark" "$1" "$hw_pid" "\${21}" "$hw_time" >&2
  printf '\\036%s S %s %s %s %s\\n' "$hw_mark" "$1" "$hw_pid" "\${21}" "$hw_time" || exit 141
  unset hw_mark hw_stat
}
hw_if() {
  command eval " $1"
}
hw_step() {
  if [ -n "$hw_stop" ] || { [ -n "$5" ] && ! hw_if "$5" </dev/null >/dev/null 2>&1; }; then
    eval "hw_rc_$2="
    printf '\\036%s K %s\\n' "$hw_mark" "$1" || exit 141
  else
    if [ "$3" = c ] || [ "$3" = u ]; then
      { hw_out=$(hw_start "$1" >&3; exec 3>&- </dev/null; hw_body=$4; set --; eval " $hw_body"); } 3>&1
      hw_rc=$?
      [ "$3" = u ] || [ -z "$hw_out" ] || printf '%s\\n' "$hw_out"
    else
      (hw_start "$1"; hw_body=$4; set --; eval " $hw_body") </dev/null
      hw_rc=$?
      [ "$3" = s ] || hw_probed=
    fi
    read -r hw_time hw_idle </proc/uptime
    printf '\\036%s E %s %s %s\\n' "$hw_mark" "$1" "$hw_rc" "$hw_time" >&2
    printf '\\036%s E %s %s %s\\n' "$hw_mark" "$1" "$hw_rc" "$hw_time" || exit 141
    eval "hw_rc_$2=$hw_rc"
  fi
  if [ -n "$6" ] && [ -z "$hw_stop" ] && hw_if "$6" </dev/null >/dev/null 2>&1; then hw_stop=1; fi
}
`;

/**
 * What a session's shell gets before the first steps. USR1 asks it to skip the steps that have not begun. TERM and INT
 * are caught because a step that signals its own process group (`kill 0`) would otherwise end the session; steps
 * themselves get the defaults.
 * @param machine The machine's id. It stands in the name of a lock that several machines might see.
 */
export function remoteRuntime(mark: string, machine = 'unknown'): string {
  return `hw_mark=${quote(mark)} hw_machine=${quote(fileName(machine))} hw_stop= hw_out= hw_probed= hw_lock_path= hw_lock_text=
LC_ALL=C
export LC_ALL
umask 022
case :$PATH: in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin ;; esac
trap hw_stop=1 USR1
trap : TERM INT
trap hw_unlock EXIT
${FUNCTIONS.trim()}
${LOCK_FUNCTIONS.trim()}
${DECOMPRESS_FUNCTION.trim()}
`;
}

/** A text as a part of a file's name. */
function fileName(text: string): string {
  return text.replace(/[^\w.:-]+/g, '-');
}
