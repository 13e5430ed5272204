/** Options that are none, missing, or wrong: refused, with their place, before anything is changed. */
import { existsSync } from 'node:fs';
import t from 'tap';
import type { UserError } from '../../../engine/errors.ts';
import { EventStream } from '../../../engine/event-stream.ts';
import type { RunEvent } from '../../../engine/events.ts';
import { fact } from '../../../engine/fact.ts';
import { play } from '../../../engine/play.ts';
import { absent } from '../../../engine/resources/absent.ts';
import { command } from '../../../engine/resources/command.ts';
import { directory } from '../../../engine/resources/directory.ts';
import { file } from '../../../engine/resources/file.ts';
import { defineRole } from '../../../engine/role.ts';
import { sh } from '../../../engine/script.ts';
import { type Task, task } from '../../../engine/task.ts';
import { templateText } from '../../../engine/template.ts';
import { roleOf, statuses, World } from '../../support/world.ts';

/** What TypeScript refuses, and a role that is run without being type-checked may hold all the same. */
const untyped = <T>(value: unknown): T => value as T;

t.test('an unknown option is refused with its place, before an earlier task has changed anything', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const first = roleOf(() => [task('First', command(sh`touch ${world.path('node-1', 'changed')}`))]);
  const mistakes: [() => Task, RegExp, string][] = [
    [
      () => task('Config', command(sh`true`), { when: true, ...{ notfy: 'restart' } }),
      /unknown option "notfy" in task "Config"/,
      'notify',
    ],
    [
      () => task('Config', command(sh`true`), { disrupts: { lock: 'etcd', ...{ befor: command(sh`true`) } } }),
      /unknown option "befor" in disrupts of task "Config"/,
      'before',
    ],
    [
      () => task('Config', directory({ path: '/srv/x', ...{ mod: '0700' } })),
      /unknown option "mod" in directory/,
      'mode',
    ],
  ];
  for (const [mistaken, what, near] of mistakes) {
    const second = roleOf(() => [mistaken()]);
    const plays = [play({ name: 'All', hosts: 'all', roles: [first(), second()] })];
    const error: unknown = await world.run(plays).catch((thrown: unknown) => thrown);
    t.match(error, { problems: [{ what, at: { file: /role-errors.test.ts/ }, hint: `did you mean "${near}"?` }] });
    t.notOk(existsSync(world.path('node-1', 'changed')));
  }
});

t.test(
  'a missing option, and a wrong value, are refused once, before an earlier task has changed anything',
  async (t) => {
    const world = new World(t.testdir(), ['node-1', 'node-2']);
    const first = roleOf(({ host }) => [task('First', command(sh`touch ${world.path(host.name, 'changed')}`))]);
    // Some make two mistakes; the first is looked at.
    const mistakes: [() => Task, object][] = [
      [
        () => task('Config', file(untyped({ path: '/srv/x' }))),
        { what: 'missing option "content" in file', expected: /content/ },
      ],
      [
        () => task('Config', directory({ path: '/srv/x', mode: untyped(0o750) })),
        { what: '/srv/x: mode is the number 488 (octal 750)' },
      ],
      [
        () => task('Config', command(sh`true`), { notify: untyped(task('Restart', command(sh`true`))) }),
        { what: 'task "Config": notify is a mapping', expected: /name of a handler/ },
      ],
      [
        () => task('Config', directory({ path: '/srv/x', owner: untyped(0) })),
        { what: '/srv/x: owner is 0', expected: /"1000"/ },
      ],
      [
        () => task('Config', command(sh`true`), { when: untyped('no'), tags: untyped('net') }),
        { what: 'task "Config": tags is "net"', expected: 'a list of words: ["net"]' },
      ],
      [() => task(untyped(directory({ path: '/srv/x' })), untyped(undefined)), { what: /^a task: name / }],
      [() => task('Config', command(untyped('true'))), { what: 'the script of a command is text' }],
      [
        () => task('Config', file({ path: '/srv/x', content: untyped(5) })),
        { what: '/srv/x: content is 5', expected: /^text, / },
      ],
      [
        () => task('Config', file({ path: '/srv/x', content: '', validate: untyped('visudo -c') })),
        { what: '/srv/x: validate is "visudo -c"', expected: /^a function/ },
      ],
      [
        () => task('Config', directory({ path: untyped(7) })),
        { what: 'directory: path is 7', expected: /^an absolute path/ },
      ],
      [() => task('Config', file(untyped(undefined))), { what: 'the options of file are empty' }],
      [() => task('Config', directory({ path: 'srv/x' })), { what: 'directory: path is "srv/x"' }],
      [
        () => task('Config', command(sh`true`), { notify: 'restrt' }),
        {
          what: 'unknown handler "restrt" in stage main, notified by task "Config"',
          hint: 'did you mean "restart"?',
        },
      ],
      [
        () => task('Config', command(sh`true`), { disrupts: untyped({}) }),
        { what: 'missing option "lock" in disrupts of task "Config"' },
      ],
      [
        () => task('Config', file({ path: '/srv/x', content: templateText('{{prt}}', 'x.hbs')({ port: 1 }) })),
        { what: '"prt" is not defined', at: { file: 'x.hbs', line: 1, column: 3 }, hint: 'did you mean "port"?' },
      ],
    ];
    for (const [mistaken, problem] of mistakes) {
      const second = roleOf(
        () => [mistaken()],
        () => ({ restart: task('Restart', command(sh`true`)) }),
      );
      const plays = [play({ name: 'All', hosts: 'all', roles: [first(), second()] })];
      const error: unknown = await world.run(plays).catch((thrown: unknown) => thrown);
      t.match(error, { problems: [{ at: { file: /role-errors.test.ts/ }, ...problem }] });
      t.equal((error as UserError).exitCode, 1);
      const texts = (error as UserError).problems.map(({ what }) => what);
      t.equal(new Set(texts).size, texts.length, 'told once, of both hosts');
      for (const host of world.names) t.notOk(existsSync(world.path(host, 'changed')));
    }
  },
);

t.test('mistakes are told all at once, those of some hosts with their names', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2']);
  const of = (path: string, there = '/srv/there') =>
    roleOf(({ host }) => [task('Gone', absent({ path: host.name === 'node-2' ? path : there }))])();
  const asking = defineRole({
    name: 'asking',
    description: 'A role.',
    vars: { properties: {} },
    stages: (stage) => [
      stage({
        name: 'main',
        facts: () => {
          absent({ path: 'asked' });
          return {};
        },
        tasks: () => [],
      }),
    ],
  })();
  const error: unknown = await world
    .run([play({ name: 'All', hosts: 'all', roles: [of('one'), of('two', 'two'), asking] })])
    .catch((thrown: unknown) => thrown);
  t.match(error, { problems: [{ what: /path is "asked"$/, host: undefined }], exitCode: 1 });
  const without: unknown = await world
    .run([play({ name: 'All', hosts: 'all', roles: [of('one'), of('two', 'two')] })])
    .catch((thrown: unknown) => thrown);
  t.match(without, {
    problems: [
      { what: /path is "one"$/, host: 'node-2' },
      { what: /path is "two"$/, host: undefined },
    ],
  });
});

t.test('an unknown fact is refused, and one may ask whether it was asked for', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const memory = fact({ name: 'memory', script: sh`echo 1024`, parse: ({ stdout }) => Number(stdout), example: 1 });
  const reading = (tasks: (facts: object) => Task) =>
    defineRole({
      name: 'motd',
      description: 'A role.',
      vars: { properties: {} },
      stages: (stage) => [stage({ name: 'main', facts: () => ({ memory }), tasks: ({ facts }) => [tasks(facts)] })],
    })();
  const mistaken = reading((facts) => task('Greet', command(sh`echo ${String(Reflect.get(facts, 'memry'))}`)));
  const error: unknown = await world
    .run([play({ name: 'All', hosts: 'all', roles: [mistaken] })])
    .catch((thrown: unknown) => thrown);
  t.match(error, {
    problems: [
      {
        what: 'unknown fact "memry" in role motd',
        at: { file: /role-errors\.test\.ts$/ },
        hint: 'did you mean "memory"?',
      },
    ],
  });
  const unasked = reading((facts) => task('Greet', command(sh`echo ${String(Reflect.get(facts, 'kernel'))}`)));
  await t.rejects(world.run([play({ name: 'All', hosts: 'all', roles: [unasked] })]), {
    message:
      /unknown fact "kernel" in role motd\n {2}allowed: memory\n {2}try: facts: \(\) => \(\{ kernel \}\) in the stage that reads it/,
  });
  const careful = reading((facts) => task('Greet', command(sh`true`), { when: 'swap' in facts }));
  const { events } = await world.run([play({ name: 'All', hosts: 'all', roles: [careful] })]);
  t.strictSame(statuses(events), ['Greet: skipped']);
});

t.test('an unknown handler is refused before any change, also where the stage has read a fact', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const memory = fact({ name: 'memory', script: sh`echo 1024`, parse: ({ stdout }) => Number(stdout), example: 1 });
  const first = roleOf(() => [task('First', command(sh`touch ${world.path('node-1', 'changed')}`))]);
  const second = defineRole({
    name: 'motd',
    description: 'A role.',
    vars: { properties: {} },
    stages: (stage) => [
      stage({
        name: 'main',
        facts: () => ({ memory }),
        tasks: ({ facts }) => [task('Greet', command(sh`echo ${facts.memory}`), { notify: 'restrt' })],
        handlers: () => ({ restart: task('Restart', command(sh`true`)) }),
      }),
    ],
  });
  const error: unknown = await world
    .run([play({ name: 'All', hosts: 'all', roles: [first(), second()] })])
    .catch((thrown: unknown) => thrown);
  t.match(error, {
    problems: [
      {
        what: 'unknown handler "restrt" in stage main, notified by task "Greet"',
        at: { file: /role-errors\.test\.ts$/ },
        expected: 'restart',
        hint: 'did you mean "restart"?',
      },
    ],
    exitCode: 1,
  });
  t.notOk(existsSync(world.path('node-1', 'changed')));
});

t.test('what depends on who is still in the run is refused in its own time', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2']);
  const first = roleOf(({ host }) => [task('First', command(host.name === 'node-2' ? sh`false` : sh`true`))]);
  const second = roleOf(({ playHosts }) => [
    task('Gone', absent({ path: playHosts.length > 1 ? 'both' : '/nonexistent' })),
  ]);
  const { events, exitCode } = await world.run([play({ name: 'All', hosts: 'all', roles: [first(), second()] })]);
  t.equal(exitCode, 2);
  t.strictSame(statuses(events, 'node-1'), ['First: changed', 'Gone: ok']);
});

t.test('a value that a fact may mend is refused in its own time', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const place = world.path('node-1', 'place');
  const first = roleOf(() => [task('First', command(sh`echo /nonexistent >${place}`))]);
  const script = sh`cat ${place} 2>/dev/null || :`;
  const asked = defineRole({
    name: 'asked',
    description: 'A role.',
    vars: { properties: {} },
    stages: (stage) => [
      stage({
        name: 'main',
        facts: () => ({
          place: fact({ name: 'place', script, parse: ({ stdout }) => stdout.trim(), example: '/srv' }),
        }),
        tasks: ({ facts }) => [task('Gone', absent({ path: facts.place }))],
      }),
    ],
  });
  const plays = [play({ name: 'All', hosts: 'all', roles: [first(), asked()] })];
  const { events, exitCode } = await world.run(plays);
  t.equal(exitCode, 0);
  t.strictSame(statuses(events), ['First: changed', 'Gone: ok']);
});

t.test('unknown keywords of roles, stages and calls are refused', async (t) => {
  const declaration = { name: 'x', description: 'A role.', vars: { properties: {} }, stages: () => [] };
  t.throws(() => defineRole({ ...declaration, ...{ check: () => [] } }), {
    message: /role-errors\.test\.ts:.*unknown keyword "check" in role x\n.*\n {2}try: did you mean "checks"\?/,
  });
  const role = defineRole(declaration);
  t.throws(() => role({}, { tags: [], ...{ tag: ['net'] } }), {
    message: /role-errors\.test\.ts:.*unknown keyword "tag" in the call of role x\n/,
  });
  const wrong = defineRole({
    ...declaration,
    stages: (stage) => [stage({ name: 'main', tasks: () => [], ...{ handler: () => ({}) } })],
  });
  await t.rejects(wrong.role.load(), {
    message: /unknown keyword "handler" in stage main of role x\n.*\n {2}try: did you mean "handlers"\?/,
  });
});

t.test('the module of a role is refused where it exports almost what is missing, or no stages', async (t) => {
  const stages = () => [];
  const checks = () => ({ facts: () => ({}), verdicts: () => [] });
  const cases: [object, RegExp | undefined][] = [
    [{ stages, check: checks }, /^the stages module of role x exports check\n {2}try: did you mean "checks"\?/],
    [{ stage: stages }, /^the stages module of role x exports stage\n {2}try: did you mean "stages"\?/],
    [{ helper: stages }, /^the stages module of role x exports no stages\n/],
    [{ stages, checks, check: checks }, undefined],
    [{ stages, skewVerdict: checks, checker: checks, clocks: checks }, undefined],
  ];
  for (const [module, message] of cases) {
    const load = async () => module as { stages: typeof stages };
    const { role } = defineRole({ name: 'x', description: 'A role.', vars: { properties: {} }, load });
    if (message) await t.rejects(role.load(), { message });
    else await t.resolves(role.load());
  }
});

t.test('a variable that a role reads and does not declare is refused with its place', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const first = roleOf(() => [task('First', command(sh`touch ${world.path('node-1', 'changed')}`))]);
  const second = defineRole({
    name: 'motd',
    description: 'A role.',
    vars: {
      properties: {
        motd_greeting: { type: 'string', default: 'Welcome', description: 'What it says.' },
        motd_link: { type: 'string', description: 'An address; none by itself.' },
      },
    },
    stages: (stage) => [
      stage({
        name: 'main',
        tasks: ({ vars }) => [
          task('Unset', command(sh`true`), { when: vars.motd_link !== undefined }),
          task('Greet', command(sh`echo ${String(Reflect.get(vars, 'motd_greting'))}`)),
        ],
      }),
    ],
  });
  const plays = [play({ name: 'All', hosts: 'all', roles: [first(), second()] })];
  const ended: RunEvent[] = [];
  const events = new EventStream();
  events.subscribe((event) => void (event.type === 'run-finished' && ended.push(event)));
  const error: unknown = await world.run(plays, { events }).catch((thrown: unknown) => thrown);
  t.match(ended, [{ exitCode: 1, problems: [{ what: /motd_greting/ }] }], 'the record says why');
  t.match(error, {
    problems: [
      {
        what: 'unknown variable "motd_greting" in role motd',
        at: { file: /role-errors\.test\.ts$/ },
        hint: 'did you mean "motd_greeting"?',
      },
    ],
  });
  t.notOk(existsSync(world.path('node-1', 'changed')));
});

t.test('a role that is named in a play and not called is refused', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const roles: unknown[] = [roleOf(() => [], undefined, 'motd')];
  const plays = [play({ name: 'All', hosts: 'all', roles: roles as [] })];
  await t.rejects(world.run(plays), {
    message:
      /role-errors\.test\.ts:.*play "All" has the role motd among its roles that is not called\n.*\n {2}try: motd\(\)/,
  });
});

t.test('what tasks return, and options that do nothing for a handler, are checked', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const one = () => task('One', command(sh`true`));
  const cases: [() => unknown, Readonly<Record<string, unknown>>, object][] = [
    [async () => [one()], {}, { what: 'tasks of stage main returned a mapping', hint: /not an async one/ }],
    [() => [command(sh`true`)], {}, { what: 'among the tasks of stage main is a mapping', hint: /stands in a task/ }],
    [() => [one(), undefined], {}, { what: 'among the tasks of stage main is empty' }],
    [() => [one()], { tags: ['x'] }, { what: 'handler "restart" has tags, which does nothing for a handler' }],
    [() => [one()], { runOnce: true }, { what: /^handler "restart" has runOnce/ }],
  ];
  for (const [tasks, options, problem] of cases) {
    const role = roleOf(untyped(tasks), () => ({ restart: task('Restart', command(sh`true`), options) }));
    const plays = [play({ name: 'All', hosts: 'all', roles: [role()] })];
    const error: unknown = await world.run(plays).catch((thrown: unknown) => thrown);
    t.match(error, { problems: [problem] });
  }
});
