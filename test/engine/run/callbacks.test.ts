/**
 * Code of roles and resources that throws: its task fails with its place, other hosts go on, the record is complete.
 */
import t from 'tap';
import { fact } from '../../../engine/fact.ts';
import { play } from '../../../engine/play.ts';
import type { MergeableChange, Resource, ResourceBase } from '../../../engine/resource.ts';
import { defineRole } from '../../../engine/role.ts';
import { sh } from '../../../engine/script.ts';
import { task } from '../../../engine/task.ts';
import { roleOf, statuses, World } from '../../support/world.ts';

const broken = (): never => {
  throw new TypeError('oops');
};

/** A resource that touches a file. */
const touched = (path: string, more: Partial<ResourceBase> = {}): Resource => ({
  kind: 'touched',
  id: path,
  probe: sh`if [ -e ${path} ]; then echo there=yes; else echo there=no; fi`,
  wanted: { there: 'yes' },
  change: () => sh`touch ${path}`,
  noUndo: 'a test',
  ...more,
});

const merging: MergeableChange = { key: 'touch', part: '', change: broken };

/** What throws, as parts of the resource of node-1. */
const callbacks: Readonly<Record<string, Partial<ResourceBase>>> = {
  change: { change: broken },
  explain: { change: () => sh`false`, explain: broken },
  upload: { upload: broken },
  'the content of an upload': { upload: () => ({ script: sh`cat`, content: broken }) },
  mergeable: { mergeable: broken },
  'mergeable.change': { mergeable: () => merging },
};

const nothing = (): never => undefined as never;

/** What returns something else than it should, and what the failure says of it. */
const wrong: Readonly<Record<string, readonly [Partial<ResourceBase>, RegExp]>> = {
  change: [{ change: nothing }, /change is empty, not a script/],
  upload: [{ upload: () => ({ content: nothing }) as never }, /script of the upload is empty, not a script/],
  'the content of an upload': [{ upload: () => ({ script: sh`cat`, content: nothing }) }, /is empty, not a stream/],
  mergeable: [{ mergeable: () => 'apt' as never }, /mergeable is text, not \{ key, part, change \}/],
  'mergeable.change': [{ mergeable: () => ({ ...merging, change: nothing }) }, /is empty, not a script/],
};

const cases: (readonly [string, string, Partial<ResourceBase>, RegExp])[] = [
  ...Object.entries(callbacks).map(([name, parts]) => [`${name} of a resource throws`, name, parts, /oops/] as const),
  ...Object.entries(wrong).map(
    ([name, [parts, said]]) => [`${name} of a resource is not what it should be`, name, parts, said] as const,
  ),
];

for (const [title, name, parts, said] of cases) {
  t.test(title, async (t) => {
    const world = new World(t.testdir(), ['node-1', 'node-2']);
    const role = defineRole({
      name: 'role',
      description: 'A role.',
      vars: { properties: {} },
      stages: (stage) => [
        stage({
          name: 'main',
          tasks: ({ host }) => {
            const more = host.name === 'node-1' ? parts : {};
            return [
              task('First', touched(world.path(host.name, 'first'), more)),
              task('Second', touched(world.path(host.name, 'second'), more)),
            ];
          },
        }),
        stage({ name: 'later', tasks: ({ host }) => [task('Last', touched(world.path(host.name, 'last')))] }),
      ],
    });
    const { exitCode, events } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
    t.equal(exitCode, 2);
    t.strictSame(statuses(events, 'node-2'), ['First: changed', 'Second: changed', 'Last: changed']);
    const failed = events.find((event) => event.type === 'task-finished' && event.status === 'failed');
    t.match(failed, {
      host: 'node-1',
      task: { name: 'First', at: { file: /callbacks\.test/ } },
      failure: name === 'the content of an upload' ? { stderr: said } : { what: said },
    });
    t.equal(events.at(-1)?.type, 'run-finished');
    t.notOk(statuses(events, 'node-1').some((status) => status.endsWith('changed')));
  });
}

t.test(
  'a resource with a part that is missing or wrong is refused with its place, before anything is changed',
  async (t) => {
    const parts: Readonly<Record<string, readonly [object, string]>> = {
      probe: [{ probe: undefined }, 'missing part "probe" in touched /nonexistent/it of task "Touch"'],
      wanted: [{ wanted: { size: 3 } }, 'touched /nonexistent/it of task "Touch": wanted is { size: 3 }'],
      timeout: [{ timeout: '5' }, 'touched /nonexistent/it of task "Touch": timeout is "5"'],
      peerSource: [
        { peerSource: { key: 'k', write: sh`cat` } },
        'missing part "read" in peerSource of touched /nonexistent/it of task "Touch"',
      ],
      confirm: [
        { confirm: { within: 5 } },
        'missing part "script" in confirm of touched /nonexistent/it of task "Touch"',
      ],
    };
    for (const [name, [part, what]] of Object.entries(parts)) {
      const world = new World(t.testdir(), ['node-1', 'node-2']);
      const role = roleOf(({ host }) => [
        task('Before', touched(world.path(host.name, 'before'))),
        task('Touch', { ...touched('/nonexistent/it'), ...(host.name === 'node-2' ? part : {}) }),
      ]);
      const plays = [play({ name: 'All', hosts: 'all', roles: [role()] })];
      const error = await world.run(plays).catch((refused: unknown) => refused);
      t.match(error, { problems: [{ what, at: { file: /callbacks\.test/ }, host: 'node-2' }] }, name);
      t.equal(world.read('node-1', 'before'), undefined);
    }
  },
);

t.test('a part of a resource that throws when it is read fails its host, and others go on', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2']);
  const throwing = (path: string) => Object.defineProperty(touched(path), 'peerSource', { get: broken });
  const role = roleOf(({ host }) => {
    const path = world.path(host.name, 'first');
    return [task('First', host.name === 'node-1' ? throwing(path) : touched(path))];
  });
  const { exitCode, events } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
  t.equal(exitCode, 2);
  t.match(
    events.find(({ type }) => type === 'host-failed'),
    { host: 'node-1', problem: { what: /oops/ } },
  );
  t.strictSame(statuses(events, 'node-2'), ['First: changed']);
});

t.test('render of a diff throws', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2']);
  const role = defineRole({
    name: 'role',
    description: 'A role.',
    vars: { properties: {} },
    stages: (stage) => [
      stage({
        name: 'main',
        tasks: ({ host }) => {
          const detail = { script: sh`:`, render: host.name === 'node-1' ? broken : () => 'a diff' };
          return [task('First', touched(world.path(host.name, 'first'), { detail }))];
        },
      }),
    ],
  });
  const { exitCode, events } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })], { diff: true });
  t.equal(exitCode, 2);
  t.strictSame(statuses(events, 'node-2'), ['First: changed']);
  t.strictSame(statuses(events, 'node-1'), ['First: failed']);
});

t.test('functions of a role throw', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2']);
  const breaksOn1 = ({ host }: { readonly host: { readonly name: string } }) => {
    if (host.name === 'node-1') broken();
  };
  const said = fact({ name: 'said', script: sh`echo ${'node-1'}`, parse: ({ stdout }) => stdout, example: '' });
  const parts = ['facts', 'tasks', 'handlers'] as const;
  for (const part of parts) {
    const role = defineRole({
      name: 'role',
      description: 'A role.',
      vars: { properties: {} },
      stages: (stage) => [
        stage({
          name: 'main',
          facts: (context) => {
            if (part === 'facts') breaksOn1(context);
            return { said };
          },
          tasks: (context) => {
            if (part === 'tasks') breaksOn1(context);
            return [task('First', touched(world.path(context.host.name, part)))];
          },
          handlers: (context) => {
            if (part === 'handlers') breaksOn1(context);
            return {};
          },
        }),
      ],
    });
    const { exitCode, events } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
    t.equal(exitCode, 2, part);
    t.strictSame(statuses(events), ['First: changed'], part);
    t.match(
      events.find(({ type }) => type === 'host-failed'),
      { host: 'node-1', problem: { what: /oops/, at: { file: /callbacks\.test/ } } },
    );
    t.equal(events.at(-1)?.type, 'run-finished');
  }
});
