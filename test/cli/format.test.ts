/** Events as lines of text: what a host says cannot take the terminal over. */
import t from 'tap';
import { TextFormat } from '../../engine/cli/format.ts';
import type { RunEvent, RunEventBody, TaskRef } from '../../engine/events.ts';

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
    t.match(two, /ran what one ran \(exit code 3\)\n {6}stderr:\n {8}no room$/);
    t.notMatch(two, 'mk-thing');
    t.notMatch(shown(0, 'make room').join(), 'mk-thing');
    t.match(shown(1, 'make room')[0], 'mk-thing');
  },
);
