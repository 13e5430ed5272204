/** What ansible-vault encrypted is refused with its position: as a value when it is used, as a file when it is read. */
import t from 'tap';
import { formatProblem } from '../../../engine/errors.ts';
import { type ConnectionOptions, connectionOf } from '../../../engine/inventory/connection.ts';
import { hostVars, whyLines } from '../../../engine/inventory/inventory-output.ts';
import type { VarsSchema } from '../../../engine/vars/schema.ts';
import { validateVars } from '../../../engine/vars/validate.ts';
import { inventoryOf, messageOf, type TestInventory } from './files.ts';

const CIPHERTEXT = '$ANSIBLE_VAULT;1.1;AES256\n  6162\n  6364\n';
const REFUSED = 'is encrypted with ansible-vault, which Heartwood cannot open yet\n  try: decrypt it';

type Files = Readonly<Record<string, string>>;

/** The message of a connection that an encrypted value stops, or `no error`. */
async function connecting(files: Files, options: ConnectionOptions = {}, load: TestInventory = {}): Promise<string> {
  return messageOf(async () => {
    const [host] = (await inventoryOf(t, { hosts: 'n\n', ...files }, load)).hosts;
    return host && connectionOf(host, options);
  });
}

t.test('an encrypted connection variable is never offered to a host', async (t) => {
  for (const name of [
    'ansible_password',
    'ansible_ssh_pass',
    'ansible_user',
    'ansible_host',
    'ansible_port',
    'ansible_ssh_private_key_file',
    'ansible_ssh_common_args',
    'ansible_connection',
    'ansible_timeout',
    'ansible_become',
    'ansible_become_password',
    'ansible_become_pass',
    'ansible_sudo_pass',
    'ansible_become_user',
  ]) {
    const file = 'group_vars/all.yml';
    const become = { become: true };
    const tagged = await connecting({ [file]: `${name}: !vault |\n  ${CIPHERTEXT}` }, become);
    t.ok(tagged.startsWith(`${file}:1:1: ${name} ${REFUSED}`), `${name} with !vault: ${tagged}`);
    const untagged = await connecting({ [file]: `${name}: |\n  ${CIPHERTEXT}` }, become);
    t.ok(untagged.startsWith(`${file}:1:1: ${name} ${REFUSED}`), `${name} without its tag: ${untagged}`);
  }
});

t.test('of an encrypted password, the message names the flag that asks for it', async (t) => {
  const flags = {
    ansible_become_password: '-K',
    ansible_become_pass: '-K',
    ansible_sudo_pass: '-K',
    ansible_password: '-k',
    ansible_ssh_password: '-k',
    ansible_ssh_pass: '-k',
  };
  for (const [name, flag] of Object.entries(flags)) {
    const message = await connecting({ 'group_vars/all.yml': `${name}: !vault |\n  ${CIPHERTEXT}` }, { become: true });
    t.ok(message.endsWith(`-e @file; or remove it, and type the password in with ${flag}`), message);
  }
  const user = await connecting({ 'group_vars/all.yml': `ansible_user: !vault |\n  ${CIPHERTEXT}` });
  t.ok(user.endsWith('-e @file'), user);
});

t.test('so is one that a connection variable refers to, and one from any other place', async (t) => {
  const rows: readonly (readonly [Files, TestInventory, string])[] = [
    [
      { 'group_vars/all.yml': `ansible_password: "{{ pw }}"\npw: !vault |\n  ${CIPHERTEXT}` },
      {},
      `group_vars/all.yml:2:1: pw ${REFUSED}`,
    ],
    [
      { 'group_vars/all.yml': `ansible_password: "{{ all.pw }}"\nall: { pw: !vault "00" }\n` },
      {},
      `group_vars/all.yml:2:19: all ${REFUSED}`,
    ],
    [
      { 'group_vars/all.yml': `ansible_password: "x{{ hostvars['n']['pw'] }}"\npw: !vault "00"\n` },
      {},
      `group_vars/all.yml:2:1: pw ${REFUSED}`,
    ],
    [
      { 'secrets.yml': `ansible_password: !vault |\n  ${CIPHERTEXT}` },
      { extraVars: ['@secrets.yml'] },
      `secrets.yml:1:1: ansible_password ${REFUSED}`,
    ],
    [
      {},
      { extraVars: ['{"ansible_password": {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\\n6162"}}'] },
      `-e:1:22: ansible_password (set by -e) ${REFUSED}`,
    ],
    [
      {},
      { extraVars: ['ansible_password="$ANSIBLE_VAULT;1.1;AES256\\n6162"'] },
      `ansible_password (set by -e) ${REFUSED}`,
    ],
    [{ hosts: "n ansible_password='$ANSIBLE_VAULT;1.1;AES256'\n" }, {}, `hosts:1:3: ansible_password ${REFUSED}`],
    [
      { 'h.yml': `all: { hosts: { n: { ansible_password: !vault "00" } } }\n` },
      { sources: ['h.yml'] },
      `h.yml:1:22: ansible_password ${REFUSED}`,
    ],
  ];
  for (const [files, load, wanted] of rows) {
    const message = await connecting(files, {}, load);
    t.ok(message.startsWith(wanted), message);
  }
});

t.test('a role variable that is encrypted is refused, at any depth', async (t) => {
  const vars: VarsSchema = {
    properties: {
      token: { type: 'string', description: 'A token.', secret: true },
      list: { type: 'array', description: 'A list.', items: { type: 'string', description: 'One.' } },
      free: { type: 'object', description: 'Anything.' },
    },
    required: ['token'],
  };
  const yaml = `token: !vault |\n  ${CIPHERTEXT}list:\n  - a\n  - !vault "00"\nfree: { a: { b: "{{ token }}" } }\n`;
  const [host] = (await inventoryOf(t, { hosts: 'n\n', 'group_vars/all.yml': yaml })).hosts;
  if (!host) throw new Error('no host');
  const text = validateVars({ name: 'r', vars }, host).problems.map(formatProblem).join('\n');
  const places = text.replace(/\S*hw-inventory-\w+\//g, '').match(/^group_vars\S* \w+ is encrypted/gm);
  t.strictSame(places, [
    'group_vars/all.yml:1:1: token is encrypted',
    'group_vars/all.yml:7:12: list is encrypted',
    'group_vars/all.yml:1:1: token is encrypted',
  ]);
  const layered = host.withVars([{ source: 'play "P"', vars: { token: CIPHERTEXT } }]);
  t.match(validateVars({ name: 'r', vars }, layered).problems, [
    { what: /^token \(set by play "P"\) is encrypted/ },
    { what: /^list is encrypted/ },
    { what: /^token \(set by play "P"\) is encrypted/ },
  ]);
});

t.test('an encrypted value that nothing uses is no error, and is not shown', async (t) => {
  const yaml = `other: !vault |\n  ${CIPHERTEXT}list: [!vault "6162"]\nansible_become_password: !vault "616263646566"\n`;
  const files = { hosts: 'n ansible_user=admin\n', 'group_vars/all.yml': yaml };
  t.equal(await connecting(files), 'no error');
  const [host] = (await inventoryOf(t, files)).hosts;
  if (!host) throw new Error('no host');
  const why = ['other', 'list', 'ansible_become_password'].flatMap((name) => whyLines(host, name, [], new Set()));
  const shown = JSON.stringify([hostVars(host, new Set()), why]).replaceAll('\\"', "'");
  t.match(shown, /"other":"<other is encrypted/);
  t.match(shown, /all.yml:1:1 +!vault/);
  t.match(shown, /all.yml:\d:1 +\['!vault'\]/);
  t.notMatch(shown, /6162/);
});

t.test('an empty password is none: it is not offered', async (t) => {
  for (const empty of ['', '""', '~']) {
    const [host] = (await inventoryOf(t, { hosts: 'n\n', 'group_vars/all.yml': `ansible_password: ${empty}\n` })).hosts;
    t.equal(host && connectionOf(host).password, undefined, empty);
  }
  const [host] = (await inventoryOf(t, { hosts: 'n ansible_password=[1]\n' })).hosts;
  t.equal(host && connectionOf(host).password?.reveal(), '[1]', 'what looks like a list in INI is a password');
});

t.test('an encrypted file is refused: inventories, group_vars, host_vars, -e @file', async (t) => {
  const file = '$ANSIBLE_VAULT;1.1;AES256\n61626364\n65666768\n';
  const rows: readonly (readonly [Files, TestInventory, string])[] = [
    [{ hosts: file }, {}, 'hosts:1:1: the inventory'],
    [{ hosts: `\uFEFF${file}` }, {}, 'hosts:1:1: the inventory'],
    [{ 'h.yml': file }, { sources: ['h.yml'] }, 'h.yml:1:1: the inventory'],
    [{ 'inv/b': file, 'inv/a': 'n\n' }, { sources: ['inv'] }, 'inv/b:1:1: the inventory'],
    [{ 'group_vars/all.yml': file }, {}, 'group_vars/all.yml:1:1: the file'],
    [{ 'host_vars/n': file }, {}, 'host_vars/n:1:1: the file'],
    [{ 'x.yml': file }, { extraVars: ['@x.yml'] }, 'x.yml:1:1: the file'],
  ];
  for (const [files, load, wanted] of rows) {
    const message = await messageOf(() => inventoryOf(t, { hosts: 'n\n', ...files }, load));
    t.ok(message.startsWith(`${wanted} ${REFUSED}`), message);
  }
});

t.test('a second YAML document is refused: inventories, group_vars, -e', async (t) => {
  const rows: readonly (readonly [Files, TestInventory, string])[] = [
    [{ 'h.yml': 'all: { hosts: { a: } }\n---\nall: { hosts: { b: } }\n' }, { sources: ['h.yml'] }, 'h.yml:2:1'],
    [{ hosts: '---\nall: { hosts: { a: } }\n---\n' }, {}, 'hosts:3:1'],
    [{ 'group_vars/all.yml': 'a: 1\n...\n---\na: 2\n' }, {}, 'group_vars/all.yml:3:1'],
    [{ 'x.yml': 'a: 1\n---\na: 2\n' }, { extraVars: ['@x.yml'] }, 'x.yml:2:1'],
    [{}, { extraVars: ['{a: 1}\n---\n{a: 2}'] }, '-e:2:1'],
  ];
  for (const [files, load, wanted] of rows) {
    const message = await messageOf(() => inventoryOf(t, { hosts: 'n\n', ...files }, load));
    t.equal(message, `${wanted}: a second YAML document begins here\n  allowed: one document per file`);
  }
  const one = await messageOf(() => inventoryOf(t, { hosts: 'n\n', 'group_vars/all.yml': '---\n# a\na: 1\n...\n' }));
  t.equal(one, 'no error', 'a document may have its marks');
});
