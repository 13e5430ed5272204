/** One host fetches, the others get it from that one. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { play } from '../../../engine/play.ts';
import type { Resource } from '../../../engine/resource.ts';
import { download } from '../../../engine/resources/download.ts';
import { file } from '../../../engine/resources/file.ts';
import type { Interruption } from '../../../engine/run/plan/run-options.ts';
import { PeerSources } from '../../../engine/run/sessions/peer-sources.ts';
import { sh } from '../../../engine/script.ts';
import { task } from '../../../engine/task.ts';
import { until } from '../../support/until.ts';
import { roleOf, statuses, trips, World } from '../../support/world.ts';

const content = Buffer.from(Array.from({ length: 2_000_000 }, (_, i) => (i * 7919) % 256));
const sha256 = createHash('sha256').update(content).digest('hex');

const peer = (host: string) => ({ host, become: true, read: sh`read` });

t.test('who wants it first fetches it, the others wait; each that has it gives it to a few at once', async (t) => {
  const sources = new PeerSources();
  const waits: string[] = [];
  const acquire = (host: string) => sources.acquire('k', peer(host), (whom) => waits.push(`${host} for ${whom}`));
  const first = await acquire('a');
  t.equal(first.from, undefined);
  const others = ['b', 'c', 'd', 'e', 'f', 'g'].map(acquire);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(waits.length, 6);
  first.release(true);
  const served = await Promise.all(others.slice(0, 4));
  t.strictSame(
    served.map(({ from }) => from?.host),
    ['a', 'a', 'a', 'a'],
  );
  t.equal(waits.length, 6, 'who still waits is not told so again');
  served[0]?.release(true);
  t.equal((await others[4])?.from?.host, 'b', 'who has got it gives it, as it has fewer to read it to');
  t.equal((await others[5])?.from?.host, 'b');
  t.equal((await sources.acquire('other', peer('f'), () => {})).from, undefined, 'something else');

  // The same content elsewhere on the same host is had from there.
  sources.add('here', peer('x'));
  t.equal((await sources.acquire('here', { ...peer('x'), read: sh`elsewhere` }, () => {})).from?.host, 'x');
  sources.remove('here', peer('x'));
  t.equal((await sources.acquire('here', peer('y'), () => {})).from, undefined);
});

t.test('where it cannot be fetched, all try at once', async (t) => {
  const sources = new PeerSources();
  const acquire = (host: string) => sources.acquire('k', peer(host), () => {});
  const first = await acquire('a');
  const others = ['b', 'c', 'd'].map(acquire);
  first.release(false);
  const turns = await Promise.all(others);
  t.strictSame(
    turns.map(({ from }) => from),
    [undefined, undefined, undefined],
  );
  turns[1]?.release(true);
  t.equal((await acquire('e')).from?.host, 'c');
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
    task('Fetch it', download({ path: world.path(host.name, 'it'), url, sha256, fromPeers: true })),
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
  const fetched = said(first.events)[0]?.split(' ')[3];
  t.equal(said(first.events).filter((line) => line.endsWith(`waits for ${fetched}`)).length, 3);
  t.equal(first.events.filter(({ type }) => type === 'task-started').length, 4, 'each begins once');
  t.equal(said(first.events).filter((line) => /: from node-/.test(line)).length, 3);
  const costs = (phase: string) =>
    first.events.flatMap((event) => (event.type === 'phase-finished' && event.phase === phase ? [event.cost] : []));
  t.equal(costs('wait').length, 3);
  t.ok(costs('wait').every(({ ms, roundTrips }) => ms >= 250 && roundTrips === 0));
  t.strictSame(
    costs('peer-upload').map(({ bytesIn, roundTrips }) => [bytesIn, roundTrips]),
    Array.from({ length: 3 }, () => [content.length, 2]),
  );
  for (const host of world.names) {
    const had = host === fetched ? [] : ['wait 0', 'change 3'];
    const own = trips(first.events, host).filter((phase) => !phase.startsWith('peer-upload '));
    t.strictSame(own, ['check 1', ...had, 'change 1'], host);
  }

  // One without it, in a later run: those that have it are asked, not the server, whoever comes first.
  for (const lacking of ['node-1', 'node-3']) {
    for (const prefetch of [true, false]) {
      rmSync(world.path(lacking, 'it'));
      const later = await world.run(plays, { prefetch });
      t.strictSame(statuses(later.events, lacking), ['Fetch it: changed']);
      t.strictSame(asked, ['all'], `${lacking}, ${prefetch ? '' : 'no '}prefetch`);
      whole();
    }
  }
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

t.test('a host that cannot read what it should have is passed over', async (t) => {
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
  for (const [how, read] of Object.entries(gives)) {
    asked = 0;
    writeFileSync(world.path('node-1', 'sub/it'), content);
    rmSync(world.path('node-2', 'sub/it'), { force: true });
    const role = roleOf(({ host }) => {
      const wanted = download({ path: world.path(host.name, 'sub/it'), url, sha256, fromPeers: true });
      if (!wanted.peerSource) throw new Error('no peer source');
      return [task('Fetch it', { ...wanted, peerSource: { ...wanted.peerSource, read } })];
    });
    const { events, exitCode } = await world.run([play({ name: 'All', hosts: 'all', serial: 1, roles: [role()] })]);
    t.equal(exitCode, 0, how);
    t.strictSame(statuses(events), ['Fetch it: ok', 'Fetch it: changed']);
    t.ok(asked > 0, how);
    t.ok(readFileSync(world.path('node-2', 'sub/it')).equals(content));
    t.strictSame(readdirSync(world.path('node-2', 'sub')), ['it']);
  }
});

t.test('the link of who fetches it breaks: the others do not wait for ever', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2', 'node-3']);
  const role = roleOf(({ host }) => [
    task('Fetch it', {
      ...thing(world.path(host.name, 'it')),
      // The session's shell is the leader of its process group.
      change: () =>
        host.name === 'node-1'
          ? sh`read -r hw_pid hw_name hw_state hw_parent hw_group hw_rest < /proc/self/stat; sleep 0.3; kill -9 -$hw_group`
          : sh`sleep 0.1; echo content > ${world.path(host.name, 'it')}`,
    }),
  ]);
  const { events } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
  t.strictSame(statuses(events, 'node-2'), ['Fetch it: changed']);
  t.strictSame(statuses(events, 'node-3'), ['Fetch it: changed']);
  t.ok(events.some((event) => event.type === 'host-unreachable' && event.host === 'node-1'));
});

t.test('Ctrl-C ends what is being given, and nothing is changed with it', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2']);
  writeFileSync(world.path('node-1', 'it'), 'content');
  const role = roleOf(({ host }) => {
    const it = thing(world.path(host.name, 'it'));
    const go = world.path('node-2', 'go');
    const read = sh`touch ${world.path('node-1', 'giving')}; while [ ! -e ${go} ]; do sleep 0.05; done; cat ${world.path('node-1', 'it')}`;
    return [
      task('Fetch it', { ...it, peerSource: { key: 'it', read, write: sh`cat > /dev/null` } }),
      task('Then', file({ path: world.path(host.name, 'then'), content: '' })),
    ];
  });
  const plays = [play({ name: 'All', hosts: 'node-2', roles: [role()] })];
  const hosts = [play({ name: 'Those that have it', hosts: 'node-1', roles: [role()] })];
  for (const how of ['after this step', 'now'] as const) {
    rmSync(world.path('node-2', 'go'), { force: true });
    let ask: Parameters<Interruption['onRequest']>[0] = () => {};
    const interruption = {
      requested: undefined as Interruption['requested'],
      onRequest: (listener: typeof ask) => {
        ask = listener;
      },
    };
    const running = world.run([...hosts, ...plays], { interruption });
    await until(10, async () => existsSync(world.path('node-1', 'giving')));
    interruption.requested = how;
    ask(how);
    writeFileSync(world.path('node-2', 'go'), '');
    const { events, exitCode } = await running;
    t.equal(exitCode, 99);
    t.match(
      statuses(events, 'node-2'),
      how === 'now' ? [/^Fetch it: failed/, /^Then: not run/] : [/^Fetch it: not run/, /^Then: not run/],
    );
    t.notOk(existsSync(world.path('node-2', 'it')) || existsSync(world.path('node-2', 'then')));
    rmSync(world.path('node-1', 'giving'));
  }
});

t.test('nobody waits for a peer while holding a lock', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2', 'node-3']);
  const role = roleOf(({ host }) => [
    task('Fetch it', thing(world.path(host.name, 'it')), { disrupts: { lock: 'etcd' } }),
  ]);
  const { events, exitCode } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
  t.equal(exitCode, 0);
  t.notOk(events.some((event) => event.type === 'task-output' && /waits|from/.test(event.text)));
});

/** Something that a host makes itself, or gets from another. */
function thing(path: string): Resource {
  return {
    kind: 'thing',
    id: path,
    probe: sh`if [ -e ${path} ]; then echo there=yes; else echo there=no; fi`,
    wanted: { there: 'yes' },
    change: () => sh`echo content > ${path}`,
    peerSource: { key: 'it', read: sh`cat -- ${path}`, write: sh`cat > /dev/null` },
    noUndo: 'a test',
  };
}
