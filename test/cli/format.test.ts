/** Events as lines of text: what is shown of them, and that no text of a host's can take the terminal over. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { recapLines, TextFormat } from '../../engine/cli/format.ts';
import type { RunEvent, RunEventBody, TaskRef, TaskStatus } from '../../engine/events.ts';
import { REPOSITORY } from '../support/program.ts';

const BAD = 'a\x1b[2Jb\x1b]0;title\x07c\x9bd\re';
const problem = { what: `it says ${BAD}`, hint: BAD };
const task: TaskRef = {
  play: 'P',
  role: 'r',
  stage: 's',
  name: 'T',
  index: 0,
  handler: false,
  resource: 'x y',
  at: undefined,
};
const events: readonly RunEventBody[] = [
  { type: 'host-unreachable', host: 'n', problem },
  { type: 'host-failed', host: 'n', problem },
  { type: 'warning', problem },
  { type: 'verdict', host: 'n', role: 'r', check: 'c', verdict: 'refuse', evidence: BAD, problem },
  { type: 'task-output', host: 'n', task, stream: 'stdout', text: BAD },
  {
    type: 'task-finished',
    host: 'n',
    task,
    status: 'failed',
    ms: 0,
    found: { key: BAD },
    wanted: { key: 'x' },
    diff: undefined,
    failure: { ...problem, script: undefined, exitCode: 1, stdout: BAD, stderr: BAD },
  },
];

for (const event of events) {
  t.test(`no control character of a host's is in the lines of ${event.type}`, async (t) => {
    const format = new TextFormat({ verbosity: 2, diff: true, color: false, journal: '' });
    const text = format.lines({ ...event, time: '' }).join('\n');
    t.notMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    if ('problem' in event) t.match(text, 'it says abcde', 'and nothing of the message is lost');
  });
}

t.test(
  'of a script that failed on several hosts, the text is shown once; where it is known what to try, only with -v',
  async (t) => {
    const failed = (host: string, hint: string | undefined): RunEvent => ({
      type: 'task-finished',
      host,
      task,
      status: 'failed',
      ms: 0,
      found: undefined,
      wanted: undefined,
      diff: undefined,
      failure: { what: 'exit code 3', hint, script: 'mk-thing --all', exitCode: 3, stdout: '', stderr: 'no room' },
      time: '',
    });
    const shown = (verbosity: number, hint: string | undefined): readonly string[] => {
      const format = new TextFormat({ verbosity, diff: false, color: false, journal: '' });
      return ['one', 'two'].map((host) => format.lines(failed(host, hint)).join('\n'));
    };
    const [one = '', two = ''] = shown(0, undefined);
    t.match(one, /ran \(exit code 3\):\n {8}mk-thing --all\n {6}stderr:\n {8}no room$/);
    t.match(two, /ran the same script as one \(exit code 3\)\n {6}stderr:\n {8}no room$/);
    t.notMatch(two, 'mk-thing');
    t.notMatch(shown(0, 'make room').join(), 'mk-thing');
    t.match(shown(1, 'make room')[0], 'mk-thing');
  },
);

/** A task that would make `done` yes, and what its end looks like. */
function shown(status: TaskStatus, known: { found?: Record<string, string>; task?: Partial<TaskRef> } = {}): string {
  const format = new TextFormat({ verbosity: 1, diff: true, color: false, journal: '' });
  const event = { host: 'n', task: { ...task, ...known.task }, status, ms: 0, diff: undefined, failure: undefined };
  const body: RunEventBody = { type: 'task-finished', ...event, found: known.found, wanted: { done: 'yes' } };
  return format.lines({ ...body, time: '' }).join('\n');
}

t.test('--diff shows nothing of a task that was not run', async (t) => {
  const found = { done: 'no' };
  for (const status of ['changed', 'would change', 'failed', 'ignored'] as const)
    t.match(shown(status, { found }), /\n {6}-done: no\n {6}\+done: yes$/, status);
  for (const status of ['not run', 'ok', 'skipped'] as const) t.notMatch(shown(status, { found }), 'done:', status);
  t.notMatch(shown('failed'), 'done:', 'nor where the probe did not run');
});

t.test('a handler that an interrupted run left is said to be one', async (t) => {
  t.match(
    shown('changed', { task: { handler: true, pending: true } }),
    / T \(handler, pending from an interrupted run\)$/,
  );
});

t.test('a failed health check says which lock nobody else gets', async (t) => {
  const format = new TextFormat({ verbosity: 0, diff: false, color: false, journal: '' });
  t.strictSame(format.lines({ type: 'health-check-failed', lock: 'etcd', host: 'n', time: '' }), [
    'stopped the health check of lock etcd failed after n held it; no other host gets this lock in this run',
  ]);
});

t.test('columns fit names of any width', async (t) => {
  const counts = { ok: 1, changed: 0, unreachable: 0, failed: 0, skipped: 0, ignored: 0 };
  const lines = recapLines(
    ['node-1', '東京', 'e\u0301'].map((host) => ({ host, ...counts })),
    'apply',
  );
  t.strictSame(
    lines.slice(1).map((line) => line.slice(0, line.indexOf(' :'))),
    ['node-1', '東京  ', 'e\u0301     '],
  );
});

t.test('every consumer of events has an exhaustive switch', async (t) => {
  for (const name of ['format', 'view', 'reports', 'profile']) {
    const source = readFileSync(join(REPOSITORY, 'engine/cli', `${name}.ts`), 'utf8');
    const [before = '', ...defaults] = source.split(/\bdefault:/);
    t.match(before, /switch \(event\.type\)/, name);
    for (const after of defaults) t.match(after, /^\s*(return )?event satisfies never;/, name);
  }
});
