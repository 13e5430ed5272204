/**
 * What the servers observe of the virtual address: which of them has it, whether a stranger has it, its interface.
 * Pure.
 */
import { pass, refuse, type Verdict, warn } from '../../engine/index.ts';
import type { VipObservation } from '../k3s/vip.ts';

/** Observations by server. */
export type VipObservations = ReadonlyMap<string, VipObservation>;

/**
 * Is the address free, or ours? `absent` are servers that could not be asked, and may have it; `expected`: the cluster
 * has a kube-vip already.
 */
export function freeVerdict(
  address: string,
  observations: VipObservations,
  absent: readonly string[],
  nodes: ReadonlyMap<string, string>,
): Verdict {
  const id = 'vip-free';
  const node = [...nodes].find(([, ip]) => ip === address)?.[0];
  if (node) {
    return refuse(id, {
      evidence: `${address} is the address of ${node}`,
      what: 'kube_vip_address is the address of a node',
      expected: 'an address in the network of the servers that nobody has',
    });
  }
  const holders = holdersOf(observations);
  if (holders.length > 0) return pass(id, `${holders.join(', ')} of ours has ${address}`);
  const answers = [...observations].flatMap(([name, { answeredBy }]) => (answeredBy ? [{ name, answeredBy }] : []));
  const [stranger] = answers;
  if (!stranger) return pass(id, `nobody answers for ${address}`);
  const owner = [...observations].find(([, { macs }]) => macs.includes(stranger.answeredBy))?.[0];
  if (owner) return pass(id, `${owner} of ours answered for ${address} just now`);
  const evidence = `${stranger.answeredBy} answers for ${address}, as ${stranger.name} sees it`;
  if (absent.length > 0) {
    return warn(id, { evidence, what: `${absent.join(', ')} could not be asked, and may be the one that has it` });
  }
  return refuse(id, {
    evidence,
    what: 'another machine has kube_vip_address already: two would answer for one address',
    expected: 'an address in the network of the servers that nobody has',
    hint: `ip neigh show to ${address} on ${stranger.name}; keep the address out of the DHCP range`,
  });
}

/** Servers that have the address, by name. */
export function holdersOf(observations: VipObservations): readonly string[] {
  return [...observations].flatMap(([name, { holds }]) => (holds ? [name] : []));
}

/** Which interface to tell kube-vip, one for all servers; undefined: none, its own choice is right everywhere. */
export type Interface =
  | { readonly ok: true; readonly iface: string | undefined; readonly why: string }
  | { readonly ok: false; readonly why: string };

/**
 * The interface, by route: the one on whose network the address is. A DaemonSet has one environment for all servers, so
 * where the names differ kube-vip must choose by itself, which it does by the default route.
 */
export function interfaceFor(address: string, observations: VipObservations, set: string | undefined): Interface {
  if (set !== undefined) return { ok: true, iface: set, why: `kube_vip_interface is ${set}` };
  const none = [...observations].filter(([, { ifaces }]) => ifaces.length === 0).map(([name]) => name);
  if (none.length > 0) return { ok: false, why: `${address} is in no network of ${none.join(', ')}` };
  const several = [...observations].find(([, { ifaces }]) => ifaces.length > 1);
  if (several)
    return { ok: false, why: `${address} is in the network of ${several[1].ifaces.join(' and ')} on ${several[0]}` };
  const names = new Set([...observations.values()].flatMap(({ ifaces }) => ifaces));
  const [iface] = names;
  if (names.size <= 1) return { ok: true, iface, why: `${address} is in the network of ${iface ?? 'no server yet'}` };
  const list = [...observations].map(([name, { ifaces }]) => `${ifaces[0]} on ${name}`).join(', ');
  const byDefault = [...observations.values()].every(({ ifaces, defaultIface }) => ifaces[0] === defaultIface);
  if (byDefault)
    return { ok: true, iface: undefined, why: `${list}: each has the default route, which kube-vip goes by` };
  return { ok: false, why: `the network of ${address} is on ${list}, and not always where the default route is` };
}

/** The interface as a check. */
export function interfaceVerdict(found: Interface): Verdict {
  if (found.ok) return pass('vip-interface', found.why);
  return refuse('vip-interface', {
    evidence: found.why,
    what: 'no interface fits all servers, and kube-vip takes one name for all',
    hint: 'an address in the network of the servers; or the same interface names everywhere; or kube_vip_interface',
  });
}
