/** What only ssh can do wrong: host keys, logging in, links that break, ways through other hosts. */
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { sessionOpener } from '../../../engine/remote/open-session.ts';
import { type Connection, LinkError } from '../../../engine/remote/session.ts';
import { Script, sh } from '../../../engine/script.ts';
import { Secret } from '../../../engine/secret.ts';
import { startRelay } from '../../../lab/relay.ts';
import { openSession } from '../../support/open-session.ts';
import { ended, step, text } from '../../support/session-suite.ts';
import { freePort, newKey, Sshd } from '../../support/sshd.ts';

// Nobody's configuration but the test's.
delete process.env['SSH_AUTH_SOCK'];

const sshd = await Sshd.start({ hostKeys: ['ed25519', 'ecdsa', 'rsa'] });
t.teardown(() => sshd.stop());
const name = `[127.0.0.1]:${sshd.port}`;

/** The error of a connection that must not come about. */
async function refused(connection: Connection): Promise<LinkError> {
  try {
    const session = await openSession(connection);
    await session.close();
  } catch (error) {
    if (error instanceof LinkError) return error;
    throw error;
  }
  throw new Error('it was let in');
}

async function works(t: Test, connection: Connection): Promise<void> {
  const session = await openSession(connection);
  t.equal(text((await session.run([step('hello', sh`echo hello`)]))[0]), 'hello\n');
  await session.close();
}

const trusting = (...lines: string[]) => sshd.connection({ sshArgs: sshd.knownHosts(lines) });

t.test('a key in known_hosts is enough, whichever of the host’s keys it is', async (t) => {
  for (const kind of ['ed25519', 'ecdsa', 'rsa'] as const) await works(t, trusting(`${name} ${sshd.publicKey(kind)}`));
});

t.test('an unknown key is refused with its fingerprint, and accepted for good where that is asked for', async (t) => {
  const error = await refused(trusting(`otherhost ${sshd.publicKey('ed25519')}`));
  t.match(error, { phase: 'host key', problem: { host: 'testhost', hint: /--accept-new-host-keys/ } });
  t.match(error.problem.what, `${name} is not known: ssh-ed25519 ${sshd.fingerprint('ed25519')}`);
  const connection = trusting();
  appendFileSync(join(sshd.folder, 'known_hosts'), '# no line break');
  await works(t, { ...connection, hostKeys: 'accept-new' });
  t.equal(
    readFileSync(join(sshd.folder, 'known_hosts'), 'utf8'),
    `# no line break\n${name} ${sshd.publicKey('ed25519')}\n`,
  );
  await works(t, connection);
  const hashing = trusting();
  const sshArgs = [...(hashing.sshArgs ?? []), '-o', 'HashKnownHosts=yes', '-o', 'StrictHostKeyChecking=no'];
  await works(t, { ...hashing, sshArgs });
  t.match(readFileSync(join(sshd.folder, 'known_hosts'), 'utf8'), /^\|1\|\S+\|\S+ ssh-ed25519 \S+\n$/);
  await works(t, hashing);
});

t.test('a changed key is refused whatever is asked for, with the place of the old one', async (t) => {
  newKey(join(sshd.folder, 'old'), 'ed25519');
  const old = readFileSync(join(sshd.folder, 'old.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
  const connection = trusting('# a comment', `${name} ${old}`);
  for (const hostKeys of ['strict', 'accept-new'] as const) {
    const error = await refused({ ...connection, hostKeys });
    t.equal(error.phase, 'host key');
    t.match(error.problem.what, /has changed/);
    t.match(error.problem.what, `${join(sshd.folder, 'known_hosts')}:2`);
    t.match(error.problem.hint, `ssh-keygen -R '${name}'`);
  }
});

t.test('a revoked key is refused, an authority alone is not enough', async (t) => {
  const key = sshd.publicKey('ed25519');
  const revoked = await refused(trusting(`${name} ${key}`, `@revoked * ${key}`));
  t.match(revoked, { phase: 'host key', problem: { what: /revoked at .*known_hosts:2/ } });
  const authority = await refused(trusting(`@cert-authority * ${key}`));
  t.match(authority, { phase: 'host key', problem: { what: /known_hosts:1 names an authority/ } });
});

t.test('who is not let in learns what was tried', async (t) => {
  newKey(join(sshd.folder, 'stranger'), 'ed25519');
  newKey(join(sshd.folder, 'locked'), 'ed25519', 'a passphrase');
  const wrongKey = await refused(sshd.connection({ privateKeyFile: join(sshd.folder, 'stranger') }));
  t.match(wrongKey, { phase: 'authenticate', problem: { host: 'testhost', expected: /publickey/ } });
  t.match(wrongKey.problem.what, /does not let \S+ in; tried: key \S+stranger$/);
  const locked = await refused(sshd.connection({ privateKeyFile: join(sshd.folder, 'locked') }));
  t.match(locked.problem.what, /locked \(encrypted: add it to ssh-agent, not offered\)/);
  const missing = await refused(
    sshd.connection({ privateKeyFile: join(sshd.folder, 'nowhere'), password: new Secret('swordfish-1') }),
  );
  t.match(missing.problem.what, /nowhere \(not there, not offered\)/);
  t.notMatch(JSON.stringify(missing.problem), /swordfish/);
});

t.test('a host that cannot be reached says why', async (t) => {
  const nobody = await refused(sshd.connection({ port: await freePort() }));
  t.match(nobody, { phase: 'connect', problem: { what: /nothing listens at 127.0.0.1:\d+/ } });
  const nowhere = await refused(sshd.connection({ address: 'no-such-host.invalid' }));
  t.match(nowhere, { phase: 'connect', problem: { what: /no-such-host.invalid/, hint: /ansible_host|DNS/ } });
  const silent = createServer();
  const port = await listening(t, silent);
  const mute = await refused(sshd.connection({ port, connectTimeout: 0.3 }));
  t.match(mute, { phase: 'connect', problem: { what: /took the connection, but sshd did not answer within 0.3 s/ } });
  const other = createServer((socket) => socket.end('220 smtp ready\r\n').on('error', () => {}));
  const wrong = await refused(sshd.connection({ port: await listening(t, other), connectTimeout: 3 }));
  t.equal(wrong.phase, 'connect');
  const options = await refused(sshd.connection({ sshArgs: ['-o', 'ProxyJmp=x'] }));
  t.match(options, {
    phase: 'connect',
    problem: { what: /ProxyJmp is not supported/, hint: 'did you mean ProxyJump?' },
  });
});

t.test('an opening that is given up is not waited for, however far it has got', async (t) => {
  const port = await listening(t, createServer());
  const stuck = await Sshd.start({ config: ['ForceCommand cat'] });
  t.teardown(() => stuck.stop());
  for (const connection of [
    sshd.connection({ port, connectTimeout: 600 }),
    stuck.connection({ connectTimeout: 600 }),
  ]) {
    const giving = new AbortController();
    const opening = sessionOpener()(connection, giving.signal).then(
      () => undefined,
      (error: unknown) => error,
    );
    await sleep(1000);
    giving.abort();
    t.ok((await opening) instanceof LinkError);
  }
  const late = new AbortController();
  const session = await sessionOpener()(sshd.connection(), late.signal);
  late.abort();
  t.equal(text((await session.run([step('hello', sh`echo hello`)]))[0]), 'hello\n', 'an open one stays');
  await session.close();
});

t.test('a user without a shell gets a message that says so', async (t) => {
  const closed = await Sshd.start({ config: ['ForceCommand echo this account is closed'] });
  t.teardown(() => closed.stop());
  const error = await refused(closed.connection());
  t.match(error, { phase: 'connect', problem: { what: /no shell would start.*: this account is closed/ } });
});

t.test('many log in at once although the host takes few at a time', async (t) => {
  const busy = await Sshd.start({ config: ['MaxStartups 2:100:2'] });
  t.teardown(() => busy.stop());
  const sessions = await Promise.all(Array.from({ length: 8 }, () => openSession(busy.connection())));
  const answers = await Promise.all(sessions.map((session, i) => session.run([step('hello', sh`echo ${i}`)])));
  t.same(
    answers.map(([result]) => text(result)),
    sessions.map((_, i) => `${i}\n`),
  );
  await Promise.all(sessions.map((session) => session.close()));
});

t.test('where one channel is all there is, a step that will not end costs the link', async (t) => {
  const narrow = await Sshd.start({ config: ['MaxSessions 1'] });
  t.teardown(() => narrow.stop());
  const session = await openSession(narrow.connection());
  await t.rejects(session.run([step('hangs', sh`exec sleep 2`, { timeout: 0.2 })]), {
    message: /timed out and could not be stopped, while a command was running/,
  });
  await session.close();
});

t.test('where two channels are all there are, uploads take turns', async (t) => {
  const narrow = await Sshd.start({ config: ['MaxSessions 2'] });
  t.teardown(() => narrow.stop());
  const session = await openSession(narrow.connection());
  const file = join(narrow.folder, 'sent');
  const uploads = ['a', 'b', 'c', 'd'].map((id) => ({
    id,
    script: sh`sleep 0.7; cat >> ${file}`,
    timeout: 2,
    content: () => Readable.from([id]),
  }));
  t.ok((await session.upload(uploads)).every(({ outcome, exitCode }) => outcome === 'ran' && exitCode === 0));
  t.equal(readFileSync(file, 'utf8').split('').sort().join(''), 'abcd');
  await session.close();
});

t.test('a link that breaks is named with its step, and the host goes on to the end of that step only', async (t) => {
  for (const how of ['reset', 'silent'] as const) {
    const relay = await Relay.start(t, sshd.port);
    const connection = sshd.connection({
      port: relay.port,
      sshArgs: [
        ...sshd.knownHosts([`[127.0.0.1]:${relay.port} ${sshd.publicKey('ed25519')}`]),
        ...['-o', 'ServerAliveInterval=2', '-o', 'ServerAliveCountMax=1'],
      ],
    });
    const session = await openSession(connection);
    const file = join(sshd.folder, `ran-${how}`);
    const pids = await session.run([step('pid', sh`echo $$`)]);
    const running = session.run(
      [
        // Compressed, the second time.
        step(
          'long',
          sh`${Script.raw(how === 'silent' ? `# ${'.'.repeat(20_000)}\n` : '')}sleep 0.5; echo ended >>${file}; sleep 6; echo ended >>${file}`,
        ),
        step('next', sh`echo next >>${file}`),
      ],
      { started: () => relay.cut(how) },
    );
    const error = await running.catch((error: unknown) => error);
    t.ok(error instanceof LinkError);
    t.match(error, { phase: 'lost', step: 'long', problem: { host: 'testhost' } });
    if (how === 'silent') t.match(error, { message: /no answer for 4 s/ });
    await session.close();
    relay.end();
    await ended(Number(text(pids[0])));
    await sleep(500);
    t.equal(readFileSync(file, 'utf8'), 'ended\nended\n');
  }
});

t.test('a slow line is not taken for a lost one: a keepalive message waits behind what is being sent', async (t) => {
  const relay = await Relay.start(t, sshd.port, 500_000);
  const known = sshd.knownHosts([`[127.0.0.1]:${relay.port} ${sshd.publicKey('ed25519')}`], 'slow');
  const sshArgs = [...known, '-o', 'ServerAliveInterval=1', '-o', 'ServerAliveCountMax=1'];
  const session = await openSession(sshd.connection({ port: relay.port, sshArgs }));
  const content = () => Readable.from([Buffer.alloc(1_500_000)]);
  const uploads = ['a', 'b', 'c'].map((id) => ({ id, script: sh`wc -c`, timeout: 30, content }));
  const sent = await session.upload(uploads);
  t.strictSame(
    sent.map((result) => text(result).trim()),
    ['1500000', '1500000', '1500000'],
  );
  await session.close();
});

t.test('long steps are compressed, and run like any others', async (t) => {
  const session = await openSession(sshd.connection());
  t.teardown(() => session.close());
  const long = `# ${'it is "long" and says the same again; '.repeat(1000)}\n`;
  const steps = [
    step('first', sh`${Script.raw(long)}printf %s ${"it's\n\\n"}; echo err >&2; exit 3`),
    step('sees', sh`set`, { onlyIf: sh`[ "$hw_rc_first" = 3 ]` }),
    step('waits', sh`exec sleep 4`),
    step('last', sh`echo last`),
  ];
  const outcomes = async (listener: Parameters<typeof session.run>[1]) => {
    const before = { ...session.traffic };
    const results = await session.run(steps, listener);
    const { roundTrips, bytesOut } = session.traffic;
    t.match(results[0], {
      outcome: 'ran',
      exitCode: 3,
      stdout: Buffer.from("it's\n\\n"),
      stderr: Buffer.from('err\n'),
    });
    t.notMatch(text(results[1]), /the same again/, 'no step sees what another was sent');
    return {
      trips: roundTrips - before.roundTrips,
      isShort: bytesOut - before.bytesOut < long.length / 5,
      outcomes: results.map(({ outcome }) => outcome).join(' '),
    };
  };
  const stopAt = (id: string, how: 'now' | 'after this step') => ({
    started: (started: string) => void (started === id && session.interrupt(how)),
  });
  const stopped = { trips: 1, isShort: true, outcomes: 'ran ran interrupted skipped' };
  t.strictSame(await outcomes(stopAt('waits', 'now')), stopped);
  t.match(await outcomes(stopAt('waits', 'after this step')), { outcomes: 'ran ran ran skipped' });
  const late = await session.run([...steps.slice(0, 2), step('late', sh`exec sleep 20`, { timeout: 0.5 })]);
  t.equal(late[2]?.outcome, 'timed out');

  // A host that cannot decompress says so once; from then on nothing is compressed for it.
  await session.run([step('without', sh`:`, { onlyIf: sh`gzip() { return 127; }` })]);
  t.match(await outcomes(stopAt('waits', 'now')), { ...stopped, trips: 2, isShort: false });
  t.match(await outcomes(stopAt('waits', 'now')), { ...stopped, isShort: false });
});

t.test('an attempt that is given up leaves nothing that keeps the process', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  const open = sessionOpener();
  for (let ms = 0; ms < 30; ms += 2) {
    const giveUp = new AbortController();
    const opening = open(sshd.connection({ connectTimeout: 30 }), giveUp.signal);
    setTimeout(() => giveUp.abort(), ms);
    await opening.then(
      (session) => session.close(),
      (error: unknown) => t.ok(error instanceof LinkError),
    );
  }
  t.ok(timers() <= before, `${timers()} timers, ${before} before`);
});

/** A session by way of a relay, and the difference of what the two have counted until it was open. */
async function relayedSession(t: Test) {
  const relay = await startRelay({ host: '127.0.0.1', port: sshd.port }, 10);
  t.teardown(() => relay.close());
  const known = [`[127.0.0.1]:${relay.port} ${sshd.publicKey('ed25519')}`];
  const session = await openSession(sshd.connection({ port: relay.port, sshArgs: sshd.knownHosts(known, 'relayed') }));
  const { connect, authenticate, become } = session.opening;
  const own = connect.roundTrips + authenticate.roundTrips + become.roundTrips;
  return { relay, session, difference: Math.abs(own - relay.traffic.roundTrips) };
}

t.test('the counts of traffic are those of a relay in between', async (t) => {
  let opening = await relayedSession(t);
  // On a busy machine the two ends may see messages that cross in another order. A count that is wrong is so every time.
  for (let i = 0; i < 4 && opening.difference > 1; i++) {
    await opening.session.close();
    opening = await relayedSession(t);
  }
  const { relay, session, difference } = opening;
  const { connect, authenticate, become } = session.opening;
  t.match([connect, authenticate, become], [{ bytesIn: Number }, { bytesIn: Number }, { bytesIn: Number }]);
  // Both sides introduce themselves at once, and so may be counted twice.
  t.ok(connect.roundTrips <= 4, 'TCP, names, algorithms, keys');
  t.ok(authenticate.roundTrips <= 4, 'the service, the key, its signature; what else the host has to say');
  t.ok(become.roundTrips <= 3, 'a channel, a shell, its first words');
  const opened = relay.traffic;
  t.ok(difference <= 1, `the two counts of round trips differ by ${difference}`);
  t.equal(connect.bytesOut + authenticate.bytesOut + become.bytesOut, opened.bytesOut);
  t.equal(connect.bytesIn + authenticate.bytesIn + become.bytesIn, opened.bytesIn);

  await session.run([step('first', sh`echo first`)]);
  await session.run([step('slow', sh`echo one; sleep 0.3; echo two`)]);
  t.equal(relay.traffic.roundTrips - opened.roundTrips, 2, 'steps are one round trip, however long their answers take');
  t.equal(session.traffic.roundTrips, 2);
  const content = () => Readable.from([Buffer.alloc(1000)]);
  await session.upload([{ id: 'sent', script: sh`cat > /dev/null`, timeout: 10, content }]);
  t.equal(relay.traffic.roundTrips - opened.roundTrips, 2 + 3, 'a channel, its shell, the answer');
  t.equal(session.traffic.roundTrips, 2 + 3);
  t.equal(session.channelRoundTrips, 2);
  await session.close();
  t.equal(session.wire.bytesOut, relay.traffic.bytesOut);
  t.equal(session.wire.bytesIn, relay.traffic.bytesIn);
});

t.test('jump hosts are shared, and their keys verified too', async (t) => {
  const relay = await Relay.start(t, sshd.port);
  const inner = await Sshd.start();
  t.teardown(() => inner.stop());
  const known = [
    `[127.0.0.1]:${relay.port} ${sshd.publicKey('ed25519')}`,
    `[127.0.0.1]:${inner.port} ${inner.publicKey('ed25519')}`,
  ];
  writeFileSync(join(inner.folder, 'authorized'), readFileSync(`${sshd.clientKey}.pub`));
  const sshArgs = [...sshd.knownHosts(known, 'through'), '-J', `127.0.0.1:${relay.port}`];
  const connection = inner.connection({ sshArgs, privateKeyFile: sshd.clientKey });
  const open = sessionOpener();
  const sessions = await Promise.all([open(connection), open(connection), open(connection)]);
  const answers = await Promise.all(
    sessions.map((session) => session.run([step('port', sh`echo "\${SSH_CONNECTION##* }"`)])),
  );
  t.same(
    answers.map(([result]) => text(result)),
    Array(3).fill(`${inner.port}\n`),
  );
  t.equal(relay.connections, 1);
  await Promise.all(sessions.map((session) => session.close()));
  await relay.idle();
  t.pass('the link to the jump host ended with the last session');
  const strange = await refused({
    ...connection,
    sshArgs: [...sshd.knownHosts(known.slice(1), 'half'), '-J', `127.0.0.1:${relay.port}`],
  });
  t.match(strange, { phase: 'host key', problem: { host: 'jump host 127.0.0.1' } });
  const port = await freePort();
  const far = await refused({ ...connection, port, sshArgs });
  t.match(far, { phase: 'connect', problem: { host: 'testhost', what: /through/ } });
});

t.test('a proxy command may be the way', async (t) => {
  const script = join(sshd.folder, 'proxy.mjs');
  writeFileSync(
    script,
    `import { connect } from 'node:net';
     const socket = connect(Number(process.argv[3]), process.argv[2]);
     process.stdin.pipe(socket).pipe(process.stdout);`,
  );
  const way = ['-o', `ProxyCommand=${process.execPath} ${script} %h %p`];
  const connection = sshd.connection();
  await works(t, { ...connection, sshArgs: [...(connection.sshArgs ?? []), ...way] });
});

t.test(
  'a proxy command that fails says why at once; one whose own connection was dropped is tried again',
  async (t) => {
    const folder = t.testdir();
    const log = join(folder, 'log');
    const proxied = (command: string, more: Partial<Connection> = {}) => {
      const script = join(folder, 'proxy.sh');
      writeFileSync(script, `echo run >>${log}\n${command}\n`);
      const connection = sshd.connection(more);
      return { ...connection, sshArgs: [...(connection.sshArgs ?? []), '-o', `ProxyCommand=sh ${script}`] };
    };
    const runs = () => {
      const count = readFileSync(log, 'utf8').split('\n').length - 1;
      rmSync(log);
      return count;
    };
    const failed = await refused(proxied('echo "nc: bastion: name does not resolve" >&2; exit 1'));
    t.match(failed, {
      phase: 'connect',
      problem: {
        host: 'testhost',
        what: /^no connection to 127\.0\.0\.1:\d+: the ProxyCommand ended with exit code 1: nc: bastion: name does not resolve$/,
        hint: /^run it by hand: sh .*proxy\.sh$/,
      },
    });
    t.equal(runs(), 1);
    t.match((await refused(proxied('no-such-proxy'))).problem.what, /exit code 127: .*no-such-proxy.*not found/);
    t.equal(runs(), 1);
    t.match((await refused(proxied('kill -9 $$'))).problem.what, /ended with SIGKILL$/);
    t.equal(runs(), 1);

    const relayed = (script: string) => {
      writeFileSync(join(folder, 'relay.mjs'), script);
      return `exec ${process.execPath} ${join(folder, 'relay.mjs')}`;
    };
    const relay = `import { connect } from 'node:net'; import { existsSync } from 'node:fs';
    const socket = connect(${sshd.port}, '127.0.0.1'); process.stdin.pipe(socket).pipe(process.stdout);`;
    const closed = 'echo "kex_exchange_identification: Connection closed by remote host" >&2; exit 255';
    await works(t, proxied(`[ "$(wc -l <${log})" -gt 2 ] || { ${closed}; }; ${relayed(relay)}`));
    t.equal(runs(), 3);
    const silent = await refused(proxied('echo "waiting for a token" >&2; exec sleep 20', { connectTimeout: 0.5 }));
    t.match(silent.problem.what, /did not answer within 0.5 s; the ProxyCommand said: waiting for a token$/);
    t.equal(runs(), 1);

    // One that fails later is named as the reason of the loss.
    const go = join(folder, 'go');
    const expiry = `if (existsSync('${go}')) { console.error('the token has expired'); process.exit(3); }`;
    const session = await openSession(proxied(relayed(`${relay}\nsetInterval(() => { ${expiry} }, 20);`)));
    const running = session.run([step('waits', sh`sleep 5`)], { started: () => writeFileSync(go, '') });
    await t.rejects(running, { message: /the ProxyCommand ended with exit code 3: the token has expired/ });
    await session.close();
  },
);

t.test('the user’s ssh configuration counts', async (t) => {
  const config = join(sshd.folder, 'ssh_config');
  sshd.knownHosts([`testalias ${sshd.publicKey('rsa')}`], 'aliased');
  writeFileSync(
    config,
    `Host web\n  HostName 127.0.0.1\n  Port ${sshd.port}\n  HostKeyAlias testalias\n  IdentityFile ${sshd.clientKey}\n` +
      `  UserKnownHostsFile ${join(sshd.folder, 'aliased')}\n`,
  );
  await works(t, {
    name: 'web',
    transport: 'ssh',
    address: 'web',
    sshArgs: ['-F', config],
    connectTimeout: 10,
    hostKeys: 'strict',
  });
});

/** Stands between us and an sshd, to be cut. */
class Relay {
  readonly port: number;
  connections = 0;
  readonly #sockets: Socket[] = [];
  #silent = false;

  private constructor(port: number) {
    this.port = port;
  }

  /** @param rate Bytes a second that it passes on to the host. */
  static async start(t: Test, target: number, rate = Number.POSITIVE_INFINITY): Promise<Relay> {
    const server = createServer();
    const relay = new Relay(await listening(t, server));
    server.on('connection', (near) => relay.#join(near, connect(target, '127.0.0.1'), rate));
    return relay;
  }

  #join(near: Socket, far: Socket, rate: number): void {
    this.connections++;
    this.#sockets.push(near, far);
    if (Number.isFinite(rate)) {
      near.on('data', (data) => {
        near.pause();
        setTimeout(() => near.resume(), (data.length / rate) * 1000);
      });
    }
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (data) => !this.#silent && to.write(data));
      from.on('error', () => {});
      from.on('close', () => !this.#silent && to.destroy());
    }
  }

  /** `reset`: both sides see the connection end. `silent`: neither does, and nothing comes through. */
  cut(how: 'reset' | 'silent'): void {
    if (how === 'silent') this.#silent = true;
    else this.end();
  }

  end(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async idle(): Promise<void> {
    while (this.#sockets.some((socket) => !socket.destroyed)) await sleep(20);
  }
}

/** Listens on a loopback port until the test ends. */
async function listening(t: Test, server: Server): Promise<number> {
  const open = new Set<Socket>();
  server.on('connection', (socket) => open.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
