/** A delegated task that notifies: the mark of its handler lies on the host that the handler runs on. */
import { existsSync, readdirSync } from 'node:fs';
import t from 'tap';
import { UserError } from '../../../engine/errors.ts';
import type { HostView } from '../../../engine/host-view.ts';
import { connectionOf } from '../../../engine/inventory/connection.ts';
import { play } from '../../../engine/play.ts';
import { command } from '../../../engine/resources/command.ts';
import type { TaskContext } from '../../../engine/role.ts';
import type { RunOptions } from '../../../engine/run/plan/run-options.ts';
import { sh } from '../../../engine/script.ts';
import { task } from '../../../engine/task.ts';
import { roleOf, statuses, World } from '../../support/world.ts';

const hostNamed = ({ inventory }: TaskContext<unknown>, name: string) => {
  const host = inventory.find((each) => each.name === name);
  if (!host) throw new Error(`no host ${name}`);
  return host;
};

/** Marks of pending handlers on a host. */
const marks = (world: World, host: string): readonly string[] => {
  const folder = world.state(host, 'pending-handlers');
  // Behind the name is a hash of what the handler is.
  return existsSync(folder) ? readdirSync(folder).map((name) => name.replace(/\.[0-9a-f]{8}$/, '')) : [];
};

const onA = (role: ReturnType<typeof roleOf>) => [play({ name: 'All', hosts: 'a', roles: [role()] })];

t.test('a delegated task that notifies: its handler runs, on the host that the task is for', async (t) => {
  const world = new World(t.testdir(), ['a', 'b']);
  const isMarked = sh`ls ${world.state('a', 'pending-handlers')} | grep -q '^role.main.restart[.]'`;
  const role = roleOf(
    (context) => [
      task(
        'Config',
        command(sh`${isMarked} && touch ${world.path('b', 'config')}`, { creates: world.path('b', 'config') }),
        {
          delegateTo: hostNamed(context, 'b'),
          notify: 'restart',
        },
      ),
    ],
    () => ({ restart: task('Restart', command(sh`touch ${world.path('a', 'restarted')}`)) }),
  );
  const first = await world.run(onA(role));
  t.equal(first.exitCode, 0);
  t.strictSame(statuses(first.events), ['Config: changed', 'Restart: changed']);
  t.ok(existsSync(world.path('a', 'restarted')));
  t.strictSame([marks(world, 'a'), marks(world, 'b')], [[], []]);
  const second = await world.run(onA(role));
  t.strictSame(statuses(second.events), ['Config: ok'], 'nothing is left for the next run');
});

t.test('a handler that is delegated runs on its own host, and is pending there', async (t) => {
  const world = new World(t.testdir(), ['a', 'b']);
  const isMarked = sh`ls ${world.state('b', 'pending-handlers')} | grep -q '^role.main.restart.for.a[.]'`;
  const role = roleOf(
    () => [
      task(
        'Config',
        command(sh`${isMarked} && touch ${world.path('a', 'config')}`, { creates: world.path('a', 'config') }),
        {
          notify: 'restart',
        },
      ),
    ],
    (context) => ({
      restart: task('Restart', command(sh`touch ${world.path('b', 'restarted')}`), {
        delegateTo: hostNamed(context, 'b'),
      }),
    }),
  );
  const { events, exitCode } = await world.run(onA(role));
  t.equal(exitCode, 0);
  t.strictSame(statuses(events), ['Config: changed', 'Restart: changed']);
  t.ok(existsSync(world.path('b', 'restarted')));
  t.strictSame([marks(world, 'a'), marks(world, 'b')], [[], []]);
});

t.test('a run that is cut before the handler leaves the mark where the next run finds it', async (t) => {
  const world = new World(t.testdir(), ['a', 'b']);
  const config = world.path('b', 'config');
  const role = (fails: boolean) =>
    roleOf(
      (context) => [
        task('Config', command(sh`touch ${config}`, { creates: config }), {
          delegateTo: hostNamed(context, 'b'),
          notify: 'restart',
        }),
        task('Between', command(fails ? sh`false` : sh`true`, { changed: false })),
      ],
      () => ({ restart: task('Restart', command(sh`true`)) }),
    );
  t.equal((await world.run(onA(role(true)))).exitCode, 2);
  t.strictSame([marks(world, 'a'), marks(world, 'b')], [['role.main.restart'], []]);
  const { events } = await world.run(onA(role(false)));
  t.strictSame(statuses(events), ['Config: ok', 'Between: ok', 'Restart: changed']);
  t.strictSame(marks(world, 'a'), []);
});

t.test('a delegated task that changes nothing leaves no mark', async (t) => {
  const world = new World(t.testdir(), ['a', 'b']);
  const seen = world.path('b', 'seen');
  const role = roleOf(
    (context) => [
      task('Before', command(sh`touch ${seen}`, { creates: seen }), { delegateTo: hostNamed(context, 'b') }),
      // By its turn, the task before has made it.
      task('Config', command(sh`false`, { creates: seen }), { delegateTo: hostNamed(context, 'b'), notify: 'restart' }),
    ],
    () => ({ restart: task('Restart', command(sh`true`)) }),
  );
  const { events, exitCode } = await world.run(onA(role));
  t.equal(exitCode, 0);
  t.strictSame(statuses(events), ['Before: changed', 'Config: ok', 'Restart: not run']);
  t.strictSame([marks(world, 'a'), marks(world, 'b')], [[], []]);
});

t.test('a task that is delegated to a host that the run does not know is an error of the role', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2']);
  const localhost = { name: 'localhost' } as HostView;
  const role = roleOf(({ host }) => [
    task('Before', command(sh`touch ${world.path(host.name, 'before')}`)),
    task('There', command(sh`:`), host.name === 'node-1' ? { delegateTo: localhost } : {}),
  ]);
  const plays = [play({ name: 'All', hosts: 'all', roles: [role()] })];
  const what = 'task "There" is delegated to localhost, which is not in the inventory';
  t.match(await world.run(plays).catch((refused: unknown) => refused), {
    problems: [{ what, at: { file: /delegation/ }, host: 'node-1' }],
  });
  t.equal(world.read('node-2', 'before'), undefined, 'nothing was changed');
});

t.test(
  'a host that a task is delegated to and whose variables are wrong is unreachable, and others go on',
  async (t) => {
    const world = new World(t.testdir(), ['node-1', 'node-2', 'node-3']);
    const connect: RunOptions['connect'] = (host) => {
      if (host.name === 'node-3') throw new UserError({ what: 'ansible_port is "ssh"' });
      return connectionOf(host, { become: false });
    };
    const role = roleOf(({ host, inventory }) => [
      task('There', command(sh`:`), host.name === 'node-1' ? { delegateTo: inventory[2] as HostView } : {}),
    ]);
    const later = roleOf(() => [task('Later', command(sh`:`))]);
    for (const prefetch of [true, false]) {
      const { exitCode, events } = await world.run(
        [
          play({ name: 'Two', hosts: 'node-1:node-2', roles: [role()] }),
          play({ name: 'One', hosts: 'node-2', roles: [later()] }),
        ],
        { connect, prefetch },
      );
      t.equal(exitCode, 2);
      t.match(
        events.find(({ type }) => type === 'host-failed'),
        { host: 'node-1', problem: { what: /node-3, which is unreachable: ansible_port is "ssh"/ } },
      );
      t.strictSame(statuses(events, 'node-2'), ['There: changed', 'Later: changed']);
    }
  },
);

t.test('a handler that notifies a handler after it marks it as pending first, as a task does', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const log = world.path('node-1', 'log');
  const role = roleOf(
    () => [task('Change', command(sh`:`), { notify: 'reload' })],
    () => ({
      reload: task('Reload', command(sh`echo reload >>${log}`), { notify: 'restart' }),
      restart: task('Restart', command(sh`echo restart >>${log}`)),
    }),
  );
  const { events } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
  t.strictSame(statuses(events), ['Change: changed', 'Reload: changed', 'Restart: changed']);
  t.equal(world.read('node-1', 'log'), 'reload\nrestart\n');
});

t.test('two calls of a role have marks of their own: one that is left is run by its own call', async (t) => {
  const world = new World(t.testdir(), ['a']);
  const service = (name: string, fails: boolean) =>
    roleOf(
      () => [
        task('Config', command(sh`touch ${world.path('a', name)}`, { creates: world.path('a', name) }), {
          notify: 'restart',
        }),
        task('Between', command(fails ? sh`false` : sh`true`, { changed: false })),
      ],
      () => ({ restart: task(`Restart ${name}`, command(sh`true`, { id: `restart ${name}` })) }),
    )();
  const plays = (fails: boolean) => [
    play({ name: 'All', hosts: 'a', roles: [service('one', false), service('two', fails)] }),
  ];
  t.equal((await world.run(plays(true))).exitCode, 2);
  const { events } = await world.run(plays(false));
  t.strictSame(
    statuses(events).filter((status) => status.startsWith('Restart')),
    ['Restart two: changed'],
  );
});
