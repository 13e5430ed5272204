/**
 * The lab's network: a bridge in a network namespace of its own (so that neither the machine's firewall nor
 * br_netfilter stands between hosts), a link from there to the machine, and a link to each host. Each host's own
 * namespace is made anew at every boot by its boot script (boot.ts), as a real reboot clears a machine's network.
 */
import { UserError } from '../engine/errors.ts';
import { emptyFilter } from './filter.ts';
import { $ } from './local.ts';
import { gatewayAddress, subnetOf, switchName } from './names.ts';

/** A lab number that no lab on this machine uses and whose subnet the machine has no route to. */
export async function freeNumber(): Promise<number> {
  const { stdout: routes } = await $`ip -4 route show table all`;
  const { stdout: namespaces } = await $`ip netns list`;
  const taken = new Set(namespaces.split('\n').map((line) => line.split(' ')[0]));
  for (let number = 1; number < 255; number++) {
    if (!routes.includes(`${subnetOf(number)}.`) && !taken.has(switchName(number))) return number;
  }
  throw new UserError({ what: 'no free subnet in 10.89.0.0/16', hint: 'take labs down: npm run lab status' });
}

/** Makes the bridge and the machine's link to it. */
export async function makeSwitch(number: number): Promise<void> {
  const name = switchName(number);
  await $`ip netns add ${name}`;
  await $`ip link add ${name} type veth peer name uplink netns ${name}`;
  await $`ip address add ${gatewayAddress(number)}/24 dev ${name}`;
  await $`ip link set ${name} up`;
  const inside = `link set lo up
link add bridge0 type bridge
link set bridge0 up
link set uplink master bridge0 up
`;
  await $({ input: inside })`ip -netns ${name} -batch -`;
  await $({ input: emptyFilter })`ip netns exec ${name} nft -f -`;
  // With br_netfilter, frames between hosts would pass this namespace's (empty) iptables.
  await $({
    nothrow: true,
  })`ip netns exec ${name} sysctl -q -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0`;
}

/** Removes the lab's namespaces, its hosts' included; the links go with them. */
export async function removeNetwork(number: number): Promise<void> {
  const { stdout } = await $`ip netns list`;
  const name = switchName(number);
  for (const line of stdout.split('\n')) {
    const namespace = line.split(' ')[0] ?? '';
    if (namespace === name || namespace.startsWith(`${name}-`)) await $`ip netns delete ${namespace}`;
  }
  await $({ nothrow: true })`ip link delete ${name}`;
}
