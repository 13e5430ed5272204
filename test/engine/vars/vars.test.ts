import t from 'tap';
import { formatProblem, UserError } from '../../../engine/errors.ts';
import { play } from '../../../engine/play.ts';
import { defineRole } from '../../../engine/role.ts';
import { mask, Secret } from '../../../engine/secret.ts';
import { FORMATS } from '../../../engine/vars/formats.ts';
import { resolverFor } from '../../../engine/vars/resolve.ts';
import type { Infer, VarsSchema } from '../../../engine/vars/schema.ts';
import { unknownVariables } from '../../../engine/vars/unknown-variables.ts';
import { validateVars } from '../../../engine/vars/validate.ts';
import { inventoryOf } from '../inventory/files.ts';

const SCHEMA = {
  properties: {
    k3s_version: { type: 'string', description: 'The release.', pattern: '^v', default: 'v1' },
    k3s_mode: { type: 'string', description: 'A mode.' },
    k3s_channel: { type: 'string', description: 'A channel.', enum: ['stable', 'latest'] },
    k3s_port: { type: 'integer', description: 'A port.', minimum: 1, maximum: 65535, default: 6443 },
    k3s_ratio: { type: 'number', description: 'A share.' },
    k3s_flag: { type: 'boolean', description: 'On or off.' },
    k3s_token: { type: 'string', description: 'A token.', secret: true, minLength: 8 },
    k3s_nets: {
      type: 'array',
      description: 'Networks.',
      items: { type: 'string', description: 'One.', format: 'cidr' },
      uniqueItems: true,
    },
    k3s_rules: {
      type: 'array',
      description: 'Rules.',
      default: [],
      items: {
        type: 'object',
        description: 'A rule.',
        required: ['port'],
        properties: {
          port: { type: 'integer', description: 'A port.', maximum: 65535 },
          proto: { type: 'string', description: 'A protocol.', enum: ['tcp', 'udp'], default: 'tcp' },
          key: { type: 'string', description: 'A key.', secret: true },
        },
      },
    },
    k3s_labels: {
      type: 'object',
      description: 'Labels.',
      additionalProperties: { type: 'string', description: 'One.' },
    },
    k3s_free: { type: 'object', description: 'Anything.' },
  },
} as const satisfies VarsSchema;

const ROLE = { name: 'k3s', vars: SCHEMA };
/** Its name is not how its variables begin. */
const THE_ROLE = { name: 'k3s-server', vars: SCHEMA };

type Files = Readonly<Record<string, string>>;

async function check(files: Files, extraVars: readonly string[] = [], role: { name: string; vars: VarsSchema } = ROLE) {
  const inventory = await inventoryOf(t, { hosts: '[server]\nn\n', ...files }, { extraVars });
  const [host] = inventory.hosts;
  if (!host) throw new Error('no host');
  return { inventory, host, result: validateVars(role, host) };
}

async function problems(yaml: string, extraVars: readonly string[] = []): Promise<string> {
  const { result } = await check({ 'group_vars/all.yml': yaml }, extraVars);
  return result.problems
    .map(formatProblem)
    .join('\n')
    .replace(/\S*hw-inventory-\w+\//g, '');
}

t.test('the type follows from the schema', async (t) => {
  const typed: Infer<typeof SCHEMA>['k3s_rules'] = [{ port: 1, proto: 'tcp', key: undefined }];
  const version: Infer<typeof SCHEMA>['k3s_version'] = 'v1';
  const token: Infer<typeof SCHEMA>['k3s_token'] = undefined;
  t.same([typed.length, version, token], [1, 'v1', undefined]);
});

t.test('values as the role gets them: defaults filled in, at any depth', async (t) => {
  const { result } = await check({
    'group_vars/all.yml': 'k3s_rules: [{ port: 22 }]\nk3s_labels: { a: b }\nk3s_free: { x: [1] }\n',
  });
  t.match(result.vars, {
    k3s_version: 'v1',
    k3s_port: 6443,
    k3s_rules: [{ port: 22, proto: 'tcp' }],
    k3s_labels: { a: 'b' },
    k3s_free: { x: [1] },
    k3s_flag: undefined,
  });
  const { result: again, host } = await check({});
  t.same(again.vars?.['k3s_rules'], []);
  t.not(validateVars(ROLE, host).vars?.k3s_rules, again.vars?.['k3s_rules'], 'a default is not shared between hosts');
});

t.test('INI and -e have no types: the schema reads their text', async (t) => {
  const line = 'k3s_version=v1.30 k3s_mode=0644 k3s_port=6444 k3s_flag=yes k3s_ratio=0.5 k3s_token=123456789';
  const { result } = await check({ hosts: `n ${line} k3s_nets="['10.0.0.0/8']"\n` });
  t.match(result.vars, {
    k3s_version: 'v1.30',
    k3s_mode: '0644',
    k3s_port: 6444,
    k3s_flag: true,
    k3s_ratio: 0.5,
    k3s_nets: ['10.0.0.0/8'],
  });
  const { result: mode } = await check({ hosts: 'n k3s_mode=1.30\n' });
  t.equal(mode.vars?.['k3s_mode'], '1.30', 'a number where text is expected keeps its zeros');
  const { result: extra } = await check({}, ['k3s_port=7000 k3s_flag=off k3s_mode=True']);
  t.match(extra.vars, { k3s_port: 7000, k3s_flag: false, k3s_mode: 'True' });
  const { result: referred } = await check({
    'group_vars/all.yml': 'p: 70\nk3s_port: "{{ p }}00"\nk3s_mode: "{{ p }}"\n',
  });
  t.match(referred.vars, { k3s_port: 7000, k3s_mode: '70' }, 'the value of a reference is converted too');
});

t.test('every error has its place, what is allowed and what to try', async (t) => {
  const rows: readonly (readonly [string, string])[] = [
    [
      'k3s_mode: 0644',
      'group_vars/all.yml:1:1: k3s_mode is the number 420 (that is how YAML reads 0644)\n  allowed: text\n  try: put it in quotes: "0644"',
    ],
    [
      'k3s_mode: yes',
      'group_vars/all.yml:1:1: k3s_mode is the boolean true (that is how YAML reads yes)\n  allowed: text\n  try: put it in quotes: "yes"',
    ],
    ['k3s_mode:', 'group_vars/all.yml:1:1: k3s_mode is empty\n  allowed: text'],
    [
      'k3s_flag: "yes"',
      'group_vars/all.yml:1:1: k3s_flag is the text "yes"\n  allowed: true or false\n  try: write it without quotes: yes',
    ],
    [
      'k3s_port: "6443"',
      'group_vars/all.yml:1:1: k3s_port is the text "6443"\n  allowed: a whole number, 1 to 65535\n  try: write it without quotes: 6443',
    ],
    ['k3s_port: 22:22', 'group_vars/all.yml:1:1: k3s_port is the text "22:22"\n  allowed: a whole number, 1 to 65535'],
    [
      'k3s_port: 70000',
      'group_vars/all.yml:1:1: k3s_port is too large: the number 70000\n  allowed: a whole number, 1 to 65535',
    ],
    ['k3s_port: 1.5', 'group_vars/all.yml:1:1: k3s_port is the number 1.5\n  allowed: a whole number, 1 to 65535'],
    [
      'k3s_channel: stabel',
      'group_vars/all.yml:1:1: k3s_channel is the text "stabel"\n  allowed: stable, latest\n  try: did you mean "stable"?',
    ],
    [
      'k3s_version: "1.36"',
      'group_vars/all.yml:1:1: k3s_version is the text "1.36"\n  allowed: text like v1, matching ^v',
    ],
    [
      'k3s_nets: 10.0.0.0/33',
      'group_vars/all.yml:1:1: k3s_nets is the text "10.0.0.0/33"\n  allowed: a list of: an IPv4 network (10.0.0.0/24), each once',
    ],
    ['k3s_nets: [5]', 'group_vars/all.yml:1:12: k3s_nets[0] is the number 5\n  allowed: an IPv4 network (10.0.0.0/24)'],
    ['k3s_version: 5', 'group_vars/all.yml:1:1: k3s_version is the number 5\n  allowed: text like v1, matching ^v'],
    [
      'k3s_nets: 10.0.0.0/8',
      'group_vars/all.yml:1:1: k3s_nets is the text "10.0.0.0/8"\n  allowed: a list of: an IPv4 network (10.0.0.0/24), each once\n  try: make it a list: [10.0.0.0/8]',
    ],
    [
      'k3s_nets:\n  - 10.0.0.0/8\n  - 10.0.0.0',
      'group_vars/all.yml:3:5: k3s_nets[1] is the text "10.0.0.0"\n  allowed: an IPv4 network (10.0.0.0/24)',
    ],
    [
      'k3s_nets: [10.0.0.0/8, 10.0.0.0/8]',
      'group_vars/all.yml:1:1: k3s_nets has the same entry twice, at [0] and [1]\n  allowed: a list of: an IPv4 network (10.0.0.0/24), each once',
    ],
    [
      'k3s_rules:\n  - port: 22\n    prot: tcp',
      'group_vars/all.yml:3:5: unknown key "prot" in k3s_rules[0]\n  allowed: port, proto, key\n  try: did you mean "port"?',
    ],
    [
      'k3s_rules:\n  - proto: tcp',
      'group_vars/all.yml:2:5: missing key "port" in k3s_rules[0]\n  allowed: port: a whole number, at most 65535',
    ],
    [
      'k3s_rules:\n  - port: 22\n    proto: tpc',
      'group_vars/all.yml:3:12: k3s_rules[0].proto is the text "tpc"\n  allowed: tcp, udp\n  try: did you mean "tcp"?',
    ],
    [
      'k3s_labels: { a: 1 }',
      'group_vars/all.yml:1:18: k3s_labels.a is the number 1\n  allowed: text\n  try: put it in quotes: "1"',
    ],
    [
      'k3s_token: 12345678',
      'group_vars/all.yml:1:1: k3s_token is a number\n  allowed: text, at least 8 characters\n  try: put it in quotes',
    ],
    [
      'k3s_token: short',
      'group_vars/all.yml:1:1: k3s_token is too short: text\n  allowed: text, at least 8 characters',
    ],
    [
      'k3s_port: "{{ nope }}"',
      'group_vars/all.yml:1:1: "nope" is not set, and {{ nope }} refers to it\n  try: set nope, or write the value in place of the reference',
    ],
  ];
  for (const [yaml, wanted] of rows) t.equal(await problems(`${yaml}\n`), wanted, yaml);
  t.equal(
    await problems('', ['{"k3s_port": 0}']),
    'n: k3s_port (set by -e) is too small: the number 0\n  allowed: a whole number, 1 to 65535',
  );
  t.equal(
    (await problems('k3s_port: a\nk3s_flag: 3\nk3s_mode: [1]\n')).match(/^group_vars/gm)?.length,
    3,
    'all of them at once',
  );
});

t.test('a variable that must be set and is not', async (t) => {
  const role = {
    name: 'agent',
    vars: {
      properties: {
        k3s_url: { type: 'string', description: 'The server.', format: 'url', examples: ['https://10.0.0.1:6443'] },
        k3s_secret: { type: 'string', description: 'A secret.', secret: true, examples: ['s3cret'] },
      },
      required: ['k3s_url', 'k3s_secret'],
    } satisfies VarsSchema,
  };
  const { result } = await check({}, [], role);
  t.same(result.problems.map(formatProblem), [
    'n: k3s_url is not set, and role agent needs it\n  allowed: a URL with http or https (https://example.org/path)\n' +
      '  try: set it in group_vars/all.yml: k3s_url: "https://10.0.0.1:6443"',
    'n: k3s_secret is not set, and role agent needs it\n  allowed: text\n  try: set k3s_secret in group_vars/all.yml',
  ]);
});

t.test('secrets are closed in what the role gets, at any depth, and masked from then on', async (t) => {
  const yaml = 'k3s_token: correct-horse\nk3s_rules: [{ port: 1, key: battery-staple }]\nplain: staple-battery\n';
  const { result } = await check({ 'group_vars/all.yml': yaml });
  const token = result.vars?.['k3s_token'];
  t.ok(token instanceof Secret && token.reveal() === 'correct-horse');
  t.notMatch(JSON.stringify(result.vars), /horse|staple/);
  t.equal(mask('the token is correct-horse, the key battery-staple'), 'the token is ***, the key ***');
  const { host } = await check({});
  const layered = host.withVars([{ source: 'role k3s', vars: { k3s_token: new Secret('given-by-code') } }]);
  t.equal(validateVars(ROLE, layered).vars?.k3s_token?.reveal(), 'given-by-code', 'a role call may give a Secret');
});

t.test('misspelt variables are found wherever they are set', async (t) => {
  const files = {
    hosts: '[server]\nn k3s_prot=1\n[server:vars]\nk3s_vresion=v1\n',
    'group_vars/server.yml': 'k3s_Version: v1\nk3_version: v1\nmy_version: v1\nansible_prot: 1\n',
    'host_vars/n.yml': 'k3s_ver_sion: v1\n',
  };
  const { inventory } = await check(files, ['k3s_flga=yes']);
  const found = unknownVariables(inventory.allDefinitions(), [THE_ROLE]).map(({ what, at, hint }) => [
    what,
    at && `${at.file.replace(/.*hw-inventory-\w+\//, '')}:${at.line}:${at.column}`,
    hint,
  ]);
  t.same(found, [
    ['unknown variable "k3s_flga" (set by -e)', undefined, 'did you mean "k3s_flag"?'],
    ['unknown variable "k3s_Version"', 'group_vars/server.yml:1:1', 'did you mean "k3s_version"?'],
    ['unknown variable "k3s_ver_sion"', 'host_vars/n.yml:1:1', 'did you mean "k3s_version"?'],
    ['unknown variable "k3s_vresion"', 'hosts:4:1', 'did you mean "k3s_version"?'],
    ['unknown variable "k3s_prot"', 'hosts:2:3', 'did you mean "k3s_port"?'],
  ]);
  const { inventory: other } = await check({
    'group_vars/all.yml': 'k3s_agent_args: 1\nk3s_vresion: v2\nk3s_version: "{{ k3s_vresion }}"\n',
  });
  t.same(
    unknownVariables(other.allDefinitions(), [THE_ROLE]),
    [],
    'another name, and one that is referred to, are the own business of the user',
  );

  const { inventory: own } = await check({ 'group_vars/all.yml': 'firewall_xyz: 1\nfirewalld: 1\n' });
  const firewall = {
    name: 'firewall',
    vars: { properties: { firewall_rules: { type: 'string', description: '' } } },
  } as const;
  t.match(
    unknownVariables(own.allDefinitions(), [firewall]),
    [
      {
        what: 'unknown variable "firewall_xyz"',
        expected: 'the variables of the roles: firewall_rules',
        hint: undefined,
      },
    ],
    "a name that begins with a role's own name is the role's",
  );
  t.equal(unknownVariables(own.allDefinitions(), [firewall]).length, 1);
});

t.test("a run's variables: role call over play over inventory, -e over all; every problem at once", async (t) => {
  const role = defineRole({ name: 'k3s', description: 'x', hosts: 'all', vars: SCHEMA, stages: () => [] });
  const call = role({ k3s_mode: 'call' });
  const thePlay = play({ name: 'p', hosts: 'all', roles: [call], vars: { k3s_mode: 'play', k3s_ratio: 0.5 } });
  const yaml = 'k3s_mode: file\nk3s_ratio: 0.1\nk3s_flag: yes\n';
  const { inventory, host } = await check({ 'group_vars/all.yml': yaml });
  const resolved = resolverFor([thePlay], inventory)(host, call, thePlay);
  t.ok(resolved.ok);
  t.match(resolved, { vars: { k3s_mode: 'call', k3s_ratio: 0.5, k3s_flag: true } });
  const over = await check({ 'group_vars/all.yml': yaml }, ['k3s_mode=extra']);
  t.match(resolverFor([thePlay], over.inventory)(over.host, call, thePlay), { vars: { k3s_mode: 'extra' } });

  const wrongPlay = play({ name: 'p', hosts: 'all', roles: [call], vars: { k3s_mod: 1, k3s_port: 0 } });
  const wrong = resolverFor([wrongPlay], inventory)(host, call, wrongPlay);
  t.same(wrong.ok ? [] : wrong.problems.map(formatProblem).map((text) => text.split('\n')[0]), [
    'unknown variable "k3s_mod" (set by play "p")',
    'n: k3s_port (set by play "p") is too small: the number 0',
  ]);
});

t.test('formats', async (t) => {
  const rows: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['ipv4', ['10.0.0.1', '255.255.255.255'], ['10.0.0', '10.0.0.256', '10.0.0.01', 'a', '10.0.0.1/24']],
    ['cidr', ['10.0.0.0/8', '0.0.0.0/0'], ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/8/8']],
    ['hostname', ['node-1', 'a.example.org'], ['-a', 'a_b', 'a..b', '10.0.0.1', '']],
    ['port-range', ['22', '30000:32767', '1-2'], ['0', '65536', '2:1', '1:2:3', 'x']],
    ['url', ['https://a', 'http://10.0.0.1:8080/x?y'], ['ftp://a', 'https://', 'a', 'http://a b']],
    ['interface', ['eth0', 'enp3s0.100', 'flannel.1'], ['', 'a/b', 'averylonginterfacename', 'a b']],
  ];
  t.same(
    rows.map(([name]) => name),
    Object.keys(FORMATS),
    'every format is here',
  );
  for (const [name, right, wrong] of rows) {
    for (const text of right) t.ok(FORMATS[name]?.test(text), `${name}: ${text}`);
    for (const text of wrong) t.notOk(FORMATS[name]?.test(text), `${name}: not ${text}`);
  }
});

t.test('a schema that ajv cannot read is a bug of the role, not of the user', async (t) => {
  const role = { name: 'x', vars: { properties: { x: { type: 'string', description: '', format: 'nope' } } } as const };
  const { host } = await check({ 'group_vars/all.yml': 'x: y\n' });
  t.throws(() => validateVars(role, host), /unknown format "nope"/);
  t.notOk(
    (() => {
      try {
        validateVars(role, host);
      } catch (error) {
        return error instanceof UserError;
      }
      return true;
    })(),
  );
});
