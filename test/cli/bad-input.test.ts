/** What a wrong inventory, playbook or variable gets: one located error, exit code 1, and no host is touched. */
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, relative } from 'node:path';
import t from 'tap';
import { program } from '../support/program.ts';

const GREET = 'test/support/playbooks/greet.ts';

/** Where all hosts of these tests are: whoever connects here was not stopped in time. */
let touched = 0;
const host = createServer((socket) => {
  touched++;
  socket.destroy();
});
await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
t.teardown(() => host.close());
const address = host.address();
const port = typeof address === 'object' ? address?.port : undefined;
const NODE = `node-1 ansible_host=127.0.0.1 ansible_port=${port}`;
const GOOD = `[people]\n${NODE}\n\n[people:vars]\ngreet_path=/nowhere/greeting\n`;

const root = t.testdir();

/** The playbook on an inventory of these files, of which `hosts` is given with -i. */
async function greet(files: Readonly<Record<string, string>>, ...args: string[]) {
  const cwd = mkdtempSync(join(root, 'case-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(cwd, name), content);
  const ended = await program(GREET, ['-i', 'hosts' in files ? 'hosts' : 'hosts.yml', ...args], { cwd });
  return { ...ended, recorded: existsSync(join(cwd, '.heartwood')) };
}

/** Each row: what is wrong, the files, further arguments, what stderr is. */
const rows: readonly (readonly [string, Readonly<Record<string, string>>, readonly string[], string | RegExp])[] = [
  [
    'a misspelt group in the limit',
    { hosts: GOOD },
    ['-l', 'peple'],
    '--limit peple: no host or group is called "peple"\n  allowed: groups all, ungrouped, people, or a host of the inventory\n  try: did you mean "people"?',
  ],
  [
    'a limit that leaves nobody',
    { hosts: GOOD },
    ['-l', 'people:!node-1'],
    '--limit people:!node-1 matches no host\n  allowed: a pattern over the hosts and the groups all, ungrouped, people\n  try: --list-hosts without --limit shows the hosts of each play',
  ],
  [
    'an inventory without the group that a play is for: the line of the play is named',
    { hosts: `[peopel]\n${NODE}\n` },
    [],
    /^\S+greet\.ts:\d+:\d+: play "Everyone": no host or group is called "people"\n {2}allowed: .*\n {2}try: did you mean "peopel"\?\n$/,
  ],
  [
    'a missing variable of a host whose name holds a secret: names are not masked',
    { hosts: `[people]\n${NODE.replace('node-1', 'raspberry-1')}\n` },
    ['-e', 'greet_token=raspberry'],
    /^raspberry-1: greet_path is not set, and role greet needs it\n/,
  ],
  [
    'a group that is there but empty',
    { hosts: `${NODE}\n[people]\n` },
    [],
    /^\S+greet\.ts:\d+:\d+: no play has a host: they are for people\n {2}allowed: at least one host in them; the groups of hosts: all, ungrouped, people\n$/,
  ],
  [
    'groups that contain each other',
    { hosts: `${GOOD}[people:children]\nold\n[old:children]\npeople\n` },
    [],
    /^hosts:\d+:\d+: .*(people.*old|old.*people)/,
  ],
  [
    'a line that is no inventory line',
    { hosts: `${GOOD}[people\n` },
    [],
    /^hosts:6:1: "\[people" is not a variable\n {2}allowed: /,
  ],
  ['a tab in a YAML inventory', { 'hosts.yml': 'people:\n  hosts:\n\tnode-1:\n' }, [], /^hosts\.yml:3:1: /],
  [
    'a misspelt variable, at its line, with the one that was meant',
    { hosts: `${GOOD}greet_tmies=3\n` },
    [],
    /^hosts:6:1: unknown variable "greet_tmies"\n {2}allowed: the variables of the roles: greet_path, .*\n {2}try: did you mean "greet_times"\?\n$/,
  ],
  [
    'every wrong value of a YAML inventory at once, each at its place',
    {
      'hosts.yml': `people:
  hosts:
    node-1: { ansible_host: 127.0.0.1 }
  vars:
    greet_path: /nowhere/greeting
    greet_times: 9
    greet_tone: wram
    greet_exit: "1"
`,
    },
    [],
    'hosts.yml:6:5: greet_times is too large: the number 9\n  allowed: a whole number, 1 to 5\n' +
      'hosts.yml:7:5: greet_tone is the text "wram"\n  allowed: warm, cool\n  try: did you mean "warm"?\n' +
      'hosts.yml:8:5: greet_exit is the text "1"\n  allowed: a whole number\n  try: write it without quotes: 1',
  ],
  [
    'a variable that is needed and not set',
    { hosts: `[people]\n${NODE}\n` },
    [],
    'node-1: greet_path is not set, and role greet needs it\n  allowed: text\n  try: set it in group_vars/all.yml: greet_path: "/tmp/greeting"',
  ],
  [
    'a variable that refers to one that is not there',
    { hosts: `${GOOD}greet_tone={{ greet_mood }}\n` },
    [],
    /^hosts:6:\d+: .*greet_mood/,
  ],
  [
    '-e that sets nothing',
    { hosts: GOOD },
    ['-e', 'greet_times'],
    /^-e greet_times: no variable is set\n {2}allowed: -e name=value/,
  ],
  ['-e with a file that is not there', { hosts: GOOD }, ['-e', '@vars.yml'], /^-e @vars\.yml: there is no such file\n/],
  [
    '-e with a file that cannot be read',
    { hosts: GOOD },
    ['-e', '@/proc/self/mem'],
    'the variables in /proc/self/mem cannot be read (EIO)\n  try: ls -lL /proc/self/mem',
  ],
  [
    '-e with a misspelt name',
    { hosts: GOOD },
    ['-e', 'greet_tne=cool'],
    /^unknown variable "greet_tne" \(set by -e\)\n.*\n {2}try: did you mean "greet_tone"\?\n$/,
  ],
  [
    '-e with a wrong value',
    { hosts: GOOD },
    ['-e', 'greet_times=often'],
    /^node-1: greet_times \(set by -e\) is the text "often"\n {2}allowed: a whole number, 1 to 5\n$/,
  ],
  [
    'a connection variable that only Ansible knows',
    { hosts: `${GOOD}ansible_connection=docker\n` },
    [],
    /^hosts:6:\d+: ansible_connection is "docker"\n {2}allowed: ssh, local\n$/,
  ],
];

for (const [what, files, args, stderr] of rows) {
  t.test(what, async (t) => {
    const ended = await greet(files, ...args);
    if (typeof stderr === 'string') t.equal(ended.stderr, `${stderr}\n`);
    else t.match(ended.stderr, stderr);
    t.equal(ended.code, 1);
    t.equal(ended.stdout, '');
    t.equal(touched, 0, 'nobody connected');
    t.notOk(ended.recorded, 'no run was recorded');
  });
}

t.test('an inventory that does not exist is reported as JSON and JUnit too', async (t) => {
  const cwd = mkdtempSync(join(root, 'case-'));
  const json = await program(GREET, ['-i', 'hsots', '--output', 'json'], { cwd });
  t.equal(json.code, 1);
  t.match(json.stderr, /^the inventory hsots does not exist\n/);
  t.match(JSON.parse(json.stdout), { exitCode: 1, problems: [{ what: 'the inventory hsots does not exist' }] });
  const junit = await program(GREET, ['-i', 'hsots', '--output', 'junit'], { cwd });
  t.match(junit.stdout, /<testsuite name="input" tests="1" failures="1">/);
});

t.test('a run is not begun where its record can not be written', async (t) => {
  const cwd = t.testdir({ hosts: GOOD, '.heartwood': 'a file' });
  const { code, stdout, stderr } = await program(GREET, ['-i', 'hosts', '--output', 'json'], { cwd });
  t.equal(code, 1);
  t.match(stderr, /^the run cannot be recorded below the current folder: ENOTDIR: .*\n {2}try: run it from a folder/);
  t.match(JSON.parse(stdout), { exitCode: 1, problems: [{ what: /cannot be recorded/ }] });
  t.equal(touched, 0, 'nobody connected');
});

t.test('a broken link in group_vars is named', async (t) => {
  const cwd = t.testdir({ hosts: GOOD, group_vars: { 'people.yml': t.fixture('symlink', 'nowhere') } });
  const { code, stderr } = await program(GREET, ['-i', 'hosts'], { cwd });
  t.equal(
    stderr,
    'the variables in group_vars/people.yml cannot be read (ENOENT)\n  try: ls -lL group_vars/people.yml\n',
  );
  t.equal(code, 1);
});

t.test('a folder of group_vars that is not a group is a warning', async (t) => {
  const cwd = t.testdir({
    hosts: `[people]\nnode-1 ansible_connection=local\n[people:vars]\ngreet_path=/nowhere/greeting\n`,
    group_vars: { 'peple.yml': 'greet_times: 2\n' },
  });
  const { stdout } = await program(GREET, ['-i', 'hosts', '--check'], { cwd });
  t.match(stdout, /^warning .*peple/m);
});

t.test('wrong arguments of playbook() and wrong plays are refused by every command', async (t) => {
  const engine = JSON.stringify(join(process.cwd(), 'engine/index.ts'));
  const file = join(root, 'wrong.ts');
  const messageOf = async (call: string, ...args: string[]) => {
    writeFileSync(file, `import { play, playbook } from ${engine};\nawait playbook(${call});\n`);
    const { code, stderr } = await program(relative('.', file), args, { cwd: root });
    t.equal(code, 1, stderr);
    return stderr;
  };
  const called =
    /^playbook\(\) is called with wrong arguments\n {2}allowed: a title and a list of plays: playbook\('Title'/;
  t.match(await messageOf('[]'), called);
  t.match(await messageOf("'Nothing', [5]", '--help'), called);
  const plays = `'Wrong', [play({ name: 'All', hosts: ['a'] }), play({ name: 'None', hosts: 'all', roles: [], become: 'no' })]`;
  t.match(
    await messageOf(plays, '--help'),
    /^wrong\.ts:2:\d+: missing keyword "roles" in play "All"\n.*\nwrong\.ts:2:\d+: play "None": become is "no"\n {2}allowed: true, false\n/,
  );
});

t.test('the listener that counts connections does count', async (t) => {
  const { code } = await greet({ hosts: `${GOOD}ansible_user=nobody\n` });
  t.equal(code, 4);
  t.ok(touched > 0);
});
