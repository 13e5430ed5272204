/** What may be a mistake in an inventory is said, and nothing else is. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { formatProblem } from '../../../engine/errors.ts';
import { loadInventory } from '../../../engine/inventory/load.ts';
import { folderOf, inventoryOf, type TestInventory } from './files.ts';

/** The warnings of an inventory, as a user reads them. */
async function warnings(files: Readonly<Record<string, string>>, load: TestInventory = {}): Promise<string[]> {
  const inventory = await inventoryOf(t, files, load);
  return inventory.warnings.map((each) => formatProblem(each).replace(/\S*hw-inventory-\w+\//g, ''));
}

t.test('two ports or two addresses of one host in one file', async (t) => {
  const hint = (variable: string) => `\n  try: for two machines use two names, each with its own ${variable}`;
  t.strictSame(await warnings({ hosts: '[a]\nn:22\n[b]\nn:2222\n' }), [
    `hosts:4:1: n has the port 2222 here and 22 in hosts:2:1; the last one wins${hint('ansible_port')}`,
  ]);
  t.strictSame(
    await warnings({
      hosts: '[a]\nn ansible_host=10.0.0.1\n[b]\nn ansible_host=10.0.0.2\n[c]\nn ansible_host=10.0.0.2\n',
    }),
    [`hosts:6:3: n has the address 10.0.0.2 here and 10.0.0.1 in hosts:2:3; the last one wins${hint('ansible_host')}`],
  );
  const yaml = 'a: { hosts: { n: { ansible_port: 22 } } }\nb: { hosts: { n: { ansible_port: 23 } } }\n';
  t.match(await warnings({ 'h.yml': yaml }, { sources: ['h.yml'] }), [
    /^h.yml:2:20: n has the port 23 here and 22 in h.yml:1:20;/,
  ]);
  t.match(await warnings({}, { sources: ['n:22,n:23,m'] }), [/^n has the port 23 and 22 in -i; the last one wins/]);
  t.match(await warnings({ hosts: 'n:22 ansible_port=23\n' }), [
    /^hosts:1:6: n has the port 23 here and 22 in hosts:1:1/,
  ]);
});

t.test('the same port twice, and another file that replaces it, are no mistake', async (t) => {
  t.strictSame(await warnings({ hosts: '[a]\nn:22\n[b]\nn ansible_port=22\n' }), []);
  t.strictSame(await warnings({ a: 'n:22\n', b: 'n:23\n' }, { sources: ['a', 'b'] }), []);
  t.strictSame(await warnings({ hosts: 'n:22\n', 'host_vars/n.yml': 'ansible_port: 23\n' }), []);
});

t.test('variables in the current folder that nothing reads', async (t) => {
  const before = process.cwd();
  t.teardown(() => process.chdir(before));
  const files = { 'group_vars/server.yml': 'a: 1', 'inventories/hosts': '[server]\nnode-1\n' };
  const folder = folderOf(t, files);
  process.chdir(folder);
  const warningsOf = async (source: string) => (await loadInventory({ sources: [source] })).warnings;
  t.match(await warningsOf('inventories/hosts'), [
    { what: 'group_vars/ in this folder is not read', expected: /inventories/ },
  ]);
  writeFileSync(join(folder, 'group_vars/server.yml'), '{ broken');
  t.equal((await warningsOf('inventories/hosts')).length, 1, 'also where it cannot be read');
  writeFileSync(join(folder, 'group_vars/server.yml'), '# nothing');
  t.strictSame(await warningsOf('inventories/hosts'), []);
  writeFileSync(join(folder, 'group_vars/server.yml'), 'a: 1');
  writeFileSync(join(folder, 'hosts'), '[server]\nnode-1\n');
  t.strictSame(await warningsOf('hosts'), []);
});
