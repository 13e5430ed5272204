/**
 * The page that teaches how to write a resource: its example is taken from it, type-checked, and tried as the page
 * says.
 */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import ts from 'typescript';
import type { Resource } from '../../../engine/resource.ts';
import { sh } from '../../../engine/script.ts';
import { program, REPOSITORY } from '../../support/program.ts';
import { apply, run } from './local-shell.ts';

const PAGE = readFileSync(join(REPOSITORY, 'docs/writing-a-resource.md'), 'utf8');

/**
 * Writes the page's files below `folder`, with imports of what is not among them from this repository. Gives their
 * paths.
 */
function extract(folder: string): readonly string[] {
  const blocks = [...PAGE.matchAll(/^```ts\n\/\/ (\S+)\n([\s\S]*?)^```$/gm)];
  const names = blocks.map(([, name = '']) => name);
  return blocks.map(([, name = '', text = '']) => {
    const file = join(folder, name);
    const imported = text.replaceAll(/(?<=from ')(\.[^']+)(?=')/g, (path: string) => {
      const target = join(dirname(name), path);
      return names.includes(target) ? path : join(REPOSITORY, target);
    });
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, imported);
    return file;
  });
}

t.test('the example is type-checked and tried under every shell, without anything wrong', async (t) => {
  const folder = t.testdir();
  const files = extract(folder);
  t.equal(files.length, 2);
  const { config } = ts.readConfigFile(join(REPOSITORY, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, REPOSITORY);
  const checked = ts.createProgram(files, { ...options, incremental: false });
  t.strictSame(
    ts.getPreEmitDiagnostics(checked).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
    [],
  );

  const examples = join(folder, 'test/contract/examples/setting.ts');
  const { code, stdout, stderr } = await program('scripts/try-resource.ts', [examples], { cwd: folder });
  t.equal(code, 0, `${stdout}${stderr}`);
  t.match(stdout, /setting: a new file, under sh\n {4}found: set=no/);
  t.match(stdout, /to change: value: old -> it's "\$HOME" \\n/);
  t.match(stdout, /explained: .* is a directory/);
  t.match(stdout, /All examples do what they say\.\n$/);
});

t.test('an existing file keeps its mode, and a bad option is refused', async (t) => {
  const folder = t.testdir();
  const [file = ''] = extract(folder);
  const { setting } = (await import(pathToFileURL(file).href)) as { setting: (options: object) => Resource };
  const path = join(folder, 'environment');
  await run(sh`echo A=1 > ${path}; chmod 0640 ${path}`);
  t.strictSame((await apply(setting({ path, name: 'B', value: '2' }))).after, []);
  t.equal(readFileSync(path, 'utf8'), 'A=1\nB=2\n');
  t.equal(statSync(path).mode & 0o7777, 0o640);
  t.throws(() => setting({ path, nam: 'B', value: '2' }), { message: /unknown option "nam" in setting/ });
  t.throws(() => setting({ path, name: 'B', value: '2\n3' }), { message: /environment: value is "2\\n3"/ });
});

t.test('try-resource finds what is wrong, and says what file it needs', async (t) => {
  const folder = t.testdir();
  const rows: readonly (readonly [example: string, message: RegExp])[] = [
    ['probe: sh`echo a=0`, change: () => sh`:`', /after the change, a is 0, wanted 1/],
    ['probe: sh`echo b=0`, change: () => sh`:`', /the probe does not print a/],
    ['probe: sh`echo a`, change: () => sh`:`', /the probe printed a line that is not key=value: a/],
    ['probe: sh`echo a=0; echo no >&2`, change: () => sh`:`', /the probe of bad x: 0 no/],
    ['probe: sh`echo a=1`, change: () => sh`:`', /the probe found nothing to change/],
    ['probe: sh`echo a=0`, change: () => sh`exit 3`', /the change failed: 3/],
    ['probe: sh`echo a=0`, change: () => sh`false` }, fails: /x/, more: {', /"nothing; stderr: " does not match \/x\//],
    ['probe: sh`echo a=0`, change: () => sh`:` }, holds: true, more: {', /it holds from the start/],
  ];
  const examples = rows.map(
    ([rest], i) =>
      `{ name: 'number ${i}', resource: { kind: 'bad', id: 'x', noUndo: 'no', wanted: { a: '1' }, ${rest} } },`,
  );
  const head = `import { sh } from '${REPOSITORY}engine/script.ts';\nexport default ({ folder }) => [\n`;
  writeFileSync(join(folder, 'bad.ts'), `${head}${examples.join('\n')}\n];\n`);
  const { code, stdout } = await program('scripts/try-resource.ts', ['bad.ts'], { cwd: folder });
  t.equal(code, 2, stdout);
  for (const [i, [, message]] of rows.entries()) {
    const [, said = ''] = stdout.split(`bad: number ${i}, under sh\n`);
    t.match(said.split('bad: number')[0], message, `number ${i}`);
    t.match(said, /^[^:]*WRONG: |\n {4}WRONG: /);
  }
  const table = await program('scripts/try-resource.ts', [join(REPOSITORY, 'test/contract/examples/ufw.ts')], {
    cwd: folder,
  });
  t.match(
    table,
    { code: 1, stderr: /ufw\.ts has no default export that is a function/ },
    'tables for hosts are not tried',
  );
  t.match(await program('scripts/try-resource.ts', [], { cwd: folder }), { code: 5, stderr: /one file of examples/ });
});

t.test('try-resource says what is wrong with the files themselves, and is not blamed for it', async (t) => {
  const engine = (name: string) => join(REPOSITORY, 'engine', name);
  const folder = t.testdir({
    'missing-export.ts': `import { InvalidValue } from '${engine('validate-options.ts')}';\nexport default () => [InvalidValue];`,
    'importer.ts': "import './missing-export.ts';\nexport default () => [];",
    'missing-file.ts': "import './nowhere.ts';\nexport default () => [];",
    'syntax.ts': 'export default () => [;',
    'throws.ts': 'export default () => [].first.name;',
    'refuses.ts': `import { InvalidValue } from '${engine('errors.ts')}';
export default () => { throw new InvalidValue({ what: 'cronLine needs a job', expected: 'job, or state: absent' }); };`,
  });
  const rows: readonly (readonly [file: string, message: RegExp])[] = [
    ['nope.ts', /^nope\.ts does not exist\n$/],
    [
      'missing-export.ts',
      /^missing-export\.ts does not load: \S+ has no export "InvalidValue"(, in .*)?\n {2}try: npx tsc --noEmit/,
    ],
    [
      'importer.ts',
      /^importer\.ts does not load: \S+ has no export "InvalidValue", in .*missing-export\.ts\n {2}try: npx tsc/,
    ],
    ['missing-file.ts', /^missing-file\.ts does not load: Cannot find module .*nowhere\.ts.*\n {2}try: npx tsc/],
    ['syntax.ts', /^syntax\.ts:1:23: syntax\.ts does not compile: Unexpected ";"\n$/],
    ['throws.ts', /^throws\.ts:1:\d+: throws\.ts broke off: .*undefined.*\n {2}try: this is a mistake in the examples/],
    ['refuses.ts', /^refuses\.ts:2:\d+: cronLine needs a job\n {2}allowed: job, or state: absent\n$/],
  ];
  for (const [file, message] of rows) {
    t.match(await program('scripts/try-resource.ts', [file], { cwd: folder }), { code: 1, stderr: message }, file);
  }
});

t.test('try-resource shows values that are empty or not there, and a change that throws', async (t) => {
  const resource = (rest: string) => `{ kind: 'bad', id: 'x', noUndo: 'no', wanted: { a: '1' }, ${rest} }`;
  const folder = t.testdir({
    'bad.ts': `import { sh } from '${REPOSITORY}engine/script.ts';
export default ({ folder }) => [
  { name: 'empty', resource: ${resource('probe: sh`echo a=`, change: () => sh`:`')} },
  { name: 'silent', resource: ${resource('probe: sh`:`, change: () => sh`:`')} },
  { name: 'throws', resource: ${resource('probe: sh`echo a=0`, change: ({ b }) => sh`echo ${b.length}`')} },
];\n`,
  });
  const { code, stdout } = await program('scripts/try-resource.ts', ['bad.ts'], { cwd: folder });
  t.equal(code, 2, stdout);
  t.match(stdout, /to change: a: \(empty\) -> 1\n {4}WRONG: after the change, a is \(empty\), wanted 1\n/);
  t.match(stdout, /after the change, a is \(not printed\), wanted 1\n/);
  t.match(stdout, /WRONG: without anything found, change throws: .*length/);
  t.notMatch(stdout, /is undefined/);
  const help = await program('scripts/try-resource.ts', ['--help'], { cwd: folder });
  t.match(help, { code: 0, stdout: /Exit codes: 0 all examples do what they say, 1 FILE does not load/ });
  t.notMatch(help.stdout, /playbook|unreachable|Ctrl-C/);
});

t.test('the helpers that the page lists are there, and those that are there are listed', async (t) => {
  const text = readFileSync(join(REPOSITORY, 'engine/resources/atomic-path.ts'), 'utf8');
  const exported = [...text.matchAll(/^export const (hw\w+)/gm)].map(([, name = '']) => name);
  const listed = [...PAGE.matchAll(/^\| (`hw.*?) \|/gm)].flatMap(([, cell = '']) => cell.match(/hw\w+/g) ?? []);
  // Of use to what writes files of root by the dozen.
  t.strictSame(exported.filter((name) => name !== 'hwMine').sort(), listed.sort());
  const sources = readdirSync(join(REPOSITORY, 'engine'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(REPOSITORY, 'engine', name), 'utf8'))
    .join('\n');
  const mentioned = PAGE.matchAll(/`(hw[A-Z]\w+|armRevert|sharedPath\w+|probeKey|oneOf|\w+Type|[A-Z]+_[A-Z]+)\b/g);
  const names = [...new Set([...mentioned].map(([, name = '']) => name))];
  t.ok(names.includes('armRevert') && names.includes('hwConnect'), names.join(' '));
  const missing = names.filter((name) => !new RegExp(`export (?:const|function) ${name}\\b`).test(sources));
  t.strictSame(missing, []);
});
