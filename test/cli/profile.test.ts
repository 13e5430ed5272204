/** `--profile`, made from a run's events. */
import t from 'tap';
import { profileText } from '../../engine/cli/profile.ts';
import type { Phase, RunEventBody, TaskRef, TaskStatus } from '../../engine/events.ts';
import { runStarted } from '../support/events.ts';

const run = runStarted({ start: 200, inventory: 5, compiled: true });

function phase(host: string, name: Phase, ms: number, roundTrips: number): RunEventBody {
  const cost = { ms, roundTrips, bytesOut: 10 * roundTrips, bytesIn: 100 * roundTrips };
  return { type: 'phase-finished', host, phase: name, role: undefined, stage: undefined, cost };
}

function finished(host: string, name: string, status: TaskStatus, ms: number, handler = false): RunEventBody {
  const task: TaskRef = { play: 'P', role: 'r', stage: 's', name, index: 0, handler, resource: 'x y', at: undefined };
  const known = { found: undefined, wanted: undefined, diff: undefined, failure: undefined };
  return { type: 'task-finished', host, task, status, ms, ...known };
}

const lines = (...events: RunEventBody[]) => profileText(events.map((event) => ({ ...event, time: '' }))).split('\n');

t.test('phases of a host are added up, in their order; hosts come in the order of the inventory', async (t) => {
  const text = lines(
    run,
    phase('node-2', 'connect', 20, 4),
    phase('node-1', 'connect', 30, 4),
    phase('node-1', 'change', 200, 1),
    phase('node-1', 'check', 50, 1),
    phase('node-1', 'confirm', 80, 11),
    phase('node-1', 'change', 300, 2),
    finished('node-1', 'Restart', 'changed', 150, true),
    phase('node-1', 'close', 2, 0),
  );
  t.strictSame(text.slice(0, 9), [
    '',
    'PROFILE (start 200 ms, inventory 5 ms)',
    '  host    phase            time    round trips  bytes out  bytes in',
    '  node-1  connect          30 ms   4            40         400',
    '  node-1  check            50 ms   1            10         100',
    '  node-1  change           500 ms  3            30         300',
    '  node-1  of it, handlers  150 ms',
    '  node-1  confirm          80 ms   11           110        1100',
    '  node-1  close            2 ms    0            0          0',
  ]);
  t.equal(text[9], '  node-2  connect          20 ms   4            40         400');
});

t.test('the ten slowest tasks are named, also those with nothing to change', async (t) => {
  const text = lines(
    run,
    ...Array.from({ length: 10 }, (_, i) => finished('node-1', `Small ${i}`, 'ok', i)),
    finished('node-2', 'Look', 'ok', 1900),
    finished('node-1', 'Write', 'changed', 40),
  );
  t.strictSame(text.slice(3, 8), [
    '',
    'slowest tasks',
    '  1900 ms  node-2  r: Look     ok',
    '  40 ms    node-1  r: Write    changed',
    '  9 ms     node-1  r: Small 9  ok',
  ]);
  t.equal(text.length, 5 + 10);
  t.notMatch(text.join('\n'), /Small 1 |Small 0/);
  t.notMatch(lines(run, finished('node-1', 'Small', 'ok', 0)).join('\n'), /slowest/);
});
