/** new-role: its tasks on paper, and a run in check mode on a host that is a folder of this machine. */
import t from 'tap';
import { play } from '../../../../../engine/index.ts';
import { tasksOf } from '../../../../../test/support/tasks-of.ts';
import { statuses, World } from '../../../../../test/support/world.ts';
import { newRole } from '../../roles/new-role/role.ts';

t.test('by itself, new-role is for all hosts', async (t) => {
  t.equal(newRole.role.hosts, 'all');
});

t.test('new-role writes one file, which greets the host', async (t) => {
  const { configure = [] } = await tasksOf(newRole, { vars: { new_role_greeting: 'Good morning' } });
  t.strictSame(
    configure.map(({ name }) => name),
    ['Write the greeting'],
  );
  t.match(configure[0]?.action, { kind: 'file', id: '/etc/new-role.conf', wanted: { mode: '0644' } });
});

t.test('in check mode new-role says what it would do, and changes nothing', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const vars = { new_role_path: world.path('node-1', 'greeting'), new_role_greeting: 'Good morning' };
  const plays = [play({ name: 'Test', hosts: 'all', roles: [newRole(vars)] })];
  const { events } = await world.run(plays, { check: true, diff: true });
  t.strictSame(statuses(events), ['Write the greeting: would change']);
  t.match(events.find((event) => event.type === 'task-finished')?.diff, /\+Good morning, node-1/);
  t.equal(world.read('node-1', 'greeting'), undefined);
});
