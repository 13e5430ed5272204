/** Whole runs, with hosts that are folders of this machine. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { UserError } from '../../../engine/errors.ts';
import { EventStream } from '../../../engine/event-stream.ts';
import type { RunEvent } from '../../../engine/events.ts';
import { fact, fromEach } from '../../../engine/fact.ts';
import { loadInventory } from '../../../engine/inventory/load.ts';
import { play } from '../../../engine/play.ts';
import { LinkError, type OpenSession } from '../../../engine/remote/session.ts';
import { command } from '../../../engine/resources/command.ts';
import { file } from '../../../engine/resources/file.ts';
import { waitFor } from '../../../engine/resources/wait.ts';
import { defineRole } from '../../../engine/role.ts';
import type { Interruption } from '../../../engine/run/plan/run-options.ts';
import { sh } from '../../../engine/script.ts';
import { maskData, Secret } from '../../../engine/secret.ts';
import { task } from '../../../engine/task.ts';
import { pass, refuse } from '../../../engine/verdict.ts';
import { openSession } from '../../support/open-session.ts';
import { roleOf, statuses, type Tasks, trips, World } from '../../support/world.ts';

const worldOf = (t: { testdir(): string }, names: readonly string[] = ['node-1', 'node-2']) =>
  new World(t.testdir(), names);

t.test('a first run changes, and counts one round trip for facts, one for probes, one for changes', async (t) => {
  const world = worldOf(t);
  const kernel = fact({ name: 'kernel', script: sh`uname -s`, parse: ({ stdout }) => stdout.trim(), example: 'Linux' });
  const role = defineRole({
    name: 'motd',
    description: 'A message.',
    vars: { properties: { motd_text: { type: 'string', default: 'hello', description: 'What it says.' } } },
    stages: (stage) => [
      stage({
        name: 'motd',
        facts: () => ({ kernel }),
        tasks: ({ vars, facts, host }) => [
          task('Write', file({ path: world.path(host.name, 'motd'), content: `${vars.motd_text} ${facts.kernel}\n` })),
        ],
      }),
    ],
  });
  const plays = [play({ name: 'All', hosts: 'all', roles: [role()] })];

  const checked = await world.run(plays, { check: true, diff: true });
  t.strictSame(statuses(checked.events), ['Write: would change', 'Write: would change']);
  t.equal(world.read('node-1', 'motd'), undefined, 'check mode changed nothing');
  t.match(
    checked.events.find((event) => event.type === 'task-finished'),
    { diff: /\+hello Linux/ },
  );

  const first = await world.run(plays);
  t.equal(first.exitCode, 0);
  t.equal(world.read('node-2', 'motd'), 'hello Linux\n');
  t.strictSame(trips(first.events, 'node-1'), ['facts 1', 'check 1', 'change 1']);
  t.match(first.recap, [
    { host: 'node-1', ok: 1, changed: 1, failed: 0 },
    { host: 'node-2', changed: 1 },
  ]);

  const second = await world.run(plays);
  t.strictSame(trips(second.events, 'node-1'), ['facts 1', 'check 1'], 'nothing to do is two round trips');
  t.match(second.recap, [
    { changed: 0, ok: 1 },
    { changed: 0, ok: 1 },
  ]);
});

t.test('a failed task stops its own host, and the others go on', async (t) => {
  const world = worldOf(t);
  const plays = [
    play({
      name: 'All',
      hosts: 'all',
      roles: [
        roleOf(({ host }) => [
          task('Break on one', command(sh`[ ${host.name} = node-2 ] || { echo "no luck" >&2; exit 3; }`)),
          task('Mark', file({ path: world.path(host.name, 'mark'), content: 'x' })),
        ])(),
      ],
    }),
  ];
  const { exitCode, events, recap } = await world.run(plays);
  t.equal(exitCode, 2);
  t.strictSame(statuses(events, 'node-1'), ['Break on one: failed', 'Mark: not run']);
  t.equal(world.read('node-1', 'mark'), undefined);
  t.equal(world.read('node-2', 'mark'), 'x');
  t.match(recap, [{ failed: 1 }, { failed: 0, changed: 2 }]);
  const failed = events.find((event) => event.type === 'task-finished' && event.status === 'failed');
  t.match(failed, { failure: { exitCode: 3, stderr: 'no luck' }, task: { at: { file: /run\.test\.ts$/ } } });
});

t.test('ignoreErrors lets the host go on', async (t) => {
  const world = worldOf(t, ['node-1']);
  const role = roleOf(({ host }) => [
    task('Break', command(sh`exit 1`), { ignoreErrors: true }),
    task('Mark', file({ path: world.path(host.name, 'mark'), content: 'x' })),
  ]);
  const { exitCode, recap } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
  t.equal(exitCode, 0);
  t.match(recap, [{ failed: 0, ignored: 1 }]);
  t.equal(world.read('node-1', 'mark'), 'x');
});

t.test('a handler runs once when notified, and again only when pending from a run that was cut', async (t) => {
  const world = worldOf(t, ['node-1']);
  const name = `handlers-${process.pid}`;
  const log = world.path('node-1', 'log');
  const role = (broken: boolean) =>
    roleOf(
      ({ host }) => [
        task('A', file({ path: world.path(host.name, 'a'), content: '1' }), { notify: 'reload' }),
        task('B', file({ path: world.path(host.name, 'b'), content: '1' }), { notify: 'reload' }),
        ...(broken ? [task('Break', command(sh`exit 1`))] : []),
      ],
      () => ({ reload: task('Reload', command(sh`echo reloaded >> ${log}`)) }),
      name,
    );
  const plays = (broken: boolean) => [play({ name: 'All', hosts: 'all', roles: [role(broken)()] })];
  const broken = await world.run(plays(true));
  t.strictSame(statuses(broken.events), ['A: changed', 'B: changed', 'Break: failed', 'Reload: not run']);
  t.equal(world.read('node-1', 'log'), undefined, 'a failed host runs no handler');
  const mended = await world.run(plays(false));
  t.strictSame(statuses(mended.events), ['A: ok', 'B: ok', 'Reload: changed'], 'the next run runs what is pending');
  t.equal(world.read('node-1', 'log'), 'reloaded\n');
  t.strictSame(statuses((await world.run(plays(false))).events), ['A: ok', 'B: ok']);
});

t.test('a refusal on one host, and nothing is changed on any', async (t) => {
  const world = worldOf(t);
  const role = defineRole({
    name: 'careful',
    description: 'A role with checks.',
    vars: { properties: { final: { type: 'boolean', default: false, description: 'Not to be waived.' } } },
    checks: (checks) =>
      checks({
        facts: () => ({}),
        verdicts: ({ host, vars }) => [
          host.name === 'node-2'
            ? refuse('disk', {
                evidence: '1 GB',
                what: 'the disk is too small',
                hint: 'a larger one',
                final: vars.final,
              })
            : pass('disk', '100 GB'),
        ],
      }),
    stages: (stage) => [
      stage({
        name: 'main',
        tasks: ({ host }) => [task('Mark', file({ path: world.path(host.name, 'mark'), content: 'x' }))],
      }),
    ],
  });
  const plays = [play({ name: 'All', hosts: 'all', roles: [role()] })];
  const refused = await world.run(plays);
  t.equal(refused.exitCode, 2);
  t.equal(world.read('node-1', 'mark'), undefined);
  t.match(
    refused.events.find((event) => event.type === 'verdict' && event.verdict === 'refuse'),
    { host: 'node-2', check: 'disk', problem: { hint: 'a larger one; to go on all the same: -e waive=disk' } },
  );

  const inventory = await loadInventory({ sources: [join(world.root, 'inventory')], extraVars: ['waive=disk'] });
  const final = [play({ name: 'All', hosts: 'all', roles: [role({ final: true })] })];
  const refusedAgain = await world.run(final, { inventory });
  t.equal(refusedAgain.exitCode, 2);
  t.equal(world.read('node-1', 'mark'), undefined);
  t.match(
    refusedAgain.events.find((event) => event.type === 'verdict' && event.verdict === 'refuse'),
    { problem: { hint: /^a larger one$/ } },
    'what nothing waives is not said to be waived',
  );
  t.equal((await world.run(plays, { inventory })).exitCode, 0);
  t.equal(world.read('node-1', 'mark'), 'x');
});

t.test('a disrupting change that failed has not recovered either, though its errors are ignored', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2']);
  const role = roleOf(({ host }) => [
    task('Restart', command(sh`touch ${world.path(host.name, 'stopped')}; false`), {
      ignoreErrors: true,
      disrupts: { lock: 'etcd', after: command(sh`:`) },
    }),
  ]);
  const { events } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
  t.strictSame(statuses(events), ['Restart: ignored', 'Restart: not run']);
  t.equal(world.read('node-2', 'stopped'), undefined);
});

t.test(
  'what disrupts the same thing never runs on two hosts at once, and stops where it does not recover',
  async (t) => {
    const world = worldOf(t, ['node-1', 'node-2', 'node-3']);
    const shared = join(world.root, 'shared');
    mkdirSync(shared);
    const restart =
      (recovers: string): Tasks =>
      ({ host }) => [
        task(
          'Restart',
          command(
            sh`mkdir ${shared}/busy || exit 9; sleep 0.2; rmdir ${shared}/busy; echo x > ${world.path(host.name, 'done')}`,
          ),
          {
            disrupts: {
              lock: 'quorum',
              after: waitFor({ what: 'quorum', script: sh`${recovers}`, deadline: 0 }),
            },
          },
        ),
      ];
    const good = await world.run([play({ name: 'All', hosts: 'all', roles: [roleOf(restart('true'))()] })]);
    t.equal(good.exitCode, 0, 'two at once would have failed with exit code 9');
    for (const name of world.names) rmSync(world.path(name, 'done'));

    const bad = await world.run([play({ name: 'All', hosts: 'all', roles: [roleOf(restart('false'))()] })]);
    t.equal(bad.exitCode, 2);
    const [first, ...others] = world.names.filter((name) => world.read(name, 'done') !== undefined);
    t.strictSame(others, [], 'only one host was disrupted, whichever came first');
    t.match(
      bad.events.find((event) => event.type === 'health-check-failed'),
      { lock: 'quorum', host: first },
    );
    const left = bad.events.filter((event) => event.type === 'host-failed');
    const what = `not changed here, since quorum did not recover on ${first}`;
    t.match(left, [{ problem: { what } }, { problem: { what } }]);
  },
);

t.test('facts of other hosts are asked for also outside --limit, and nothing is changed there', async (t) => {
  const world = worldOf(t);
  writeFileSync(world.path('node-2', 'token'), 'abc');
  const role = defineRole({
    name: 'join',
    description: 'Takes a token from node-2.',
    vars: { properties: {} },
    stages: (stage) => [
      stage({
        name: 'join',
        facts: ({ inventory }) => ({
          token: fromEach(
            inventory.filter(({ name }) => name === 'node-2'),
            fact({
              name: 'token',
              script: sh`cat ${world.path('node-2', 'token')}`,
              parse: ({ stdout }) => stdout,
              example: 'xyz',
            }),
          ),
        }),
        tasks: ({ host, facts }) => [
          task(
            'Join',
            file({ path: world.path(host.name, 'joined'), content: facts.token.get('node-2') ?? 'no token' }),
          ),
        ],
      }),
    ],
  });
  const { events } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })], { limit: 'node-1' });
  t.equal(world.read('node-1', 'joined'), 'abc');
  t.equal(world.read('node-2', 'joined'), undefined);
  t.strictSame(trips(events, 'node-2'), ['facts 1'], 'one question, no probe, no change');
});

t.test('an unreachable host is told apart from a failed one, and a host that needs its facts says so', async (t) => {
  const world = worldOf(t);
  const open: OpenSession = async (connection) => {
    if (connection.name === 'node-2') throw new LinkError('connect', { what: 'connection refused' });
    return Object.assign(await openSession(connection), { lock: () => {} });
  };
  const plain = roleOf(({ host }) => [task('Mark', file({ path: world.path(host.name, 'mark'), content: 'x' }))]);
  const reached = await world.run([play({ name: 'All', hosts: 'all', roles: [plain()] })], { open });
  t.equal(reached.exitCode, 4);
  t.match(reached.recap, [
    { changed: 1, unreachable: 0 },
    { unreachable: 1, failed: 0 },
  ]);

  const name = fact({ name: 'name', script: sh`hostname`, parse: ({ stdout }) => stdout, example: '' });
  const needy = defineRole({
    name: 'needy',
    description: 'Needs to know of all.',
    vars: { properties: {} },
    stages: (stage) => [
      stage({ name: 'main', facts: ({ inventory }) => ({ all: fromEach(inventory, name) }), tasks: () => [] }),
    ],
  });
  const failed = await world.run([play({ name: 'All', hosts: 'all', roles: [needy()] })], { open });
  t.equal(failed.exitCode, 2);
  t.match(
    failed.events.find((event) => event.type === 'host-failed'),
    { host: 'node-1', problem: { what: 'the fact "name" of node-2 could not be gathered: connection refused' } },
  );

  const asking = defineRole({
    name: 'asking',
    description: 'Would like to know of all.',
    vars: { properties: {} },
    stages: (stage) => [
      stage({ name: 'main', facts: ({ inventory }) => ({ all: fromEach(inventory, name, 'omit') }), tasks: () => [] }),
    ],
  });
  const limited = await world.run([play({ name: 'All', hosts: 'all', roles: [asking()] })], { open, limit: 'node-1' });
  t.equal(limited.exitCode, 0);
  t.notOk(limited.events.some(({ type }) => type === 'host-unreachable'));
  t.match(
    limited.events.filter(({ type }) => type === 'warning'),
    [{ problem: { host: 'node-2', what: /^connection refused; the host is not in this run/ } }],
    'one that --limit leaves out is only said to be missing',
  );
});

t.test('a mistake in a role fails its host with the line of it, and the other hosts go on', async (t) => {
  const world = worldOf(t);
  const broken = (part: 'facts' | 'tasks' | 'handlers') => {
    const breakOn = (here: typeof part, host: string): void => {
      if (here === part && host === 'node-1') throw new TypeError('nothing is there');
    };
    return defineRole({
      name: 'broken',
      description: 'Breaks off.',
      vars: { properties: {} },
      stages: (stage) => [
        stage({
          name: 'main',
          facts: ({ host }) => (breakOn('facts', host.name) ?? {}) as Record<string, never>,
          tasks: ({ host }) => {
            breakOn('tasks', host.name);
            return [task('Mark', file({ path: world.path(host.name, part), content: 'x' }))];
          },
          handlers: ({ host }) => (breakOn('handlers', host.name) ?? {}) as Record<string, never>,
        }),
      ],
    })();
  };
  for (const part of ['facts', 'tasks', 'handlers'] as const) {
    const { exitCode, events } = await world.run([play({ name: 'All', hosts: 'all', roles: [broken(part)] })]);
    t.equal(exitCode, 2);
    t.match(
      events.find((event) => event.type === 'host-failed'),
      {
        host: 'node-1',
        problem: { what: 'the role broken broke off: nothing is there', at: { file: /run\.test\.ts$/ } },
      },
    );
    t.equal(world.read('node-2', part), 'x');
  }
});

t.test('delegateTo looks and changes elsewhere, and counts here', async (t) => {
  const world = worldOf(t);
  const role = roleOf(({ inventory, host }) => {
    const other = inventory.find(({ name }) => name === 'node-2');
    return other && host.name === 'node-1'
      ? [task('Mark', file({ path: world.path('node-2', 'mark'), content: 'x' }), { delegateTo: other })]
      : [];
  });
  const { events, recap } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })], {
    limit: 'node-1',
  });
  t.equal(world.read('node-2', 'mark'), 'x');
  t.match(recap, [{ host: 'node-1', changed: 1 }]);
  t.strictSame(trips(events, 'node-2'), ['check 1', 'change 1']);
});

t.test('wrong patterns and variables are told before any host is connected to', async (t) => {
  const world = worldOf(t);
  const open: OpenSession = async () => t.fail('connected') as never;
  const plain = roleOf(() => []);
  const badHosts = world.run([play({ name: 'All', hosts: 'srever', roles: [plain()] })], { open });
  await t.rejects(badHosts, UserError);
  const badLimit = world.run([play({ name: 'All', hosts: 'all', roles: [plain()] })], {
    open,
    limit: 'node-1:!node-1',
  });
  await t.rejects(badLimit, { message: /matches no host/ });
});

t.test('Ctrl-C lets the running step end, begins nothing new, and exits with 99', async (t) => {
  const world = worldOf(t, ['node-1']);
  const role = roleOf(({ host }) => [
    task('Slow', command(sh`sleep 1; echo x > ${world.path(host.name, 'slow')}`)),
    task('Next', command(sh`echo x > ${world.path(host.name, 'next')}`)),
  ]);
  const listeners: ((how: 'after this step' | 'now') => void)[] = [];
  const interruption = {
    requested: undefined as 'after this step' | undefined,
    onRequest: (listener: (how: 'after this step' | 'now') => void) => listeners.push(listener) && undefined,
  };
  const stream = new EventStream();
  const events: RunEvent[] = [];
  stream.subscribe((event) => {
    events.push(event);
    if (event.type !== 'task-started') return;
    interruption.requested = 'after this step';
    for (const listener of listeners) listener('after this step');
  });
  const { exitCode } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })], {
    interruption,
    events: stream,
  });
  t.equal(exitCode, 99);
  t.equal(world.read('node-1', 'slow'), 'x\n');
  t.equal(world.read('node-1', 'next'), undefined);
  t.strictSame(statuses(events), ['Slow: changed', 'Next: not run']);
});

t.test(
  'a handler that has run when Ctrl-C stops the run is not pending any more; one that has not is, and says so',
  async (t) => {
    for (const stopped of ['while the handler runs', 'before it'] as const) {
      const world = worldOf(t, ['node-1']);
      const at = (name: string) => world.path('node-1', name);
      const handler = `Restart ${stopped} ${process.pid}`;
      const role = roleOf(
        () => [
          task('Config', file({ path: at('config'), content: 'x' }), { notify: handler }),
          task('Slow', command(sh`touch ${at('slow')}; sleep 1`, { creates: at('slow') })),
        ],
        () => ({
          [handler]: task('Restart', command(sh`touch ${at('restarting')}; sleep 1; echo restarted >> ${at('log')}`)),
        }),
      );
      const plays = [play({ name: 'All', hosts: 'all', roles: [role()] })];
      let ask: Parameters<Interruption['onRequest']>[0] = () => {};
      const interruption = {
        requested: undefined as Interruption['requested'],
        onRequest: (listener: typeof ask) => {
          ask = listener;
        },
      };
      const running = world.run(plays, { interruption });
      const seen = stopped === 'before it' ? 'slow' : 'restarting';
      for (let i = 0; i < 1500 && !existsSync(at(seen)); i++) await new Promise((resolve) => setTimeout(resolve, 20));
      interruption.requested = 'after this step';
      ask('after this step');
      t.equal((await running).exitCode, 99);
      const { events } = await world.run(plays);
      const restarts = events.filter((event) => event.type === 'task-finished' && event.task.handler);
      t.equal(world.read('node-1', 'log'), 'restarted\n', `once, stopped ${stopped}`);
      if (stopped === 'before it') t.match(restarts, [{ status: 'changed', task: { name: 'Restart', pending: true } }]);
      else t.strictSame(restarts, []);
    }
  },
);

t.test('a secret that comes in two pieces is masked, and no character is cut in two', async (t) => {
  const world = worldOf(t, ['node-1']);
  const word = new Secret('two-halves-of-it');
  const role = roleOf(() => [
    task('Say it', command(sh`w=${word}; printf 'it is %.8s' "$w"; sleep 0.3; echo "\${w#two-halv}"`)),
    task('Sing it', command(sh`printf 'caf\\303'; sleep 0.3; printf '\\251'`)),
  ]);
  const { events } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
  t.strictSame(
    events.filter((event) => event.type === 'task-output').map(({ text }) => text),
    ['it is ***\n', 'caf\u00e9'],
  );
});

t.test(
  'a secret that is a number or a word of the format is masked where hosts say it, and nowhere else',
  async (t) => {
    const world = worldOf(t, ['node-1']);
    new Secret('2000');
    new Secret('task-output');
    const role = roleOf(() => [task('Say it', command(sh`echo 2000 task-output`))]);
    const { events } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
    const said = events.find((event) => event.type === 'task-output');
    t.match(said, { type: 'task-output', text: '*** ***\n', time: /^\d{4}-/ });
    t.equal(maskData({ ms: 2000 }).ms, 2000, 'a number is no text');
  },
);

t.test('a handler whose `when` says no does not run, and becomes pending nowhere', async (t) => {
  const world = worldOf(t, ['node-1']);
  const role = (when: boolean) =>
    roleOf(
      ({ host }) => [task('A', file({ path: world.path(host.name, 'a'), content: `${when}` }), { notify: 'reload' })],
      () => ({ reload: task('Reload', command(sh`true`), { when }) }),
      `whens-${process.pid}`,
    );
  const plays = (when: boolean) => [play({ name: 'All', hosts: 'all', roles: [role(when)()] })];
  t.strictSame(statuses((await world.run(plays(false))).events), ['A: changed']);
  t.strictSame(statuses((await world.run(plays(false))).events), ['A: ok']);
  t.strictSame(statuses((await world.run(plays(true))).events), ['A: changed', 'Reload: changed']);
});

t.test('runOnce is once in a batch, however few hosts throttle lets through together', async (t) => {
  const world = worldOf(t, ['node-1', 'node-2', 'node-3']);
  const role = roleOf(() => [task('Once', command(sh`true`), { runOnce: true })]);
  const { events } = await world.run([play({ name: 'All', hosts: 'all', throttle: 1, roles: [role()] })]);
  t.strictSame(statuses(events), ['Once: changed']);
});

t.test('a host that a task is delegated to is locked before it is changed, and not when it is only read', async (t) => {
  const world = worldOf(t, ['node-1', 'node-2']);
  const locked: string[] = [];
  const open: OpenSession = async (connection) => {
    const session = await openSession(connection);
    return Object.assign(session, { lock: () => locked.push(connection.name) });
  };
  const role = roleOf(({ host, inventory }) => {
    const [, other = host] = inventory;
    return [task('Mark it', file({ path: world.path(other.name, 'mark'), content: 'x' }), { delegateTo: other })];
  });
  const plays = [play({ name: 'One', hosts: 'node-1', roles: [role()] })];
  await world.run(plays, { open });
  t.strictSame(locked, ['node-2'], 'node-1 itself was asked nothing');
  locked.length = 0;
  await world.run(plays, { open });
  t.strictSame(locked, [], 'nothing to change');
});

t.test('runOnce is done by the next host where the tasks of the first can not be computed', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2', 'node-3']);
  const role = roleOf(({ host }) => {
    if (host.name === 'node-1') throw new Error('oops');
    return [task('Once', command(sh`echo x >>${world.path('node-2', 'log')}`), { runOnce: true })];
  });
  const { events, exitCode } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
  t.equal(exitCode, 2);
  t.strictSame(statuses(events), ['Once: changed']);
  t.equal(world.read('node-2', 'log'), 'x\n');
});
