/** What would make the firewall fail or be incomplete, found before anything is changed. Pure. */
import { type HostView, pass, refuse, type Verdict, warn } from '../../engine/index.ts';
import type { Network } from '../cluster/network.ts';
import type { FirewallFound } from './facts.ts';
import type { FirewallVars } from './rules.ts';
import { sshSources } from './ssh.ts';

/** The verdicts on one host. */
export function firewallVerdicts(
  host: HostView,
  vars: FirewallVars,
  found: FirewallFound,
  net: Network,
): readonly Verdict[] {
  return [otherFirewalls(host, found), adminNetworks(host, vars), ipv6(found, net), ssh(host, vars, net)];
}

function otherFirewalls(host: HostView, { others }: FirewallFound): Verdict {
  if (others.length === 0) return pass('other-firewall', 'none but ufw');
  const list = others.join(', ');
  return refuse('other-firewall', {
    evidence: `${list} enabled or running`,
    what: `another firewall (${list}) manages ${host.name}'s filter tables; two of them undo each other's rules`,
    expected: 'ufw alone',
    hint: `carry its rules over to firewall_rules, then: systemctl disable --now ${others.join(' ')}; or leave this role out and open the ports of roles/firewall/README.md there`,
  });
}

function adminNetworks(host: HostView, { firewall_admin_networks: networks }: FirewallVars): Verdict {
  const wide = networks.filter((cidr) => /\/[0-7]$/.test(cidr));
  if (networks.length === 0 && host.var('k3s_fetch_kubeconfig') !== undefined) {
    return warn('admin-networks', {
      evidence: 'k3s_fetch_kubeconfig is set, firewall_admin_networks is not',
      what: `the API on ${host.name} is closed to all but the nodes: the kubeconfig will not connect from here`,
      hint: 'firewall_admin_networks: [the network of this computer]',
    });
  }
  if (wide.length === 0) return pass('admin-networks', networks.join(', ') || 'none named');
  return refuse('admin-networks', {
    evidence: wide.join(', '),
    what: `firewall_admin_networks has ${wide.join(', ')}, which opens SSH and the Kubernetes API to the world`,
    expected: 'networks of /8 and smaller',
    hint: 'name the networks that people really administer from',
  });
}

function ipv6(found: FirewallFound, { ipv6: addresses }: Network): Verdict {
  if (addresses.length === 0) return pass('ipv6', 'no global IPv6 address');
  if (!found.installed || found.ipv6) {
    return pass('ipv6', `${addresses.join(', ')}: incoming IPv6 is denied but for established connections and ICMPv6`);
  }
  return warn('ipv6', {
    evidence: `${addresses.join(', ')}; IPV6=no in /etc/default/ufw`,
    what: 'the host has a global IPv6 address, and ufw does not filter IPv6 here: every port is open to it',
    hint: 'set IPV6=yes in /etc/default/ufw, then run again; the cluster itself uses IPv4',
  });
}

function ssh(host: HostView, vars: FirewallVars, net: Network): Verdict {
  const sources = sshSources(net, vars.firewall_admin_networks);
  const single = sources.filter((source) => !source.includes('/'));
  const evidence = `SSH stays open to ${sources.join(', ')}`;
  if (single.length === 0 || sources.length > 1) return pass('ssh-sources', evidence);
  return warn('ssh-sources', {
    evidence,
    what: `SSH to ${host.name} will be open to ${single.join(', ')} only, the address this run comes from`,
    hint: 'firewall_admin_networks, where this address may change or others administer too',
  });
}
