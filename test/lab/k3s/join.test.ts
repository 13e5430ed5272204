/**
 * Joins of k3s that fail or wait, in k3s's own words, and members that leave. The tests follow on each other, on one lab.
 * A learner that can't be reached blocks every other join until it is evicted: by the real k3s after five minutes, by the
 * stand-in after the time that its environment says.
 */
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import type { LabHost } from '../../../lab/host.ts';
import { kubectl, members, readyNodes, voters } from '../../support/cluster.ts';
import { configure, isStandIn, journal, putK3s, SERVER, startK3s, TOKEN, unitSays } from '../../support/k3s.ts';
import { useLab } from '../../support/lab.ts';
import { until } from '../../support/until.ts';

const NAMES = ['server-1', 'server-2', 'server-3'];
const DB = '/var/lib/rancher/k3s/server/db';
const joining = { server: 'https://server-1:6443', ...SERVER };

const lab = await useLab(t, { k3s: true, hosts: NAMES.map((name) => ({ name })) });
const [one, two, three] = [lab.host('server-1'), lab.host('server-2'), lab.host('server-3')];

/** Seconds after which the stand-in evicts a learner. The tests before that one must be done by then. */
const STALL = 100;

const environment = { STANDIN_LEARNER_STALL: `${STALL}s` };
await Promise.all(lab.hosts.map((host) => putK3s(lab, host, { environment })));
const limit = (await isStandIn(one)) ? STALL : 300;
await configure(one, { 'cluster-init': true, ...SERVER });
await one.read('systemctl start k3s');

/** Runs a server with these settings in the foreground, as far as it comes; what it printed, and its exit code. */
async function tryServer(host: LabHost, settings: object): Promise<{ code: number; stdout: string }> {
  await configure(host, settings);
  return host.exec('timeout 30 k3s server 2>&1');
}

/** Whether a node's end is also the end of its member: the cluster needs a moment to know a new one. */
async function isTracked(node: string): Promise<boolean> {
  const found = await kubectl(one, `get node ${node} -o jsonpath={.metadata.finalizers}`);
  return found.includes('wrangler.cattle.io/managed-etcd-controller');
}

let learnerSince = 0;

t.test(
  '2380 dropped: the joiner ends without an error code, again and again, and leaves a learner without a name',
  async (t) => {
    await one.drop({ port: 2380, from: 'server-2' });
    await configure(two, joining);
    learnerSince = Date.now();
    await two.read('systemctl start --no-block k3s');
    const words =
      'Shutdown request received: \\"etcd cluster join failed: cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs\\"';
    t.ok(await until(90, async () => (await journal(two)).split(words).length > 2), 'it came back and failed again');
    t.ok(await until(30, async () => (await unitSays(two, 'SubState')) === 'auto-restart'));
    t.equal(await unitSays(two, 'Result'), 'protocol');
    t.equal(await unitSays(two, 'ExecMainStatus'), '0');
    t.ok(Number(await unitSays(two, 'NRestarts')) >= 1);
    await two.read('systemctl stop k3s');
    const list = await members(one);
    t.equal(list.length, 2);
    t.match(
      list.find(({ isLearner }) => isLearner),
      { name: '' },
    );
  },
);

t.test('a wrong token is refused, by the unit with a result and an exit code', async (t) => {
  const since = Date.now();
  await configure(three, { ...joining, token: 'wrong' });
  const started = await startK3s(three);
  t.equal(started.code, 1);
  t.match(started.stderr, 'Job for k3s.service failed because the control process exited with error code.');
  t.equal(await unitSays(three, 'Result'), 'exit-code');
  t.equal(await unitSays(three, 'ExecMainStatus'), '1');
  t.match(await unitSays(three, 'SubState'), /^(auto-restart|start)/);
  await three.read('systemctl stop k3s; systemctl reset-failed k3s || :');
  const log = await journal(three, since);
  t.match(log, 'level=warning msg="Skipping cluster configuration validation: not authorized"');
  t.match(log, 'level=fatal msg="Error: preparing server: failed to bootstrap cluster data: not authorized"');
  t.match(
    await journal(one, since),
    new RegExp(`Failed to authenticate request from ${three.address}:\\d+: invalid username/password combination`),
  );
});

t.test('a token with the hash of another CA, and a server that is not there, are refused', async (t) => {
  const other = await tryServer(three, { ...joining, token: `K10${'a'.repeat(64)}::server:${TOKEN}` });
  t.equal(other.code, 1);
  const hash = (await one.read('sha256sum /var/lib/rancher/k3s/server/tls/server-ca.crt')).slice(0, 64);
  t.match(
    other.stdout,
    `failed to validate token: token CA hash does not match the Cluster CA certificate hash: ${'a'.repeat(64)} != ${hash}`,
  );
  const away = await tryServer(three, { ...joining, server: 'https://server-2:6443' });
  t.equal(away.code, 1);
  t.match(
    away.stdout,
    `failed to validate token: failed to get CA certs: Get \\"https://server-2:6443/cacerts\\": dial tcp ${two.address}:6443: connect: `,
  );
});

t.test('settings that servers must agree on are compared and named', async (t) => {
  const settings: readonly (readonly [object, string])[] = [
    [{ 'disable-network-policy': true }, 'disable-network-policy'],
    [{ 'flannel-backend': 'none' }, 'flannel-backend'],
    [{ 'secrets-encryption': true }, 'secrets-encryption'],
    [{ 'cluster-cidr': '10.52.0.0/16' }, 'ClusterIPRange.IP.slice[13]'],
  ];
  for (const [setting, name] of settings) {
    const { code, stdout } = await tryServer(three, { ...joining, ...setting });
    t.equal(code, 1, name);
    t.match(stdout, `level=warning msg="critical configuration mismatched: ${name}`);
    t.match(
      stdout,
      'level=fatal msg="Error: preparing server: failed to bootstrap cluster data: failed to validate server configuration: critical configuration value mismatch between servers"',
    );
  }
});

t.test('a learner that was left behind blocks the next join, until it is evicted', async (t) => {
  await configure(three, joining);
  await three.read('systemctl start --no-block k3s');
  const waits =
    'Waiting for other members to finish joining etcd cluster: etcdserver: too many learner members in cluster';
  t.ok(await until(60, async () => (await journal(three)).includes(waits)), 'it says why it waits');
  t.match(
    await journal(three),
    /Adding member server-3-[0-9a-f]{8}=\S+ to etcd cluster \[[^\]]*=https:\/\/[\d.]+:2380/,
  );
  t.equal(await unitSays(three, 'ActiveState'), 'activating');
  const evicted = async () => (await journal(one)).includes('Removed learner  from etcd cluster');
  t.notOk(await evicted());
  t.ok(await until(limit + 60, evicted));
  const seconds = (Date.now() - learnerSince) / 1000;
  t.ok(seconds > limit && seconds < limit + 60, `${seconds} s`);
  t.match(await journal(one), /Learner {2}stalled at RaftAppliedIndex=0 for \d+m/);
  t.ok(await until(90, async () => (await unitSays(three, 'ActiveState')) === 'active'), 'then it comes in by itself');
  t.strictSame(await voters(one), ['server-1', 'server-3']);
});

t.test('with the port open again, the join that failed completes', async (t) => {
  await one.restore();
  const { code, stderr } = await startK3s(two);
  t.equal(code, 0, stderr);
  t.strictSame(await voters(one), NAMES);
  t.ok(await until(30, async () => (await readyNodes(one)).length === 3));
  t.ok(await until(60, async () => (await isTracked('server-2')) && (await isTracked('server-3'))));
});

t.test(
  'a server that lost its disk is a duplicate and loops, until its node is deleted: then it joins by itself',
  async (t) => {
    await three.read(
      'systemctl stop k3s; rm -rf /var/lib/rancher/k3s/server /var/lib/rancher/k3s/agent/*.crt /etc/rancher/node',
    );
    const since = Date.now();
    const started = await startK3s(three);
    t.equal(started.code, 1);
    t.match(started.stderr, 'did not take the steps required by its unit configuration');
    t.equal(await unitSays(three, 'Result'), 'protocol');
    t.equal(await unitSays(three, 'ExecMainStatus'), '0');
    t.match(
      await journal(three, since),
      'Shutdown request received: \\"etcd cluster join failed: duplicate node name found, please use a unique name for this node\\"',
    );
    const before = (await members(one)).find(({ name }) => name.startsWith('server-3-'))?.name;
    await kubectl(one, 'delete node server-3 --timeout=60s');
    t.ok(await until(90, async () => (await unitSays(three, 'ActiveState')) === 'active'));
    const after = (await members(one)).find(({ name }) => name.startsWith('server-3-'))?.name;
    t.match(after, /^server-3-[0-9a-f]{8}$/);
    t.not(after, before, 'as another member');
  },
);

t.test(
  'a deleted node loses its membership at once, and the server finds a tombstone when it starts again',
  async (t) => {
    const since = Date.now();
    await kubectl(one, 'delete node server-2 --timeout=60s');
    t.strictSame(await voters(one), ['server-1', 'server-3']);
    const logs = (await Promise.all([one, two, three].map((host) => journal(host, since)))).join('\n');
    t.match(
      logs,
      new RegExp(
        `Removing etcd member from cluster due to node delete" address=${two.address} name=server-2-[0-9a-f]{8}`,
      ),
    );
    t.match(logs, new RegExp(`Removing name=server-2-[0-9a-f]{8} id=\\d+ address=${two.address} from etcd`));
    t.ok(await until(30, async () => (await two.exec(`test -f ${DB}/etcd/tombstone`)).code === 0));
    t.equal(await unitSays(two, 'ActiveState'), 'active', 'it stays up');
    t.equal((await two.exec('timeout 3 k3s kubectl get nodes')).code, 124, 'without an answer');
    const restarted = await two.exec('systemctl restart k3s');
    t.equal(restarted.code, 0, restarted.stderr);
    t.match(
      await journal(two, since),
      'tombstone file has been detected, removing ${datadir}/server/db to rejoin the cluster',
    );
    t.match(await two.read(`ls ${DB}`), /^etcd-backup-\d+$/m);
    t.strictSame(await voters(one), NAMES);
  },
);

t.test(
  'a member that is removed while it is stopped comes up without etcd, stays activating, and rejoins at one more start',
  async (t) => {
    await three.read('systemctl stop k3s');
    await kubectl(one, 'delete node server-3 --timeout=60s');
    t.strictSame(await voters(one), ['server-1', 'server-2']);
    const since = Date.now();
    await three.read('systemctl start --no-block k3s');
    const words =
      'level=info msg="This node has been removed from the cluster - please restart k3s to rejoin the cluster"';
    t.ok(await until(60, async () => (await journal(three, since)).includes(words)));
    t.equal((await three.exec(`test -f ${DB}/etcd/tombstone`)).code, 0);
    // Longer than systemd waits before it starts a unit that ended once more.
    await setTimeout(10_000);
    t.equal(await unitSays(three, 'ActiveState'), 'activating');
    t.equal(await unitSays(three, 'NRestarts'), '0', 'it never ends by itself');
    const restarted = await three.exec('systemctl restart k3s');
    t.equal(restarted.code, 0, restarted.stderr);
    t.strictSame(await voters(one), NAMES);
  },
);
