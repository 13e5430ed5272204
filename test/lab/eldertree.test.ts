/**
 * The way to three servers that went wrong once: closed ports looked like a TLS problem, a join hung, a member was left over.
 * The tests follow on each other, on one lab.
 */
import t, { type Test } from 'tap';
import type { Lab } from '../../lab/lab.ts';
import { members, voters } from '../support/cluster.ts';
import { useLab } from '../support/lab.ts';
import { type Ended, program, start } from '../support/program.ts';

let lab: Lab;
let cwd: string;

const install = (...args: string[]): Promise<Ended> =>
  program('playbooks/install-k3s.ts', ['-i', lab.inventory, ...args], { cwd });

t.before(async () => {
  lab = await useLab(t, {
    k3s: true,
    hosts: ['server-1', 'server-2', 'server-3'].map((name) => ({ name, groups: ['server'] })),
  });
  cwd = t.testdir();
});

/** That all three are voters, and that etcd has no other member. */
async function hasThreeMembers(t: Test): Promise<void> {
  t.strictSame(await voters(lab.host('server-1')), ['server-1', 'server-2', 'server-3']);
  t.equal((await members(lab.host('server-1'))).length, 3);
}

t.test('2379 and 2380 dropped at server 3: the join stops with the port, not with a TLS timeout', async (t) => {
  for (const port of [2379, 2380]) await lab.host('server-3').drop({ port, proto: 'tcp' });
  const stopped = await install();
  t.equal(stopped.code, 2, stopped.stdout + stopped.stderr);
  t.match(stopped.stdout, '2380/tcp from server-1 to server-3 is dropped');
  t.notMatch(stopped.stdout, /TLS handshake timeout/);
  await lab.host('server-3').restore();
});

t.test(
  'closed by the firewall itself: the firewall role mends it, the join completes, no member is left over',
  async (t) => {
    const mended = await install();
    t.equal(mended.code, 0, mended.stdout + mended.stderr);
    await hasThreeMembers(t);
  },
);

t.test('kill -9 of the run during a join: the next run completes', async (t) => {
  // A server that starts again from nothing, as a re-imaged machine does.
  await lab.host('server-1').read('k3s kubectl delete node server-3 --timeout=60s');
  await lab
    .host('server-3')
    .read(
      'systemctl disable --now k3s; rm -rf /var/lib/rancher/k3s/server /etc/rancher/k3s/config.yaml /etc/rancher/node',
    );
  const run = start('playbooks/install-k3s.ts', ['-i', lab.inventory, '-vv'], { cwd });
  // What the host says while it joins.
  await run.prints(/server-3 \| last seen after/);
  run.kill('SIGKILL');
  await run.ended;
  const completed = await install();
  t.equal(completed.code, 0, completed.stdout + completed.stderr);
  await hasThreeMembers(t);
});

t.test('8472/udp dropped between two nodes is said, by packets', async (t) => {
  await lab.host('server-2').drop({ port: 8472, proto: 'udp', from: 'server-1' });
  const said = await install('--tags', 'firewall');
  t.equal(said.code, 2, said.stdout + said.stderr);
  t.match(said.stdout, '8472/udp from server-1 to server-2 is dropped');
  await lab.host('server-2').restore();
  t.match(await install('--tags', 'firewall'), { code: 0 });
});
