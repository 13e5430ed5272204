/**
 * Writes docs/reference.md from the roles' schemas. `npm run generate` runs it. With `--check` it writes nothing, and
 * fails when the page is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { main } from '../engine/cli/main.ts';
import { parseCommandLine } from '../engine/cli/options.ts';
import { ExitCode, UserError } from '../engine/errors.ts';
import type { Role } from '../engine/role.ts';
import type { ValueSchema } from '../engine/vars/schema.ts';
import { loadRole, roleNames } from '../roles/load.ts';

const PAGE = new URL('../docs/reference.md', import.meta.url);

const HEAD = `# Roles and their variables

Written by \`npm run generate\` from the roles' schemas; do not edit. Set variables in \`group_vars/\`, \`host_vars/\`, the
inventory, or with \`-e\`. \`npx tsx scripts/why.ts VARIABLE HOST -i hosts\` says where a value comes from.
`;

/** The page's text. */
async function page(): Promise<string> {
  const roles = await Promise.all(roleNames().map(async (name) => (await loadRole(name)).role));
  return `${[HEAD, ...roles.map(section)].join('\n')}`;
}

function section(role: Role): string {
  const vars = Object.entries(role.vars.properties);
  const tags = [role.name, ...role.tags].map((tag) => `\`${tag}\``).join(', ');
  const rows = vars.map(([name, schema]) => {
    const required = role.vars.required?.includes(name) ? ' Required.' : '';
    return `| \`${name}\` | ${typeOf(schema)} | ${defaultOf(schema)} | ${cell(schema.description)}${required}${examples(schema)} |`;
  });
  const table =
    rows.length > 0 ? ['| variable | type | default | |', '|---|---|---|---|', ...rows] : ['It has no variables.'];
  return [
    `## ${role.name}`,
    '',
    `${role.description} For hosts \`${role.hosts}\`; tags ${tags}.`,
    '',
    ...table,
    '',
  ].join('\n');
}

function typeOf(schema: ValueSchema): string {
  if (schema.type === 'array') return `list of ${typeOf(schema.items)}`;
  if (schema.type === 'string' && schema.enum) return schema.enum.map((word) => `\`${word}\``).join(', ');
  if (schema.type === 'string') return schema.secret ? 'secret' : (schema.format ?? 'string');
  if (schema.type === 'object') return 'mapping';
  return schema.type;
}

function defaultOf(schema: ValueSchema): string {
  return schema.default === undefined ? '' : code(schema.default);
}

function examples({ examples = [] }: ValueSchema): string {
  return examples.length > 0 ? ` For example ${examples.map(code).join(', ')}.` : '';
}

const code = (value: unknown): string => `\`${cell(typeof value === 'string' ? value : JSON.stringify(value))}\``;
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

await main(async () => {
  const { values } = parseCommandLine(process.argv.slice(2), {
    check: { kind: 'flag', help: 'write nothing; fail when the page is out of date' },
  });
  const text = await page();
  if (!values.check) {
    writeFileSync(PAGE, text);
    return ExitCode.ok;
  }
  if (readFileSync(PAGE, 'utf8') !== text) {
    throw new UserError({ what: 'docs/reference.md is out of date', hint: 'npm run generate' });
  }
  return ExitCode.ok;
});
