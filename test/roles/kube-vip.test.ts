/** kube-vip: which interface, is the address free, what is applied, who has it. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { type VipObservation, vipObservation } from '../../roles/k3s/vip.ts';
import { type KubeVipVars, leaseCost, leaseOf, manifest } from '../../roles/kube-vip/manifest.ts';
import { apiAnswers, holderVerdict } from '../../roles/kube-vip/stages.ts';
import { vars as schema } from '../../roles/kube-vip/vars.ts';
import { freeVerdict, interfaceFor } from '../../roles/kube-vip/vip-observation.ts';

const address = '192.0.2.100';
const vars = Object.fromEntries(
  Object.entries(schema.properties).map(([name, property]) => [
    name,
    'default' in property ? property.default : undefined,
  ]),
) as KubeVipVars;

const observation: VipObservation = {
  holds: false,
  ifaces: ['eth0'],
  defaultIface: 'eth0',
  answeredBy: undefined,
  macs: [],
};
const observations = (...of: readonly Partial<VipObservation>[]) =>
  new Map(of.map((some, i) => [`server-${i + 1}`, { ...observation, macs: [`02:00:00:00:00:0${i + 1}`], ...some }]));
const nodes = new Map([['server-1', '192.0.2.11']]);

t.test('what a host prints is read: who answers, on which network, behind which route', async (t) => {
  const stdout = [
    'answered 02:AB:00:00:00:01',
    'addr lo 127.0.0.1/8',
    'addr eth0 10.0.0.5/24',
    'addr eth1 192.0.2.11/24',
    'addr eth1 192.0.2.100/32',
    'default eth0',
    'mac 00:00:00:00:00:00',
    'mac 02:00:00:00:00:01',
    '',
  ].join('\n');
  t.same(vipObservation(address).parse({ stdout, stderr: '', exitCode: 0 }), {
    holds: false,
    ifaces: ['eth1'],
    defaultIface: 'eth0',
    answeredBy: '02:ab:00:00:00:01',
    macs: ['02:00:00:00:00:01'],
  });
});

t.test('an address that a stranger has is refused, and the stranger is named', async (t) => {
  t.match(freeVerdict(address, observations({}, {}), [], nodes), { verdict: 'pass' });
  const stranger = { answeredBy: '02:00:00:00:00:99' };
  t.match(freeVerdict(address, observations({}, stranger), [], nodes), {
    verdict: 'refuse',
    evidence: '02:00:00:00:00:99 answers for 192.0.2.100, as server-2 sees it',
  });
  t.match(freeVerdict(address, observations({}, stranger), ['server-3'], nodes), { verdict: 'warn', what: /server-3/ });
  t.match(freeVerdict('192.0.2.11', observations({}), [], nodes), { verdict: 'refuse', evidence: /server-1/ });
});

t.test('an address that a server of ours has, or had just now, is ours', async (t) => {
  t.match(freeVerdict(address, observations({ holds: true }, { answeredBy: '02:00:00:00:00:01' }), [], nodes), {
    verdict: 'pass',
  });
  t.match(freeVerdict(address, observations({}, { answeredBy: '02:00:00:00:00:01' }), [], nodes), { verdict: 'pass' });
});

t.test('the interface goes by the route, one name for all servers', async (t) => {
  t.match(interfaceFor(address, observations({}, {}), undefined), { ok: true, iface: 'eth0' });
  t.match(interfaceFor(address, observations({}, {}), 'bond0'), { ok: true, iface: 'bond0' }, 'unless it is set');
  const renamed = { ifaces: ['enp1s0'], defaultIface: 'enp1s0' };
  t.match(
    interfaceFor(address, observations({}, renamed), undefined),
    { ok: true, iface: undefined },
    'by the default route where names differ',
  );
  t.match(interfaceFor(address, observations({}, { ...renamed, defaultIface: 'wlan0' }), undefined), {
    ok: false,
    why: /eth0 on server-1, enp1s0 on server-2/,
  });
  t.match(interfaceFor(address, observations({}, { ifaces: [] }), undefined), {
    ok: false,
    why: /no network of server-2/,
  });
  t.match(interfaceFor(address, observations({ ifaces: ['eth0', 'eth1'] }), undefined), {
    ok: false,
    why: /eth0 and eth1 on server-1/,
  });
});

t.test('a lease is calm, fast or three numbers that make one, and says what it costs', async (t) => {
  t.same(leaseOf('calm'), { duration: 15, renew: 10, retry: 2 });
  t.same(leaseOf('fast'), { duration: 5, renew: 3, retry: 1 });
  t.same(leaseOf('30/20/5'), { duration: 30, renew: 20, retry: 5 });
  t.throws(() => leaseOf('10/15/2'), { message: /no lease/ });
  t.match(leaseCost('calm'), /up to 22 s/);
  t.match(leaseCost('fast'), /up to 7 s; a disk or network that stalls for 3 s moves it/);
});

t.test('the objects: kube-vip follows its own API server, on servers only, with the image of the node', async (t) => {
  const objects = manifest(vars, address, 'eth0');
  t.same(
    objects.map(({ kind }) => kind),
    ['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'DaemonSet'],
  );
  const pod = podOf(objects);
  t.same(pod.spec.nodeSelector, { 'node-role.kubernetes.io/control-plane': 'true' });
  t.equal(pod.spec.hostNetwork, true);
  const [container] = pod.spec.containers;
  t.equal(container?.image, 'ghcr.io/kube-vip/kube-vip:v1.2.3');
  t.equal(container?.imagePullPolicy, 'IfNotPresent');
  const env = envOf(pod);
  t.match(env, {
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: '6443',
    address,
    vip_interface: 'eth0',
    vip_arp: 'true',
    vip_subnet: '32',
    vip_leaseduration: '15',
    vip_renewdeadline: '10',
    vip_retryperiod: '2',
    cp_enable: 'true',
  });
  t.equal(env['bgp_enable'], undefined);
  t.equal(envOf(podOf(manifest(vars, address, undefined)))['vip_interface'], undefined, 'auto');
});

t.test('BGP is rendered: no ARP, no lease, the routers', async (t) => {
  const bgp: KubeVipVars = {
    ...vars,
    kube_vip_mode: 'bgp',
    kube_vip_bgp: { as: 65001, peers: ['192.0.2.1:65000::false', '192.0.2.2:65000::false'] },
  };
  const env = envOf(podOf(manifest(bgp, address, undefined)));
  t.match(env, {
    vip_arp: 'false',
    bgp_enable: 'true',
    bgp_as: '65001',
    bgp_peers: '192.0.2.1:65000::false,192.0.2.2:65000::false',
    vip_interface: 'lo',
  });
  t.equal(env['vip_leaseduration'], undefined);
});

t.test('exactly one server has the address; before there is a cluster nobody need have it', async (t) => {
  t.match(holderVerdict(address, observations({}, { holds: true }), true), {
    verdict: 'pass',
    evidence: /on server-2/,
  });
  t.match(holderVerdict(address, observations({ holds: true }, { holds: true }), true), {
    verdict: 'refuse',
    what: /more than one/,
  });
  t.match(holderVerdict(address, observations({}, {}), true), { verdict: 'refuse', what: /no server has/ });
  t.match(holderVerdict(address, observations({}, {}), false), { verdict: 'warn' });
  t.match(holderVerdict(address, observations({}, {}), true, ['server-3']), {
    verdict: 'warn',
    what: /server-3 could not be asked/,
  });
});

interface Pod {
  readonly spec: {
    readonly nodeSelector: unknown;
    readonly hostNetwork: unknown;
    readonly containers: readonly {
      readonly image: string;
      readonly imagePullPolicy: string;
      readonly env: readonly { readonly name: string; readonly value?: string }[];
    }[];
  };
}

function podOf(objects: ReturnType<typeof manifest>): Pod {
  const spec = objects.find(({ kind }) => kind === 'DaemonSet')?.['spec'] as { template: Pod };
  return spec.template;
}

function envOf(pod: Pod): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(pod.spec.containers[0]?.env.map(({ name, value }) => [name, value]) ?? []);
}

t.test('where the API does not answer at the address, the pod, its node and its last event are named', async (t) => {
  const { action } = apiAnswers(address, 0);
  if (!('change' in action)) throw new Error('a wait');
  const pod = ['kube-vip-ds-x', 'server-2', 'Pending', 'False', '', '', 'ErrImagePull', 'not found'].join('\t');
  const fake = `curl() { echo 'curl: (28) Connection timed out' >&2; return 28; }
k3s() { case "$*" in *'get pods'*) echo '${pod}' ;; *'get events'*) echo 'Failed: Failed to pull image "x"' ;; esac; }`;
  const script = action.change({}).standalone().replaceAll('/usr/local/bin/k3s', 'k3s');
  const { status, stderr } = spawnSync('sh', [], { input: `${fake}\n${script}`, encoding: 'utf8' });
  t.equal(status, 1);
  t.match(action.explain?.({ exitCode: 1, stdout: '', stderr }), {
    what: `timed out after 0 s of waiting for the API to answer at ${address}; last seen: curl: (28) Connection timed out; kube-vip-ds-x on server-2: ErrImagePull (not found); last event: Failed: Failed to pull image "x"`,
    hint: /registry reachable from the node/,
  });
});
