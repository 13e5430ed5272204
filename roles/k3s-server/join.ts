/** What a server does to join: where it joins, what must hold before it, when it has joined. */
import { type HostView, refuse, type Task, task } from '../../engine/index.ts';
import { waitFor } from '../../engine/resources/wait.ts';
import type { ServerVars } from '../k3s/config.ts';
import { allVote, type EtcdMember, isVoter, noLeftoverAt, portsOpen } from '../k3s/etcd.ts';
import { hasCluster, type K3sState } from '../k3s/state.ts';
import type { Decision } from './decision.ts';

/** What is known of each server that answered. */
export type States = ReadonlyMap<string, K3sState>;

/** The leader's list of members, from each server that has it. */
export type MemberLists = ReadonlyMap<string, readonly EtcdMember[] | undefined>;

/** Does a server hold the cluster's data? False for one that did not answer. */
export function holdsCluster(states: States, name: string): boolean {
  const state = states.get(name);
  return state !== undefined && hasCluster(state);
}

/** The lists of members that servers of the same cluster have. */
export function listsOf(
  own: K3sState,
  states: States,
  lists: MemberLists,
): readonly (readonly EtcdMember[] | undefined)[] {
  return [...lists].flatMap(([name, list]) => (own.ca !== undefined && states.get(name)?.ca === own.ca ? [list] : []));
}

/**
 * The URL for `server:`. What is set already stays as long as it names another server of the inventory, so that no run
 * restarts a server because another one was away. A member ignores it, but for renewing its certificates.
 */
export function joinUrl(
  decision: Exclude<Decision, { kind: 'refuse' }>,
  current: string | undefined,
  host: HostView,
  servers: readonly HostView[],
  ips: ReadonlyMap<string, string>,
  states: States,
  vip: string | undefined,
): string | undefined {
  if (decision.kind === 'init') return undefined;
  const names = (server: HostView): boolean =>
    [ips.get(server.name), server.name, server.address].some((name) => current === `https://${name}:6443`);
  const others = servers.filter(({ name }) => name !== host.name);
  if (decision.kind === 'member') {
    if (current === undefined) return undefined;
    if (others.some(names) || current === `https://${vip}:6443`) return current;
    const other = others.find(({ name }) => holdsCluster(states, name));
    return other && urlOf(other, ips);
  }
  const set = others.find(names);
  if (set && states.get(set.name)?.server === 'active' && holdsCluster(states, set.name)) return current;
  const via = others.find(({ name }) => name === decision.via);
  return via && urlOf(via, ips);
}

function urlOf(server: HostView, ips: ReadonlyMap<string, string>): string {
  return `https://${ips.get(server.name) ?? server.address}:6443`;
}

/**
 * Refuses a join where etcd still has this host as a voter: its data is lost, and only a person knows that for sure.
 */
export function lostMember(decision: Decision, node: string, ip: string, members: MemberLists): readonly Task[] {
  if (decision.kind !== 'join') return [];
  const lost = [...members.values()]
    .flatMap((list) => list ?? [])
    .find(({ address, learner }) => address === ip && !learner);
  if (!lost) return [];
  const verdict = refuse('lost-member', {
    evidence: `${lost.name} at ${ip}`,
    what: `etcd has this host as a voter (${lost.name}), and the host does not have its data`,
    hint: `if its disk is lost for good: \`k3s kubectl delete node ${node}\` on ${decision.via} removes the member, then run again`,
  });
  return [task('Make sure that etcd does not know this host from before', verdict, { tags: ['always'] })];
}

/** What must hold on the way to, and at, the server that is joined through. */
export function beforeJoin(
  viaName: string,
  host: HostView,
  ip: string,
  servers: readonly HostView[],
  ips: ReadonlyMap<string, string>,
  vars: ServerVars,
): readonly Task[] {
  const via = servers.find(({ name }) => name === viaName);
  if (!via) return [];
  const tags = { tags: ['start'] };
  return [
    task(
      'Connect to the server to join',
      portsOpen(host.name, via.name, ips.get(via.name) ?? via.address, [6443, 2379, 2380]),
      tags,
    ),
    task('Connect back from the server to join', portsOpen(via.name, host.name, ip, [2379, 2380]), {
      ...tags,
      delegateTo: via,
    }),
    task("Remove this host's own half-joined member", noLeftoverAt(ip), { ...tags, delegateTo: via }),
    task(
      'Wait until all members of etcd vote',
      waitFor({
        what: 'every member of etcd to vote',
        script: allVote(),
        deadline: vars.k3s_start_timeout,
        every: 2,
      }),
      { ...tags, delegateTo: via },
    ),
  ];
}

/** Waits until a server votes. */
export function votes(node: string, ip: string, deadline: number) {
  return waitFor({ what: `${node} to be a voter of etcd`, script: isVoter(node, ip), deadline, every: 2 });
}
