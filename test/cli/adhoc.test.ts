/**
 * `scripts/run.ts` as a user calls it: what it checks before a host is touched, the lock it takes, machines of two
 * names.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Connection } from '../../engine/remote/session.ts';
import { program, start } from '../support/program.ts';
import { until } from '../support/until.ts';

const cwd = t.testdir({
  hosts: `node-1 ansible_connection=local
node-2 ansible_connection=local ansible_port=many
node-3 ansible_connection=locla
`,
  twins: `here ansible_connection=local
there ansible_connection=local
`,
  one: 'here ansible_connection=local\n',
});
const run = (...args: string[]) => program('scripts/run.ts', args, { cwd });

t.test('connection variables of every host are checked before a host is touched', async (t) => {
  const touched = join(cwd, 'touched');
  const { code, stdout, stderr } = await run('all', '-i', 'hosts', '--', 'touch', touched);
  t.equal(code, 1);
  t.equal(stdout, '');
  t.match(stderr, /^hosts:3:\d+: ansible_connection is "locla"\n {2}allowed: ssh, local$/m);
  t.notOk(existsSync(touched), 'the host with a good connection was left alone');
  writeFileSync(join(cwd, 'shared'), 'node-1\nnode-2\n[all:vars]\nansible_connection=locla\n');
  t.equal(
    (await run('all', '-i', 'shared', '--', 'true')).stderr.split('ansible_connection is').length,
    2,
    'said once',
  );
});

t.test('two names of one machine are said, and the command runs there one after the other', async (t) => {
  const log = join(cwd, 'log');
  const { code, stdout, stderr } = await run(
    'all',
    '-i',
    'twins',
    '--',
    `echo in >>${log}; sleep 0.3; echo out >>${log}`,
  );
  t.equal(code, 0);
  t.match(stdout, /^(here|there) \| exit code 0\n(here|there) \| exit code 0\n$/);
  t.match(stderr, /^warning: (here and there|there and here) are the same machine; /);
  t.equal(readFileSync(log, 'utf8'), 'in\nout\nin\nout\n');
});

t.test(
  'the command waits for a run that holds the host, and is told which; --no-lock does without',
  { skip: userInfo().uid === 0 ? false : 'another user’s lock is in the home' },
  async (t) => {
    const here: Connection = {
      name: 'here',
      transport: 'local',
      address: 'localhost',
      connectTimeout: 10,
      hostKeys: 'strict',
    };
    const holder = start('test/support/hold-lock.ts', [JSON.stringify(here), '86451'], { cwd });
    t.teardown(async () => {
      holder.kill('SIGTERM');
      await holder.ended;
    });
    await holder.prints(/holds the lock/);
    const [locked, free] = await Promise.all([
      run('all', '-i', 'one', '--', 'echo never'),
      run('all', '-i', 'one', '--no-lock', '--', 'echo read'),
    ]);
    t.equal(locked.code, 4);
    t.match(
      locked.stdout,
      /^here \| locked: another run holds this host: run left of ada@laptop, since .*\n {2}try: wait/,
    );
    t.equal(free.stdout, 'here | exit code 0\n  read\n');
  },
);

t.test('a host whose command runs is held against other runs', { skip: userInfo().uid !== 0 }, async (t) => {
  const { stdout } = await run('all', '-i', 'one', '--', 'readlink /run/heartwood.lock');
  t.match(stdout, /^ {2}\d+ \d+ \d+ \d{8}T\d{6}-\w{6} \S+ \S+Z \S+@\S+$/m);
  t.ok(await until(10, async () => !existsSync('/run/heartwood.lock')));
});
