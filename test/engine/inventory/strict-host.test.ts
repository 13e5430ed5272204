/** Roles run without being type-checked: what they misspell of a host is an error, not "undefined" in a file. */
import { inspect } from 'node:util';
import t from 'tap';
import type { HostView } from '../../../engine/host-view.ts';
import { play } from '../../../engine/play.ts';
import { directory } from '../../../engine/resources/directory.ts';
import { task } from '../../../engine/task.ts';
import { roleOf, World } from '../../support/world.ts';
import { inventoryOf } from './files.ts';

/** A property as a role reads it that misspells it. */
const read = (host: HostView | undefined, name: string): unknown => Reflect.get(host ?? {}, name);

t.test('a role that misspells a property of a host is refused at that line, before any host is asked', async (t) => {
  const world = new World(t.testdir(), ['node-1', 'node-2']);
  const tasks: readonly ((host: HostView, other: HostView | undefined) => unknown)[] = [
    (host) => read(host, 'adress'),
    (_, other) => read(other, 'adress'),
  ];
  for (const misspelt of tasks) {
    const role = roleOf(({ host, inventory }) => [
      task('Config', directory({ path: `/srv/${String(misspelt(host, inventory[1]))}` })),
    ]);
    const plays = [play({ name: 'All', hosts: 'all', roles: [role()] })];
    const error: unknown = await world.run(plays).catch((thrown: unknown) => thrown);
    t.match(error, {
      problems: [
        {
          what: 'unknown property "adress" in a host',
          at: { file: /strict-host.test.ts/ },
          expected: 'name, address, port, groups, var',
          hint: 'did you mean "address"?',
        },
      ],
    });
  }
});

t.test('everything else works on a host: what the language asks of any object, and its own variables', async (t) => {
  const [host] = (await inventoryOf(t, { hosts: 'n ansible_port=23 x=1\n' })).hosts;
  t.ok((await host) === host, 'it can be awaited');
  t.match(JSON.stringify(host), /"name":"n"/);
  t.equal(inspect({ host }), '{ host: host n }', 'console.log shows it');
  t.match(String(host), /object/);
  t.strictSame(Object.keys({ ...host }).includes('name'), true);
  const other = host?.withVars([{ source: 'role r', vars: { y: 2 } }]);
  t.strictSame([host?.port, host?.var('x'), other?.var('y'), other?.name], [23, 1, 2, 'n']);
  t.throws(() => read(other, 'prot'), /did you mean "port"/);
});
