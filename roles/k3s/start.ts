/**
 * Starting and restarting k3s. `systemctl start` of a server blocks until etcd has a quorum, so units are started with
 * `--no-block` and watched until a deadline. A server is ready when /readyz says so to the admin certificate. A failure
 * is explained from the unit's log.
 */
import { type Resource, type Script, sh, shellFunction } from '../../engine/index.ts';
import { quote } from '../../engine/script.ts';
import { DATA, hwReady, hwYieldLeader } from './etcd.ts';
import { explainStart, knownFailures, permanentFailures, REJOIN, relevantLines } from './failures.ts';
import { withApiRelay } from './vip.ts';

/** Which unit, and how long it may take. */
export interface StartOptions {
  readonly kind: 'server' | 'agent';
  /** Seconds until it must be ready. */
  readonly deadline: number;
  /**
   * Stop the unit when it fails before it has data of its own. A failing join adds a half-joined member to etcd again
   * and again, which keeps all others from joining.
   */
  readonly stopWhenJoinFails?: boolean;
}

/** The unit of a kind of node. */
export const unitOf = (kind: 'server' | 'agent'): string => (kind === 'server' ? 'k3s' : 'k3s-agent');

/**
 * `hw_server_ready`: is the unit active and its API ready? `hw_agent_ready`: and its kubelet healthy? Print what is
 * not.
 */
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
 * `hw_watch UNIT READY DEADLINE SINCE OLD`: waits until READY holds for an invocation other than OLD. Ends at once when
 * the log since SINCE has a permanent failure. Prints what it sees; the relevant lines of the log go to stderr.
 */
const hwWatch = shellFunction(
  'hw_watch',
  `
hw_relevant=${quote(relevantLines)}
hw_permanent=${quote(permanentFailures)}
hw_known=${quote(knownFailures)}
read -r hw_now hw_rest </proc/uptime; hw_start=\${hw_now%.*} hw_said= hw_last=0 hw_again=
while :; do
  hw_text=$($2 2>&1); hw_rc=$?; hw_seen=$(printf '%s\\n' "$hw_text" | tail -n 1)
  if [ $hw_rc = 0 ] && [ "$(systemctl show -p InvocationID --value -- "$1.service")" = "$5" ]; then hw_rc=1 hw_seen='still stopping'; fi
  read -r hw_now hw_rest </proc/uptime; hw_waited=$((\${hw_now%.*} - hw_start))
  if [ $hw_rc = 0 ]; then echo "ready after $hw_waited s"; return 0; fi
  if [ "$hw_seen" != "$hw_said" ] || [ $((hw_waited - hw_last)) -ge 15 ]; then
    echo "last seen after $hw_waited s: $hw_seen"; hw_said=$hw_seen hw_last=$hw_waited
  fi
  hw_log=$(journalctl -u "$1.service" --since "@$4" -o cat --no-pager 2>/dev/null | grep -E "$hw_relevant" | cut -c1-700 | tail -n 30)
  if printf '%s\\n' "$hw_log" | grep -q -E "$hw_permanent"; then break; fi
  if [ -z "$hw_again" ] && printf '%s\\n' "$hw_log" | grep -q -F ${quote(REJOIN)}; then
    echo 'it was removed from etcd: k3s is started once more to rejoin'
    hw_again=yes; systemctl restart --no-block "$1.service"
  fi
  # An unknown failure that is logged again and again is permanent too.
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

/**
 * A join that goes on failing, stopped. One that has its data meanwhile is left to finish: stopped and removed from
 * etcd, it would have to be wiped.
 */
export function failingJoinStopped(): Resource {
  const unit = unitOf('server');
  const hasData = sh`[ -d ${DATA}/server/db/etcd/member/wal ]`;
  return {
    kind: 'k3s',
    id: 'no failing join',
    probe: sh`
case $(systemctl show -p ActiveState --value -- ${unit}.service) in
  active|activating|reloading) if ${hasData}; then echo failing=no; else echo failing=yes; fi ;;
  *) echo failing=no ;;
esac`,
    wanted: { failing: 'no' },
    change: () => sh`
systemctl stop ${unit}.service || exit
! ${hasData} || systemctl start --no-block ${unit}.service`,
    noUndo: 'the join did not come to an end',
  };
}

/** The etcd data of a removed member, out of the way: where k3s itself puts it when it finds its own tombstone. */
export function removedDataAside(): Resource {
  const etcd = `${DATA}/server/db/etcd`;
  return {
    kind: 'k3s',
    id: 'no data of a removed member',
    probe: sh`
if [ -d ${etcd}/member/wal ] && [ ! -e ${etcd}/tombstone ]; then echo data=present; else echo data=absent; fi`,
    wanted: { data: 'absent' },
    change: () => sh`
! systemctl -q is-active ${unitOf('server')}.service || { echo 'k3s runs' >&2; exit 1; }
mv ${etcd} "${DATA}/server/db/etcd-backup-$(date +%s)"`,
    noUndo: 'etcd does not know this member any more',
  };
}

/** Seconds for what happens around a restart: the relay, and the hand-over of the leadership. */
const RESTART_OVERHEAD = 180;

/**
 * For a handler: restarts k3s and waits until it is ready. Where this server has the virtual IP, another answers
 * meanwhile.
 */
export function k3sRestarted(
  options: StartOptions,
  vip?: { readonly address: string; readonly node: string; readonly ip: string },
): Resource {
  const unit = unitOf(options.kind);
  const timeout = options.deadline + RESTART_OVERHEAD;
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
    change: () => (vip ? withApiRelay(vip.address, vip, timeout, restart) : restart),
    noUndo: 'a restart cannot be taken back',
    verify: 'exit code',
    timeout,
    explain,
  };
}
