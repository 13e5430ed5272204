/** Arithmetic with IP addresses and networks, by the package ipaddr.js. */
import { isIP } from 'node:net';
import { ipaddr } from './lazy-packages.ts';

/** An IP network, IPv4 or IPv6, in its short form and with the host bits cleared: `192.0.2.0/24`, `fd00::/8`. */
export interface IpNetwork {
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefix: number;
}

/** The network that `text` names: `192.0.2.11/24` is in 192.0.2.0/24; an address alone is a network of one. */
export function parseNetwork(text: string): IpNetwork | undefined {
  const [address = '', length, ...more] = text.split('/');
  const family = isIP(address);
  if (family !== 4 && family !== 6) return undefined;
  const bits = family === 4 ? 32 : 128;
  const prefix = length === undefined ? bits : Number(length);
  if (more.length > 0 || !/^\d+$/.test(length ?? '0') || prefix > bits) return undefined;
  const { IPv4, IPv6 } = ipaddr();
  const cidr = `${address}/${prefix}`;
  const network =
    family === 4 ? IPv4.networkAddressFromCIDR(cidr).toString() : IPv6.networkAddressFromCIDR(cidr).toRFC5952String();
  return { family, address: network, prefix };
}

/**
 * Is `address` in `network` (`192.0.2.0/24`, or an address alone)? False where one is none, or they are of two
 * families.
 */
export function isInNetwork(address: string, network: string): boolean {
  const [family, found] = [isIP(address), parseNetwork(network)];
  if (found === undefined || found.family !== family) return false;
  return parseNetwork(`${address}/${found.prefix}`)?.address === found.address;
}

/** The network of an interface's address: `192.0.2.0/24`. */
export function networkOf({ address, prefix }: { readonly address: string; readonly prefix: number }): string {
  const network = parseNetwork(`${address}/${prefix}`);
  if (network === undefined) throw new Error(`${address}/${prefix} is not an IP network`);
  return `${network.address}/${prefix}`;
}
