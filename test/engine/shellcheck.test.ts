/**
 * Everything that runs on hosts is shell in strings, which no compiler reads. shellcheck does: each shell function,
 * each script of each resource with the arguments of the contract's examples, of each role with its facts' examples,
 * and the session's own.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { definition, type ShellFunction } from '../../engine/script.ts';
import { WORK } from '../contract/example.ts';
import { exampleTables } from '../support/example-tables.ts';
import { scripts, tables, texts } from '../support/host-shell.ts';
import { REPOSITORY } from '../support/program.ts';

/** Rules that do not hold here, and why. */
const NO_RULE: Readonly<Record<number, string>> = {
  1007: '`hw_a= hw_b=` empties several variables',
  1090: 'what a host sources is on the host',
  2015: '`a && b || c` is written where c is for the failure of either',
  2016: 'what is quoted is content, or a script for another shell',
  2034: 'functions set variables for their callers, and `read` needs one for the rest of a line',
  2043: 'a loop over arguments, of which an example may have one',
  2050: 'a condition on arguments, which are constants by then',
  2234: 'an example is one test; subshells keep a script of somebody else apart',
  2235: 'as 2234',
  2317: 'functions are called by name: `hw_wait` calls `hw_try`',
};

/** Lines that are right although a rule says otherwise: a piece of each, and why. */
const RIGHT: readonly (readonly [rule: number, line: string, why: string])[] = [
  [2086, 'set -- $hw_found', 'the fields of stat, without blanks'],
  [2086, '${hw_stat##*) }', 'the fields of /proc/PID/stat'],
  [2086, 'set -- $1', 'words are meant: between set -f and set +f, or the words of a lock'],
  [2086, 'IFS=,; set -- "$1" $hw_ports', 'ports, divided at commas'],
  [2086, 'hw_wait ', 'processes, each PID.START'],
  [2086, 'hw_clear_pending $hw_new', 'names of handlers'],
  [2174, 'mkdir -p -m "$hw_mode"', 'parents have the default mode, as said in the docs'],
  [2174, 'mkdir -p -m 0700 /run/heartwood', 'its parent is there'],
];

/** What a session sets before a step, and shared probes. */
const SET_BY_SESSION = "hw_probed='' hw_paths='' hw_units='' hw_dpkg='' hw_dpkg_of='' hw_out=''";

/** Contents of files are functions too, without any shell of ours. */
const isContent = ({ functionName }: ShellFunction): boolean => functionName.startsWith('hw_content_');

interface Finding {
  readonly of: string;
  readonly rule: number;
  readonly line: string;
  readonly message: string;
}

/** What shellcheck finds in shell for dash and busybox: one process for all of it. */
function shellcheck(folder: string, texts: ReadonlyMap<string, string>): readonly Finding[] {
  const files = [...texts].map(([of, text], i) => {
    const lines = ['#!/bin/sh', ...text.split('\n')];
    writeFileSync(join(folder, `${i}.sh`), `${lines.join('\n')}\n`);
    return { of, lines };
  });
  const { stdout, stderr, error } = spawnSync(
    'shellcheck',
    ['--shell=sh', '--format=json1', `--exclude=${Object.keys(NO_RULE).join()}`, ...files.map((_, i) => `${i}.sh`)],
    { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 30 },
  );
  if (error || stderr) throw error ?? new Error(stderr);
  const { comments } = JSON.parse(stdout) as {
    comments: { file: string; line: number; code: number; message: string }[];
  };
  return comments.map(({ file, line, code, message }) => {
    const { of, lines } = files[Number.parseInt(file, 10)] ?? { of: file, lines: [] };
    return { of, rule: code, line: lines[line - 1]?.trim() ?? '', message };
  });
}

/** The text of a function with those it calls, each after those it calls itself. */
function withUses(fn: ShellFunction): readonly ShellFunction[] {
  return [...new Set([...fn.uses.flatMap(withUses), fn])];
}

/** Empties the variables that functions may set for others. */
function variablesOf(functions: readonly ShellFunction[]): readonly string[] {
  const names = functions
    .map(({ body }) => body)
    .join('\n')
    .match(/\bhw_\w+/g);
  return [...new Set(names)].map((name) => `${name}=''`);
}

/**
 * Everything as text, the same only once. Scripts come without functions, but with the variables that these may set.
 */
function allTexts(): ReadonlyMap<string, string> {
  const used = [...scripts.values()].map((script) => script.functions.filter((fn) => !isContent(fn)));
  const functions = [...new Set(used.flat())];
  const all = new Map(texts);
  for (const fn of functions) {
    const callers = functions.filter((caller) => caller !== fn && withUses(caller).includes(fn));
    const text = [SET_BY_SESSION, ...variablesOf(callers), ...withUses(fn).map(definition)];
    all.set(fn.functionName, text.join('\n'));
  }
  const seen = new Set<string>();
  for (const [i, [of, script]] of [...scripts].entries()) {
    const text = [SET_BY_SESSION, ...variablesOf(used[i] ?? []), script.reveal()].join('\n');
    if (!seen.has(text)) all.set(of, text);
    seen.add(text);
  }
  return all;
}

t.test('every shell function of the engine and the roles is among what is checked', async (t) => {
  const collected = new Set([...scripts.values()].flatMap((script) => script.functions.map((fn) => fn.functionName)));
  const files = ['engine', 'roles'].flatMap((folder) =>
    readdirSync(join(REPOSITORY, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  );
  const functions = files.flatMap((file) =>
    [...readFileSync(join(REPOSITORY, file), 'utf8').matchAll(/shellFunction\(\s*'(hw_\w+)'/g)].map(
      ([, name = '']) => ({ name, file }),
    ),
  );
  t.ok(functions.length > 60, `${functions.length} were found`);
  t.strictSame(
    functions
      .filter(({ name }) => !collected.has(name))
      .map(({ name, file }) => `${name} (${file}): no example in test/contract/examples/ and no role runs it`),
    [],
  );
});

t.test('every table of examples in the folder is among what is checked', async (t) => {
  const row = (name: string) => `[{ name: '${name}', resource: { kind: 'x' } }]`;
  const folder = t.testdir({
    'a.ts': `export const several = ${row('an array')};\nexport const port = [22];\nexport const other = () => 1;`,
    'b.ts': "export default ({ folder }) => [{ name: 'of ' + folder, resource: { kind: 'x' } }];",
    'c.md': 'no module',
  });
  const names = (await exampleTables(folder)).flat().map(({ name }) => name);
  t.strictSame(names, ['an array', `of ${WORK}`]);
  const tried = new Set(tables.flat().map(({ resource }) => resource.kind));
  for (const kind of ['file', 'link', 'apt', 'systemd', 'ufw', 'kubernetes', 'download']) t.ok(tried.has(kind), kind);
});

t.test('shellcheck finds nothing in what runs on hosts', async (t) => {
  const all = allTexts();
  const found = shellcheck(t.testdir(), all);
  const isRight = ({ rule, line }: Finding): boolean =>
    RIGHT.some(([code, piece]) => code === rule && line.includes(piece));
  t.strictSame(
    found.filter((finding) => !isRight(finding)),
    [],
  );
  const stale = RIGHT.filter(([code, piece]) => !found.some(({ rule, line }) => code === rule && line.includes(piece)));
  t.strictSame(stale, [], 'every exception is one');
  t.comment(`shellcheck: ${all.size} texts, of ${scripts.size} scripts`);
});

t.test(
  'it would find a path that is several words, a variable that is misspelt, and what only bash knows',
  async (t) => {
    const wrong = new Map([
      ['unquoted', 'hw_get() { curl --cacert $2 "$1"; }\nhw_get "$@"'],
      ['misspelt', 'hw_code=1\necho "$hw_cod" "$hw_code"'],
      ['bash', 'if [[ -n "$1" ]]; then :; fi'],
    ]);
    t.strictSame(
      shellcheck(t.testdir(), wrong)
        .map(({ of, rule }) => `${of} ${rule}`)
        .sort(),
      ['bash 3010', 'misspelt 2154', 'unquoted 2086'],
    );
  },
);
