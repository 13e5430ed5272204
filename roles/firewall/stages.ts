/** What `firewall` does: rules computed from the inventory, ufw turned on, and every path tried with packets. */
import {
  type AskContext,
  type Fact,
  fromEach,
  type HostView,
  pass,
  type RoleChecks,
  type RoleStages,
  task,
  UserError,
  warn,
} from '../../engine/index.ts';
import { apt } from '../../engine/resources/apt.ts';
import { type UfwRule, ufwDefault, ufwEnabled, ufwRule, ufwRuleAbsent } from '../../engine/resources/ufw.ts';
import { flows, type Reach, reachable } from '../cluster/connectivity.ts';
import { agentsOf, type NodeKind, nodeKind, nodesOf, serversOf } from '../cluster/groups.ts';
import { type Network, network, nodeIps } from '../cluster/network.ts';
import { PORTS, portsOf } from '../cluster/ports.ts';
import { firewallVerdicts } from './checks.ts';
import { type FirewallFound, firewallFound } from './facts.ts';
import { clusterRules, type FirewallVars, furtherRules, isInPlace, OWN, peersOf, ruleChanges } from './rules.ts';
import { sshPorts, sshRules } from './ssh.ts';
import type { firewallVars } from './vars.ts';
import { attempts, packetTask, targetsAt } from './verify.ts';

type Ask = AskContext<FirewallVars>;

/** UDP ports that nodes send to each other on. */
const UDP_PORTS = PORTS.filter(({ proto, from }) => proto === 'udp' && from === 'node').flatMap(portsOf);

/** The nodes, and the host itself where it is none. */
const allHosts = (ask: Ask): readonly HostView[] =>
  nodeKind(ask.host) === undefined ? [...nodesOf(ask), ask.host] : nodesOf(ask);

const others = (ask: Ask, hosts: readonly HostView[]): readonly HostView[] =>
  hosts.filter(({ name }) => name !== ask.host.name);

/** The nodes of this play. */
const inside = (ask: Ask): readonly HostView[] => ask.playHosts.filter((host) => nodeKind(host) !== undefined);

/** What a kind of node tries at the nodes of this play: the same fact for every host that asks. */
const attemptsOf = (ask: Ask, kind: NodeKind | 'node', proto: 'tcp' | 'udp'): Fact<readonly Reach[]> =>
  attempts(kind, inside(ask), proto, ask.vars.k3s_flannel_backend);

/** Nodes outside of this play: they are asked and sent packets to, and not changed. */
const outside = (ask: Ask): readonly HostView[] =>
  nodesOf(ask).filter(({ name }) => !ask.playHosts.some((host) => host.name === name));

/** What the rules of the host at hand are computed from. */
interface RuleInputs {
  readonly networks: ReadonlyMap<string, Network>;
  readonly firewall: FirewallFound;
}

/** The host's own network; it is among those asked. */
function ownNetwork({ host }: Ask, { networks }: RuleInputs): Network {
  const found = networks.get(host.name);
  if (!found) throw new UserError({ what: 'the host did not tell its addresses', host: host.name });
  return found;
}

/** All rules of the host at hand. */
function wantedRules(
  ask: Ask,
  seen: RuleInputs,
): { readonly ssh: readonly UfwRule[]; readonly cluster: readonly UfwRule[] } {
  const { vars, host } = ask;
  const ips = nodeIps(nodesOf(ask), seen.networks);
  const peers = peersOf(others(ask, nodesOf(ask)), ips, seen.networks, vars.kube_vip_address);
  const kind = nodeKind(host);
  const ssh = sshRules(host, ownNetwork(ask, seen), vars.firewall_admin_networks);
  return {
    // Where ufw leaves IPv6 alone it takes no rule for it.
    ssh: ssh.filter(({ from }) => !from?.includes(':') || !seen.firewall.installed || seen.firewall.ipv6),
    cluster: [...(kind ? clusterRules(kind, peers, vars) : []), ...furtherRules(vars)],
  };
}

/** What must hold before anything is changed anywhere. */
export const checks: RoleChecks<typeof firewallVars> = (checks) =>
  checks({
    facts: () => ({ firewall: firewallFound, network }),
    verdicts: ({ host, vars, facts }) => firewallVerdicts(host, vars, facts.firewall, facts.network),
  });

/** What it does. */
export const stages: RoleStages<typeof firewallVars> = (stage) => [
  stage({
    name: 'rules',
    facts: (ask) => ({ firewall: firewallFound, networks: fromEach(allHosts(ask), network, 'omit') }),
    tasks: (context) => {
      const { facts, host } = context;
      const { ssh, cluster } = wantedRules(context, facts);
      const changes = ruleChanges([...ssh, ...cluster], facts.firewall);
      const isSsh = (rule: UfwRule): boolean => ssh.includes(rule);
      const rules = [...changes.wanted.filter(isSsh), ...changes.wanted.filter((rule) => !isSsh(rule))];
      const silent = nodesOf(context).filter(({ name }) => !facts.networks.has(name));
      const tags = ['rules'];
      return [
        task('Install ufw', apt('ufw')),
        ...rules.map((rule) => task(`Allow ${titleOf(rule)}`, ufwRule(rule), { tags })),
        ...changes.foreign.map(({ key, comment }) =>
          task('Leave a rule that someone else made', pass('foreign-rule', comment ? `${key} (${comment})` : key), {
            tags,
          }),
        ),
        // A node that does not answer may have unknown addresses: its rules may only look stale.
        ...(silent.length === 0
          ? changes.stale.map((rule) => task(`Remove ${titleOf(rule)}`, ufwRuleAbsent(rule), { tags }))
          : [task('Ask every node for its addresses', notAsked(silent, nodeIps(silent, facts.networks)), { tags })]),
        ...(facts.firewall.routed === 'reject'
          ? [task('Deny forwarded packets that no rule allows', ufwDefault('routed', 'deny'))]
          : []),
        task('Allow outgoing packets', ufwDefault('outgoing', 'allow')),
        task('Deny other incoming packets', ufwDefault('incoming', 'deny')),
        task(
          'Turn the firewall on, keeping SSH',
          ufwEnabled({ keepPort: sshPorts(host, ownNetwork(context, facts))[0] ?? host.port }),
        ),
      ];
    },
  }),
  stage({
    // A datagram gets no answer: it is sent here, and looked for at the receiver in the next stage.
    name: 'send',
    facts: (ask) => {
      const { host, vars } = ask;
      const backend = vars.k3s_flannel_backend;
      return {
        in: fromEach(others(ask, nodesOf(ask)), attemptsOf(ask, 'node', 'udp'), 'omit'),
        out: reachable(targetsAt(host, outside(ask), 'udp', backend)),
      };
    },
    tasks: () => [],
  }),
  stage({
    name: 'verify',
    afterFacts: true,
    facts: (ask) => {
      const { host, vars } = ask;
      const backend = vars.k3s_flannel_backend;
      return {
        // First: the tables are to be read before the attempts below take their time.
        flows: fromEach(nodesOf(ask), flows(UDP_PORTS), 'omit'),
        firewall: firewallFound,
        networks: fromEach(allHosts(ask), network, 'omit'),
        fromServers: fromEach(others(ask, serversOf(ask)), attemptsOf(ask, 'server', 'tcp'), 'omit'),
        fromAgents: fromEach(others(ask, agentsOf(ask)), attemptsOf(ask, 'agent', 'tcp'), 'omit'),
        out: reachable(targetsAt(host, outside(ask), 'tcp', backend)),
      };
    },
    tasks: (context) => {
      const { facts, host, vars } = context;
      const { ssh, cluster } = wantedRules(context, facts);
      const path = {
        flows: facts.flows,
        ips: nodeIps(nodesOf(context), facts.networks),
        flannelBackend: vars.k3s_flannel_backend,
      };
      const rulesState = isInPlace([...ssh, ...cluster], facts.firewall) ? 'ruled' : 'before';
      const incoming = others(context, nodesOf(context)).map((from) => {
        const tcp = facts.fromServers.get(from.name) ?? facts.fromAgents.get(from.name);
        return packetTask({ ...path, from, to: host, tcp }, rulesState);
      });
      // The stage before has named a node that does not answer at all. Its ports would only look closed.
      const reached = outside(context).filter(({ name }) => facts.networks.has(name));
      const outgoing = reached.map((to) => packetTask({ ...path, from: host, to, tcp: facts.out }, 'outside'));
      return [...incoming, ...outgoing];
    },
  }),
];

/** A rule in the name of its task. */
function titleOf({ comment = '', port, proto, from }: UfwRule): string {
  const what = comment.startsWith(OWN) ? comment.slice(OWN.length) : `packets from ${from}`;
  return port === undefined ? what : `${what} (${port}/${proto})`;
}

/** Some nodes did not answer. */
function notAsked(silent: readonly HostView[], ips: ReadonlyMap<string, string>) {
  const names = silent.map(({ name }) => name).join(', ');
  const unknown = silent.filter(({ name }) => !ips.has(name)).map(({ name }) => name);
  return warn('silent-nodes', {
    evidence: silent.map(({ name }) => `${name}: ${ips.get(name) ?? 'no address known'}`).join(', '),
    what:
      `${names} could not be asked for addresses, so no rule was taken for stale` +
      (unknown.length > 0 ? `, and there are no rules for ${unknown.join(', ')}` : ''),
    hint: 'run again when they answer; node_ip in host_vars names an address without asking; take hosts that are gone out of the inventory',
  });
}
