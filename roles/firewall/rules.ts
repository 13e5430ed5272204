/** The rules of one host, computed from the port table, the inventory and the addresses of the nodes. Pure. */
import type { HostView } from '../../engine/index.ts';
import { isInNetwork, networkOf } from '../../engine/ip-address.ts';
import type { UfwRule } from '../../engine/resources/ufw.ts';
import type { Infer } from '../../engine/vars/schema.ts';
import { type NodeKind, nodeKind } from '../cluster/groups.ts';
import type { Network } from '../cluster/network.ts';
import { API_PORT, type PortRow, rowsTo, sendsAs } from '../cluster/ports.ts';
import { type FirewallFound, ruleKey, type UfwRuleFound } from './facts.ts';
import { SSH_COMMENT } from './ssh.ts';
import type { firewallVars } from './vars.ts';

/** The role's variables. */
export type FirewallVars = Infer<typeof firewallVars>;

/** Every rule of ours begins its comment so, and only rules that do are ever removed. */
export const OWN = 'heartwood: ';

/** A node of the cluster and the addresses its packets come from. */
export interface Peer {
  readonly name: string;
  readonly kind: NodeKind;
  /** The address the nodes use. */
  readonly ip: string;
  /** Its address on the virtual address's network, where it has another there: packets to the API come from it. */
  readonly vipSide: string | undefined;
}

/** The nodes as senders; those whose address isn't known are left out. */
export function peersOf(
  nodes: readonly HostView[],
  ips: ReadonlyMap<string, string>,
  networks: ReadonlyMap<string, Network>,
  vip: string | undefined,
): readonly Peer[] {
  return nodes.flatMap((host): Peer[] => {
    const [ip, kind] = [ips.get(host.name), nodeKind(host)];
    if (ip === undefined || kind === undefined) return [];
    const addresses = networks.get(host.name)?.addresses ?? [];
    const vipSide = addresses.find((one) => one.prefix < 32 && vip !== undefined && isInNetwork(vip, networkOf(one)));
    return [{ name: host.name, kind, ip, vipSide: vipSide?.address === ip ? undefined : vipSide?.address }];
  });
}

/** What a node of kind `kind` lets in, SSH aside: one rule per sender, each from one address or one named network. */
export function clusterRules(kind: NodeKind, peers: readonly Peer[], vars: FirewallVars): readonly UfwRule[] {
  const rules: UfwRule[] = [];
  for (const row of rowsTo(kind, { flannelBackend: vars.k3s_flannel_backend })) {
    for (const { address, name } of sources(row, peers, vars)) rules.push(allow(row, address, name));
  }
  // Forwarded packets: pods to anywhere; and with host-gw also nodes to pods, which come without the pod network's
  // addresses.
  const route = { action: 'allow', route: true } as const;
  rules.push({ ...route, from: vars.k3s_cluster_cidr, comment: `${OWN}pods, forwarded` });
  if (vars.k3s_flannel_backend === 'host-gw') {
    for (const { ip, name } of peers) {
      rules.push({ ...route, from: ip, to: vars.k3s_cluster_cidr, comment: `${OWN}pods, forwarded, from ${name}` });
    }
  }
  return rules;
}

/** The ports that the user opens besides. */
export function furtherRules(vars: FirewallVars): readonly UfwRule[] {
  return vars.firewall_rules.map(({ name, port, proto, from }) =>
    allow({ name, ports: port.replace('-', ':'), proto }, from, from),
  );
}

function allow({ name, ports, proto }: Pick<PortRow, 'name' | 'ports' | 'proto'>, from: string, who: string): UfwRule {
  return {
    action: 'allow',
    from,
    ...(ports === undefined ? {} : { port: ports }),
    ...(proto === undefined ? {} : { proto }),
    comment: `${OWN}${name} from ${who}`,
  };
}

/** Who a row's sender is, here. */
function sources(
  { from, ports }: PortRow,
  peers: readonly Peer[],
  vars: FirewallVars,
): readonly { readonly address: string; readonly name: string }[] {
  const named = (cidrs: readonly string[]) => cidrs.map((cidr) => ({ address: cidr, name: cidr }));
  switch (from) {
    case 'pods':
      return [{ address: vars.k3s_cluster_cidr, name: vars.k3s_cluster_cidr }];
    case 'admins':
      return named(vars.firewall_admin_networks);
    case 'clients':
      return named(vars.firewall_client_networks);
    case 'monitoring':
      return named(vars.firewall_monitoring_networks);
    default:
      return peers
        .filter(({ kind }) => sendsAs(kind, from))
        .flatMap(({ name, ip, vipSide }) => [
          { address: ip, name },
          ...(vipSide !== undefined && ports === `${API_PORT}` ? [{ address: vipSide, name }] : []),
        ]);
  }
}

/** What is to be done, given what ufw has. */
export interface RuleChanges {
  /** Rules to have, the ones that are there included. */
  readonly wanted: readonly UfwRule[];
  /** Rules of ours that nothing asks for any more: their peer has left the inventory. */
  readonly stale: readonly UfwRule[];
  /** Wanted ones that a rule somebody else made stands for already; it is theirs, and stays as it is. */
  readonly foreign: readonly UfwRuleFound[];
}

/** Compares the wanted rules with those found. */
export function ruleChanges(wanted: readonly UfwRule[], found: FirewallFound): RuleChanges {
  const byKey = new Map(wanted.map((rule) => [ruleKey(rule), rule]));
  const isOwn = ({ comment }: UfwRuleFound): boolean => comment.startsWith(OWN);
  const foreign = found.rules.filter((rule) => !isOwn(rule) && byKey.has(rule.key));
  const theirs = new Set(foreign.map(({ key }) => key));
  return {
    wanted: [...byKey].filter(([key]) => !theirs.has(key)).map(([, rule]) => rule),
    stale: found.rules
      .filter((rule) => isOwn(rule) && !byKey.has(rule.key) && !rule.comment.startsWith(SSH_COMMENT))
      .flatMap(({ rule, comment }) => (rule ? [{ ...rule, comment }] : [])),
    foreign,
  };
}

/** Has ufw every wanted rule, and is it on? Only then do packets tell anything about the rules. */
export function isInPlace(wanted: readonly UfwRule[], found: FirewallFound): boolean {
  const keys = new Set(found.rules.map(({ key }) => key));
  return found.enabled && wanted.every((rule) => keys.has(ruleKey(rule)));
}
