/** The parts of a session that need no host: frames, bounded output, known_hosts, ssh's options, sudo, the lock. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { BoundedOutput } from '../../../engine/remote/bounded-output.ts';
import { compressSteps } from '../../../engine/remote/compressed-steps.ts';
import { encodeSteps } from '../../../engine/remote/encode-steps.ts';
import { FrameParser, newMark } from '../../../engine/remote/framing.ts';
import { LOCK_FUNCTIONS, lockRefusal } from '../../../engine/remote/host-lock.ts';
import { appendKnownHost, KnownHosts, parseKnownHosts } from '../../../engine/remote/known-hosts.ts';
import { LocalLink } from '../../../engine/remote/local-link.ts';
import { parseMachineId } from '../../../engine/remote/machine-id.ts';
import { ProxyCommandError } from '../../../engine/remote/proxy-command.ts';
import { remoteRuntime } from '../../../engine/remote/remote-runtime.ts';
import { type Become, type Connection, LinkError } from '../../../engine/remote/session.ts';
import { parseSshArgs } from '../../../engine/remote/ssh-args.ts';
import { connectError } from '../../../engine/remote/ssh-problem.ts';
import { jumpTarget, targetOf } from '../../../engine/remote/ssh-target.ts';
import { openShell } from '../../../engine/remote/sudo-shell.ts';
import { sh } from '../../../engine/script.ts';
import { Secret } from '../../../engine/secret.ts';

t.test('frames come out as they were put in, however the stream was cut', async () => {
  const mark = newMark();
  const start = `\x1e${mark} `;
  // Output that is random, and output that nearly is a record.
  const output = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc.nat(start.length - 1).map((n) => Buffer.from(start.slice(0, n))),
    fc.constant(Buffer.from(`\x1e\x1e${mark}`)),
    fc.constant(Buffer.from(`\x1e${'0'.repeat(32)} E 1 0\n`)),
  );
  const words = fc.array(fc.stringMatching(/^[\w.]{1,8}$/), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(output, words), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 }),
      (pieces, cuts) => {
        const stream = Buffer.concat(
          pieces.flatMap(([data, record]) => [data, Buffer.from(`${start}${record.join(' ')}\n`)]),
        );
        const parser = new FrameParser(mark);
        const seen: (string | readonly string[])[] = [];
        let data = Buffer.alloc(0);
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = cuts[i % cuts.length] ?? 1;
          for (const frame of parser.feed(stream.subarray(at, at + size))) {
            if (frame.kind === 'data') data = Buffer.concat([data, frame.data]);
            else {
              seen.push(data.toString('hex'), frame.words);
              data = Buffer.alloc(0);
            }
          }
          at += size;
        }
        const wanted = pieces.flatMap(([data, record]) => [data.toString('hex'), record]);
        return JSON.stringify(seen) === JSON.stringify(wanted) && data.length === 0;
      },
    ),
    { numRuns: 500 },
  );
});

for (const shell of ['dash', 'busybox sh', 'bash --posix']) {
  const [program = '', ...words] = shell.split(' ');
  const there = existsSync(join('/bin', program));
  t.test(
    `${shell} decompresses long steps, or says that it cannot`,
    { skip: there ? false : 'not here' },
    async (t) => {
      const content = `${"it's\\n \u00e9 ".repeat(3000)}\n`;
      const steps = encodeSteps([{ id: 'a', script: sh`printf %s ${content}`, timeout: 1 }], new Map());
      const sent = compressSteps(steps) ?? '';
      t.ok(sent.length < steps.length / 5);
      t.equal(compressSteps('short'), undefined);
      const says = (text: string) =>
        execFileSync(join('/bin', program), words, {
          input: remoteRuntime('mark') + text,
          stdio: ['pipe', 'pipe', 'ignore'],
        }).toString();
      const frames = new FrameParser('mark').feed(Buffer.from(says(sent)));
      t.equal(
        Buffer.concat(frames.flatMap((frame) => (frame.kind === 'data' ? [frame.data] : []))).toString(),
        content,
      );
      for (const broken of [
        `gzip() { false; }\n${sent}`,
        sent.replace('hw_decompress H', 'hw_decompress h'),
        'hw_decompress \n',
      ])
        t.equal(says(broken), '\x1emark P\n');
    },
  );
}

t.test('output is passed on at once but for what may begin a record', async (t) => {
  const mark = newMark();
  const parser = new FrameParser(mark);
  t.same(parser.feed(Buffer.from('hello')), [{ kind: 'data', data: Buffer.from('hello') }]);
  t.same(parser.feed(Buffer.from(`x\x1e${mark.slice(0, 5)}`)), [{ kind: 'data', data: Buffer.from('x') }]);
  t.same(parser.feed(Buffer.from('no')), [{ kind: 'data', data: Buffer.from(`\x1e${mark.slice(0, 5)}no`) }]);
});

t.test('of output, the first and last halves of the limit are kept', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 20 }),
      fc.integer({ min: 1, max: 40 }),
      (chunks, half) => {
        const kept = new BoundedOutput(2 * half);
        for (const chunk of chunks) kept.add(Buffer.from(chunk));
        const all = Buffer.concat(chunks);
        const fits = all.length <= 2 * half;
        const wanted = fits ? all : Buffer.concat([all.subarray(0, half), all.subarray(-half)]);
        return kept.take().equals(wanted) && kept.truncated === !fits;
      },
    ),
  );
  t.pass();
});

t.test('known_hosts is read as ssh reads it', async (t) => {
  const [a, b] = ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAA', 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAA'];
  const keyA = Buffer.from(a.split(' ')[1] ?? '', 'base64');
  const hashed = '|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg='; // sshd(8): 192.168.1.61
  const cases: readonly [string, string, number, string][] = [
    [`web ${a}`, 'web', 22, 'known'],
    [`WEB ${a}`, 'Web', 22, 'known'],
    [`web,10.0.0.1 ${a} a comment`, '10.0.0.1', 22, 'known'],
    [`web ${a}`, 'web2', 22, 'unknown'],
    [`web ${b}`, 'web', 22, 'changed'],
    [`web ${b}\nweb ${a}`, 'web', 22, 'known'],
    [`[web]:2222 ${a}`, 'web', 2222, 'known'],
    [`[web]:2222 ${a}`, 'web', 22, 'unknown'],
    [`web ${a}`, 'web', 2222, 'known'],
    [`web ${b}`, 'web', 2222, 'unknown'],
    [`web ${a}\n[web]:2222 ${b}`, 'web', 2222, 'changed'],
    [`*.example.org ${a}`, 'web.example.org', 22, 'known'],
    [`*.example.org ${a}`, 'example.org', 22, 'unknown'],
    [`web? ${a}`, 'web1', 22, 'known'],
    [`web? ${a}`, 'web', 22, 'unknown'],
    [`*.example.org,!bad.example.org ${a}`, 'bad.example.org', 22, 'unknown'],
    [`!bad,* ${a}`, 'good', 22, 'known'],
    [`[*.example.org]:* ${a}`, 'web.example.org', 22022, 'known'],
    [`[fe80::1]:2222 ${a}`, 'fe80::1', 2222, 'known'],
    [`web.example ${a}`, 'webxexample', 22, 'unknown'],
    [`${hashed} ${a}`, '192.168.1.61', 22, 'known'],
    [`${hashed} ${a}`, '192.168.1.62', 22, 'unknown'],
    [`@revoked * ${a}\nweb ${a}`, 'web', 22, 'revoked'],
    [`@revoked other ${a}\nweb ${a}`, 'web', 22, 'known'],
    [`@revoked * ${b}\nweb ${a}`, 'web', 22, 'known'],
    [`@cert-authority * ${a}`, 'web', 22, 'unknown'],
    [`@strange web ${a}\n# web ${a}\n\nweb\nweb ssh-ed25519 not!base64`, 'web', 22, 'unknown'],
  ];
  for (const [lines, host, port, wanted] of cases) {
    const verdict = new KnownHosts(parseKnownHosts(lines, 'f')).check(host, port, keyA);
    t.equal(verdict.status, wanted, `${lines} | ${host}:${port}`);
  }
  const known = new KnownHosts(parseKnownHosts(`web ${b}\nweb ${a}\n@revoked * ssh-dss AAAA`, 'f'));
  t.same(known.types('web', 22), ['ssh-rsa', 'ssh-ed25519']);
  t.match(new KnownHosts(parseKnownHosts(`# x\nweb ${b}`, 'f')).check('web', 22, keyA), {
    lines: [{ file: 'f', line: 2 }],
  });
});

t.test('known_hosts files are read once for all hosts, and again when one has changed', async (t) => {
  const folder = temporary(t);
  const [one, two] = [join(folder, 'one'), join(folder, 'two')];
  const key = Buffer.from('AAAAC3NzaC1lZDI1NTE5AAAAIGk5EgtZsCcC7tPz4k9QpL6FqGz0rBtlmRmpkPUxeJkH', 'base64');
  const empty = await KnownHosts.load([one, two]);
  t.equal(empty.check('web', 22, key).status, 'unknown');
  t.equal(await KnownHosts.load([one, two]), empty);
  await appendKnownHost(two, 'web', 22, key, undefined);
  const known = await KnownHosts.load([one, two]);
  t.equal(known.check('web', 22, key).status, 'known');
  t.equal(await KnownHosts.load([one, two]), known);
  t.equal((await KnownHosts.load([one])).check('web', 22, key).status, 'unknown');
});

t.test('a key that is added is found by ssh-keygen, in a file nobody else can read', async (t) => {
  const folder = temporary(t);
  const file = join(folder, 'new', 'known_hosts');
  const key = Buffer.from('AAAAC3NzaC1lZDI1NTE5AAAAIGk5EgtZsCcC7tPz4k9QpL6FqGz0rBtlmRmpkPUxeJkH', 'base64');
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      appendKnownHost(file, `web${i}`, 22, key, i % 2 ? Buffer.alloc(20, i) : undefined),
    ),
  );
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.equal(statSync(join(folder, 'new')).mode & 0o777, 0o700);
  for (const host of ['web0', 'web1', 'web19']) {
    t.match(execFileSync('ssh-keygen', ['-F', host, '-f', file], { encoding: 'utf8' }), /ssh-ed25519/i, host);
  }
});

t.test('ssh options are understood as ssh spells them, and refused where they cannot be carried out', async (t) => {
  const options = parseSshArgs(
    [
      '-oPort=2222',
      '-o',
      'user ada',
      '-o',
      'UserKnownHostsFile="/a b"',
      '-i',
      'one',
      '-o',
      'IdentityFile=two',
      '-Jjump',
      '-AC',
      '-o',
      'Port=1',
      '-o',
      'ControlMaster=auto',
    ],
    'web',
  );
  t.same(Object.fromEntries(options), {
    port: ['2222'],
    user: ['ada'],
    userknownhostsfile: ['/a b'],
    identityfile: ['one', 'two'],
    proxyjump: ['jump'],
    forwardagent: ['yes'],
    compression: ['yes'],
  });
  for (const [args, wanted] of [
    [['-o', 'Ciphers=aes128-cbc'], /web: ssh options: -o Ciphers is not supported\n {2}allowed: .*ProxyJump/],
    [['-o', 'StrictHostkeyCheckin=no'], /try: did you mean StrictHostKeyChecking\?/],
    [['-o', 'nonsense'], /it should read Name=value/],
    [['-L', '80:a:80'], /"-L" is not an option/],
    [['somewhere'], /"somewhere" is not an option/],
    [['-J'], /-J needs a value/],
  ] as const) {
    t.throws(() => parseSshArgs(args, 'web'), { name: 'UserError', message: wanted });
  }
  t.throws(
    () => parseSshArgs(['-L', '-o', 'Nope=1'], 'web'),
    { message: /"-L".*\n.*\n.*Nope/ },
    'every problem at once',
  );
});

const connection: Connection = {
  name: 'web',
  transport: 'ssh',
  address: 'web.example',
  connectTimeout: 10,
  hostKeys: 'strict',
};

t.test('a target is what the connection says, then its ssh options', async (t) => {
  const target = await targetOf({
    ...connection,
    port: 2200,
    user: 'ada',
    privateKeyFile: '/keys/ada',
    sshArgs: [
      '-F',
      'none',
      '-p',
      '1',
      '-o',
      'ProxyCommand=nc %h %p %% %r',
      '-o',
      'UserKnownHostsFile=~/kh none',
      '-o',
      'StrictHostKeyChecking=off',
    ],
  });
  t.match(target, {
    host: 'web.example',
    port: 2200,
    user: 'ada',
    proxyCommand: 'nc web.example 2200 % ada',
    jumps: [],
  });
  t.same(target.auth.keys, [{ file: '/keys/ada', required: true }]);
  t.match(target.hostKeys, { mode: 'accept-new', userFiles: [join(homedir(), 'kh')] });
  const plain = await targetOf({ ...connection, sshArgs: ['-F', 'none', '-p', '2201', '-l', 'bob', '-J', 'a,b@c:3'] });
  t.match(plain, { port: 2201, user: 'bob', jumps: ['a', 'b@c:3'] });
  t.equal(
    plain.auth.keys.every(({ required }) => !required),
    true,
    'ssh’s default keys',
  );
});

t.test('a jump host is known by user, host and port, and given no password', async (t) => {
  const behind = {
    ...connection,
    password: new Secret('for-the-target'),
    sshArgs: ['-F', 'none', '-o', 'User=x', '-o', 'UserKnownHostsFile=/kh'],
  };
  for (const [spec, host, port, user] of [
    ['ada@jump:2222', 'jump', 2222, 'ada'],
    ['ada@[fe80::1]:2222', 'fe80::1', 2222, 'ada'],
    ['ssh://ada@jump:24', 'jump', 24, 'ada'],
    ['ada@jump', 'jump', 22, 'ada'],
  ] as const) {
    t.match(
      await jumpTarget(spec, behind),
      { host, port, user, password: undefined, hostKeys: { userFiles: ['/kh'] } },
      spec,
    );
  }
  t.not((await jumpTarget('jump', behind)).user, 'x', 'options for the host behind it are not for it');
  await t.rejects(jumpTarget('a b:c', behind), { message: /does not name a jump host/ });
});

/**
 * A sudo that asks as the real one does, with `-S` on stderr, and reads its password byte by byte. The real one's words
 * are tried on lab hosts (test/lab/session.test.ts).
 */
const SUDO = `#!/bin/sh
echo "$*" >>"$SUDO_LOG"
prompt= ask=yes
while [ "$1" != -- ]; do
  case $1 in -p) prompt=$2; shift ;; -n) ask= ;; esac
  shift
done
shift
read_line() { line=; while c=$(dd bs=1 count=1 2>/dev/null) && [ -n "$c" ]; do line=$line$c; done; }
case $SUDO_MODE in
  free) exec "$@" ;;
  sudoers) printf '%s' "$prompt" >&2; read_line; echo 'ada is not in the sudoers file.' >&2; exit 1 ;;
  slow) sleep 5; exit 1 ;;
esac
[ "$ask" ] || { echo 'sudo: a password is required' >&2; exit 1; }
echo 'We trust you have received the usual lecture.' >&2
for try in 1 2 3; do
  printf '%s' "$prompt" >&2
  read_line
  [ "$line" = sesam-open ] && exec "$@"
  echo 'Sorry, try again.' >&2
done
echo 'sudo: 3 incorrect password attempts' >&2
exit 1
`;

t.test('a password goes to sudo when it asks, and each refusal has its own problem', async (t) => {
  const folder = temporary(t);
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin', 'sudo'), SUDO);
  chmodSync(join(folder, 'bin', 'sudo'), 0o755);
  const env = { PATH: process.env['PATH'], SUDO_LOG: join(folder, 'log') };
  const become = async (
    mode: string,
    password?: string,
    path = `${join(folder, 'bin')}:${env.PATH}`,
  ): Promise<string> => {
    const wanted: Become = { user: 'root', password: password === undefined ? undefined : new Secret(password) };
    Object.assign(process.env, { PATH: path, SUDO_LOG: env.SUDO_LOG, SUDO_MODE: mode });
    const link = new LocalLink();
    try {
      const { channel } = await openShell(link, {
        name: 'web',
        become: wanted,
        timeout: mode === 'slow' ? 1 : 30,
      });
      let said = '';
      channel.stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      channel.stdin.end('echo in; cat\n');
      await channel.ended;
      return said;
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      t.equal(error.phase, 'become');
      t.match(error.problem, { host: 'web', hint: /./ });
      return error.problem.what;
    } finally {
      process.env['PATH'] = env.PATH;
      delete process.env['SUDO_MODE'];
      delete process.env['SUDO_LOG'];
      await link.close();
    }
  };
  t.equal(await become('asks', 'sesam-open'), 'in\n', 'the password is not left for the shell to read');
  t.equal(await become('free', 'sesam-open'), 'in\n', 'where sudo does not ask, it is not sent');
  t.equal(await become('free'), 'in\n');
  t.match(await become('asks', 'sesam-shut'), /did not accept the password/);
  t.match(await become('asks'), /asks for a password .* none was given/);
  t.match(await become('sudoers', 'sesam-open'), /refuses to become root: ada is not in the sudoers file/);
  t.match(await become('slow', 'sesam-open'), /did not answer in time/);
  const bare = join(folder, 'bare');
  mkdirSync(bare);
  for (const tool of ['sh', 'env'])
    execFileSync('ln', ['-s', execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim(), bare]);
  t.match(await become('asks', 'sesam-open', bare), /there is no sudo/);
  t.notMatch(readFileSync(env.SUDO_LOG, 'utf8'), /sesam/, 'never as an argument');
});

function temporary(t: { teardown: (fn: () => void) => void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'heartwood-parts-'));
  t.teardown(() => existsSync(folder) && rmSync(folder, { recursive: true }));
  return folder;
}

t.test('a lock that is not taken says who holds it, or why it cannot be taken', async (t) => {
  const words = 'held 4711 99 1 run-1 - 2026-01-01T00:00:00Z ada@laptop'.split(' ');
  t.match(lockRefusal('node-2', words), {
    abandoned: undefined,
    error: { problem: { host: 'node-2', what: /another run .*: run run-1 of ada@laptop/, hint: /sudo kill -9 4711$/ } },
  });
  t.match(lockRefusal('node-2', ['orphan', ...words.slice(1)]), { abandoned: { pid: 4711, start: 99 } });
  t.match(lockRefusal('node-2', 'error ln: No space left'.split(' '))?.error.problem, { what: /ln: No space left$/ });
  t.equal(lockRefusal('node-2', ['ok']), undefined);
});

/** What a script of the lock's functions prints, in `sh`; `$1` is the first argument. */
const withLock = (script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string =>
  execFileSync('sh', ['-c', `${LOCK_FUNCTIONS}\n${script}`, 'sh', ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });

/** Shell that sets `me` to what the lock of this shell says of it. */
const ME = `read -r stat <"/proc/$$/stat"
me="$$ $(set -- \${stat##*)}; echo "\${20}")"`;

t.test('a dead lock that another takes over, step by step with this one, is left to it', async (t) => {
  const lock = join(t.testdir(), 'lock');
  // The other has found the dead lock first. It removes that and its own `.takeover` as this one looks at `.takeover`,
  // and holds the new one as this one looks whether the dead one is still there.
  const script = `lock=$1
${ME}
ln -s '999999999 1 - dead' "$lock"
ln -s "$me - other" "$lock.takeover"
readlink() {
  case $1 in *.takeover) rm -f "$lock" "$lock.takeover" ;; esac
  command readlink "$1" || { [ "$1" != "$lock" ] || ln -s "$me - other" "$lock"; false; }
}
hw_lock_take "$lock" "1 1 - this"
echo "$? $(command readlink "$lock" | cut -d ' ' -f 4)"`;
  t.equal(withLock(script, [lock]), '1 other\n');
});

t.test('the lock of a session that died goes to another session of its run that shares it', async (t) => {
  const folder = t.testdir();
  const lock = join(folder, 'lock');
  const script = `${ME}
ln -s '999999999 1 - run-1 dead' "$1"
ln -s '999999998 1 - run-1 dead-too' "$1.shared-1"
ln -s "$me - run-1 alive" "$1.shared-2"
hw_lock_take "$1" "1 1 - run-2 other"
echo "$? $(readlink "$1" | cut -d ' ' -f 4,5)"`;
  t.equal(withLock(script, [lock]), '1 run-1 alive\n');
  t.same(readdirSync(folder), ['lock'], 'no link is left beside it');
});

t.test('a lock that is not root’s is in a directory that only its user can write to', async (t) => {
  const home = t.testdir();
  const uid = 40_000 + (process.pid % 20_000);
  const fallback = `/tmp/heartwood-${uid}`;
  t.teardown(() => rmSync(fallback, { recursive: true, force: true }));
  const homeless = join(home, 'file');
  writeFileSync(homeless, '');
  const find = 'hw_lock_own_directory && echo "$hw_lock_path" || echo "$hw_lock_error"';
  const asNobodyKnown = `id() { case $1 in -u) echo ${uid} ;; *) echo "odd name" ;; esac; }\n${find}`;
  const own = join(home, '.local/state/heartwood');
  t.equal(withLock(asNobodyKnown, [], { HOME: home }), `${own}\n`);
  t.equal(statSync(own).mode & 0o777, 0o700);
  chmodSync(own, 0o777);
  t.equal(withLock(asNobodyKnown, [], { HOME: home }), `${own}\n`);
  t.equal(statSync(own).mode & 0o777, 0o700, 'what others could write to is closed');

  // Where the home is, the system says and not the login.
  const { username, homedir } = userInfo();
  const recorded = withLock(`mkdir() { echo "$2"; }; chmod() { return 1; }; ${find}`, [], { HOME: home, LOGNAME: 'x' });
  t.equal(recorded.split('\n')[0], `${homedir}/.local/state/heartwood`, username);

  t.equal(withLock(asNobodyKnown, [], { HOME: homeless }), `${fallback}\n`);
  rmSync(fallback, { recursive: true });
  symlinkSync(home, fallback);
  t.match(withLock(asNobodyKnown, [], { HOME: homeless }), /^\/tmp\/heartwood-\d+ is not a directory of .* own\n$/);
  rmSync(fallback);
  if (userInfo().uid !== 0) return;
  mkdirSync(fallback);
  chownSync(fallback, 65_534, 65_534);
  t.match(withLock(asNobodyKnown, [], { HOME: homeless }), /^\/tmp\/heartwood-\d+ is not a directory of .* own\n$/);
});

t.test('a machine is known by its kernel’s boot and what is mounted as its root, or not at all', async (t) => {
  const boot = '3f1c9a52-0d2e-4b7e-9a55-0c1d2e3f4a5b';
  t.equal(parseMachineId(` ${boot} 254:0:/`), `${boot} 254:0:/`);
  for (const words of ['', ' ', ` ${boot} `, '  254:0:/', ` ${boot} 254:0:/ more`])
    t.equal(parseMachineId(words), undefined);
});

t.test('the id of a machine is a file name in the lock of a user', async (t) => {
  const machine = '3f1c9a52-0d2e-4b7e-9a55-0c1d2e3f4a5b 0:120:/@rootfs/a b';
  const script = `${remoteRuntime('mark', machine)}printf %s "$hw_machine"`;
  const said = execFileSync('sh', { input: script, encoding: 'utf8' });
  t.equal(said, '3f1c9a52-0d2e-4b7e-9a55-0c1d2e3f4a5b-0:120:-rootfs-a-b');
});

t.test('a ProxyCommand whose own connection is dropped again and again gets a hint of its own', async (t) => {
  const target = await targetOf({ ...connection, sshArgs: ['-F', 'none', '-o', 'ProxyCommand=ssh -W %h:%p bastion'] });
  const stderr = 'kex_exchange_identification: Connection closed by remote host';
  t.match(connectError(target, new ProxyCommandError('exit code 255', stderr)).problem, {
    what: /the ProxyCommand ended with exit code 255: kex_exchange_identification/,
    hint: /MaxStartups/,
  });
});
