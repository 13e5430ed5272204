/**
 * Writes group_vars/schema/*.json: with these JSON Schemas editors complete and check files of variables. `npm run
 * generate` runs it. With --check it writes nothing, and fails when a file is out of date.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { main } from '../engine/cli/main.ts';
import { helpText, type OptionTable, parseCommandLine } from '../engine/cli/options.ts';
import { ExitCode, UserError } from '../engine/errors.ts';
import { editorSchemas } from '../engine/vars/editor-schemas.ts';
import { loadRole, roleNames } from '../roles/load.ts';

const OPTIONS = {
  check: { kind: 'flag', help: 'write nothing; fail when a file is missing, out of date or left over' },
  help: { kind: 'flag', short: 'h', help: 'show this' },
} as const satisfies OptionTable;

const FOLDER = fileURLToPath(new URL('../group_vars/schema', import.meta.url));

await main(async () => {
  const { values } = parseCommandLine(process.argv.slice(2), OPTIONS);
  if (values.help) {
    console.log(
      helpText('npx tsx scripts/schemas.ts [--check]', 'Writes group_vars/schema/*.json for editors.', OPTIONS),
    );
    return ExitCode.ok;
  }
  const roles = await Promise.all(roleNames().map(async (name) => (await loadRole(name)).role));
  const wanted = editorSchemas(roles);
  const present = existsSync(FOLDER) ? readdirSync(FOLDER) : [];
  const textOf = (name: string): string | undefined =>
    present.includes(name) ? readFileSync(join(FOLDER, name), 'utf8') : undefined;
  const stale = [...wanted].filter(([name, text]) => textOf(name) !== text).map(([name]) => name);
  const leftOver = present.filter((name) => !wanted.has(name));
  if (values.check) {
    const outdated = [...stale, ...leftOver];
    if (outdated.length === 0) return ExitCode.ok;
    const hint = 'npm run generate';
    throw new UserError(outdated.map((name) => ({ what: `group_vars/schema/${name} is out of date`, hint })));
  }
  mkdirSync(FOLDER, { recursive: true });
  for (const name of stale) writeFileSync(join(FOLDER, name), wanted.get(name) ?? '');
  for (const name of leftOver) rmSync(join(FOLDER, name));
  console.log(`${wanted.size} schemas in group_vars/schema, ${stale.length + leftOver.length} changed`);
  return ExitCode.ok;
});
