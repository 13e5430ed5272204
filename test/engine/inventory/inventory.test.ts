import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { expandHosts, expandRanges } from '../../../engine/inventory/host-ranges.ts';
import { loadInventory } from '../../../engine/inventory/load.ts';
import { parseLiteral } from '../../../engine/inventory/python-literal.ts';
import { splitWords } from '../../../engine/inventory/shlex.ts';
import { plainScalar } from '../../../engine/inventory/yaml.ts';
import { MASK } from '../../../engine/secret.ts';
import { folderOf, inventoryOf, messageOf, names } from './files.ts';

const CLUSTER = `# a cluster
lone:2222 x=1

[server]
node-3 ansible_host=10.0.0.3 note="a b"  # the first server
node-[1:2]

[agent]
pi-[01:02]

[k3s_cluster:children]
server
agent

[k3s_cluster:vars]
ansible_user=admin
version=1.30
`;

t.test('an INI inventory', async (t) => {
  const inventory = await inventoryOf(t, { hosts: CLUSTER });
  t.equal(names(inventory.hosts), 'lone node-3 node-1 node-2 pi-01 pi-02', 'hosts in the order of the file');
  t.equal(names(inventory.groups.get('server')), 'node-3 node-1 node-2');
  t.equal(names(inventory.groups.get('k3s_cluster')), 'node-3 node-1 node-2 pi-01 pi-02', 'children in their order');
  t.equal(names(inventory.groups.get('ungrouped')), 'lone');
  t.same(inventory.children.get('k3s_cluster'), ['server', 'agent']);
  const [lone, node3] = inventory.hosts;
  t.equal(lone?.port, 2222);
  t.equal(lone?.address, 'lone', 'the address is the name');
  t.same(node3?.groups, ['all', 'k3s_cluster', 'server']);
  t.equal(node3?.address, '10.0.0.3');
  t.equal(node3?.var('note'), 'a b');
  t.equal(node3?.var('ansible_user'), 'admin');
  t.same(node3?.variableNames(), ['ansible_host', 'ansible_user', 'note', 'version']);
  t.match(node3?.definitions('note')[0], { at: { line: 5, column: 30 } }, 'every value knows its place');
  t.match(node3?.definitions('version')[0], { value: 1.3, text: '1.30', at: { line: 17, column: 1 } }, 'and its text');
  t.match(node3?.at, { line: 5, column: 1 });
});

t.test('a YAML inventory', async (t) => {
  const text = `all:
  vars:
    from: all
  hosts:
    lone:
  children:
    server:
      hosts:
        node-[1:2]:
          rack: a
        node-3:2222: { ansible_host: 10.0.0.3 }
      vars: &v
        from: server
    west:
      hosts: node-3
      children:
        far:
          hosts: { far-1: }
`;
  const inventory = await inventoryOf(t, { 'hosts.yml': text }, { sources: ['hosts.yml'] });
  t.equal(names(inventory.hosts), 'lone node-1 node-2 node-3 far-1');
  t.equal(names(inventory.groups.get('west')), 'node-3 far-1');
  t.equal(names(inventory.groups.get('ungrouped')), 'lone');
  const [node2] = inventory.select('node-2');
  t.equal(node2?.var('rack'), 'a');
  t.equal(node2?.var('from'), 'server');
  t.match(node2?.definitions('from'), [{ at: { line: 13, column: 9 } }, { at: { line: 3, column: 5 } }]);
  const [node3] = inventory.select('node-3');
  t.equal(node3?.port, 2222);
  t.equal(node3?.address, '10.0.0.3');
});

t.test('a JSON inventory, and one without an extension', async (t) => {
  const json = '{"all": {"children": {"server": {"hosts": {"node-1": {"a": 1}}}}}}';
  t.equal(names((await inventoryOf(t, { 'h.json': json }, { sources: ['h.json'] })).groups.get('server')), 'node-1');
  t.equal(names((await inventoryOf(t, { hosts: json })).groups.get('server')), 'node-1');
  const yaml = '# text\n---\nserver:\n  hosts:\n    node-1:\n';
  t.equal(names((await inventoryOf(t, { hosts: yaml })).groups.get('server')), 'node-1');
});

t.test('a folder of inventories is read in the order of its names', async (t) => {
  const files = {
    'inv/01-hosts.yml': 'west:\n  hosts:\n    n-1: {a: 1}\n',
    'inv/02-more': '[west]\nn-2\nn-1 a=2\n',
    'inv/group_vars/west.yml': 'b: 3\n',
    'inv/readme.md': 'not an inventory',
    'inv/.hidden': 'nor this',
  };
  const inventory = await inventoryOf(t, files, { sources: ['inv'] });
  t.equal(names(inventory.groups.get('west')), 'n-1 n-2');
  t.equal(inventory.select('n-1')[0]?.var('a'), 2, 'the later file wins');
  t.equal(inventory.select('n-2')[0]?.var('b'), 3);
});

t.test('hosts in the command line', async (t) => {
  const inventory = await loadInventory({ sources: ['node-1,10.0.0.2:2222,'], extraVars: ['a=1'] });
  t.equal(names(inventory.hosts), 'node-1 10.0.0.2');
  t.equal(inventory.hosts[1]?.port, 2222);
  t.equal(inventory.hosts[0]?.var('a'), '1');
  t.equal(names(inventory.groups.get('ungrouped')), 'node-1 10.0.0.2');
});

t.test('precedence: every place, strongest first', async (t) => {
  const hosts = `[server]
n-1 v=line
[server:vars]
v=inline-server
[top:children]
server
[top:vars]
v=inline-top
[all:vars]
v=inline-all
`;
  const places = ['group_vars/all.yml', 'group_vars/top.yml', 'group_vars/server/x.yml', 'host_vars/n-1.yml'];
  const files = Object.fromEntries(
    ['', 'pb/'].flatMap((where) => places.map((place) => [where + place, `v: ${where}${place}\n`])),
  );
  const inventory = await inventoryOf(t, { hosts, ...files }, { playbook: 'pb', extraVars: ['v=extra'] });
  const [host] = inventory.hosts;
  const layered = host?.withVars([
    { source: 'role x', vars: { v: 'role' } },
    { source: 'play "p"', vars: { v: 'play' } },
  ]);
  t.same(
    layered?.definitions('v').map((definition) => definition.value),
    [
      'extra',
      'role',
      'play',
      'pb/host_vars/n-1.yml',
      'host_vars/n-1.yml',
      'line',
      'pb/group_vars/server/x.yml',
      'pb/group_vars/top.yml',
      'group_vars/server/x.yml',
      'group_vars/top.yml',
      'pb/group_vars/all.yml',
      'group_vars/all.yml',
      'inline-server',
      'inline-top',
      'inline-all',
    ],
  );
  t.equal(layered?.var('v'), 'extra');
  t.equal(host?.definitions('v').length, 13, 'the host itself is unchanged');
});

t.test('precedence among groups: depth, then ansible_group_priority, then name', async (t) => {
  const of = async (groups: string): Promise<unknown> => {
    const inventory = await inventoryOf(t, { hosts: groups });
    return inventory.hosts[0]?.var('v');
  };
  t.equal(await of('[b]\nn\n[a]\nn\n[a:vars]\nv=a\n[b:vars]\nv=b\n'), 'b', 'the later name');
  t.equal(
    await of('[b]\nn\n[a]\nn\n[a:vars]\nv=a\nansible_group_priority=5\n[b:vars]\nv=b\n'),
    'a',
    'a higher priority',
  );
  const deep = '[p:children]\na\n[a]\nn\n[b]\nn\n[a:vars]\nv=a\n[b:vars]\nv=b\nansible_group_priority=9\n';
  t.equal(await of(deep), 'a', 'a deeper group beats any priority');
});

t.test('precedence agrees with merging every layer, weakest first', async (t) => {
  const NAMES = ['a', 'b', 'c'];
  const setting = fc.dictionary(fc.constantFrom(...NAMES), fc.integer({ min: 0, max: 99 }));
  const arbitrary = fc.record({
    all: setting,
    ga: setting,
    gb: setting,
    line: setting,
    allFile: setting,
    gaFile: setting,
    hostFile: setting,
    extra: setting,
  });
  await fc.assert(
    fc.asyncProperty(arbitrary, async (s) => {
      const ini = (vars: Readonly<Record<string, number>>, between: string): string =>
        Object.entries(vars)
          .map(([name, value]) => `${name}=${value}`)
          .join(between);
      const yaml = (vars: Readonly<Record<string, number>>): string => `${JSON.stringify(vars)}\n`;
      const hosts = `[ga]\nn ${ini(s.line, ' ')}\n[gb]\nn\n[ga:vars]\n${ini(s.ga, '\n')}\n[gb:vars]\n${ini(s.gb, '\n')}\n[all:vars]\n${ini(s.all, '\n')}\n`;
      const files = {
        hosts,
        'group_vars/all.yml': yaml(s.allFile),
        'group_vars/ga.yml': yaml(s.gaFile),
        'host_vars/n': yaml(s.hostFile),
      };
      const inventory = await inventoryOf(t, files, { extraVars: [JSON.stringify(s.extra)] });
      const merged: Record<string, number> = {
        ...s.all,
        ...s.ga,
        ...s.gb,
        ...s.allFile,
        ...s.gaFile,
        ...s.line,
        ...s.hostFile,
        ...s.extra,
      };
      const [host] = inventory.hosts;
      for (const name of NAMES) t.equal(host?.var(name), merged[name]);
    }),
    { numRuns: 40 },
  );
});

t.test('-e takes pairs, JSON, YAML and files', async (t) => {
  const rows: readonly (readonly [string, unknown])[] = [
    ['v=1', '1'],
    ['w=0 v="a b#c"', 'a b#c'],
    ['{"v": 1}', 1],
    ['{v: [1, yes]}', [1, true]],
    ['v={"x":1}', '{"x":1}'],
    ["w='a b' v={'x':1}", "{'x':1}"],
    ['w=5 v={{ w }}', '5'],
    ['w=5 v="is {{ w }}"', 'is 5'],
    ['w=5 v={{w}}-{{ w }}', '5-5'],
    ['v="l1\\nl2"', 'l1\nl2'],
    ['v=l1\\nl2', 'l1\nl2'],
    ['v="\\u00e9\\x41\\q"', '\u00e9A\\q'],
    ['v="say \\"no\\""', 'say "no"'],
    ['v=a"b c"d', 'a"b c"d'],
    ["v='it''s'", "it''s"],
    ['v="x=1"', 'x=1'],
    ['v=a\\=b', 'a\\=b'],
    ['w=1\nv=2 \\\nx=3', '2'],
    ['@more.yml', { a: 1 }],
  ];
  for (const [arg, wanted] of rows) {
    const inventory = await inventoryOf(t, { hosts: 'n\n', 'more.yml': 'v: {a: 1}\n' }, { extraVars: [arg] });
    t.same(inventory.hosts[0]?.var('v'), wanted, arg);
  }
  const twice = await inventoryOf(t, { hosts: 'n\n' }, { extraVars: ['v=1', 'v=2'] });
  t.equal(twice.hosts[0]?.var('v'), '2', 'the last one wins');
});

t.test('references to other variables', async (t) => {
  const hosts = '[server]\nn-1 ansible_host=10.0.0.1\nn-2.lan ansible_host=10.0.0.2\n';
  const vars = `base: { port: 6443, names: [a, b] }
url: "https://{{ hostvars['n-1'].ansible_host }}:{{ base.port }}"
port: "{{ base.port }}"
second: "{{ base['names'][1] }}-{{ base.names[0] }}"
first: "{{ hostvars[groups['server'][0]].ansible_host }}"
me: "{{ inventory_hostname }} {{ inventory_hostname_short }} {{ group_names[0] }}"
list: ["{{ port }}", { x: "{{ yes_no }}" }]
yes_no: yes
said: "it is {{ yes_no }}"
literal: !unsafe "{{ base }}"
`;
  const inventory = await inventoryOf(t, { hosts, 'group_vars/all.yml': vars });
  const host = inventory.hosts[1];
  const rows: readonly (readonly [string, unknown])[] = [
    ['url', 'https://10.0.0.1:6443'],
    ['port', 6443],
    ['second', 'b-a'],
    ['first', '10.0.0.1'],
    ['me', 'n-2.lan n-2 server'],
    ['list', [6443, { x: true }]],
    ['said', 'it is True'],
    ['literal', '{{ base }}'],
  ];
  for (const [name, wanted] of rows) t.same(host?.var(name), wanted, name);
});

t.test('values that cannot be read are errors with their position, when they are used', async (t) => {
  const vars = `a: "{{ b }}"
b: "{{ c }}"
c: "x {{ a }}"
self: "{{ self }}"
unset: "{{ nope.x }}"
filter: "{{ nope | default(1) }}"
test: "{% if b %}x{% endif %}"
open: "{{ b"
listed: [1, "{{ nope }}"]
text: "see {{ mapping }}"
mapping: { k: 1 }
secret: !vault |
  $ANSIBLE_VAULT;1.1;AES256
  6162
`;
  const inventory = await inventoryOf(t, { hosts: 'n\n', 'group_vars/all.yml': vars });
  const [host] = inventory.hosts;
  const rows: readonly (readonly [string, string])[] = [
    ['a', 'group_vars/all.yml:1:1: a refers to itself, by way of b > c > a'],
    ['self', 'group_vars/all.yml:4:1: self refers to itself'],
    [
      'unset',
      'group_vars/all.yml:5:1: "nope" is not set, and {{ nope.x }} refers to it\n  try: set nope, or write the value in place of the reference',
    ],
    [
      'filter',
      'group_vars/all.yml:6:1: {{ nope | default(1) }} is more Jinja than Heartwood reads in variables\n' +
        '  allowed: {{ name }}, {{ name.key }}, {{ name[0] }}, {{ name["key"] }}, alone or inside text',
    ],
    [
      'listed',
      'group_vars/all.yml:9:13: "nope" is not set, and {{ nope }} refers to it\n  try: set nope, or write the value in place of the reference',
    ],
    ['text', 'group_vars/all.yml:10:1: a reference in "see {{ mapping }}" gives a mapping, which is not text'],
    [
      'secret',
      'group_vars/all.yml:12:1: secret is encrypted with ansible-vault, which Heartwood cannot open yet\n' +
        '  try: decrypt it (ansible-vault view) into a file outside the repository, and pass that with -e @file',
    ],
  ];
  for (const [name, wanted] of rows) t.equal(await messageOf(() => host?.var(name)), wanted, name);
  t.match(await messageOf(() => host?.var('test')), /^group_vars\/all.yml:7:1: \{% if b %\}x\{% endif is more Jinja/);
  t.match(await messageOf(() => host?.var('open')), /^group_vars\/all.yml:8:1: "\{\{" without "\}\}"/);
});

t.test('a wrong inventory is refused with its place', async (t) => {
  const rows: readonly (readonly [string, string])[] = [
    [
      '[a:children]\nb\n[b:children]\nc\n[c:children]\na\n',
      'hosts:6:1: group "c" cannot contain "a": that is a cycle, c > a > b > c\n' +
        '  allowed: groups that do not contain each other\n' +
        '  try: remove "a" from the children of "c", or one of the other links',
    ],
    ['[a:children]\na\n', 'hosts:2:1: group "a" cannot contain "a": that is a cycle, a > a'],
    [
      '[server]\nn-1\n[k3s:children]\nsever\n',
      'hosts:4:1: [k3s:children] names a group that does not exist: "sever"\n' +
        '  allowed: groups of this inventory: all, ungrouped, server, k3s\n' +
        '  try: did you mean "server"?',
    ],
    ['n-1\n[sever:vars]\na=1\n', 'hosts:2:1: [sever:vars] sets variables of a group that does not exist'],
    [
      '[server:var]\n',
      'hosts:1:9: unknown section type ":var"\n  allowed: [group], [group:vars] or [group:children]\n  try: did you mean [server:vars]?',
    ],
    ['[a b]\n', 'hosts:1:1: [a b] is not a section'],
    ['n-1 port 22\n', 'hosts:1:5: "port" is not a variable of the host'],
    ['n-1 note="a b\n', 'hosts:1:10: a quote (") that is not closed'],
    ['[g]\nn\n[g:vars]\nnovalue\n', 'hosts:4:1: "novalue" is not a variable\n  allowed: name=value, in [g:vars]'],
    ['n-[3:1]\n', 'hosts:1:1: the range [3:1] ends before it begins'],
    ['n-[1-3]\n', 'hosts:1:1: the range [1-3] is not [from:to] or [from:to:step]'],
    ['[g]\nn-1:\n', 'hosts:2:1: "n-1:" is not a host name; a port must follow its colon'],
    ['#!/usr/bin/env python3\n', 'hosts is an inventory script, which Heartwood does not read'],
  ];
  for (const [text, wanted] of rows) {
    const message = await messageOf(() => inventoryOf(t, { hosts: text }));
    t.ok(message.startsWith(wanted), `${JSON.stringify(text)}: ${message}`);
  }
  t.equal(
    await messageOf(() => inventoryOf(t, { hosts: '[a b]\nn x\n[c:var]\n' })).then(
      (text) => text.match(/^hosts/gm)?.length,
    ),
    3,
    'every wrong line is reported',
  );
});

t.test('a wrong YAML inventory is refused with its place', async (t) => {
  const rows: readonly (readonly [string, string])[] = [
    ['', 'h.yml:1:1: the inventory is empty'],
    ['- a\n', 'h.yml:1:1: the inventory is not a mapping of groups, but a list'],
    [
      'a:\n  host:\n    n:\n',
      'h.yml:2:3: unknown key "host" in group "a"\n  allowed: hosts, vars, children\n  try: did you mean "hosts"?',
    ],
    ['a:\n  hosts: [n]\n', 'h.yml:2:10: "hosts" of group "a" is a list'],
    ['a:\n  hosts:\n    n: 5\n', 'h.yml:3:8: host "n" has a number for its variables'],
    [
      'a:\n  children:\n    b:\n      children:\n        a:\n',
      'h.yml:5:9: group "b" cannot contain "a": that is a cycle, b > a > b',
    ],
    ['a: [1\n', 'h.yml:2:1: not valid YAML'],
    ['a:\n  hosts:\n    n: {x: 1, x: 2}\n', 'h.yml:3:15: "x" is given twice; first in line 3'],
    ['a:\n  hosts:\n    n:\n    n:\n', 'h.yml:4:5: "n" is given twice; first in line 3'],
    ['a:\n  vars:\n    x: !env HOME\n', 'h.yml:3:13: unknown YAML tag !env\n  allowed: !vault, !unsafe, !!str'],
    ['plugin: aws_ec2\n', 'h.yml:1:1: "plugin: aws_ec2" asks for a dynamic inventory'],
    ['a: &a\n  vars: *a\n', 'h.yml:2:3: an anchor that contains itself'],
  ];
  for (const [text, wanted] of rows) {
    const message = await messageOf(() => inventoryOf(t, { 'h.yml': text }, { sources: ['h.yml'] }));
    t.ok(message.startsWith(wanted), `${JSON.stringify(text)}: ${message}`);
  }
});

t.test('wrong sources and wrong files of variables', async (t) => {
  t.equal(
    await messageOf(() => loadInventory({ sources: ['hw-inventory-x/nowhere'] })),
    'the inventory nowhere does not exist\n  allowed: an inventory file or folder, or a list of hosts with a comma in it',
  );
  t.match(await messageOf(() => loadInventory({ sources: ['node-1'] })), 'try: for a host called node-1: -i node-1,');
  t.match(await messageOf(() => inventoryOf(t, { 'inv/readme.md': '' }, { sources: ['inv'] })), /holds no inventory$/);
  const rows: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
    [{ 'group_vars/all.yml': '- a\n' }, 'group_vars/all.yml:1:1: a file of variables is a mapping; this is a list'],
    [{ 'group_vars/all.yml': 'a: 1\na: 2\n' }, 'group_vars/all.yml:2:1: "a" is given twice; first in line 1'],
    [
      { 'group_vars/all/v.yml': '$ANSIBLE_VAULT;1.1;AES256\n00\n' },
      'group_vars/all/v.yml:1:1: the file is encrypted with ansible-vault',
    ],
    [
      { 'group_vars/all.yml': 'a: 1\n', 'group_vars/all/x.yml': 'b: 1\n' },
      'group_vars/all and group_vars/all.yml are both there, and Ansible reads only one of them',
    ],
  ];
  for (const [files, wanted] of rows) {
    const message = await messageOf(() => inventoryOf(t, { hosts: 'n\n', ...files }));
    t.ok(message.startsWith(wanted), message);
  }
  for (const [arg, wanted] of [
    ['novalue', '-e novalue: no variable is set'],
    ['[1]', '-e [1]: not a mapping'],
    ['{a: [}', '-e:1:6: not valid YAML'],
    ['@nope.yml', '-e nope.yml: there is no such file'],
    ['v="a', '-e v="a: a quote (") that is not closed'],
    ['v={{ a', '-e v={{ a: "{{" without "}}"'],
    ['v={"x": 1}', '-e 1}: no variable is set'],
    ['=v', '-e =v: no variable is set'],
    [
      'a b',
      '-e a: no variable is set\n  allowed: -e name=value, -e \'{"name": value}\' or -e @file\n  try: put a value',
    ],
  ] as const) {
    const message = await messageOf(() => inventoryOf(t, { hosts: 'n\n' }, { extraVars: [arg] }));
    t.ok(message.startsWith(wanted), `${arg}: ${message}`);
  }
  const file = join(folderOf(t, { 'vars.yml': 'a: 1\n' }), 'vars.yml');
  t.match(
    await messageOf(() => inventoryOf(t, { hosts: 'n\n' }, { extraVars: [file] })),
    'vars.yml: no variable is set\n  allowed: -e name=value, -e \'{"name": value}\' or -e @file\n  try: for the variables of a file: -e vars.yml',
  );
  const near = await inventoryOf(t, { hosts: '[server]\nn\n', 'group_vars/servers.yml': 'a: 1\n' });
  t.match(near.warnings, [
    { what: /group_vars\/servers.yml belongs to no group or host/, hint: 'did you mean "server"?' },
  ]);
});

t.test('passwords are secrets as soon as they are read', async (t) => {
  const hosts = 'n ansible_become_password=hunter22 ansible_password="{{ pw }}"\n';
  const inventory = await inventoryOf(t, { hosts, 'group_vars/all.yml': 'pw: letmein\nansible_sudo_pass: 12345\n' });
  const [host] = inventory.hosts;
  t.equal(String(host?.var('ansible_become_password')), MASK);
  t.equal(String(host?.var('ansible_sudo_pass')), MASK, 'also when it is a number');
  t.notMatch(
    JSON.stringify(host?.definitions('ansible_become_password')),
    /hunter22/,
    'its text is not kept beside it',
  );
});

t.test('plain YAML scalars are what PyYAML makes of them, but for base 60 and dates', async (t) => {
  const rows: readonly (readonly [string, unknown])[] = [
    ['yes', true],
    ['On', true],
    ['TRUE', true],
    ['no', false],
    ['off', false],
    ['y', 'y'],
    ['n', 'n'],
    ['yEs', 'yEs'],
    ['', null],
    ['~', null],
    ['null', null],
    ['None', 'None'],
    ['0', 0],
    ['-5', -5],
    ['+5', 5],
    ['1_000', 1000],
    ['0644', 420],
    ['0o17', '0o17'],
    ['0xFF', 255],
    ['0b11', 3],
    ['08', '08'],
    ['1.5', 1.5],
    ['.5', 0.5],
    ['5.', 5],
    ['1e3', '1e3'],
    ['1.5e+3', 1500],
    ['1.5e3', '1.5e3'],
    ['.inf', Number.POSITIVE_INFINITY],
    ['1.2.3', '1.2.3'],
    ['22:22', '22:22'],
    ['2026-01-01', '2026-01-01'],
    ['10.0.0.1', '10.0.0.1'],
    ['v1', 'v1'],
    ['123456789012345678901', '123456789012345678901'],
  ];
  for (const [text, wanted] of rows) t.equal(plainScalar(text), wanted, text);
});

t.test('INI values are Python literals, or text', async (t) => {
  const rows: readonly (readonly [string, unknown])[] = [
    ['5', 5],
    ['-5', -5],
    ['1_000', 1000],
    ['0x10', 16],
    ['0b11', 3],
    ['0644', '0644'],
    ['00', 0],
    ['1.50', 1.5],
    ['.5', 0.5],
    ['1e3', 1000],
    ['True', true],
    ['False', false],
    ['None', null],
    ['yes', 'yes'],
    ['true', 'true'],
    ["'a'", 'a'],
    ['"a\\tb"', 'a\tb'],
    ["r'a\\t'", "r'a\\t'"],
    ["'a' 'b'", "'a' 'b'"],
    ["'''x'''", "'''x'''"],
    ["'it\\'s #1'", "it's #1"],
    ["'\\x41\\u0042'", 'AB'],
    ["['a', 1, ]", ['a', 1]],
    ['[1,,]', '[1,,]'],
    ['[,]', '[,]'],
    ['80,443', '80,443'],
    ['(1,)', '(1,)'],
    ["{'a': 1, 'b': [True]}", { a: 1, b: [true] }],
    ['{}', {}],
    ['{1: 2, True: 3,}', { '1': 2, true: 3 }],
    ['{1, 2}', '{1, 2}'],
    ['1e999', '1e999'],
    ['1.2.3', '1.2.3'],
    ['10.0.0.1', '10.0.0.1'],
    ['a b', 'a b'],
    ['', ''],
    ['3 # three', 3],
    ['yes # no', 'yes # no'],
    ['[a]', '[a]'],
    ["'open", "'open"],
    ['1 2', '1 2'],
    ['123456789012345678901', '123456789012345678901'],
  ];
  for (const [text, wanted] of rows) t.same(parseLiteral(text), wanted, text);
});

t.test('a literal of JSON is its value', async (t) => {
  const value = fc.jsonValue().filter((v) => !/null|true|false|-0|e[+-]|__proto__|\d{16}/.test(JSON.stringify(v)));
  const found = fc.check(
    fc.property(value, (v) => JSON.stringify(parseLiteral(JSON.stringify(v))) === JSON.stringify(v)),
  );
  t.notOk(found.failed, JSON.stringify(found.counterexample));
});

t.test('ranges', async (t) => {
  t.same(expandRanges('n-[01:03]'), ['n-01', 'n-02', 'n-03']);
  t.same(expandRanges('n-[1:7:3]x'), ['n-1x', 'n-4x', 'n-7x']);
  t.same(expandRanges('[a:c][1:2]'), ['a1', 'a2', 'b1', 'b2', 'c1', 'c2']);
  t.same(expandRanges('n-[:2]'), ['n-0', 'n-1', 'n-2']);
  t.same(expandHosts('n-[1:2]:2222'), { names: ['n-1', 'n-2'], port: 2222 });
  t.same(expandHosts('[fd00::1]:22'), { names: ['fd00::1'], port: 22 });
  t.same(expandHosts('fd00::1'), { names: ['fd00::1'], port: undefined });
  const wrong = [
    'n-[1:]',
    'n-[1:2:0]',
    'n-[a:3]',
    'n-[01:100]',
    'n-[1',
    'n-1]',
    'n-[1:999999999]',
    'n-[1:1000][1:1000]',
  ];
  for (const pattern of wrong) t.throws(() => expandRanges(pattern), pattern);
  const range = fc.tuple(fc.nat(2000), fc.nat(50), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 6 }));
  fc.assert(
    fc.property(range, ([from, length, step, width]) => {
      const to = from + length;
      const [a, b] = [String(from).padStart(width, '0'), String(to).padStart(width, '0')];
      fc.pre(a.length === b.length || !(a.startsWith('0') && a.length > 1));
      const names = expandRanges(`n[${a}:${b}:${step}]`);
      t.equal(names.length, Math.floor(length / step) + 1);
      names.forEach((name, i) => {
        t.equal(Number(name.slice(1)), from + i * step);
      });
    }),
  );
});

t.test('words of a line are those a shell would see', async (t) => {
  const text = (line: string): unknown => {
    const words = splitWords(line);
    return 'error' in words ? words.error : words.map((word) => word.text);
  };
  t.same(text('a  b="c d" e=\'f"g\' h\\ i # j'), ['a', 'b=c d', 'e=f"g', 'h i']);
  t.same(text('a=b#c'), ['a=b'], 'an unquoted # ends the line, as in Ansible');
  t.same(text('""'), ['']);
  t.equal(text('a\\'), 'a backslash at the end of the line');
});

t.test('20,000 hosts', async (t) => {
  const yaml = `all:\n  hosts:\n${Array.from({ length: 20_000 }, (_, i) => `    n-${i}: { ansible_host: 10.0.${i >> 8}.${i & 255} }\n`).join('')}`;
  const inventory = await inventoryOf(t, { 'h.yml': yaml }, { sources: ['h.yml'] });
  t.equal(inventory.hosts.length, 20_000);
  t.equal(inventory.select('n-19999')[0]?.address, '10.0.78.31');
});
