/** The view: what is drawn while a run goes, on a terminal and in a pipe. */
import { mock } from 'node:test';
import t, { type Test } from 'tap';
import { View } from '../../engine/cli/view.ts';
import type { RunEventBody, TaskRef } from '../../engine/events.ts';
import { runStarted } from '../support/events.ts';

const task: TaskRef = {
  play: 'P',
  role: 'r',
  stage: 'r',
  name: 'Join',
  index: 0,
  handler: false,
  resource: 'x y',
  at: undefined,
};
const started = runStarted();

/** A view on a screen that keeps what is written, and a clock that the test turns. */
function viewOn(t: Test, isTTY: boolean) {
  mock.timers.enable({ apis: ['setInterval', 'Date'] });
  t.teardown(() => mock.timers.reset());
  const written: string[] = [];
  const view = new View(
    { isTTY, columns: 80, rows: 24, write: (text: string) => written.push(text) },
    { verbosity: 0, diff: false, color: false, journal: '' },
  );
  const hear = (...events: RunEventBody[]): void => {
    for (const event of events) view.listener({ ...event, time: '' });
  };
  return { hear, text: () => written.splice(0).join(''), view };
}

t.test('in a pipe a change that takes long is reported every half minute, with its last line of output', async (t) => {
  const { hear, text, view } = viewOn(t, false);
  hear(started, { type: 'task-started', host: 'node-2', task });
  text();
  mock.timers.tick(29_000);
  t.equal(text(), '', 'nothing yet');
  hear({ type: 'task-output', host: 'node-2', task, stream: 'stdout', text: 'first\nlast seen: a learner\n' });
  mock.timers.tick(1000);
  t.equal(text(), '    ...     node-2  Join 30 s  last seen: a learner\n');
  mock.timers.tick(30_000);
  t.match(text(), 'Join 1:00 min');
  view.close();
  mock.timers.tick(60_000);
  t.equal(text(), '', 'nothing after its end');
});

t.test('on a terminal every host is drawn below the lines, and erased again', async (t) => {
  const { hear, text, view } = viewOn(t, true);
  hear(started, { type: 'task-started', host: 'node-2', task });
  mock.timers.tick(2000);
  const drawn = text();
  t.match(drawn, /node-1 {2}connecting {2}2 s/);
  t.match(drawn, /node-2 {2}Join {2}2 s/);
  view.close();
  t.match(text(), /\x1b\[\d+A\x1b\[0J$/, 'erased, and nothing drawn again');
});

t.test('the view shows what Ctrl-C does next, and which hosts are connected', async (t) => {
  const { hear, text, view } = viewOn(t, true);
  hear(started, { type: 'host-connected', host: 'node-2', ms: 5 });
  mock.timers.tick(250);
  t.match(text(), /node-1 {2}connecting\x1b[\s\S]*node-2 {2}connected\x1b[\s\S]*Ctrl-C stops after the running steps/);
  hear({ type: 'interrupted', how: 'after this step' });
  mock.timers.tick(250);
  t.match(text(), /stopping; Ctrl-C again kills the running steps/);
  hear({ type: 'interrupted', how: 'now' });
  mock.timers.tick(250);
  t.match(text(), /since the start; stopping\x1b/);
  view.close();
});

t.test('lines are cut at the width of the terminal, in columns', async (t) => {
  const { hear, text, view } = viewOn(t, true);
  hear(started, { type: 'task-started', host: 'node-2', task: { ...task, name: `Join \x1b[2J${'東'.repeat(60)}` } });
  mock.timers.tick(250);
  t.match(text(), `\n\x1b[2m  node-2  Join ${'東'.repeat(32)}\x1b[22m\n`, '79 columns of 80');
  view.close();
});
