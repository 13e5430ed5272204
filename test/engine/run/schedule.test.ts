/** Who goes when, and with whom: batches, strategies, and what is begun ahead. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { connectionOf } from '../../../engine/inventory/connection.ts';
import { type Play, play } from '../../../engine/play.ts';
import { LinkError, type OpenSession } from '../../../engine/remote/session.ts';
import { command } from '../../../engine/resources/command.ts';
import { file } from '../../../engine/resources/file.ts';
import { waitFor } from '../../../engine/resources/wait.ts';
import { defineRole } from '../../../engine/role.ts';
import type { RunOptions } from '../../../engine/run/plan/run-options.ts';
import { sh } from '../../../engine/script.ts';
import { task } from '../../../engine/task.ts';
import { openSession } from '../../support/open-session.ts';
import { roleOf, World } from '../../support/world.ts';

const worldOf = (t: { testdir(): string }, names: readonly string[] = ['node-1', 'node-2']) =>
  new World(t.testdir(), names);

t.test('a role is loaded when it is to run, while its hosts are connected to', async (t) => {
  const world = worldOf(t, ['node-1']);
  const seen: string[] = [];
  const lazy = (name: string, load: () => void) =>
    defineRole({
      name,
      description: 'A role.',
      vars: { properties: {} },
      load: async () => {
        await new Promise((resolve) => setTimeout(resolve, 0));
        load();
        return { stages: (stage) => [stage({ name: 'main', tasks: () => [task('Run', command(sh`true`))] })] };
      },
    });
  const plays = [
    play({
      name: 'All',
      hosts: 'all',
      roles: [lazy('used', () => seen.push('used loaded'))(), lazy('unused', () => seen.push('unused loaded'))()],
    }),
  ];
  const connect: RunOptions['connect'] = (host) => ({ ...connectionOf(host, { become: false }), transport: 'ssh' });
  const open: OpenSession = async (connection) => {
    seen.push('connecting');
    return openSession({ ...connection, transport: 'local' });
  };
  const { exitCode } = await world.run(plays, { connect, open, tags: { tags: ['used'], skipTags: [] } });
  t.equal(exitCode, 0);
  t.strictSame(seen, ['connecting', 'used loaded']);

  const without = [
    ...plays,
    play({ name: 'Nobody', hosts: 'nobody', optional: true, roles: [lazy('idle', () => seen.push('idle loaded'))()] }),
  ];
  t.equal((await world.run(without)).exitCode, 0);
  t.notOk(seen.includes('idle loaded'), 'a play without hosts needs none of its roles');

  const broken = lazy('broken', () => {
    throw new Error('no such export');
  });
  const bad = [play({ name: 'All', hosts: 'all', roles: [broken()] })];
  const error: unknown = await world.run(bad).catch((thrown: unknown) => thrown);
  t.match(error, { problems: [{ what: 'the role broken broke off: no such export' }], exitCode: 1 });
});

t.test('a role whose module does not compile or load is told with its place', async (t) => {
  const dir = t.testdir({
    'package.json': '{ "type": "module" }',
    'comma.ts': 'export const stages = () => [\n  1,\n];\nconst;\n',
    'export.ts': "import { nothing } from './empty.ts';\nexport const stages = () => nothing;\n",
    'empty.ts': 'export {};\n',
    'file.ts': "import './absent.ts';\nexport const stages = () => [];\n",
  });
  const world = new World(join(dir, 'world'), ['node-1']);
  const mistakes: [string, object][] = [
    ['comma.ts', { what: /^the role wrong does not compile: /, at: { file: join(dir, 'comma.ts'), line: 4 } }],
    ['export.ts', { what: /^the role wrong does not load: .* has no export "nothing", in .*export\.ts$/, hint: /tsc/ }],
    ['file.ts', { what: /^the role wrong does not load: .*absent\.ts' imported from .*file\.ts$/, hint: /tsc/ }],
  ];
  for (const [name, problem] of mistakes) {
    const role = defineRole({
      name: 'wrong',
      description: 'A role.',
      vars: { properties: {} },
      load: () => import(join(dir, name)),
    });
    const plays = [play({ name: 'All', hosts: 'all', roles: [role()] })];
    const error: unknown = await world.run(plays).catch((thrown: unknown) => thrown);
    t.match(error, { problems: [problem] });
  }
});

t.test('a host that could not be connected to ahead is tried again when something has changed', async (t) => {
  const world = worldOf(t);
  const on = world.path('node-1', 'on');
  const connect: RunOptions['connect'] = (host) => ({ ...connectionOf(host, { become: false }), transport: 'ssh' });
  const open: OpenSession = async (connection) => {
    if (connection.name === 'node-2' && !existsSync(on))
      throw new LinkError('connect', { what: 'it is off', host: 'node-2' });
    return openSession({ ...connection, transport: 'local' });
  };
  const plays = [
    play({
      name: 'Switch it on',
      hosts: 'node-1',
      roles: [roleOf(() => [task('On', file({ path: on, content: '' }))])()],
    }),
    play({ name: 'Use it', hosts: 'node-2', roles: [roleOf(() => [task('Use', command(sh`true`))])()] }),
  ];
  for (const prefetch of [true, false]) {
    rmSync(on, { force: true });
    const { exitCode, recap } = await world.run(plays, { connect, open, prefetch });
    t.equal(exitCode, 0, `prefetch ${prefetch}`);
    t.match(recap, [{ changed: 1 }, { changed: 1, unreachable: 0 }]);
  }
});

t.test('serial, anyErrorsFatal and a batch that fails whole end a run as in Ansible', async (t) => {
  const world = worldOf(t, ['node-1', 'node-2', 'node-3', 'node-4']);
  const failOn = (name: string, more: Partial<Play>): readonly Play[] => [
    play({
      name: 'All',
      hosts: 'all',
      roles: [
        roleOf(({ host }) => [
          task('Maybe', command(sh`[ ${host.name} != ${name} ]`)),
          task('Mark', command(sh`echo x > ${world.path(host.name, 'mark')}`)),
        ])(),
      ],
      ...more,
    }),
  ];
  const marked = () => {
    const names = world.names.filter((name) => world.read(name, 'mark') !== undefined);
    for (const name of names) rmSync(world.path(name, 'mark'));
    return names;
  };
  await world.run(failOn('node-1', { serial: 1 }));
  t.strictSame(marked(), [], 'the first batch of one failed whole');
  await world.run(failOn('node-1', { serial: 2 }));
  t.strictSame(marked(), ['node-2', 'node-3', 'node-4']);
  await world.run(failOn('node-3', { serial: 2, anyErrorsFatal: true }));
  t.strictSame(marked(), ['node-1', 'node-2', 'node-4']);
  await world.run(failOn('node-1', { throttle: 1 }));
  t.strictSame(marked(), ['node-2', 'node-3', 'node-4'], 'throttle only slows down');
  await world.run(failOn('node-1', { serial: 2, maxFailPercentage: 49 }));
  t.strictSame(marked(), ['node-2'], 'half a batch failed, which is more than 49 percent');
});

t.test('with strategy free no host waits for another, and runOnce and throttle mean what they did', async (t) => {
  const world = worldOf(t);
  const log = join(world.root, 'log');
  const say = (words: string) => command(sh`echo ${words} >> ${log}`);
  const [waiting, done] = [world.path('node-1', 'waiting'), world.path('node-2', 'done')];
  const role = (wait: boolean) =>
    defineRole({
      name: 'two-stages',
      description: 'Two stages.',
      vars: { properties: {} },
      stages: (stage) => [
        stage({
          name: 'one',
          tasks: ({ host }) => [
            // node-1 ends its first stage only when node-2 has ended its last.
            ...(wait && host.name === 'node-1'
              ? [
                  task(
                    'Wait',
                    waitFor({ what: 'the other host', script: sh`: > ${waiting}; [ -e ${done} ]`, deadline: 20 }),
                  ),
                ]
              : []),
            task('Once', say('once'), { runOnce: true }),
          ],
        }),
        stage({
          name: 'two',
          tasks: ({ host }) => [
            task('Say', say(`two ${host.name}`)),
            ...(host.name === 'node-2' ? [task('Done', command(sh`: > ${done}`))] : []),
          ],
        }),
      ],
    });
  const plays = (wait: boolean, more: Partial<Play>) => [
    play({ name: 'All', hosts: 'all', roles: [role(wait)()], strategy: 'free', ...more }),
  ];
  const lines = () => readFileSync(log, 'utf8').trim().split('\n');
  const { exitCode } = await world.run(plays(true, {}));
  t.equal(exitCode, 0);
  t.strictSame(lines(), ['two node-2', 'once', 'two node-1']);
  rmSync(log);
  await world.run(plays(false, { throttle: 1 }));
  t.strictSame(lines(), ['once', 'two node-1', 'two node-2'], 'one host after the other');

  const wrong = play({ name: 'All', hosts: 'all', roles: [role(false)()], ...{ strategy: 'fre' as 'free' } });
  await t.rejects(world.run([wrong]), /strategy is "fre"[\s\S]*linear, free/);
  const misspelt = play({ name: 'All', hosts: 'all', roles: [role(false)()], ...{ stratgy: 'free' } });
  await t.rejects(world.run([misspelt]), {
    message: /schedule.test.ts:\d+:\d+.*unknown keyword "stratgy"[\s\S]*did you mean "strategy"/,
  });
});
