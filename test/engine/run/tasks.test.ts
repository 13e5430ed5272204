/** From probes to decisions, from decisions to steps, from results to outcomes. */
import { Readable } from 'node:stream';
import t from 'tap';
import type { HostView } from '../../../engine/host-view.ts';
import { play, playProblems } from '../../../engine/play.ts';
import type { StepResult } from '../../../engine/remote/session.ts';
import type { Resource, ResourceBase } from '../../../engine/resource.ts';
import { defineRole, type Stage, type TaskContext } from '../../../engine/role.ts';
import { checkSteps, type Decision, decide } from '../../../engine/run/tasks/check-phase.ts';
import { prepareChanges } from '../../../engine/run/tasks/prepare-changes.ts';
import { SegmentScript } from '../../../engine/run/tasks/segment-script.ts';
import { isNeeded, segmentsOf as segmentsOfPrepared } from '../../../engine/run/tasks/segments.ts';
import { instantiateTasks, type TaskInstance } from '../../../engine/run/tasks/task-instances.ts';
import { sh } from '../../../engine/script.ts';
import type { State } from '../../../engine/state.ts';
import { type Task, task } from '../../../engine/task.ts';
import { refuse } from '../../../engine/verdict.ts';

const host = (name: string): HostView => ({ name, address: name, port: 22, groups: ['all'], var: () => undefined });

const resource = (id: string, wanted: State = { value: 'wanted' }, more: Partial<ResourceBase> = {}): Resource => ({
  kind: 'fake',
  id,
  probe: sh`probe ${id}`,
  wanted,
  change: () => sh`change ${id}`,
  noUndo: 'a test',
  ...more,
});

/** The instances of a stage with these tasks and handlers, on node-1. */
function instancesOf(
  tasks: readonly Task[],
  handlers: Readonly<Record<string, Task>> = {},
  onHost = 'node-1',
): readonly TaskInstance[] {
  const stage: Stage<unknown> = { name: 'main', tasks: () => tasks, handlers: () => handlers };
  const role = defineRole({ name: 'role', description: 'A role.', vars: { properties: {} }, stages: () => [stage] });
  const context: TaskContext<unknown> = {
    vars: {},
    facts: {},
    host: host(onHost),
    group: () => [],
    inventory: [],
    playHosts: [],
    runHosts: [],
  };
  const place = { play: play({ name: 'A play', hosts: 'all', roles: [] }), call: role(), stage };
  return instantiateTasks(place, context, { tags: [], skipTags: [] }, host('node-1'));
}

const answer = (id: string, stdout = '', more: Partial<StepResult> = {}): StepResult => ({
  id,
  outcome: 'ran',
  exitCode: 0,
  stdout: Buffer.from(stdout),
  stderr: Buffer.alloc(0),
  truncated: false,
  duration: 0.5,
  arrived: 1_700_000_000,
  ...more,
});

/** The decisions about instances of one host, from its answers. */
const decided = (list: readonly TaskInstance[], answers: readonly StepResult[]) =>
  decide(list, new Map([['node-1', answers]]));

const segmentsOf = (decisions: readonly Decision[]) => segmentsOfPrepared(prepareChanges(decisions));

t.test('what is found decides what is done', async (t) => {
  const list = instancesOf([
    task('same', resource('a')),
    task('differs', resource('b')),
    task('left out', resource('c'), { when: false }),
    task('no answer', resource('d')),
    task('refused', refuse('disk', { evidence: '1 GB', what: 'the disk is too small', hint: 'a larger card' })),
  ]);
  const decisions = decided(list, [answer('t0', 'value=wanted'), answer('t1', 'value=other'), answer('t3', 'oops')]);
  t.strictSame(
    decisions.map(({ what }) => what),
    ['nothing', 'change', 'skip', 'fail', 'fail'],
  );
  t.match(decisions[3]?.failure?.what, /not key=value: oops/);
  t.match(decisions[4]?.failure, { what: /the disk is too small \(1 GB\)/, hint: 'a larger card' });
});

t.test('nothing to change means no change script at all', async (t) => {
  const list = instancesOf([task('a', resource('a')), task('b', resource('b'))]);
  const decisions = decided(list, [answer('t0', 'value=wanted'), answer('t1', 'value=wanted')]);
  t.strictSame(segmentsOf(decisions), []);
});

t.test(
  'from the first change on, later tasks are probed again: an earlier change may alter what they saw',
  async (t) => {
    const list = instancesOf([task('a', resource('a')), task('b', resource('b')), task('c', resource('c'))]);
    const decisions = decided(list, [
      answer('t0', 'value=wanted'),
      answer('t1', 'value=no'),
      answer('t2', 'value=wanted'),
    ]);
    const [segment, ...rest] = segmentsOf(decisions);
    t.strictSame(rest, []);
    t.strictSame(segment && new SegmentScript(segment).steps.map(({ id }) => id), [
      't1.before',
      't1.change',
      't1.after',
      't2.before',
      't2.change',
      't2.after',
    ]);
  },
);

t.test(
  'uploads that follow one another go together: not too much at once, no path twice, none that may fail',
  async (t) => {
    const upload = (id: string, megabytes: number): Resource =>
      resource(id, undefined, {
        uploadSize: megabytes * 1e6,
        upload: () => ({ script: sh`cat`, content: () => Readable.from([]) }),
      });
    const rows = (...tasks: Task[]) => {
      const decisions = decided(
        instancesOf(tasks),
        tasks.map((_, i) => answer(`t${i}`, 'value=no')),
      );
      return segmentsOf(decisions).map((segment) =>
        segment.decisions.map(({ instance }) => instance.task.name).join(' '),
      );
    };
    const [a, b, c] = [task('a', upload('a', 100)), task('b', upload('b', 100)), task('c', upload('c', 100))];
    const small = task('small', resource('small'));
    t.strictSame(rows(a, b, small, c), ['a b small', 'c']);
    t.strictSame(rows(a, b, c, small), ['a b', 'c small'], 'up to 256 MB');
    t.strictSame(rows(task('all', upload('all', 1000)), a), ['all', 'a']);
    t.strictSame(rows(a, task('again', upload('a', 1))), ['a', 'again']);
    t.strictSame(rows(a, task('may fail', upload('x', 1), { ignoreErrors: true }), b), ['a', 'may fail', 'b']);
  },
);

t.test('a handler runs when notified, or when pending from an interrupted run, and not otherwise', async (t) => {
  const handlers = { 'reload it': task('Reload it', resource('reload', { done: 'yes' }, { verify: 'exit code' })) };
  const list = instancesOf([task('a', resource('a'), { notify: 'reload it' })], handlers);
  const probes = checkSteps(list, 'node-1').map(({ id }) => id);
  t.strictSame(probes, ['t0', 'pending'], 'its own probe is not asked');
  const what = (value: string, pending: string) =>
    decided(list, [answer('t0', `value=${value}`), answer('pending', pending)]).map((decision) => decision.what);
  t.strictSame(what('wanted', ''), ['nothing', 'nothing']);
  t.strictSame(what('other', ''), ['change', 'change']);
  t.strictSame(what('wanted', `${list[1]?.pendingName}\n`), ['nothing', 'change']);
});

t.test('notifying an unknown handler is an error of the role', async (t) => {
  t.throws(
    () => instancesOf([task('a', resource('a'), { notify: 'reload' })]),
    /unknown handler "reload" in stage main, notified by task "a"\n {2}allowed: none/,
  );
});

t.test('what holds a lock runs in a script of its own, so that other hosts need not wait for the rest', async (t) => {
  const wait = resource('voters', {}, { kind: 'wait' });
  const restart = task('Restart', resource('restart', {}, { verify: 'exit code' }), {
    disrupts: { lock: 'etcd', before: wait, after: wait },
  });
  const list = instancesOf([task('config', resource('config'), { notify: 'restart' })], { restart });
  const segments = segmentsOf(decided(list, [answer('t0', 'value=other'), answer('pending')]));
  t.strictSame(
    segments.map(({ lock, decisions }) => [lock, decisions.length]),
    [
      [undefined, 1],
      ['etcd', 1],
    ],
  );
  const [, second] = segments;
  t.strictSame(second && new SegmentScript(second).steps.map(({ id }) => id), [
    'h0.health_before',
    'h0.change',
    'h0.health_after',
  ]);
});

t.test('a handler under a lock that nobody notified makes no host wait', async (t) => {
  const restart = task('Restart', resource('restart', {}, { verify: 'exit code' }), { disrupts: { lock: 'etcd' } });
  const list = instancesOf([task('a', resource('a')), task('b', resource('b'), { notify: 'restart' })], { restart });
  const segments = segmentsOf(
    decided(list, [answer('t0', 'value=no'), answer('t1', 'value=wanted'), answer('pending')]),
  );
  const [, second] = segments;
  t.equal(second && isNeeded(second, new Set()), false);
  t.equal(second && isNeeded(second, new Set([list[2]?.pendingName ?? ''])), true);
});

t.test('the outcome of a task is read from its steps', async (t) => {
  const explain = () => ({ what: 'the disk is full', hint: 'free some' });
  const outcome = (answers: readonly StepResult[]) => {
    const list = instancesOf([task('a', resource('a', { value: 'wanted' }, { explain }))]);
    const [segment] = segmentsOf(decided(list, [answer('t0', 'value=other')]));
    if (!segment) throw new Error('no segment');
    const reader = new SegmentScript(segment);
    return answers.map((result) => reader.read(result)).find((known) => known);
  };
  const skipped = (id: string) => answer(id, '', { outcome: 'skipped' });
  const [before, change, after] = [
    answer('t0.before', 'value=other'),
    answer('t0.change'),
    answer('t0.after', 'value=wanted'),
  ];
  t.match(outcome([before, change, after]), { status: 'changed', ms: 1500 });
  t.match(outcome([answer('t0.before', 'value=wanted'), skipped('t0.change'), skipped('t0.after')]), { status: 'ok' });
  t.match(outcome([before, change, answer('t0.after', 'value=other')]), {
    status: 'failed',
    failure: { what: 'the change did not take: value is other, wanted wanted' },
  });
  t.match(outcome([before, answer('t0.change', '', { exitCode: 1 }), skipped('t0.after')]), {
    status: 'failed',
    failure: { what: 'the disk is full', hint: 'free some', exitCode: 1, script: 'change a' },
  });
  t.match(outcome([before, answer('t0.change', '', { outcome: 'timed out', exitCode: 137 }), skipped('t0.after')]), {
    failure: { what: 'timed out after 600 s' },
  });
  t.match(outcome([skipped('t0.before'), skipped('t0.change'), skipped('t0.after')]), { status: 'not run' });
});

t.test('a health check that fails after the change is named', async (t) => {
  const wait = resource('voters', {}, { explain: () => ({ what: '2 of 3 voters after 60 s' }) });
  const list = instancesOf([task('a', resource('a'), { disrupts: { lock: 'etcd', after: wait } })]);
  const [segment] = segmentsOf(decided(list, [answer('t0', 'value=other')]));
  if (!segment) throw new Error('no segment');
  const reader = new SegmentScript(segment);
  const outcomes = [
    answer('t0.before', 'value=other'),
    answer('t0.change'),
    answer('t0.after', 'value=wanted'),
    answer('t0.health_after', '', { exitCode: 1 }),
  ].map((result) => reader.read(result));
  t.match(outcomes.at(-1), {
    status: 'failed',
    isUnhealthy: true,
    failure: { what: 'changed, but etcd did not recover: 2 of 3 voters after 60 s' },
  });
});

t.test('runOnce keeps a task on the first host, and a task knows the line that made it', async (t) => {
  const once = task('once', resource('a'), { runOnce: true });
  t.equal(instancesOf([once], {}, 'node-1').length, 1);
  t.equal(instancesOf([once], {}, 'node-2').length, 0);
  t.match(once.at?.file, /tasks\.test\.ts$/);
  t.ok((once.at?.line ?? 0) > 100, 'in the source, not in what it was compiled to');
});

t.test('no position is computed where nothing is wrong: the first one takes a source map', async (t) => {
  const unread = <T extends object>(made: T): T =>
    Object.defineProperty(made, 'at', {
      enumerable: true,
      get: () => t.fail('at was read'),
    });
  const tasks = [unread(task('a', resource('a'), { notify: 'restart' })), unread(task('b', resource('b')))];
  const list = instancesOf(tasks, { restart: unread(task('Restart', resource('restart'))) });
  const decisions = decided(list, [answer('t0', 'value=no'), answer('t1', 'value=wanted'), answer('pending')]);
  for (const segment of segmentsOf(decisions)) t.ok(new SegmentScript(segment).steps.length > 0);
  t.strictSame(playProblems(unread(play({ name: 'All', hosts: 'all', roles: [] }))), []);
});
