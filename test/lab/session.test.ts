/** Sessions with real hosts: sudo as it really answers, a host that freezes, one that reboots. */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { sessionOpener } from '../../engine/remote/open-session.ts';
import { type Connection, LinkError } from '../../engine/remote/session.ts';
import { sh } from '../../engine/script.ts';
import { Secret } from '../../engine/secret.ts';
import { useLab } from '../support/lab.ts';
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
  const [own] = await admin.run([step('own', sh`readlink /tmp/heartwood-$(id -u).lock`)]);
  t.match(text(own), / one .* ada@laptop\n/, 'the same run may hold both');
  const other = await open(connection('free'));
  other.lock({ runId: 'two', holder: 'bob@desk', controller: '-' });
  await t.rejects(other.run([step('never', sh`:`)]), { name: 'LockError', message: /run one of ada@laptop/ });
  await Promise.all([root.close(), admin.close(), other.close()]);
  const left = () => lab.host('free').read('ls /run/heartwood.lock /tmp/heartwood-* 2>/dev/null | wc -l');
  t.ok(await until(10, async () => (await left()) === '0'), 'shells that are not waited for give up their locks');
});

t.test('a host that freezes is noticed, and named with the step', async (t) => {
  const host = lab.host('asks');
  const session = await open(connection('asks'));
  const start = performance.now();
  const lost = session.run([step('works', sh`sleep 60`)], { started: () => void host.freeze() });
  await t.rejects(lost, { name: 'LinkError', message: /no answer for 10 s, while works was running/ });
  t.comment(`noticed after ${Math.round(performance.now() - start)} ms`);
  await session.close();
  await host.thaw();
  await sleep(100);
});
