import t from 'tap';
import type { HostView } from '../../engine/host-view.ts';
import type { Verdict } from '../../engine/task.ts';
import { type Network, network } from '../../roles/cluster/network.ts';
import { type System, system } from '../../roles/cluster/system.ts';
import { type ClusterView, clusterVerdicts } from '../../roles/preflight/cluster.ts';
import { type Prerequisites, prerequisites } from '../../roles/preflight/facts.ts';
import { type Machine, machineVerdicts, type PreflightVars } from '../../roles/preflight/machine.ts';
import { listeners, portsTaken } from '../../roles/preflight/ports.ts';

const vars: PreflightVars = {
  node_ip: undefined,
  k3s_cluster_cidr: '10.42.0.0/16',
  k3s_flannel_backend: 'vxlan',
  preflight_data_dir: '/var/lib/rancher',
  preflight_server_memory_gb: 4,
  preflight_server_disk_gb: 20,
  preflight_agent_memory_gb: 1,
  preflight_agent_disk_gb: 10,
  preflight_clock_drift: 5,
};

const hostOf = (name: string, set: Record<string, unknown> = {}): HostView => ({
  name,
  address: name,
  port: 22,
  groups: ['all', name.startsWith('server') ? 'server' : 'agent'],
  var: (key) => set[key],
});

const found = prerequisites('/var/lib/rancher', '10.42.0.0/16');
const big: System = { ...system.example, memoryMiB: 16_000 };
const healthy: Machine = {
  host: hostOf('server-1'),
  kind: 'server',
  system: big,
  found: found.example,
  listeners: [{ proto: 'tcp', port: 22, program: 'sshd' }],
};

/** The verdict of one check, the machine being healthy but for `changes`. */
function onMachine(
  id: string,
  changes: { readonly [K in keyof Machine]?: Partial<Machine[K]> | Machine[K] } & {
    readonly vars?: Partial<PreflightVars>;
  },
): Verdict | undefined {
  const machine = {
    ...healthy,
    ...changes,
    system: { ...healthy.system, ...(changes.system ?? {}) },
    found: { ...healthy.found, ...(changes.found ?? {}) },
  } as Machine;
  return machineVerdicts(machine, { ...vars, ...changes.vars }).find((verdict) => verdict.id === id);
}

t.test('a healthy machine passes every check', async (t) => {
  t.strictSame(
    machineVerdicts(healthy, vars).filter(({ verdict }) => verdict !== 'pass'),
    [],
  );
});

t.test('each thing that is wrong with a machine is named, with what to do', async (t) => {
  const agent = { host: hostOf('agent-1'), kind: 'agent' } as const;
  const cases: readonly (readonly [string, Parameters<typeof onMachine>[1], Verdict['verdict'], RegExp | undefined])[] =
    [
      ['memory', { system: { memoryMiB: 1900 } }, 'refuse', /too little for a server/],
      ['memory', { system: { memoryMiB: 3790 } }, 'warn', /is little for a server/], // a Raspberry Pi with "4 GB"
      ['memory', { ...agent, system: { memoryMiB: 1900 } }, 'pass', undefined],
      ['memory', { ...agent, system: { memoryMiB: 480 } }, 'refuse', /too little for an agent/],
      ['disk', { found: { disk: { size: 15.9, free: 12, mount: '/' } } }, 'refuse', /too small/],
      ['disk', { found: { disk: { size: 31.2, free: 25, mount: '/' } } }, 'warn', /is small/],
      ['disk', { found: { disk: { size: 120, free: 9, mount: '/' } } }, 'warn', /nearly full/],
      ['disk', { found: { disk: { size: 120, free: 0.4, mount: '/' } } }, 'refuse', /no room/],
      ['disk', { ...agent, found: { disk: { size: 21, free: 15, mount: '/' } } }, 'pass', undefined],
      ['memory-cgroup', { found: { memoryCgroup: false } }, 'refuse', /cmdline\.txt/],
      [
        'memory-cgroup',
        { found: { memoryCgroup: false, cmdline: { path: '/boot/firmware/cmdline.txt', lines: 2 } } },
        'refuse',
        /one line of \/boot\/firmware\/cmdline\.txt/,
      ],
      ['memory-cgroup', { found: { cmdline: { path: '/boot/cmdline.txt', lines: 2 } } }, 'warn', /one line/],
      ['vxlan', { found: { vxlan: 'missing' } }, 'refuse', /linux-modules-extra/],
      [
        'vxlan',
        {
          found: { vxlan: 'missing' },
          system: { model: 'Raspberry Pi 4 Model B', os: { ...big.os, id: 'ubuntu', version: '22.04' } },
        },
        'refuse',
        /linux-modules-extra-raspi/,
      ],
      ['vxlan', { found: { vxlan: 'missing' }, vars: { k3s_flannel_backend: 'host-gw' } }, 'pass', undefined],
      ['iptables', { found: { iptables: '1.8.2' } }, 'refuse', /prefer-bundled-bin/],
      ['iptables', { found: { iptables: '1.8.5' } }, 'pass', undefined],
      [
        'iptables',
        { found: { iptables: '1.8.2' }, host: hostOf('server-1', { k3s_config: { 'prefer-bundled-bin': true } }) },
        'pass',
        undefined,
      ],
      ['forward', { found: { forward: { policy: 'DROP', podsAllowed: false } } }, 'warn', /firewall role/],
      ['forward', { found: { forward: { policy: 'DROP', podsAllowed: true } } }, 'pass', undefined],
      ['swap', { found: { swap: ['/var/swap'] } }, 'warn', /swapoff/],
      ['os', { system: { systemd: false } }, 'refuse', /systemd/],
      ['os', { system: { os: { id: 'arch', like: [], version: '', name: 'Arch Linux' } } }, 'warn', /nobody has tried/],
      [
        'os',
        { system: { os: { id: 'linuxmint', like: ['ubuntu', 'debian'], version: '22', name: 'Mint' } } },
        'pass',
        undefined,
      ],
      ['architecture', { system: { arch: 'other', machine: 'riscv64' } }, 'refuse', /no release for riscv64/],
      ['time-source', { found: { synchronised: false, rtc: false } }, 'warn', /set-ntp/],
      ['time-source', { found: { synchronised: false, rtc: false, container: 'systemd-nspawn' } }, 'pass', undefined],
      ['ports', { listeners: [{ proto: 'tcp', port: 6443, program: 'haproxy' }] }, 'refuse', /6443\/tcp \(haproxy\)/],
      ['ports', { ...agent, listeners: [{ proto: 'tcp', port: 6443, program: 'haproxy' }] }, 'pass', undefined],
      [
        'ports',
        { found: { k3s: 'server' }, listeners: [{ proto: 'tcp', port: 6443, program: 'k3s' }] },
        'pass',
        undefined,
      ],
      [
        'ports',
        { found: { starting: true }, listeners: [{ proto: 'tcp', port: 2380, program: 'k3s-server' }] },
        'pass',
        undefined,
      ],
      [
        'ports',
        { found: { starting: true }, listeners: [{ proto: 'tcp', port: 6443, program: 'haproxy' }] },
        'refuse',
        /6443\/tcp \(haproxy\)/,
      ],
    ];
  for (const [id, changes, verdict, says] of cases) {
    const found = onMachine(id, changes);
    t.equal(found?.verdict, verdict, `${id}: ${found?.evidence}`);
    if (says) t.match(`${found?.what} ${found?.hint}`, says, id);
  }
});

t.test('every refusal says what to do', async (t) => {
  const broken: Partial<Prerequisites> = {
    memoryCgroup: false,
    vxlan: 'missing',
    iptables: '1.8.0',
    disk: { size: 1, free: 1, mount: '/' },
    apt: false,
  };
  const machine = {
    ...healthy,
    found: { ...healthy.found, ...broken },
    system: { ...big, arch: 'other' as const, memoryMiB: 1 },
  };
  const refused = machineVerdicts(machine, vars).filter(({ verdict }) => verdict === 'refuse');
  t.strictSame(
    refused.map(({ id }) => id),
    ['os', 'architecture', 'memory', 'disk', 'memory-cgroup', 'vxlan', 'iptables'],
  );
  for (const { id, hint, evidence } of refused) t.ok(hint && evidence, id);
});

const nodes = ['server-1', 'server-2', 'agent-1'].map((name) => hostOf(name));
const systems = new Map(
  nodes.map(({ name }) => [name, { ...system.example, hostname: name, machineId: `id-${name}`, clockOffset: 0.2 }]),
);
const networks = new Map(
  nodes.map(({ name }, i): [string, Network] => [
    name,
    { ...network.example, addresses: [{ iface: 'eth0', address: `192.0.2.${11 + i}`, prefix: 24 }] },
  ]),
);
const among: ClusterView = {
  host: hostOf('server-1'),
  nodes,
  checked: new Set(nodes.map(({ name }) => name)),
  systems,
  networks,
  sources: [],
  found: found.example,
  servers: new Map([['server-1', found.example]]),
};

/** The verdict of one check, the cluster being healthy but for `changes`. */
const inCluster = (id: string, changes: Partial<ClusterView>): Verdict | undefined =>
  clusterVerdicts({ ...among, ...changes }, vars.preflight_clock_drift).find((verdict) => verdict.id === id);

const systemsWith = (name: string, changes: Partial<System>): ReadonlyMap<string, System> =>
  new Map([...systems].map(([key, value]) => [key, key === name ? { ...value, ...changes } : value]));

t.test('machines that differ where they must pass every check', async (t) => {
  t.strictSame(
    clusterVerdicts(among, 5).filter(({ verdict }) => verdict !== 'pass'),
    [],
  );
});

t.test('two hosts of one name, one machine id or one address are found on both', async (t) => {
  const named = { systems: systemsWith('server-2', { hostname: 'Server-1' }) };
  t.match(inCluster('hostname', named), { verdict: 'refuse', what: /server-1 and server-2 have the same host name/ });
  t.match(inCluster('hostname', { ...named, host: hostOf('server-2') }), { verdict: 'refuse' });
  t.match(inCluster('hostname', { systems: systemsWith('server-1', { hostname: 'localhost' }) }), {
    verdict: 'refuse',
  });
  t.match(inCluster('hostname', { systems: systemsWith('server-1', { hostname: 'my_pi' }) }), { verdict: 'refuse' });
  t.match(inCluster('machine-id', { systems: systemsWith('server-2', { machineId: 'id-server-1' }) }), {
    verdict: 'warn',
    what: /server-1 has the machine id of server-2/,
  });
  const nat = new Map([...networks].map(([name]) => [name, network.example]));
  t.match(inCluster('node-ip', { networks: nat }), { verdict: 'refuse', hint: /node_ip for each of them/ });
  t.match(
    inCluster('node-ip', {
      networks: new Map(
        nodes.map(({ name }, i) => [
          name,
          {
            ...network.example,
            addresses: [...network.example.addresses, { iface: 'eth1', address: `198.51.100.${i}`, prefix: 24 }],
          },
        ]),
      ),
      nodes: nodes.map(({ name }, i) => hostOf(name, { node_ip: `198.51.100.${i}` })),
    }),
    {
      verdict: 'pass',
    },
  );
});

t.test('a machine under two names is said once, and nothing else about it', async (t) => {
  const [first] = nodes;
  const machine = systems.get('server-1') ?? system.example;
  const twice = {
    systems: new Map([...systems, ['server-2', machine]]),
    networks: new Map([...networks, ['server-2', networks.get('server-1') ?? network.example]]),
  };
  const said = nodes.flatMap((host) => clusterVerdicts({ ...among, ...twice, host }, vars.preflight_clock_drift));
  t.match(
    said.filter(({ verdict }) => verdict !== 'pass'),
    [{ id: 'same-machine', verdict: 'refuse', what: `${first?.name} and server-2 are names of one machine` }],
  );
});

t.test('a clock is compared with ours and with those of the other nodes', async (t) => {
  t.match(inCluster('clock', {}), { verdict: 'pass', evidence: "0.2 s ahead of this machine's clock" });
  t.match(inCluster('clock', { systems: systemsWith('server-1', { clockOffset: -97 }) }), {
    verdict: 'refuse',
    what: "server-1's clock is 97.0 s behind this machine's clock: tokens and certificates fail",
  });
  const apart = new Map(
    [...systemsWith('server-1', { clockOffset: 3 })].map(([name, one]) => [
      name,
      name === 'agent-1' ? { ...one, clockOffset: -3 } : one,
    ]),
  );
  t.match(inCluster('clock', { systems: apart }), {
    verdict: 'refuse',
    what: "server-1's clock is 6.0 s ahead of agent-1's",
  });
  const wrong = { systems: systemsWith('server-2', { clockOffset: -97 }) };
  t.match(inCluster('clock', wrong), { verdict: 'pass' }, 'server-2 says it itself');
  t.match(inCluster('clock', { ...wrong, checked: new Set(['server-1']) }), {
    verdict: 'refuse',
    what: "server-1's clock is 97.2 s ahead of server-2's",
  });
});

t.test("the socket of a flannel interface that an earlier k3s left is nobody's", async (t) => {
  const output = (more: string) => ({
    stdout: `udp UNCONN 0 0 0.0.0.0:8472 0.0.0.0:*\ntcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=50,fd=3))\n${more}`,
    stderr: '',
    exitCode: 0,
  });
  t.strictSame(portsTaken(listeners.parse(output('')), 'agent', 'vxlan'), [{ proto: 'udp', port: 8472, program: '' }]);
  t.strictSame(portsTaken(listeners.parse(output('flannel is there\n')), 'agent', 'vxlan'), []);
});

t.test("the clock's offset is what the host said, less when its answer came", async (t) => {
  const stdout = 'machine=aarch64\nmemory_kib=3884388\nclock=1795245172.250000000\nos_id=raspbian\nos_like=debian\n';
  const answer = { stdout, stderr: '', exitCode: 0 };
  t.match(system.parse({ ...answer, at: 1795245170 }), {
    clockOffset: 2.25,
    arch: 'arm64',
    memoryMiB: 3793,
    os: { like: ['debian'] },
  });
  t.equal(
    system.parse({ ...answer, stdout: stdout.replace('.250000000', '.%N') }).clock,
    1795245172,
    "busybox's date knows no %N",
  );
  t.throws(() => system.parse({ ...answer, stdout: 'machine=x86_64\nclock=\n' }), /date printed nothing/);
});

t.test('ARM servers beside AMD64 machines are warned about, an all-ARM cluster is not', async (t) => {
  t.match(inCluster('mixed-architectures', { systems: systemsWith('server-1', { arch: 'arm64' }) }), {
    verdict: 'warn',
  });
  const arm = new Map([...systems].map(([name, one]) => [name, { ...one, arch: 'arm64' as const }]));
  t.match(inCluster('mixed-architectures', { systems: arm }), { verdict: 'pass' });
});

t.test('what etcd and the cluster remember of a host is held against it', async (t) => {
  t.match(inCluster('etcd-address', { found: { ...found.example, etcdAddress: '192.0.2.99' } }), {
    verdict: 'refuse',
    what: /member of etcd under 192\.0\.2\.99, and its address is 192\.0\.2\.11 now/,
  });
  t.match(inCluster('etcd-address', { found: { ...found.example, etcdAddress: '192.0.2.11' } }), { verdict: 'pass' });
  t.match(inCluster('learner', { found: { ...found.example, learner: true } }), { verdict: 'warn' });
  const knows = { servers: new Map([['server-2', { ...found.example, nodes: ['server-1', 'server-2'] }]]) };
  t.match(inCluster('node-password', knows), {
    verdict: 'refuse',
    hint: /kubectl delete node server-1 on server-2/,
  });
  t.match(inCluster('node-password', { ...knows, found: { ...found.example, nodePassword: true } }), {
    verdict: 'pass',
  });
});

const answered = (stdout: string): { stdout: string; stderr: string; exitCode: number } => ({
  stdout,
  stderr: '',
  exitCode: 0,
});

t.test('prerequisites are read from a running server and from a host that has nothing', async (t) => {
  // A lab host, with the lines of a Raspberry Pi's boot files and of a running k3s among them.
  const stdout = `disk=/dev/loop5        20597328 16572  20564372       1% /var/lib/rancher
memory_cgroup=yes
cmdline=/boot/firmware/cmdline.txt
cmdline_lines=1
vxlan=there
iptables=iptables v1.8.9 (nf_tables)
forward=DROP
pods_allowed=yes
swap=/var/swap
synchronised=no
rtc=yes
container=systemd-nspawn
apt=yes
k3s=k3s
etcd=https://10.89.7.11:2380
learner=0
node_password=yes
nodes=k3h1 k3h2
`;
  t.match(found.parse(answered(stdout)), {
    disk: { size: 21.091663872, mount: '/var/lib/rancher' },
    memoryCgroup: true,
    cmdline: { path: '/boot/firmware/cmdline.txt', lines: 1 },
    vxlan: 'there',
    iptables: '1.8.9',
    forward: { policy: 'DROP', podsAllowed: true },
    swap: ['/var/swap'],
    synchronised: false,
    rtc: true,
    container: 'systemd-nspawn',
    apt: true,
    k3s: 'server',
    starting: false,
    etcdAddress: '10.89.7.11',
    learner: false,
    nodePassword: true,
    nodes: ['k3h1', 'k3h2'],
  });
  t.match(found.parse(answered('starting=yes\n')), { k3s: undefined, starting: true });
  t.match(found.parse(answered('disk=\nswap=\nsynchronised=\n')), {
    disk: undefined,
    memoryCgroup: false,
    vxlan: 'unknown',
    iptables: undefined,
    forward: undefined,
    swap: [],
    synchronised: undefined,
    container: undefined,
    k3s: undefined,
    nodes: [],
  });
});

t.test('listeners are read from ss, and from /proc where there is no ss', async (t) => {
  const ss = `tcp LISTEN 0      128    0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=50,fd=3))
tcp LISTEN 0      4096      *:6443    *:* users:(("k3s-server",pid=99,fd=12))
udp UNCONN 0      0      0.0.0.0:8472 0.0.0.0:*
`;
  t.strictSame(listeners.parse(answered(ss)), [
    { proto: 'tcp', port: 22, program: 'sshd' },
    { proto: 'tcp', port: 6443, program: 'k3s-server' },
    { proto: 'udp', port: 8472, program: '' },
  ]);
  const proc = `tcp    0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 246413 1 00000000e8635c27 100 0 0 10 0
tcp    1: 0B02590A:0016 0102590A:B7DC 01 0000004C:00000000 01:00000014 00000000     0        0 948484 4 0000000034a826a3 20 4 19 21 -1
tcp6    0: 00000000000000000000000000000000:192B 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1
udp   12: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 17 2 0 0
`;
  const found = listeners.parse(answered(proc));
  t.strictSame(found, [
    { proto: 'tcp', port: 22, program: '' },
    { proto: 'tcp', port: 6443, program: '' },
    { proto: 'udp', port: 8472, program: '' },
  ]);
  t.strictSame(
    portsTaken(found, 'server', 'vxlan').map(({ port }) => port),
    [6443, 8472],
  );
  t.strictSame(portsTaken(found, 'agent', 'host-gw'), []);
});
