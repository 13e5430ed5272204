/**
 * `npm test` as a developer sees it: what is printed of files that pass, fail, crash and hang, and what is left out.
 */
import { join } from 'node:path';
import t from 'tap';
import { program } from '../support/program.ts';
import { chooseFiles, unitFiles } from './files.ts';
import { fileLines, timingLines, totalsLine, totalsOf } from './report.ts';
import { type FileResult, runFile } from './run-file.ts';

const TAP = `import t from ${JSON.stringify(import.meta.resolve('tap'))};\n`;

/** Runs a file with this text. */
async function running(text: string, limit = 60): Promise<FileResult> {
  const file = join(t.testdir({ 'one.test.ts': TAP + text }), 'one.test.ts');
  return runFile(file, { node: process.execPath, env: {}, limit, signal: new AbortController().signal });
}

t.test('tests are counted, tests around tests are not, and what was measured is shown', async (t) => {
  const result = await running(`
t.test('outer', async (t) => {
  await t.test('first', async (t) => { t.ok(true); t.comment('measured: 3 things'); t.comment('else'); });
  await t.test('second', async (t) => { t.ok(true); t.ok(true); });
});
t.test('left', { skip: 'for a reason' }, async (t) => { t.fail(); });
`);
  t.strictSame(totalsOf([result]), { passed: 2, failed: 0, skipped: 1 });
  t.match(
    fileLines('one', result),
    /^ {7}measured: 3 things\nok {5}one \(2 passed, 0 failed, 1 skipped, \d+\.\d s\)\n$/,
  );
});

t.test('a failed test is told with its path, place and difference, and what was written to stderr', async (t) => {
  const result = await running(`
t.test('outer', async (t) => {
  await t.test('inner', async (t) => { console.error('a hint'); t.equal(1, 2, 'they are equal'); });
  await t.test('other', async (t) => { t.ok(true); });
});
`);
  t.strictSame(totalsOf([result]), { passed: 1, failed: 1, skipped: 0 });
  t.match(
    fileLines('one', result),
    /^FAILED outer \/ inner\n {4}they are equal\n {4}at .*one\.test\.ts:4\n[\s\S]* {4}-2\n {4}\+1\n[\s\S]*stderr ended with:\n {4}a hint\nFAILED one \(1 passed, 1 failed, /,
  );
});

t.test('what fails outside tests fails its file: a test around others, an assertion, a crash', async (t) => {
  const around = await running(
    "t.test('outer', async (t) => { t.test('in', async (t) => { t.ok(true); }); t.fail('bad'); });",
  );
  t.strictSame(totalsOf([around]), { passed: 1, failed: 1, skipped: 0 });
  t.match(fileLines('one', around), /^FAILED outer\n {4}bad\n/);
  const assertion = await running("t.test('in', async (t) => { t.ok(true); }); t.fail('bad');");
  t.strictSame(totalsOf([assertion]), { passed: 1, failed: 1, skipped: 0 });
  t.match(fileLines('one', assertion), /^FAILED outside its tests \(exit code 1\)\n {4}bad\n/);
  const crash = await running("t.test('in', async (t) => { t.ok(true); process.kill(process.pid, 'SIGKILL'); });");
  t.equal(totalsOf([crash]).failed, 1);
  t.match(fileLines('one', crash), /^FAILED in\n[\s\S]*, killed by SIGKILL\)\n$/);
  const broken = await running('this is no program');
  t.strictSame(totalsOf([broken]), { passed: 0, failed: 1, skipped: 0 });
});

t.test('a file that hangs ends at its time limit, and the test that hangs is named', async (t) => {
  const result = await running(
    "t.test('waits', async () => { await new Promise((resolve) => setTimeout(resolve, 60_000)); });",
    2,
  );
  t.equal(totalsOf([result]).failed, 1);
  t.match(fileLines('one', result), /FAILED waits\n {4}timeout!/);
  t.ok(result.seconds < 45, `${result.seconds} s`);
});

t.test('the slowest files and tests come first', async (t) => {
  const test = (name: string, seconds: number) => ({ path: [name], outcome: 'passed', seconds, failures: [] }) as const;
  const file = (path: string, seconds: number, ...tests: FileResult['tests']) =>
    ({ path, seconds, tests, measured: [], broke: undefined, killedBy: undefined, stderr: '' }) satisfies FileResult;
  const lines = timingLines([file('a', 1, test('x', 0.5)), file('b', 12.34, test('y', 7), test('z', 0.1))]);
  t.equal(
    lines,
    `Slowest files:
    12.3 s  b
     1.0 s  a
Slowest tests:
     7.0 s  b: y
     0.5 s  a: x
     0.1 s  b: z
`,
  );
  t.equal(totalsLine({ passed: 3, failed: 0, skipped: 0 }), '3 passed, 0 failed');
});

t.test(
  'the normal run leaves out what only test:all runs, and the tests of a stand-in that passed; named files are run',
  async (t) => {
    const paths = (files: readonly { path: string }[]) => files.map(({ path }) => path);
    const normal = chooseFiles([], false, () => true);
    const isLeftOut = (path: string) => path.startsWith('test/lab/k3s/') || path.endsWith('.all.test.ts');
    t.ok(paths(normal.files).includes('test/lab/install.test.ts'));
    t.strictSame(paths(normal.files).filter(isLeftOut), []);
    const all = paths(chooseFiles([], true, () => true).files);
    t.strictSame(all.filter(isLeftOut).sort(), normal.leftOut.flatMap(({ files }) => files).sort());
    t.equal(all.length, new Set(all).size);
    const changed = paths(chooseFiles([], false, () => false).files);
    t.ok(changed.includes('test/lab/k3s/join.test.ts'), 'the stand-in changed');
    const named = chooseFiles(['test/lab/k3s/join.test.ts', 'test/cli'], false, () => true);
    t.equal(paths(named.files)[0], 'test/lab/k3s/join.test.ts', 'the longest first');
    t.ok(named.files.slice(1).every(({ path, locksMachine }) => path.startsWith('test/cli/') && locksMachine));
    t.notOk(unitFiles(normal.files).some(({ path }) => /^test\/(lab|contract)\//.test(path)));
  },
);

t.test('a wrong word is refused with what is allowed', async (t) => {
  const cwd = t.testdir();
  for (const [args, says] of [
    [['--tming'], /'--tming'/],
    [['--labs', 'many'], /--labs is "many"\n {2}allowed: a whole number, 1 or more/],
    [['test/none.test.ts'], /no such file or folder: test\/none\.test\.ts\n {2}allowed: /],
  ] as const) {
    const { code, stderr } = await program('scripts/test.ts', args, { cwd });
    t.not(code, 0);
    t.match(stderr, says);
  }
  t.match(await program('scripts/test.ts', ['--help'], { cwd }), { code: 0, stdout: /--timing/ });
});
