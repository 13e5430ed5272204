/** Two names of the inventory for one machine: a typing error in an address, or a host that was listed twice. Pure. */
import type { HostView } from '../../engine/index.ts';
import type { Network } from './network.ts';
import type { System } from './system.ts';

/** What is known of the machines, by the names of the inventory. */
export interface Machines {
  readonly systems: ReadonlyMap<string, System>;
  readonly networks: ReadonlyMap<string, Network>;
}

/**
 * The other names of the inventory for the machine of `host`. A clone has the machine id of its original, and
 * containers share the boot id of their host; the same of both, with the same host name and addresses, is one machine.
 * A name that did not answer is compared by where we connect to: a run takes a machine's lock once, so its second name
 * may be turned away.
 */
export function otherNamesOf(host: HostView, nodes: readonly HostView[], machines: Machines): readonly string[] {
  const own = identityOf(host.name, machines);
  return nodes
    .filter(({ name }) => name !== host.name)
    .filter((other) =>
      machines.systems.has(other.name) && machines.systems.has(host.name)
        ? own !== undefined && identityOf(other.name, machines) === own
        : isSameLogin(host, other),
    )
    .map(({ name }) => name);
}

function identityOf(name: string, { systems, networks }: Machines): string | undefined {
  const [system, network] = [systems.get(name), networks.get(name)];
  if (!system?.machineId || !network) return undefined;
  const addresses = network.addresses.map(({ address }) => address).sort();
  return [system.machineId, system.bootId, system.hostname, ...addresses].join(' ');
}

/** Do two names lead to the same sshd? The same private address behind two jump hosts is two machines. */
export function isSameLogin(one: HostView, other: HostView): boolean {
  const wayTo = (host: HostView) =>
    JSON.stringify([host.address, host.port, host.var('ansible_ssh_common_args'), host.var('ansible_ssh_extra_args')]);
  return wayTo(one) === wayTo(other);
}
