import t from 'tap';
import { fact, fromEach } from '../../../engine/fact.ts';
import type { HostView } from '../../../engine/host-view.ts';
import type { StepResult } from '../../../engine/remote/session.ts';
import { FactSteps } from '../../../engine/run/facts/fact-steps.ts';
import { sh } from '../../../engine/script.ts';

const host = (name: string): HostView => ({ name, address: name, port: 22, groups: ['all'], var: () => undefined });

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

t.test('facts with the same script are one step, whoever asks', async (t) => {
  const uptime = fact({ name: 'uptime', script: sh`uptime`, parse: ({ stdout }) => stdout.trim(), example: '1 day' });
  const steps = new FactSteps();
  const requests = { own: uptime, all: fromEach([host('node-1'), host('node-2')], uptime) };
  steps.add('node-1', requests);
  steps.add('node-2', requests);
  t.strictSame(
    [...steps.byHost].map(([name, steps]) => [name, steps.length]),
    [
      ['node-1', 1],
      ['node-2', 1],
    ],
  );
  const results = new Map([
    ['node-1', [answer('f0', '3 days\n')]],
    ['node-2', [answer('f0', '5 days\n')]],
  ]);
  t.strictSame(steps.answers('node-2', requests, results, new Map()), {
    ok: true,
    facts: {
      own: '5 days',
      all: new Map([
        ['node-1', '3 days'],
        ['node-2', '5 days'],
      ]),
    },
  });
});

t.test('an unreachable host is missing from the answer, or fails the stage, as the stage chose', async (t) => {
  const name = fact({ name: 'name', script: sh`hostname`, parse: ({ stdout }) => stdout, example: 'node' });
  const unreachable = new Map([['node-2', 'connection refused']]);
  const others = [host('node-2')];
  for (const [choice, expected] of [
    ['omit', { ok: true, facts: { others: new Map() } }],
    ['fail', { ok: false, missing: { host: 'node-2', fact: 'name', why: 'connection refused' } }],
  ] as const) {
    const steps = new FactSteps();
    const requests = { others: fromEach(others, name, choice) };
    steps.add('node-1', requests);
    t.strictSame(steps.answers('node-1', requests, new Map(), unreachable), expected);
  }
});

t.test('a fact whose answer makes no sense is named with what the host said', async (t) => {
  const strict = fact<number>({
    name: 'memory',
    script: sh`free`,
    parse: () => {
      throw new Error('no total');
    },
    example: 1,
  });
  const steps = new FactSteps();
  steps.add('node-1', { strict });
  const results = new Map([
    ['node-1', [answer('f0', '', { exitCode: 127, stderr: Buffer.from('free: not found\n') })]],
  ]);
  t.match(steps.answers('node-1', { strict }, results, new Map()), {
    missing: { why: 'no total (exit code 127; stderr: free: not found)' },
  });
});
