/** Preflight checks of roles that are called more than once. */
import t from 'tap';
import { fact } from '../../../engine/fact.ts';
import { connectionOf } from '../../../engine/inventory/connection.ts';
import { play } from '../../../engine/play.ts';
import type { RoleCall } from '../../../engine/role.ts';
import { defineRole } from '../../../engine/role.ts';
import type { RunOptions } from '../../../engine/run/plan/run-options.ts';
import { sh } from '../../../engine/script.ts';
import { Secret } from '../../../engine/secret.ts';
import { pass, refuse } from '../../../engine/verdict.ts';
import { World } from '../../support/world.ts';

const port = defineRole({
  name: 'port',
  description: 'A role.',
  vars: {
    properties: {
      port_number: { type: 'integer', default: 80, description: 'A port.' },
      port_key: { type: 'string', secret: true, default: 'none', description: 'A key.' },
    },
  },
  checks: (checks) =>
    checks({
      facts: () => ({}),
      verdicts: ({ vars }) => {
        const key = vars.port_key instanceof Secret ? vars.port_key.reveal() : String(vars.port_key);
        const evidence = `${vars.port_number} ${key === 'none' ? '' : key.length}`.trim();
        return [vars.port_number > 1000 ? refuse('port', { evidence, what: 'too high' }) : pass('port', evidence)];
      },
    }),
  stages: () => [],
});

const evidence = async (world: World, plays: readonly (readonly RoleCall[])[]) => {
  const run = await world.run(plays.map((roles, i) => play({ name: `Play ${i}`, hosts: 'all', roles })));
  const seen = run.events.flatMap((event) => (event.type === 'verdict' ? event.evidence : []));
  return { seen, exitCode: run.exitCode };
};

t.test('a role that is called twice with other variables is checked with each', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const { seen, exitCode } = await evidence(world, [[port({ port_number: 90 }), port({ port_number: 2000 })]]);
  t.strictSame(seen, ['90', '2000']);
  t.equal(exitCode, 2, 'the second refuses');
});

t.test('with the same variables it is checked once, in however many plays', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  t.strictSame((await evidence(world, [[port(), port()], [port()]])).seen, ['80']);
});

t.test('variables that differ in a secret are checked with each', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const calls = ['first-key', 'another-key'].map((port_key) => port({ port_key: new Secret(port_key) }));
  t.strictSame((await evidence(world, [calls])).seen, ['80 9', '80 11']);
});

t.test('one call in two plays has the variables of each play', async (t) => {
  const world = new World(t.testdir(), ['node-1']);
  const call = port();
  const run = await world.run(
    [10, 20].map((number) =>
      play({ name: `Play ${number}`, hosts: 'all', roles: [call], vars: { port_number: number } }),
    ),
  );
  const seen = run.events.flatMap((event) => (event.type === 'verdict' ? event.evidence : []));
  t.strictSame(seen, ['10', '20']);
});

t.test(
  'the checks of a host on which no play runs as root are not made as root, whatever other plays do',
  async (t) => {
    const world = new World(t.testdir(), ['node-1', 'node-2']);
    for (const prefetch of [true, false]) {
      const sessions = new Set<string>();
      const connect: RunOptions['connect'] = (host, become) => {
        sessions.add(`${host.name} ${become ? 'as root' : 'as its user'}`);
        return connectionOf(host, { become: false });
      };
      const told = fact({ name: 'told', script: sh`echo x`, parse: ({ stdout }) => stdout, example: '' });
      const role = defineRole({
        name: 'role',
        description: 'A role.',
        vars: { properties: {} },
        checks: (checks) => checks({ facts: () => ({ told }), verdicts: () => [pass('told', 'x')] }),
        stages: () => [],
      });
      const plays = [
        play({ name: 'Root', hosts: 'node-1', roles: [role()] }),
        play({ name: 'User', hosts: 'node-2', become: false, roles: [role()] }),
      ];
      await world.run(plays, { connect, prefetch });
      t.strictSame([...sessions].sort(), ['node-1 as root', 'node-2 as its user'], `prefetch ${prefetch}`);
    }
  },
);
