/** new-role, on hosts that are folders of this machine. */
import t from 'tap';
import { play } from '../../../../../engine/index.ts';
import { statuses, World } from '../../../../../test/support/world.ts';
import { newRole } from '../../roles/new-role/role.ts';

t.test('by itself, new-role is for all hosts', async (t) => {
  t.equal(newRole.role.hosts, 'all');
});

t.test('new-role writes the greeting, in check mode only says so', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const path = world.path('node-1', 'greeting');
  const vars = { new_role_path: path, new_role_greeting: 'Good morning' };
  const plays = [play({ name: 'Test', hosts: 'all', roles: [newRole(vars)] })];
  const { events } = await world.run(plays, { check: true, diff: true });
  t.strictSame(statuses(events), ['Write the greeting: would change']);
  t.match(events.find((event) => event.type === 'task-finished')?.diff, /\+Good morning, node-1/);
  t.equal(world.read('node-1', 'greeting'), undefined, 'check mode changes nothing');
});
