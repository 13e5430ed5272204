/**
 * What can only go wrong once the main job is under way, and around a cluster that is there: a mirror that sends something
 * else, a token and flags that are not the cluster's, a server that never votes, a host that is lost. Each time the mended
 * run goes on from there. The tests follow on each other, on one lab.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { members, voters } from '../support/cluster.ts';
import { useLab } from '../support/lab.ts';
import { type Ended, program, start } from '../support/program.ts';
import { fails, leavesAlone } from '../support/refused.ts';

const PLAYBOOK = 'playbooks/install-k3s.ts';

const lab = await useLab(t, { k3s: true, hosts: [{ name: 'server-1' }, { name: 'server-2' }] });
const one = lab.host('server-1');
const two = lab.host('server-2');
const cwd = t.testdir();

const install = (...args: string[]): Promise<Ended> => program(PLAYBOOK, ['-i', lab.inventory, ...args], { cwd });
const role = (...args: string[]): Promise<Ended> =>
  program('scripts/role.ts', ['k3s-server', '-i', lab.inventory, ...args], { cwd });

/** Variables of all hosts, as `-e` takes them. */
const set = (vars: Readonly<Record<string, unknown>>): string[] => ['-e', JSON.stringify(vars)];

/** The lab's inventory with server-2 as the first of the servers, so as if server-1 had been added later. */
function reversed(): string[] {
  const file = join(mkdtempSync(join(cwd, 'inventory-')), 'hosts');
  const text = readFileSync(lab.inventory, 'utf8').replace(
    '[server]\nserver-1\nserver-2\n',
    '[server]\nserver-2\nserver-1\n',
  );
  writeFileSync(file, text, { mode: 0o600 });
  return ['-i', file];
}

t.test('a k3s that the mirror cuts off, or that has another checksum, never comes to its place', async (t) => {
  t.teardown(() => lab.mendMirror());
  for (const [failure, says] of [
    [
      'truncated',
      /k3s: cut off before its end \(.*\)\n {6}try: fetch that URL on the host with curl -v; or name another mirror/,
    ],
    [
      'corrupt',
      /k3s: wrong checksum [0-9a-f]{64}\n {6}try: the mirror serves another file, or the wanted hash [0-9a-f]{64} is not this version's/,
    ],
  ] as const) {
    lab.mendMirror();
    lab.breakMirror('/k3s', failure);
    await leavesAlone(t, [two], () =>
      fails(t, role('--limit', 'server-1'), 2, /failed {2}server-1 {2}Install the k3s binary/, says),
    );
    // What came of it is kept aside, to be gone on with.
    const there = 'ls /usr/local/bin /etc/rancher/k3s/*.yaml /etc/systemd/system/k3s* 2>/dev/null';
    t.equal((await one.exec(there)).stdout, '/usr/local/bin:\n');
  }
});

t.test('a disk that is filled up meanwhile', async (t) => {
  one.fillDisk();
  t.teardown(() => one.restore());
  await fails(
    t,
    role('--limit', 'server-1'),
    2,
    /failed {2}server-1 {2}Install the k3s binary[\s\S]*the disk.* is full/,
  );
});

t.test('the first server fails before its turn: nothing is installed on the others, and they say so', async (t) => {
  one.restore();
  await one.read("printf '#!/bin/sh\\nexit 1\\n' >/usr/local/sbin/ufw && chmod +x /usr/local/sbin/ufw");
  t.teardown(() => one.read('rm -f /usr/local/sbin/ufw'));
  const { code, stdout } = await install();
  t.equal(code, 2, stdout);
  t.match(
    stdout,
    /failed {2}server-2 {2}Make sure that there is a cluster to join[\s\S]*server-1 was to begin it, and failed in this run\n {6}try: fix what failed on server-1/,
  );
  t.notMatch(stdout, /without --limit/);
  t.equal(
    (await two.exec('ls /usr/local/bin /etc/rancher/k3s/*.yaml /etc/systemd/system/k3s* 2>/dev/null')).stdout,
    '/usr/local/bin:\n',
  );
});

t.test('with the mirror and the disk mended the same run begins the cluster', async (t) => {
  const begun = await install('--limit', 'server-1');
  t.equal(begun.code, 0, begun.stdout + begun.stderr);
  t.strictSame(await voters(one), ['server-1']);
});

t.test('kube-vip whose image cannot be had: the pod, its node and its last event are named', async (t) => {
  await fails(
    t,
    install('--limit', 'server-1', ...set({ kube_vip_image: 'registry.invalid/kube-vip', kube_vip_timeout: 20 })),
    2,
    /failed {2}server-1 {2}Wait until the API answers at the address[\s\S]*; kube-vip-ds-\w+ on server-1: \w+.*; last event: \w+: /,
    /\n {6}try: the node has no such image/,
  );
  const mended = await install('--limit', 'server-1');
  t.equal(mended.code, 0, mended.stdout + mended.stderr);
});

t.test('a token that is not the cluster’s, and flags that are not: no server is touched', async (t) => {
  await leavesAlone(t, [one, two], () =>
    fails(
      t,
      install(...set({ k3s_token: 'a-password-of-nobody' })),
      2,
      /refuse server-2 k3s-token: k3s_token is not the token of the cluster: .*\n {6}try: take k3s_token out, so that it is read from the cluster/,
    ),
  );
  await leavesAlone(t, [one, two], () =>
    fails(
      t,
      install('--limit', 'server-2', ...set({ k3s_config: { 'disable-network-policy': true } })),
      2,
      /refuse server-2 k3s-flags: disable-network-policy must be the same on all servers, and k3s would refuse the join \(disable-network-policy is true here, false on server-1\)/,
    ),
  );
});

t.test(
  'the first server of the inventory joins the cluster of another, and begins none while that one is away',
  async (t) => {
    const { code, stdout } = await install(...reversed(), '--limit', 'server-2', '--check', '--diff');
    t.equal(code, 0, stdout);
    t.match(stdout, `+server: https://${one.address}:6443`);
    t.notMatch(stdout, /\+cluster-init/);
    await one.cut();
    t.teardown(() => one.restore());
    await leavesAlone(t, [two], () =>
      fails(
        t,
        install(...reversed(), '--limit', 'server-2', '--timeout', '2'),
        2,
        /refuse server-2 split-brain: it can't be known whether server-1 has a cluster already, .*\n {6}try: bring server-1 back/,
      ),
    );
  },
);

t.test(
  'a server that never gets to vote is named with the way that is closed, and keeps nobody else from joining',
  async (t) => {
    t.teardown(() => one.restore());
    const run = start(PLAYBOOK, ['-i', lab.inventory, '-vv', ...set({ k3s_start_timeout: 30 })], { cwd });
    // Open when it is looked at, closed when etcd needs it.
    await run.prints(/server-2 \| last seen after/);
    await one.drop({ port: 2380, from: 'server-2' });
    await fails(
      t,
      run.ended,
      2,
      /failed {2}server-2 {2}Join the cluster/,
      new RegExp(
        `etcd on this host cannot reach its peers: ${one.address}:2380 .*\\n {6}try: 2379/tcp and 2380/tcp must be open`,
      ),
    );
    t.equal((await two.exec('systemctl is-active k3s')).stdout, 'inactive\n');
    t.strictSame(await voters(one), ['server-1']);
  },
);

t.test(
  'a server that is lost while it joins is unreachable, not failed; the next run completes the join',
  async (t) => {
    const run = start(PLAYBOOK, ['-i', lab.inventory, '-vv'], { cwd });
    await run.prints(/server-2 \| last seen after/);
    await two.kill();
    const lost = await run.ended;
    t.equal(lost.code, 4, lost.stdout + lost.stderr);
    t.match(
      lost.stdout,
      /^unreachable server-2\n {4}lost the connection: .*\n {6}try: see that the host is up and reachable, then run again/m,
    );
    t.match(lost.stdout, /^server-1 +: ok=\d+ changed=\d+ unreachable=0 failed=0/m);
    t.match(lost.stdout, /^server-2 +: ok=\d+ changed=\d+ unreachable=1 failed=0/m);
    await two.start();
    const completed = await install();
    t.equal(completed.code, 0, completed.stdout + completed.stderr);
    t.strictSame(await voters(one), ['server-1', 'server-2']);
    t.equal((await members(one)).length, 2, 'no half-joined member is left over');
  },
);
