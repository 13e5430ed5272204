import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { connectionOf } from '../../../engine/inventory/connection.ts';
import { type PatternTargets, selectHosts, splitPattern } from '../../../engine/inventory/patterns.ts';
import type { Connection } from '../../../engine/remote/session.ts';
import { Secret } from '../../../engine/secret.ts';
import { folderOf, inventoryOf, messageOf, names } from './files.ts';

const HOSTS = `fd00::1
solo.example.org
[server]
node-3
node-1
node-2
[agent]
pi-01
pi-02
node-2
[k3s:children]
server
agent
[none]
`;

t.test('patterns select what Ansible selects, in its order', async (t) => {
  const inventory = await inventoryOf(t, { hosts: HOSTS });
  const rows: readonly (readonly [string, string])[] = [
    ['all', 'fd00::1 solo.example.org node-3 node-1 node-2 pi-01 pi-02'],
    ['*', 'fd00::1 solo.example.org node-3 node-1 node-2 pi-01 pi-02'],
    ['ungrouped', 'fd00::1 solo.example.org'],
    ['k3s', 'node-3 node-1 node-2 pi-01 pi-02'],
    ['server', 'node-3 node-1 node-2'],
    ['server[0]', 'node-3'],
    ['server[-1]', 'node-2'],
    ['server[0:1]', 'node-3 node-1'],
    ['server[1:]', 'node-1 node-2'],
    ['server[1:9]', 'node-1 node-2'],
    ['server[5:]', ''],
    ['agent:server', 'pi-01 pi-02 node-2 node-3 node-1'],
    ['agent,server', 'pi-01 pi-02 node-2 node-3 node-1'],
    ['server:!node-1', 'node-3 node-2'],
    ['server:&agent', 'node-2'],
    ['k3s:&agent:!pi-01', 'node-2 pi-02'],
    ['!server:k3s', 'pi-01 pi-02'],
    ['!server', 'fd00::1 solo.example.org pi-01 pi-02'],
    ['&agent', 'node-2 pi-01 pi-02'],
    ['node-*', 'node-3 node-1 node-2'],
    ['node-?', 'node-3 node-1 node-2'],
    ['n[aeo]de-1', 'node-1'],
    ['node-[!1-2]', 'node-3'],
    ['*.example.org', 'solo.example.org'],
    ['s*', 'node-3 node-1 node-2 solo.example.org'],
    ['s*[0]', 'node-3'],
    ['~node-[23]$', 'node-3 node-2'],
    ['~(serv|age)', 'node-3 node-1 node-2 pi-01 pi-02'],
    ['fd00::1', 'fd00::1'],
    ['!fd00::1,ungrouped', 'solo.example.org'],
    ['none', ''],
    ['x*', ''],
    [' server , pi-01 ', 'node-3 node-1 node-2 pi-01'],
  ];
  for (const [pattern, wanted] of rows) t.equal(names(inventory.select(pattern)), wanted, pattern);
});

t.test('a pattern that cannot be meant is refused', async (t) => {
  const inventory = await inventoryOf(t, { hosts: HOSTS });
  const rows: readonly (readonly [string, string])[] = [
    [
      'sever',
      'no host or group is called "sever"\n  allowed: groups all, ungrouped, server, agent, k3s, none, or a host of the inventory\n' +
        '  try: did you mean "server"?',
    ],
    ['k3s:!pi-1', 'no host or group is called "pi-1" (in the pattern "k3s:!pi-1")'],
    [
      'server[3]',
      'the pattern "server[3]" asks for host 3 of "server", which has 3\n  allowed: 0 to 2, or -1 for the last',
    ],
    ['none[0]', 'the pattern "none[0]" asks for host 0 of "none", which has 0\n  allowed: hosts in "none"'],
    [
      'server[0-1]',
      '"server[0-1]" has an invalid subscript\n  allowed: server[0], server[-1], server[0:2] (the last is included), server[1:]',
    ],
    ['~no(de', 'the pattern "~no(de" has an invalid regular expression'],
    ['', 'the host pattern is empty'],
    [' , ', 'the host pattern is empty'],
  ];
  for (const [pattern, wanted] of rows) {
    const message = await messageOf(() => inventory.select(pattern));
    t.ok(message.startsWith(wanted), `${pattern}: ${message}`);
  }
});

t.test('patterns are set algebra: plain parts united, then & kept, then ! dropped, whatever their order', async (t) => {
  const hosts = ['a', 'b', 'c', 'd', 'e'];
  const groups: Readonly<Record<string, readonly string[]>> = {
    all: hosts,
    g: ['c', 'a'],
    h: ['a', 'b', 'd'],
    none: [],
  };
  const from: PatternTargets<string> = {
    hosts: new Map(hosts.map((host) => [host, host])),
    groups: new Map(Object.entries(groups)),
    implicit: () => undefined,
  };
  const membersOf = (name: string): readonly string[] => groups[name] ?? [name];
  const term = fc.tuple(fc.constantFrom('', '!', '&'), fc.constantFrom(...Object.keys(groups), ...hosts));
  const separator = fc.constantFrom(':', ',', ' , ');
  const check = fc.check(
    fc.property(fc.array(term, { minLength: 1, maxLength: 6 }), separator, (terms, between) => {
      const of = (kind: string): readonly string[][] =>
        terms.filter(([k]) => k === kind).map(([, name]) => [...membersOf(name)]);
      const plain = of('').length > 0 ? of('').flat() : hosts;
      const wanted = hosts.filter(
        (host) =>
          plain.includes(host) &&
          of('&').every((set) => set.includes(host)) &&
          !of('!').some((set) => set.includes(host)),
      );
      const found = selectHosts(terms.map(([kind, name]) => kind + name).join(between), from);
      return found.length === new Set(found).size && [...found].sort().join() === wanted.join();
    }),
    { numRuns: 1000 },
  );
  t.notOk(check.failed, JSON.stringify(check.counterexample));
  t.same(splitPattern('a[1:2]:b'), ['a[1:2]', 'b'], 'a colon in brackets separates nothing');
  t.same(splitPattern('2001:db8:0:0:0:0:0:1'), ['2001:db8:0:0:0:0:0:1']);
});

t.test('localhost need not be in the inventory', async (t) => {
  const inventory = await inventoryOf(t, { hosts: 'n\n[all:vars]\nv=1\n' });
  const [local] = inventory.select('localhost');
  t.strictSame([local?.name, local?.implicit], ['localhost', true]);
  t.ok(inventory.select('localhost')[0] === local, 'the same one each time');
  t.equal(names(inventory.select('all')), 'n', 'and it is not in all');
  t.equal(local?.var('v'), 1, 'but under its variables');
  t.ok(local && connectionOf(local).transport === 'local');
  const named = await inventoryOf(t, { hosts: 'localhost\n' });
  const [host] = named.select('localhost');
  t.ok(host && !host.implicit && connectionOf(host).transport === 'ssh', 'a named one is a host like others');
});

t.test('a host and a group of one name: a warning, and the host is meant, as in Ansible', async (t) => {
  const inventory = await inventoryOf(t, { hosts: '[a]\na\nb\n[b]\nb\n' });
  t.match(inventory.warnings, [
    { what: '"a" is a group and a host; a pattern with this name means the host', at: { line: 1 } },
  ]);
  t.equal(inventory.warnings.length, 1, 'a group of just that host is no matter');
  t.equal(names(inventory.select('a')), 'a');
  t.equal(names(inventory.select('all:!a')), '');
});

t.test('connections', async (t) => {
  const of = async (hosts: string, options = {}): Promise<unknown> => {
    const [host] = (await inventoryOf(t, { hosts })).hosts;
    return host && JSON.parse(JSON.stringify(connectionOf(host, options)));
  };
  t.same(
    await of('n\n'),
    { name: 'n', transport: 'ssh', address: 'n', origins: {}, connectTimeout: 10, hostKeys: 'strict' },
    'port and user are left to ~/.ssh/config',
  );
  const key = join(folderOf(t, { key: '' }), 'key');
  const line =
    `n ansible_host=10.0.0.1 ansible_port=2222 ansible_user=ada ansible_password=pass1 ansible_ssh_private_key_file=${key} ` +
    'ansible_become=yes ansible_become_user=svc ansible_become_pass=pass2 ansible_timeout=30 ' +
    'ansible_ssh_common_args="-o ProxyJump=gw" ansible_ssh_extra_args="-o \'A=b c\'" ansible_host_key_checking=false\n';
  const said = await of(line, { user: 'bob', becomeUser: 'root', privateKeyFile: '/other' });
  const { origins, ...wanted } = said as Connection;
  t.match(origins, {
    user: /^ansible_user \(.*hosts:1:43\)$/,
    password: /^ansible_password \(/,
    privateKeyFile: /^ansible_ssh_private_key_file \(/,
  });
  t.match(wanted.become?.origins, { user: /^ansible_become_user \(/, password: /^ansible_become_pass \(/ });
  t.match(wanted, {
    name: 'n',
    transport: 'ssh',
    address: '10.0.0.1',
    port: 2222,
    user: 'ada',
    password: '***',
    privateKeyFile: key,
    sshArgs: ['-o', 'ProxyJump=gw', '-o', 'A=b c'],
    become: { user: 'svc', password: '***' },
    connectTimeout: 30,
    hostKeys: 'accept-new',
  });
  t.match(
    await of('n\n', {
      user: 'bob',
      become: true,
      becomePassword: new Secret('pass3'),
      connectTimeout: 5,
      acceptNewHostKeys: true,
      sshCommonArgs: '-J gw',
    }),
    {
      user: 'bob',
      become: { user: 'root', password: '***' },
      connectTimeout: 5,
      hostKeys: 'accept-new',
      sshArgs: ['-J', 'gw'],
    },
    'the command line, where the host says nothing',
  );
  t.match(await of('n ansible_become=no\n', { become: true }), { become: undefined }, 'a host may refuse to become');
  t.match(await of('n ansible_connection=ansible.builtin.local\n'), { transport: 'local' });
  t.match(await of('n ansible_user=1000\n'), { user: '1000' });
  t.match(
    await of('n ansible_ssh_host=10.0.0.9 ansible_ssh_port=23\n'),
    { address: '10.0.0.9', port: 23 },
    'older names',
  );
});

t.test('a password given by reference is revealed to the session alone', async (t) => {
  const files = { hosts: 'n\n', 'group_vars/all.yml': 'ansible_become_password: "{{ pw }}"\npw: hunter22\n' };
  const [host] = (await inventoryOf(t, files)).hosts;
  const connection = host && connectionOf(host, { become: true });
  t.equal(connection?.become?.password?.reveal(), 'hunter22');
  t.notMatch(JSON.stringify(connection), /hunter22/);
});

t.test('wrong connection variables are errors with their position', async (t) => {
  const rows: readonly (readonly [string, string])[] = [
    ['ansible_port=ssh', 'hosts:1:3: ansible_port is not a port: ssh\n  allowed: a whole number, 1 to 65535'],
    ['ansible_port=70000', 'hosts:1:3: ansible_port is not a port: 70000'],
    ['ansible_connection=docker', 'hosts:1:3: ansible_connection is "docker"\n  allowed: ssh, local'],
    ['ansible_become=maybe', 'hosts:1:3: ansible_become is neither yes nor no: maybe'],
    ['ansible_become=1 ansible_become_method=su', 'hosts:1:20: ansible_become_method is "su"\n  allowed: sudo'],
    ['ansible_timeout=soon', 'hosts:1:3: ansible_timeout is not a number of seconds: soon'],
    ['ansible_ssh_private_key_file=/nowhere/key', 'hosts:1:3: the private key /nowhere/key does not exist'],
    ['ansible_ssh_common_args="-o \'a"', "hosts:1:3: ansible_ssh_common_args: a quote (') that is not closed"],
    ['ansible_user="[1]"', 'hosts:1:3: ansible_user is not text'],
  ];
  for (const [line, wanted] of rows) {
    const [host] = (await inventoryOf(t, { hosts: `n ${line}\n` })).hosts;
    const message = await messageOf(() => host && connectionOf(host));
    t.ok(message.startsWith(wanted), `${line}: ${message}`);
  }
});
