/** Verdicts on a machine among the others: names, clocks, architectures, and what etcd knows of it. Pure. */
import { pass, refuse, type Verdict, warn } from '../../engine/index.ts';
import { nodeKind } from '../cluster/groups.ts';
import { nodeIps } from '../cluster/network.ts';
import { otherNamesOf } from '../cluster/same-machine.ts';
import type { System } from '../cluster/system.ts';
import type { Prerequisites } from './facts.ts';
import { type Addresses, nodeAddress, sameMachine, sourceAddress } from './node-address.ts';

/** The machine at hand among all nodes that answered. */
export interface ClusterView extends Addresses {
  /** Of this host. */
  readonly found: Prerequisites;
  /** Of the servers that answered. */
  readonly servers: ReadonlyMap<string, Prerequisites>;
}

/** All of them. `drift` in seconds. */
export function clusterVerdicts(seen: ClusterView, drift: number): readonly Verdict[] {
  return [
    sameMachine(seen),
    hostname(seen),
    unique(seen, 'machine-id', ({ machineId }) => machineId, {
      what: 'the machine id',
      why: 'leases of the DHCP server and journals get mixed up',
      hint: 'rm /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup; reboot',
    }),
    unique(seen, 'product-uuid', ({ productUuid }) => productUuid, {
      what: 'the product UUID',
      why: 'what identifies machines by it takes them for one',
      hint: 'give the virtual machine a UUID of its own; nothing can be done about boards that share one',
    }),
    nodeAddress(seen),
    sourceAddress(seen),
    clock(seen, drift),
    architectures(seen),
    etcdAddress(seen),
    learner(seen),
    nodePassword(seen),
  ];
}

/** The other nodes of which `of` says the same as of this host. Another name of this machine is no other node. */
function sameAs(seen: ClusterView, of: (system: System) => string): readonly string[] {
  const own = seen.systems.get(seen.host.name);
  const mine = own === undefined ? '' : of(own);
  if (mine === '') return [];
  const twins = otherNamesOf(seen.host, seen.nodes, seen);
  const found = [...seen.systems].filter(([name, value]) => name !== seen.host.name && of(value) === mine);
  return found.map(([name]) => name).filter((name) => !twins.includes(name));
}

/** The name that the node gets: k3s has host names in lower case. */
const nodeName = ({ hostname: name }: System): string => name.toLowerCase();

function hostname(seen: ClusterView): Verdict {
  const own = seen.systems.get(seen.host.name);
  const name = own ? nodeName(own) : '';
  const others = sameAs(seen, nodeName);
  const hint = `hostnamectl set-hostname ${seen.host.name}`;
  if (others.length > 0) {
    return refuse('hostname', {
      evidence: name,
      what: `${[seen.host.name, ...others].join(' and ')} have the same host name, ${name}: the second would be refused as a node`,
      hint,
    });
  }
  if (/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name) && name !== 'localhost') return pass('hostname', name);
  return refuse('hostname', {
    evidence: name,
    what: `"${name}" can't be the name of a node`,
    expected: 'letters, digits and -',
    hint,
  });
}

function unique(
  seen: ClusterView,
  id: string,
  of: (system: System) => string,
  { what, why, hint }: { readonly what: string; readonly why: string; readonly hint: string },
): Verdict {
  const own = seen.systems.get(seen.host.name);
  const others = sameAs(seen, of);
  const evidence = (own && of(own)) || 'none';
  if (others.length === 0) return pass(id, evidence);
  return warn(id, { evidence, what: `${seen.host.name} has ${what} of ${others.join(', ')}: ${why}`, hint });
}

function clock(seen: ClusterView, drift: number): Verdict {
  const own = seen.systems.get(seen.host.name)?.clockOffset ?? 0;
  const words = (seconds: number): string => `${Math.abs(seconds).toFixed(1)} s ${seconds < 0 ? 'behind' : 'ahead of'}`;
  const evidence = `${words(own)} this machine's clock`;
  const hint =
    'timedatectl set-ntp true; chronyc makestep. Where every host is off alike, the clock here is the wrong one';
  const expected = `${drift} s (preflight_clock_drift)`;
  if (Math.abs(own) > drift) {
    return refuse('clock', {
      evidence,
      what: `${seen.host.name}'s clock is ${evidence}: tokens and certificates fail`,
      expected,
      hint,
    });
  }
  const far = [...seen.systems].filter(([name, { clockOffset }]) => {
    const saysItself = Math.abs(clockOffset) > drift && seen.checked.has(name);
    return Math.abs(clockOffset - own) > drift && !saysItself;
  });
  if (far.length === 0) return pass('clock', evidence);
  const list = far.map(([name, { clockOffset }]) => `${words(own - clockOffset)} ${name}'s`).join(', ');
  return refuse('clock', { evidence: list, what: `${seen.host.name}'s clock is ${list}`, expected, hint });
}

function architectures({ host, nodes, systems }: ClusterView): Verdict {
  const own = systems.get(host.name)?.arch ?? 'other';
  const amd64 = nodes.filter(({ name }) => systems.get(name)?.arch === 'amd64').map(({ name }) => name);
  const evidence = [...new Set([...systems.values()].map(({ arch }) => arch))].join(', ');
  if (nodeKind(host) !== 'server' || own === 'amd64' || amd64.length === 0)
    return pass('mixed-architectures', evidence);
  return warn('mixed-architectures', {
    evidence,
    what: `${host.name} (${own}) is a server beside AMD64 machines (${amd64.join(', ')}): etcd is as slow as its slowest disk`,
    hint: 'make the AMD64 machines the servers, and this one an agent, unless its disk is as good',
  });
}

function etcdAddress(seen: ClusterView): Verdict {
  const member = seen.found.etcdAddress;
  if (member === undefined) return pass('etcd-address', 'no etcd here');
  const own = nodeIps(seen.nodes, seen.networks).get(seen.host.name);
  if (own === undefined || own === member) return pass('etcd-address', member);
  return refuse('etcd-address', {
    evidence: `member at ${member}, node at ${own}`,
    what: `${seen.host.name} is a member of etcd under ${member}, and its address is ${own} now: the others don't find it`,
    hint:
      `give it ${member} back, or node_ip: ${member} where it has both; else, with the other servers healthy: kubectl delete node ` +
      `${seen.host.name}, stop k3s there, rm -rf /var/lib/rancher/k3s/server/db, run again`,
  });
}

function learner({ host, found }: ClusterView): Verdict {
  if (!found.learner) return pass('learner', found.learner === undefined ? 'no etcd answers here' : 'a voter');
  return warn('learner', {
    evidence: 'etcd_server_is_learner 1',
    what: `${host.name}'s etcd is a learner still: it joined just now, or it has stalled; meanwhile no other server can join`,
    hint: 'wait a minute; if it stays so, look for a closed 2380/tcp (the firewall role says by packets) and run again',
  });
}

function nodePassword({ host, systems, found, servers }: ClusterView): Verdict {
  const system = systems.get(host.name);
  const name = system && nodeName(system);
  if (found.nodePassword || found.k3s) return pass('node-password', 'there');
  const knows = [...servers].find(([, { nodes }]) => name !== undefined && nodes.includes(name));
  if (!knows) return pass('node-password', 'a new node');
  return refuse('node-password', {
    evidence: `${knows[0]} knows a node ${name}; no /etc/rancher/node/password here`,
    what: `the cluster knows another ${name}, and would reject this one ("Node password rejected"): re-imaged, or a second host of that name`,
    hint: `if the old ${name} is gone for good: k3s kubectl delete node ${name} on ${knows[0]}; else another host name`,
  });
}
