/**
 * A playbook that is run from its compiled file: the same as from its sources, and only as long as these have not
 * changed.
 */
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import t, { type Test } from 'tap';
import { type CacheRecord, compiledFile, recordPath } from '../../engine/compile-cache/cache-record.ts';
import { compile } from '../../engine/compile-cache/compile.ts';
import { clear } from '../support/compile-cache.ts';
import { program, REPOSITORY } from '../support/program.ts';

const ENGINE = join(REPOSITORY, 'engine');

/** A role in a file of its own. The name of its task has `word` and the text of words.txt beside it. */
const roleFile = (folder: string, word: string): string => `
import { readFileSync } from 'node:fs';
import { defineRole, sh, task } from '${relative(folder, join(ENGINE, 'index.ts'))}';
import { command } from '${relative(folder, join(ENGINE, 'resources/command.ts'))}';
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

/**
 * A folder with an inventory of one host, a role, and a playbook that has `more` before its call and `after` behind it.
 */
function playbookIn(t: Test, more = '', after = '') {
  const folder = t.testdir({
    hosts: 'here ansible_connection=local\n',
    'words.txt': 'hello',
    'say.ts': roleFile(t.testdirName, 'said'),
    'playbook.ts': `
import { play, playbook } from '${relative(t.testdirName, join(ENGINE, 'index.ts'))}';
import { say } from './say.ts';
${more}
await playbook('Say', [play({ name: 'Everyone', hosts: process.env['SAY_TO'] ?? 'all', roles: [say()], become: false })]);
${after}`,
  });
  const playbook = join(folder, 'playbook.ts');
  t.teardown(() => clear(playbook));
  const run = (args: readonly string[] = ['--list-tasks'], env: NodeJS.ProcessEnv = {}) =>
    program(relative(REPOSITORY, playbook), ['-i', 'hosts', ...args], { cwd: folder, env });
  return { folder, playbook, run };
}

function recordOf(playbook: string): CacheRecord {
  return JSON.parse(readFileSync(recordPath(playbook), 'utf8')) as CacheRecord;
}

/** Makes the compiled file print that it is used. */
function mark(playbook: string): void {
  const record = recordOf(playbook);
  const file = compiledFile(record);
  const code = readFileSync(file, 'utf8').replace('"use strict";', `"use strict"; console.log('[compiled]');`);
  const marked = { ...record, sha256: createHash('sha256').update(code).digest('hex') };
  writeFileSync(compiledFile(marked), code);
  renameSync(`${file}.map`, `${compiledFile(marked)}.map`);
  rmSync(file);
  writeFileSync(recordPath(playbook), JSON.stringify(marked));
}

t.test('the second run uses the compiled file, as long as none of its sources has changed', async (t) => {
  const { folder, playbook, run } = playbookIn(t);
  const first = await run();
  t.match(first, { code: 0, stdout: /say: Say hello, said/, stderr: '' });
  t.ok(Object.keys(recordOf(playbook).stamps).includes(join(folder, 'say.ts')));
  mark(playbook);
  const second = await run();
  t.match(second, { code: 0, stdout: /^\[compiled\]$/m, stderr: '' });
  t.equal(second.stdout.replace('[compiled]\n', ''), first.stdout);
  t.notMatch((await run(['--list-tasks'], { HEARTWOOD_COMPILED: '0' })).stdout, /\[compiled\]/);
  t.notMatch((await run(['--help'])).stdout, /\[compiled\]/);

  writeFileSync(join(folder, 'say.ts'), roleFile(folder, 'changed'));
  const changed = await run();
  t.match(changed.stdout, /say: Say hello, changed/);
  t.notMatch(changed.stdout, /\[compiled\]/, 'the sources as they are now');
  mark(playbook);
  t.match((await run()).stdout, /\[compiled\][\s\S]*Say hello, changed/, 'compiled again');

  appendFileSync(compiledFile(recordOf(playbook)), 'console.log("damaged")');
  t.match(await run(), { code: 0, stdout: /Say hello, changed/ });
  t.notMatch((await run()).stdout, /damaged/, 'a file that is not what was compiled is not run');
});

t.test('errors are the same as from the sources, with the places in these', async (t) => {
  const { playbook, run } = playbookIn(t);
  const cases = [
    { args: ['-e', 'say_exit=3'], env: {}, code: 2, says: /at .*say\.ts:\d+:\d+/ },
    { args: ['-e', 'say_exit=x'], env: {}, code: 1, says: /say_exit/ },
    { args: [], env: { SAY_TO: 'nobody' }, code: 1, says: /playbook\.ts:\d+:\d+/ },
  ];
  const plain = [];
  for (const { args, env } of cases) plain.push(await run(args, { ...env, HEARTWOOD_COMPILED: '0' }));
  await compile(playbook);
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

t.test('side effects of a playbook and its roles happen once', async (t) => {
  const { folder, playbook, run } = playbookIn(t, "console.log('once');");
  appendFileSync(join(folder, 'say.ts'), "console.log('once, too');\n");
  const first = await run();
  t.strictSame(first.stdout.match(/once.*/g), ['once, too', 'once']);
  mark(playbook);
  const { stdout } = await run();
  t.match(stdout, /\[compiled\]/);
  t.strictSame(stdout.match(/once.*/g), ['once, too', 'once']);
});

t.test('a playbook that could behave differently is not compiled, and not tried again until it changes', async (t) => {
  const cases = [
    { after: "console.log('behind it');", why: /its last statement is not await playbook/ },
    { more: "const answer = await Promise.resolve('x'); void answer;", why: /awaits something else/ },
    { more: "const name = './say.ts'; void import(name);", why: /playbook\.ts imports a computed name/ },
    { more: "void import('./' + 'say.ts');", why: /imports a computed name/ },
    { more: "import.meta.resolve('./say.ts');", why: /uses more of import\.meta than its url/ },
    { more: "import 'fast-check';", why: /imports the package fast-check/ },
    { more: "import './helper.ts';", why: /helper\.ts has side effects and does not import the engine/ },
  ];
  for (const { more = '', after = '', why } of cases) {
    await t.test(more || after, async (t) => {
      const { folder, playbook, run } = playbookIn(t, more, after);
      writeFileSync(join(folder, 'helper.ts'), "export const now = Date.now();\nconsole.log('a helper');\n");
      t.match(await compile(playbook), why);
      t.match(recordOf(playbook).refused, why);
      t.equal(recordOf(playbook).sha256, undefined);
      const { mtimeMs } = statSync(recordPath(playbook));
      t.match(await run(), { code: 0, stdout: /Say hello/ });
      t.equal(statSync(recordPath(playbook)).mtimeMs, mtimeMs);
    });
  }
  await t.test('a helper without side effects is compiled', async (t) => {
    const { folder, playbook } = playbookIn(t, "import { later, list } from './helper.ts'; void later; void list;");
    const helper = `import { join } from 'node:path';
const of = (n: number) => ({ n });
export const list = [1, 2].map(of);
export const one = of(1);
export const here = join('a', 'b');
export const text = \`\${Array.from({ length: 2 }, (_, i) => i).join('-')}\`;
export const known = new Set(Object.keys({ a: 1 }));
export function later() { console.log('when it is called'); }
export class Thing { static readonly names = ['a']; }
`;
    writeFileSync(join(folder, 'helper.ts'), helper);
    t.equal(await compile(playbook), undefined);
    for (const bad of [
      'export const x = later();',
      'known.add("b");',
      'export const y = process.exit;\ny(0);',
      '[1].forEach(() => console.log("called back"));',
      'export const z = [1].map(later);',
      'Object.assign(globalThis, { z: 1 });',
      'export const w = new Thing();',
    ]) {
      writeFileSync(join(folder, 'helper.ts'), helper + bad);
      t.match(await compile(playbook), /has side effects/, bad);
    }
  });
});

t.test('the text of a file is not changed, and links are followed to where they lead now', async (t) => {
  const { folder, playbook, run } = playbookIn(t, "import { text } from './current/text.ts';\nconsole.log(text);");
  const index = relative(join(folder, 'one'), join(ENGINE, 'index.ts'));
  for (const name of ['one', 'two']) {
    mkdirSync(join(folder, name));
    const text = `import '${index}';\nexport const text = \`${name}: new URL('.', import.meta.url)\`;\n`;
    writeFileSync(join(folder, name, 'text.ts'), text);
  }
  symlinkSync('one', join(folder, 'current'));
  t.match((await run()).stdout, /^one: new URL\('\.', import\.meta\.url\)$/m);
  mark(playbook);
  t.match((await run()).stdout, /\[compiled\]\none: new URL\('\.', import\.meta\.url\)$/m);
  rmSync(join(folder, 'current'));
  symlinkSync('two', join(folder, 'current'));
  t.match((await run()).stdout, /^two: /m);
});

t.test("the project's own playbooks are compiled", async (t) => {
  for (const folder of ['playbooks', 'bench/playbooks']) {
    for (const name of readdirSync(join(REPOSITORY, folder))) {
      t.equal(await compile(join(REPOSITORY, folder, name)), undefined, name);
    }
  }
});

t.test('playbooks with similar names have their own files in the cache', async (t) => {
  const { folder, playbook } = playbookIn(t);
  const other = join(folder, 'playbook,ts');
  t.not(recordPath(playbook), recordPath(other));
  t.not(recordPath('/запуск.ts'), recordPath('/сервер.ts'));
});

t.test('each version of Node has its own files: V8 does not always see that code is of another one', async (t) => {
  const paths = ['v20.12.2', 'v20.20.2'].map((node) => compiledFile({ playbook: '/x.ts', node, sha256: 'ab' }));
  t.equal(new Set(paths).size, 2);
});
