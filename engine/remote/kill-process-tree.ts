/**
 * How running processes are ended from outside: scripts for a second shell on the host. A timeout on this side, or a
 * closed channel, would leave them running.
 */

/** A process, as the record of a step or the text of a lock names it. */
export interface HostProcess {
  readonly pid: number;
  /** Its start in clock ticks since boot: with `pid` it names one process for ever. */
  readonly start: number;
}

/** Asks the session's shell to skip the steps that have not begun. */
export function skipRestScript(shellPid: number): string {
  return `kill -USR1 ${shellPid}\n`;
}

/**
 * Ends a step: the subshell it runs in, everything that descends from it, and everything that was started since in the
 * session (setsid) of the session's shell, background processes among them. First TERM, so that they may tidy up; what
 * is left after 2 s gets KILL. The subshell itself comes last and is frozen until then: it must not go on to its next
 * command, nor the session's shell to the next step, whose processes would be taken for this one's. Harmless when the
 * step has ended.
 */
export function killStepScript(shellPid: number, { pid, start }: HostProcess): string {
  return `${FUNCTIONS}
hw_root=" ${pid}.${start}"
hw_is_member() {
  [ "$hw_sid" = "$hw_session" ] || return
  # Within one tick of the clock, the later process has the higher number.
  [ "$hw_start" -gt ${start} ] || { [ "$hw_start" = "${start}" ] && [ "$hw_pid" -gt ${pid} ]; }
}
hw_alive ${pid}.${start} && hw_look ${shellPid} || exit 0
kill -STOP ${pid}
hw_alive ${pid}.${start} || { kill -CONT ${pid}; exit 0; }
hw_end_tree
kill -TERM ${pid}
kill -CONT ${pid}
hw_wait 10 ${pid}.${start} || kill -KILL ${pid}
`;
}

/**
 * Ends the shell of a channel, and all of its session (setsid). Processes that are still there afterwards are printed,
 * a line each.
 *
 * Nothing is frozen here. The shell's parent may be sudo, which stops itself when its child is stopped, and which
 * nobody would continue. It ends by itself when its child has; one that is stopped all the same is continued and
 * killed.
 * @param start Undefined: whatever process has this pid.
 * @param first `KILL` where the shell would go on to its next step when the running one is ended.
 */
export function killSessionScript(
  { pid, start }: { readonly pid: number; readonly start?: number },
  first: 'TERM' | 'KILL',
): string {
  return `${FUNCTIONS}
hw_is_member() {
  [ "$hw_sid" = "$hw_session" ]
}
hw_look ${pid} || exit 0
${start === undefined ? '' : `[ "$hw_start" = ${start} ] || exit 0`}
hw_root=" ${pid}.$hw_start"
hw_leaders=$hw_parents
hw_find
kill -${first} ${pid}
hw_end_tree
hw_wait 10 $hw_root || kill -KILL ${pid}
hw_wait 10 $hw_root $hw_leaders
for hw_member in $hw_leaders; do
  hw_alive "$hw_member" && kill -CONT "\${hw_member%.*}" && kill -KILL "\${hw_member%.*}"
done 2>/dev/null
hw_wait 10 $hw_root $hw_leaders
for hw_member in $hw_root $hw_leaders $hw_tree; do
  hw_alive "$hw_member" || continue
  hw_name=
  { read -r hw_name <"/proc/\${hw_member%.*}/comm"; } 2>/dev/null
  echo "\${hw_member%.*} $hw_name"
done
`;
}

/**
 * A process is written PID.START here. `hw_look PID` reads a process's session and start, and its ancestors: those of
 * the same session in `hw_parents`, the others' pids in `hw_spared`, with PID itself. `hw_find` finds the tree: what
 * descends from the root or from the tree, and what `hw_is_member` says. What was found stays in it, so that what loses
 * its parent is not lost. `hw_wait TENTHS PROCESS...` is false when some are left.
 */
const FUNCTIONS = `
hw_tree=" " hw_spared=" " hw_parents=
hw_alive() {
  { read -r hw_stat <"/proc/\${1%.*}/stat"; } 2>/dev/null || return 1
  set -- "\${1#*.}" \${hw_stat##*) }
  case $2 in Z | X) return 1 ;; esac
  [ "\${21}" = "$1" ]
}
hw_look() {
  { read -r hw_stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  set -- "$1" \${hw_stat##*) }
  hw_session=$5 hw_start=\${21} hw_spared=" $1 "
  while [ "\${3:-0}" -gt 0 ]; do
    { read -r hw_stat <"/proc/$3/stat"; } 2>/dev/null || return 0
    set -- "$3" \${hw_stat##*) }
    hw_spared="$hw_spared$1 "
    [ "$5" != "$hw_session" ] || hw_parents="$hw_parents $1.\${21}"
  done
}
hw_table() {
  for hw_dir in /proc/[0-9]*; do
    { read -r hw_stat <"$hw_dir/stat"; } 2>/dev/null || continue
    set -- "\${hw_dir#/proc/}" \${hw_stat##*) }
    case $2 in Z | X) continue ;; esac
    [ -n "\${21}" ] && printf '%s %s %s %s\\n' "$1" "$3" "$5" "\${21}"
  done
}
hw_find() {
  hw_all=" "
  for hw_member in $hw_tree; do
    hw_alive "$hw_member" && hw_all="$hw_all$hw_member "
  done
  hw_tree=$hw_all hw_before= hw_all=$(hw_table)
  while [ "$hw_tree" != "$hw_before" ]; do
    hw_before=$hw_tree
    while read -r hw_pid hw_parent hw_sid hw_start; do
      case "$hw_root$hw_tree" in *" $hw_pid.$hw_start "*) continue ;; esac
      case $hw_spared in *" $hw_pid "*) continue ;; esac
      case "$hw_root$hw_tree" in *" $hw_parent."*) ;; *) hw_is_member || continue ;; esac
      hw_tree="$hw_tree$hw_pid.$hw_start "
    done <<HW_TABLE
$hw_all
HW_TABLE
  done
  [ "$hw_tree" != " " ]
}
hw_signal() {
  hw_name=$1
  shift
  for hw_member in $hw_tree; do
    hw_alive "$hw_member" && set -- "$@" "\${hw_member%.*}"
  done
  [ $# -eq 0 ] || kill -s "$hw_name" "$@" 2>/dev/null
}
hw_wait() {
  hw_tenths=$1
  shift
  while :; do
    hw_left=
    for hw_member; do
      ! hw_alive "$hw_member" || hw_left=1
    done
    [ -n "$hw_left" ] || return 0
    [ "$hw_tenths" -gt 0 ] || return 1
    hw_tenths=$((hw_tenths - 1))
    sleep 0.1 2>/dev/null || { hw_tenths=$((hw_tenths - 9)); sleep 1; }
  done
}
hw_end_tree() {
  hw_find
  hw_signal TERM
  # What is stopped hears TERM when it goes on.
  hw_signal CONT
  hw_wait 20 $hw_tree
  hw_rounds=30
  while hw_find && [ "$hw_rounds" -gt 0 ]; do
    hw_signal KILL
    hw_wait 1 $hw_tree
    hw_rounds=$((hw_rounds - 1))
  done
}`;
