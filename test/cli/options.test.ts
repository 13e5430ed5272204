/** The command line, without any host: help, lists, and what a wrong one gets. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Ended, program, start } from '../support/program.ts';
import { until } from '../support/until.ts';

const GREET = 'test/support/playbooks/greet.ts';
const cwd = t.testdir({
  hosts: `[people]
node-1 ansible_connection=local
node-2 ansible_connection=local

[people:vars]
greet_path=/nowhere/greeting

[empty]
`,
});

const run = (...args: string[]): Promise<Ended> => program(GREET, args, { cwd });

/** A command line that is refused: nothing on stdout, no record of a run. */
async function refused(t: Test, args: string[], code: number, stderr: string): Promise<void> {
  const ended = await run(...args);
  t.equal(ended.stderr, `${stderr}\n`);
  t.equal(ended.stdout, '');
  t.equal(ended.code, code);
}

t.test('--help shows usage, what the command does, every option and the exit codes, in lines that fit', async (t) => {
  const { code, stdout, stderr } = await run('--help');
  t.equal(code, 0);
  t.equal(stderr, '');
  t.match(stdout, /^Usage: npx tsx .*greet\.ts -i INVENTORY \[options\]\n\nGreet:\n {2}Everyone \(people\): greet\n/);
  t.match(stdout, /^ {2}-i, --inventory PATH {2,}inventory file or directory/m);
  t.match(stdout, /^ {2}-C, --check {2,}change nothing/m);
  t.match(stdout, /^Exit codes: 0 done, /m);
  for (const line of stdout.split('\n').filter((line) => line.startsWith(' '))) t.ok(line.length <= 100, line);
});

t.test('--help wins over all other options, and needs no inventory', async (t) => {
  const { code, stdout } = await run('-h', '--check', '-i', 'nowhere');
  t.equal(code, 0);
  t.match(stdout, /^Usage: /);
});

t.test('--version is the version of package.json', async (t) => {
  const { code, stdout } = await run('--version');
  t.equal(code, 0);
  t.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

t.test('an unknown option is refused with the one that was meant; several at once', (t) =>
  refused(
    t,
    ['-i', 'hosts', '--chekc', '--lmit=node-1'],
    5,
    'unknown option --chekc\n  try: did you mean --check?\nunknown option --lmit\n  try: did you mean --limit?',
  ),
);

t.test('options with a wrong value, without one, or with one too many are refused', async (t) => {
  await refused(
    t,
    ['-i', 'hosts', '--forks', 'many'],
    5,
    'invalid value "many" for --forks\n  allowed: a whole number above 0',
  );
  await refused(t, ['-i'], 5, '-i needs a value: -i PATH');
  await refused(t, ['-i', 'hosts', '--check=no'], 5, '--check takes no value');
  await refused(t, ['--output', 'xml'], 5, 'invalid value "xml" for --output\n  allowed: text, json, junit');
});

t.test('an option is not taken as the value of the one before it', async (t) => {
  await refused(t, ['-i', 'hosts', '-u', '--check'], 5, '-u needs a value: -u NAME');
  await refused(
    t,
    ['-i', 'hosts', '--ssh-common-args', '-C'],
    5,
    '--ssh-common-args needs a value: --ssh-common-args ARGS',
  );
});

t.test('a property of every object is not an option', (t) =>
  refused(t, ['-i', 'hosts', '--constructor=1'], 5, 'unknown option --constructor\n  try: --help lists the options'),
);

t.test('connection options: over ssh with options for ssh, or on this machine, as another user', async (t) => {
  const whoami = (...args: string[]) => program('scripts/run.ts', [...args, '--', 'id -un'], { cwd });
  const local = await whoami('all', '-i', 'somebody,', '-c', 'local');
  t.equal(local.stdout, `somebody | exit code 0\n  ${userInfo().username}\n`);
  const options = ['-i', 'somebody,', '--ssh-common-args', '-o HostName=127.0.0.1 -o Port=1', '-u', 'nobody'];
  t.match((await whoami('all', ...options)).stdout, /^somebody \| unreachable: nothing listens at 127\.0\.0\.1:1\n/);
  const other = await whoami('all', '-i', 'somebody,', '-c', 'local', '-b', '--become-user', 'no-such-user');
  t.match(other.stdout, /^somebody \| unreachable: .*(no-such-user|no sudo)/);
});

t.test('passwords are read from stdin, a line each; a missing line is an error', async (t) => {
  const list = (input: string, ...options: string[]) =>
    program(GREET, ['-i', 'hosts', '--list-hosts', ...options], { cwd, input });
  const both = await list('one\ntwo\n', '-k', '-K');
  t.equal(both.stderr, 'SSH password: \nsudo password (empty: the SSH password): \n');
  t.equal(both.code, 0);
  const none = await list('one\n', '-k', '-K');
  t.equal(none.code, 5);
  t.match(none.stderr, /\nsudo password \(.*\): nothing came on standard input\n {2}try: type it, or pipe it in\n$/);
  t.equal((await list('one', '-K')).stderr, 'sudo password: \n');
});

t.test('an argument that belongs to no option is refused: it was probably meant to select hosts', (t) =>
  refused(
    t,
    ['-i', 'hosts', 'node-1'],
    5,
    'node-1: a playbook takes only options\n  try: --limit PATTERN selects hosts; --help lists the options',
  ),
);

t.test('without an inventory the message says how to name one', (t) =>
  refused(t, [], 5, 'no inventory\n  try: -i hosts names one; hosts.example shows how it looks'),
);

t.test('a tag that no task has is refused', async (t) => {
  const allowed = '  allowed: all-people, greet, say, write';
  const wrong = (option: string) => `${option} wirte: nothing in this playbook has that tag\n${allowed}`;
  await refused(t, ['-i', 'hosts', '-t', 'say,wirte'], 5, `${wrong('--tags')}\n  try: did you mean "write"?`);
  await refused(t, ['-i', 'hosts', '--skip-tags=wirte'], 5, `${wrong('--skip-tags')}\n  try: did you mean "write"?`);
});

t.test('the lists of hosts, tasks and tags connect to nothing', async (t) => {
  t.equal((await run('-i', 'hosts', '--list-hosts')).stdout, 'Everyone (people): 2\n  node-1\n  node-2\n');
  t.equal(
    (await run('-i', 'hosts', '--list-hosts', '-l', 'node-2')).stdout,
    'Everyone (people): 1\n  node-2\n',
    '--limit counts',
  );
  t.equal((await run('-i', 'hosts', '--list-tags')).stdout, 'Everyone: all-people, greet, say, write\n');
  const tasks = await run('-i', 'hosts', '--list-tasks', '--tags', 'say');
  t.equal(
    tasks.stdout,
    [
      'Tasks of a new host, the first of each play. Facts are examples.',
      'Everyone (people)',
      '  greet - Writes a greeting.',
      '    checks: on every host, before anything is changed  [all-people, greet]',
      '    greet: Say it  [all-people, greet, say]',
      '',
    ].join('\n'),
  );
  t.equal(tasks.code, 0);
  t.notOk(existsSync(join(cwd, '.heartwood')), 'no run was recorded');
});

t.test(
  'scripts/role.ts: its help lists the roles; a misspelt one is refused with the one that was meant',
  async (t) => {
    const help = await program('scripts/role.ts', ['--help'], { cwd });
    t.equal(help.code, 0);
    t.match(help.stdout, /^Usage: npx tsx scripts\/role\.ts ROLE -i INVENTORY \[options\]\n/);
    t.match(help.stdout, /Roles: .*firewall/);
    const wrong = await program('scripts/role.ts', ['firewal', '-i', 'hosts'], { cwd });
    t.equal(wrong.code, 5);
    t.match(wrong.stderr, /^no role "firewal"\n {2}allowed: .*firewall.*\n {2}try: did you mean "firewall"\?\n$/);
    t.equal((await program('scripts/role.ts', [], { cwd })).code, 5);
  },
);

t.test('scripts/why.ts says where a value comes from, and whose default it is on this host', async (t) => {
  writeFileSync(join(cwd, 'cluster'), '[server]\ns1 k3s_version=v1.36.1+k3s1\n[agent]\na1\n');
  const why = (...args: string[]) => program('scripts/why.ts', [...args, '-i', 'cluster'], { cwd });
  t.match(
    (await why('k3s_version', 'all')).stdout,
    /^k3s_version of s1 is "v1\.36\.1\+k3s1"\n\* cluster:2:4 .*\n {2}default of role k3s-server {2}.*\n {2}default of role k3s-agent, which is for agent .*\n\nk3s_version of a1 is .*\n\* default of role k3s-agent {2}.*\n/,
  );
  t.match(
    (await why('kube_vip_version', 'a1')).stdout,
    /^kube_vip_version of a1 is .*\n\* default of role kube-vip, which is for server /,
  );
  t.match((await why('k3s_versio', 'a1')).stderr, 'did you mean "k3s_version"?');
});

t.test('scripts/run.ts runs a command on hosts, each with its exit code and output', async (t) => {
  const script = (...args: string[]) => program('scripts/run.ts', args, { cwd });
  const both = await script('people', '-i', 'hosts', '-f', '1', '--', 'echo', 'a  b', '$HOME');
  t.equal(both.code, 0);
  t.equal(
    both.stdout,
    'node-1 | exit code 0\n  a  b $HOME\nnode-2 | exit code 0\n  a  b $HOME\n',
    'words are arguments',
  );
  const failed = await script('node-2', '-i', 'hosts', '--', 'echo oh >&2; exit 7');
  t.equal(failed.code, 2);
  t.equal(failed.stdout, 'node-2 | exit code 7\n  oh\n', 'one word is shell text');
  const odd = await script('node-1', '-i', 'hosts', '--', "printf 'a\\033[2Jb\\n'");
  t.equal(odd.stdout, 'node-1 | exit code 0\n  ab\n', 'no control sequence');
  const much = await script('node-1', '-i', 'hosts', '--', 'yes | head -c 20000000');
  t.match(much.stdout, /^node-1 \| exit code 0; so much output that its middle is left out\n {2}y\n/);
  t.equal((await script('all', '-i', 'hosts')).code, 5);
  const unknown = await script('node-3', '-i', 'hosts', '--', 'true');
  t.equal(unknown.code, 1);
  t.match(unknown.stderr, /^no host or group is called "node-3"/);
  writeFileSync(join(cwd, 'closed'), 'gone ansible_host=127.0.0.1 ansible_port=1 ansible_user=nobody\n');
  const gone = await script('all', '-i', 'closed', '--', 'true');
  t.equal(gone.code, 4);
  t.match(gone.stdout, /^gone \| unreachable: nothing listens at 127\.0\.0\.1:1\n {2}try: /);
});

t.test('Ctrl-C stops a command on every host, and exits with 99', async (t) => {
  const running = start('scripts/run.ts', ['people', '-i', 'hosts', '--', 'echo begun >&2; exec sleep 86436'], { cwd });
  await until(20, async () => sleepers() > 0);
  running.kill('SIGINT');
  const { code, stdout, stderr } = await running.ended;
  t.equal(code, 99);
  t.match(stdout, /^node-[12] \| stopped by you\n {2}begun$/m);
  t.match(stderr, /^stopping the command on every host$/m);
  t.equal(sleepers(), 0, 'nothing goes on there');
});

/** How many of the test's own commands run. */
function sleepers(): number {
  return readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === 'sleep\0' + '86436\0';
    } catch {
      return false; // no process, or it has ended
    }
  }).length;
}
