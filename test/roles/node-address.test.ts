/** Which address a node uses, and whether its packets come from it: with a real interface of several addresses. */
import { execFileSync } from 'node:child_process';
import t from 'tap';
import type { Fact, HostView } from '../../engine/index.ts';
import { type Network, network, nodeIp, nodeIps, sourceAddresses } from '../../roles/cluster/network.ts';
import { system } from '../../roles/cluster/system.ts';
import { type Addresses, nodeAddress, sameMachine, sourceAddress } from '../../roles/preflight/node-address.ts';

const hostOf = (name: string, address: string, vars: Readonly<Record<string, unknown>> = {}): HostView => ({
  name,
  address,
  port: 22,
  groups: ['all', 'server'],
  // As the engine's hosts: a method that needs its object.
  var(key) {
    return this === undefined ? undefined : vars[key];
  },
});

const networkWith = (...addresses: readonly string[]): Network => ({
  ...network.example,
  addresses: addresses.map((address) => ({ iface: 'eth0', address, prefix: 24 })),
});

/** A fact's answer in a network namespace whose one interface has these addresses, in this order. */
function askedIn<T>(addresses: readonly string[], fact: Fact<T>): T {
  const script = [
    'ip link set lo up; ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link set eth1 up',
    ...addresses.map((address) => `ip addr add ${address} dev eth0`),
    'ip route add default via 192.0.2.1',
    fact.script.standalone(),
  ];
  const stdout = execFileSync('unshare', ['--net', 'sh'], { input: script.join('\n'), encoding: 'utf8' });
  return fact.parse({ stdout, stderr: '', exitCode: 0 });
}

const one = hostOf('server-1', '10.0.0.11');
const two = hostOf('server-2', '10.0.0.12');
const three = hostOf('server-3', '10.0.0.13');
const nodes = [one, two, three];

/** A host with several addresses, of which the inventory names the last. */
const SEVERAL = ['192.0.2.3/24', '10.0.0.5/24', '10.0.0.13/24'];

const seenBy = (host: HostView, more: Partial<Addresses> = {}): Addresses => ({
  host,
  nodes,
  checked: new Set(nodes.map(({ name }) => name)),
  systems: new Map(
    nodes.map(({ name }) => [name, { ...system.example, machineId: `id-${name}`, bootId: name, hostname: name }]),
  ),
  networks: new Map(nodes.map(({ name, address }) => [name, networkWith(address)])),
  sources: [],
  ...more,
});

t.test(
  'ansible_host is the node address of a host that has it, whatever comes before it on the interface',
  async (t) => {
    const found = askedIn(SEVERAL, network);
    t.equal(nodeIp(three, found), '10.0.0.13');
    t.equal(nodeIp(hostOf('server-3', '10.0.0.13', { node_ip: '10.0.0.5' }), found), '10.0.0.5', 'node_ip wins');
    t.equal(nodeIp(hostOf('server-3', '203.0.113.7'), found), '192.0.2.3', 'not the address of a router');
    t.equal(nodeIp(hostOf('server-3', 'server-3.example.org'), found), '192.0.2.3');
  },
);

t.test('an address of /32 counts on the interface of the default route, and not on a VPN', async (t) => {
  const found: Network = {
    ...network.example,
    addresses: [
      { iface: 'eth0', address: '192.168.1.11', prefix: 24 },
      { iface: 'eth0', address: '10.0.0.13', prefix: 32 },
      { iface: 'tailscale0', address: '100.64.0.3', prefix: 32 },
    ],
  };
  t.equal(nodeIp(hostOf('a', '10.0.0.13'), found), '10.0.0.13');
  t.equal(nodeIp(hostOf('a', '100.64.0.3'), found), '192.168.1.11');
});

t.test(
  'packets that come from another address than the node address are refused, with the address to use',
  async (t) => {
    const fact = sourceAddresses(nodes);
    const sources = askedIn(SEVERAL, fact);
    t.match(sources, [
      { destination: '10.0.0.11', source: '10.0.0.5' },
      { destination: '10.0.0.12', source: '10.0.0.5' },
      { destination: '10.0.0.13' },
    ]);
    const networks = new Map([...seenBy(three).networks, ['server-3', askedIn(SEVERAL, network)]]);
    t.equal(nodeIps(nodes, networks).get('server-3'), '10.0.0.13');
    t.match(sourceAddress(seenBy(three, { networks, sources })), {
      verdict: 'refuse',
      what: 'packets of server-3 to server-1, server-2 come from 10.0.0.5, not from its node address 10.0.0.13: the other nodes would not let them in',
      hint: /^node_ip: 10\.0\.0\.5 in host_vars\/server-3\.yml; or /,
    });
    const right = [hostOf('server-3', '10.0.0.13', { node_ip: '10.0.0.5' }), one, two];
    t.match(sourceAddress(seenBy(right[0] as HostView, { nodes: right, networks, sources })), {
      verdict: 'pass',
      evidence: '10.0.0.5, to server-1, server-2',
    });
  },
);

t.test('a peer without a route is refused; one that did not answer is not compared', async (t) => {
  const sources = [
    { destination: '10.0.0.12', source: undefined },
    { destination: '10.0.0.13', source: '10.0.0.11' },
  ];
  t.match(sourceAddress(seenBy(one, { sources })), {
    verdict: 'refuse',
    what: 'server-1 has no route to server-2 (10.0.0.12)',
  });
  const networks = new Map([...seenBy(one).networks].filter(([name]) => name !== 'server-2'));
  t.match(sourceAddress(seenBy(one, { sources, networks })), { verdict: 'pass', evidence: '10.0.0.11, to server-3' });
});

t.test('a peer that is known by name is looked up on the host, and left out where it is not found', async (t) => {
  const fact = sourceAddresses([hostOf('a', 'localhost'), hostOf('b', 'nowhere.invalid')]);
  t.strictSame(askedIn(['192.0.2.3/24'], fact), [{ destination: '127.0.0.1', source: '127.0.0.1' }]);
});

t.test('a node_ip that the host does not have, and one that two nodes have', async (t) => {
  const wrong = hostOf('server-1', '10.0.0.11', { node_ip: '10.0.0.99' });
  t.match(nodeAddress(seenBy(wrong, { nodes: [wrong, two, three] })), {
    verdict: 'refuse',
    what: /node_ip is 10\.0\.0\.99, and server-1 does not have that address/,
    expected: 'one of 10.0.0.11 (eth0)',
  });
  const same = new Map(nodes.map(({ name }) => [name, networkWith('10.0.0.11')]));
  t.match(nodeAddress(seenBy(one, { networks: same })), {
    verdict: 'refuse',
    what: 'server-1 and server-2 and server-3 would use the same address, 10.0.0.11, for each other',
  });
});

t.test('one machine under several names is said once, by the first name that is checked', async (t) => {
  const machine = { ...system.example, machineId: 'm', bootId: 'b', hostname: 'pi' };
  const systems = new Map([...seenBy(one).systems, ['server-1', machine], ['server-3', machine]]);
  const networks = new Map([...seenBy(one).networks, ['server-3', networkWith('10.0.0.11')]]);
  t.match(sameMachine(seenBy(one, { systems, networks })), {
    verdict: 'refuse',
    final: true,
    what: 'server-1 and server-3 are names of one machine',
    hint: /^take one of the two out of the inventory; or correct ansible_host/,
  });
  t.match(sameMachine(seenBy(three, { systems, networks })), { verdict: 'pass' });
  t.match(sameMachine(seenBy(three, { systems, networks, checked: new Set(['server-3']) })), { verdict: 'refuse' });
  t.match(sameMachine(seenBy(two, { systems, networks })), { verdict: 'pass' });
  t.match(
    nodeAddress(seenBy(one, { systems, networks })),
    { verdict: 'pass' },
    'no second complaint about its address',
  );
});

t.test('a clone that was booted by itself, and a container beside it, are machines of their own', async (t) => {
  const machine = { ...system.example, machineId: 'm', bootId: 'b', hostname: 'pi' };
  const clone = new Map([...seenBy(one).systems, ['server-1', machine], ['server-2', { ...machine, bootId: 'c' }]]);
  const networks = new Map(nodes.map(({ name }) => [name, networkWith('10.0.2.15')]));
  t.match(sameMachine(seenBy(one, { systems: clone, networks })), { verdict: 'pass' });
  const container = new Map([...seenBy(one).systems, ['server-1', machine], ['server-2', machine]]);
  t.match(sameMachine(seenBy(one, { systems: container })), { verdict: 'pass' }, 'its addresses differ');
});

t.test('a second name that the run could not connect to is known by its address', async (t) => {
  const again = hostOf('again', '10.0.0.11');
  const jump = hostOf('jump', '10.0.0.11', { ansible_ssh_common_args: '-J bastion' });
  t.match(sameMachine(seenBy(one, { nodes: [...nodes, again] })), {
    verdict: 'refuse',
    what: 'server-1 and again are names of one machine',
  });
  t.match(
    sameMachine(seenBy(one, { nodes: [...nodes, jump] })),
    { verdict: 'pass' },
    'behind a jump host it is another',
  );
});
