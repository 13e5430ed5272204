/** The way we came in, kept open. */
import { isIPv4 } from 'node:net';
import type { HostView } from '../../engine/index.ts';
import { isInNetwork, networkOf } from '../../engine/ip-address.ts';
import type { UfwRule } from '../../engine/resources/ufw.ts';
import type { Network } from '../cluster/network.ts';

/**
 * The ports SSH must stay open on: the one sshd listens on, as it sees our connection, and the one we connect to, which
 * is another where a router maps ports.
 */
export function sshPorts(host: HostView, { ssh }: Network): readonly number[] {
  return [...new Set([ssh?.serverPort ?? host.port, host.port])];
}

/**
 * Who may use SSH: the address our connection comes from, as sshd sees it (a jump host's or a router's where one is
 * between); the whole network where the host is on the same one, so that a laptop with a new lease is not shut out; and
 * the networks of the administrators. Without an SSH connection (local transport), the host's own networks.
 */
export function sshSources({ ssh, addresses }: Network, adminNetworks: readonly string[]): readonly string[] {
  const near = addresses.filter(({ prefix }) => prefix < 32).map(networkOf);
  if (!ssh) return [...new Set([...near, ...adminNetworks])];
  const client = ssh.client.replace(/^::ffff:/, '').replace(/%.*/, '');
  if (!isIPv4(client)) {
    // Over IPv6. The IPv4 networks too: the next connection may come in by the other family.
    const source = client.toLowerCase().startsWith('fe80:') ? 'fe80::/10' : client;
    return [...new Set([source, ...near, ...adminNetworks])];
  }
  return [...new Set([near.find((cidr) => isInNetwork(client, cidr)) ?? client, ...adminNetworks])];
}

/** The rules that keep it open. They are never taken for stale: another administrator's may be among them. */
export function sshRules(host: HostView, found: Network, adminNetworks: readonly string[]): readonly UfwRule[] {
  return sshPorts(host, found).flatMap((port) =>
    sshSources(found, adminNetworks).map(
      (from): UfwRule => ({
        action: 'allow',
        from,
        port: `${port}`,
        proto: 'tcp',
        comment: `${SSH_COMMENT} from ${from}`,
      }),
    ),
  );
}

/** Marks the rules of {@link sshRules}. */
export const SSH_COMMENT = 'heartwood: SSH';
