/** Asking ahead: a run with nothing to do is two round trips, whatever its shape; and no run ends otherwise for it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { fact, fromEach } from '../../../engine/fact.ts';
import type { HostView } from '../../../engine/host-view.ts';
import { type Play, play } from '../../../engine/play.ts';
import { LinkError, type OpenSession } from '../../../engine/remote/session.ts';
import { absent } from '../../../engine/resources/absent.ts';
import { command } from '../../../engine/resources/command.ts';
import { file } from '../../../engine/resources/file.ts';
import { defineRole } from '../../../engine/role.ts';
import { sh } from '../../../engine/script.ts';
import { task } from '../../../engine/task.ts';
import { pass, refuse } from '../../../engine/verdict.ts';
import { TEST_ALL } from '../../support/choice.ts';
import { type Observed, roleOf, statuses, trips, World } from '../../support/world.ts';

/** What is written in a file of a host, or nothing. */
const contentOf = (world: World, host: string, name: string) =>
  fact({
    name: `content of ${name}`,
    script: sh`cat ${world.path(host, name)} 2>/dev/null; true`,
    parse: ({ stdout }) => stdout,
    example: '',
  });

t.test('plays, serial, stages and checks: with nothing to do, two round trips for all of it', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2', 'node-3']);
  const role = (name: string) =>
    defineRole({
      name,
      description: 'A role with checks and two stages.',
      vars: { properties: {} },
      checks: (checks) =>
        checks({
          facts: () => ({ kernel: contentOf(world, 'node-1', 'kernel') }),
          verdicts: () => [pass('kernel', 'any')],
        }),
      stages: (stage) => [
        stage({
          name: 'one',
          tasks: ({ host }) => [task('Write', file({ path: world.path(host.name, name), content: 'x' }))],
        }),
        stage({
          name: 'two',
          facts: ({ host }) => ({ written: contentOf(world, host.name, name) }),
          tasks: ({ host, facts }) => [
            task('Copy', file({ path: world.path(host.name, `${name}-copy`), content: facts.written })),
          ],
        }),
      ],
    })();
  const plays = [
    play({ name: 'All', hosts: 'all', roles: [role('a'), role('b')] }),
    play({ name: 'One by one', hosts: 'all', serial: 1, roles: [role('c')] }),
  ];
  const first = await world.run(plays);
  t.equal(world.read('node-3', 'c-copy'), 'x', 'a later stage sees what an earlier one changed');
  const second = await world.run(plays);
  for (const name of world.names) t.strictSame(trips(second.events, name), ['facts 1', 'check 1']);
  const plain = await world.run(plays, { prefetch: false });
  t.equal(trips(plain.events, 'node-1').length, 10, 'one by one it is checks, and facts and probes of each stage');
  t.strictSame(statuses(second.events), statuses(plain.events));
  t.strictSame(second.recap, plain.recap);
  t.equal(statuses(first.events).filter((line) => line.endsWith('changed')).length, 18);
});

t.test('a stage that sees what the questions of the one before brought about is asked after them', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2']);
  const role = defineRole({
    name: 'packets',
    description: 'Every host sends, every host looks what came.',
    vars: { properties: {} },
    stages: (stage) => [
      stage({
        name: 'send',
        facts: ({ host, playHosts }) => ({
          sent: fact({
            name: 'sent',
            script: sh`sleep ${host.name === 'node-1' ? '0' : '0.3'}; for other in ${playHosts.map(({ name }) => world.path(name))}; do echo ${host.name} >>"$other/mail"; done`,
            parse: () => undefined,
            example: undefined,
          }),
        }),
        tasks: () => [],
      }),
      stage({
        name: 'look',
        afterFacts: true,
        facts: ({ host }) => ({ mail: contentOf(world, host.name, 'mail') }),
        tasks: ({ facts }) =>
          facts.mail.split('\n').length === 3
            ? [task('Look', pass('mail', 'from both'))]
            : [task('Look', refuse('mail', { evidence: facts.mail, what: 'mail is missing' }))],
      }),
    ],
  });
  const { exitCode, events } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
  t.equal(exitCode, 0);
  t.strictSame(trips(events, 'node-1'), ['facts 1', 'check 1']);
});

t.test(
  'a host that can be reached only after something was changed is tried again then; else it is tried once',
  async (t) => {
    const world = new World(t.testdir(), ['node-1', 'node-2']);
    let tries = 0;
    const open: OpenSession = async (connection) => {
      if (connection.name === 'node-2') tries++;
      if (connection.name === 'node-2' && !existsSync(world.path('node-1', 'switched-on'))) {
        throw new LinkError('connect', { what: 'no route' });
      }
      return world.open(connection);
    };
    const mark = (name: string) =>
      roleOf(
        ({ host }) => [task('Mark', file({ path: world.path(host.name, name), content: 'x' }))],
        undefined,
        name,
      )();
    const on = await world.run(
      [
        play({ name: 'Switch on', hosts: 'node-1', roles: [mark('switched-on')] }),
        play({ name: 'Use', hosts: 'node-2', roles: [mark('used')] }),
      ],
      { open },
    );
    t.equal(on.exitCode, 0);
    t.equal(world.read('node-2', 'used'), 'x');
    t.equal(tries, 2);

    rmSync(world.path('node-1', 'switched-on'));
    tries = 0;
    const off = await world.run([play({ name: 'Use', hosts: 'all', roles: [mark('used')] })], { open, check: true });
    t.equal(off.exitCode, 4);
    t.equal(tries, 1);
    t.match(off.recap, [{ unreachable: 0, changed: 1 }, { unreachable: 1 }]);
  },
);

t.test('a localhost that the inventory does not name tells its own facts', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  writeFileSync(world.path('node-1', 'here'), 'yes');
  const role = defineRole({
    name: 'here',
    description: 'Asks the controller.',
    vars: { properties: {} },
    stages: (stage) => [
      stage({
        name: 'main',
        facts: () => ({ here: contentOf(world, 'node-1', 'here') }),
        tasks: ({ facts }) => [task('Say', pass('here', facts.here))],
      }),
    ],
  });
  for (const prefetch of [true, false]) {
    const { exitCode, events, recap } = await world.run([play({ name: 'Here', hosts: 'localhost', roles: [role()] })], {
      prefetch,
    });
    t.equal(exitCode, 0);
    t.match(recap, [{ host: 'localhost', ok: 1 }]);
    const idle = roleOf(() => []);
    const nothing = await world.run([play({ name: 'Here', hosts: 'localhost', roles: [idle()] })], { prefetch });
    t.strictSame(nothing.recap, [], 'and is not told of where it has nothing to do');
    t.match(
      events.find(({ type }) => type === 'verdict'),
      { evidence: 'yes' },
    );
  }
});

// A playbook as data, for random ones: tasks on few files, so that they often depend on each other.

const FILES = ['f1', 'f2', 'f3'] as const;
const NAMES = ['node-1', 'node-2', 'node-3'] as const;
const aFile = fc.constantFrom(...FILES);
/**
 * Not too often `bad`, nor only looked at, nor refused: else most playbooks would end before they have changed
 * anything.
 */
const aText = fc.constantFrom('a', 'b', 'a', 'b', 'a', 'b', 'bad');
const rarely = fc.constantFrom(true, false, false, false, false);

/** What a task does: writes a text, or what a fact of its stage told; removes; fails where a file says `bad`. */
const aTask = fc.record({
  does: fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('write' as const), to: aFile, text: aText }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('tell' as const), to: aFile, fact: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), to: aFile }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const), to: aFile }) },
  ),
  notify: fc.boolean(),
  ignoreErrors: fc.boolean(),
  runOnce: fc.boolean(),
  delegateTo: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, undefined, ...NAMES),
});
/** A file to ask for: of the host itself, or of one host or all, for each in turn. */
const aFact = fc.record({ of: fc.constantFrom('self', 'all', ...NAMES), file: aFile });
const aStage = fc.record({
  facts: fc.array(aFact, { minLength: 1, maxLength: 2 }),
  tasks: fc.array(aTask, { minLength: 1, maxLength: 3 }),
  /** Refuses, where the first fact says so. */
  refuses: rarely,
});
const aRole = fc.record({
  stages: fc.array(aStage, { minLength: 1, maxLength: 2 }),
  checks: fc.option(aFact, { freq: 1 }),
});
const aPlay = fc.record({
  hosts: fc.constantFrom('all', 'node-1', 'node-2:node-3'),
  serial: fc.constantFrom(undefined, 1, 2),
  throttle: fc.constantFrom(undefined, 1),
  anyErrorsFatal: fc.boolean(),
  roles: fc.array(fc.nat(2), { minLength: 1, maxLength: 2 }),
});
const aPlaybook = fc.record({
  roles: fc.array(aRole, { minLength: 3, maxLength: 3 }),
  plays: fc.array(aPlay, { minLength: 1, maxLength: 3, size: 'max' }),
  /** What is on the hosts before. */
  before: fc.array(fc.record({ host: fc.constantFrom(...NAMES), file: aFile, text: aText }), { maxLength: 6 }),
  /** A host that can't be reached. */
  out: fc.constantFrom(undefined, undefined, undefined, undefined, ...NAMES),
  check: rarely,
});
type PlaybookData = typeof aPlaybook extends fc.Arbitrary<infer T> ? T : never;
type RoleData = PlaybookData['roles'][number];
type FactData = RoleData['stages'][number]['facts'][number];

function requestOf(world: World, host: HostView, inventory: readonly HostView[], { of, file: name }: FactData) {
  const hosts = inventory.filter((other) => of === 'all' || other.name === (of === 'self' ? host.name : of));
  return Object.fromEntries(
    hosts.map((other) => [other.name, fromEach([other], contentOf(world, other.name, name), 'omit')]),
  );
}

const foreign = (world: World, on: string, of: string, name: string) => world.path(on, `${name}-of-${of}`);

const textOf = (answers: Readonly<Record<string, ReadonlyMap<string, string>>>): string =>
  Object.values(answers)
    .flatMap((map) => [...map.values()])
    .join('')
    .slice(0, 20);

function randomRole(world: World, name: string, { stages, checks }: RoleData) {
  const log = (host: string) => world.path(host, 'log');
  return defineRole({
    name,
    description: 'A random role.',
    vars: { properties: {} },
    ...(checks
      ? {
          checks: (make) =>
            make({
              facts: ({ host, inventory }) => requestOf(world, host, inventory, checks),
              verdicts: ({ facts }) => [
                textOf(facts) === 'bad' ? refuse('text', { evidence: 'bad', what: 'it is bad' }) : pass('text', 'good'),
              ],
            }),
        }
      : {}),
    stages: (make) =>
      stages.map(({ facts: asked, tasks, refuses }, number) =>
        make({
          name: `stage-${number}`,
          facts: ({ host, inventory }) =>
            Object.fromEntries(
              asked.flatMap((one, i) =>
                Object.entries(requestOf(world, host, inventory, one)).map(([of, request]) => [`${i} ${of}`, request]),
              ),
            ),
          tasks: ({ facts, host, inventory }) => {
            const told = asked.map((_, i) =>
              textOf(Object.fromEntries(Object.entries(facts).filter(([key]) => key.startsWith(`${i} `)))),
            );
            return [
              ...(refuses && told[0] === 'bad'
                ? [task('Refuse', refuse('bad', { evidence: 'bad', what: 'bad' }))]
                : []),
              ...tasks.map(({ does, notify, ignoreErrors, runOnce, delegateTo }, i) => {
                const target = inventory.find(({ name }) => name === delegateTo);
                // Whose turn it is where two hosts delegate to a third is not said; so each has files of its own there.
                const path = target ? foreign(world, target.name, host.name, does.to) : world.path(host.name, does.to);
                const action = {
                  write: () => file({ path, content: does.kind === 'write' ? does.text : '' }),
                  tell: () => file({ path, content: `${does.kind === 'tell' ? (told[does.fact] ?? told[0]) : ''}.` }),
                  remove: () => absent({ path }),
                  fail: () => command(sh`[ "$(cat ${path} 2>/dev/null)" != bad ]`, { unless: sh`[ ! -e ${path} ]` }),
                }[does.kind]();
                return task(`Task ${i}`, action, {
                  ignoreErrors,
                  runOnce,
                  ...(target ? { delegateTo: target } : {}),
                  ...(notify ? { notify: 'log' } : {}),
                });
              }),
            ];
          },
          handlers: ({ host }) => ({
            log: task('Log', command(sh`echo ${`${name} ${number}`} >>${log(host.name)}`)),
          }),
        }),
      ),
  })();
}

/**
 * In which batch of hosts of which play what stage changed something, one after the other: each waits for the one
 * before, whichever hosts they are.
 */
function orderOf(events: Observed['events']): readonly string[] {
  const order: string[] = [];
  let batches = 0;
  for (const event of events) {
    if (event.type === 'batch-started') batches++;
    if (event.type !== 'task-finished' || event.status !== 'changed') continue;
    const { play, role, stage } = event.task;
    const place = `${play}, batch ${batches}: ${role.replace(/^\S+-/, '')} ${stage}`;
    if (order.at(-1) !== place) order.push(place);
  }
  return order;
}

/** Runs a random playbook on hosts made as it wants them, and tells all that can be seen of it. */
async function playOut(world: World, data: PlaybookData, label: string, prefetch: boolean) {
  const paths = NAMES.flatMap((host) => [
    ...[...FILES, 'log'].map((name) => world.path(host, name)),
    ...NAMES.flatMap((of) => FILES.map((name) => foreign(world, host, of, name))),
  ]);
  for (const path of paths) rmSync(path, { force: true });
  for (const { host, file: name, text } of data.before) writeFileSync(world.path(host, name), text);
  const plays: Play[] = data.plays.map(({ hosts, serial, throttle, anyErrorsFatal, roles }, i) =>
    play({
      name: `Play ${i}`,
      hosts,
      anyErrorsFatal,
      ...(serial === undefined ? {} : { serial }),
      ...(throttle === undefined ? {} : { throttle }),
      roles: roles.map((role) =>
        randomRole(world, `${label}-${role}`, data.roles[role] ?? { stages: [], checks: null }),
      ),
    }),
  );
  const open: OpenSession = async (connection) => {
    if (connection.name === data.out) throw new LinkError('connect', { what: 'no route' });
    return world.open(connection);
  };
  const ended: Observed = await world.run(plays, { check: data.check, prefetch, open });
  const files = paths.map(
    (path) => `${path}: ${existsSync(path) ? readFileSync(path, 'utf8').replaceAll(/^\S+-(\d) /gm, '$1 ') : 'none'}`,
  );
  return {
    exitCode: ended.exitCode,
    recap: ended.recap,
    statuses: NAMES.map((host) => statuses(ended.events, host)),
    files,
    order: orderOf(ended.events),
    trips: NAMES.map((host) => trips(ended.events, host).length),
  };
}

t.test(
  'random plays, dependencies, differences and failures: prefetched or not, the same is done and left',
  async (t) => {
    const world = new World(t.testdir(), NAMES);
    let cases = 0;
    let fewer = 0;
    let ordered = 0;
    await fc.assert(
      fc.asyncProperty(aPlaybook, async (data) => {
        // Pending handlers stay after a failure, by role and stage: no case is to run another's.
        const label = `r${process.pid}-${++cases}`;
        const { trips: plainTrips, ...plain } = await playOut(world, data, `${label}a`, false);
        const { trips: aheadTrips, ...ahead } = await playOut(world, data, `${label}b`, true);
        assert.deepStrictEqual(ahead, plain);
        if (Math.max(...aheadTrips) < Math.max(...plainTrips)) fewer++;
        if (plain.order.length > 1) ordered++;
      }),
      { numRuns: Number(process.env['HEARTWOOD_CASES'] ?? (TEST_ALL ? 60 : 20)) },
    );
    t.comment(
      `measured: ${cases} random playbooks, ${fewer} with fewer round trips, ${ordered} with changes in several places`,
    );
    t.ok(fewer > 0 && ordered > 0);
  },
);
