/** Proves the rules with packets: every node sends to every port that is open to it, and names what does not arrive. */
import { isIPv4 } from 'node:net';
import { type Fact, type HostView, pass, refuse, type Task, task, type Verdict, warn } from '../../engine/index.ts';
import {
  blockedSentence,
  type Flows,
  isBlocked,
  type Reach,
  reachable,
  type Target,
  udpArrival,
} from '../cluster/connectivity.ts';
import { type NodeKind, nodeKind } from '../cluster/groups.ts';
import { knownAddress } from '../cluster/network.ts';
import { portsOf, rowsTo, sendsAs } from '../cluster/ports.ts';

/** Ports of one protocol at a receiver that a kind of node may use, by the port table. */
function openPorts(
  sender: NodeKind | 'node',
  receiver: NodeKind,
  proto: Target['proto'],
  flannelBackend: string,
): readonly number[] {
  return rowsTo(receiver, { flannelBackend })
    .filter((row) => row.proto === proto && sendsAs(sender, row.from))
    .flatMap(portsOf);
}

/** What `from` must reach at `to`, by the port table. */
export function targetsOf(from: HostView, to: HostView, flannelBackend: string): readonly Target[] {
  return [...targetsAt(from, [to], 'tcp', flannelBackend), ...targetsAt(from, [to], 'udp', flannelBackend)];
}

/** The targets of one protocol at several receivers. A sender is no receiver of its own packets. */
export function targetsAt(
  from: HostView,
  receivers: readonly HostView[],
  proto: Target['proto'],
  flannelBackend: string,
): readonly Target[] {
  const others = receivers.filter(({ name }) => name !== from.name);
  return attemptedTargets(nodeKind(from), others, proto, flannelBackend);
}

/**
 * What a kind of node tries at all receivers. The targets are the same for every sender of that kind, whichever host
 * asks, so each sender is asked once and tries everything at once. It tries itself too, which proves nothing.
 */
export function attempts(
  sender: NodeKind | 'node',
  receivers: readonly HostView[],
  proto: Target['proto'],
  flannelBackend: string,
): Fact<readonly Reach[]> {
  return reachable(attemptedTargets(sender, receivers, proto, flannelBackend));
}

function attemptedTargets(
  sender: NodeKind | 'node' | undefined,
  receivers: readonly HostView[],
  proto: Target['proto'],
  flannelBackend: string,
): readonly Target[] {
  if (sender === undefined) return [];
  const ports = {
    server: openPorts(sender, 'server', proto, flannelBackend),
    agent: openPorts(sender, 'agent', proto, flannelBackend),
  };
  return receivers.flatMap((to) => {
    const [kind, address] = [nodeKind(to), knownAddress(to)];
    return kind === undefined ? [] : ports[kind].map((port) => ({ address, port, proto }));
  });
}

/** What is known of the packets from one host to another. */
export interface PacketPath {
  readonly from: HostView;
  readonly to: HostView;
  /** Outcomes of the TCP attempts; undefined where the sender could not be asked. */
  readonly tcp: readonly Reach[] | undefined;
  readonly flows: ReadonlyMap<string, Flows>;
  /** The addresses that nodes use, by name. */
  readonly ips: ReadonlyMap<string, string>;
  readonly flannelBackend: string;
}

/** All there is to say about a path: attempts at every port, UDP's from the connection tracking of both ends. */
function outcomes({ from, to, tcp, flows, ips, flannelBackend }: PacketPath): readonly Reach[] {
  const targets = targetsOf(from, to, flannelBackend);
  const [source, destination] = [ips.get(from.name), ips.get(to.name)];
  return targets.map((target): Reach => {
    if (target.proto === 'tcp') {
      const found = tcp?.find((attempt) => attempt.port === target.port && attempt.address === target.address);
      return found ?? { ...target, result: 'unknown', said: '' };
    }
    const result =
      source === undefined || destination === undefined
        ? 'unknown'
        : udpArrival({ from: source, to: destination, port: target.port }, flows.get(from.name), flows.get(to.name));
    return { ...target, result, said: '' };
  });
}

/**
 * How a path is judged. `ruled`: the receiver's rules are in place, and what does not arrive fails it. `before`: they
 * are not (check mode, `--tags verify`), so packets tell how it is without them. `outside`: the receiver is not of this
 * play.
 */
export type RulesState = 'ruled' | 'before' | 'outside';

/** The verdict on one path. */
export function packetTask(path: PacketPath, rulesState: RulesState): Task {
  const { from, to, tcp, ips } = path;
  const [address, real] = [knownAddress(to), ips.get(to.name)];
  const route = `packets from ${from.name} reach ${to.name}`;
  const verdict = ((): Verdict => {
    if (tcp === undefined) {
      const what = `whether ${route} is not known: ${from.name} could not be asked`;
      return warn('packets', { evidence: 'no answer', what, hint: `bring ${from.name} back and run again` });
    }
    if (isIPv4(address) && real !== undefined && real !== address) {
      const what = `whether ${route} was not tried: we connect to ${address}, nodes use ${real}`;
      const hint = `node_ip: ${real} in host_vars/${to.name}.yml`;
      return warn('packets', { evidence: `${address} is not the node's address`, what, hint });
    }
    const all = outcomes(path);
    const blocked = all.filter(isBlocked);
    const unknown = all.filter(({ result }) => result === 'unknown');
    const arrived = all.filter((one) => !blocked.includes(one) && !unknown.includes(one));
    const evidence = arrived.length > 0 ? `${listPorts(arrived)} arrive` : 'nothing arrives';
    if (blocked.length > 0) {
      const what = blocked.map((one) => blockedSentence(one, from.name, to.name)).join('; ');
      const finding = { evidence, what, hint: remedy(from, to, rulesState) };
      return rulesState === 'ruled' ? refuse('packets', finding) : warn('packets', finding);
    }
    // Before ufw is on, nothing may be tracking connections: that will change.
    if (unknown.length === 0 || rulesState === 'before') return pass('packets', evidence);
    const reasons = [...new Set(unknown.map(({ said }) => said).filter(Boolean))].join('; ');
    const look = `enable connection tracking, or look with "tcpdump -ni any port ${unknown[0]?.port}" on ${to.name}`;
    const what = `whether ${listPorts(unknown)} from ${from.name} reach ${to.name} is not known`;
    return warn('packets', { evidence, what, hint: reasons || look });
  })();
  return task(`${route[0]?.toUpperCase()}${route.slice(1)}`, verdict, { tags: ['verify'] });
}

/** What to do about a closed path. */
function remedy(from: HostView, to: HostView, rulesState: RulesState): string {
  if (rulesState === 'before') return `the rules of this role on ${to.name}: they are not in place there`;
  if (rulesState === 'outside') return `run the firewall role on ${to.name} too`;
  return (
    `ufw's rules on ${to.name} let them in, so something else does not: see "nft list ruleset" there (a table of another tool, ` +
    `a deny rule above ours in "ufw status numbered"), what ${from.name} lets out, and routers or security groups between`
  );
}

/** `2379/tcp, 2380/tcp and 8472/udp`. */
function listPorts(reaches: readonly Reach[]): string {
  const words = reaches.map(({ port, proto }) => `${port}/${proto}`);
  return words.length > 1 ? `${words.slice(0, -1).join(', ')} and ${words.at(-1)}` : words.join('');
}
