/**
 * Who is what in a cluster: the group names of k3s-ansible's inventories, so that an existing inventory works
 * unchanged.
 */
import type { AskContext, HostView } from '../../engine/index.ts';

/** Hosts that run the control plane and etcd. */
const SERVER_GROUP = 'server';
/** Hosts that run workloads only. */
const AGENT_GROUP = 'agent';

/** What a node is to the cluster. */
export type NodeKind = 'server' | 'agent';

/** The part of a context that knows the inventory. */
export type Groups = Pick<AskContext<unknown>, 'group'>;

/** The inventory's servers, in its order, also those outside `--limit`. */
export function serversOf(context: Groups): readonly HostView[] {
  return context.group(SERVER_GROUP);
}

/** The inventory's agents. A host that is in both groups is a server. */
export function agentsOf(context: Groups): readonly HostView[] {
  return context.group(AGENT_GROUP).filter((host) => nodeKind(host) === 'agent');
}

/** Every node: the servers, then the agents. */
export function nodesOf(context: Groups): readonly HostView[] {
  return [...serversOf(context), ...agentsOf(context)];
}

/** Server or agent; undefined for a host that is neither. */
export function nodeKind(host: HostView): NodeKind | undefined {
  if (host.groups.includes(SERVER_GROUP)) return 'server';
  return host.groups.includes(AGENT_GROUP) ? 'agent' : undefined;
}
