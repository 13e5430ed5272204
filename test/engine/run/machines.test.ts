/** One machine under two names: it has one writer at a time, and that it has two names is said. */
import t from 'tap';
import { play } from '../../../engine/play.ts';
import { command } from '../../../engine/resources/command.ts';
import { sh } from '../../../engine/script.ts';
import { task } from '../../../engine/task.ts';
import { roleOf, World } from '../../support/world.ts';

t.test('changes by two names of one machine are made one after the other', async (t) => {
  const world = new World(t.testdir(), ['a', 'b', 'c']);
  const busy = world.path('a', 'busy');
  const role = roleOf(() => [task('Write', command(sh`mkdir ${busy} && sleep 0.3 && rmdir ${busy}`))]);
  const plays = [play({ name: 'All', hosts: 'all', roles: [role()] })];
  const { exitCode, events } = await world.run(plays, {
    open: async (connection) => Object.assign(await world.open(connection), { machine: 'the same' }),
  });
  t.equal(exitCode, 0);
  const warnings = events.flatMap((event) => (event.type === 'warning' ? event.problem.what : []));
  t.strictSame(warnings.length, 2, 'once for each further name');
  t.match(warnings[0], /^\w and \w are the same machine/);
});

t.test('hosts on machines of their own change at once, and nothing is said', async (t) => {
  const world = new World(t.testdir(), ['a', 'b']);
  const [a, b] = [world.path('a', 'there'), world.path('b', 'there')];
  // Each waits for the other to be under way.
  const meets = (own: string, other: string) =>
    sh`touch ${own}; for i in 1 2 3 4 5 6 7 8 9 10; do [ -e ${other} ] && exit; sleep 0.5; done; false`;
  const role = roleOf(({ host }) => [task('Meet', command(host.name === 'a' ? meets(a, b) : meets(b, a)))]);
  const { exitCode, events } = await world.run([play({ name: 'All', hosts: 'all', roles: [role()] })]);
  t.equal(exitCode, 0);
  t.notOk(events.some(({ type }) => type === 'warning'));
});
