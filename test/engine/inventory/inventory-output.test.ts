import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { graphOf, hostVars, listOf, whyLines } from '../../../engine/inventory/inventory-output.ts';
import { editorSchemas } from '../../../engine/vars/editor-schemas.ts';
import type { VarsSchema } from '../../../engine/vars/schema.ts';
import { folderOf, inventoryOf } from './files.ts';

const HOSTS =
  'lone\n[server]\nn-1 a=1 ansible_become_password=hunter22\nn-2\n[k3s:children]\nserver\n[k3s:vars]\na=0\n';
const FILES = { hosts: HOSTS, 'group_vars/all.yml': 'a: "{{ b }}"\nb: 3\ntoken: opensesame\nbad: "{{ nope }}"\n' };

t.test('an inventory as ansible-inventory --graph and --list show it', async (t) => {
  const inventory = await inventoryOf(t, FILES);
  t.equal(
    graphOf(inventory),
    [
      '@all:',
      '  |--@ungrouped:',
      '  |  |--lone',
      '  |--@k3s:',
      '  |  |--@server:',
      '  |  |  |--n-1',
      '  |  |  |--n-2',
    ].join('\n'),
  );
  const list = JSON.parse(JSON.stringify(listOf(inventory, inventory.select('k3s'), new Set(['token']))));
  t.same(list, {
    _meta: {
      hostvars: {
        'n-1': {
          a: 1,
          ansible_become_password: '***',
          b: 3,
          token: '***',
          bad: '<"nope" is not set, and {{ nope }} refers to it>',
        },
        'n-2': { a: 3, b: 3, token: '***', bad: '<"nope" is not set, and {{ nope }} refers to it>' },
      },
    },
    all: { children: ['ungrouped', 'k3s'] },
    server: { hosts: ['n-1', 'n-2'] },
    k3s: { children: ['server'] },
  });
});

t.test('why a variable has its value', async (t) => {
  const inventory = await inventoryOf(t, FILES, { extraVars: ['token=mellon-mellon'] });
  const [host] = inventory.select('n-2');
  if (!host) throw new Error('no n-2');
  const strip = (lines: readonly string[]): string[] =>
    lines.map((line) => line.replace(/\S*hw-inventory-\w+\//, '').replace(/ {2,}/g, '  '));
  const fallback = { value: 9, at: undefined, source: 'default of role x' };
  t.same(strip(whyLines(host, 'a', [fallback], new Set())), [
    'a of n-2 is 3',
    '* group_vars/all.yml:1:1  "{{ b }}"',
    '  hosts:8:1  0',
    '  default of role x  9',
  ]);
  t.same(strip(whyLines(host, 'token', [], new Set(['token']))), [
    'token of n-2 is ***',
    '* -e  ***',
    '  group_vars/all.yml:3:1  ***',
  ]);
  t.same(whyLines(host, 'nowhere', [], new Set()), []);
});

t.test('a secret is masked in values that refer to it too', async (t) => {
  const [host] = (
    await inventoryOf(t, { hosts: 'n token=hidden-one url="https://{{ token }}@x" list="[\'{{ token }}\']"\n' })
  ).hosts;
  if (!host) throw new Error('no host');
  t.strictSame(hostVars(host, new Set(['token'])), { list: ['***'], token: '***', url: 'https://***@x' });
  t.equal(whyLines(host, 'url', [], new Set(['token']))[0], 'url of n is "https://***@x"');
});

t.test('schemas for editors', async (t) => {
  const vars = {
    properties: {
      x_port: { type: 'integer', description: 'A port.', default: 1 },
      x_url: { type: 'string', description: 'A place.', format: 'url' },
      x_token: { type: 'string', description: 'A token.', secret: true },
      x_map: { type: 'object', description: 'A map.', properties: { k: { type: 'string', description: 'K.' } } },
    },
  } satisfies VarsSchema;
  const files = editorSchemas([
    { name: 'x', vars },
    { name: 'none', vars: { properties: {} } },
  ]);
  t.same([...files.keys()], ['x.json', 'all.json']);
  t.same(JSON.parse(files.get('all.json') ?? '').allOf, [{ $ref: 'x.json' }]);
  const reference = { type: 'string', pattern: '\\{\\{' };
  t.same(JSON.parse(files.get('x.json') ?? '').properties, {
    x_port: { description: 'A port.', default: 1, anyOf: [{ type: 'integer' }, reference] },
    x_url: {
      description: 'A place. Format: a URL with http or https (https://example.org/path).',
      anyOf: [{ type: 'string' }, reference],
    },
    x_token: { description: 'A token.', anyOf: [{ type: 'string', writeOnly: true }, reference] },
    x_map: {
      description: 'A map.',
      anyOf: [
        { type: 'object', properties: { k: { type: 'string', description: 'K.' } }, additionalProperties: false },
        reference,
      ],
    },
  });
  const other: VarsSchema = { properties: { x_port: { type: 'string', description: 'Not that.' } } };
  t.throws(
    () =>
      editorSchemas([
        { name: 'x', vars },
        { name: 'y', vars: other },
      ]),
    /the roles x and y declare x_port differently/,
  );
});

t.test('the scripts: their answers, and their exit codes', async (t) => {
  const folder = folderOf(t, FILES);
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const script = (name: string, ...args: string[]): { status: number | null; out: string } => {
    const { status, stdout, stderr } = spawnSync('node', ['--import', 'tsx', `scripts/${name}.ts`, ...args], {
      cwd: root,
      encoding: 'utf8',
    });
    return { status, out: stdout + stderr };
  };
  const hosts = join(folder, 'hosts');
  t.match(script('inventory', '-i', hosts, '--graph'), { status: 0, out: /^@all:\n/ });
  t.match(script('inventory', '-i', hosts), { status: 5, out: /what to show\?/ });
  t.match(script('why', 'a', 'n-1', '-i', hosts), { status: 0, out: /^a of n-1 is 1\n\* .*hosts:3:5 / });
});
