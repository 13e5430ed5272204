import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import type { FactAnswers, FactOfOthers, FactRequests } from '../../engine/fact.ts';
import type { HostView } from '../../engine/host-view.ts';
import { isInNetwork } from '../../engine/ip-address.ts';
import { ufwRule } from '../../engine/resources/ufw.ts';
import { FactSteps } from '../../engine/run/facts/fact-steps.ts';
import { definition } from '../../engine/script.ts';
import type { Task } from '../../engine/task.ts';
import {
  blockedSentence,
  type Flows,
  flows,
  type Reach,
  reachable,
  udpArrival,
} from '../../roles/cluster/connectivity.ts';
import { type Network, network, nodeIp, nodeIps } from '../../roles/cluster/network.ts';
import { firewallVerdicts } from '../../roles/firewall/checks.ts';
import { type FirewallFound, firewallFound } from '../../roles/firewall/facts.ts';
import { firewall } from '../../roles/firewall/role.ts';
import { clusterRules, type FirewallVars, isInPlace, peersOf, ruleChanges } from '../../roles/firewall/rules.ts';
import { sshPorts, sshSources } from '../../roles/firewall/ssh.ts';
import { packetTask, targetsOf } from '../../roles/firewall/verify.ts';

const defaults: FirewallVars = {
  node_ip: undefined,
  k3s_cluster_cidr: '10.42.0.0/16',
  k3s_flannel_backend: 'vxlan',
  kube_vip_address: undefined,
  firewall_admin_networks: [],
  firewall_client_networks: [],
  firewall_monitoring_networks: [],
  firewall_rules: [],
};

const hostOf = (
  name: string,
  groups: readonly string[],
  address: string,
  vars: Record<string, unknown> = {},
): HostView => ({
  name,
  address,
  port: 22,
  groups: ['all', ...groups],
  var: (key) => vars[key],
});

const networkOf = (address: string, client = '192.0.2.1'): Network => ({
  addresses: [{ iface: 'eth0', address, prefix: 24 }],
  defaultRoute: { iface: 'eth0', source: undefined },
  ipv6: [],
  ssh: { client, clientPort: 50000, server: address, serverPort: 22 },
});

const inventory = [
  hostOf('server-1', ['server'], '192.0.2.11'),
  hostOf('server-2', ['server'], '192.0.2.12'),
  hostOf('server-3', ['server'], '192.0.2.13'),
  hostOf('agent-1', ['agent'], '192.0.2.14'),
];
const networks = new Map(inventory.map(({ name, address }) => [name, networkOf(address)]));
const fresh: FirewallFound = { installed: true, enabled: false, ipv6: true, routed: 'deny', rules: [], others: [] };

const { stages } = await firewall.role.load();

/** The tasks of the stage `rules` for a host. */
function tasksOf(
  host: HostView,
  given: { vars?: Partial<FirewallVars>; found?: FirewallFound; networks?: ReadonlyMap<string, Network> } = {},
): readonly Task[] {
  const stage = stages.find(({ name }) => name === 'rules');
  assert(stage);
  const facts: Readonly<Record<string, unknown>> = {
    firewall: given.found ?? fresh,
    networks: given.networks ?? networks,
  };
  return stage.tasks({
    vars: { ...defaults, ...given.vars },
    host,
    group: (group) => inventory.filter(({ groups }) => groups.includes(group)),
    inventory,
    playHosts: inventory,
    runHosts: inventory,
    facts: facts as FactAnswers<FactRequests>,
  });
}

/** What tasks would do, one line each: the resource's own words. */
const idsOf = (tasks: readonly Task[]): readonly string[] => tasks.map(({ action }) => action.id);

t.test('three servers and an agent get exactly these rules', async (t) => {
  const server = idsOf(tasksOf(inventory[0] as HostView));
  const agent = idsOf(tasksOf(inventory[3] as HostView));
  const ssh = 'allow from 192.0.2.0/24 to any port 22 proto tcp comment heartwood: SSH from 192.0.2.0/24';
  const end = [
    'allow from 10.42.0.0/16 to any comment heartwood: pods from 10.42.0.0/16',
    'route allow from 10.42.0.0/16 to any comment heartwood: pods, forwarded',
    'default outgoing',
    'default incoming',
    'enabled',
  ];
  const from = (last: number, port: string, proto: string, what: string): string =>
    `allow from 192.0.2.${last} to any port ${port} proto ${proto} comment heartwood: ${what} from ${last === 14 ? 'agent-1' : `server-${last - 10}`}`;
  t.strictSame(server, [
    'ufw',
    ssh,
    ...[12, 13, 14].map((last) => from(last, '6443', 'tcp', 'Kubernetes API')),
    ...[12, 13].map((last) => from(last, '2379:2380', 'tcp', 'etcd')),
    ...[12, 13, 14].map((last) => from(last, '8472', 'udp', 'flannel VXLAN')),
    ...[12, 13, 14].map((last) => from(last, '10250', 'tcp', 'kubelet')),
    ...end,
  ]);
  t.strictSame(agent, [
    'ufw',
    ssh,
    ...[11, 12, 13].map((last) => from(last, '8472', 'udp', 'flannel VXLAN')),
    ...[11, 12, 13].map((last) => from(last, '10250', 'tcp', 'kubelet')),
    ...end,
  ]);
});

t.test('no rule opens anything to the world, whatever the inventory', async () => {
  const octet = fc.integer({ min: 1, max: 254 });
  const address = fc
    .tuple(fc.constantFrom('192.0.2', '10.1.2', '172.20.3'), octet)
    .map(([net, last]) => `${net}.${last}`);
  const nodes = fc.uniqueArray(fc.tuple(address, fc.constantFrom('server', 'agent')), {
    minLength: 1,
    maxLength: 8,
    selector: ([ip]) => ip,
  });
  const nets = fc.uniqueArray(fc.constantFrom('198.51.100.0/24', '203.0.113.9/32', '10.9.0.0/16'), { maxLength: 3 });
  fc.assert(
    fc.property(
      nodes,
      nets,
      nets,
      nets,
      fc.constantFrom('vxlan', 'host-gw', 'wireguard-native', 'none'),
      (all, admins, clients, monitors, backend) => {
        const hosts = all.map(([ip, group], i) => hostOf(`n${i}`, [group], ip));
        const found = new Map(hosts.map(({ name, address: ip }) => [name, networkOf(ip)]));
        const vars: FirewallVars = {
          ...defaults,
          k3s_flannel_backend: backend as FirewallVars['k3s_flannel_backend'],
          kube_vip_address: '192.0.2.100',
          firewall_admin_networks: admins,
          firewall_client_networks: clients,
          firewall_monitoring_networks: monitors,
        };
        const peers = peersOf(hosts, nodeIps(hosts, found), found, vars.kube_vip_address);
        const allowed = new Set([
          ...hosts.map(({ address: ip }) => ip),
          '10.42.0.0/16',
          ...admins,
          ...clients,
          ...monitors,
        ]);
        for (const kind of ['server', 'agent'] as const) {
          for (const rule of clusterRules(kind, peers, vars)) {
            assert(rule.from !== undefined && allowed.has(rule.from), `from ${rule.from}`);
            assert(
              rule.port !== undefined || rule.from === '10.42.0.0/16' || rule.route,
              `every port for ${rule.from}`,
            );
            assert(rule.comment?.startsWith('heartwood: '));
            if (rule.port === '2379:2380')
              assert(peers.find(({ ip }) => ip === rule.from)?.kind === 'server', 'etcd is for servers');
            ufwRule(rule);
          }
        }
      },
    ),
  );
});

t.test('SSH stays open on the port sshd sees and on the one we connect to', async (t) => {
  const mapped = { ...(inventory[0] as HostView), port: 2201 };
  const net = {
    ...networkOf('192.0.2.11'),
    ssh: { client: '203.0.113.5', clientPort: 4, server: '192.0.2.11', serverPort: 22 },
  };
  t.strictSame(sshPorts(mapped, net), [22, 2201]);
  t.strictSame(sshSources(net, ['198.51.100.0/24']), ['203.0.113.5', '198.51.100.0/24'], 'from afar: the one address');
  t.strictSame(
    sshSources(networkOf('192.0.2.11'), []),
    ['192.0.2.0/24'],
    'from next door: the network, whose leases change',
  );
  t.strictSame(sshSources({ ...net, ssh: undefined }, []), ['192.0.2.0/24'], 'by the local transport');
  const six = { client: 'fe80::1%eth0', clientPort: 4, server: 'fe80::2%eth0', serverPort: 22 };
  t.strictSame(sshSources({ ...net, ssh: six }, []), ['fe80::/10', '192.0.2.0/24']);
  t.equal(
    firewallVerdicts(mapped, defaults, fresh, net).find(({ id }) => id === 'ssh-sources')?.verdict,
    'warn',
    'one address far away may change, which is said',
  );
});

t.test('SSH comes before everything that could close it, and the firewall is turned on last', async (t) => {
  const ids = idsOf(tasksOf(inventory[0] as HostView));
  const ssh = ids.findIndex((id) => id.includes('port 22 '));
  t.ok(ssh < ids.indexOf('default incoming'));
  t.equal(ids.at(-1), 'enabled');
});

/**
 * `grep tuple /etc/ufw/user.rules /etc/ufw/user6.rules` of ufw 0.36.2 on Debian 12, after the commands of its comments.
 */
const CAPTURED = `installed
enabled
IPV6=yes
DEFAULT_FORWARD_POLICY="DROP"
### tuple ### allow tcp 2379:2380 0.0.0.0/0 any 192.0.2.12 in comment=6865617274776f6f643a20657463642066726f6d207365727665722d32
### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in
### tuple ### route:allow any any 0.0.0.0/0 any 10.42.0.0/16 in comment=6865617274776f6f643a2078
### tuple ### allow any any 0.0.0.0/0 any 10.42.0.0/16 in
### tuple ### limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 in
### tuple ### allow any 53 0.0.0.0/0 any 0.0.0.0/0 in_eth0 comment=6d696e65
### tuple ### allow tcp 10250 0.0.0.0/0 any 192.0.2.99 in comment=6865617274776f6f643a206b7562656c65742066726f6d20676f6e65
### tuple ### allow tcp 22 ::/0 any ::/0 OpenSSH - in
### tuple ### limit tcp 22 ::/0 any ::/0 in
### tuple ### allow any 53 ::/0 any ::/0 in_eth0 comment=6d696e65
### tuple ### allow tcp 22 0.0.0.0/0 any 198.51.100.7 in comment=6865617274776f6f643a205353482066726f6d203139382e35312e3130302e37
`;
const captured = firewallFound.parse({ stdout: CAPTURED, stderr: '', exitCode: 0 });

t.test("ufw's rules are read as it keeps them", async (t) => {
  t.match(captured, { installed: true, enabled: true, ipv6: true, routed: 'deny', others: [] });
  t.strictSame(captured.rules[0], {
    key: 'tcp 2379:2380 from 192.0.2.12 to any',
    rule: { action: 'allow', from: '192.0.2.12', port: '2379:2380', proto: 'tcp' },
    comment: 'heartwood: etcd from server-2',
  });
  t.strictSame(captured.rules[2]?.rule, { action: 'allow', from: '10.42.0.0/16', route: true });
  t.equal(
    captured.rules.filter(({ comment }) => comment === 'mine')[0]?.rule,
    undefined,
    'forms we never make are left alone',
  );
});

t.test('what a parsed rule becomes is the rule that was parsed', async (t) => {
  for (const { rule } of captured.rules) {
    if (rule) t.ok(CAPTURED.includes(ufwTuple(rule)), ufwTuple(rule));
  }
});
/** The form in which the resource looks for a rule: the second word of its probe. */
function ufwTuple(rule: Parameters<typeof ufwRule>[0]): string {
  return /'([a-z:]+ [^']*)'/.exec(ufwRule(rule).probe.shown)?.[1] ?? 'no tuple';
}

t.test("stale rules of ours go, allHosts else's stay, and SSH is never stale", async (t) => {
  const ids = idsOf(tasksOf(inventory[0] as HostView, { found: captured }));
  t.strictSame(
    ids.filter((id) => id.startsWith('no ')),
    ['no allow from 192.0.2.99 to any port 10250 proto tcp'],
  );
  t.notOk(
    ids.some((id) => id.startsWith('allow from 10.42.0.0/16')),
    'a rule somebody made is not replaced by ours',
  );
  t.ok(ids.includes('foreign-rule'));
  t.ok(
    ids.some((id) => id.startsWith('route allow from 10.42.0.0/16')),
    'our own is kept, with its proper comment',
  );
});

t.test(
  'while a node is silent nothing is taken for stale, and its rules are kept by the address the inventory has',
  async (t) => {
    const some = new Map([...networks].filter(([name]) => name !== 'server-3'));
    const tasks = tasksOf(inventory[0] as HostView, { found: captured, networks: some });
    const ids = idsOf(tasks);
    t.notOk(ids.some((id) => id.startsWith('no ')));
    t.ok(ids.some((id) => id.startsWith('allow from 192.0.2.13 to any port 2379:2380')));
    t.match(tasks.find(({ action }) => action.id === 'silent-nodes')?.action, {
      verdict: 'warn',
      evidence: 'server-3: 192.0.2.13',
    });
  },
);

t.test('a second run has nothing to add', async (t) => {
  const wanted = clusterRules(
    'server',
    peersOf(inventory, nodeIps(inventory, networks), networks, undefined),
    defaults,
  );
  const stdout = `installed\nenabled\n${wanted
    .map((rule) => `### tuple ### ${ufwTuple(rule)} comment=${Buffer.from(rule.comment ?? '').toString('hex')}`)
    .join('\n')}`;
  const found = firewallFound.parse({ stdout, stderr: '', exitCode: 0 });
  t.ok(isInPlace(wanted, found));
  t.strictSame(ruleChanges(wanted, found), { wanted, stale: [], foreign: [] });
  t.notOk(isInPlace(wanted, { ...found, enabled: false }));
});

t.test(
  'where the virtual address is on another network, the API is open to the addresses that nodes have there',
  async (t) => {
    const two = new Map(
      [...networks].map(([name, net], i) => {
        const side = { iface: 'eth1', address: `198.51.100.${11 + i}`, prefix: 24 };
        return [name, { ...net, addresses: [...net.addresses, side] }];
      }),
    );
    const ids = idsOf(
      tasksOf(inventory[0] as HostView, { networks: two, vars: { kube_vip_address: '198.51.100.100' } }),
    );
    t.strictSame(
      ids.filter((id) => id.includes('198.51.100.1')),
      [12, 13, 14].map(
        (last) =>
          `allow from 198.51.100.${last} to any port 6443 proto tcp comment heartwood: Kubernetes API from ${last === 14 ? 'agent-1' : `server-${last - 10}`}`,
      ),
    );
  },
);

t.test('networks that are named reach what they are named for', async (t) => {
  const vars = {
    firewall_admin_networks: ['203.0.113.0/24'],
    firewall_client_networks: ['0.0.0.0/0'],
    firewall_monitoring_networks: ['198.51.100.40/32'],
    firewall_rules: [{ name: 'DNS', port: '53', proto: 'udp', from: '192.0.2.0/24' } as const],
  };
  const ids = idsOf(tasksOf(inventory[0] as HostView, { vars }));
  for (const start of [
    'allow from 203.0.113.0/24 to any port 22 ',
    'allow from 203.0.113.0/24 to any port 6443 ',
    'allow from any to any port 443 proto tcp',
    'allow from any to any port 30000:32767 proto udp',
    'allow from 198.51.100.40 to any port 2381 ',
    'allow from 192.0.2.0/24 to any port 53 proto udp comment heartwood: DNS',
  ]) {
    t.ok(
      ids.some((id) => id.startsWith(start)),
      start,
    );
  }
});

t.test('other firewalls, a world of administrators and open IPv6 are found before anything is changed', async (t) => {
  const host = inventory[0] as HostView;
  const net = { ...networkOf('192.0.2.11'), ipv6: ['2001:db8::11'] };
  const verdicts = (vars: Partial<FirewallVars>, found: Partial<FirewallFound>) =>
    Object.fromEntries(
      firewallVerdicts(host, { ...defaults, ...vars }, { ...fresh, ...found }, net).map((v) => [v.id, v.verdict]),
    );
  t.match(verdicts({}, {}), { 'other-firewall': 'pass', 'admin-networks': 'pass', ipv6: 'pass' });
  t.match(verdicts({}, { others: ['firewalld.service'] }), { 'other-firewall': 'refuse' });
  t.match(verdicts({ firewall_admin_networks: ['0.0.0.0/0'] }, {}), { 'admin-networks': 'refuse' });
  t.match(verdicts({}, { ipv6: false }), { ipv6: 'warn' });
});

t.test('every open port between nodes is tried, and no other', async (t) => {
  const ports = (from: number, to: number): string =>
    targetsOf(inventory[from] as HostView, inventory[to] as HostView, 'vxlan')
      .map(({ port, proto }) => `${port}/${proto}`)
      .join(' ');
  t.equal(ports(0, 2), '6443/tcp 2379/tcp 2380/tcp 10250/tcp 8472/udp');
  t.equal(ports(3, 2), '6443/tcp 10250/tcp 8472/udp');
  t.equal(ports(0, 3), '10250/tcp 8472/udp');
  t.equal(ports(0, 0), '');
});

const flow = (sourcePort: number, remaining: number) => ({
  source: '192.0.2.11',
  destination: '192.0.2.13',
  sourcePort,
  port: 8472,
  remaining,
});
const table = (...all: ReturnType<typeof flow>[]): Flows => ({ tracking: true, flows: all });

t.test('a node is asked once to send to all others, however many ask it', async (t) => {
  for (const [name, questions] of [
    ['send', 1],
    ['verify', 4],
  ] as const) {
    const stage = stages.find((each) => each.name === name);
    assert(stage);
    const asked = new FactSteps();
    for (const host of inventory) {
      const group = (of: string) => inventory.filter(({ groups }) => groups.includes(of));
      const ask = { vars: defaults, host, group, inventory, playHosts: inventory, runHosts: inventory };
      const wanted = typeof stage.facts === 'function' ? stage.facts(ask) : (stage.facts ?? {});
      asked.add(host.name, wanted);
    }
    for (const { name: node } of inventory) {
      // Nobody asks a node for what it would try at nodes outside of the play: there are none.
      const nothing = reachable([]).script.reveal();
      const steps = (asked.byHost.get(node) ?? []).filter(({ script }) => script.reveal() !== nothing);
      t.equal(steps.length, questions, `${name} on ${node}`);
    }
    const attempts = asked.byHost.get('agent-1')?.map(({ script }) => script.reveal()) ?? [];
    for (const { address, name: node } of inventory) {
      if (node !== 'agent-1')
        t.ok(
          attempts.some((text) => text.includes(address)),
          `${name}: ${node} is tried`,
        );
    }
  }
});

t.test('what is tried depends on the context alone, not on what was asked before', async (t) => {
  const stage = stages.find(({ name }) => name === 'send');
  const facts = stage?.facts;
  assert(facts);
  const playHosts = [...inventory];
  const group = (of: string) => inventory.filter(({ groups }) => groups.includes(of));
  const ask = { vars: defaults, host: playHosts[0] as HostView, group, inventory, playHosts, runHosts: playHosts };
  const tried = () => (facts(ask)['in'] as FactOfOthers<unknown>).fact.script.reveal();
  t.match(tried(), '192.0.2.14');
  playHosts.pop();
  t.notMatch(tried(), '192.0.2.14');
});

t.test('a datagram has arrived when both tables have its flow', async (t) => {
  const path = { from: '192.0.2.11', to: '192.0.2.13', port: 8472 };
  const cases: readonly [string, Flows | undefined, Flows | undefined, string][] = [
    ['on both', table(flow(4000, 29)), table(flow(4000, 28)), 'open'],
    ['only at the sender', table(flow(4000, 29)), table(), 'dropped'],
    ['an old one on both, the new one lost', table(flow(3000, 18), flow(4000, 29)), table(flow(3000, 18)), 'dropped'],
    ['of several new ones one is there', table(flow(3999, 28), flow(4000, 29)), table(flow(3999, 27)), 'open'],
    ['the sender tracks nothing', { tracking: false, flows: [] }, table(flow(4000, 28)), 'open'],
    ['the sender tracks nothing and nothing came', undefined, table(), 'dropped'],
    ['the receiver tracks nothing', table(flow(4000, 29)), { tracking: false, flows: [] }, 'unknown'],
  ];
  for (const [name, sender, receiver, result] of cases) t.equal(udpArrival(path, sender, receiver), result, name);
});

t.test('flows are read from the kernel and from conntrack, the direction of the first packet', async (t) => {
  // Seen on Debian 12; the second as `conntrack -L` prints it.
  const stdout = `tracking
ipv4     2 udp      17 26 src=10.89.2.11 dst=10.89.2.12 sport=60633 dport=8472 [UNREPLIED] src=10.89.2.12 dst=10.89.2.11 sport=8472 dport=60633 mark=0 zone=0 use=2
udp      17 9 src=10.89.2.13 dst=10.89.2.12 sport=42373 dport=8472 [UNREPLIED] src=10.89.2.12 dst=10.89.2.13 sport=8472 dport=42373 mark=0 use=1
`;
  t.strictSame(flows([8472]).parse({ stdout, stderr: '', exitCode: 0 }), {
    tracking: true,
    flows: [
      { source: '10.89.2.11', destination: '10.89.2.12', sourcePort: 60633, port: 8472, remaining: 26 },
      { source: '10.89.2.13', destination: '10.89.2.12', sourcePort: 42373, port: 8472, remaining: 9 },
    ],
  });
});

t.test('what is dropped is named by port, sender and receiver', async (t) => {
  const [from, to] = [inventory[0] as HostView, inventory[2] as HostView];
  const attempt = (port: number, result: Reach['result']): Reach => ({
    address: to.address,
    port,
    proto: 'tcp',
    result,
    said: '',
  });
  const tcp = [attempt(6443, 'open'), attempt(2379, 'refused'), attempt(2380, 'dropped'), attempt(10250, 'refused')];
  const path = {
    from,
    to,
    tcp,
    flows: new Map([
      ['server-1', table(flow(4000, 29))],
      ['server-3', table(flow(4000, 29))],
    ]),
    ips: new Map(inventory.map(({ name, address }) => [name, address])),
    flannelBackend: 'vxlan',
  };
  t.match(packetTask(path, 'ruled').action, {
    verdict: 'refuse',
    what: '2380/tcp from server-1 to server-3 is dropped',
    evidence: '6443/tcp, 2379/tcp, 10250/tcp and 8472/udp arrive',
  });
  t.match(packetTask(path, 'outside').action, { verdict: 'warn' }, 'a host outside the play is only warned about');
  t.match(packetTask(path, 'before').action, { verdict: 'warn', hint: /the rules of this role on server-3/ });
  const lost = new Map([
    ['server-1', table(flow(4000, 29))],
    ['server-3', table()],
  ]);
  t.match(
    packetTask({ ...path, tcp: tcp.map((one) => ({ ...one, result: 'refused' })), flows: lost }, 'ruled').action,
    {
      what: '8472/udp from server-1 to server-3 is dropped',
    },
  );
  t.match(packetTask({ ...path, tcp: undefined }, 'ruled').action, { verdict: 'warn', evidence: 'no answer' });
  t.match(packetTask({ ...path, ips: new Map([...path.ips, ['server-3', '10.0.0.3']]) }, 'ruled').action, {
    verdict: 'warn',
    hint: 'node_ip: 10.0.0.3 in host_vars/server-3.yml',
  });
  t.equal(
    blockedSentence(
      { port: 2380, proto: 'tcp', result: 'rejected', said: 'bash: connect: No route to host' },
      'a',
      'b',
    ),
    '2380/tcp from a to b is rejected (No route to host)',
  );
});

t.test('a shell tells open from refused, by bash, by curl and without either', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  assert(address && typeof address === 'object');
  const closed = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => closed.once('listening', resolve));
  const gone = closed.address();
  assert(gone && typeof gone === 'object');
  await new Promise((resolve) => closed.close(resolve));
  const fact = reachable([
    { address: '127.0.0.1', port: address.port, proto: 'tcp' },
    { address: '127.0.0.1', port: gone.port, proto: 'tcp' },
    { address: '127.0.0.1', port: gone.port, proto: 'udp' },
  ]);
  const functions = fact.script.functions.map(definition);
  const run = (without: readonly string[]): readonly string[] => {
    // `command -v` is how the script looks for its tools: here it does not find some of them.
    const hide = `command() { case $2 in ${[...without, '-'].join('|')}) return 1 ;; esac; builtin_command "$@"; }
builtin_command() { shift; for d in /usr/local/bin /usr/bin /bin /usr/sbin; do [ -x "$d/$1" ] && return 0; done; return 1; }`;
    const stdout = execFileSync('sh', [], {
      input: [hide, ...functions, fact.script.reveal()].join('\n'),
      encoding: 'utf8',
    });
    return fact.parse({ stdout, stderr: '', exitCode: 0 }).map(({ result }) => result);
  };
  t.strictSame(run([]), ['open', 'refused', 'refused'], 'bash');
  t.strictSame(run(['bash', 'nc']), ['open', 'refused', 'unknown'], 'curl');
  t.strictSame(run(['bash', 'curl', 'nc']), ['unknown', 'unknown', 'unknown'], 'nothing');
  await new Promise((resolve) => server.close(resolve));
});

t.test("a host's network is read from ip and from the SSH connection above sudo", async (t) => {
  const stdout = `addr 1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
addr 2: eth0    inet 10.89.2.11/24 brd 10.89.2.255 scope global eth0\\       valid_lft forever preferred_lft forever
addr 2: eth0    inet 10.89.2.100/32 scope global eth0\\       valid_lft forever preferred_lft forever
addr 3: wg0@if4    inet 100.64.0.3/10 scope global wg0\\       valid_lft forever preferred_lft forever
addr 2: eth0    inet6 2001:db8::b/64 scope global \\       valid_lft forever preferred_lft forever
addr 2: eth0    inet6 fe80::89:ff:fe02:b/64 scope link \\       valid_lft forever preferred_lft forever
route default via 192.168.1.1 dev wlan0 metric 600
route default via 10.89.2.1 dev eth0 metric 100
ssh 10.89.2.1 42574 10.89.2.11 22
`;
  const found = network.parse({ stdout, stderr: '', exitCode: 0 });
  t.strictSame(found, {
    addresses: [
      { iface: 'eth0', address: '10.89.2.11', prefix: 24 },
      { iface: 'eth0', address: '10.89.2.100', prefix: 32 },
      { iface: 'wg0', address: '100.64.0.3', prefix: 10 },
    ],
    ipv6: ['2001:db8::b'],
    ssh: { client: '10.89.2.1', clientPort: 42574, server: '10.89.2.11', serverPort: 22 },
    defaultRoute: { iface: 'eth0', source: undefined },
  });
  const host = hostOf('a', ['server'], 'a.example.org');
  t.equal(nodeIp(host, found), '10.89.2.11', "the default route's, and not the virtual one");
  t.equal(nodeIp(hostOf('a', [], 'a', { node_ip: '100.64.0.3' }), found), '100.64.0.3', 'node_ip wins');
  t.throws(() => nodeIp(host, { ...found, defaultRoute: undefined, ssh: undefined }), /no address found/);
  t.throws(
    () => network.parse({ stdout: '', stderr: 'there is no "ip" command: install iproute2\n', exitCode: 1 }),
    /iproute2/,
  );
  t.ok(
    isInNetwork('10.89.2.100', '10.89.2.0/24') &&
      !isInNetwork('10.89.3.1', '10.89.2.0/24') &&
      !isInNetwork('::1', '0.0.0.0/0'),
  );
});
