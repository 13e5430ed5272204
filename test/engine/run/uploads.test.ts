/** Large files: those of a row of tasks are sent together, and end as if they had been sent one after the other. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { play } from '../../../engine/play.ts';
import { command } from '../../../engine/resources/command.ts';
import { copy } from '../../../engine/resources/copy.ts';
import { file } from '../../../engine/resources/file.ts';
import { sh } from '../../../engine/script.ts';
import { task } from '../../../engine/task.ts';
import { roleOf, statuses, trips, World } from '../../support/world.ts';

const me = { owner: String(process.getuid?.() ?? 0), group: String(process.getgid?.() ?? 0) };

/** A world of one host, large files on the controller, and a play that copies them there: to a path, from a file. */
function setUp(t: { testdir(): string }) {
  const dir = t.testdir();
  const world = new World(join(dir, 'world'), ['node-1']);
  const sources = ['a', 'b', 'c'].map((name, i) => {
    const path = join(dir, name);
    writeFileSync(path, Buffer.alloc(300_000 + i, name));
    return path;
  });
  const at = (name: string) => world.path('node-1', name);
  const copyTo = (to: string, from: number, options = {}) =>
    task(`Copy ${to}`, copy({ path: at(to), from: sources[from] ?? '', ...me }), options);
  const plays = (tasks: () => ReturnType<typeof task>[]) => [
    play({ name: 'All', hosts: 'all', roles: [roleOf(tasks)()] }),
  ];
  const note = () => task('Note', file({ path: at('note'), content: 'x', ...me }));
  const content = (name: string) => readFileSync(at(name), 'utf8').slice(-1);
  return { world, copy: copyTo, plays, note, content };
}

t.test('a row of large files is one sending and one script, with what follows it', async (t) => {
  const { world, copy, plays, note, content } = setUp(t);
  const row = plays(() => [copy('x', 0), copy('y', 1), copy('z', 2), note()]);
  const first = await world.run(row);
  t.strictSame(statuses(first.events), ['Copy x: changed', 'Copy y: changed', 'Copy z: changed', 'Note: changed']);
  t.strictSame(trips(first.events, 'node-1'), ['check 1', 'change 9', 'change 1']);
  t.equal(content('x') + content('y') + content('z'), 'abc');
  t.strictSame(trips((await world.run(row)).events, 'node-1'), ['check 1']);

  writeFileSync(world.path('node-1', 'z'), 'spoiled');
  writeFileSync(world.path('node-1', 'note'), 'spoiled');
  const mended = await world.run(row);
  t.strictSame(statuses(mended.events), ['Copy x: ok', 'Copy y: ok', 'Copy z: changed', 'Note: changed']);
  t.strictSame(trips(mended.events, 'node-1'), ['check 1', 'change 3', 'change 1']);
  t.equal(content('z'), 'c');
});

t.test('one that is not taken fails alone: those before it are made, those behind it not', async (t) => {
  const { world, copy, plays, note, content } = setUp(t);
  const { events, exitCode } = await world.run(plays(() => [copy('x', 0), copy('nowhere/y', 1), copy('z', 2), note()]));
  t.equal(exitCode, 2);
  t.strictSame(statuses(events).sort(), [
    'Copy nowhere/y: failed',
    'Copy x: changed',
    'Copy z: not run',
    'Note: not run',
  ]);
  t.equal(content('x'), 'a');

  const ignoring = await world.run(
    plays(() => [copy('x', 0), copy('nowhere/y', 1, { ignoreErrors: true }), copy('z', 2), note()]),
  );
  t.equal(ignoring.exitCode, 0);
  t.strictSame(statuses(ignoring.events), [
    'Copy x: ok',
    'Copy nowhere/y: ignored',
    'Copy z: changed',
    'Note: changed',
  ]);
});

t.test('the same place twice is not written by two at once', async (t) => {
  const { world, copy, plays, content } = setUp(t);
  const { events } = await world.run(plays(() => [copy('x', 0), copy('y', 1), copy('x', 2)]));
  t.strictSame(statuses(events), ['Copy x: changed', 'Copy y: changed', 'Copy x: changed']);
  t.equal(content('x'), 'c');
});

t.test('a file that is gone when its turn comes fails its task', async (t) => {
  const { world, copy, plays, content } = setUp(t);
  const from = join(world.root, '..', 'b');
  const { events, exitCode } = await world.run(
    plays(() => [task('Remove it', command(sh`rm ${from}`)), copy('y', 1), copy('z', 2)]),
  );
  t.equal(exitCode, 2);
  t.strictSame(statuses(events), ['Remove it: changed', 'Copy y: failed', 'Copy z: not run']);
  const failures = events.flatMap((event) => (event.type === 'task-finished' && event.failure ? event.failure : []));
  t.match(failures, [{ what: 'exit code 1', stderr: /ENOENT.*\/b'/ }]);
  t.throws(() => content('y'));
});
