/**
 * The tree keeps its order: imports point one way, no module imports itself by way of others, no file grows without
 * end.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import t from 'tap';
import { REPOSITORY } from './support/program.ts';

/** Folders from the bottom up. A file may import from its own layer and from those below. */
const LAYERS: readonly RegExp[] = [
  // The shapes: types, and what makes values of them.
  /^engine\/((?!index\.ts)[\w-]+\.ts|vars\/schema\.ts|template\/)/,
  /^engine\/(inventory|remote|resources)\//,
  /^engine\/vars\//,
  /^engine\/run\/plan\//,
  /^engine\/run\/tasks\//,
  /^engine\/run\/report\//,
  /^engine\/run\/sessions\//,
  /^engine\/run\/facts\//,
  /^engine\/run\//,
  /^engine\/(cli|compile-cache)\//,
  /^engine\/index\.ts$/,
  /^roles\//,
  /^playbooks\//,
];

const rankOf = (file: string): number => LAYERS.findIndex((files) => files.test(file));

/** Folders of one layer that must not know each other. */
const APART = [/^engine\/inventory\//, /^engine\/remote\//, /^engine\/resources\//];

/** The most lines a file may have. What is longer is more than one subject, or a table. */
const MOST_LINES = 300;

/** Longer ones: a table each. */
const TABLES: readonly string[] = [];

const files = execFileSync(
  'git',
  ['ls-files', '-co', '--exclude-standard', 'engine/*.ts', 'roles/*.ts', 'playbooks/*.ts'],
  {
    cwd: REPOSITORY,
    encoding: 'utf8',
  },
)
  .split('\n')
  .filter((file) => file !== '');

const read = (file: string): string => readFileSync(join(REPOSITORY, file), 'utf8');

/** What a file imports of the project: statements, types and `import()` alike. */
const importsOf = new Map(
  files.map((file) => [
    file,
    [...read(file).matchAll(/(?:^(?:import|export)\b[^;'"]*?\bfrom |\bimport\()\s*'(\.[^']+)'/gm)].map(([, to = '']) =>
      normalize(join(dirname(file), to)),
    ),
  ]),
);

t.test('imports point down', async (t) => {
  for (const [file, imports] of importsOf) {
    for (const to of imports) {
      t.ok(rankOf(to) <= rankOf(file), `${file} imports ${to}, which is above it`);
      const [own, other] = [file, to].map((each) => APART.findIndex((folder) => folder.test(each)));
      const isApart = own !== other && own !== -1 && other !== -1;
      t.notOk(isApart && !to.endsWith('/session.ts'), `${file} imports ${to}, which it must not know`);
    }
  }
});

t.test('no circles', async (t) => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      t.fail([...path.slice(start), file].join(' > '));
      return;
    }
    if (done.has(file)) return;
    for (const to of importsOf.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
});

t.test('the engine knows no role, and no word of k3s', async (t) => {
  for (const [file, imports] of importsOf) {
    if (!file.startsWith('engine/')) continue;
    t.notOk(
      imports.some((to) => to.startsWith('roles/')),
      file,
    );
    const code = read(file).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    t.notMatch(code, /\bk3s\b/i, file);
  }
});

t.test('a file has one subject', async (t) => {
  for (const file of files) {
    const lines = read(file).split('\n').length - 1;
    t.ok(lines <= MOST_LINES || TABLES.includes(file), `${file} has ${lines} lines, more than ${MOST_LINES}`);
  }
});
