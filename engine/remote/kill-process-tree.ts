/**
 * How a running step is ended from outside: a script for a second shell on the host. A timeout of ours, or a closed channel,
 * would leave the step running.
 */

/** What is to be ended, as the step's `S` record told it. */
export interface RunningStep {
  /** The subshell the step runs in. */
  readonly pid: number;
  /** Its start in clock ticks since boot: with `pid` it names one process for ever. */
  readonly start: number;
}

/** Asks the session's shell to skip the rest of its batch. */
export function skipRestScript(shellPid: number): string {
  return `kill -USR1 ${shellPid}\n`;
}

/**
 * Ends a step's processes: its subshell, everything that descends from it, and everything started since in the session
 * (setsid) of the session's shell, so that what was put in the background is found too. First TERM, so that they may tidy
 * up; what is left after 2 s gets KILL; the subshell itself likewise, last. It is frozen until then: it must not go on to
 * its next command, nor the session's shell to the next step, whose processes must not be mistaken for this one's. Harmless
 * when the step has ended.
 */
export function killStepScript(shellPid: number, { pid, start }: RunningStep): string {
  return endScript(shellPid, pid, start);
}

/** The same for a shell that has a channel of its own, and all that it started. */
export function killShellScript(pid: number): string {
  return `read -r hw_stat </proc/${pid}/stat || exit 0
set -- \${hw_stat##*) }
hw_start=\${20}
${endScript(pid, pid, '$hw_start')}`;
}

function endScript(shellPid: number, pid: number, start: number | '$hw_start'): string {
  return `
hw_table() {
  for hw_dir in /proc/[0-9]*; do
    { read -r hw_stat <"$hw_dir/stat"; } 2>/dev/null || continue
    hw_p=\${hw_dir#/proc/}
    set -- \${hw_stat##*) }
    case $1 in Z | X) continue ;; esac
    [ -n "\${20}" ] && printf '%s %s %s %s\\n' "$hw_p" "$2" "$4" "\${20}"
  done
}
hw_ancestors() {
  hw_up=" " hw_p=${shellPid}
  while [ "\${hw_p:-0}" -gt 0 ]; do
    hw_up="$hw_up$hw_p "
    { read -r hw_stat <"/proc/$hw_p/stat"; } 2>/dev/null || return
    set -- \${hw_stat##*) }
    hw_p=$2
  done
}
hw_members() {
  hw_all=$(hw_table)
  hw_in=" ${pid} " hw_before=
  while [ "$hw_in" != "$hw_before" ]; do
    hw_before=$hw_in
    while read -r hw_p hw_parent hw_sid hw_since; do
      case "$hw_in$hw_up" in *" $hw_p "*) continue ;; esac
      case $hw_in in *" $hw_parent "*) hw_in="$hw_in$hw_p " ;; *)
        [ "$hw_sid" = "$hw_session" ] || continue
          # Within a tick of the clock, the later process has the higher number.
          [ "$hw_since" -gt ${start} ] || { [ "$hw_since" = "${start}" ] && [ "$hw_p" -gt ${pid} ]; } || continue
          hw_in="$hw_in$hw_p " ;;
      esac
    done <<HW_TABLE
$hw_all
HW_TABLE
  done
}
hw_there() {
  { read -r hw_stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  set -- \${hw_stat##*) }
  case $1 in Z | X) return 1 ;; esac
  hw_since=\${20}
}
hw_runs() {
  hw_there ${pid} && [ "$hw_since" = "${start}" ]
}
hw_any() {
  for hw_p in $1; do
    hw_there "$hw_p" && return
  done
  return 1
}
hw_pause() {
  hw_n=$((hw_n + 1))
  sleep 0.1 2>/dev/null || { hw_n=$((hw_n + 9)); sleep 1; }
}
hw_runs || exit 0
read -r hw_stat </proc/${shellPid}/stat || exit 0
set -- \${hw_stat##*) }
hw_session=$4
hw_ancestors
kill -STOP ${pid}
hw_runs || { kill -CONT ${pid}; exit 0; }
hw_members
kill -TERM \${hw_in#" ${pid} "} 2>/dev/null
hw_n=0
while hw_any "\${hw_in#" ${pid} "}" && [ $hw_n -lt 20 ]; do hw_pause; done
hw_n=0
while hw_members && [ "$hw_in" != " ${pid} " ] && [ $hw_n -lt 30 ]; do
  kill -KILL \${hw_in#" ${pid} "} 2>/dev/null
  hw_pause
done
kill -TERM ${pid}
kill -CONT ${pid}
hw_n=0
while hw_runs && [ $hw_n -lt 10 ]; do hw_pause; done
hw_runs && kill -KILL ${pid}
`;
}
