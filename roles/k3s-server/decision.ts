/**
 * Whether a server is a member, joins, or begins the cluster: decided from what is on every server's disk. Pure. It
 * must never begin a second cluster.
 */
import { hasCluster, type K3sState } from '../k3s/state.ts';

/** The part of a server's state that the decision needs. */
export type ServerState = Pick<K3sState, 'datastore' | 'removed' | 'ca' | 'server' | 'agent' | 'joins'>;

/** What is known of the servers. */
export interface ClusterState {
  /** The server at hand. */
  readonly self: string;
  /** Every server of the inventory, in its order. */
  readonly servers: readonly string[];
  /** The state of each; a server that could not be asked is missing. */
  readonly states: ReadonlyMap<string, ServerState>;
  /** The user vouches that servers that could not be asked have no cluster. */
  readonly trustAbsent: boolean;
}

/** What to do with a server. */
export type Decision =
  /** It has the cluster's data and starts as it is. */
  | { readonly kind: 'member' }
  /** It begins a new cluster. */
  | { readonly kind: 'init' }
  /** It joins through `via`. `clusterExists`: that server has a cluster already; else it is about to begin one. */
  | { readonly kind: 'join'; readonly via: string; readonly clusterExists: boolean }
  | {
      readonly kind: 'refuse';
      readonly id: RefusalId;
      readonly evidence: string;
      readonly what: string;
      readonly hint: string;
      /** The data on the disks is the reason: it cannot be waived. */
      readonly final: boolean;
    };

/** Names of refusals, by which they are waived. */
export type RefusalId = 'k3s-datastore' | 'k3s-kind' | 'split-brain';

/** Decides. */
export function decide(knowledge: ClusterState): Decision {
  const { self, servers, states, trustAbsent } = knowledge;
  const own = states.get(self);
  if (!own) throw new Error(`decide: the state of ${self} itself is missing`);
  const unfit = refuseUnfit(own);
  if (unfit) return unfit;

  const others = servers.filter((name) => name !== self);
  const withCluster = others.filter((name) => {
    const state = states.get(name);
    return state !== undefined && hasCluster(state);
  });
  if (hasCluster(own)) {
    const strangers = withCluster.filter((name) => {
      const ca = states.get(name)?.ca;
      return ca !== undefined && own.ca !== undefined && ca !== own.ca;
    });
    if (strangers.length === 0) return { kind: 'member' };
    return {
      kind: 'refuse',
      id: 'split-brain',
      evidence: `its CA is ${shortHash(own.ca)}, that of ${strangers.map((name) => `${name} ${shortHash(states.get(name)?.ca)}`).join(', ')}`,
      what: `this server and ${strangers.join(', ')} are servers of different clusters`,
      hint:
        'decide which cluster is the right one; on the servers of the other: save what is needed, stop k3s, move ' +
        '/var/lib/rancher/k3s/server away, then run again',
      final: true,
    };
  }
  // Through a server that runs, first of all the one it is set to join already.
  const running = withCluster.filter((name) => states.get(name)?.server === 'active');
  const [via] = running.length > 0 ? running : withCluster;
  if (via !== undefined) return { kind: 'join', via, clusterExists: true };

  const unjoinable = others.filter((name) => unjoinableStore(states.get(name)) !== undefined);
  const [foreign] = unjoinable;
  if (foreign !== undefined && !trustAbsent) {
    const store = unjoinableStore(states.get(foreign)) ?? 'sqlite';
    return {
      kind: 'refuse',
      id: 'split-brain',
      evidence: `${STORES[store].evidence} on ${unjoinable.join(', ')}`,
      what: `${foreign} keeps a cluster in ${STORES[store].name}, which no other server can join, and a second one must not be begun beside it`,
      hint: `on ${foreign}: ${STORES[store].hint}`,
      final: false,
    };
  }

  const absent = others.filter((name) => !states.has(name));
  const [first = self] = servers;
  if (absent.length > 0 && !trustAbsent) {
    return {
      kind: 'refuse',
      id: 'split-brain',
      evidence: `no cluster on ${[self, ...others.filter((name) => states.has(name))].join(', ')}; ${absent.join(', ')} not reached`,
      what: `it can't be known whether ${absent.join(', ')} has a cluster already, and a second one must not be begun beside it`,
      hint: `bring ${absent.join(', ')} back, or take it out of the inventory if it is gone for good`,
      final: false,
    };
  }
  return first === self ? { kind: 'init' } : { kind: 'join', via: first, clusterExists: false };
}

/** Datastores that no other server can join, and the way out of each. */
const STORES = {
  sqlite: {
    name: 'sqlite',
    evidence: '/var/lib/rancher/k3s/server/db/state.db',
    what: 'this server keeps its cluster in sqlite, which only one server can have',
    hint:
      'migrate it to etcd first: back up server/db and server/token, then set `cluster-init: true` in ' +
      '/etc/rancher/k3s/config.yaml and restart k3s (seen to take 12 s and to keep all data); then run again. Nothing was touched',
  },
  external: {
    name: 'an external datastore',
    evidence: 'datastore-endpoint is set',
    what: 'this server keeps its cluster in an external datastore, which this role does not manage',
    hint:
      'migrate to embedded etcd by backup and restore into a new cluster (an external datastore cannot be converted in ' +
      'place), or leave this host out of the group. Nothing was touched',
  },
} as const;

function unjoinableStore(state: ServerState | undefined): keyof typeof STORES | undefined {
  return state?.datastore === 'sqlite' || state?.datastore === 'external' ? state.datastore : undefined;
}

function refuseUnfit(own: ServerState): Decision | undefined {
  const store = unjoinableStore(own);
  if (store) {
    const { evidence, what, hint } = STORES[store];
    return { kind: 'refuse', id: 'k3s-datastore', evidence, what, hint, final: true };
  }
  if (own.agent === 'active' || own.agent === 'activating') {
    return {
      kind: 'refuse',
      id: 'k3s-kind',
      evidence: `k3s-agent.service is ${own.agent}`,
      what: 'this host is an agent of a cluster, and the inventory calls it a server',
      hint: 'drain it, delete its node, run k3s-agent-uninstall.sh (or stop and disable k3s-agent and remove its unit), then run again',
      final: true,
    };
  }
  return undefined;
}

const shortHash = (ca: string | undefined): string => `${(ca ?? 'unknown').slice(0, 12)}...`;

/** How many of `count` servers may be lost with the rest still a majority. */
export function tolerance(count: number): number {
  return Math.max(0, Math.ceil(count / 2) - 1);
}

/** The quorum of `count` servers, in words. */
export function quorumWords(count: number): string {
  const lost = tolerance(count);
  const servers = count === 1 ? '1 server' : `${count} servers`;
  return `${servers}, quorum ${Math.floor(count / 2) + 1}: the cluster survives the loss of ${lost === 0 ? 'none' : lost}`;
}
