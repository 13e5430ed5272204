/** A playbook run from its compiled file: the same as from its sources, and only as long as those are what they were. */
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import t, { type Test } from 'tap';
import { compile } from '../../engine/cli/compile.ts';
import { COMPILED_DIRECTORY, type CompiledRecord, recordPath } from '../../engine/cli/compiled.ts';
import { program, REPOSITORY } from '../support/program.ts';

/** A folder with a playbook of one host and one role, `role.ts`, whose task says `words`. */
function playbookIn(t: Test, more = ''): { readonly folder: string; readonly playbook: string } {
  const folder = t.testdir({
    hosts: 'here ansible_connection=local\n',
    'words.txt': 'hello',
    'say.ts': say('said'),
    'playbook.ts': `
      import { play, playbook } from '${relative(t.testdirName, join(REPOSITORY, 'engine/index.ts'))}';
      import { say } from './say.ts';
      ${more}
      await playbook('Say', [play({ name: 'Everyone', hosts: process.env['SAY_TO'] ?? 'all', roles: [say()], become: false })]);
    `,
  });
  const playbook = join(folder, 'playbook.ts');
  t.teardown(() => {
    const record = recordPath(playbook);
    if (!existsSync(record)) return;
    for (const end of ['', '.map', '.code']) rmSync(compiledFile(playbook) + end, { force: true });
    rmSync(record);
  });
  return { folder, playbook };

  function say(word: string): string {
    return `
      import { readFileSync } from 'node:fs';
      import { defineRole, sh, task } from '${relative(t.testdirName, join(REPOSITORY, 'engine/index.ts'))}';
      import { command } from '${relative(t.testdirName, join(REPOSITORY, 'engine/resources/command.ts'))}';
      const words = readFileSync(new URL('words.txt', import.meta.url), 'utf8');
      export const say = defineRole({
        name: 'say',
        description: 'Says something.',
        vars: { properties: { say_exit: { type: 'integer', default: 0, description: 'How it ends.' } } },
        stages: (stage) => [
          stage({
            name: 'say',
            tasks: ({ vars }) => [task('Say ' + words + ', ${word}', command(sh\`exit \${vars.say_exit}\`))],
          }),
        ],
      });
    `;
  }
}

const recordOf = (playbook: string): CompiledRecord => JSON.parse(readFileSync(recordPath(playbook), 'utf8'));
const compiledFile = (playbook: string): string => join(COMPILED_DIRECTORY, basename(recordOf(playbook).file));

/** Has the compiled file say that it is used; its run has only begun by then. */
const mark = (playbook: string): void => appendFileSync(compiledFile(playbook), "\nconsole.log('[compiled]');\n");

t.test('the second run is of the compiled file, as long as nothing it was made of has changed', async (t) => {
  const { folder, playbook } = playbookIn(t);
  const run = (args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) =>
    program(relative(REPOSITORY, playbook), ['-i', 'hosts', '--list-tasks', ...args], { cwd: folder, env });

  const first = await run();
  t.match(first, { code: 0, stdout: /say: Say hello, said/, stderr: '' });
  t.ok(Object.keys(recordOf(playbook).stamps).includes(join(folder, 'say.ts')));
  mark(playbook);
  const second = await run();
  t.match(second.stdout, /\[compiled\]/);
  t.equal(second.stdout.replace('[compiled]\n', ''), first.stdout);

  writeFileSync(join(folder, 'say.ts'), readFileSync(join(folder, 'say.ts'), 'utf8').replace(', said', ', changed'));
  const changed = await run();
  t.match(changed.stdout, /say: Say hello, changed/);
  t.notMatch(changed.stdout, /\[compiled\]/, 'of what it is now');
  mark(playbook);
  t.match((await run()).stdout, /\[compiled\][\s\S]*Say hello, changed/, 'compiled anew');

  writeFileSync(compiledFile(playbook), 'this is no program');
  t.match(await run(), { code: 0, stdout: /Say hello, changed/ }, 'a damaged one is left alone');
});

t.test('what goes wrong is told as from the sources, with the place in them', async (t) => {
  const { folder, playbook } = playbookIn(t);
  const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
    program(relative(REPOSITORY, playbook), ['-i', 'hosts', ...args], { cwd: folder, env });
  const cases = [
    { args: ['-e', 'say_exit=3'], env: {}, code: 2, says: /at .*say\.ts:\d+:\d+/ },
    { args: ['-e', 'say_exit=x'], env: {}, code: 1, says: /say_exit/ },
    { args: [], env: { SAY_TO: 'nobody' }, code: 1, says: /playbook\.ts:\d+:\d+/ },
  ];
  const plain = [];
  for (const { args, env } of cases) {
    rmSync(recordPath(playbook), { force: true });
    plain.push(await run(args, env));
  }
  mark(playbook);
  const times = (text: string): string =>
    text.replace('[compiled]\n', '').replaceAll(/\d+(\.\d+)? m?s|runs\/\S+/g, '#');
  for (const [i, { args, env, code, says }] of cases.entries()) {
    const compiled = await run(args, env);
    t.match(compiled.stdout, /\[compiled\]/);
    t.equal(compiled.code, code);
    t.match(compiled.stdout + compiled.stderr, says);
    t.equal(times(compiled.stdout), times(plain[i]?.stdout ?? ''));
    t.equal(compiled.stderr, plain[i]?.stderr);
  }
});

t.test('a playbook that would not be the same is not compiled', async (t) => {
  const cases = [
    ["console.log('twice');", /does more than to call playbook/],
    ["const answer = await Promise.resolve('asked twice'); void answer;", /does more/],
    ["const answer = [\n await Promise.resolve('asked twice')];", /does more/],
    ["import * as all from './say.ts'; const name = './say.ts'; await import(name); void all;", /playbook\.ts/],
    ['import.meta.resolve("./say.ts");', /does more|import\.meta/],
  ] as const;
  for (const [more, why] of cases) {
    await t.test(more, async (t) => {
      const { folder, playbook } = playbookIn(t, more);
      t.match(await compile(playbook), why);
      t.notOk(existsSync(recordPath(playbook)));
      t.match(await program(relative(REPOSITORY, playbook), ['-i', 'hosts', '--list-tasks'], { cwd: folder }), {
        code: 0,
      });
    });
  }
  await t.test('but one with roles of its own is', async (t) => {
    const { playbook } = playbookIn(
      t,
      "const of = (name: string) => ({ name });\n function more() {\n return of('x');\n }\n",
    );
    t.equal(await compile(playbook), undefined);
  });
  await t.test('nor one with such a module', async (t) => {
    const { folder, playbook } = playbookIn(t);
    const say = join(folder, 'say.ts');
    appendFileSync(say, 'export const late = (name: string) => import(name);\n');
    t.match(await compile(playbook), /say\.ts imports what is not known beforehand/);
  });
});
