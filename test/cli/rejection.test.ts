/** A promise of a role that fails and that nothing waits for: the run ends as after Ctrl-C, with its record. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import t from 'tap';
import { program, REPOSITORY } from '../support/program.ts';

t.test('a promise that nothing waits for ends the run with its recap, masked, and as a bug', async (t) => {
  const cwd = t.testdir();
  const [engine, resources] = ['engine/index.ts', 'engine/resources'].map((path) => join(REPOSITORY, path));
  writeFileSync(join(cwd, 'hosts'), 'node-1 ansible_connection=local\n');
  writeFileSync(
    join(cwd, 'dangling.ts'),
    `import { existsSync } from 'node:fs';
import { defineRole, play, playbook, Secret, sh, task } from '${engine}';
import { command } from '${resources}/command.ts';
const role = defineRole({
  name: 'dangling',
  description: 'Leaves a promise.',
  vars: { properties: {} },
  stages: (stage) => [
    stage({
      name: 'first',
      tasks: () => {
        new Secret('open-5esame');
        const timer = setInterval(() => {
          if (!existsSync('begun')) return;
          clearInterval(timer);
          void Promise.reject(new Error('oops open-5esame'));
        }, 20);
        return [task('Wait', command(sh\`touch ${join(cwd, 'begun')}; sleep 1\`))];
      },
    }),
    stage({ name: 'second', tasks: () => [task('Never', command(sh\`true\`))] }),
  ],
});
await playbook('Dangling', [play({ name: 'All', hosts: 'all', become: false, roles: [role()] })]);
`,
  );
  const { code, stdout, stderr } = await program(relative(REPOSITORY, join(cwd, 'dangling.ts')), ['-i', 'hosts'], {
    cwd,
  });
  t.equal(code, 250);
  t.match(stderr, /^a promise failed that nothing waits for.*\nError: oops \*\*\*\n/m);
  t.match(stdout, /^node-1 : ok=1 changed=1 /m, 'the running step was finished');
  t.notMatch(stdout, 'Never');
  const [run = ''] = readdirSync(join(cwd, '.heartwood/runs'));
  const record = readFileSync(join(cwd, '.heartwood/runs', run, 'events.jsonl'), 'utf8');
  t.match(record.trim().split('\n').at(-1), /"type":"run-finished"/);
});
