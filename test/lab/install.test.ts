/**
 * The main job, as a new user does it: bare hosts, one command, a cluster. Then everything that may happen to it. The tests
 * follow on each other, on one lab.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Lab } from '../../lab/lab.ts';
import { defaultShape } from '../../lab/shape.ts';
import { adminCertificate, pollApi } from '../support/api-poll.ts';
import { holders, kubectl, readyNodes, voters } from '../support/cluster.ts';
import { useLab } from '../support/lab.ts';
import { type Ended, program } from '../support/program.ts';
import { until } from '../support/until.ts';

const PLAYBOOK = 'playbooks/install-k3s.ts';
const SERVERS = ['node-1', 'node-2', 'node-3'];

let lab: Lab;
let cwd: string;

const install = (...args: string[]): Promise<Ended> => program(PLAYBOOK, ['-i', lab.inventory, ...args], { cwd });
const node1 = () => lab.host('node-1');
/** The servers that have the virtual IP. */
const vipHolders = () =>
  holders(
    SERVERS.map((name) => lab.host(name)),
    lab.vip,
  );

/** What a JSON report says of a run. */
interface Report {
  readonly recap: readonly { readonly host: string; changed: number; unreachable: number; failed: number }[];
  readonly phases: readonly { readonly host: string; readonly phase: string; readonly cost: { roundTrips: number } }[];
}

/** The round trips of a host that asked and changed something, and those around them: connecting, closing, confirming. */
function tripsOf({ phases }: Report, host: string) {
  const sum = (...of: string[]) =>
    phases
      .filter((phase) => phase.host === host && of.includes(phase.phase))
      .reduce((total, { cost }) => total + cost.roundTrips, 0);
  return {
    facts: sum('facts', 'checks'),
    check: sum('check', 'diff'),
    change: sum('wait', 'change', 'peer-upload'),
    confirm: sum('confirm'),
    around: sum('connect', 'authenticate', 'become', 'close'),
  };
}

/** Ansible's recap lines. */
const recap = ({ stdout }: Ended): string[] => stdout.split('\n').filter((line) => / : ok=\d+ changed=/.test(line));

t.before(async () => {
  lab = await useLab(t, { ...defaultShape });
  cwd = t.testdir();
  t.ok(lab.k3sSource);
});

t.test('--check on fresh hosts changes nothing, and lists what it would do', async (t) => {
  const look =
    'find /etc /usr/local /var/lib/rancher -type f -newer /proc/1/cmdline | sort | xargs sha256sum; ufw status';
  const before = await node1().read(look);
  const checked = await install('--check', '--diff');
  t.match(checked, { code: 0 }, checked.stdout + checked.stderr);
  t.match(checked.stdout, /would change node-1\s+Write config\.yaml/);
  t.match(checked.stdout, /\+comment: heartwood: /);
  t.equal(await node1().read(look), before);
});

t.test('one command makes a cluster of bare hosts', async (t) => {
  const installed = await install('--output', 'json');
  t.equal(installed.code, 0, installed.stdout + installed.stderr);
  const report = JSON.parse(installed.stdout) as Report;
  // Every play, stage and gate of a first run. Whoever adds a round trip to it sees it here.
  for (const [host, facts, check, change] of [
    ['node-1', 11, 8, 6],
    ['node-2', 11, 4, 5],
    ['node-3', 11, 4, 5],
    ['node-4', 7, 3, 2],
  ] as const) {
    const { confirm, around, ...trips } = tripsOf(report, host);
    t.strictSame(trips, { facts, check, change }, host);
    t.ok(confirm > 6 && confirm <= 15, `${host}: a new connection proves the firewall open, in ${confirm} round trips`);
    t.ok(around > 6 && around <= 13, `${host}: connected to once, in ${around} round trips`);
  }
  t.strictSame(await voters(node1()), SERVERS);
  t.equal((await vipHolders()).length, 1);
  t.strictSame(await readyNodes(node1()), [...SERVERS, 'node-4']);
  t.match(await kubectl(node1(), 'get node node-4 -o jsonpath={.status.nodeInfo.architecture}'), 'arm64');
});

t.test('pods on different nodes reach each other, and a service name resolves', async (t) => {
  const pod = (name: string, node: string) =>
    `run ${name} --image=docker.io/library/busybox:1.37 --image-pull-policy=Never --overrides='{"spec":{"nodeName":"${node}","terminationGracePeriodSeconds":0}}' -- sleep 3600`;
  await kubectl(node1(), pod('one', 'node-1'));
  await kubectl(node1(), pod('two', 'node-2'));
  await kubectl(node1(), 'wait --for=condition=Ready pod/one pod/two --timeout=120s');
  const address = await kubectl(node1(), 'get pod two -o jsonpath={.status.podIP}');
  t.match(await kubectl(node1(), `exec one -- ping -c 2 -W 5 ${address}`), /2 packets received/);
  t.ok(
    await until(60, async () =>
      /10\.43\.0\.1/.test(await kubectl(node1(), 'exec one -- nslookup kubernetes.default.svc.cluster.local')),
    ),
  );
  await kubectl(node1(), 'delete pod one two --now');
});

t.test('a second run changes nothing, and costs each host two round trips for the whole playbook', async (t) => {
  const again = await install('--output', 'json');
  t.equal(again.code, 0, again.stdout + again.stderr);
  const report = JSON.parse(again.stdout) as Report;
  t.ok(report.recap.length >= 4);
  for (const { host, changed, unreachable, failed } of report.recap) {
    t.strictSame({ changed, unreachable, failed }, { changed: 0, unreachable: 0, failed: 0 }, host);
  }
  for (const host of [...SERVERS, 'node-4']) {
    const { around, ...trips } = tripsOf(report, host);
    t.strictSame(trips, { facts: 1, check: 1, change: 0, confirm: 0 }, host);
    t.ok(around > 6 && around <= 13, `${host}: ${around} round trips around them`);
  }
});

t.test('a tag, a limit, one role and one command', async (t) => {
  const limited = await install('--tags', 'firewall', '--limit', 'node-2', '--check', '--diff');
  t.equal(limited.code, 0, limited.stdout + limited.stderr);
  t.strictSame(
    recap(limited).map((line) => line.split(' ')[0]),
    ['node-2'],
  );
  const role = await program('scripts/role.ts', ['firewall', '-i', lab.inventory, '--limit', 'server'], { cwd });
  t.equal(role.code, 0, role.stdout + role.stderr);
  t.equal(recap(role).length, 3);
  const uptime = await program('scripts/run.ts', ['all', '-i', lab.inventory, '--', 'uname', '-m'], { cwd });
  t.match(uptime, { code: 0, stdout: /node-4 \| exit code 0\n {2}aarch64/ });
});

t.test(
  'one of three servers is killed: the API on the virtual IP is away for a while, and the server comes back',
  async (t) => {
    const [holder] = await vipHolders();
    if (holder === undefined) throw new Error('nobody has the virtual IP');
    const poll = pollApi(lab.vip, await adminCertificate(node1()));
    await sleep(2000);
    await lab.host(holder).kill();
    const other = SERVERS.find((name) => name !== holder) ?? '';
    t.ok(await until(90, async () => (await vipHolders()).length === 1), 'another server takes the virtual IP');
    await sleep(5000);
    const { requests, failed, longestGap, reasons } = await poll.stop();
    t.comment(
      `measured: holder of the virtual IP killed: away ${longestGap} ms (${failed} of ${requests} requests failed: ${reasons.join('; ')})`,
    );
    t.ok(longestGap < 60_000);
    const without = await install();
    t.equal(without.code, 4, 'a run goes on without it: it is unreachable, and nothing failed');
    for (const line of recap(without)) t.match(line, /changed=0 unreachable=[01] failed=0/);
    await lab.host(holder).start();
    t.ok(await until(120, async () => (await voters(lab.host(other))).length === 3));
    t.ok(await until(120, async () => /^ok$/m.test(await kubectl(lab.host(holder), 'get --raw /readyz'))));
  },
);

t.test('a changed setting restarts every server, one at a time, and the API stays', async (t) => {
  t.ok(await until(120, async () => (await vipHolders()).length === 1));
  const poll = pollApi(lab.vip, await adminCertificate(node1()));
  await sleep(1000);
  const changed = await install('-e', '{"k3s_tls_san": ["k3s.example.org"]}');
  const { requests, failed, longestGap, reasons } = await poll.stop();
  t.equal(changed.code, 0, changed.stdout + changed.stderr);
  t.equal(changed.stdout.match(/changed +node-\d +Restart k3s \(handler\)/g)?.length, 3, changed.stdout);
  t.comment(`measured: all servers restarted: ${requests} requests, ${failed} failed, longest gap ${longestGap} ms`);
  t.equal(failed, 0, `of ${requests}: ${reasons.join('; ')}`);
  t.strictSame(await voters(node1()), SERVERS);
});
