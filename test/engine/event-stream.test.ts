/** Events on their way: what is masked in them, in which order they come, and a listener that throws. */
import t from 'tap';
import type { Problem } from '../../engine/errors.ts';
import { EventStream } from '../../engine/event-stream.ts';
import type { RunEvent, RunEventBody, TaskRef } from '../../engine/events.ts';
import { Secret } from '../../engine/secret.ts';
import { runStarted } from '../support/events.ts';

const task: TaskRef = {
  play: 'raspberry play',
  role: 'raspberry',
  stage: 'raspberry',
  name: 'Join raspberry-1',
  index: 0,
  handler: false,
  resource: 'file /etc/raspberry',
};
const problem = { what: 'raspberry is wrong', host: 'raspberry-1', expected: 'raspberry', hint: 'raspberry' };

/** A stream and what was heard of it. */
function stream() {
  const events = new EventStream();
  const heard: RunEvent[] = [];
  return { events, heard, listen: () => events.subscribe((event) => heard.push(event)) };
}

t.test('text is masked, names are not; a name that holds a secret is said once, without the secret', async (t) => {
  new Secret('raspberry');
  const { events, heard, listen } = stream();
  listen();
  const bodies: RunEventBody[] = [
    runStarted(),
    { type: 'task-output', host: 'raspberry-1', task, stream: 'stdout', text: 'the raspberry' },
    {
      type: 'task-finished',
      host: 'raspberry-1',
      task: { ...task, at: { file: '/raspberry/role.ts', line: 1, column: 1 } },
      status: 'failed',
      ms: 1,
      found: { owner: 'raspberry' },
      wanted: { raspberry: 'x' },
      diff: '-raspberry',
      failure: {
        what: 'raspberry',
        hint: 'raspberry',
        script: 'raspberry',
        exitCode: 1,
        stderr: 'raspberry',
        stdout: '',
      },
    },
    { type: 'host-failed', host: 'raspberry-1', problem },
    {
      type: 'verdict',
      host: 'raspberry-1',
      role: 'raspberry',
      check: 'raspberry',
      verdict: 'pass',
      evidence: 'raspberry',
      problem: undefined,
    },
    { type: 'health-check-failed', host: 'raspberry-1', lock: 'raspberry' },
    {
      type: 'script',
      host: 'raspberry-1',
      phase: 'check',
      role: 'raspberry',
      stage: 'raspberry',
      text: 'echo raspberry',
    },
    {
      type: 'run-finished',
      ms: 1,
      recap: [{ host: 'raspberry-1', ok: 1, changed: 0, unreachable: 0, failed: 0, skipped: 0, ignored: 0 }],
      exitCode: 0,
      problems: [problem],
    },
  ];
  for (const body of bodies) events.emit(body);
  const masked = { what: '*** is wrong', host: 'raspberry-1', expected: '***', hint: '***' };
  const warnings = heard.filter(({ type }) => type === 'warning');
  t.match(
    heard.filter(({ type }) => type !== 'warning'),
    [
      { type: 'run-started' },
      { host: 'raspberry-1', task, text: 'the ***' },
      {
        host: 'raspberry-1',
        task: { ...task, at: { file: '/raspberry/role.ts' } },
        found: { owner: '***' },
        wanted: { raspberry: 'x' },
        diff: '-***',
        failure: { what: '***', hint: '***', script: '***', exitCode: 1, stderr: '***' },
      },
      { host: 'raspberry-1', problem: masked },
      { host: 'raspberry-1', role: 'raspberry', check: 'raspberry', verdict: 'pass', evidence: '***' },
      { host: 'raspberry-1', lock: 'raspberry' },
      { host: 'raspberry-1', role: 'raspberry', stage: 'raspberry', text: 'echo ***' },
      { recap: [{ host: 'raspberry-1' }], problems: [masked] },
    ],
  );
  t.match(warnings, [
    { problem: { what: /^a secret is a plain word or a short number/ } },
    { problem: { what: /^a secret is part of a name/ } },
  ]);
  t.equal(warnings.length, 2, 'once each');
  t.notMatch(JSON.stringify(warnings), 'raspberry');
});

t.test('a secret in the key of a state is said, as one in a name is', async (t) => {
  new Secret('gooseberry-7');
  const { events, heard, listen } = stream();
  listen();
  const plain: TaskRef = { ...task, play: 'p', role: 'r', stage: 's', name: 'n', resource: 'file /etc/motd' };
  const more = { ms: 1, wanted: { a: '1' }, diff: undefined, failure: undefined };
  events.emit({ type: 'task-finished', host: 'a', task: plain, status: 'ok', found: { 'gooseberry-7': '1' }, ...more });
  t.ok(heard.some((event) => event.type === 'warning' && /^a secret is part of a name/.test(event.problem.what)));
});

t.test('a field that no type knows of is masked', async (t) => {
  new Secret('open-5esame');
  const { events, heard, listen } = stream();
  listen();
  const problem: object = { what: 'x', more: { of: 'open-5esame' } };
  events.emit({ type: 'warning', problem: problem as Problem });
  t.match(heard[0], { problem: { what: 'x', more: { of: '***' } } });
});

t.test('a secret that is too short to be masked is said', async (t) => {
  new Secret('a1');
  const { events, heard, listen } = stream();
  listen();
  events.emit(runStarted());
  events.emit({ type: 'checks-started', hosts: [] });
  const short = heard.filter((event) => event.type === 'warning' && /shorter than 4/.test(event.problem.what));
  t.equal(short.length, 1);
});

t.test('what a listener throws at the first event ends the run: nothing has been done', async (t) => {
  const { events } = stream();
  events.subscribe(() => {
    throw new Error('no room');
  });
  t.throws(() => events.emit(runStarted()), /no room/);
});

t.test('what a listener throws later is one warning; every listener goes on hearing', async (t) => {
  const { events, heard, listen } = stream();
  let calls = 0;
  events.subscribe(({ type }) => {
    calls++;
    if (type === 'interrupted' || type === 'checks-started') throw new Error('cannot draw');
  });
  listen();
  events.emit(runStarted());
  const before = heard.length;
  events.emit({ type: 'interrupted', how: 'now' });
  events.emit({ type: 'checks-started', hosts: [] });
  t.match(heard.slice(before), [
    { type: 'interrupted' },
    { type: 'warning', problem: { what: /the event interrupted could not be shown or recorded: cannot draw$/ } },
    { type: 'checks-started' },
  ]);
  t.equal(heard.length, before + 3);
  t.equal(calls, heard.length, 'also the one that throws');
});

t.test('an event that a listener emits comes after the one that it hears, for all', async (t) => {
  const { events, heard, listen } = stream();
  events.subscribe(({ type }) => {
    if (type === 'interrupted') events.emit({ type: 'checks-started', hosts: [] });
  });
  listen();
  events.emit(runStarted());
  events.emit({ type: 'interrupted', how: 'now' });
  t.strictSame(
    heard.filter(({ type }) => type !== 'warning').map(({ type }) => type),
    ['run-started', 'interrupted', 'checks-started'],
  );
});
