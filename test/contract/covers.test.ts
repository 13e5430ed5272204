/** Every resource there is is under the contract. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { REPOSITORY } from '../support/program.ts';

const textOf = (folder: string): string =>
  readdirSync(join(REPOSITORY, folder))
    .map((name) => readFileSync(join(REPOSITORY, folder, name), 'utf8'))
    .join('\n');

// As they are written here: functions with a name, the result's type said.
t.test('every function that makes a resource has an example in the contract', async (t) => {
  const made = [...textOf('engine/resources').matchAll(/^export function (\w+)\([^{}]*\): Resource \{$/gm)];
  const names = made.map(([, name = '']) => name);
  t.ok(names.includes('file') && names.includes('ufwEnabled') && names.length > 15, `${names.length} were found`);
  const examples = textOf('test/contract/examples');
  const missing = names.filter((name) => !new RegExp(`\\b${name}\\(`).test(examples));
  t.strictSame(missing, []);
});
