/**
 * Do packets get through? Some are sent to find out. The text of a rule proves nothing: the table of another tool, a
 * router or a security group may drop what the host's own firewall lets in. The firewall role verifies its rules with
 * it. The server role tries the ports before a join, so that a closed one is named instead of a timeout minutes later.
 *
 * - TCP: the sender sees a connection, a refusal (the packet arrived, no program listens yet), or silence.
 * - UDP: the sender sees nothing. The connection tracking tables of both ends are compared: the kernel enters a flow at
 *   the receiver only when no filter there dropped its packet ({@link flows}, {@link udpArrival}).
 */
import { type Fact, fact, sh, shellFunction } from '../../engine/index.ts';

/** A port at an address. */
export interface Target {
  /** An IPv4 address. */
  readonly address: string;
  readonly port: number;
  readonly proto: 'tcp' | 'udp';
}

/**
 * What became of an attempt. `open`: connected. `refused`: the host answered that nobody listens, so packets arrive.
 * `dropped`: no answer. `rejected`: something on the way, or the sender's own firewall, answered that it must not be.
 * `sent`: a datagram that nothing was heard of, which means nothing. `unknown`: the host has nothing to try it with.
 */
export type ReachResult = 'open' | 'refused' | 'dropped' | 'rejected' | 'sent' | 'unknown';

/** One attempt. */
export interface Reach extends Target {
  readonly result: ReachResult;
  /** What the tool said, for messages; often empty. */
  readonly said: string;
}

/**
 * Seconds after which silence means that a packet was dropped: TCP repeats an unanswered SYN after one second, and
 * again after two more.
 */
const TIMEOUT = 3;

/** `hw_said RESULT SAID`: prints the outcome of the attempt at `hw_to`. */
const said = shellFunction(
  'hw_said',
  `printf '%s %s %s\\n' "$hw_to" "$1" "$(printf %s "$2" | tail -n 1 | tr -d '\\r')"`,
);

/**
 * `hw_reach PROTO ADDRESS PORT`: tries once, and prints `PROTO ADDRESS PORT RESULT SAID`, with what is there: bash,
 * curl or nc for TCP, bash or nc for UDP. The payload is two datagrams of one byte, too short to be a packet of VXLAN
 * or WireGuard, so that who listens there ignores them.
 */
export const hwReach = shellFunction(
  'hw_reach',
  `
hw_to="$1 $2 $3" hw_rc=0
if [ "$1" = udp ]; then
  if command -v bash >/dev/null; then
    hw_out=$(bash -c 'exec 3<>"/dev/udp/$0/$1" && printf . >&3 && { sleep 0.3 || sleep 1; } && printf . >&3' "$2" "$3" 2>&1) || hw_rc=$?
  elif command -v nc >/dev/null; then
    hw_out=$(printf . | nc -u -w 1 "$2" "$3" 2>&1) || hw_rc=$?
  else
    hw_said unknown 'neither bash nor nc is there'; return
  fi
  case $hw_rc:$hw_out in
    *'efused'*) hw_said refused "$hw_out" ;;
    0:*) hw_said sent '' ;;
    *'not permitted'* | *'ermission denied'* | *'nreachable'* | *'o route to host'*) hw_said rejected "$hw_out" ;;
    *) hw_said sent "$hw_out" ;;
  esac
  return
fi
if command -v bash >/dev/null && command -v timeout >/dev/null; then
  hw_out=$(timeout ${TIMEOUT} bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$3" 2>&1) || hw_rc=$?
elif command -v curl >/dev/null; then
  hw_out=$(curl -sv -o /dev/null --noproxy '*' --connect-timeout ${TIMEOUT} -m ${TIMEOUT} "http://$2:$3/" 2>&1) || hw_rc=$?
  case $hw_out in *'* Connected to'*) hw_rc=0 ;; *'efused'*) ;; *) [ $hw_rc != 28 ] || hw_rc=124 ;; esac
elif command -v nc >/dev/null; then
  hw_out=$(nc -w ${TIMEOUT} "$2" "$3" </dev/null 2>&1) || hw_rc=$?
else
  hw_said unknown 'neither bash, curl nor nc is there'; return
fi
case $hw_rc:$hw_out in
  0:*) hw_said open '' ;;
  *'efused'*) hw_said refused '' ;;
  124:* | 143:* | *'imed out'* | *'imeout'* | [1-9]*:) hw_said dropped "$hw_out" ;;
  *) hw_said rejected "$hw_out" ;;
esac`,
  [said],
);

/** How many attempts run at the same time: each is a process or two. */
const AT_ONCE = 32;

/**
 * Tries every target from the host that is asked, {@link AT_ONCE} at a time, each for {@link TIMEOUT} seconds at most.
 * Sends a few bytes and changes nothing. For the same targets the fact is the same, whoever declares it.
 */
export function reachable(targets: readonly Target[]): Fact<readonly Reach[]> {
  const words = targets.map(({ proto, address, port }) => `${proto}/${address}/${port}`);
  return fact({
    name: 'reachable ports',
    script: sh`
hw_i=0
for hw_target in ${words}; do
  hw_rest=\${hw_target#*/}
  ${hwReach} "\${hw_target%%/*}" "\${hw_rest%/*}" "\${hw_rest#*/}" &
  hw_i=$((hw_i + 1))
  [ $((hw_i % ${AT_ONCE})) != 0 ] || wait
done
wait`,
    parse: ({ stdout }) => {
      const found = new Map(stdout.split('\n').map((line) => [line.split(' ').slice(0, 3).join(' '), line]));
      return targets.map((target): Reach => {
        const line = found.get(`${target.proto} ${target.address} ${target.port}`);
        const [, , , result = '', ...rest] = line?.split(' ') ?? [];
        if (!isResult(result)) throw new Error(`no answer about ${target.address}:${target.port}/${target.proto}`);
        return { ...target, result, said: rest.join(' ') };
      });
    },
    example: targets.map((target) => ({ ...target, result: target.proto === 'tcp' ? 'refused' : 'sent', said: '' })),
  });
}

const RESULTS: readonly string[] = [
  'open',
  'refused',
  'dropped',
  'rejected',
  'sent',
  'unknown',
] satisfies ReachResult[];
const isResult = (word: string): word is ReachResult => RESULTS.includes(word);

/** A flow of datagrams as a host's connection tracking knows it. */
export interface Flow {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly port: number;
  /** Seconds until the kernel drops the entry; counts down from the flow's last packet. */
  readonly remaining: number;
}

/** What {@link flows} finds. */
export interface Flows {
  /**
   * Does the kernel track connections here, and can its table be read? With a stateful firewall or kube-proxy it does.
   */
  readonly tracking: boolean;
  readonly flows: readonly Flow[];
}

/** The UDP flows to any of `ports` that a host's connection tracking has, incoming and outgoing. */
export function flows(ports: readonly number[]): Fact<Flows> {
  const pattern = `dport=(${ports.join('|')}) `;
  return fact({
    name: `flows to ${ports.map((port) => `${port}/udp`).join(', ')}`,
    // The table may be long: only what matters travels. Our own SSH connection is an entry wherever connections are
    // tracked.
    script: sh`
hw_conntrack() {
  if [ -r /proc/net/nf_conntrack ]; then
    cat /proc/net/nf_conntrack
  else
    PATH=$PATH:/var/lib/rancher/k3s/data/current/bin/aux
    command -v conntrack >/dev/null && conntrack -L 2>/dev/null
  fi
}
[ -z "$(hw_conntrack | head -n 1)" ] || echo tracking
hw_conntrack | grep -E 'udp +17 ' | grep -E ${pattern} || :`,
    parse: ({ stdout }) => ({
      tracking: /^tracking$/m.test(stdout),
      flows: [...stdout.matchAll(FLOW)].map(([, remaining, source = '', destination = '', sourcePort, port]) => ({
        source,
        destination,
        sourcePort: Number(sourcePort),
        port: Number(port),
        remaining: Number(remaining),
      })),
    }),
    example: { tracking: true, flows: [] },
  });
}

/** `udp 17 29 src=192.0.2.1 dst=192.0.2.2 sport=40000 dport=8472 ...`: the direction in which the first packet went. */
const FLOW = /udp +17 +(\d+) +src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)/g;

/** Flows whose last packets lie within so many seconds of the newest one's count as new. */
const NEW_FLOWS = 3;

/**
 * Did datagrams that were sent from `from` to `to` in an earlier stage, by {@link reachable}, arrive? The newest flows
 * in the sender's table are looked for in the receiver's. Where the sender tracks no connections, any flow that the
 * receiver has is believed, half a minute old at most. `unknown` where the receiver tracks none.
 */
export function udpArrival(
  { from, to, port }: { readonly from: string; readonly to: string; readonly port: number },
  atSender: Flows | undefined,
  atReceiver: Flows | undefined,
): 'open' | 'dropped' | 'unknown' {
  const between = (table: Flows | undefined): readonly Flow[] =>
    table?.flows.filter((flow) => flow.source === from && flow.destination === to && flow.port === port) ?? [];
  if (!atReceiver?.tracking) return 'unknown';
  const sent = between(atSender);
  const arrived = new Set(between(atReceiver).map(({ sourcePort }) => sourcePort));
  const newest = Math.max(...sent.map(({ remaining }) => remaining));
  const recent = sent.filter(({ remaining }) => remaining >= newest - NEW_FLOWS);
  const came = sent.length === 0 ? arrived.size > 0 : recent.some(({ sourcePort }) => arrived.has(sourcePort));
  return came ? 'open' : 'dropped';
}

/** Did the packet not arrive, as far as is known? */
export function isBlocked({ result }: Pick<Reach, 'result'>): boolean {
  return result === 'dropped' || result === 'rejected';
}

/** The sentence that names a closed port: `2380/tcp from server-1 to server-3 is dropped`. */
export function blockedSentence(
  { port, proto, result, said }: Pick<Reach, 'port' | 'proto' | 'result' | 'said'>,
  from: string,
  to: string,
): string {
  const why = result === 'rejected' ? ` (${said.replace(/^.*: /, '') || 'no reason given'})` : '';
  return `${port}/${proto} from ${from} to ${to} is ${result}${why}`;
}
