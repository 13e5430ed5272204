/**
 * What k3s does when servers stop, restart and go missing, and how agents live through it. The tests follow on each
 * other, on one lab.
 */
import t from 'tap';
import { adminCertificate, pollApi } from '../../support/api-poll.ts';
import { kubectl, readyNodes, voters } from '../../support/cluster.ts';
import {
  configure,
  isStandIn,
  journal,
  putImages,
  putK3s,
  SERVER,
  startK3s,
  TOKEN,
  unitSays,
} from '../../support/k3s.ts';
import { useLab } from '../../support/lab.ts';
import { until } from '../../support/until.ts';

const SERVERS = ['server-1', 'server-2', 'server-3'];
const joining = { server: 'https://server-1:6443', ...SERVER };

const lab = await useLab(t, {
  k3s: true,
  hosts: [
    ...SERVERS.map((name) => ({ name })),
    { name: 'agent-1', groups: ['agent'] },
    { name: 'agent-2', groups: ['agent'], arch: 'arm64' },
  ],
});
const [one, two, three] = [lab.host('server-1'), lab.host('server-2'), lab.host('server-3')];
const [agent, emulated] = [lab.host('agent-1'), lab.host('agent-2')];

await Promise.all(
  lab.hosts.map((host) => putK3s(lab, host, { kind: host.shape.groups.includes('agent') ? 'agent' : 'server' })),
);
await Promise.all([one, agent].map((host) => putImages(lab, host, '.tar.zst')));
await configure(one, { 'cluster-init': true, ...SERVER });
await one.read('systemctl start k3s');
for (const host of [agent, emulated]) await configure(host, { server: 'https://server-1:6443', token: TOKEN });
// Emulated, it takes its time; the last test but one asks for it.
await emulated.read('systemctl start --no-block k3s');
for (const host of [two, three]) await configure(host, joining);
for (const { code, stderr } of await Promise.all([two, three, agent].map(startK3s))) t.equal(code, 0, stderr);

/** Runs a pod that stays, on one node. */
async function runPod(name: string, node: string): Promise<void> {
  const overrides = JSON.stringify({ spec: { nodeName: node, terminationGracePeriodSeconds: 0 } });
  await kubectl(
    two,
    `run ${name} --image=docker.io/library/busybox:1.37 --image-pull-policy=Never --overrides='${overrides}' -- sleep 3600`,
  );
  await kubectl(two, `wait --for=condition=Ready pod/${name} --timeout=120s`);
}

/** The server that holds a lease of kube-system. */
async function holderOf(lease: string): Promise<string> {
  const holder = await kubectl(two, `get lease -n kube-system ${lease} -o jsonpath={.spec.holderIdentity}`);
  return holder.replace(/_.*/, '');
}

/** Whether a server's member leads etcd. */
const isLeader = async (name: string) =>
  /^etcd_server_is_leader 1$/m.test((await lab.host(name).exec('curl -s http://127.0.0.1:2381/metrics')).stdout);

t.test('an agent comes in by one server and keeps a list of all', async (t) => {
  t.ok(await until(60, async () => (await readyNodes(one)).includes('agent-1')));
  t.equal(await kubectl(one, 'get node agent-1 -o jsonpath={.metadata.labels.node-role\\.kubernetes\\.io/etcd}'), '');
  const list = '/var/lib/rancher/k3s/agent/etc/k3s-agent-load-balancer.json';
  t.ok(
    await until(60, async () => {
      const { ServerURL, ServerAddresses } = JSON.parse(await agent.read(`cat ${list}`)) as Record<string, unknown>;
      const all = [one, two, three].map(({ address }) => `${address}:6443`).join();
      return ServerURL === 'https://server-1:6443' && [...(ServerAddresses as string[])].sort().join() === all;
    }),
  );
});

t.test(
  'a server stops at once, hands over what it led and leaves its pods running; no request fails elsewhere',
  async (t) => {
    await runPod('stays', 'server-1');
    t.ok(await isLeader('server-1'), 'the first server leads etcd');
    const leases = ['k3s', 'k3s-etcd', 'k3s-cloud-controller-manager', 'kube-controller-manager', 'kube-scheduler'];
    for (const lease of leases) t.equal(await holderOf(lease), 'server-1', lease);
    const poll = pollApi(two.address, await adminCertificate(two));
    const started = performance.now();
    await one.read('systemctl stop k3s');
    const took = performance.now() - started;
    t.ok((await isLeader('server-2')) || (await isLeader('server-3')), 'etcd has another leader already');
    t.ok(
      await until(60, async () => !(await Promise.all(leases.map(holderOf))).includes('server-1')),
      'and so have all leases, soon',
    );
    const { failed, requests, longestGap, reasons } = await poll.stop();
    t.comment(
      `measured: stopped in ${Math.round(took)} ms, longest gap elsewhere ${longestGap} ms of ${requests} requests`,
    );
    t.ok(took < 3000, `${took} ms`);
    t.equal(failed, 0, reasons.join('; '));
    t.equal(await unitSays(one, 'ExecMainStatus'), '0');
    t.match(await one.exec('k3s kubectl get nodes'), {
      code: 1,
      stderr: /The connection to the server 127\.0\.0\.1:6443 was refused/,
    });
    t.match(await one.read('ps -eo args'), /containerd-shim[\s\S]*sleep 3600/, 'its pod still runs');
  },
);

t.test('an agent lives on, and starts again, without the server it joined by', async (t) => {
  const since = Date.now();
  const { code, stderr } = await agent.exec('systemctl restart k3s');
  t.equal(code, 0, stderr);
  await runPod('after', 'agent-1');
  t.match(await kubectl(three, 'exec after -- hostname'), 'after');
  t.match(
    await journal(agent, since),
    new RegExp(
      `load balancer k3s-agent-load-balancer 127\\.0\\.0\\.1:6444 -> \\[.*${two.address}:6443.*\\[default: server-1:6443\\]`,
    ),
  );
});

t.test('a server starts again without the server that its config names, and says so', async (t) => {
  const since = Date.now();
  const { code, stderr } = await two.exec('systemctl restart k3s');
  t.equal(code, 0, stderr);
  t.match(
    await journal(two, since),
    `level=warning msg="Unable to reconcile with remote datastore: Get \\"https://server-1:6443/v1-k3s/server-bootstrap\\": dial tcp ${one.address}:6443: connect: connection refused"`,
  );
  const back = await startK3s(one);
  t.equal(back.code, 0, back.stderr);
  t.strictSame(await voters(one), SERVERS);
  t.ok(
    await until(60, async () => {
      const restarts = await kubectl(one, 'get pod stays -o jsonpath={.status.containerStatuses[0].restartCount}');
      return restarts === '0' && (await readyNodes(one)).includes('server-1');
    }),
    'the pod it had left was never restarted',
  );
});

t.test("a member's token can't be changed, and need not be in its config", async (t) => {
  await three.read('systemctl stop k3s');
  await configure(three, { ...joining, token: 'another' });
  const refused = await three.exec('timeout 30 k3s server 2>&1');
  t.equal(refused.code, 1);
  t.match(
    refused.stdout,
    'level=fatal msg="Error: preparing server: failed to bootstrap cluster data: failed to reconcile with local datastore: bootstrap data already found and encrypted with different token"',
  );
  const { token: _, ...others } = joining;
  await configure(three, others);
  const { code, stderr } = await startK3s(three);
  t.equal(code, 0, stderr);
  t.match(await kubectl(three, 'get --raw /readyz'), /^ok$/);
});

const ours = (await isStandIn(emulated)) ? false : 'the real k3s has no emulated hosts';

t.test('an emulated ARM64 agent starts, registers and says that it pretends its pods', { skip: ours }, async (t) => {
  t.ok(await until(240, async () => (await readyNodes(one)).includes('agent-2')));
  t.equal(await unitSays(emulated, 'ActiveState'), 'active');
  const node = JSON.parse(await kubectl(one, 'get node agent-2 -o json')) as {
    metadata: { labels: Record<string, string>; annotations: Record<string, string> };
  };
  t.match(node.metadata, {
    labels: { 'kubernetes.io/arch': 'arm64', 'heartwood.lab/k3s': 'standin', 'heartwood.lab/pods': 'pretended' },
    annotations: { 'heartwood.lab/pods': 'pretended' },
  });
  t.match(await journal(emulated), 'this host is emulated and carries no containers; its pods are only pretended');
  await runPod('pretended', 'agent-2');
  t.notMatch(await emulated.read('ps -eo args'), 'sleep 3600', 'nothing runs there');
});

t.test('without a quorum the survivor loses its lease, ends with 1, and waits, up but not ready', async (t) => {
  // Who held it last may be gone or have started anew; whoever renews it holds it.
  const renewed = async () => {
    const at = await kubectl(two, 'get lease -n kube-system kube-controller-manager -o jsonpath={.spec.renewTime}');
    return Date.now() - Date.parse(at) < 4000;
  };
  t.ok(await until(60, renewed));
  const survivor = lab.host(await holderOf('kube-controller-manager'));
  const others = [one, two, three].filter((host) => host !== survivor);
  const since = Date.now();
  await Promise.all(others.map((host) => host.read('systemctl stop k3s')));
  t.ok(await until(60, async () => (await journal(survivor, since)).includes('status=1/FAILURE')));
  t.match(await journal(survivor, since), /controllermanager\.go:\d+\] "leaderelection lost(\/stopped)?"/);
  const ask = (path: string) => `curl -sk -m 5 -w ' %{http_code}' https://127.0.0.1:6443/${path}`;
  t.ok(await until(60, async () => (await survivor.read(ask('ping'))) === 'pong 200'));
  t.match(await survivor.read(ask('readyz')), /"message": "apiserver not ready"[\s\S]* 503$/);
  t.equal(await unitSays(survivor, 'ActiveState'), 'activating');
  const health = 'curl -s http://127.0.0.1:2381/health';
  t.ok(await until(30, async () => (await survivor.read(health)) === '{"health":"false","reason":"RAFT NO LEADER"}'));
  t.match(await survivor.exec('k3s kubectl get nodes'), { code: 1, stderr: /\(ServiceUnavailable\)/ });
  for (const { code, stderr } of await Promise.all(others.map(startK3s))) t.equal(code, 0, stderr);
  t.ok(await until(90, async () => (await unitSays(survivor, 'ActiveState')) === 'active'));
  t.strictSame(await voters(survivor), SERVERS);
});
