/**
 * A skeleton to start from: `npm run new -- role NAME`, `-- resource NAME`, `-- playbook NAME [ROLE...]`. It works as
 * it is written, and comes with its test, its row in the docs and its registration. The skeletons are in
 * scripts/new/skeletons.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { main } from '../engine/cli/main.ts';
import { type OptionTable, parseCommandLine } from '../engine/cli/options.ts';
import { didYouMean, ExitCode, UserError } from '../engine/errors.ts';
import { roleNames } from '../roles/load.ts';
import { checkName, formsOf, KINDS, type Kind } from './new/names.ts';
import { type Files, filesOf, REPOSITORY } from './new/skeleton.ts';

const USAGE = 'npm run new -- role NAME | resource NAME | playbook NAME [ROLE...]';

const HELP = `Usage: ${USAGE}

Writes a skeleton that works as it is, with its test, its row in the docs and its registration.

  role NAME                roles/NAME/; its variables in docs/reference.md and group_vars/schema/
  resource NAME            engine/resources/NAME.ts; its examples in the contract suite, a row in docs/resources.md
  playbook NAME [ROLE...]  playbooks/NAME.ts, which calls these roles; a row in README.md. Without a ROLE it calls the role
                           NAME, which is made too where there is none

A NAME is lower-case words with hyphens between them: web-server. Nothing is overwritten.`;

const OPTIONS = { help: { kind: 'flag', short: 'h', help: 'show this' } } as const satisfies OptionTable;

/** The scripts of `npm run generate`. */
const GENERATORS = ['scripts/schemas.ts', 'scripts/reference.ts'];

/** What is written: new files, and existing ones with something added. */
interface Work {
  readonly created: Files;
  readonly changed: Files;
  /** What `npm run generate` makes from all roles. */
  readonly generated: readonly string[];
  /** What to do next. */
  readonly next: readonly string[];
}

function newRole(name: string): Work {
  return {
    created: filesOf('role', name),
    changed: new Map(),
    generated: ['docs/reference.md', 'group_vars/schema/'],
    next: [
      `npm test -- test/roles/${name}.test.ts     # its test; change it with the role`,
      'npm run generate     # after a change of its variables or its description',
      `npx tsx scripts/role.ts ${name} -i hosts --check --diff     # try it; changes nothing`,
      `roles/${name}/role.ts, roles/${name}/README.md, CHANGELOG.md     # say what it does`,
      'docs/roles.md has what a role may have',
    ],
  };
}

function newResource(name: string): Work {
  const { camel } = formsOf(name);
  const declared = new RegExp(`^export (function|const) ${camel}\\b`, 'm');
  const taken = readdirSync(join(REPOSITORY, 'engine/resources'))
    .filter((file) => file.endsWith('.ts'))
    .find((file) => declared.test(read(`engine/resources/${file}`)));
  if (taken !== undefined) {
    throw new UserError({ what: `engine/resources/${taken} exports ${camel} already`, hint: 'choose another name' });
  }
  const suite = 'test/contract/system.test.ts';
  const tables = /(keepsContract\(t, session, \{[^}]*?)(,?\s*\}\))/;
  const row = `| \`${camel}({ path })\` | An empty file. |`;
  return {
    created: filesOf('resource', name),
    changed: new Map([
      ['docs/resources.md', withRow('docs/resources.md', '## The system', row)],
      [
        suite,
        replaced(suite, tables, `$1, ${camel}Examples$2`).replace(
          /^import .* from '\.\/examples\//m,
          `import ${camel}Examples from './examples/${name}.ts';\n$&`,
        ),
      ],
    ]),
    generated: [],
    next: [
      `npm run try-resource -- test/contract/examples/${name}.ts     # on this machine, without root`,
      `npm test -- test/engine/resources/${name}.test.ts`,
      `npm test -- ${suite}     # the contract, on a real host; as root, four minutes`,
      'about a path? move its table to test/contract/paths.test.ts',
      `engine/resources/${name}.ts, docs/resources.md (its row), CHANGELOG.md     # say what it does`,
      'docs/writing-a-resource.md has what a resource must keep',
    ],
  };
}

function newPlaybook(name: string, words: readonly string[]): Work {
  const known = roleNames();
  for (const role of words) {
    if (known.includes(role)) continue;
    const near = didYouMean(role, known);
    const hint = near ? `did you mean "${near}"?` : `npm run new -- role ${role}`;
    throw new UserError({ what: `no role "${role}"`, expected: known.join(', '), hint });
  }
  const roles = words.length > 0 ? words : [name];
  const role = words.length > 0 || known.includes(name) ? undefined : newRole(checked('role', name));
  const row = `| [playbooks/${name}.ts](playbooks/${name}.ts) | calls ${roles.join(', ')} |`;
  return {
    created: new Map([...(role?.created ?? []), ...filesOf('playbook', name, roles)]),
    changed: new Map([['README.md', withRow('README.md', '## The playbooks', row)]]),
    generated: role?.generated ?? [],
    next: [
      `npm test -- test/playbooks/${name}.test.ts${role ? ` test/roles/${name}.test.ts` : ''}`,
      `npx tsx playbooks/${name}.ts -i hosts --check --diff     # try it; changes nothing`,
      ...(role ? [`roles/${name}/role.ts, roles/${name}/README.md     # say what the role does`] : []),
      `playbooks/${name}.ts, README.md (its row), CHANGELOG.md     # say what it does`,
      'docs/playbooks.md has what a play may have',
    ],
  };
}

const read = (path: string): string => readFileSync(join(REPOSITORY, path), 'utf8');

/** The text of a file, with the first match replaced. @throws UserError when there is none. */
function replaced(path: string, pattern: RegExp, by: string): string {
  const text = read(path);
  if (!pattern.test(text))
    throw new UserError({ what: `${path} has no place for a new entry`, expected: `${pattern}` });
  return text.replace(pattern, by);
}

/** The text of a page, with a row added to the first table below a heading. */
function withRow(path: string, heading: string, row: string): string {
  return replaced(path, new RegExp(`^${heading}\n[^|]*(\\|.*\n)+`, 'm'), `$&${row}\n`);
}

function checked(kind: Kind, name: string): string {
  checkName(kind, name);
  return name;
}

/** Runs a program of this repository. @throws Error when it fails. */
function node(...args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: REPOSITORY, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')}:\n${stdout}${stderr}`);
}

function write({ created, changed, generated }: Work): void {
  const existing = [...created.keys()].filter((path) => existsSync(join(REPOSITORY, path)));
  if (existing.length > 0) {
    throw new UserError(existing.map((path) => ({ what: `${path} is there already`, hint: 'choose another name' })));
  }
  const files = [...created, ...changed];
  for (const [path, text] of files) {
    mkdirSync(dirname(join(REPOSITORY, path)), { recursive: true });
    writeFileSync(join(REPOSITORY, path), text);
  }
  // A name's length decides where lines break, and its letters in what order imports stand.
  const biome = createRequire(import.meta.url).resolve('@biomejs/biome/bin/biome');
  node(biome, 'check', '--write', ...files.map(([path]) => path).filter((path) => path.endsWith('.ts')));
  if (generated.length > 0) for (const script of GENERATORS) node('--import', 'tsx', script);
}

/** What the command line asks for. @throws UserError (exit code 5) when it is wrong. */
function parse(words: readonly string[]): {
  readonly kind: Kind;
  readonly name: string;
  readonly roles: readonly string[];
} {
  const usage = (what: string, hint = 'npm run new -- --help') =>
    new UserError({ what, expected: USAGE, hint }, ExitCode.usage);
  const [first, name, ...roles] = words;
  if (first === undefined) throw usage('what is to be made?');
  const kind = KINDS.find((kind) => kind === first);
  if (kind === undefined) {
    const near = didYouMean(first, KINDS);
    throw usage(`unknown kind "${first}"`, near && `did you mean "${near}"?`);
  }
  if (name === undefined) throw usage(`the ${kind} needs a name`);
  if (roles.length > 0 && kind !== 'playbook') throw usage(`one ${kind} at a time: ${words.slice(1).join(' ')}`);
  return { kind, name: checked(kind, name), roles };
}

await main(async () => {
  const { values, words } = parseCommandLine(process.argv.slice(2), OPTIONS);
  if (values.help) {
    console.log(HELP);
    return ExitCode.ok;
  }
  const { kind, name, roles } = parse(words);
  const work = kind === 'role' ? newRole(name) : kind === 'resource' ? newResource(name) : newPlaybook(name, roles);
  write(work);
  const changed = [...work.changed.keys(), ...work.generated];
  const lines = [
    ...[...work.created.keys()].map((path) => `created  ${path}`),
    ...changed.map((path) => `changed  ${path}`),
    '',
    'Next:',
    ...work.next.map((line) => `  ${line}`),
  ];
  console.log(lines.join('\n'));
  return ExitCode.ok;
});
