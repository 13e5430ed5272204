/** What goes wrong on the way to a host and on it, as a user meets it: the message, the exit code, and what was left alone. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { directoryOf } from '../../lab/names.ts';
import { useLab } from '../support/lab.ts';
import { type Ended, program, start } from '../support/program.ts';
import { fails, leavesAlone } from '../support/refused.ts';
import { until } from '../support/until.ts';

const WORK = 'test/support/playbooks/work.ts';
/** Seconds within which a lost link must have been named; the machine may be busy. */
const SOON = 60;

const lab = await useLab(t, { hosts: [{ name: 'node-1' }, { name: 'node-2', ssh_port: 2222, sudo: 'refused' }] });
const one = lab.host('node-1');
const two = lab.host('node-2');
const cwd = t.testdir();

/** A variable for every host, `-e` form. */
const doing = (...tasks: string[]): string[] => ['-e', JSON.stringify({ work_tasks: tasks })];

const work = (...args: string[]): Promise<Ended> => program(WORK, ['-i', lab.inventory, ...args], { cwd });

/** The lab's inventory with lines added, or changed by `edit`. */
function inventoryWith(name: string, edit: (text: string) => string): string {
  const path = join(cwd, name);
  writeFileSync(path, edit(readFileSync(lab.inventory, 'utf8')), { mode: 0o600 });
  return path;
}

/** Waits until a command succeeds on node-1. */
async function comesTrue(t: Test, command: string): Promise<void> {
  t.ok(await until(60, async () => (await one.exec(command)).code === 0), command);
}

t.test('check mode changes nothing on a fresh host: every file is as it was', async (t) => {
  const { code, stdout } = await leavesAlone(t, [one], () =>
    work('--check', '--diff', '-l', 'node-1', ...doing('file', 'apt', 'slow', 'after')),
  );
  t.equal(code, 0, stdout);
  t.match(stdout, /would change node-1 {2}Write a file[\s\S]*\+new[\s\S]*would change node-1 {2}Install a package/);
  t.match(stdout, /^node-1 : ok=4 changed=4 unreachable=0 failed=0 skipped=0$/m);
});

t.test('--limit and --tags do part of the work, on part of the hosts', async (t) => {
  const { code, stdout } = await work('-l', 'node-1', '--tags', 'file', ...doing('file', 'after'));
  t.equal(code, 0, stdout);
  t.match(stdout, /^node-1 : ok=1 changed=1 unreachable=0 failed=0 skipped=0$/m);
  t.notMatch(stdout, /node-2/);
  t.equal(await one.read('cat /etc/work.conf'), 'new');
  t.not((await one.exec('test -e /run/after.done')).code, 0);
});

t.test('sudo that refuses is said in its own words, and the other host goes on', async (t) => {
  const stdout = await fails(
    t,
    work('-e', 'work_text=second'),
    4,
    /^unreachable node-2\n {4}sudo refuses to become root: .*admin.*\n {6}try: add the user to the group sudo/m,
    /^node-1 : ok=1 changed=1 unreachable=0 failed=0 skipped=0$/m,
    /^node-2 : ok=0 changed=0 unreachable=1 failed=0 skipped=0$/m,
  );
  t.notMatch(stdout, 'lab-5esame', 'the password does not show');
  t.equal(await one.read('cat /etc/work.conf'), 'second');
});

t.test('a wrong sudo password, and none', async (t) => {
  await fails(
    t,
    work('-l', 'node-1', '-e', 'ansible_become_password=wr0ng-guess'),
    4,
    /^unreachable node-1\n {4}sudo did not accept the password for becoming root\n {6}try: the password is from ansible_become_password \(-e\), which wins over -K$/m,
  );
  const none = inventoryWith('none', (text) => text.replaceAll(/ ansible_become_password=\S+/g, ''));
  await fails(
    t,
    program(WORK, ['-i', none, '-l', 'node-1'], { cwd }),
    4,
    /^unreachable node-1\n {4}sudo asks for a password for becoming root, and none was given\n {6}try: give it with -K/m,
  );
});

t.test('a wrong user, a closed port, an address where nobody is: each is told apart', async (t) => {
  await fails(
    t,
    work('-l', 'node-1', '-e', 'ansible_user=nobody-here'),
    4,
    /^ {4}10\.\S+:22 does not let nobody-here in; tried: .*\n( {6}allowed: .*\n)? {6}try: the user is from ansible_user \(-e\), which wins over -u; the key is from/m,
  );
  await fails(
    t,
    work('-l', 'node-2', '-e', 'ansible_port=22'),
    4,
    /^ {4}nothing listens at 10\.\S+:22\n {6}try: .*ansible_port/m,
  );
  await one.cut();
  t.teardown(() => one.restore());
  await fails(
    t,
    work('-l', 'node-1', '-T', '2'),
    4,
    /^ {4}(10\.\S+:22 did not answer within 2 s|there is no route to 10\.\S+:22)\n {6}try: see that the host is up/m,
  );
});

t.test('a host key that is not known is refused with its fingerprint; a changed one always', async (t) => {
  const known = join(cwd, 'known_hosts');
  writeFileSync(known, '');
  const inventory = inventoryWith('strange', (text) => text.replaceAll(lab.files.knownHosts, known));
  const run = (...args: string[]) => program(WORK, ['-i', inventory, '-l', 'node-1', ...args], { cwd });
  await fails(
    t,
    run(),
    4,
    /^ {4}the host key of 10\.\S+ is not known: \S+ SHA256:\S+\n {6}try: compare the fingerprint .*--accept-new-host-keys/m,
  );
  t.equal((await run('--accept-new-host-keys')).code, 0);
  t.match(readFileSync(known, 'utf8'), one.address);
  const other = readFileSync(lab.files.knownHosts, 'utf8')
    .split('\n')
    .find((line) => line.includes(two.address));
  writeFileSync(known, `${one.address} ${other?.split(' ').slice(1).join(' ')}\n`);
  for (const args of [[], ['--accept-new-host-keys']]) {
    await fails(
      t,
      run(...args),
      4,
      /^ {4}the host key of 10\.\S+ has changed: .*known_hosts:1 .*\n {6}try: .*ssh-keygen -R/m,
    );
  }
});

t.test('a full disk is named by a file, a package and a download; nothing half-written stays', async (t) => {
  const program = join(directoryOf(lab.name), 'mirror', 'work');
  writeFileSync(program, Buffer.alloc(300_000, 'x'));
  const sum = createHash('sha256').update(readFileSync(program)).digest('hex');
  const from = ['-e', `work_url=${lab.mirror}/work`, '-e', `work_sha256=${sum}`];
  one.fillDisk();
  t.teardown(() => one.restore());
  for (const [task, ...more] of [['file', '-e', 'work_text=third'], ['apt'], ['download', ...from]]) {
    const stdout = await fails(t, work('-l', 'node-1', ...doing(task ?? ''), ...more), 2, /disk.* is full/);
    t.match(stdout, /^node-1 : ok=0 changed=0 unreachable=0 failed=1 skipped=0$/m);
  }
  await one.restore();
  t.equal(await one.read('cat /etc/work.conf'), 'new', 'the old file is there');
  const done = await work('-l', 'node-1', ...doing('file', 'apt', 'download'), ...from, '-e', 'work_text=third');
  t.equal(done.code, 0, done.stdout);
  t.equal(
    await one.read('cat /etc/work.conf; ls -A /etc /usr/local/bin | grep hw-new; ls /usr/local/bin'),
    'third\nwork',
  );
});

t.test('a wrong checksum, and a mirror that is down, cuts off, or changes what it sends', async (t) => {
  const sum = '1'.repeat(64);
  const url = `${lab.mirror}/work`;
  const fetch = (...args: string[]) => work('-l', 'node-1', ...doing('download'), '-e', `work_url=${url}`, ...args);
  const before = await one.read('sha256sum /usr/local/bin/work');
  await fails(
    t,
    fetch('-e', `work_sha256=${sum}`),
    2,
    /\/work: wrong checksum [0-9a-f]{64}\n {6}try: the mirror serves another file, or the wanted hash 1{64}/,
  );
  t.teardown(() => lab.mendMirror());
  const words = {
    unavailable: /the server answers 503/,
    truncated: /cut off before its end/,
    corrupt: /wrong checksum/,
  } as const;
  const good = createHash('sha256')
    .update(readFileSync(join(directoryOf(lab.name), 'mirror', 'work')))
    .digest('hex');
  await one.read('mv /usr/local/bin/work /usr/local/bin/work.was; echo old > /usr/local/bin/work');
  for (const failure of ['unavailable', 'truncated', 'corrupt'] as const) {
    lab.mendMirror();
    lab.breakMirror('/work', failure);
    await fails(t, fetch('-e', `work_sha256=${good}`), 2, words[failure], /\n {6}try: /);
    t.equal(await one.read('cat /usr/local/bin/work'), 'old', 'the old program is in place');
  }
  lab.mendMirror();
  t.equal((await fetch('-e', `work_sha256=${good}`)).code, 0);
  t.equal(await one.read('sha256sum /usr/local/bin/work'), before);
});

t.test('a second run is told who holds the host', async (t) => {
  await one.read('rm -f /run/slow.* /run/after.done');
  const first = start(WORK, ['-i', lab.inventory, '-l', 'node-1', ...doing('slow'), '-e', 'work_seconds=40'], { cwd });
  await comesTrue(t, 'test -e /run/slow.begun');
  await fails(
    t,
    work('-l', 'node-1', '-e', 'work_text=fourth'),
    4,
    /another run holds this host: run \S+ of \S+@\S+, since \d{4}-\S+; waited 10 s for it\n {6}try: wait until it is done/,
  );
  t.equal(await one.read('cat /etc/work.conf'), 'third');
  first.kill('SIGINT');
  first.kill('SIGINT');
  await first.ended;
});

t.test(
  'Ctrl-C lets the running step end, a second one stops it; both exit with 99, and the next run converges',
  async (t) => {
    await one.read('rm -f /run/slow.* /run/after.done');
    const args = ['-i', lab.inventory, '-l', 'node-1', ...doing('slow', 'after')];
    const once = start(WORK, [...args, '-e', 'work_seconds=4'], { cwd });
    await comesTrue(t, 'test -e /run/slow.begun');
    once.kill('SIGINT');
    const stopped = await once.ended;
    t.equal(stopped.code, 99);
    t.match(stopped.stdout, /stopping after the running step/);
    t.match(stopped.stdout, /changed node-1 {2}Take time/);
    t.not((await one.exec('test -e /run/after.done')).code, 0);

    await one.read('rm -f /run/slow.*');
    const twice = start(WORK, [...args, '-e', 'work_seconds=300'], { cwd });
    await comesTrue(t, 'test -e /run/slow.begun');
    twice.kill('SIGINT');
    await twice.prints(/stopping after the running step/);
    twice.kill('SIGINT');
    const cut = await twice.ended;
    t.equal(cut.code, 99);
    t.match(cut.stdout, /stopping now/);
    t.match(cut.stdout, /interrupted/);
    t.not((await one.exec('pgrep -f "^sleep 300"')).code, 0, 'the step was killed on the host');

    const next = await program(WORK, [...args, '-e', 'work_seconds=1'], { cwd });
    t.equal(next.code, 0, next.stdout);
    t.equal((await one.exec('test -e /run/slow.done -a -e /run/after.done')).code, 0);
  },
);

t.test('kill -9 of the program: the next run takes the lock over and completes', async (t) => {
  await one.read('rm -f /run/slow.* /run/after.done');
  const args = ['-i', lab.inventory, '-l', 'node-1', ...doing('slow', 'after')];
  const killed = start(WORK, [...args, '-e', 'work_seconds=4'], { cwd });
  await comesTrue(t, 'test -e /run/slow.begun');
  killed.kill('SIGKILL');
  t.equal((await killed.ended).signal, 'SIGKILL');
  const next = await program(WORK, [...args, '-e', 'work_seconds=1'], { cwd });
  t.equal(next.code, 0, next.stdout);
  t.equal((await one.exec('test -e /run/slow.done -a -e /run/after.done')).code, 0);
});

t.test(
  'a link cut while a file travels is named within seconds; the old file stays, and the next run writes it',
  async (t) => {
    await one.read('rm -f /run/slow.* && echo old > /etc/work.big');
    // While the slow work runs, the big file of the same batch is half on its way.
    const args = ['-i', lab.inventory, '-l', 'node-1', ...doing('slow', 'big')];
    const run = start(WORK, [...args, '-e', 'work_seconds=5'], { cwd });
    await comesTrue(t, 'test -e /run/slow.begun');
    await one.cut();
    t.teardown(() => one.restore());
    const since = Date.now();
    const { code, stdout } = await run.ended;
    t.ok(Date.now() - since < SOON * 1000, `named after ${Math.round((Date.now() - since) / 1000)} s`);
    t.equal(code, 4);
    t.match(
      stdout,
      /^unreachable node-1\n {4}lost the connection: .*\n {6}try: see that the host is up and reachable, then run again/m,
    );
    await comesTrue(t, 'test -e /run/slow.done');
    t.equal(await one.read('cat /etc/work.big'), 'old');
    await one.restore();
    const next = await program(WORK, args, { cwd });
    t.equal(next.code, 0, next.stdout);
    t.equal(await one.read('head -n 1 /etc/work.big'), 'new');
  },
);
