/** What `npm run try` says at its end. */
import t from 'tap';
import { Lab } from '../../lab/lab.ts';
import { defaultShape } from '../../lab/shape.ts';
import { nextSteps } from '../../scripts/try-next-steps.ts';

const cluster = {
  lab: 'try',
  playbook: 'playbooks/install-k3s.ts',
  inventory: '.lab/try/hosts',
  vip: '10.89.1.250',
  k3sSource: 'release',
} as const;

t.test('settings are kept beside the inventory, wherever the lab is', async (t) => {
  t.match(nextSteps(cluster), /^To keep a setting, write it to \.lab\/try\/group_vars\/k3s_cluster\.yml\.$/m);
  const elsewhere = nextSteps({ ...cluster, inventory: '/srv/labs/try/hosts' });
  t.match(elsewhere, /^To keep a setting, write it to \/srv\/labs\/try\/group_vars\/k3s_cluster\.yml\.$/m);
  t.match(elsewhere, '-i /srv/labs/try/hosts -e ');
  t.notMatch(elsewhere, '.lab/');
});

t.test('it says which k3s the cluster runs, and no other', async (t) => {
  const standIn = nextSteps({ ...cluster, k3sSource: 'stand-in' });
  t.match(standIn, 'the stand-in for k3s');
  t.notMatch(standIn, 'the real k3s');
  t.match(nextSteps(cluster), 'It runs the real k3s.');
  t.notMatch(nextSteps(cluster), 'stand-in');
  t.match(nextSteps({ ...cluster, k3sSource: 'K3S_BIN' }), 'K3S_BIN');
  t.notMatch(nextSteps({ ...cluster, k3sSource: undefined }), /stand-in|the real k3s|K3S_BIN/);
});

t.test('comments are in one column; that of a longer command is on the line above', async (t) => {
  for (const inventory of [cluster.inventory, `/srv/${'long/'.repeat(20)}hosts`]) {
    const lines = nextSteps({ ...cluster, inventory }).split('\n');
    const columns = lines.flatMap((line) => /^ {2}np[mx] .*? {2}# /.exec(line)?.[0].length ?? []);
    t.ok(columns.length >= 4);
    t.equal(new Set(columns).size, 1, 'one column');
    const above = lines.filter((line, index) => line.startsWith('  # ') && lines[index + 1]?.startsWith('  npx '));
    t.equal(columns.length + above.length, 8, 'every command has a comment');
  }
});

t.test('a lab knows where its k3s came from, also when another process booted it', async (t) => {
  const labs = t.testdir({
    new: { 'lab.json': JSON.stringify({ name: 'new', number: 1, shape: defaultShape }), 'k3s-source': 'stand-in' },
    old: { 'lab.json': JSON.stringify({ name: 'old', number: 2, shape: defaultShape }) },
  });
  t.intercept(process, 'env', { value: { ...process.env, HEARTWOOD_LAB_DIR: labs } });
  t.equal(Lab.open('new').k3sSource, 'stand-in');
  t.equal(Lab.open('old').k3sSource, undefined, 'booted without k3s');
});
