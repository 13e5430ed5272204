/** `npm run new`, in a copy of the repository: what it writes is clean, tested and registered. */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { REPOSITORY } from '../support/program.ts';

/** What is not part of the repository. */
const LEFT_OUT = ['.git', 'node_modules', '.tap', '.heartwood', '.lab', '.bench', 'coverage'];

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/**
 * A copy of the repository. It is below the repository itself (in .tap), so that its packages are found.
 * @returns Its folder, and a function that runs a command there.
 */
function copyOfRepository(t: Test) {
  const folder = t.testdir();
  for (const name of readdirSync(REPOSITORY).filter((name) => !LEFT_OUT.includes(name))) {
    cpSync(join(REPOSITORY, name), join(folder, name), { recursive: true });
  }
  // Not what tap tells this process's own children.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_OPTIONS$|TAP)/.test(name)));
  const run = (command: string, ...args: readonly string[]) =>
    new Promise<Ended>((resolve, reject) => {
      const child = spawn(command, args, { cwd: folder, env });
      let output = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, output }));
    });
  const make = (...words: readonly string[]) => run(process.execPath, '--import', 'tsx', 'scripts/new.ts', ...words);
  return { folder, run, make };
}

t.test('a new role, resource and playbook are clean, and their tests pass', async (t) => {
  const { folder, run } = copyOfRepository(t);
  const read = (path: string) => readFileSync(join(folder, path), 'utf8');
  // With what is left to be written by hand, which `Next` names.
  for (const [words, placeholders] of [
    [['role', 'web-server'], /^ {2}roles\/web-server\/role\.ts, .*README\.md, CHANGELOG\.md +# say what it does$/m],
    // The longest name breaks the longest lines, and stands first among imports.
    [
      ['resource', 'a-resource-of-the-longest-name'],
      /^ {2}engine\/resources\/a-.*-name\.ts, docs\/resources\.md \(its row\), CHANGELOG\.md +# say what it does$/m,
    ],
    [
      ['playbook', 'web', 'web-server', 'firewall'],
      /^ {2}playbooks\/web\.ts, README\.md \(its row\), CHANGELOG\.md +# say what it does$/m,
    ],
    [['playbook', 'blog'], /^ {2}roles\/blog\/role\.ts, roles\/blog\/README\.md +# say what the role does$/m],
  ] as const) {
    const made = await run('npm', 'run', '--silent', 'new', '--', ...words);
    t.equal(made.code, 0, words.join(' '), { output: made.output });
    t.match(made.output, placeholders);
  }
  const tests = [
    'test/roles/web-server.test.ts',
    'test/roles/blog.test.ts',
    'test/roles/roles.test.ts',
    'test/engine/resources/a-resource-of-the-longest-name.test.ts',
    'test/contract/covers.test.ts',
    'test/engine/resources/undo.test.ts',
    'test/playbooks/web.test.ts',
    'test/playbooks/blog.test.ts',
  ];
  const passed = await run('npx', 'tap', 'run', '--disable-coverage', '--reporter=tap', ...tests);
  t.equal(passed.code, 0, 'the new tests pass', { output: passed.output });
  for (const test of tests) t.match(passed.output, new RegExp(`^ok \\d+ - ${test}`, 'm'));
  mkdirSync(join(folder, 'my-cluster'));
  writeFileSync(join(folder, 'my-cluster/hosts.json'), '{"all":   {}}');
  writeFileSync(join(folder, 'my-cluster/hosts.mjs'), 'let a = "1"');
  const check = await run('npm', 'run', '--silent', 'check');
  t.equal(check.code, 0, "npm run check is clean, and not about the user's own inventories", { output: check.output });
  writeFileSync(join(folder, 'roles/blog/unformatted.ts'), 'export  const a = "1"');
  const unclean = await run('npm', 'run', '--silent', 'check');
  t.equal(unclean.code, 1);
  t.match(unclean.output, /roles\/blog\/unformatted\.ts[\s\S]*\n {2}try: npm run fix\n$/);
  rmSync(join(folder, 'roles/blog/unformatted.ts'));

  t.match(read('docs/reference.md'), /^## web-server\n[\s\S]*^\| `web_server_greeting` \| string \| `Hello` \|/m);
  t.ok(existsSync(join(folder, 'group_vars/schema/blog.json')));
  t.match(read('docs/resources.md'), '| `aResourceOfTheLongestName({ path })` | An empty file. |\n');
  t.match(read('test/contract/system.test.ts'), /keepsContract\([^)]*\baResourceOfTheLongestNameExamples\b/);
  t.match(read('README.md'), '| [playbooks/web.ts](playbooks/web.ts) | calls web-server, firewall |\n');
  t.notMatch(
    [...tests, 'roles/web-server/stages.ts', 'playbooks/web.ts'].map(read).join(''),
    /new-?(role|resource|playbook)|skeletons/i,
    'no placeholder is left',
  );

  const before = read('roles/web-server/stages.ts');
  const again = await run('npm', 'run', '--silent', 'new', '--', 'role', 'web-server');
  t.equal(again.code, 1);
  t.match(again.output, /^roles\/web-server\/README\.md is there already\n {2}try: choose another name$/m);
  t.equal(read('roles/web-server/stages.ts'), before);
});

t.test('a wrong command line says what is allowed, and writes nothing', async (t) => {
  const { folder, make } = copyOfRepository(t);
  const stale = 'docs/resources.md';
  const cases: [words: string[], code: number, message: RegExp][] = [
    [[], 5, /^what is to be made\?\n {2}allowed: npm run new -- role NAME \|/],
    [['rol', 'x'], 5, /^unknown kind "rol"\n.*\n {2}try: did you mean "role"\?/],
    [['role'], 5, /^the role needs a name\n/],
    [['resource', 'a', 'b'], 5, /^one resource at a time: a b\n/],
    [['role', 'WebServer'], 1, /^invalid role name "WebServer"\n {2}allowed: .*\n {2}try: did you mean "web-server"\?/],
    [['role', '../etc'], 1, /^invalid role name "..\/etc"\n.*\n {2}try: did you mean "etc"\?/],
    [
      ['playbook', 'class'],
      1,
      /^invalid playbook name "class": a word of TypeScript\n {2}try: say more: class-playbook/,
    ],
    [['role', 'always'], 1, /^invalid role name "always": a role's name is a tag/],
    [['role', 'a'.repeat(31)], 1, /\n {2}allowed: at most 30 characters/],
    [['resource', 'wait-for'], 1, /^engine\/resources\/wait\.ts exports waitFor already\n/],
    [
      ['playbook', 'web', 'firewal'],
      1,
      /^no role "firewal"\n {2}allowed: firewall, .*\n {2}try: did you mean "firewall"\?/,
    ],
    [['playbook', 'install-k3s', 'firewall'], 1, /^playbooks\/install-k3s\.ts is there already\n/],
  ];
  for (const [words, code, message] of cases) {
    const { code: found, output } = await make(...words);
    t.match(output, message);
    t.equal(found, code, words.join(' '));
  }
  writeFileSync(join(folder, stale), '# Resources\n');
  const lost = await make('resource', 'thing');
  t.match(lost.output, /^docs\/resources\.md has no place for a new entry\n/);
  t.notOk(existsSync(join(folder, 'engine/resources/thing.ts')), 'nothing is written then');
});

t.test('what is made from the roles says when it is out of date, and how to make it', async (t) => {
  const { folder, run } = copyOfRepository(t);
  const vars = join(folder, 'roles/kubeconfig/vars.ts');
  writeFileSync(vars, readFileSync(vars, 'utf8').replace('Unset: none is written.', 'Unset: no file.'));
  const check = (script: string) => run(process.execPath, '--import', 'tsx', script, '--check');
  const [schemas, reference] = [await check('scripts/schemas.ts'), await check('scripts/reference.ts')];
  t.match(schemas.output, 'group_vars/schema/kubeconfig.json is out of date\n  try: npm run generate\n');
  t.match(reference.output, 'docs/reference.md is out of date\n  try: npm run generate\n');
  t.strictSame([schemas.code, reference.code], [1, 1]);
  t.equal((await run('npm', 'run', '--silent', 'generate')).code, 0);
  t.strictSame(
    [await check('scripts/schemas.ts'), await check('scripts/reference.ts')],
    Array(2).fill({ code: 0, output: '' }),
  );
});
