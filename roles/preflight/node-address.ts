/** Verdicts on the addresses by which nodes know each other. Pure. */
import { type HostView, pass, refuse, type Verdict } from '../../engine/index.ts';
import { type Network, nodeIps, type SourceAddress } from '../cluster/network.ts';
import { otherNamesOf } from '../cluster/same-machine.ts';
import type { System } from '../cluster/system.ts';

/** The nodes, as far as addresses go. */
export interface Addresses {
  readonly host: HostView;
  /** Every node of the inventory. */
  readonly nodes: readonly HostView[];
  /** Those that are checked in this run, by name. */
  readonly checked: ReadonlySet<string>;
  readonly systems: ReadonlyMap<string, System>;
  readonly networks: ReadonlyMap<string, Network>;
  /** Where this host's packets to the other nodes come from. */
  readonly sources: readonly SourceAddress[];
}

/**
 * Is the machine in the inventory under several names? The first of those that are checked says it, for all of them.
 */
export function sameMachine(seen: Addresses): Verdict {
  const { host, nodes, checked, systems } = seen;
  const others = otherNamesOf(host, nodes, seen);
  const names = nodes.map(({ name }) => name).filter((name) => name === host.name || others.includes(name));
  const first = names.find((name) => checked.has(name));
  if (others.length === 0) return pass('same-machine', 'one name of the inventory');
  if (first !== host.name) return pass('same-machine', `the machine of ${first}, which says so`);
  const system = systems.get(host.name);
  return refuse('same-machine', {
    evidence: `machine-id ${system?.machineId}, host name ${system?.hostname}, the same addresses`,
    what: `${names.join(' and ')} are names of one machine`,
    expected: 'one name for each machine',
    hint: `take ${others.length === 1 ? 'one of the two' : 'all but one of them'} out of the inventory; or correct ansible_host, where these should be different machines`,
    final: true,
  });
}

/** Has the node an address of its own, which no other node has? */
export function nodeAddress(seen: Addresses): Verdict {
  const { host, nodes, networks } = seen;
  const ips = nodeIps(nodes, networks);
  const own = ips.get(host.name) ?? '';
  const twins = otherNamesOf(host, nodes, seen);
  const others = [...ips].filter(([name, ip]) => ip === own && name !== host.name && !twins.includes(name));
  if (others.length > 0) {
    return refuse('node-ip', {
      evidence: own,
      what: `${[host.name, ...others.map(([name]) => name)].join(' and ')} would use the same address, ${own}, for each other`,
      hint: 'node_ip for each of them, in host_vars: its address on the network they share',
    });
  }
  const here = networks.get(host.name)?.addresses ?? [];
  if (here.length === 0 || here.some(({ address }) => address === own)) return pass('node-ip', own);
  const list = here.map(({ address, iface }) => `${address} (${iface})`).join(', ');
  return refuse('node-ip', {
    evidence: list,
    what: `node_ip is ${own}, and ${host.name} does not have that address: etcd and the kubelet could not use it`,
    expected: `one of ${list}`,
    hint: `correct node_ip in host_vars/${host.name}.yml`,
  });
}

/**
 * Do this host's packets come from its node address? A host with several addresses on one network sends from the first
 * of them, whatever it listens on: the firewalls of its peers and etcd would not know it.
 */
export function sourceAddress({ host, nodes, networks, sources }: Addresses): Verdict {
  const ips = nodeIps(nodes, networks);
  const own = ips.get(host.name);
  const peers = nodes.filter(({ name }) => name !== host.name && networks.has(name) && ips.get(name) !== own);
  const found = peers.flatMap(({ name }) => {
    const ip = ips.get(name);
    const way = sources.find(({ destination }) => destination === ip);
    return way ? [{ name, ip, ...way }] : [];
  });
  const away = found.filter(({ source }) => source === undefined);
  if (away.length > 0) {
    const list = away.map(({ name, ip }) => `${name} (${ip})`).join(', ');
    return refuse('node-source', {
      evidence: `ip route get: no route to ${list}`,
      what: `${host.name} has no route to ${list}`,
      hint: 'node_ip for each of them, in host_vars: its address on the network they share; or a route',
    });
  }
  const wrong = found.filter(({ source }) => source !== own);
  if (wrong.length === 0) {
    const evidence = found.length > 0 ? `${own}, to ${found.map(({ name }) => name).join(', ')}` : 'nothing to compare';
    return pass('node-source', evidence);
  }
  const real = [...new Set(wrong.map(({ source }) => source))];
  const names = wrong.map(({ name }) => name).join(', ');
  return refuse('node-source', {
    evidence: wrong.map(({ name, ip, source }) => `to ${name} (${ip}) from ${source}`).join(', '),
    what: `packets of ${host.name} to ${names} come from ${real.join(' and ')}, not from its node address ${own}: the other nodes would not let them in`,
    expected: `packets from ${own}`,
    hint:
      real.length === 1
        ? `node_ip: ${real[0]} in host_vars/${host.name}.yml; or take ${real[0]} off its interface, or put it behind ${own} there`
        : `node_ip in host_vars/${host.name}.yml: the address on the network that all nodes share`,
  });
}
