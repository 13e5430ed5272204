/** What a run shows, on one host of this machine: text, JSON, JUnit, how much of it, and never a secret. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { program, start } from '../support/program.ts';

const GREET = 'test/support/playbooks/greet.ts';
const SECRET = 'open-5esame';
const cwd = t.testdir();
const inventory = join(cwd, 'hosts');
writeFileSync(
  inventory,
  `[people]
node-1 ansible_connection=local

[people:vars]
greet_path=${join(cwd, 'greeting')}
greet_token=${SECRET}
`,
);

/** The record of the one run that was made in a folder. */
function journalIn(folder: string): string {
  const [run = ''] = readdirSync(join(folder, '.heartwood/runs'));
  return readFileSync(join(folder, '.heartwood/runs', run, 'events.jsonl'), 'utf8');
}

/** Runs the playbook; whatever it leaves behind must not have the secret. */
async function greet(t: Test, ...args: string[]) {
  const here = mkdtempSync(join(cwd, 'run-'));
  const ended = await program(GREET, ['-i', inventory, ...args], { cwd: here });
  const journal = journalIn(here);
  for (const [name, text] of Object.entries({ stdout: ended.stdout, stderr: ended.stderr, journal })) {
    t.notMatch(text, SECRET, `no secret in ${name}`);
  }
  return { ...ended, journal };
}

t.test('check mode lists what would change, with --diff line by line, and changes nothing', async (t) => {
  const { code, stdout, stderr } = await greet(t, '--check', '--diff');
  t.equal(code, 0);
  t.equal(stderr, '');
  t.match(stdout, /^Greet on 1 host, check mode: nothing is changed\n/);
  t.match(stdout, /^ {4}would change node-1 {2}Write the greeting\n/m);
  t.match(stdout, /^ {6}\+A warm hello from Linux\.\n {6}\+The word is \*\*\*\.\n/m);
  t.match(stdout, /^node-1 : ok=2 changed=2 unreachable=0 failed=0 skipped=2$/m, 'the file and its handler');
  t.notMatch(readdirSync(cwd), ['greeting']);
});

t.test('a run shows what changed and ends with a recap as Ansible prints it, without colours in a pipe', async (t) => {
  const { code, stdout } = await greet(t);
  t.equal(code, 0);
  t.match(
    stdout,
    /^Greet on 1 host\n\nEveryone node-1\n {2}greet\n {4}changed node-1 {2}Write the greeting\n {4}changed node-1 {2}Tell \(handler\)\n\nRECAP\nnode-1 : ok=3 changed=2 unreachable=0 failed=0 skipped=1\n\ndone in \d+\.\d s\n$/,
  );
  t.notMatch(stdout, '\x1b', 'no control sequence');
  t.match(readFileSync(join(cwd, 'greeting'), 'utf8'), `The word is ${SECRET}.`, 'the host got it');
});

t.test(
  '-v adds tasks with nothing to do, -vv their output; without it a run with nothing to do is three lines',
  async (t) => {
    const quiet = await greet(t);
    t.match(
      quiet.stdout,
      /^Greet on 1 host\n\nRECAP\nnode-1 : ok=2 changed=0 unreachable=0 failed=0 skipped=1\n\ndone/,
    );
    const some = await greet(t, '-v');
    t.match(
      some.stdout,
      /^ {4}ok {6}node-1 {2}Write the greeting\n {4}skipped node-1 {2}Stay silent\n {4}ok {6}node-1 {2}Say it\n/m,
    );
    t.notMatch(some.stdout, 'said 1 times');
    const more = await greet(t, '-vv', '--tags', 'say');
    t.match(more.stdout, /^ {6}node-1 \| said 1 times with \*\*\*$/m);
    t.notMatch(more.stdout, 'Write the greeting', '--tags leaves it out');
  },
);

t.test('a failure shows its task, place, script, exit code and last lines, and where the full record is', async (t) => {
  const { code, stdout, stderr } = await greet(t, '-e', 'greet_exit=3');
  t.equal(code, 2);
  t.equal(stderr, '');
  t.match(
    stdout,
    /^ {4}failed {2}node-1 {2}Say it\n {6}exit code 3\n {6}in Everyone \/ greet \/ greet \/ Say it\n {6}at \S+greet\.ts:\d+:\d+\n {6}ran \(exit code 3\):\n/m,
  );
  t.match(stdout, /^ {6}stdout:\n {8}said 1 times with \*\*\*\n {6}stderr:\n {8}\*\*\*$/m);
  t.match(stdout, /^node-1 : ok=1 changed=0 unreachable=0 failed=1 skipped=1$/m);
  t.match(stdout, /\nfailed after \d+\.\d s; full record: \.heartwood\/runs\/[\w-]+\/events\.jsonl\n$/);
});

t.test('a check that refuses stops the run before anything is changed, and says how to waive it', async (t) => {
  const { code, stdout } = await greet(t, '-e', 'greet_refuses=yes', '-e', 'greet_tone=cool');
  t.equal(code, 2);
  t.match(
    stdout,
    /^ {2}refuse node-1 manners: greeting is not wanted here \(Linux\)\n {6}try: wave; to go on all the same: -e waive=manners$/m,
  );
  t.match(readFileSync(join(cwd, 'greeting'), 'utf8'), 'A warm hello');
  const waived = await greet(t, '-e', 'greet_refuses=yes', '-e', 'waive=manners');
  t.equal(waived.code, 0);
});

t.test('a name that a template is not given is an error at its line in the template', async (t) => {
  const { code, stdout } = await greet(t, '-e', 'greet_signature=false');
  t.equal(code, 2);
  t.match(stdout, /^ {4}\S*greeting\.hbs:3:3: "signature" is not defined\n {6}allowed: tone, kernel, token$/m);
});

t.test('--output json is one JSON object on stdout and nothing else, also of a run that failed', async (t) => {
  const { code, stdout, stderr } = await greet(t, '--output', 'json', '-e', 'greet_exit=3', '--show-scripts');
  t.equal(code, 2);
  t.equal(stderr, '');
  t.match(JSON.parse(stdout), {
    playbook: 'Greet',
    mode: 'apply',
    exitCode: 2,
    recap: [{ host: 'node-1', ok: 1, changed: 0, failed: 1, skipped: 1, unreachable: 0 }],
    interrupted: false,
    warnings: [],
    tasks: [
      { host: 'node-1', status: 'ok', task: { name: 'Write the greeting' } },
      { status: 'skipped' },
      { status: 'failed', failure: { what: 'exit code 3', exitCode: 3, stdout: 'said 1 times with ***' } },
    ],
  });
});

t.test('--output json is JSON also where the command line is wrong, and where a role is', async (t) => {
  for (const [args, report] of [
    [['--chekc'], { exitCode: 5, problems: [{ what: 'unknown option --chekc', hint: 'did you mean --check?' }] }],
    [['node-1'], { exitCode: 5, problems: [{ what: /^node-1: a playbook takes only options/ }] }],
  ] as const) {
    const { code, stdout, stderr } = await program(GREET, ['-i', inventory, '--output=json', ...args], { cwd });
    t.equal(code, report.exitCode);
    t.match(JSON.parse(stdout), report);
    t.not(stderr, '', 'people see it too');
  }
  const { code, stdout } = await program(GREET, ['-i', inventory, '--output=json', '-e', 'greet_breaks=yes'], { cwd });
  t.equal(code, 1);
  t.match(JSON.parse(stdout), {
    exitCode: 1,
    problems: [{ what: /^unknown handler "nobody" in stage greet, notified by task /, expected: 'tell' }],
  });
});

t.test('--output junit is XML that a parser takes, with the failure in its case', async (t) => {
  const { stdout } = await greet(t, '--output', 'junit', '-e', 'greet_exit=3');
  t.match(stdout, /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites>\n/);
  t.match(
    stdout,
    /<testcase classname="greet\.greet" name="node-1: Say it" time="[\d.]+"><failure message="exit code 3">/,
  );
  const open: string[] = [];
  for (const [, end, name = '', attributes = '', empty] of stdout.matchAll(
    /<(\/?)([a-z]+)((?: \w+="[^"<]*")*)(\/?)>/g,
  )) {
    if (end) t.equal(open.pop(), name);
    else if (!empty) open.push(name);
    t.notMatch(attributes, /&(?!(amp|lt|gt|quot);)/);
  }
  t.same(open, [], 'every element is closed');
});

t.test(
  '--show-scripts shows every script before it is sent, secrets closed; --profile where the time went',
  async (t) => {
    const ahead = await greet(t, '--show-scripts', '--check');
    t.match(ahead.stdout, /^--- script for node-1: facts\n# a0 \(within 60 s\)\nuname -s$/m);
    const { stdout, journal } = await greet(t, '--show-scripts', '--profile', '--no-prefetch');
    t.match(stdout, /^--- script for node-1: facts \/ greet \/ greet\n# f0 \(within 60 s\)\nuname -s$/m);
    t.match(stdout, /^--- script for node-1: check \/ greet \/ greet\n/m);
    t.match(stdout, /^sleep 0; echo said 1 times with '\*\*\*'; echo '\*\*\*' >&2; exit 0$/m);
    t.match(stdout, /^PROFILE \(start [1-9]\d* ms, inventory \d+ ms\)$/m);
    // Of this machine, to which no wire leads.
    const phases = [...stdout.matchAll(/^ {2}node-1 {2}(\w+) +\d+ ms {2,}(\d+) /gm)].map(([, ...row]) => row.join(' '));
    t.strictSame(phases, [
      'connect 0',
      'authenticate 0',
      'become 0',
      'checks 1',
      'facts 1',
      'check 1',
      'change 1',
      'close 0',
    ]);
    for (const line of journal.trim().split('\n')) t.match(JSON.parse(line), { type: String, time: /^\d{4}-/ });
  },
);

t.test('a secret on the command line is masked in the record of the command line', async (t) => {
  const { journal } = await greet(t, '-e', `greet_token=${SECRET}`, '--check');
  t.match(journal.split('\n')[0], /"argv":/);
});

t.test('a secret that is a number leaves journal and report valid JSON', async (t) => {
  // The year stands in every event's time.
  const year = String(new Date().getUTCFullYear());
  const here = t.testdir();
  const args = ['-i', inventory, '-e', `greet_token=${year}`, '--output', 'json'];
  const { stdout } = await program(GREET, args, { cwd: here });
  t.match(JSON.parse(stdout), {
    exitCode: 0,
    started: new RegExp(`^${year}-`),
    tasks: [{ time: new RegExp(`^${year}-`) }],
  });
  const journal = journalIn(here);
  for (const line of journal.trim().split('\n')) t.match(JSON.parse(line), { time: new RegExp(`^${year}-`) });
  t.notMatch(journal, `"text":"said 1 times with ${year}`);
});

t.test('a password that is part of a host name leaves the name alone, in every report', async (t) => {
  const here = t.testdir({ hosts: '[people]\nraspberry-1 ansible_connection=local\n' });
  const vars = ['-e', `greet_path=${join(here, 'greeting')}`, '-e', 'greet_token=raspberry', '-e', 'greet_exit=3'];
  const report = (...args: string[]) => program(GREET, ['-i', join(here, 'hosts'), ...vars, ...args], { cwd: here });
  const { stdout } = await report();
  t.match(stdout, /^ {4}failed {2}raspberry-1 {2}Say it$/m);
  t.match(stdout, /^raspberry-1 : ok=/m);
  t.match(stdout, /said 1 times with \*\*\*$/m, 'text is masked');
  t.match(stdout, /^warning a secret is part of a name, such as a host's/m);
  const json = JSON.parse((await report('--output', 'json')).stdout);
  t.match(json, { recap: [{ host: 'raspberry-1' }], tasks: [{ host: 'raspberry-1' }] });
  t.match((await report('--output', 'junit')).stdout, 'name="raspberry-1: Say it"');
  for (const run of readdirSync(join(here, '.heartwood/runs'))) {
    const journal = readFileSync(join(here, '.heartwood/runs', run, 'events.jsonl'), 'utf8');
    t.notMatch(journal, '***-1');
    t.notMatch(journal, 'with raspberry');
  }
});

t.test(
  'when nobody reads its output any more a run ends as after Ctrl-C: after its step, in order, with its record',
  async (t) => {
    const cwd = t.testdir();
    const running = start(GREET, ['-i', inventory, '-v', '-e', 'greet_seconds=1'], { cwd });
    await running.prints(/Everyone/);
    running.stopReading();
    const { code, stderr } = await running.ended;
    t.equal(code, 99);
    t.equal(stderr, '');
    const [run = ''] = readdirSync(join(cwd, '.heartwood/runs'));
    const journal = readFileSync(join(cwd, '.heartwood/runs', run, 'events.jsonl'), 'utf8')
      .trim()
      .split('\n');
    t.match(journal.map((line) => JSON.parse(line)).slice(-1), [{ type: 'run-finished', exitCode: 99 }]);
  },
);

t.test('a terminal that goes away ends a run as after Ctrl-C', async (t) => {
  const running = start(GREET, ['-i', inventory, '-v', '-e', 'greet_seconds=1'], { cwd });
  await running.prints(/Everyone/);
  running.kill('SIGHUP');
  t.match(await running.ended, { code: 99, stderr: '' });
});
