/** Events as lines of text: what a host says cannot take the terminal over. */
import t from 'tap';
import { TextFormat } from '../../engine/cli/format.ts';
import type { RunEventBody, TaskRef } from '../../engine/events.ts';

const BAD = 'a\x1b[2Jb\x1b]0;title\x07c\x9bd\re';
const problem = { what: `it says ${BAD}`, tryThis: BAD };
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
