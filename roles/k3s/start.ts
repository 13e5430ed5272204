/**
 * Starting and restarting k3s. `systemctl start` of a server blocks until etcd has a quorum, so units are started with
 * `--no-block` and watched under a deadline of our own; ready is what /readyz says to the admin certificate; and when it fails,
 * the unit's own last words are translated.
 */
import { type Resource, type Script, sh, shellFunction } from '../../engine/index.ts';
import { quote } from '../../engine/script.ts';
import { DATA, hwReady, hwYieldLeader } from './etcd.ts';
import { explainStart, knownFailures, permanentFailures, tellingLines } from './failures.ts';
import { relayed } from './vip.ts';

/** Which unit, and how long it may take. */
export interface StartOptions {
  readonly kind: 'server' | 'agent';
  /** Seconds until it must be ready. */
  readonly deadline: number;
  /**
   * Stop the unit when it fails before it has data of its own: a join that goes on failing adds a half-joined member to etcd
   * again and again, which keeps all others from joining.
   */
  readonly stopWhenJoinFails?: boolean;
}

/** The unit of a kind of node. */
export const unitOf = (kind: 'server' | 'agent'): string => (kind === 'server' ? 'k3s' : 'k3s-agent');

/** `hw_server_ready`: is the unit active and its API ready? `hw_agent_ready`: and its kubelet healthy? Print what is not. */
const hwServerReady = shellFunction(
  'hw_server_ready',
  `
hw_state=$(systemctl is-active k3s.service) || { echo "unit k3s is $hw_state"; return 1; }
hw_ready 127.0.0.1`,
  [hwReady],
);
const hwAgentReady = shellFunction(
  'hw_agent_ready',
  `
hw_state=$(systemctl is-active k3s-agent.service) || { echo "unit k3s-agent is $hw_state"; return 1; }
hw_text=$(curl -sS -m 3 http://127.0.0.1:10248/healthz 2>&1)
[ "$hw_text" = ok ] || { printf 'kubelet: %s\\n' "$hw_text" | tail -n 1; return 1; }`,
);

const readyFunction = (kind: 'server' | 'agent') => (kind === 'server' ? hwServerReady : hwAgentReady);

/**
 * `hw_watch UNIT READY DEADLINE SINCE OLD`: waits until READY holds for an invocation other than OLD. Ends at once when the log
 * since SINCE has words that time does not mend. Prints what it sees; the telling lines of the log go to stderr.
 */
const hwWatch = shellFunction(
  'hw_watch',
  `
hw_telling=${quote(tellingLines)}
hw_permanent=${quote(permanentFailures)}
hw_known=${quote(knownFailures)}
read -r hw_now hw_rest </proc/uptime; hw_start=\${hw_now%.*} hw_said= hw_last=0
while :; do
  hw_text=$($2 2>&1); hw_rc=$?; hw_seen=$(printf '%s\\n' "$hw_text" | tail -n 1)
  if [ $hw_rc = 0 ] && [ "$(systemctl show -p InvocationID --value -- "$1.service")" = "$5" ]; then hw_rc=1 hw_seen='still stopping'; fi
  read -r hw_now hw_rest </proc/uptime; hw_waited=$((\${hw_now%.*} - hw_start))
  if [ $hw_rc = 0 ]; then echo "ready after $hw_waited s"; return 0; fi
  if [ "$hw_seen" != "$hw_said" ] || [ $((hw_waited - hw_last)) -ge 15 ]; then
    echo "last seen after $hw_waited s: $hw_seen"; hw_said=$hw_seen hw_last=$hw_waited
  fi
  hw_log=$(journalctl -u "$1.service" --since "@$4" -o cat --no-pager 2>/dev/null | grep -E "$hw_telling" | cut -c1-700 | tail -n 30)
  if printf '%s\\n' "$hw_log" | grep -q -E "$hw_permanent"; then break; fi
  # Words that nobody knows, said again and again, will not change either.
  hw_words=$(printf '%s\\n' "$hw_log" | grep level=fatal | grep -v -E "$hw_known" | sed 's/^time="[^"]*" //' | tail -n 5)
  if [ "$(printf '%s\\n' "$hw_words" | grep -c .)" = 5 ] && [ "$(printf '%s\\n' "$hw_words" | sort -u | grep -c .)" = 1 ]; then
    echo 'hw: failed five times with the same words' >&2; break
  fi
  if [ $hw_waited -ge "$3" ]; then echo "hw: not ready within $3 s; last seen: $hw_seen" >&2; break; fi
  sleep 1
done
printf '%s\\n' "$hw_log" >&2
return 1`,
);

function watched(options: StartOptions, act: Script): Script {
  const unit = unitOf(options.kind);
  return sh`
hw_since=$(date +%s.%6N) hw_old=
${act}
${hwWatch} ${unit} ${readyFunction(options.kind)} ${options.deadline} "$hw_since" "$hw_old" && exit
${
  options.stopWhenJoinFails
    ? sh`[ -d ${DATA}/server/db/etcd/member/wal ] || { systemctl stop ${unit}.service; echo 'stopped again, so that it does not keep other servers from joining' >&2; }`
    : sh`:`
}
exit 1`;
}

function explain({ stderr }: { readonly stderr: string }) {
  const known = explainStart(stderr);
  if (known) return known;
  const hint = 'journalctl -u k3s -u k3s-agent on the host says more';
  const fatal = [...stderr.matchAll(/level=fatal msg="(?:Error: )?(.*)"$/gm)].at(-1)?.[1];
  if (fatal) return { what: `k3s does not start: ${fatal.replaceAll('\\"', '"')}`, hint };
  const late = /hw: (not ready within .*)/.exec(stderr)?.[1];
  return late ? { what: `k3s is ${late}`, hint: `${hint}; k3s_start_timeout gives it longer` } : undefined;
}

/** k3s, enabled, running and ready. */
export function k3sStarted(options: StartOptions): Resource {
  const unit = unitOf(options.kind);
  return {
    kind: 'k3s',
    id: `${unit} ready`,
    probe: sh`
if systemctl -q is-enabled ${unit}.service 2>/dev/null; then echo enabled=yes; else echo enabled=no; fi
if command -v curl >/dev/null && ${readyFunction(options.kind)} >/dev/null 2>&1; then echo ready=yes; else echo ready=no; fi`,
    wanted: { enabled: 'yes', ready: 'yes' },
    change: () =>
      watched(
        options,
        sh`
systemctl daemon-reload && systemctl -q enable ${unit}.service || exit
case $(systemctl show -p ActiveState --value -- ${unit}.service) in
  active|reloading) ;;
  activating)
    # One that fails again and again is stopped first: what it says then is about the settings it had.
    if [ "$(systemctl show -p NRestarts --value -- ${unit}.service)" != 0 ]; then
      systemctl stop ${unit}.service; hw_since=$(date +%s.%6N)
      systemctl start --no-block ${unit}.service || exit
    fi ;;
  *) systemctl reset-failed ${unit}.service 2>/dev/null; systemctl start --no-block ${unit}.service || exit ;;
esac`,
      ),
    noUndo: 'stopping a node takes what runs on it down: drain it first',
    timeout: options.deadline + 60,
    explain,
  };
}

/** Seconds that what belongs to a restart takes beyond the restart itself. */
const AROUND = 180;

/** For a handler: k3s restarted and ready again. Where this server has the virtual IP, another one answers at it meanwhile. */
export function k3sRestarted(
  options: StartOptions,
  vip?: { readonly address: string; readonly node: string; readonly ip: string },
): Resource {
  const unit = unitOf(options.kind);
  const timeout = options.deadline + AROUND;
  const restart = sh`
${options.kind === 'server' ? hwYieldLeader : sh`:`}
${watched(
  options,
  sh`
hw_old=$(systemctl show -p InvocationID --value -- ${unit}.service)
systemctl daemon-reload && systemctl restart --no-block ${unit}.service || exit`,
)}`;
  return {
    kind: 'k3s',
    id: `restart ${unit}`,
    probe: sh``,
    wanted: {},
    change: () => (vip ? relayed(vip.address, vip, timeout, restart) : restart),
    noUndo: 'a restart cannot be taken back',
    verify: 'exit code',
    timeout,
    explain,
  };
}
