/** One host fetches, the others get it from that one. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { play } from '../../../engine/play.ts';
import { download } from '../../../engine/resources/download.ts';
import { Seeds } from '../../../engine/run/seeds.ts';
import { sh } from '../../../engine/script.ts';
import { task } from '../../../engine/task.ts';
import { roleOf, statuses, World } from '../../support/world.ts';

const content = Buffer.from(Array.from({ length: 2_000_000 }, (_, i) => (i * 7919) % 256));
const sha256 = createHash('sha256').update(content).digest('hex');

t.test('who wants it first fetches it, the others wait; they get it from those that are asked least', async (t) => {
  const seeds = new Seeds();
  const seed = { key: 'k', give: sh`give` };
  const waits: string[] = [];
  const turn = (host: string) => seeds.turn(seed, host, (who) => waits.push(`${host} for ${who}`));
  const first = await turn('a');
  t.equal(first.from, undefined);
  const [second, third] = [turn('b'), turn('c')];
  await Promise.resolve();
  t.strictSame(waits, ['b for a', 'c for a']);
  first.done(false);
  t.equal((await second).from, undefined, 'who waited longest fetches it where the first could not');
  await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(waits.slice(2), ['c for b']);
  (await second).done(true);
  t.equal((await third).from?.host, 'b');
  seeds.has(seed, 'd');
  const fourth = await turn('e');
  t.equal(fourth.from?.host, 'd', 'b is busy');
  fourth.done(true);
  t.equal((await turn('e')).from, undefined, 'it has it');
  seeds.lost(seed, 'd');
  seeds.lost(seed, 'e');
  t.equal((await turn('f')).from?.host, 'b');
  t.equal((await seeds.turn({ ...seed, key: 'other' }, 'f', () => {})).from, undefined);
});

t.test('of many hosts one downloads; what others send is checked, and made good where it is not right', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2', 'node-3', 'node-4']);
  const asked: string[] = [];
  let answers = true;
  const server = createServer((request, response) => {
    asked.push(`${request.headers.range ?? 'all'}`);
    if (answers) setTimeout(() => response.end(content), 300);
    else response.writeHead(503).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/it`;
  const role = roleOf(({ host }) => [
    task('Fetch it', download({ path: world.path(host.name, 'it'), url, sha256, seed: true })),
  ]);
  const plays = [play({ name: 'All', hosts: 'all', roles: [role()] })];
  const said = (events: Awaited<ReturnType<World['run']>>['events']) =>
    events.flatMap((event) => (event.type === 'task-output' ? [`${event.host}: ${event.text.trim()}`] : []));
  const whole = () => {
    for (const name of world.names) {
      t.ok(readFileSync(world.path(name, 'it')).equals(content), name);
      t.strictSame(readdirSync(world.path(name)), ['it']);
    }
  };

  const first = await world.run(plays);
  t.equal(first.exitCode, 0);
  t.strictSame(
    statuses(first.events),
    world.names.map(() => 'Fetch it: changed'),
  );
  t.strictSame(asked, ['all']);
  whole();
  const giver = said(first.events)[0]?.split(' ')[3]?.replace(',', '');
  t.equal(said(first.events).filter((line) => line.includes(`waits for ${giver}`)).length, 3);
  t.equal(said(first.events).filter((line) => /: from node-/.test(line)).length, 3);

  // A host of its own without it, in a later run: those that have it are asked, not the server.
  rmSync(world.path('node-3', 'it'));
  const second = await world.run(plays);
  t.strictSame(statuses(second.events, 'node-3'), ['Fetch it: changed']);
  t.strictSame(asked, ['all']);
  whole();
  t.strictSame(
    statuses((await world.run(plays)).events),
    world.names.map(() => 'Fetch it: ok'),
    'nothing to do then',
  );

  // Where the server is away, each says so itself.
  for (const name of world.names) rmSync(world.path(name, 'it'));
  answers = false;
  const third = await world.run(plays);
  t.strictSame(
    statuses(third.events),
    world.names.map(() => 'Fetch it: failed'),
  );
  t.match(
    third.events.find((event) => event.type === 'task-finished'),
    { failure: { what: /503/ } },
  );
});

t.test('a host that cannot give what it should have is passed over', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2']);
  let asked = 0;
  const server = createServer((_, response) => {
    asked++;
    response.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/it`;
  const mkdir = (name: string) => mkdirSync(join(world.path(name), 'sub'));
  world.names.forEach(mkdir);
  const gives = { gone: sh`echo 'it is gone' >&2; exit 1`, 'something else': sh`echo something else` };
  for (const [how, give] of Object.entries(gives)) {
    asked = 0;
    writeFileSync(world.path('node-1', 'sub/it'), content);
    rmSync(world.path('node-2', 'sub/it'), { force: true });
    const role = roleOf(({ host }) => {
      const wanted = download({ path: world.path(host.name, 'sub/it'), url, sha256, seed: true });
      if (!wanted.seed) throw new Error('no seed');
      return [task('Fetch it', { ...wanted, seed: { ...wanted.seed, give } })];
    });
    const { events, exitCode } = await world.run([play({ name: 'All', hosts: 'all', serial: 1, roles: [role()] })]);
    t.equal(exitCode, 0, how);
    t.strictSame(statuses(events), ['Fetch it: ok', 'Fetch it: changed']);
    t.ok(asked > 0, how);
    t.ok(readFileSync(world.path('node-2', 'sub/it')).equals(content));
    t.strictSame(readdirSync(world.path('node-2', 'sub')), ['it']);
  }
});
