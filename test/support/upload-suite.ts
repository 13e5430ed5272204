/** What every session promises of uploads and downloads. Runs against each transport, as the session suite does. */
import { createReadStream, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Test } from 'tap';
import type { StepResult } from '../../engine/remote/session.ts';
import { type Script, sh, shellFunction } from '../../engine/script.ts';
import { endSleeps, type OpenHere, opened, sleeps, step, temporary, text } from './session-suite.ts';
import { until } from './until.ts';

/** Defines the tests. */
export function uploadSuite(t: Test, open: OpenHere): void {
  t.test('content is uploaded byte for byte, in its turn, and counted', async (t) => {
    const session = await opened(t, open);
    const path = join(temporary(t), 'up');
    const content = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) % 256));
    const before = session.traffic.roundTrips;
    const takes = shellFunction('hw_takes', 'cat > "$1"; echo taken >&2; return 7');
    const [, uploaded, after] = await Promise.all([
      session.run([step('before', sh`sleep 0.2; echo early > ${path}`)]),
      session.upload([
        { id: 'up', script: sh`${takes} ${path}`, timeout: 30, content: () => Readable.from([content]) },
      ]),
      session.run([step('after', sh`wc -c < ${path}`)]),
    ]);
    t.match(uploaded, [{ id: 'up', outcome: 'ran', exitCode: 7 }]);
    t.equal(uploaded[0]?.stderr.toString(), 'taken\n');
    t.equal(text(after[0]).trim(), '3000000');
    t.ok(readFileSync(path).equals(content));
    t.equal(session.traffic.roundTrips, before + 2 + session.channelRoundTrips + 1);
    t.ok(session.traffic.bytesOut >= content.length);
    const no = { id: 'no', script: sh`exit 3`, timeout: 30, content: () => Readable.from([content]) };
    t.match(await session.upload([no]), [{ outcome: 'ran', exitCode: 3 }]);
  });

  t.test('uploads of one call go a few at once, and the next call waits for all of them', async (t) => {
    const session = await opened(t, open);
    const folder = temporary(t);
    const [log, go] = [join(folder, 'log'), join(folder, 'go')];
    const uploadsOf = (work: Script, ...ids: number[]) =>
      ids.map((i) => ({
        id: `up${i}`,
        script: sh`echo + >> ${log}; cat >/dev/null; ${work}; echo - >> ${log}`,
        timeout: 30,
        content: () => Readable.from([Buffer.alloc(100_000)]),
      }));
    // Held until three are there, and a little longer, for a fourth that should not be.
    const three = sh`while [ "$(grep -c + ${log})" -lt 3 ]; do sleep 0.1; done; sleep 0.3`;
    const uploads = session.upload(uploadsOf(three, 0, 1, 2, 3, 4));
    const [behind] = await session.run([step('behind', sh`cat ${log}`)]);
    const marks = text(behind).trim().split('\n');
    t.equal(marks.filter((mark) => mark === '-').length, 5);
    const depths = marks.map((_, i) => marks.slice(0, i + 1).reduce((sum, mark) => sum + (mark === '+' ? 1 : -1), 0));
    t.equal(Math.max(...depths), 3);
    t.ok((await uploads).every(({ outcome, exitCode }) => outcome === 'ran' && exitCode === 0));

    const outcomes = async (results: Promise<readonly StepResult[]>) => (await results).map(({ outcome }) => outcome);
    const isBegun = (count: number) => until(10, async () => readFileSync(log, 'utf8').split('+').length > count);
    const held = sh`while [ ! -e ${go} ]; do sleep 0.1; done`;
    const cut = session.upload(uploadsOf(held, 5, 6, 7, 8));
    t.ok(await isBegun(8));
    const left = session.run([step('left', sh`:`)]);
    await session.interrupt('after this step');
    writeFileSync(go, '');
    t.strictSame(
      await outcomes(cut),
      ['ran', 'ran', 'ran', 'skipped'],
      'those that have begun end, the others are skipped',
    );
    t.match(await left, [{ outcome: 'skipped' }]);
    rmSync(go);
    const killed = session.upload(uploadsOf(held, 9, 10, 11, 12));
    t.ok(await isBegun(11));
    await session.interrupt('now');
    t.strictSame(await outcomes(killed), ['interrupted', 'interrupted', 'interrupted', 'skipped']);
    await session.interrupt('after this step');
    t.strictSame(
      await outcomes(session.upload(uploadsOf(sh`:`, 13, 14))),
      ['skipped', 'skipped'],
      'all of a call are skipped',
    );
    t.equal(text((await session.run([step('on', sh`echo on`)]))[0]), 'on\n');
  });

  t.test(
    'an upload that makes no progress is ended, one is interrupted at once, and one that cannot be read fails',
    async (t) => {
      const session = await opened(t, open);
      const stuck = () => Readable.from([Buffer.alloc(10_000_000)]);
      const one = async (id: string, script: Script, timeout: number, content: () => Readable) =>
        (await session.upload([{ id, script, timeout, content }]))[0];
      const seconds = `${1000 + process.pid}.5`;
      t.teardown(() => endSleeps(seconds));
      const hangs = sh`sleep ${seconds} & sleep ${seconds}`;
      t.equal((await one('late', hangs, 2, stuck))?.outcome, 'timed out');
      t.equal(sleeps(seconds), 0, 'what hung is ended');
      const running = one('now', hangs, 60, stuck);
      t.ok(await until(10, async () => sleeps(seconds) === 2));
      await session.interrupt('now');
      t.equal((await running)?.outcome, 'interrupted');
      t.equal(sleeps(seconds), 0, 'at once');
      const unread = await one('bad', sh`cat >/dev/null`, 60, () =>
        Readable.from(
          (async function* () {
            yield Buffer.from('some');
            throw new Error('the disk broke');
          })(),
        ),
      );
      t.match(unread, { outcome: 'ran', exitCode: 1 });
      t.equal(unread?.stderr.toString(), 'the disk broke\n');
      t.equal(text((await session.run([step('on', sh`echo on`)]))[0]), 'on\n');
    },
  );

  t.test('compressible content is compressed over a network, and ends as any other', async (t) => {
    const session = await opened(t, open);
    const path = join(temporary(t), 'compressed');
    const content = Buffer.alloc(8_000_000, 'all work and no play\n');
    const one = async (script: Script, source: () => Readable) =>
      (await session.upload([{ id: 'one', script, timeout: 30, content: source, compressible: true }]))[0];
    const { bytesOut } = session.traffic;
    t.match(await one(sh`cat > ${path}`, () => Readable.from([content])), { outcome: 'ran', exitCode: 0 });
    t.ok(readFileSync(path).equals(content));
    const isNetwork = session.wire.bytesOut > 0;
    t.equal(session.traffic.bytesOut - bytesOut < content.length / 20, isNetwork);

    writeFileSync(path, content);
    const refused = await one(sh`echo full >&2; exit 3`, () => createReadStream(path));
    t.match(
      refused,
      { outcome: 'ran', exitCode: 3 },
      'a script that does not read it is not taken for content that breaks',
    );
    t.match(refused?.stderr.toString(), /^full\n/);
    const broken = await one(sh`cat > ${path}`, () =>
      Readable.from(
        (async function* () {
          for (const start of [0, 2_000_000, 4_000_000]) yield content.subarray(start, start + 2_000_000);
          throw new Error('the disk broke');
        })(),
      ),
    );
    t.match(broken, { outcome: 'ran', exitCode: 1 });
    t.match(broken?.stderr.toString(), /the disk broke\n$/);
    const arrived = readFileSync(path);
    t.ok(arrived.length < content.length && arrived.equals(content.subarray(0, arrived.length)), 'what came is right');
  });

  t.test('what a script prints is read byte for byte, whatever the shell is at meanwhile', async (t) => {
    const session = await opened(t, open);
    const path = join(temporary(t), 'large');
    const content = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) % 256));
    writeFileSync(path, content);
    const go = join(temporary(t), 'go');
    const busy = session.run([step('busy', sh`while [ ! -e ${go} ]; do sleep 0.05; done`)]);
    t.ok(Buffer.concat(await session.read(sh`cat -- ${path}`).toArray()).equals(content));
    await t.rejects(session.read(sh`echo no >&2; exit 3`).toArray(), /no/);
    await t.rejects(session.read(sh`cat -- ${path}; exit 3`).toArray(), /exit code 3/, 'not taken for whole');
    const enough = session.read(sh`cat /dev/zero`);
    await new Promise((resolve) => enough.once('data', resolve));
    enough.destroy();
    writeFileSync(go, '');
    t.match((await busy)[0], { outcome: 'ran', exitCode: 0 });
  });
}
