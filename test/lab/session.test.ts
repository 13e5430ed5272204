/** Sessions with real hosts: sudo as it really answers, a host that freezes, one that reboots. */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { sessionOpener } from '../../engine/remote/open-session.ts';
import { type Connection, LinkError } from '../../engine/remote/session.ts';
import { sh } from '../../engine/script.ts';
import { Secret } from '../../engine/secret.ts';
import { useLab } from '../support/lab.ts';
import { start } from '../support/program.ts';
import { step, text } from '../support/session-suite.ts';
import { until } from '../support/until.ts';

const lab = await useLab(t, {
  hosts: [
    { name: 'asks', sudo: 'password' },
    { name: 'free', sudo: 'nopasswd' },
    { name: 'refuses', sudo: 'refused' },
  ],
});
const open = sessionOpener();
const right = new Secret('lab-5esame');

function connection(name: string, more: Partial<Connection> = {}): Connection {
  return {
    name,
    transport: 'ssh',
    address: lab.host(name).address,
    user: 'admin',
    privateKeyFile: lab.files.key,
    sshArgs: ['-F', 'none', '-o', `UserKnownHostsFile=${lab.files.knownHosts}`],
    connectTimeout: 10,
    hostKeys: 'strict',
    ...more,
  };
}

async function refused(connection: Connection): Promise<LinkError> {
  try {
    await (await open(connection)).close();
  } catch (error) {
    if (error instanceof LinkError) return error;
    throw error;
  }
  throw new Error('it was let in');
}

t.test('sudo lets in whom it should', async (t) => {
  for (const [name, password] of [
    ['asks', right],
    ['free', right],
    ['free', undefined],
  ] as const) {
    const session = await open(connection(name, { become: { user: 'root', password } }));
    const [who] = await session.run([step('who', sh`id -un; echo "$HOME $USER"; cat`)]);
    t.equal(text(who), 'root\n/root root\n', `${name} ${password ? 'with' : 'without'} a password`);
    const [hangs, next] = await session.run([
      step('hangs', sh`sleep 4321 & setsid sleep 4321`, { timeout: 0.5 }),
      step('next', sh`pgrep -fc '^sleep 4321'`),
    ]);
    t.equal(hangs?.outcome, 'timed out');
    t.equal(text(next), '0\n', 'a step of root’s is ended too');
    await session.close();
  }
  const plain = await open(connection('asks'));
  t.equal(text((await plain.run([step('who', sh`id -un`)]))[0]), 'admin\n');
  await plain.close();
  const root = await open(connection('asks', { user: 'root', become: { user: 'root' } }));
  t.equal(text((await root.run([step('who', sh`id -un; ps -o args= -p $PPID`)]))[0]).split('\n')[0], 'root');
  await root.close();
});

t.test('sudo keeps out whom it should, and each refusal has its own words', async (t) => {
  const root = (password?: Secret): Partial<Connection> => ({ become: { user: 'root', password } });
  t.match(await refused(connection('asks', root(new Secret('wrong-one')))), {
    phase: 'become',
    problem: { host: 'asks', what: 'sudo did not accept the password for becoming root', hint: /-K/ },
  });
  t.match(await refused(connection('asks', root())), {
    phase: 'become',
    problem: { what: /asks for a password .* none was given/, hint: /-K/ },
  });
  t.match(await refused(connection('refuses', root(right))), {
    phase: 'become',
    problem: { host: 'refuses', what: /refuses to become root: / },
  });
  t.match(await refused(connection('free', { become: { user: 'nobodee' } })), {
    phase: 'become',
    problem: { what: 'there is no user nobodee on the host' },
  });
});

t.test('a password lets in, the wrong one does not, by either of ssh’s ways to ask', async (t) => {
  // Debian leaves the second way off.
  await lab
    .host('asks')
    .read('echo KbdInteractiveAuthentication yes >/etc/ssh/sshd_config.d/00-test.conf && systemctl restart ssh');
  for (const method of ['password', 'keyboard-interactive']) {
    const by = (password: Secret) =>
      connection('asks', {
        privateKeyFile: undefined,
        password,
        sshArgs: [...(connection('asks').sshArgs ?? []), '-o', `PreferredAuthentications=${method}`],
      });
    const session = await open(by(right));
    t.equal(text((await session.run([step('who', sh`id -un`)]))[0]), 'admin\n', method);
    await session.close();
    t.match(await refused(by(new Secret('wrong-one'))), {
      phase: 'authenticate',
      problem: { host: 'asks', what: /does not let admin in; tried: password/ },
    });
  }
});

t.test('a lock of another user’s is kept apart from root’s, and root’s is respected', async (t) => {
  const root = await open(connection('free', { become: { user: 'root' } }));
  const admin = await open(connection('free'));
  root.lock({ runId: 'one', holder: 'ada@laptop', controller: '-' });
  await root.run([step('take', sh`:`)]);
  admin.lock({ runId: 'one', holder: 'ada@laptop', controller: '-' });
  const [own] = await admin.run([step('own', sh`readlink ~/.local/state/heartwood/lock-*`)]);
  t.match(text(own), / one .* ada@laptop\n/, 'the same run may hold both');
  const [mode] = await admin.run([step('mode', sh`stat -c '%a %U' ~/.local/state/heartwood`)]);
  t.equal(text(mode), '700 admin\n');
  const other = await open(connection('free'));
  other.lock({ runId: 'two', holder: 'bob@desk', controller: '-' });
  await t.rejects(other.run([step('never', sh`:`)]), { name: 'LockError', message: /run one of ada@laptop/ });
  await Promise.all([root.close(), admin.close(), other.close()]);
  const places = '/run/heartwood.lock /home/admin/.local/state/heartwood/lock-* /tmp/heartwood-*';
  const left = () => lab.host('free').read(`ls -d ${places} 2>/dev/null | wc -l`);
  t.ok(await until(10, async () => (await left()) === '0'), 'shells that are not waited for give up their locks');
});

t.test('hosts are told apart though they share a kernel, and are the same for each of their users', async (t) => {
  const machine = async (connection: Connection) => {
    const session = await open(connection);
    await session.close();
    return session.machine;
  };
  const here: Connection = { ...connection('free'), transport: 'local', become: undefined };
  const ids = await Promise.all([
    machine(connection('free')),
    machine(connection('free', { name: 'other', become: { user: 'root' } })),
    machine(connection('asks')),
    machine(connection('refuses')),
    machine(here),
  ]);
  t.equal(ids[0], ids[1]);
  t.equal(new Set(ids).size, 4);
});

/** Processes of a host, a line each: state and command. */
const processes = (name: string, pattern: string) =>
  lab.host(name).read(`ps -eo stat=,args= | grep -e ${pattern} | grep -v grep || true`);

t.test('a session that was abandoned is ended with its sudo, also where somebody has stopped it', async (t) => {
  const connected = connection('free', { become: { user: 'root' } });
  for (const isStopped of [false, true]) {
    const left = start('test/support/hold-lock.ts', [JSON.stringify(connected), '86441'], { cwd: t.testdir() });
    await left.prints(/holds the lock/);
    if (isStopped) {
      await lab.host('free').read('kill -STOP "$(readlink /run/heartwood.lock | cut -d " " -f 1)"');
      t.ok(await until(10, async () => /^T/m.test(await processes('free', '"^T.*sudo"'))), 'sudo stops itself too');
    }
    left.kill('SIGKILL');
    await left.ended;
    const next = await open(connected);
    next.lock({ runId: 'next', holder: 'bob@desk', controller: '-' });
    t.match(text((await next.run([step('change', sh`readlink /run/heartwood.lock`)]))[0]), / next /);
    t.equal(await processes('free', '86441 -e ^T'), '', 'nothing is left of it, and nothing is stopped');
    t.match(await processes('free', '"sudo -H"'), /^S\S* +sudo -H \S+ -u root -- sh -c [^\n]*$/, 'one sudo: ours');
    await next.close();
  }
});

t.test('an upload that is given up is ended with its sudo', async (t) => {
  const session = await open(connection('free', { become: { user: 'root' } }));
  const content = () => Readable.from([Buffer.alloc(10_000_000)]);
  const [result] = await session.upload([{ id: 'hangs', script: sh`sleep 86442 & sleep 86442`, timeout: 1, content }]);
  t.equal(result?.outcome, 'timed out');
  t.equal(await processes('free', '86442 -e ^T'), '');
  t.equal((await processes('free', '"sudo -H"')).split('\n').length, 1, 'the session’s own');
  await session.close();
});

t.test('a host that freezes is noticed, and named with the step', async (t) => {
  const host = lab.host('asks');
  const session = await open(connection('asks'));
  const start = performance.now();
  const works = step('t20.change', sh`sleep 60`, { title: 'Install packages' });
  const lost = session.run([works], { started: () => void host.freeze() });
  await t.rejects(lost, { name: 'LinkError', message: /no answer for 10 s, while "Install packages" was running/ });
  t.comment(`noticed after ${Math.round(performance.now() - start)} ms`);
  await session.close();
  await host.thaw();
  await sleep(100);
});
