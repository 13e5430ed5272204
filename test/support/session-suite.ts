/** What every session promises, whatever its transport. test/engine/remote/session.test.ts runs it against each. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { controllerProcessId } from '../../engine/remote/controller-process-id.ts';
import {
  type Connection,
  LinkError,
  LockError,
  OUTPUT_LIMIT,
  type Session,
  type Step,
  type StepListener,
  type StepResult,
} from '../../engine/remote/session.ts';
import { Script, sh, shellFunction } from '../../engine/script.ts';
import { Secret } from '../../engine/secret.ts';
import { start } from './program.ts';
import { until } from './until.ts';

/** Opens sessions to this machine, over the transport under test. */
export type OpenHere = () => Promise<Session>;

/** Where a session of root's keeps its lock. */
const LOCK = '/run/heartwood.lock';

/** Defines the tests. They need to be root, as hosts' sessions usually are. */
export function sessionSuite(t: Test, open: OpenHere): void {
  t.test('a step comes back with stdout, stderr and exit code apart, byte for byte', async (t) => {
    const session = await opened(t, open);
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const escaped = [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
    const [first, second, third] = await session.run([
      step('bytes', sh`printf ${escaped}; printf ${escaped}${escaped} >&2; exit 42`),
      step('nothing', sh`:`),
      step('unfinished', sh`printf 'no line break'; printf 'nor here' >&2; kill -9 $(sh -c 'echo $PPID')`),
    ]);
    t.same(first?.stdout, bytes);
    t.same(first?.stderr, Buffer.concat([bytes, bytes]));
    t.match(first, { id: 'bytes', outcome: 'ran', exitCode: 42, truncated: false });
    t.match(second, { exitCode: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) });
    t.equal(third?.stdout.toString(), 'no line break');
    t.match(third, { outcome: 'ran', exitCode: 137 });
    t.match(third?.stderr.toString(), /^nor here/);
  });

  t.test('what looks like a record is output, and a step cannot see the marker', async (t) => {
    const session = await opened(t, open);
    const fake = `\x1e${'0'.repeat(32)} E 0 0 1.00\n`;
    const [result, own] = await session.run([
      step('fake', sh`printf %s ${fake}${fake}; printf %s ${fake} >&2`),
      step('own', sh`set; env; echo "mark=$hw_mark"`),
    ]);
    t.equal(text(result), fake + fake);
    t.equal(result?.stderr.toString(), fake);
    t.notMatch(text(own), /[0-9a-f]{32}/);
    t.match(text(own), /^mark=$/m);
  });

  t.test('steps do not disturb each other', async (t) => {
    const session = await opened(t, open);
    const results = await session.run([
      step(
        'one',
        sh`cd /usr; x=1; export x; umask 077; set -e; set -- a b; alias ls=false; trap 'echo bye' EXIT; exit 3`,
      ),
      step('two', sh`pwd; echo "$x $- $#"; umask; cat; exec 1>&-`),
      step('three', sh`echo still here`),
    ]);
    t.equal(text(results[0]), 'bye\n');
    t.notMatch(text(results[1]), /^\/usr$/m);
    t.match(text(results[1]), /^ [^e ]* 0$\n0?022$/m);
    t.equal(text(results[2]), 'still here\n');
  });

  t.test('conditions decide on the host, and see what was captured and how earlier steps ended', async (t) => {
    const session = await opened(t, open);
    const finished: string[] = [];
    const results = await session.run(
      [
        step('probe.1', sh`printf 'a=1\nb=two words\n\n'`, { capture: true }),
        step('seen', sh`printf %s "$hw_out"`, { onlyIf: sh`[ "$hw_out" = ${'a=1\nb=two words'} ]` }),
        step('fails', sh`exit 7`, { stopIf: sh`[ "$hw_rc_fails" = 0 ]` }),
        step('after-failure', sh`echo ran`, { onlyIf: sh`[ "$hw_rc_fails" = 7 ] && mine=set` }),
        step('not', sh`echo ran`, { onlyIf: sh`false` }),
        step('sees-skip', sh`echo ran`, { onlyIf: sh`[ -z "$hw_rc_not" ] && [ "$mine" = set ]` }),
        step('stops', sh`echo ran`, { onlyIf: sh`false`, stopIf: sh`[ -z "$hw_rc_stops" ]` }),
        step('late', sh`echo ran`),
        step('later', sh`echo ran`, { onlyIf: sh`touch ${'/nonexistent/never'}` }),
      ],
      { finished: (result) => finished.push(result.id) },
    );
    t.same(
      results.map((result) => result.outcome),
      ['ran', 'ran', 'ran', 'ran', 'skipped', 'ran', 'skipped', 'skipped', 'skipped'],
    );
    t.equal(text(results[0]), 'a=1\nb=two words\n');
    t.equal(text(results[1]), 'a=1\nb=two words');
    t.same(
      finished,
      results.map((result) => result.id),
      'the listener gets each answer, in order',
    );
    const [next] = await session.run([step('next', sh`echo ran`)]);
    t.equal(next?.outcome, 'ran', 'steps that stopped do not stop the next');
  });

  t.test('shell that is not well formed fails its step and nothing else', async (t) => {
    const session = await opened(t, open);
    const broken = shellFunction('hw_broken', 'if then');
    const results = await session.run([
      step('syntax', sh`if then`),
      step('quote', Script.raw(`echo 'open`)),
      step('captured', sh`( echo`, { capture: true }),
      step('function', sh`${broken}`),
      step('condition', sh`echo ran`, { onlyIf: sh`if (( ` }),
      step('returns', sh`echo ran`, { onlyIf: sh`return 1`, stopIf: sh`return 1` }),
      step('fine', sh`echo fine`),
    ]);
    t.same(
      results.map(({ outcome, exitCode }) => (outcome === 'ran' ? exitCode !== 0 : outcome)),
      [true, true, true, true, 'skipped', 'skipped', false],
    );
    t.match(results[0]?.stderr.toString(), /syntax/i);
    t.equal(text(results[6]), 'fine\n');
  });

  t.test('functions are defined once, and again when another of the same name is needed', async (t) => {
    const session = await opened(t, open);
    const inner = shellFunction('hw_inner', 'echo "inner $1"');
    const outer = shellFunction('hw_outer', 'hw_inner "$1"', [inner]);
    const [first] = await session.run([step('first', sh`${outer} ${'a b'}`)]);
    t.equal(text(first), 'inner a b\n');
    const { bytesOut } = session.traffic;
    const [again] = await session.run([step('again', sh`${outer} c`, { onlyIf: sh`[ "$(${outer} x)" = 'inner x' ]` })]);
    t.equal(text(again), 'inner c\n');
    t.ok(session.traffic.bytesOut - bytesOut < 100, 'only their names travel again');
    const other = shellFunction('hw_inner', 'echo other');
    const results = await session.run([step('other', sh`${other}`), step('back', sh`${outer} d`)]);
    t.same(results.map(text), ['other\n', 'inner d\n']);
  });

  t.test('output comes while a step runs', async (t) => {
    const session = await opened(t, open);
    const folder = temporary(t);
    const calls: string[] = [];
    const go = join(folder, 'go');
    const [result] = await session.run(
      [step('slow', sh`echo one; echo two >&2; while [ ! -e ${go} ]; do sleep 0.05; done; echo three`)],
      {
        started: (id) => calls.push(`started ${id}`),
        output: (_id, stream, chunk) => {
          calls.push(`${stream} ${chunk.toString().trim()}`);
          // The step only goes on because its output came.
          if (calls.length === 3) writeFileSync(go, '');
        },
        finished: ({ id }) => calls.push(`finished ${id}`),
      },
    );
    t.equal(text(result), 'one\nthree\n');
    t.same([calls[0], calls[3], calls[4]], ['started slow', 'stdout three', 'finished slow']);
    t.same(new Set(calls.slice(1, 3)), new Set(['stdout one', 'stderr two']));
  });

  t.test('of endless output the first and the last is kept', async (t) => {
    const session = await opened(t, open);
    let received = 0;
    const before = process.memoryUsage().rss;
    let most = before;
    const listener: StepListener = {
      output: (_id, _stream, chunk) => {
        received += chunk.length;
        most = Math.max(most, process.memoryUsage().rss);
      },
    };
    const [big, small] = await session.run(
      [
        step('big', sh`echo first; head -c 100000000 /dev/zero; echo; echo last`, { timeout: 120 }),
        step('small', sh`echo small`),
      ],
      listener,
    );
    t.equal(received, 100_000_000 + 'first\n\nlast\nsmall\n'.length);
    t.equal(big?.truncated, true);
    t.equal(big?.stdout.length, OUTPUT_LIMIT);
    t.equal(big?.stdout.subarray(0, 6).toString(), 'first\n');
    t.equal(big?.stdout.subarray(-5).toString(), 'last\n');
    t.equal(text(small), 'small\n');
    t.ok(most - before < 90_000_000, `memory grew by ${Math.round((most - before) / 1e6)} MB`);
  });

  t.test('a script may be large', async (t) => {
    const session = await opened(t, open);
    const long = "it's ".repeat(400_000);
    const [result] = await session.run([step('long', sh`x=${long}; echo "\${#x}"; printf %s "$x" | cksum`)]);
    t.match(text(result), /^2000000\n\d+ 2000000$/m);
    await t.rejects(session.run([step('nul', Script.raw('echo \0'))]), /NUL/);
    t.equal(text((await session.run([step('then', sh`echo fine`)]))[0]), 'fine\n');
  });

  for (const capture of [false, true]) {
    t.test(`a ${capture ? 'captured ' : ''}step that times out is ended with all it started`, async (t) => {
      const session = await opened(t, open);
      const mark = `7${Math.floor(Math.random() * 1e6)}`;
      await session.run([step('earlier', sh`(exec sleep ${`1${mark}`} >/dev/null 2>&1 &)`)]);
      t.teardown(() => endSleeps(`1${mark}`));
      const stubborn = `trap "" TERM; while :; do sleep 0${mark}; done`;
      const results = await session.run([
        step('before', sh`echo before`),
        step(
          'hangs',
          sh`echo out; (exec sleep ${mark} &) >/dev/null; setsid sleep ${mark}; sh -c ${stubborn} >/dev/null & sleep ${mark}; echo late`,
          { timeout: 0.5, capture },
        ),
        step('next', sh`echo next`),
      ]);
      t.same(
        results.map(({ outcome }) => outcome),
        ['ran', 'timed out', 'ran'],
      );
      if (!capture) t.equal(text(results[1]), 'out\n');
      t.equal(text(results[2]), 'next\n');
      t.equal(sleeps(mark), 0, 'nothing of it is left');
      t.equal(sleeps(`0${mark}`), 0, 'nor what ignores TERM');
      t.equal(sleeps(`1${mark}`), 1, 'what an earlier step left running is not touched');
    });

    t.test(`a running ${capture ? 'captured ' : ''}step is interrupted at once`, async (t) => {
      const session = await opened(t, open);
      const mark = `8${Math.floor(Math.random() * 1e6)}`;
      const interrupts: Promise<void>[] = [];
      const results = await session.run(
        [
          step('first', sh`echo first`),
          step('hangs', sh`sleep ${mark} & sleep ${mark}; echo late`, { capture }),
          step('next', sh`echo next`),
        ],
        { started: (id) => id === 'hangs' && interrupts.push(session.interrupt('now')) },
      );
      await Promise.all(interrupts);
      t.same(
        results.map(({ outcome }) => outcome),
        ['ran', 'interrupted', 'skipped'],
      );
      t.equal(sleeps(mark), 0);
      t.equal(text((await session.run([step('after', sh`echo usable`)]))[0]), 'usable\n');
    });
  }

  t.test('an interrupted session stops after the step at hand, and skips what waits', async (t) => {
    const session = await opened(t, open);
    const go = join(temporary(t), 'go');
    const waiting = sh`while [ ! -e ${go} ]; do sleep 0.05; done; echo done`;
    const first = session.run([step('running', waiting), step('next', sh`echo next`)], {
      started: () => void session.interrupt('after this step').then(() => writeFileSync(go, '')),
    });
    const second = session.run([step('behind', sh`echo behind`)]);
    const [running, next] = await first;
    t.match(running, { outcome: 'ran', exitCode: 0 });
    t.equal(text(running), 'done\n');
    t.equal(next?.outcome, 'skipped');
    t.equal((await second)[0]?.outcome, 'skipped');
    t.equal((await session.run([step('after', sh`echo usable`)]))[0]?.outcome, 'ran');
    await session.interrupt('now');
    t.equal((await session.run([step('slips', sh`echo through`)]))[0]?.outcome, 'skipped', 'asked for while idle');
    t.equal((await session.run([step('later', sh`echo usable`)]))[0]?.outcome, 'ran');
  });

  t.test('calls run one at a time, a round trip each', async (t) => {
    const session = await opened(t, open);
    t.equal(session.traffic.roundTrips, 0);
    const file = join(temporary(t), 'log');
    await Promise.all(
      [1, 2, 3].map((i) =>
        session.run([step('a', sh`echo ${i} >>${file}; sleep 0.05`), step('b', sh`echo ${i} >>${file}`)]),
      ),
    );
    t.equal(readFileSync(file, 'utf8'), '1\n1\n2\n2\n3\n3\n');
    t.equal(session.traffic.roundTrips, 3);
    t.same(await session.run([]), []);
    t.equal(session.traffic.roundTrips, 3, 'nothing to ask costs nothing');
    t.ok(session.traffic.bytesIn > 100 && session.traffic.bytesOut > 1000);
  });

  t.test('durations are the host’s', async (t) => {
    const session = await opened(t, open);
    const [slow] = await session.run([step('slow', sh`sleep 0.5`)]);
    t.ok((slow?.duration ?? 0) >= 0.48);
  });

  t.test('a secret is in no process’s arguments or environment', async (t) => {
    const session = await opened(t, open);
    const secret = new Secret(`s3cret-${Math.random()}`);
    const [result] = await session.run([
      step(
        'use',
        sh`x=${secret}; sleep 0.1; grep -laz -e "\${x%?????}" /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null`,
      ),
      step('capture', sh`printf %s ${secret}`, { capture: true }),
    ]);
    // grep finds itself, and the test would find the process that made the secret.
    const others = text(result)
      .split('\n')
      .filter((file) => file !== '' && existsSync(file));
    t.same(others, []);
  });

  t.test('a step may signal its own process group', async (t) => {
    const session = await opened(t, open);
    const results = await session.run([
      step('all', sh`trap '' TERM; kill 0; echo survived`),
      step('next', sh`echo next`),
    ]);
    t.equal(text(results[1]), 'next\n');
  });

  t.test('a session whose shell is killed names the step, and refuses what comes after', async (t) => {
    const session = await opened(t, open);
    const running = session.run([
      step('fine', sh`:`),
      step('deadly', sh`kill -9 $$; sleep 0.2`, { title: 'Kill the shell' }),
      step('next', sh`:`),
    ]);
    const error = await running.then(
      () => undefined,
      (error: unknown) => error,
    );
    t.ok(error instanceof LinkError);
    t.match(error, {
      phase: 'lost',
      step: 'deadly',
      problem: { host: session.name, what: /, while "Kill the shell" was running$/ },
    });
    await t.rejects(session.run([step('more', sh`:`)]), LinkError);
  });

  t.test(
    'a listener that throws does not end the process: its error is thrown by the call, which goes on',
    async (t) => {
      const session = await opened(t, open);
      const file = join(temporary(t), 'done');
      for (const method of ['started', 'output', 'finished'] as const) {
        const breaks: StepListener = {
          [method]: () => {
            throw new Error(`broke in ${method}`);
          },
        };
        const steps = [step('one', sh`echo one`), step('two', sh`echo ${method} >>${file}`)];
        await t.rejects(session.run(steps, breaks), { message: `broke in ${method}` });
      }
      t.equal(readFileSync(file, 'utf8'), 'started\noutput\nfinished\n');
      t.equal(text((await session.run([step('after', sh`echo usable`)]))[0]), 'usable\n');
    },
  );

  t.test('every session on a machine knows it by the same id', async (t) => {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const [, root] = /^\d+ \d+ (\S+ \S+) \/ /m.exec(readFileSync('/proc/self/mountinfo', 'utf8')) ?? [];
    const id = `${boot} ${root?.replace(' ', ':')}`;
    for (const _ of [1, 2]) t.equal((await opened(t, open)).machine, id);
  });

  t.test('a session that is closed leaves nothing', async (t) => {
    const session = await open();
    const [result] = await session.run([step('pid', sh`echo $$`)]);
    await session.close();
    await session.close();
    await ended(Number(text(result)));
    t.notOk(existsSync(`/proc/${text(result).trim()}`));
    await t.rejects(session.run([step('more', sh`:`)]), LinkError);
  });

  t.test('the lock of a dead session is taken over, by one after the other', { skip: notRoot() }, async (t) => {
    const dead = await opened(t, open);
    dead.lock({ runId: 'dead', holder: 'ada@laptop', controller: '-' });
    await dead.run([step('die', sh`kill -9 $$`)]).catch(() => {});
    t.match(readlinkSync(LOCK), / dead /);
    const log = join(temporary(t), 'log');
    await Promise.all(
      Array.from({ length: 5 }, async (_, i) => {
        const session = await opened(t, open);
        session.lock({ runId: `run-${i}`, holder: 'bob@desk', controller: '-' });
        await session.run([
          step('hold', sh`echo in >>${log}; sleep 0.2; readlink ${LOCK} >>${log}; echo out >>${log}`),
        ]);
        await session.close();
      }),
    );
    const turns = readFileSync(log, 'utf8').match(/in\n\d+ \d+ \d+ run-\d - \S+ bob@desk\nout\n/g);
    t.equal(turns?.join(''), readFileSync(log, 'utf8'), 'nobody came in before the last was out');
    t.equal(turns?.length, 5);
    t.ok(await until(10, async () => locks().length === 0), 'and nothing is left');
  });
}

/** The lock of a host. A suite of its own, because its tests wait as long as a session does for a lock. */
export function lockSuite(t: Test, open: OpenHere, connection: Connection): void {
  t.test(
    'one session holds a host; a second waits a little, then its error says who',
    { skip: notRoot() },
    async (t) => {
      const [first, second] = [await opened(t, open), await opened(t, open)];
      first.lock({ runId: 'run-1', holder: 'ada@laptop', controller: '-' });
      const { roundTrips } = first.traffic;
      const [pid] = await first.run([step('pid', sh`echo $$`)]);
      t.equal(first.traffic.roundTrips, roundTrips + 1, 'the lock costs no round trip');
      t.match(readlinkSync(LOCK), new RegExp(`^${text(pid).trim()} \\d+ \\d+ run-1 - \\S+ ada@laptop$`));
      second.lock({ runId: 'run-2', holder: 'bob@desk', controller: '-' });
      const refused = await second.run([step('change', sh`touch /nonexistent/never`)]).then(
        () => undefined,
        (error: unknown) => error,
      );
      t.ok(refused instanceof LockError);
      t.match(refused, {
        problem: {
          what: /run run-1 of ada@laptop, since \d{4}-/,
          host: second.name,
          hint: new RegExp(text(pid).trim()),
        },
      });
      const sent = join(temporary(t), 'sent');
      const uploads = ['up1', 'up2'].map((id) => ({
        id,
        script: sh`cat > ${sent}`,
        timeout: 30,
        content: () => Readable.from(['x']),
      }));
      await t.rejects(second.upload(uploads), LockError, 'it asks again, and does not go on without the lock');
      t.notOk(existsSync(sent), 'nothing is sent where another run holds the lock');
      const waiting = second.run([step('change', sh`readlink ${LOCK}`)]);
      await sleep(300);
      await first.close();
      t.match(text((await waiting)[0]), /run-2/, 'the lock is free as soon as the other is closed');
      await second.close();
      // Its shell is not waited for.
      t.ok(await until(10, async () => !existsSync(LOCK) && !isLink(LOCK)), 'and given up at the end');
    },
  );

  t.test(
    'sessions of one run share the lock of their machine, and the last one releases it',
    { skip: notRoot() },
    async (t) => {
      const [first, second, third] = [await opened(t, open), await opened(t, open), await opened(t, open)];
      const request = { runId: 'run-1', holder: 'ada@laptop', controller: '-' };
      const pids: string[] = [];
      for (const session of [first, second, third]) {
        session.lock(request);
        const [pid] = await session.run([step('pid', sh`echo $$`)]);
        pids.push(text(pid).trim());
      }
      const holder = () => readlinkSync(LOCK).split(' ')[0];
      t.equal(holder(), pids[0]);
      t.equal(locks().length, 3);
      await second.close();
      t.ok(await until(10, async () => locks().length === 2));
      t.equal(holder(), pids[0]);
      await first.close();
      t.ok(await until(10, async () => holder() === pids[2]), 'the lock is handed over');
      const other = await opened(t, open);
      other.lock({ runId: 'run-2', holder: 'bob@desk', controller: '-' });
      await t.rejects(other.run([step('change', sh`:`)]), { name: 'LockError', message: /run run-1 of ada@laptop/ });
      await third.close();
      t.ok(await until(10, async () => locks().length === 0), 'and nothing is left');
    },
  );

  t.test('what a killed program left running is ended, and its lock taken over', { skip: notRoot() }, async (t) => {
    const left = start('test/support/hold-lock.ts', [JSON.stringify(connection), '86431'], { cwd: temporary(t) });
    await left.prints(/holds the lock/);
    t.ok(await until(10, async () => sleeps('86431') === 1));
    left.kill('SIGKILL');
    await left.ended;
    const next = await opened(t, open);
    next.lock({ runId: 'next', holder: 'bob@desk', controller: '-' });
    t.match(text((await next.run([step('change', sh`readlink ${LOCK}`)]))[0]), / next /);
    t.equal(sleeps('86431'), 0, 'two runs never work on a host at once');
  });

  t.test(
    'a lock behind a link that nobody closed is taken over where the process that held it is known to have ended',
    { skip: notRoot() },
    async (t) => {
      const process = spawn('sleep', ['86432']);
      const controller = controllerProcessId(process.pid);
      const [silent, next] = [await opened(t, open), await opened(t, open)];
      silent.lock({ runId: 'silent', holder: 'ada@laptop', controller });
      await silent.run([step('change', sh`:`)]);
      process.kill('SIGKILL');
      await once(process, 'exit');
      next.lock({ runId: 'next', holder: 'ada@laptop', controller: '-' });
      t.match(text((await next.run([step('change', sh`readlink ${LOCK}`)]))[0]), / next /);
      await t.rejects(silent.run([step('late', sh`:`)]), LinkError);
    },
  );
}

/** A step with a timeout that does not matter. */
export function step(id: string, script: Script, more: Partial<Step> = {}): Step {
  return { id, script, timeout: 60, ...more };
}

/** What a step printed. */
export function text(result: StepResult | undefined): string {
  return result?.stdout.toString() ?? '';
}

/** A session until the test ends. */
export async function opened(t: Test, open: OpenHere): Promise<Session> {
  const session = await open();
  t.teardown(() => session.close());
  return session;
}

/** A folder until the test ends. */
export function temporary(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'heartwood-session-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function notRoot(): string | false {
  return process.getuid?.() === 0 ? false : 'not root, so /run cannot be written';
}

/** The links of the lock. */
function locks(): string[] {
  return readdirSync('/run').filter((name) => name.startsWith('heartwood.lock'));
}

function isLink(path: string): boolean {
  try {
    readlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Processes that are `sleep SECONDS`, zombies apart. */
function sleepers(seconds: string): number[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words.at(-2) === seconds && words.includes('sleep') ? [Number(pid)] : [];
    } catch {
      return [];
    }
  });
}

/** How many of them there are. */
export function sleeps(seconds: string): number {
  return sleepers(seconds).length;
}

/** Ends them. */
export function endSleeps(seconds: string): void {
  for (const pid of sleepers(seconds)) process.kill(pid);
}

/** Waits for a process to end. */
export async function ended(pid: number): Promise<void> {
  for (let i = 0; i < 600 && existsSync(`/proc/${pid}`); i++) await sleep(50);
}
